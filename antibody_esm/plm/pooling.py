"""Pooling of residue states to one vector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.transfer import to_device
from antibody_esm.specs import Pooling

if TYPE_CHECKING:
    import torch


class Group(NamedTuple):
    """Sequences of a batch with the same number of pooled tokens."""

    rows: NDArray[np.int64]
    """``(g,)``, places of the sequences in the batch."""
    tokens: NDArray[np.int64]
    """``(g, k)``, indices of the pooled tokens of each."""


def groups(tokens: Sequence[NDArray[np.int64]]) -> list[Group]:
    """Group the sequences of a batch by the number of their pooled tokens; a single sequence is repeated.

    Parameters
    ----------
    tokens
        Places of these tokens for each sequence.
    """
    by_count: dict[int, list[int]] = {}
    for row, pooled in enumerate(tokens):
        by_count.setdefault(len(pooled), []).append(row)
    # Sums over a single row may run in another order, which changes the last bit.
    whole = [rows if len(rows) > 1 else rows * 2 for rows in by_count.values()]
    return [Group(np.array(rows), np.stack([tokens[row] for row in rows])) for rows in whole]


def gather(states: "torch.Tensor", groups: Sequence[Group]) -> "list[tuple[Group, torch.Tensor]]":
    """Return the pooled states ``(g, k, dim)`` of each group from the states of a batch ``(n, tokens, dim)``."""
    device = states.device
    return [
        (group, states[to_device(group.rows, device)[:, None], to_device(group.tokens, device)].contiguous())
        for group in groups
    ]


def attention(
    states: "torch.Tensor", weights: "torch.Tensor | None", pooled: "torch.Tensor | None" = None
) -> "torch.Tensor":
    """Return the weighted mean ``(n, dim)`` of states ``(n, k, dim)``; the weights of a sequence are a softmax.

    Parameters
    ----------
    weights
        ``(dim,)``. Their products with the states are the logits of the softmax; None has equal ones.
    pooled
        ``(n, k)``, true for the tokens that take part; None for all.
    """
    import torch

    if weights is None:
        logits = torch.zeros(states.shape[:2], dtype=states.dtype, device=states.device)
    else:
        logits = (states * weights).sum(dim=2)
    if pooled is not None:
        logits = logits.masked_fill(~pooled, float("-inf"))
    return (states * torch.softmax(logits, dim=1)[:, :, None]).sum(dim=1)


def pool(states: "torch.Tensor", pooling: Pooling, weights: "torch.Tensor | None" = None) -> "torch.Tensor":
    """Return one vector ``(n, dim)`` for each sequence from its pooled states ``(n, k, dim)``.

    ``mean``, ``max`` or ``std`` (of a population) over the ``k`` tokens, or ``cls`` or ``last``, the state of the first
    or the last token; ``attention`` has weights ``(dim,)``.
    """
    if pooling == "attention":
        return attention(states, weights)
    if pooling in ("cls", "last"):
        return states[:, 0 if pooling == "cls" else -1]
    if pooling == "max":
        return states.amax(dim=1)
    mean = states.mean(dim=1)
    if pooling == "mean":
        return mean
    return (states - mean[:, None]).square_().mean(dim=1).sqrt_()  # three times as fast as states.std


def pool_groups(
    gathered: "Sequence[tuple[Group, torch.Tensor]]", pooling: Pooling, n: int, weights: "torch.Tensor | None" = None
) -> "torch.Tensor":
    """Return one vector ``(n, dim)`` for each sequence of a batch from the result of `gather`, see `pool`."""
    import torch

    rows = torch.empty((n, gathered[0][1].shape[2]), dtype=gathered[0][1].dtype, device=gathered[0][1].device)
    for group, states in gathered:
        rows[to_device(group.rows, rows.device)] = pool(states, pooling, weights)
    return rows
