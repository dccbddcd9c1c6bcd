"""Rows of a training that are held out, whose loss chooses the epoch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 500
"""Number of units with rows of a class, the smallest, of which pairs are compared."""


class HeldOut(NamedTuple):
    """Two parts of the rows of a training."""

    inner: NDArray[np.int64]
    """Rows to train on."""
    held_out: NDArray[np.int64]
    """Rows whose loss chooses the epoch."""
    whole: bool
    """False if units had to be divided."""


def hold_out(
    label: NDArray[np.float64], units: NDArray[np.int64], share: float, seed: int, *, continuous: bool
) -> HeldOut:
    """Divide rows by whole units, so that both parts have both classes; of numbers, `inner` has two that differ.

    Units are sorted by their mean label and divided into as many blocks as are held out; one unit of each block is
    drawn. If that lacks a class, or more than half of the rows are held out, or twice the share, units are chosen whose
    rows are closest to the share. If there are none such, rows are divided in place of units.

    Parameters
    ----------
    label
        ``(n,)``, 0 and 1, or numbers.
    units
        ``(n,)``, from 0 on.
    share
        Share of the units that is held out, and about that of the rows.

    Raises
    ------
    ValueError
        If there are fewer than two rows.
    """
    n = len(label)
    if n < 2:
        raise ValueError("early stopping holds out some of the training rows, and there are fewer than two")
    of_units = _Choice(label, units, share, seed, continuous).held_out()
    if of_units is not None:
        return HeldOut(np.flatnonzero(~of_units), np.flatnonzero(of_units), whole=True)
    rows = _Choice(label, np.arange(n), share, seed, continuous)
    held_out = rows.held_out()
    if held_out is None:
        held_out = rows.without_lone()
    return HeldOut(np.flatnonzero(~held_out), np.flatnonzero(held_out), whole=len(np.unique(units)) == n)


class _Choice:
    """Choice of the units that are held out."""

    def __init__(
        self, label: NDArray[np.float64], units: NDArray[np.int64], share: float, seed: int, continuous: bool
    ) -> None:
        self.label = label
        self.units = units
        self.share = share
        self.continuous = continuous
        self.sizes = np.bincount(units)
        self.numbers = np.random.Generator(np.random.PCG64([seed, 1]))
        self.target = share * len(label)
        self.most = max(len(label) / 2, round(self.target))
        kinds = np.zeros(len(label), np.int64) if continuous else np.unique(label, return_inverse=True)[1]
        self.counts = np.zeros((len(self.sizes), kinds.max() + 1), np.int64)
        """Rows of each unit and class, ``(units, classes)``; numbers are of one class."""
        np.add.at(self.counts, (units, kinds), 1)

    def held_out(self) -> NDArray[np.bool_] | None:
        """Return a mask of rows; None if no units suit."""
        if len(self.sizes) < 2:
            return None
        drawn = self._drawn()
        suits = self._suits(drawn)
        if suits and self.sizes[drawn].sum() <= max(1, 2 * self.target):
            return drawn[self.units]
        closest = self._closest()
        if closest is None or (suits and self._distance(drawn) <= self._distance(closest)):
            return drawn[self.units] if suits else None
        return closest[self.units]

    def without_lone(self) -> NDArray[np.bool_]:
        """Return a mask of rows, each its own unit, if a class has too few for both parts: it is trained on."""
        alone = self.counts.sum(0) == 1
        free = np.flatnonzero(~self.counts[:, alone].any(1))
        if len(free) < 2:
            return self._drawn()
        number = min(max(1, round(self.target)), len(self.label) // 2, len(free) - 1)
        return np.isin(np.arange(len(self.label)), self.numbers.permutation(free)[:number])

    def _drawn(self) -> NDArray[np.bool_]:
        count = len(self.sizes)
        mean = np.bincount(self.units, self.label) / self.sizes
        order = np.lexsort((self.numbers.permutation(count), mean))
        blocks = np.array_split(order, min(count - 1, max(1, round(self.share * count))))
        chosen = np.array([block[self.numbers.integers(len(block))] for block in blocks])
        return np.isin(np.arange(count), chosen)

    def _suits(self, chosen: NDArray[np.bool_]) -> bool:
        held_out, inner = self.counts[chosen].sum(0), self.counts[~chosen].sum(0)
        if not (held_out.all() and inner.all() and held_out.sum() <= self.most):
            return False
        return not self.continuous or self._differs(~chosen) or np.ptp(self.label) == 0

    def _differs(self, chosen: NDArray[np.bool_]) -> bool:
        return bool(np.ptp(self.label[chosen[self.units]]) > 0)

    def _distance(self, chosen: NDArray[np.bool_]) -> float:
        return abs(float(self.sizes[chosen].sum()) - self.target)

    def _closest(self) -> NDArray[np.bool_] | None:
        """Return units whose rows are about the share; None if none suit. Of any that suit, one or two suit alone."""
        order = self.numbers.permutation(len(self.sizes))
        chosen = self._fewest(order)
        if chosen is None:
            return None
        for unit in order:
            more = chosen.copy()
            more[unit] = True
            if self._distance(more) < self._distance(chosen) and self._suits(more):
                chosen = more
        return chosen

    def _fewest(self, order: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return one or two units that suit, with rows closest to the share."""
        by_size = order[np.argsort(self.sizes[order], kind="stable")]
        kinds = self.counts.shape[1]
        few = np.unique(np.concatenate([by_size[self.counts[by_size, k] > 0][:_SMALLEST] for k in range(kinds)]))
        first, second = np.triu_indices(len(few))
        first, second = few[first], few[second]
        rows = self.counts[first] + np.where(first == second, 0, 1)[:, None] * self.counts[second]
        size = rows.sum(1)
        fits = np.flatnonzero((rows > 0).all(1) & (rows < self.counts.sum(0)).all(1) & (size <= self.most))
        for pair in fits[np.argsort(np.abs(size[fits] - self.target), kind="stable")]:
            chosen = np.isin(np.arange(len(self.sizes)), [first[pair], second[pair]])
            if self._suits(chosen):
                return chosen
        return None
