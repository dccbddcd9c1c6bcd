"""Batches of sequences of one length, which need no padding and no mask."""

import random
from collections.abc import Sequence
from itertools import groupby
from math import ceil
from typing import TypeVar

T = TypeVar("T")

FEWEST = 64
"""Smallest number of tokens of a pass. With fewer than 16 rows, matrix libraries compute products by another method,
which changes the last bit (MKL on an Intel Xeon; fewer than 4 on an AMD EPYC); the rest is margin."""


def batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Return the indices of the sequences, grouped into batches of equal length, longest first.

    A batch has a single row only if no other sequence has its length, because a single row runs twice, see
    `in_company`.

    Parameters
    ----------
    lengths
        Tokens of each sequence.
    batch_tokens
        Largest number of tokens in one batch, unless a single row would be left over.

    Examples
    --------
    >>> batches([3, 9, 3, 3], batch_tokens=6)
    [[1], [0, 2, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    made = []
    for length, group in groupby(order, key=lambda i: lengths[i]):
        rows = list(group)
        count = max(1, min(ceil(len(rows) / max(2, batch_tokens // length)), len(rows) // 2))
        made += [rows[len(rows) * i // count : len(rows) * (i + 1) // count] for i in range(count)]
    return made


def in_company(rows: list[T]) -> list[T]:
    """Return the rows of a batch, or a lone row twice.

    Sums over a single row may run in another order, which changes the last bit.

    Examples
    --------
    >>> in_company(["EVQL"]), in_company(["EVQL", "QVQL"])
    (['EVQL', 'EVQL'], ['EVQL', 'QVQL'])
    """
    return rows if len(rows) > 1 else rows * 2


def shuffled(todo: list[T]) -> list[T]:
    """Return the first batch, which needs the most memory, then the others in random order: a sample of the work."""
    rest = todo[1:]
    random.Random(0).shuffle(rest)  # noqa: S311  nothing secret
    return todo[:1] + rest
