"""Sequences become batches of one length each, so that no batch needs padding or a mask."""

from collections.abc import Callable, Sequence
from itertools import groupby
from math import ceil

FEWEST = 64
"""Tokens of a pass, at least. Of fewer than 16 rows, matrix libraries make products along another path, which moves the
last bit (MKL on an Intel Xeon; fewer than 4 on an AMD EPYC); the rest is margin."""


def batches(
    lengths: Sequence[int], batch_tokens: int, alone: Callable[[int], bool] = lambda length: False
) -> list[list[int]]:
    """Return the indices of the sequences, grouped into batches of equal length, longest first.

    No batch has a single row, over which sums may run in another order, and that moves the last bit: a length that
    occurs once is a batch that names its sequence twice.

    Parameters
    ----------
    lengths
        Tokens of each sequence.
    batch_tokens
        Tokens in one batch, at most, where that does not leave a row alone.
    alone
        Whether sequences of a length must each be a batch of their own.

    Examples
    --------
    >>> batches([3, 9, 3, 3], batch_tokens=6)
    [[1, 1], [0, 2, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    made = []
    for length, group in groupby(order, key=lambda i: lengths[i]):
        rows = list(group)
        if len(rows) == 1 or alone(length):
            made += [[row, row] for row in rows]
            continue
        count = min(ceil(len(rows) / max(2, batch_tokens // length)), len(rows) // 2)
        made += [rows[len(rows) * i // count : len(rows) * (i + 1) // count] for i in range(count)]
    return made
