"""Layer whose inner states are computed again for its gradients, in place of being kept."""

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Recomputed(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """A layer, of which only the input is kept (doi:10.48550/arXiv.1604.06174). All bits stay the same.

    Parameters
    ----------
    layer
        Layer without random numbers but those of `antibody_esm.plm.dropout`, which are the same again.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *states: Any, **named: Any) -> Any:
        """Return the layer's states."""
        if not torch.is_grad_enabled():
            return self.layer(*states, **named)
        return checkpoint(self.layer, *states, use_reentrant=False, preserve_rng_state=False, **named)
