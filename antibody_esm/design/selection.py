"""Choice of a batch: utility, and candidates that differ from each other."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

DIVERSITY = 0.1
"""Utility that is taken from a candidate that equals one in the batch; proportionally less from others."""


def utility(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the columns of the share of candidates that each candidate is better than, ``(n,)``, 0 to 1.

    Equal candidates count half. Shares have no unit, so that probabilities, log-odds and counts can be averaged.

    Parameters
    ----------
    gains
        ``(n, k)``; higher is better.

    Examples
    --------
    >>> utility(np.array([[3.0], [1.0], [2.0]])).tolist()
    [1.0, 0.0, 0.5]
    """
    from scipy.stats import rankdata

    if np.isnan(gains).any():
        raise ValueError("an objective is unknown for a candidate")  # of which no rank would be right
    if len(gains) < 2:
        return np.ones(len(gains))
    return np.asarray(((rankdata(gains, axis=0) - 1) / (len(gains) - 1)).mean(axis=1), np.float64)


def diverse(
    utility: NDArray[np.float64],
    similarity: Callable[[int], NDArray[np.float64]],
    size: int,
    diversity: float = DIVERSITY,
) -> list[int]:
    """Return the rows of a batch, in the order of their choice (maximal marginal relevance, doi:10.1145/290941.291025).

    The next row is that of highest utility, less `diversity` times its similarity to the most similar row in the batch.
    The first of equals is taken.

    Parameters
    ----------
    utility
        ``(n,)``, 0 to 1.
    similarity
        Function of a row that returns its similarity to all rows, ``(n,)``, 0 to 1.
    size
        Largest number of rows.
    diversity
        From 0, the best rows whatever they are, to 1.
    """
    chosen: list[int] = []
    nearest = np.zeros(len(utility))
    left = np.ones(len(utility), bool)
    while len(chosen) < min(size, len(utility)):
        row = int(np.argmax(np.where(left, utility - diversity * nearest, -np.inf)))
        chosen.append(row)
        left[row] = False
        nearest = np.maximum(nearest, similarity(row))
    return chosen


def by_edits(texts: Sequence[str]) -> Callable[[int], NDArray[np.float64]]:
    """Return a similarity of texts: 1 less their edit distance, as a share of the largest that was met so far.

    Variants of one antibody differ in few residues; the largest distance to the first choice is the scale.
    """
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    scale = 0.0

    def similarity(row: int) -> NDArray[np.float64]:
        nonlocal scale
        edits = cdist([texts[row]], texts, scorer=Levenshtein.distance, workers=-1)[0].astype(np.float64)
        scale = scale or float(edits.max()) or 1.0
        return np.asarray(np.clip(1 - edits / scale, 0, 1))

    return similarity
