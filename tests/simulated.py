"""Held-out predictions with a known truth, few positives and clones, and the coverage of intervals for them."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from antibody_esm import load_dataset
from antibody_esm.data.identity import cluster
from antibody_esm.evaluation.effective_size import Sample, sample, unclaimed
from antibody_esm.evaluation.intervals import Interval, delong
from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.evaluation.shares import rates

N = 400
FAR = 400_000
AT_LEAST = 0.93
"""Coverage that a claimed 95 % interval needs."""


class Design(NamedTuple):
    """Number of positives among 400 rows, the clones, and the true ROC AUC."""

    positives: int
    clones: Literal["none", "pair", "shehata"]
    area: float

    @property
    def difference(self) -> float:
        """Distance between the means of the scores of the two classes, which are normal with variance 1."""
        return float(np.sqrt(2) * ndtri(self.area))

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return label and cluster of each row; a pair of clones is positive."""
        if self.clones == "shehata":
            return shehata()
        clusters = np.arange(N)
        clusters[1] = 0 if self.clones == "pair" else 1
        return (np.arange(N) < self.positives).astype(np.int64), np.unique(clusters, return_inverse=True)[1]

    def draw(self, generator: np.random.Generator) -> Predictions:
        """Return predictions; clones have one score, the worst case."""
        label, clusters = self.rows()
        score = generator.normal(size=clusters.max() + 1)[clusters] + label * self.difference
        return _predictions(score, label, self.difference, clusters)


@cache
def shehata() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return labels and clusters at 90 % identity of the 398 antibodies of Shehata et al. 2019."""
    data = load_dataset("shehata")
    return data.binary_labels(), cluster(data.sequences, 0.9)


def sizes(design: Design) -> tuple[Sample, Sample]:
    """Return the samples of positives and of negatives of a design."""
    label, clusters = design.rows()
    return sample(clusters[label == 1]), sample(clusters[label == 0])


@cache
def truth(design: Design) -> dict[str, float]:
    """Return every metric on very many antibodies with the share of positives of a design."""
    label, _ = design.rows()
    every = (np.arange(FAR) < FAR * label.mean()).astype(np.int64)
    score = np.random.default_rng(1).normal(size=FAR) + every * design.difference
    return _predictions(score, every, design.difference, None).scores()


def _predictions(
    score: NDArray[np.float64], label: NDArray[np.int64], difference: float, clusters: NDArray[np.int64] | None
) -> Predictions:
    probability = ndtr(score - difference / 2)
    prediction = (probability > 0.5).astype(np.int64)
    return Predictions(label=label, prediction=prediction, probability=probability, fold=None, clusters=clusters)


def closed_forms(rows: Predictions) -> dict[str, Interval]:
    """Return the intervals of a test set that need no resamples, with their reasons."""
    found = {"roc_auc": delong(rows)} | rates(rows, 0.95)
    reasons = unclaimed(rows)
    return {name: replace(interval, unclaimed=reasons[name]) for name, interval in found.items()}


class Measured(NamedTuple):
    """Quality of the intervals of one metric over many data sets."""

    coverage: float
    """Share of intervals that hold the truth: of claimed ones, of all if none is claimed. NaN holds nothing."""
    claimed: float
    width: float
    undetermined: float
    """Share of claimed intervals without ends."""
    runs: int

    @property
    def enough(self) -> bool:
        """True if coverage is 93 % or more, within two standard errors."""
        return self.coverage >= AT_LEAST - 2 * float(np.sqrt(AT_LEAST * (1 - AT_LEAST) / self.runs))


def measure(
    design: Design, runs: int, intervals: Callable[[Predictions], dict[str, Interval]], seed: int = 0
) -> dict[str, Measured]:
    """Return the quality of the intervals of every metric over data sets of one design."""
    generator, true = np.random.default_rng(seed), truth(design)
    found: dict[str, list[tuple[float, float, bool]]] = {}
    for _ in range(runs):
        for name, interval in intervals(design.draw(generator)).items():
            found.setdefault(name, []).append((interval.low, interval.high, interval.claimed))
    return {name: _measured(np.array(values, float), true[name]) for name, values in found.items()}


def _measured(values: NDArray[np.float64], true: float) -> Measured:
    low, high, claimed = values[:, 0], values[:, 1], values[:, 2] == 1
    chosen = claimed if claimed.any() else np.full(len(claimed), True)
    held = (low - 1e-12 <= true) & (true <= high + 1e-12)
    return Measured(
        float(held[chosen].mean()),
        float(claimed.mean()),
        float(np.nanmedian(high - low)) if not np.isnan(high - low).all() else np.nan,
        float(np.isnan(high - low)[claimed].mean()) if claimed.any() else 0.0,
        int(chosen.sum()),
    )
