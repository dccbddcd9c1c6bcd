"""Coverage of the learning curve's intervals on the antibodies of Boughter et al. 2020, from 300 antibodies to 600.

In each draw a curve is computed from 300 random antibodies alone. Its 90 % interval for the ROC AUC of 600 training
antibodies is compared with the mean ROC AUC of 100 random splits into 600 training and 69 test antibodies, and its gain
with the mean difference of such splits with 600 and with 300 training antibodies. ``python benchmark_learning_curve.py
10`` has 10 draws in place of 100.
"""

import sys

import numpy as np
from sklearn.metrics import roc_auc_score

from antibody_esm import LogisticRegressionSpec, Trainer, load_dataset
from antibody_esm.classifiers import build, one_blas_thread
from antibody_esm.evaluation.learning_curve import learning_curve
from antibody_esm.evaluation.nested import Candidate
from antibody_esm.evaluation.splits import Division

FEW, MANY, TESTED, DRAWS = 300, 600, 69, 100
WORKERS = 1


def benchmark_coverage_of_learning_curves_on_boughter(draws: int = DRAWS) -> None:
    trainer = Trainer("descriptors", LogisticRegressionSpec(standardize=True))
    vectors = trainer.same_vectors(load_dataset("boughter"))
    X, label = vectors.features, vectors.label
    model = build(trainer.spec.classifier, X.shape[1])
    few, many = (np.mean(values) for values in truths(model, X, label).T)
    print(f"\nROC AUC of {FEW} antibodies {few:.4f}, of {MANY} {many:.4f}, gain {many - few:.4f}")
    inside, widths, errors = np.zeros(2, int), [], []
    for draw in range(draws):
        rows = np.sort(np.random.default_rng((1, draw)).permutation(len(label))[:FEW])
        curve = learning_curve(
            Candidate(X[rows], model), label[rows], Division(trainer.spec.split), {}, workers=WORKERS
        )
        intervals = curve.at(MANY), curve.gain(MANY - FEW)
        right = many, many - few
        inside += [interval.low <= value <= interval.high for interval, value in zip(intervals, right, strict=True)]
        widths.append([interval.width for interval in intervals])
        errors.append([interval.estimate - value for interval, value in zip(intervals, right, strict=True)])
        if (draw + 1) % 10 == 0:
            show(draw + 1, inside, widths, errors)


def truths(model: object, X: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return ROC AUC ``(splits, 2)`` of 300 and of 600 training antibodies on the same 69."""
    scores = []
    with one_blas_thread():
        for split in range(100):
            order = np.random.default_rng((2, split)).permutation(len(label))
            test, train = order[:TESTED], order[TESTED:]
            fitted = [model.fit(X[train[:n]], label[train[:n]]).predict_proba(X[test])[:, 1] for n in (FEW, MANY)]
            scores.append([roc_auc_score(label[test], each) for each in fitted])
    return np.array(scores)


def show(draws: int, inside: np.ndarray, widths: list[list[float]], errors: list[list[float]]) -> None:
    width, error = np.median(widths, axis=0), np.array(errors)
    for i, name in enumerate((f"ROC AUC of {MANY}", f"gain of {MANY - FEW} more")):
        print(
            f"{draws:4} draws, {name:16}: {inside[i]} of {draws} intervals hold, median width {width[i]:.4f}, "
            f"mean error {error[:, i].mean():+.4f}, sd {error[:, i].std():.4f}",
            flush=True,
        )


if __name__ == "__main__":
    benchmark_coverage_of_learning_curves_on_boughter(int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS)
