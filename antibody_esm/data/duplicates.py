"""Rows of a data set that repeat the sequence of an earlier row."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.column_reading import category
from antibody_esm.data.columns import ColumnValues


def repeats(sequences: Sequence[str]) -> list[list[int]]:
    """Return the rows of each sequence that occurs more than once."""
    rows_of: dict[str, list[int]] = {}
    for row, sequence in enumerate(sequences):
        rows_of.setdefault(sequence, []).append(row)
    return [rows for rows in rows_of.values() if len(rows) > 1]


def contradictions(
    repeated: Sequence[Sequence[int]], label: NDArray[np.float64], columns: Iterable[ColumnValues]
) -> list[list[int]]:
    """Return the rows of each repeated sequence that have different labels, though equal values of all columns.

    Parameters
    ----------
    repeated
        Rows of each sequence, see `repeats`.
    label
        ``(n,)``.
    columns
        Columns that are read beside the sequences, ``(n,)`` each.
    """
    read = list(columns)
    every = []
    for rows in repeated:
        alike: dict[tuple[str | None, ...], list[int]] = {}
        for row in rows:
            alike.setdefault(tuple(category(values[row]) for values in read), []).append(row)
        unlike = [row for same in alike.values() if len(set(label[same].tolist())) > 1 for row in same]
        every += [unlike] if unlike else []
    return every


class Duplicates(NamedTuple):
    """Rows that repeat the sequence of an earlier row; audit, report and page all have this count."""

    rows: tuple[int, ...]
    sequences: int
    """Number of sequences that occur more than once."""
    contradictory: list[list[int]]
    """Rows of each repeated sequence with different labels, see `contradictions`; empty without labels."""


def duplicates(
    sequences: Sequence[str], label: NDArray[np.float64] | None, columns: Iterable[ColumnValues]
) -> Duplicates:
    """Return the rows that repeat the sequence of an earlier row.

    Parameters
    ----------
    sequences
        ``n`` sequences that are read.
    label
        ``(n,)``, in which NaN is a missing value; None without labels.
    columns
        Columns that are read beside the sequences, ``(n,)`` each.
    """
    repeated = repeats(sequences)
    further = tuple(row for rows in repeated for row in rows[1:])
    contradictory = [] if label is None else contradictions(_labelled(repeated, label), label, columns)
    return Duplicates(further, len(repeated), contradictory)


def _labelled(groups: Sequence[Sequence[int]], label: NDArray[np.float64]) -> list[list[int]]:
    """Return the rows of each group that have a label."""
    return [[row for row in rows if not np.isnan(label[row])] for rows in groups]
