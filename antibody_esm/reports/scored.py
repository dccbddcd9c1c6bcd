"""What a pipeline or a baseline predicted on one data set, with intervals, and beside another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.effective_size import FOLDS
from antibody_esm.evaluation.intervals import Interval, corrected_resampled_t, intervals
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.paired import Comparison, Names, compare, corrected_resampled_t_test
from antibody_esm.evaluation.predictions import AnyPredictions, ContinuousPredictions, Predictions

LEVEL = 0.95
"""Nominal level of every interval in a report."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions for all rows of a data set, and their scores.

    Attributes
    ----------
    rows
        The predictions; those of several repeats one after the other, their folds numbered through.
    scores
        Metric to its values: ``(repeats * n_folds,)`` from cross-validation, ``(1,)`` from a test.
    repeats
        How often each antibody was predicted.
    """

    rows: AnyPredictions
    scores: Mapping[str, NDArray[np.float64]]
    repeats: int = 1

    @classmethod
    def of(cls, rows: AnyPredictions) -> "Scored":
        """Return predictions of one repeat, with their scores."""
        if rows.fold is not None:
            return cls(rows, rows.fold_scores())
        return cls(rows, {name: np.array([value]) for name, value in rows.scores().items()})

    def clustered(self, clusters: NDArray[np.int64] | None) -> "Scored":
        """Return the same predictions, whose rows belong to clusters."""
        return replace(self, rows=replace(self.rows, clusters=clusters))

    @property
    def first(self) -> AnyPredictions:
        """The predictions of the first repeat, in which every antibody stands once."""
        return part(self.rows, np.arange(len(self.rows) // self.repeats))

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """An interval for every metric, by the method that `antibody_esm.evaluation.intervals` names for it."""
        if self.rows.fold is not None:
            return {
                name: corrected_resampled_t(values, self._tested, level=LEVEL, bounds=METRIC[name].bounds)
                for name, values in self.scores.items()
            }
        return held_out_intervals(self.rows)

    def compare(self, other: "Scored", metric: str, names: Names) -> Comparison:
        """Return how this one differs from another one, for the same rows and folds."""
        if self.rows.fold is not None and self.repeats > 1:
            scores = self.scores[metric], other.scores[metric]
            return corrected_resampled_t_test(*scores, self._tested, metric, names=names, level=LEVEL)
        if self.rows.fold is None and _one_cluster(self.rows):
            both = self.intervals[metric].estimate, other.intervals[metric].estimate
            return Comparison(*names, metric, _unknown(both[0] - both[1]), 1.0, 1.0, scores=both)
        return compare(self.rows, other.rows, metric, names=names, level=LEVEL)

    @property
    def _tested(self) -> float:
        """How many antibodies are tested for each one that is trained on, the mean over folds."""
        sizes = np.bincount(self.rows.fold if self.rows.fold is not None else np.zeros(len(self.rows), np.int64))
        return float((sizes / (len(self.rows) // self.repeats - sizes)).mean())


def predictions(
    label: NDArray[Any],
    prediction: NDArray[Any],
    probability: NDArray[np.float64] | None,
    *,
    fold: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
) -> AnyPredictions:
    """Return predictions of classes, or of continuous labels where there is no probability."""
    if probability is None:
        return ContinuousPredictions(target=label, prediction=prediction, fold=fold, clusters=clusters)
    return Predictions(label=label, prediction=prediction, probability=probability, fold=fold, clusters=clusters)


def part(rows: AnyPredictions, chosen: NDArray[Any], *, folds: bool = True) -> AnyPredictions:
    """Return the predictions of some rows; without folds, as if one model had made them.

    That is only right for what counts rows or averages errors, and never ranks those of different models.
    """
    fold, clusters = (None if one is None else one[chosen] for one in (rows.fold, rows.clusters))
    fold = fold if folds and fold is not None and len(np.unique(fold)) > 1 else None
    if isinstance(rows, Predictions):
        return predictions(
            rows.label[chosen], rows.prediction[chosen], rows.probability[chosen], fold=fold, clusters=clusters
        )
    return predictions(rows.target[chosen], rows.prediction[chosen], None, fold=fold, clusters=clusters)


def held_out_intervals(rows: AnyPredictions) -> dict[str, Interval]:
    """Return the intervals of what one model predicted; unknown where all rows are of one cluster."""
    if not _one_cluster(rows):
        return intervals(rows, level=LEVEL)
    return {name: _unknown(value) for name, value in rows.scores().items()}


class Slice(NamedTuple):
    """The score of some of the antibodies."""

    antibodies: int
    positives: int | None
    """How many are of class 1; None of continuous labels."""
    interval: Interval


def slices(rows: AnyPredictions, names: Sequence[str], metric: str) -> dict[str, Slice]:
    """Return the score of the rows of each name, by name in order of first occurrence.

    Parameters
    ----------
    rows
        Every antibody once.
    names
        ``(n,)``, the slice of each row.
    metric
        One that counts rows or averages errors; rows of several models are never ranked in one list here.
    """
    found = {}
    every = np.array(names, object)
    for name in dict.fromkeys(names):
        some = part(rows, np.flatnonzero(every == name), folds=False)
        interval = held_out_intervals(some)[metric]
        if rows.fold is not None:
            interval = replace(interval, unclaimed=FOLDS)
        positives = int(some.label.sum()) if isinstance(some, Predictions) else None
        found[name] = Slice(len(some), positives, interval)
    return found


def defined(found: Mapping[str, Slice]) -> list[str]:
    """Return the names of the slices in which the score is defined."""
    return [name for name, one in found.items() if not np.isnan(one.interval.estimate)]


def _one_cluster(rows: AnyPredictions) -> bool:
    return int(rows.cluster.max()) == 0


def _unknown(estimate: float) -> Interval:
    reason = "all antibodies are of one cluster"
    return Interval(estimate, np.nan, np.nan, LEVEL, "none", unclaimed=reason)
