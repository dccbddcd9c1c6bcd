"""Layers of BERT, RoBERTa and ESM, rewritten to read and write a GPU's memory less often.

In half precision a card multiplies fast, and its memory limits all else. For one token, transformers' layer of ESM-2
650M moves about 120 kB for rotary positions, which it computes in float32, and 110 kB for its GELU of five passes; the
weights' products take as long as the memory needs for 260 kB (H200). Here query, key and value are one product,
positions are three passes and GELU is one, in place: 25 kB and 20 kB. Attention reads its parts without copies and
without a mask, so torch takes its flash kernel. The bytes are counted, not measured.
"""

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from antibody_esm.plm.fused import FAMILIES

_PROBED = 16
"""Tokens of the probes that compare a layer with the one that it replaces."""


class GpuLayer(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """One layer of BERT, RoBERTa, or of ESM with learned or rotary positions, in evaluation and without masks."""

    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention = layer.attention
        own = attention.self
        self.heads = heads
        like = own.query.weight
        self.mixed = nn.utils.skip_init(
            nn.Linear, own.query.in_features, 3 * own.query.out_features, device=like.device, dtype=like.dtype
        )
        with torch.no_grad():
            for name, mixed in self.mixed.named_parameters():
                mixed.copy_(torch.cat([part.get_parameter(name) for part in (own.query, own.key, own.value)]))
        self.out, self.up, self.down = attention.output.dense, layer.intermediate.dense, layer.output.dense
        self.norms_come_first = hasattr(layer, "LayerNorm")
        norms = (attention, layer) if self.norms_come_first else (attention.output, layer.output)
        self.norms = nn.ModuleList([place.LayerNorm for place in norms])

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: None = None,
        *_: None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **__: Any,
    ) -> torch.Tensor:
        """Return the states ``(n, tokens, dim)`` after this layer."""
        if attention_mask is not None:
            raise ValueError("batches of equal lengths have no mask")
        before, between = self.norms
        if self.norms_come_first:
            states = self._attend(before(hidden_states), position_embeddings).add_(hidden_states)
            return self._widen(between(states)).add_(states)
        states = before(self._attend(hidden_states, position_embeddings).add_(hidden_states))
        return between(self._widen(states).add_(states))

    def _attend(self, states: torch.Tensor, positions: tuple[torch.Tensor, torch.Tensor] | None) -> torch.Tensor:
        n, tokens, dim = states.shape
        mixed = self.mixed(states).view(n, tokens, 3, self.heads, dim // self.heads)
        turned, value = mixed[:, :, :2], mixed[:, :, 2]
        if positions is not None:
            turned = _rotated(turned, *positions)
        query, key = turned.unbind(2)
        attended = functional.scaled_dot_product_attention(*(part.transpose(1, 2) for part in (query, key, value)))
        return self.out(attended.transpose(1, 2).reshape(n, tokens, dim))

    def _widen(self, states: torch.Tensor) -> torch.Tensor:
        return self.down(torch.ops.aten.gelu_(self.up(states)))


def _rotated(states: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Return queries and keys ``(n, tokens, 2, heads, size)``, each pair of features turned by its position."""
    half = states.shape[-1] // 2
    cosine, sine = cosine[0, :, None, None], sine[0, :, None, None, :half]
    rotated = states * cosine
    rotated[..., :half].addcmul_(states[..., half:], sine, value=-1)
    rotated[..., half:].addcmul_(states[..., :half], sine)
    return rotated


def rewrite(model: Any) -> None:
    """Rewrite the layers of a model, on its device and in its precision, if its type is one of `fused.FAMILIES`.

    A layer is replaced if its states in float32 equal those of the original but for rounding; otherwise it is kept.
    """
    config = model.config
    if config.model_type not in FAMILIES or getattr(config, "hidden_act", "gelu") != "gelu" or config.is_decoder:
        return
    rotary = getattr(config, "position_embedding_type", None) == "rotary"
    # Values of neighbouring tokens are unrelated, so that a missing position changes the states.
    numbers = torch.arange(2 * _PROBED * config.hidden_size, device=model.device, dtype=torch.float32)
    probe = (numbers * 12.9898).sin().view(2, _PROBED, -1)
    layers = model.encoder.layer
    with torch.inference_mode(), torch.autocast(model.device.type, enabled=False):
        places = torch.arange(_PROBED, device=model.device)[None]
        positions = model.rotary_embeddings(probe, places) if rotary else None
        for place, layer in enumerate(layers):
            original = copy.deepcopy(layer).float()
            own = GpuLayer(original, config.num_attention_heads).eval()
            expected, states = (each(probe, position_embeddings=positions) for each in (original, own))
            if torch.allclose(states, expected, rtol=2e-3, atol=2e-3 * float(expected.abs().max())):
                layers[place] = GpuLayer(layer, config.num_attention_heads).eval()
