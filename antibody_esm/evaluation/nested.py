"""Choice among candidates inside the training folds, so that no test row takes part in the choice.

Candidates (penalties, layers, poolings, classifiers, thresholds of the decision) are compared on folds of the training
rows only. The best of many scores on one set of folds is optimistic, since it was chosen for its luck as well
(doi:10.1186/1471-2105-7-91).
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread, workers_of
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.cross_validation import CrossValidation, collect, fit
from antibody_esm.evaluation.metrics import score
from antibody_esm.evaluation.splits import Division
from antibody_esm.specs import SplitSpec
from antibody_esm.threads import in_threads

Rule = Callable[[NDArray[np.int64], NDArray[np.float64]], float]
"""Function from labels ``(m,)`` and probabilities ``(m,)`` of class 1 to a threshold, 0 to 1."""


class Candidate(NamedTuple):
    """Features and classifier that may be chosen."""

    features: NDArray[Any]
    """``(n, dim)``, an array or a sparse one, of all rows."""
    classifier: Any
    """Unfitted scikit-learn classifier."""


@dataclass(frozen=True)
class NestedCrossValidation:
    """Choice on each outer fold, with its predictions there."""

    outer: CrossValidation
    """Scores and predictions of the chosen candidates, on rows that had no part in the choice."""
    chosen: tuple[str, ...]
    """``(n_folds,)``, the name of the candidate."""
    threshold: NDArray[np.float64]
    """``(n_folds,)``, smallest probability at which class 1 is predicted; NaN if the classifier decides."""
    inner: dict[str, NDArray[np.float64]]
    """Candidate to its mean score on the inner folds of each outer one, ``(n_folds,)``."""


def nested_cross_validate(
    candidates: Mapping[str, Candidate],
    label: NDArray[np.int64],
    split: SplitSpec | Division,
    inner: SplitSpec,
    *,
    metric: Literal["accuracy", "balanced_accuracy", "f1", "mcc", "roc_auc", "pr_auc"] = "roc_auc",
    threshold: Literal["balanced_accuracy"] | Rule | None = None,
    workers: int | None = None,
    unit: NDArray[Any] | None = None,
) -> NestedCrossValidation:
    """Return the scores of the choice of a candidate, rather than of one candidate.

    On the training rows of each outer fold, every candidate is cross-validated. The candidate with the highest mean
    score (the first of equals) is fitted on all training rows and predicts the test rows.

    Parameters
    ----------
    candidates
        Candidates by name. Each layer, pooling or penalty is a candidate of its own.
    label
        ``(n,)``, 0 or 1.
    split, inner
        Division of the rows (a spec if each row is its own unit), and split of the training rows of each fold. Both
        keep the same rows together.
    metric
        Metric of the choice. Inner folds in which it is not defined do not count.
    threshold
        Rule for the smallest probability at which class 1 is predicted. ``balanced_accuracy``: the threshold with the
        highest balanced accuracy over the inner out-of-fold probabilities of the chosen candidate. A function: its
        result for labels and such probabilities. None: the classifier decides.
    workers
        Fits at a time; None is one per usable core. It changes no number.
    unit
        Deprecated: pass ``Division(split, unit)`` as `split`.

    Raises
    ------
    DatasetError
        As `Division.folds`, for all rows or for training rows; or if the metric is defined on no inner fold.
    ValueError
        If there are no candidates, if inner and outer folds would keep different rows together, or if the split needs
        units, and a spec is passed, which has none.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, label = np.arange(40.0)[:, None] % 9, np.arange(40) % 9 // 5
    >>> candidates = {f"C={C:g}": Candidate(X, LogisticRegression(C=C)) for C in (0.001, 1)}
    >>> nested_cross_validate(candidates, label, SplitSpec(folds=4), SplitSpec(folds=3), metric="accuracy").chosen
    ('C=1', 'C=1', 'C=1', 'C=1')
    """
    from sklearn.base import clone

    if not candidates:
        raise ValueError("there are no candidates to choose from")
    if unit is not None:
        warnings.warn("unit= is deprecated: pass Division(split, unit) as split", DeprecationWarning, stacklevel=2)
        split = Division(split.spec if isinstance(split, Division) else split, unit)
    division = Division.given(split)
    again = division.again(inner)

    def run(name: str, train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        features, classifier = candidates[name]
        fitted = fit(clone(classifier), features[train], label[train], division.part(train))
        return fitted.predict(features[test]), fitted.predict_proba(features[test])[:, 1]

    outer = division.folds(label)
    within = [
        [(train[fitted], train[tested]) for fitted, tested in again.part(train).folds(label[train])]
        for train, _ in outer
    ]
    jobs = [(i, name, fold) for i, made in enumerate(within) for name in candidates for fold in made]
    for candidate in candidates.values():
        workers = workers_of(candidate.classifier, workers)
    with one_blas_thread():
        done = in_threads(run, [(name, *fold) for _, name, fold in jobs], workers)
        tried: dict[tuple[int, str], list[_Try]] = {}
        for (i, name, (_, test)), (predicted, probable) in zip(jobs, done, strict=True):
            value = score(label[test], predicted, probable)[metric]
            tried.setdefault((i, name), []).append(_Try(value, label[test], probable))
        means = {name: np.array([_mean(tried[i, name], metric) for i in range(len(outer))]) for name in candidates}
        names = list(candidates)
        chosen = tuple(names[int(np.argmax([means[name][i] for name in names]))] for i in range(len(outer)))
        results = in_threads(run, [(name, *fold) for name, fold in zip(chosen, outer, strict=True)], workers)

    cuts = np.array([_threshold(tried[i, name], threshold) for i, name in enumerate(chosen)])
    decided = [
        (predicted if np.isnan(cut) else (probable >= cut).astype(np.int64), probable)
        for cut, (predicted, probable) in zip(cuts, results, strict=True)
    ]
    return NestedCrossValidation(collect(label, division.spec, outer, decided), chosen, cuts, means)


def best_threshold(label: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Return the threshold with the highest balanced accuracy; class 1 is predicted at or above it.

    Parameters
    ----------
    label
        ``(m,)``, 0 or 1, both of them.
    probability
        ``(m,)`` of class 1.

    Returns
    -------
    The middle between two neighbouring probabilities. Ties go to the threshold nearest to 0.5, then to the lower.

    Raises
    ------
    DatasetError
        If there is one class only.

    Examples
    --------
    >>> best_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.9]))
    0.25
    """
    positives = int(label.sum())
    if positives in (0, len(label)):
        raise DatasetError("a threshold needs both classes", column="label")
    values, place = np.unique(probability, return_inverse=True)
    below = [np.cumsum(np.bincount(place[label == value], minlength=len(values)))[:-1] for value in (0, 1)]
    # Whole numbers, so that ties are exact: specificity plus sensitivity, times both counts.
    gained = np.concatenate([[0], below[0] * positives - below[1] * (len(label) - positives), [0]])
    middle = np.concatenate([[0.0], (values[:-1] + values[1:]) / 2, [np.nextafter(1.0, 2.0)]])
    best = middle[gained == gained.max()]
    return float(best[np.argmin(np.abs(best - 0.5))])


class _Try(NamedTuple):
    """A candidate on one inner fold."""

    score: float
    label: NDArray[np.int64]
    probability: NDArray[np.float64]


def _mean(tries: list[_Try], metric: str) -> float:
    defined = [attempt.score for attempt in tries if not np.isnan(attempt.score)]
    if not defined:
        raise DatasetError(f"{metric} is defined on no inner fold: each holds one class only", column="label")
    return float(np.mean(defined))


def _threshold(tries: list[_Try], threshold: Literal["balanced_accuracy"] | Rule | None) -> float:
    if threshold is None:
        return float("nan")
    rule = best_threshold if threshold == "balanced_accuracy" else threshold
    label = np.concatenate([attempt.label for attempt in tries])
    return float(rule(label, np.concatenate([attempt.probability for attempt in tries])))
