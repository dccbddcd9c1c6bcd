"""Chains of a pair are embedded one by one, and their vectors put side by side."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import SequenceError
from antibody_esm.sequences import BETWEEN, chains_of
from antibody_esm.specs import ExtractorSpec

Rows = NDArray[np.float32]


def chains(spec: ExtractorSpec, sequences: list[str]) -> list[str]:
    """Return what goes through the model: sequences in normal form as they are, or both chains of each pair."""
    if spec.pairs == "joined" or not any(BETWEEN in one for one in sequences):
        return sequences
    heavy, light = chains_of(sequences)
    return [*heavy, *light]


def side_by_side(spec: ExtractorSpec, sequences: list[str], embed: Callable[[list[str]], Rows]) -> Rows:
    """Return the vectors ``(n, dim)`` of sequences, or ``(n, 2 * dim)`` of pairs that the spec does not join.

    Parameters
    ----------
    sequences
        In normal form, all pairs or none.
    embed
        Returns the vectors of single chains, or of what the spec joins.

    Raises
    ------
    SequenceError
        If some are pairs and some are not, or `embed` raises it; its rows are those of the pairs.
    """
    every, n = chains(spec, sequences), len(sequences)
    if len(every) == n:
        return embed(sequences)
    try:
        rows = embed(every)
    except SequenceError as error:
        told = zip(error.rows, error.reasons, strict=True)
        reasons = [f"{reason} in the {'heavy' if row.index < n else 'light'} chain" for row, reason in told]
        raise SequenceError([row._replace(index=row.index % n) for row in error.rows], reasons) from None
    return np.hstack([rows[:n], rows[n:]])
