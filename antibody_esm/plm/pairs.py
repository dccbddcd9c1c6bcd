"""Pairs whose chains are embedded separately, with their vectors side by side."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from antibody_esm.batch import Rows
from antibody_esm.errors import SequenceError
from antibody_esm.sequences import BETWEEN, chains_of
from antibody_esm.specs import ExtractorSpec


def chains(spec: ExtractorSpec, sequences: list[str]) -> list[str]:
    """Return the inputs of the model: sequences in normal form unchanged, or both chains of each pair.

    The light chains follow all heavy chains.

    Raises
    ------
    SequenceError
        If only part of the sequences are pairs.
    """
    if spec.pairs == "joined" or not any(BETWEEN in sequence for sequence in sequences):
        return sequences
    heavy, light = chains_of(sequences)
    return [*heavy, *light]


def beside(rows: Rows, n: int) -> Rows:
    """Return the vectors ``(n, dim)`` of sequences, or ``(n, 2 * dim)`` of pairs from those of `chains`."""
    return rows if len(rows) == n else np.hstack([rows[:n], rows[n:]])


@contextmanager
def rows_of_pairs(every: Sequence[str], n: int) -> Iterator[None]:
    """Count the rows of a SequenceError by pairs, if chains of ``n`` pairs are read, and name the chain."""
    try:
        yield
    except SequenceError as error:
        if len(every) == n:
            raise
        rows = zip(error.rows, error.reasons, strict=True)
        reasons = [f"{reason} in the {'heavy' if row.index < n else 'light'} chain" for row, reason in rows]
        raise SequenceError([row._replace(index=row.index % n) for row in error.rows], reasons) from None
