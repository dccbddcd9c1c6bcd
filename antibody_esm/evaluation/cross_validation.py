"""Fit and test on every fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.evaluation.metrics import METRICS, score
from antibody_esm.evaluation.splits import folds
from antibody_esm.specs import SplitSpec


@dataclass(frozen=True)
class CrossValidation:
    """What cross-validation found; every row was predicted once, by a classifier that had not seen it."""

    scores: dict[str, NDArray[np.float64]]
    """Metric to its value on each fold, ``(n_folds,)``."""
    fold: NDArray[np.int64]
    """``(n,)``, the fold in which each row was tested, from 0."""
    prediction: NDArray[np.int64]
    """``(n,)``, 0 or 1."""
    probability: NDArray[np.float64]
    """``(n,)``, of class 1."""


def cross_validate(
    classifier: Any, features: NDArray[Any], label: NDArray[np.int64], split: SplitSpec, workers: int | None = None
) -> CrossValidation:
    """Return the scores and predictions of an unfitted classifier.

    Parameters
    ----------
    classifier
        Unfitted scikit-learn classifier; cloned for every fold.
    features
        ``(n, dim)``.
    label
        ``(n,)``, 0 or 1.
    split
        How to divide the rows.
    workers
        Folds at a time; None is one per usable core. It changes no number.
    """
    from sklearn.base import clone
    from sklearn.utils.parallel import Parallel, delayed

    def run(train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        fitted = clone(classifier).fit(features[train], label[train])
        return fitted.predict(features[test]), fitted.predict_proba(features[test])[:, 1]

    divided = folds(split, label)
    # Threads: what takes long here (trees, solvers, matrix products) runs outside of Python.
    with one_blas_thread():
        results = Parallel(n_jobs=workers or -1, prefer="threads")(delayed(run)(*one) for one in divided)
    fold = np.empty(len(label), np.int64)
    prediction = np.empty(len(label), np.int64)
    probability = np.empty(len(label), np.float64)
    for number, ((_, test), (predicted, probable)) in enumerate(zip(divided, results, strict=True)):
        fold[test], prediction[test], probability[test] = number, predicted, probable
    scores = [score(label[test], prediction[test], probability[test]) for _, test in divided]
    by_metric = {metric: np.array([one[metric] for one in scores]) for metric in METRICS}
    return CrossValidation(by_metric, fold, prediction, probability)
