"""Stratified folds of units of several rows each.

Units are stratified as well as possible: they join folds one by one, the heaviest first. A unit joins the fold in which
the sum over classes and folds of squared shares grows least. Only folds after which every fold can still have both
classes are candidates.
"""

import numpy as np
from numpy.typing import NDArray


def strata(target: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the classes by which folds of continuous labels are stratified, ``(n,)``: 1 above their median, else 0.

    If no label is above the median, labels equal to it have class 1.

    Examples
    --------
    >>> strata(np.array([0.1, 3.0, 2.0, 0.7])).tolist()
    [0, 1, 1, 0]
    """
    median = np.median(target)
    above = target > median
    return (above if above.any() else target == median).astype(np.int64)


def spread(counts: NDArray[np.int64], folds: int, seed: int | None) -> NDArray[np.int64]:
    """Return the fold of each unit from its counts of antibodies of each class, ``(n_units, 2)``.

    Every class is in as many units as there are folds, or more. Without a seed, units are not shuffled.
    """
    share = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(counts)) if seed is not None else np.arange(len(counts))
    order = order[np.argsort(-(share**2).sum(axis=1)[order], kind="stable")]
    chosen = np.empty(len(counts), np.int64)
    load, rows = np.zeros((folds, 2)), np.zeros(folds, np.int64)
    has = counts > 0
    lacks, left = np.ones((folds, 2), np.bool_), _kinds(has)
    for unit in order.tolist():
        grows = load[:, 0] * share[unit, 0] + load[:, 1] * share[unit, 1]
        if lacks.any():
            left = left - _kinds(has[[unit]])
            for fold in range(folds):
                after = lacks.copy()
                after[fold] &= ~has[unit]
                if not _can_be_filled(after, left):
                    grows[fold] = np.inf
        best = int(np.lexsort((rows, grows))[0])
        chosen[unit] = best
        load[best] += share[unit]
        rows[best] += counts[unit].sum()
        lacks[best] &= ~has[unit]
    return chosen


def _kinds(has: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the counts of rows ``(n, 2)`` that are true in both columns, in the first only, and in the second only."""
    first, second = has.T
    return np.array([(first & second).sum(), (first & ~second).sum(), (second & ~first).sum()])


def _can_be_filled(lacks: NDArray[np.bool_], left: NDArray[np.int64]) -> bool:
    """Return True if the units that are left can give every fold the classes that it lacks.

    A unit of both classes is best put into a fold that lacks both; further such units replace units of one class.
    """
    empty, *needed = [int(count) for count in _kinds(lacks)]
    mixed, *pure = [int(count) for count in left]
    unfilled, spare = max(0, empty - mixed), max(0, mixed - empty)
    return sum(max(0, unfilled + need - have) for need, have in zip(needed, pure, strict=True)) <= spare
