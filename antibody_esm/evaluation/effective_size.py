"""Effective sample sizes of rows in clusters, and reasons why an interval has no claimed coverage."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.predictions import AnyPredictions, Predictions

FEW = 30
"""Antibodies of the smaller class below which a report adds a warning, and differences are not claimed."""

_LEAST = 6
_NEEDED = {"brier": 30, "ece": 30, "spearman": 30, "pearson": 30, "rmse": 100, "top_k_recall": 900}
"""Effective sizes that a claimed interval needs, by simulation; `_LEAST` for all other metrics."""
_DOMINANT = 0.5
"""Smallest share of the largest cluster in the sum of squares at which intervals are not claimed.

With one cluster of 15 beside 40 single positives, Wilson's interval of a sensitivity of .89 covered it in 89 of 100
data sets: one draw of the cluster decides.
"""

_CLASSES = ("positive", "negative")
_KINDS = {"sensitivity": ("positive",), "specificity": ("negative",), "accuracy": ("",), "brier": ("",), "ece": ("",)}

FOLDS = "after cross-validation coverage is nominal"
"""Reason why no interval of a cross-validation is claimed."""


class Sample(NamedTuple):
    """Numbers of antibodies and of the clusters that they form."""

    rows: int
    clusters: int
    effective: float
    """Number of independent antibodies with as exact a mean, if a cluster has one value: n^2 / sum of squared sizes."""
    largest: int
    """Size of the largest cluster."""

    @property
    def dominance(self) -> float:
        """Share of the largest cluster in the sum of squared sizes, 0 to 1; 0 if all rows are independent."""
        return self.largest**2 * self.effective / self.rows**2 if self.largest > 1 else 0.0


def sample(clusters: NDArray[np.int64]) -> Sample:
    """Return size, clusters and effective size of rows from the cluster of each row, ``(n,)``.

    Examples
    --------
    >>> sample(np.array([0, 0, 1, 2, 3, 4, 5])).effective.__round__(2)
    5.44
    """
    if not len(clusters):
        return Sample(0, 0, 0.0, 0)
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return Sample(len(clusters), len(sizes), float(sizes.sum() ** 2 / (sizes**2).sum()), int(sizes.max()))


def class_samples(rows: Predictions) -> tuple[Sample, Sample]:
    """Return the samples of positives and of negatives."""
    positives, negatives = (sample(rows.cluster[rows.label == label]) for label in (1, 0))
    return positives, negatives


def clusters_behind(rows: AnyPredictions) -> dict[str, int]:
    """Return the number of clusters that determines each metric: of the smaller class for metrics of both classes."""
    return {name: min(basis.clusters for basis in bases.values()) for name, bases in _bases(rows).items()}


def unclaimed(rows: AnyPredictions, least: int = _LEAST) -> dict[str, str]:
    """Return for each metric the reason why its interval is not claimed; empty text if it is claimed.

    Parameters
    ----------
    rows
        Predictions for labelled rows.
    least
        Effective size that is needed at least, whatever the metric.
    """
    if rows.fold is not None:
        return dict.fromkeys(rows.METRICS, FOLDS)
    return {name: _reason(bases, max(least, _NEEDED.get(name, 0))) for name, bases in _bases(rows).items()}


def _bases(rows: AnyPredictions) -> dict[str, dict[str, Sample]]:
    """Return the samples that each metric is computed from, by the kind of antibody."""
    samples = {"": sample(rows.cluster)}
    if not isinstance(rows, Predictions):
        return dict.fromkeys(rows.METRICS, samples)
    samples |= zip(_CLASSES, class_samples(rows), strict=True)
    return {name: {kind: samples[kind] for kind in _KINDS.get(name, _CLASSES)} for name in rows.METRICS}


def _reason(bases: dict[str, Sample], needed: int) -> str:
    kind, basis = min(bases.items(), key=lambda item: item[1].effective)
    if basis.effective < needed:
        antibodies = f"{kind} antibodies".strip()
        if basis.clusters == basis.rows:
            return f"{basis.rows or 'no'} {antibodies} are fewer than the {needed} that a claim needs"
        return (
            f"{basis.rows} {antibodies} in {basis.clusters} clusters count as {basis.effective:.1f} independent ones, "
            f"fewer than the {needed} that a claim needs"
        )
    for kind, basis in bases.items():
        if basis.dominance >= _DOMINANT:
            antibodies = f"{kind} antibodies".strip()
            return f"one cluster holds {basis.largest} of {basis.rows} {antibodies} and outweighs all other clusters"
    return ""
