"""Train a classifier of polyreactivity, look at how good it is, save it, and predict with what was saved.

Shows the main job: a data set, cross-validation, a fit on all of it, a model in a folder. The language model is
AntiBERTy; vectors are kept in ``embeddings/``, so a second run computes none.
"""

from antibody_esm import Predictor, Trainer, load_dataset


def main() -> None:
    """Train, report, save, load, predict."""
    data = load_dataset("boughter_flu_cdrs")
    print(data)
    print(data.provenance, end="\n\n")

    trainer = Trainer(extractor="antiberty", classifier="logreg", store="embeddings/")
    print(trainer.cross_validate(data), end="\n\n")
    trainer.fit(data).save("model/")

    predictor = Predictor.load("model/", store="embeddings/")
    # Like the training data: the three CDR loops of a heavy chain, joined.
    sequences = ["GFTFSSYAISGSGGSTAKDRGGYYFDY", "GYTFTSYYINPSGGSTARDRWWYGRFDY"]
    for sequence, (_, positive) in zip(sequences, predictor.predict_proba(sequences), strict=True):
        print(f"{sequence}  probability of polyreactivity {positive:.2f}")


if __name__ == "__main__":
    main()
