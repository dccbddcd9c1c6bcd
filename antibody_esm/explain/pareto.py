"""Pareto front: candidates that no other one beats in everything."""

import numpy as np
from numpy.typing import NDArray


def pareto(gains: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True for each candidate on the Pareto front, ``(n,)``.

    A candidate is on it if no other one is at least as good in everything and better in something.

    Parameters
    ----------
    gains
        ``(n, k)``; higher is better.

    Examples
    --------
    >>> pareto(np.array([[1, 0], [0, 1], [0, 0], [1, 0]])).tolist()
    [True, True, False, True]
    """
    distinct, same = np.unique(gains, axis=0, return_inverse=True)
    front = np.zeros(len(distinct), bool)
    for i in range(len(distinct) - 1, -1, -1):  # rows are sorted: what is better in everything comes behind
        front[i] = not (distinct[front] >= distinct[i]).all(axis=1).any()
    return front[same.ravel()]
