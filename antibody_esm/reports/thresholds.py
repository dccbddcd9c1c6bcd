"""Thresholds at which classes were decided, as far as predictions show them."""

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.predictions import Predictions


def thresholds(rows: Predictions) -> list[float]:
    """Return the threshold of each model whose classes follow from its probabilities, each number once, rising.

    Every number between the highest probability of class 0 and the lowest of class 1 is a threshold of the same
    classes. If .5 is one, it is returned; else the lowest probability of class 1.
    """
    fold = np.zeros(len(rows), np.int64) if rows.fold is None else rows.fold
    numbers = {_threshold(rows.prediction[fold == each], rows.probability[fold == each]) for each in np.unique(fold)}
    return sorted(number for number in numbers if number is not None)


def _threshold(prediction: NDArray[np.int64], probability: NDArray[np.float64]) -> float | None:
    low = float(probability[prediction == 0].max(initial=-np.inf))
    high = float(probability[prediction == 1].min(initial=np.inf))
    if low > high:
        return None
    if low <= 0.5 <= high:
        return 0.5
    return high if np.isfinite(high) else None
