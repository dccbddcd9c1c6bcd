"""Fit and test on every fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.evaluation.metrics import METRICS, score
from antibody_esm.evaluation.splits import Fold, folds
from antibody_esm.specs import SplitSpec


@dataclass(frozen=True)
class CrossValidation:
    """What cross-validation found; in each repeat every row was predicted once, by a classifier that had not seen it.

    With several repeats, the arrays of rows are ``(n, repeats)``.
    """

    scores: dict[str, NDArray[np.float64]]
    """Metric to its value on each fold, ``(repeats * n_folds,)``, one repeat after the other; NaN where a fold has
    one class only, and the metric needs both."""
    fold: NDArray[np.int64]
    """``(n,)``, the fold in which each row was tested, from 0 in every repeat."""
    prediction: NDArray[np.int64]
    """``(n,)``, 0 or 1."""
    probability: NDArray[np.float64]
    """``(n,)``, of class 1."""

    @property
    def repeats(self) -> int:
        """How often each row was predicted."""
        return 1 if self.fold.ndim == 1 else self.fold.shape[1]


def cross_validate(
    classifier: Any,
    features: NDArray[Any],
    label: NDArray[np.int64],
    split: SplitSpec,
    workers: int | None = None,
    unit: NDArray[Any] | None = None,
) -> CrossValidation:
    """Return the scores and predictions of an unfitted classifier.

    Parameters
    ----------
    classifier
        Unfitted scikit-learn classifier; cloned for every fold.
    features
        ``(n, dim)``, an array or a sparse one.
    label
        ``(n,)``, 0 or 1.
    split
        How to divide the rows.
    workers
        Folds at a time; None is one per usable core. It changes no number.
    unit
        ``(n,)``, what stays together, see `splits.units`; None where each row is its own.

    Raises
    ------
    DatasetError, ValueError
        As `splits.folds` does.
    """
    from sklearn.base import clone
    from sklearn.utils.parallel import Parallel, delayed

    def run(train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        fitted = clone(classifier).fit(features[train], label[train])
        return fitted.predict(features[test]), fitted.predict_proba(features[test])[:, 1]

    divided = folds(split, label, unit)
    # Threads: what takes long here (trees, solvers, matrix products) runs outside of Python.
    with one_blas_thread():
        results = Parallel(n_jobs=workers or -1, prefer="threads")(delayed(run)(*one) for one in divided)
    return collect(label, split, divided, results)


def collect(
    label: NDArray[np.int64],
    split: SplitSpec,
    divided: list[Fold],
    results: list[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> CrossValidation:
    """Return what was found, given predictions and probabilities of the test rows of each fold."""
    shape = (len(label), split.repeats)
    fold, prediction, probability = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape)
    n_folds = len(divided) // split.repeats
    for number, ((_, test), (predicted, probable)) in enumerate(zip(divided, results, strict=True)):
        repeat = number // n_folds
        fold[test, repeat], prediction[test, repeat], probability[test, repeat] = number % n_folds, predicted, probable
    scores = [score(label[test], *result) for (_, test), result in zip(divided, results, strict=True)]
    by_metric = {metric: np.array([one[metric] for one in scores]) for metric in METRICS}
    if split.repeats == 1:
        fold, prediction, probability = fold[:, 0], prediction[:, 0], probability[:, 0]
    return CrossValidation(by_metric, fold, prediction, probability)
