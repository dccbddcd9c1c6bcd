"""Wilson's intervals of shares of rows, and of scores that are functions of such shares."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.effective_size import class_samples, sample
from antibody_esm.evaluation.interval import Interval
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.predictions import Predictions


def wilson(right: NDArray[np.bool_], level: float, size: float | None = None) -> Interval:
    """Return Wilson's score interval of a share of rows.

    Parameters
    ----------
    right
        ``(n,)``, the rows that count.
    level
        Nominal level, between 0 and 1.
    size
        Effective number of independent rows; by default all are independent.
    """
    from scipy.special import ndtri

    n = len(right) if size is None else size
    if not len(right):
        return Interval(np.nan, np.nan, np.nan, level, "Wilson")
    share, z = float(right.mean()), float(ndtri((1 + level) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = 0.0 if share == 0 else float(middle - reach)
    high = 1.0 if share == 1 else float(middle + reach)
    return Interval(share, low, high, level, "Wilson")


def rates(rows: Predictions, level: float) -> dict[str, Interval]:
    """Return the intervals of the metrics that are shares of rows, or functions of such shares."""
    right, label = rows.label == rows.prediction, rows.label
    positives, negatives = class_samples(rows)
    every = sample(rows.cluster).effective
    sensitivity = wilson(right[label == 1], level, positives.effective)
    specificity = wilson(right[label == 0], level, negatives.effective)
    parts = [sensitivity, specificity, wilson(label == 1, level, every)]
    by_metric = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "accuracy": wilson(right, level, every),
        "balanced_accuracy": _square_and_add(_balanced_accuracy, parts),
        "f1": _square_and_add(_f1, parts),
        "mcc": _square_and_add(_matthews, parts),
    }
    suffix, scores = "" if rows.independent else ", effective size", rows.scores()
    return {name: _bounded(name, interval, scores[name], suffix) for name, interval in by_metric.items()}


def _bounded(name: str, interval: Interval, score: float, suffix: str) -> Interval:
    low, high = np.clip([interval.low, interval.high], *METRIC[name].bounds)
    return replace(interval, estimate=score, low=float(low), high=float(high), method=interval.method + suffix)


def _square_and_add(score: Callable[..., float], parts: Sequence[Interval]) -> Interval:
    """Return the interval of a function of independent shares: squared moves of each share alone, added."""
    level, method = parts[0].level, "Wilson, square and add"
    estimates = [part.estimate for part in parts]
    if np.isnan(estimates).any():
        return Interval(np.nan, np.nan, np.nan, level, method)
    middle, below, above = score(*estimates), 0.0, 0.0
    for i, part in enumerate(parts):
        moves = [score(*estimates[:i], end, *estimates[i + 1 :]) - middle for end in (part.low, part.high)]
        below, above = below + min(0, *moves) ** 2, above + max(0, *moves) ** 2
    return Interval(middle, float(middle - np.sqrt(below)), float(middle + np.sqrt(above)), level, method)


def _balanced_accuracy(sensitivity: float, specificity: float, _: float) -> float:
    return (sensitivity + specificity) / 2


def _f1(sensitivity: float, specificity: float, positives: float) -> float:
    predicted = positives * sensitivity + (1 - positives) * (1 - specificity)
    return 2 * positives * sensitivity / (predicted + positives)


def _matthews(sensitivity: float, specificity: float, positives: float) -> float:
    predicted = positives * sensitivity + (1 - positives) * (1 - specificity)
    scale = predicted * (1 - predicted)
    if scale <= 0:
        return 0.0
    return float((sensitivity + specificity - 1) * np.sqrt(positives * (1 - positives) / scale))
