"""Statistics in resamples of rows or clusters, with intervals and p values that agree with each other."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.metrics import Counts, Values
from antibody_esm.evaluation.predictions import AnyPredictions, Predictions

_AT_ONCE = 100_000
"""Numbers of a table of counts that are processed at once; they stay in the processor's cache."""
_JACKKNIFE = 200
"""Largest number of parts that are left out in turn; more clusters are left out in blocks."""
_DEFINED = 0.9
"""Smallest share of resamples in which a statistic is defined at which its bootstrap is used."""


def resampled(pipelines: Sequence[AnyPredictions], resamples: int, seed: int) -> list[Values]:
    """Return every metric of each pipeline in each resample, ``(resamples,)``; the resamples are the same for all.

    Parameters
    ----------
    pipelines
        Predictions for the same rows, labels and clusters.
    """
    if resamples < 100:
        raise ValueError(f"a bootstrap needs 100 resamples at least, got {resamples}")
    scorers = [rows.scorer() for rows in pipelines]
    parts = [[scorer(counts) for scorer in scorers] for counts in _draws(pipelines[0], resamples, seed)]
    return [_joined([part[i] for part in parts]) for i in range(len(pipelines))]


class Resampled:
    """A statistic in many resamples, from which come intervals and p values.

    Parameters
    ----------
    values
        ``(resamples,)``.
    estimate
        The statistic of the rows themselves.
    clusters
        Number of clusters behind the statistic; Student's t moves the levels outwards for few.
    left_out
        The statistic without each cluster in turn. With it intervals are BCa, without it percentiles.
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        estimate: float,
        clusters: int,
        left_out: NDArray[np.float64] | None = None,
    ) -> None:
        self._count = len(values)
        self._sorted = np.sort(values[~np.isnan(values)])
        self._estimate, self._clusters, self._left_out = estimate, clusters, left_out

    @cached_property
    def undetermined(self) -> bool:
        """True if the statistic is undefined, in the rows or in many resamples, or the same in all."""
        few = self._clusters < 2 or len(self._sorted) < _DEFINED * self._count
        return bool(few or np.isnan(self._estimate) or np.ptp(self._sorted) <= 1e-12 * max(1, abs(self._estimate)))

    @cached_property
    def _shape(self) -> tuple[float, float]:
        """Bias and acceleration; a tie with the estimate counts half below it."""
        from scipy.special import ndtri

        if self._left_out is None:
            return 0.0, 0.0
        sides = [np.searchsorted(self._sorted, self._estimate, side) for side in ("left", "right")]
        share = sum(sides) / 2 / len(self._sorted)
        bias = float(ndtri(np.clip(share, 0.5 / len(self._sorted), 1 - 0.5 / len(self._sorted))))
        left = self._left_out[~np.isnan(self._left_out)]
        away = left.mean() - left if len(left) else np.zeros(1)
        spread = float((away**2).sum() ** 1.5)
        return bias, float((away**3).sum() / (6 * spread)) if spread > 0 else 0.0

    def ends(self, level: float) -> tuple[float, float]:
        """Return the two ends of the interval.

        They are NaN if the resamples do not determine them, and infinite above the highest level that the number of
        resamples allows.
        """
        from scipy.special import ndtr, stdtrit

        if self.undetermined:
            return np.nan, np.nan
        if 1 - level <= self._least:
            return -np.inf, np.inf
        bias, acceleration = self._shape
        freedom = self._clusters - 1
        wider = np.sqrt(self._clusters / freedom)
        moved = bias + wider * stdtrit(freedom, [(1 - level) / 2, (1 + level) / 2])
        room = 1 - acceleration * moved
        shares = np.where(room > 0, ndtr(bias + moved / np.where(room > 0, room, 1)), moved > 0)
        low, high = np.quantile(self._sorted, shares)
        return float(low), float(high)

    def p_value(self) -> float:
        """Return the two-sided p value of the statistic being 0: one minus the highest level whose interval excludes 0.

        It is at least one by the number of resamples, and 1 if the resamples do not determine an interval.
        """
        if self.undetermined:
            return 1.0
        below, above = _share_at(self._sorted, 0.0), _share_at(-self._sorted[::-1], 0.0)
        return float(np.clip(2 * min(self._tail(below, 1), self._tail(above, -1)), self._least, 1))

    @property
    def _least(self) -> float:
        return 1 / (len(self._sorted) + 1)

    def _tail(self, share: float, side: int) -> float:
        """Return the one-tailed level whose end on one side (1 the lower, -1 the upper) is the quantile of a share."""
        from scipy.special import ndtri, stdtr

        bias, acceleration = (side * value for value in self._shape)
        away = ndtri(share) - bias
        if not np.isfinite(away):
            return 0.0 if away < 0 else 1.0
        room = 1 + acceleration * away
        if room <= 0:
            return 0.0 if away < 0 else 1.0
        freedom = self._clusters - 1
        return float(stdtr(freedom, (away / room - bias) / np.sqrt(self._clusters / freedom)))


class Reach:
    """A difference of biased statistics, bounded by the distance that both can have moved.

    Parameters
    ----------
    moved
        ``(resamples,)``, 0 or more.
    difference
        The difference itself.
    """

    def __init__(self, moved: NDArray[np.float64], difference: float) -> None:
        self._sorted, self._difference = np.sort(moved), difference

    def ends(self, level: float) -> tuple[float, float]:
        """Return the two ends of the interval; infinite above the highest level of so many resamples."""
        if 1 - level <= 1 / (len(self._sorted) + 1):
            return -np.inf, np.inf
        reach = float(np.quantile(self._sorted, level))
        return self._difference - reach, self._difference + reach

    def p_value(self) -> float:
        """Return one minus the highest level whose interval excludes 0."""
        above = _share_at(-self._sorted[::-1], -abs(self._difference))
        return float(np.clip(above, 1 / (len(self._sorted) + 1), 1))


def _share_at(ordered: NDArray[np.float64], value: float) -> float:
    """Return the largest share whose quantile is at most a value, as `numpy.quantile` interpolates; 0 if none is."""
    last = int(np.searchsorted(ordered, value, "right")) - 1
    if last < 0:
        return 0.0
    if last == len(ordered) - 1:
        return 1.0
    within = (value - ordered[last]) / (ordered[last + 1] - ordered[last])
    return float((last + within) / (len(ordered) - 1))


def jackknifed(rows: AnyPredictions, seed: int) -> Values:
    """Return every metric without each cluster in turn, or without each block of many."""
    clusters = int(rows.cluster.max()) + 1
    blocks = min(clusters, _JACKKNIFE)
    block = (np.random.default_rng(seed).permutation(clusters) % blocks)[rows.cluster]
    scorer = rows.scorer()
    parts = np.array_split(np.arange(blocks), -(-blocks * len(rows) // _AT_ONCE))
    return _joined([scorer((block != part[:, None]).astype(np.float64)) for part in parts])


def _draws(rows: AnyPredictions, resamples: int, seed: int) -> Iterator[Counts]:
    """Yield the counts of each row in each resample, several resamples at once."""
    generator = np.random.default_rng(seed)
    cluster = rows.cluster
    clusters = int(cluster.max()) + 1
    if clusters < 2:
        raise ValueError("a bootstrap needs two clusters at least, and all rows belong to one")
    label = rows.label.astype(np.float64) if isinstance(rows, Predictions) else None
    both = label is not None and 0 < label.sum() < len(label)
    for part in np.array_split(np.arange(resamples), -(-resamples * len(rows) // _AT_ONCE)):
        counts = _counts(generator, len(part), clusters)[:, cluster]
        while label is not None and both:
            positives, negatives = counts @ label, counts @ (1 - label)
            again = np.flatnonzero((positives == 0) | (negatives == 0))
            if not len(again):
                break
            counts[again] = _counts(generator, len(again), clusters)[:, cluster]
        yield counts


def _counts(generator: np.random.Generator, resamples: int, clusters: int) -> Counts:
    drawn = generator.integers(0, clusters, (resamples, clusters)) + np.arange(resamples)[:, None] * clusters
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.float64)


def _joined(parts: list[Values]) -> Values:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
