"""Compare classifiers on the same folds and the same vectors.

Shows that one store serves every classifier: the first trainer runs the language model, the others read its vectors.
The language model is Sapiens: ``pip install --no-deps sapiens==1.0.2``.
"""

import pandas as pd

from antibody_esm import KNeighborsSpec, LogisticRegressionSpec, RandomForestSpec, SplitSpec, Trainer, load_dataset

CLASSIFIERS = {
    "logreg": "logreg",  # a preset's name
    "logreg, C=0.1": LogisticRegressionSpec(C=0.1),  # or a spec
    "random_forest": RandomForestSpec(n_estimators=50),
    "knn": KNeighborsSpec(n_neighbors=15),
}


def main() -> None:
    """Cross-validate every classifier, and print one row for each."""
    data = load_dataset("boughter_flu_cdrs")
    rows = []
    for name, classifier in CLASSIFIERS.items():
        trainer = Trainer("sapiens", classifier, SplitSpec(folds=5), store="embeddings/")
        scores = trainer.cross_validate(data).to_frame()
        rows.append(
            {
                "classifier": name,
                "ROC AUC": scores.loc["roc_auc", "mean"],
                "sd": scores.loc["roc_auc", "sd"],
                "MCC": scores.loc["mcc", "mean"],
                "sequences computed": trainer.extractor.computed,
            }
        )
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.3f}".format))
    # The same folds were looked at four times: the best of these rows is chosen, and so too good.


if __name__ == "__main__":
    main()
