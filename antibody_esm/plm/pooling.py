"""Residue states become one vector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.specs import Pooling

if TYPE_CHECKING:
    import torch


class Group(NamedTuple):
    """Sequences of a batch of which equally many tokens take part."""

    rows: NDArray[np.int64]
    """``(g,)``, their places in the batch."""
    tokens: NDArray[np.int64]
    """``(g, k)``, which tokens of each."""


def groups(residues: Sequence[NDArray[np.int64]], prefix: int) -> list[Group]:
    """Group the sequences of a batch by how many of their residues take part; a group of one is there twice.

    Parameters
    ----------
    residues
        For each sequence, the places of those residues.
    prefix
        Tokens before the first residue.
    """
    by_count: dict[int, list[int]] = {}
    for row, one in enumerate(residues):
        by_count.setdefault(len(one), []).append(row)
    # Of one row alone, sums may run in another order, which moves the last bit.
    whole = [rows if len(rows) > 1 else rows * 2 for rows in by_count.values()]
    return [Group(np.array(rows), np.stack([residues[row] for row in rows]) + prefix) for rows in whole]


def gather(states: "torch.Tensor", groups: Sequence[Group]) -> "list[tuple[Group, torch.Tensor]]":
    """Return the states ``(g, k, dim)`` that take part, of each group, from those of a batch ``(n, tokens, dim)``."""
    import torch

    return [
        (group, states[torch.from_numpy(group.rows)[:, None], torch.from_numpy(group.tokens)].contiguous())
        for group in groups
    ]


def pool(states: "torch.Tensor", pooling: Pooling) -> "torch.Tensor":
    """Return one vector ``(n, dim)`` per sequence, of the states ``(n, k, dim)`` that take part.

    ``mean``, ``max`` or ``std`` (of a population) over the ``k`` tokens, or ``cls``, the first one's state.
    """
    if pooling == "cls":
        return states[:, 0]
    if pooling == "max":
        return states.amax(dim=1)
    mean = states.mean(dim=1)
    if pooling == "mean":
        return mean
    return (states - mean[:, None]).square_().mean(dim=1).sqrt_()  # in a third of the time that states.std takes


def pool_groups(gathered: "Sequence[tuple[Group, torch.Tensor]]", pooling: Pooling, n: int) -> "torch.Tensor":
    """Return one vector ``(n, dim)`` per sequence of a batch, of what `gather` gave."""
    import torch

    rows = torch.empty((n, gathered[0][1].shape[2]), dtype=gathered[0][1].dtype, device=gathered[0][1].device)
    for group, states in gathered:
        rows[torch.from_numpy(group.rows)] = pool(states, pooling)
    return rows
