"""Residue states become one vector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.specs import Pooling

if TYPE_CHECKING:
    import torch


def pool(
    states: "torch.Tensor",
    pooling: Pooling,
    prefix: int,
    suffix: int,
    residues: Sequence[NDArray[np.int64]] | None = None,
) -> "torch.Tensor":
    """Return one vector per sequence.

    Parameters
    ----------
    states
        ``(n, tokens, dim)`` hidden states of sequences of one length.
    pooling
        ``mean``, ``max`` or ``std`` (of a population) over the tokens, or ``cls``, the first token's state.
    prefix, suffix
        Tokens to leave out at the start and at the end; ``cls`` leaves out none.
    residues
        For each sequence, the places of those residues that take part; None is all.

    Returns
    -------
    ``(n, dim)``, float32.
    """
    import torch

    states = states.float()
    if pooling == "cls":
        return states[:, 0]
    if residues is None:
        return _reduced(states[:, prefix : states.shape[1] - suffix], pooling, 1)
    chosen = zip(states, residues, strict=True)
    return torch.stack([_reduced(one[prefix + torch.from_numpy(places)], pooling, 0) for one, places in chosen])


def _reduced(states: "torch.Tensor", pooling: Pooling, over: int) -> "torch.Tensor":
    if pooling == "max":
        return states.amax(dim=over)
    return states.mean(dim=over) if pooling == "mean" else states.std(dim=over, correction=0)
