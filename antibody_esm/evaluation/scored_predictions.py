"""Predictions for one data set with their scores, intervals and differences to other predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.baselines import Prediction
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.intervals import Interval, corrected_resampled_t, intervals
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.paired import Comparison, Names, compare, corrected_resampled_t_test
from antibody_esm.evaluation.predictions import AnyPredictions, ContinuousPredictions, predictions_of

LEVEL = 0.95
"""Nominal level of every interval in a report."""


class Pooled(NamedTuple):
    """Spearman's correlation over all antibodies, whose predictions come from the models of different folds."""

    spearman: float
    """Correlation of predictions less the mean label of their training rows, see `ContinuousPredictions.pooled`."""
    uncorrected: float
    """Correlation of the predictions as they are."""
    mean_model: float
    """Correlation of these mean labels alone, uncorrected: -1 if one antibody at a time is left out."""

    @classmethod
    def of(cls, rows: ContinuousPredictions) -> "Pooled":
        """Return the correlations of one repeat."""
        pooled = rows if rows.fold is None else rows.pooled()
        assert pooled.centre is not None  # noqa: S101
        as_they_are, means = (
            replace(pooled, prediction=values, centre=None) for values in (pooled.prediction, pooled.centre)
        )
        return cls(*(each.scores()["spearman"] for each in (pooled, as_they_are, means)))


@dataclass(frozen=True, eq=False)
class ScoredPredictions:
    """Predictions for all rows of a data set, and their scores.

    Attributes
    ----------
    rows
        The predictions; those of several repeats follow each other, with consecutive fold numbers.
    scores
        Metric to its values: ``(repeats * n_folds,)`` from cross-validation, ``(1,)`` from a test.
    repeats
        Number of predictions for each antibody.
    """

    rows: AnyPredictions
    scores: Mapping[str, NDArray[np.float64]]
    repeats: int = 1

    @classmethod
    def of(cls, rows: AnyPredictions) -> "ScoredPredictions":
        """Return predictions of one repeat, with their scores."""
        if rows.fold is not None:
            return cls(rows, rows.fold_scores())
        return cls(rows, {name: np.array([value]) for name, value in rows.scores().items()})

    @classmethod
    def of_folds(
        cls, validation: CrossValidation, label: NDArray[Any], *, higher_is_better: bool = True
    ) -> "ScoredPredictions":
        """Return the predictions of a cross-validation for antibodies with these labels, ``(n,)``."""
        repeats = validation.repeats
        folds = int(validation.fold.max()) + 1
        fold = validation.fold.T.ravel() + np.repeat(np.arange(repeats), len(label)) * folds
        probability = None if validation.probability is None else validation.probability.T.ravel()
        rows = predictions_of(
            np.tile(label, repeats),
            validation.prediction.T.ravel(),
            probability,
            fold=fold,
            higher_is_better=higher_is_better,
        )
        scored = cls(rows, validation.scores, repeats)
        return scored.one_by_one() if repeats == 1 and folds == len(label) else scored

    @classmethod
    def of_test(
        cls,
        predicted: Prediction,
        label: NDArray[Any],
        clusters: NDArray[np.int64] | None,
        *,
        higher_is_better: bool = True,
    ) -> "ScoredPredictions":
        """Return the predictions for a test set with these labels and clusters, each ``(n,)``."""
        rows = predictions_of(
            label, predicted.prediction, predicted.probability, clusters=clusters, higher_is_better=higher_is_better
        )
        return cls(rows, {metric: np.array([value]) for metric, value in predicted.scores.items()})

    def one_by_one(self) -> "ScoredPredictions":
        """Return predictions of antibodies that were left out one at a time, as one list, see `pooled`."""
        assert isinstance(self.rows, ContinuousPredictions)  # noqa: S101  a split of classes has no such folds
        return replace(self, rows=self.rows.pooled())

    @cached_property
    def pooled(self) -> "Pooled | None":
        """Scores of all antibodies in one list, after a cross-validation of continuous labels; None otherwise."""
        if not isinstance(self.rows, ContinuousPredictions) or (self.rows.fold is None and self.rows.centre is None):
            return None
        n = len(self.rows) // self.repeats
        each = [Pooled.of(self.rows.subset(np.arange(i * n, (i + 1) * n))) for i in range(self.repeats)]
        return Pooled(*(float(np.mean(values)) for values in zip(*each, strict=True)))

    @cached_property
    def rmse_of_means(self) -> float | None:
        """RMSE of predicting the mean label of the training rows, as folds average it; None for classes and tests."""
        if not isinstance(self.rows, ContinuousPredictions) or (self.rows.fold is None and self.rows.centre is None):
            return None
        n, values = len(self.rows) // self.repeats, []
        for i in range(self.repeats):
            rows = self.rows.subset(np.arange(i * n, (i + 1) * n))
            centre = rows.training_means() if rows.centre is None else rows.centre
            means = replace(rows, prediction=centre, centre=None)
            values.append(means.scores()["rmse"] if rows.fold is None else float(np.mean(means.fold_scores()["rmse"])))
        return float(np.mean(values))

    def clustered(self, clusters: NDArray[np.int64] | None) -> "ScoredPredictions":
        """Return the same predictions, whose rows belong to clusters."""
        return replace(self, rows=replace(self.rows, clusters=clusters))

    @property
    def first(self) -> AnyPredictions:
        """The predictions of the first repeat, with one row for each antibody."""
        return self.rows.subset(np.arange(len(self.rows) // self.repeats))

    def defined(self, metric: str) -> NDArray[np.float64]:
        """Return the values of a metric in the folds where it is defined."""
        return self.scores[metric][~np.isnan(self.scores[metric])]

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Interval of every metric, by the method in the table of `antibody_esm.evaluation.intervals`."""
        if self.rows.fold is not None:
            return {
                name: corrected_resampled_t(values, self._tested, level=LEVEL, bounds=METRIC[name].bounds)
                for name, values in self.scores.items()
            }
        return held_out_intervals(self.rows)

    def compare(self, other: "ScoredPredictions", metric: str, titles: Names) -> Comparison:
        """Return the difference to other predictions for the same rows and folds."""
        if self.rows.fold is not None and self.repeats > 1:
            scores = self.scores[metric], other.scores[metric]
            return corrected_resampled_t_test(*scores, self._tested, metric, names=titles, level=LEVEL)
        if self.rows.fold is None and _one_cluster(self.rows):
            both = self.intervals[metric].estimate, other.intervals[metric].estimate
            return Comparison(*titles, metric, _undetermined(both[0] - both[1]), 1.0, 1.0, scores=both)
        return compare(self.rows, other.rows, metric, names=titles, level=LEVEL)

    @property
    def _tested(self) -> float:
        """Number of tested antibodies for each training antibody, the mean over folds."""
        sizes = np.bincount(self.rows.fold if self.rows.fold is not None else np.zeros(len(self.rows), np.int64))
        return float((sizes / (len(self.rows) // self.repeats - sizes)).mean())


def held_out_intervals(rows: AnyPredictions) -> dict[str, Interval]:
    """Return the intervals of one model's predictions; their ends are unknown if all rows are of one cluster."""
    if not _one_cluster(rows):
        return intervals(rows, level=LEVEL)
    return {name: _undetermined(value) for name, value in rows.scores().items()}


def _one_cluster(rows: AnyPredictions) -> bool:
    return int(rows.cluster.max()) == 0


def _undetermined(estimate: float) -> Interval:
    reason = "all antibodies are of one cluster"
    return Interval(estimate, np.nan, np.nan, LEVEL, "none", unclaimed=reason)
