"""Residue states become one vector."""

from typing import TYPE_CHECKING

from antibody_esm.specs import Pooling

if TYPE_CHECKING:
    import torch


def pool(states: "torch.Tensor", pooling: Pooling, prefix: int, suffix: int) -> "torch.Tensor":
    """Return one vector per sequence.

    Parameters
    ----------
    states
        ``(n, tokens, dim)`` hidden states of sequences of one length.
    pooling
        ``mean`` or ``max`` over the tokens, or ``cls``, the first token's state.
    prefix, suffix
        Tokens to leave out at the start and at the end; ``cls`` leaves out none.

    Returns
    -------
    ``(n, dim)``, float32.
    """
    states = states.float()
    if pooling == "cls":
        return states[:, 0]
    kept = states[:, prefix : states.shape[1] - suffix]
    return kept.mean(dim=1) if pooling == "mean" else kept.amax(dim=1)
