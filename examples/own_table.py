"""Train on a table with column names of your own.

Shows how columns are named on loading, what is checked, and that a saved model predicts what the fitted one did. The
table is made here from the bundled antibodies. The language model is Sapiens: ``pip install --no-deps sapiens==1.0.2``.
"""

import numpy as np

from antibody_esm import DatasetError, Predictor, SplitSpec, Trainer, load_dataset


def write_table(path: str) -> None:
    """Write a CSV file such as a laboratory might have."""
    frame = load_dataset("boughter_flu_cdrs").to_frame()
    frame = frame.rename(columns={"id": "clone", "heavy": "vh_cdrs", "label": "polyreactive"})
    frame = frame.groupby("polyreactive").head(60)  # 60 of each class, to be quick
    frame[["clone", "vh_cdrs", "polyreactive"]].to_csv(path, index=False)


def main() -> None:
    """Write the table, load it, train, save, load and predict."""
    write_table("mine.csv")
    try:
        load_dataset("mine.csv")
    except DatasetError as error:
        print(f"DatasetError: {error}", end="\n\n")  # names the columns that are there

    data = load_dataset("mine.csv", id="clone", heavy="vh_cdrs", label="polyreactive", part="H-CDRs")
    print(data, end="\n\n")

    trainer = Trainer("sapiens", "logreg", SplitSpec(folds=5), store="embeddings/")
    report = trainer.cross_validate(data)
    print(report, end="\n\n")
    report.out_of_fold.to_csv("out_of_fold.csv", index=False)

    fitted = trainer.fit(data)
    fitted.save("model/")
    loaded = Predictor.load("model/", store="embeddings/")
    assert np.array_equal(loaded.predict_proba(data), fitted.predict_proba(data))  # noqa: S101  the point of the example
    print(f"{loaded.spec.classifier!r}, trained on {loaded.data.antibodies} antibodies of {loaded.data.source}")
    print(f"The loaded model computed {loaded.extractor.computed} vectors: the store held them all.")


if __name__ == "__main__":
    main()
