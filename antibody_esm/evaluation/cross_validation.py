"""Fit and test on every fold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread, refuse_few, workers_of
from antibody_esm.divided import fit_divided
from antibody_esm.evaluation.metrics import score, score_continuous
from antibody_esm.evaluation.predictions import ContinuousPredictions
from antibody_esm.evaluation.splits import Division, Fold
from antibody_esm.finetuning_facts import FineTuningFacts, facts_of
from antibody_esm.specs import SplitSpec
from antibody_esm.threads import in_threads


@dataclass(frozen=True)
class CrossValidation:
    """Result of a cross-validation; in each repeat every row is predicted once, by a classifier not trained on it.

    With several repeats, the arrays of rows are ``(n, repeats)``.
    """

    scores: dict[str, NDArray[np.float64]]
    """Metric to its value on each fold, ``(repeats * n_folds,)``, one repeat after the other; NaN if a fold has
    one class only, and the metric needs both. ``(1,)`` if one antibody at a time is left out: that of the `pooled`
    predictions (`ContinuousPredictions.pooled`)."""
    fold: NDArray[np.int64]
    """``(n,)``, the fold in which each row was tested, from 0 in every repeat."""
    prediction: NDArray[Any]
    """``(n,)``, 0 or 1; predicted values for continuous labels."""
    probability: NDArray[np.float64] | None
    """``(n,)``, of class 1; None for continuous labels."""
    others: NDArray[np.float64] | None = None
    """``(repeats * n_folds, m)``, probability of class 1, or value, of other rows by the model of each fold."""
    unconverged: int = 0
    """Number of folds in which the solver reached its largest number of iterations."""
    penalties: tuple[float, ...] = ()
    """``(repeats * n_folds,)``, the penalty that each fold chose; empty if none was chosen."""
    finetuned: tuple[FineTuningFacts, ...] = ()
    """``(repeats * n_folds,)``, facts on the fine-tuning of each fold; empty if the language model is frozen."""

    @property
    def repeats(self) -> int:
        """Number of predictions for each row."""
        return 1 if self.fold.ndim == 1 else self.fold.shape[1]


def cross_validate(
    classifier: Any,
    features: NDArray[Any],
    label: NDArray[Any],
    split: SplitSpec | Division,
    workers: int | None = None,
    *,
    higher_is_better: bool = True,
    others: NDArray[np.float64] | None = None,
) -> CrossValidation:
    """Return the scores and predictions of an unfitted classifier or regressor.

    Parameters
    ----------
    classifier
        Unfitted scikit-learn classifier or regressor; cloned for every fold, and fitted by `fit`.
    features
        ``(n, dim)``, an array or a sparse one.
    label
        ``(n,)``, 0 or 1; numbers for a regressor, whose folds are stratified by the median.
    split
        Division of the rows; a spec if each row is its own unit.
    workers
        Folds at a time; None is one per usable core. It changes no number.
    higher_is_better
        False if the lowest continuous labels are the best, see `metrics.score_continuous`.
    others
        ``(m, dim)``, features of rows without a label, which the model of every fold predicts.

    Raises
    ------
    DatasetError
        As `Division.folds` and `fit` do.
    ValueError
        If the split needs units, and a spec is passed, which has none.
    """
    from sklearn.base import clone, is_regressor

    continuous, division = is_regressor(classifier), Division.given(split)

    def score_of(fitted: Any, rows: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(fitted.predict(rows) if continuous else fitted.predict_proba(rows)[:, 1], np.float64)

    def run(train: NDArray[np.int64], test: NDArray[np.int64]) -> _Fold:
        unfitted = clone(classifier)
        fitted = fit(unfitted, features[train], label[train], division.part(train))
        predicted = fitted.predict(features[test])
        tested = predicted, None if continuous else score_of(fitted, features[test])
        of_others = None if others is None else score_of(fitted, others)
        tuning = facts_of(fitted)
        return _Fold(tested, of_others, has_converged(fitted), getattr(unfitted, "chosen_", None), tuning)

    divided = division.folds(label, continuous=continuous)
    # Threads: the slow parts here (trees, solvers, matrix products) run outside of Python.
    with one_blas_thread():
        results = in_threads(run, divided, workers_of(classifier, workers))
    tested = [each.tested for each in results]
    validation = collect(label, division.spec, divided, tested, higher_is_better=higher_is_better)
    every = [each.others for each in results if each.others is not None]
    return replace(
        validation,
        others=np.stack(every) if every else None,
        unconverged=sum(not each.converged for each in results),
        penalties=tuple(each.penalty for each in results if each.penalty is not None),
        finetuned=tuple(each.finetuned for each in results if each.finetuned is not None),
    )


def has_converged(fitted: Any) -> bool:
    """Return False if the solver of a fitted classifier or regressor reached its largest number of iterations."""
    fitted = getattr(fitted, "classifier_", fitted)
    if hasattr(fitted, "heads_"):
        return all(has_converged(head) for head in fitted.heads_)
    last = fitted[-1] if hasattr(fitted, "steps") else fitted
    if hasattr(last, "calibrated_classifiers_"):
        return all(has_converged(each.estimator) for each in last.calibrated_classifiers_)
    solver = getattr(last, "regressor_", last)
    iterations, most = getattr(solver, "n_iter_", None), getattr(solver, "max_iter", None)
    # a solver without a limit has None or -1
    return iterations is None or most is None or most < 0 or int(np.max(iterations)) < most


def fit(classifier: Any, features: NDArray[Any], label: NDArray[Any], division: Division) -> Any:
    """Fit a classifier or regressor, and return it; parts that divide these rows again keep their units together.

    Of a search, the pipeline that it chose is returned.

    Parameters
    ----------
    features, label
        ``(n, dim)`` and ``(n,)``.
    division
        Division of these rows.

    Raises
    ------
    DatasetError
        As `classifiers.refuse_few`; or if the estimator divides the rows again, as `Division.folds`.
    """
    refuse_few(classifier, label)
    fitted = fit_divided(classifier, features, label, division)
    return getattr(fitted, "best_estimator_", fitted)


FoldPredictions = tuple[NDArray[Any], NDArray[np.float64] | None]
"""Predictions of rows, and their probabilities of class 1; None for continuous labels."""


class _Fold(NamedTuple):
    """Results of a fold."""

    tested: FoldPredictions
    others: NDArray[np.float64] | None
    converged: bool
    penalty: float | None
    finetuned: FineTuningFacts | None


def collect(
    label: NDArray[Any],
    split: SplitSpec,
    divided: list[Fold],
    results: Sequence[FoldPredictions],
    *,
    higher_is_better: bool = True,
) -> CrossValidation:
    """Return the cross-validation from predictions and probabilities of the test rows of each fold."""
    continuous = results[0][1] is None
    shape = (len(label), split.repeats)
    fold, probability = np.empty(shape, np.int64), np.empty(shape)
    prediction = np.empty(shape, np.float64 if continuous else np.int64)
    n_folds = len(divided) // split.repeats
    scores = []
    for number, ((_, test), (predicted, probable)) in enumerate(zip(divided, results, strict=True)):
        at = test, number // n_folds
        fold[at], prediction[at] = number % n_folds, predicted
        if probable is None:
            scores.append(score_continuous(label[test], predicted, higher_is_better=higher_is_better))
        else:
            probability[at] = probable
            scores.append(score(label[test], predicted, probable))
    by_metric = {metric: np.array([by_fold[metric] for by_fold in scores]) for metric in scores[0]}
    if split.by == "leave_one_out":
        rows = ContinuousPredictions(
            target=label,
            prediction=prediction[:, 0].astype(np.float64),
            fold=fold[:, 0],
            higher_is_better=higher_is_better,
        )
        by_metric = {metric: np.array([value]) for metric, value in rows.pooled().scores().items()}
    if split.repeats == 1:
        fold, prediction, probability = fold[:, 0], prediction[:, 0], probability[:, 0]
    return CrossValidation(by_metric, fold, prediction, None if continuous else probability)
