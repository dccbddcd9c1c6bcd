"""Rewritten layers of an encoder, which read and write memory less often.

A layer of transformers computes query, key and value by three products and rotates them by six passes with copies. It
computes ESM's GELU in five passes over a matrix four times as wide as the states. On a CPU that is a fifth to a third
of a small model's time. Here query, key and value are one product; the rotation and the GELU are one pass in place
each. Attention reads its three parts without copies.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from antibody_esm.plm.products import Plain, Product, product_of

FAMILIES = ("bert", "camembert", "esm", "roberta", "xlm-roberta")
"""Model types whose layers are rewritten; all others run as in transformers."""

_PROBED = 16
"""Tokens of the probes that compare a layer with the one that it replaces."""


class Layer(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """One layer of BERT, RoBERTa, or of ESM with learned or rotary positions, in evaluation and without masks.

    Rotary positions rotate pairs of features, one of the first half of a head and one of the second. The rows of the
    query's and key's matrices are reordered so that a pair is contiguous; a rotation is then the product of two complex
    numbers. The order of features does not change the products of queries and keys.

    Parameters
    ----------
    layer
        The layer of transformers.
    heads
        Number of its attention heads.
    rotary
        True if its positions are rotary.
    make
        Function from a linear map of the layer to the product that computes it.
    """

    def __init__(self, layer: Any, heads: int, rotary: bool, make: Callable[[Any], Product]) -> None:
        super().__init__()
        attention = layer.attention
        own = attention.self
        self.heads = heads

        def pairs(rows: torch.Tensor) -> torch.Tensor:
            return rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2) if rotary else rows

        weight = own.query.weight
        mixed = nn.utils.skip_init(nn.Linear, weight.shape[1], 3 * len(weight), dtype=weight.dtype)
        with torch.no_grad():
            for name, parameter in mixed.named_parameters():
                query, key, value = (part.get_parameter(name) for part in (own.query, own.key, own.value))
                parameter.copy_(torch.cat([pairs(query), pairs(key), value]))
        self.mixed = make(mixed)
        self.out, self.up = make(attention.output.dense), make(layer.intermediate.dense)
        self.down = make(layer.output.dense)
        self.norms_come_first = hasattr(layer, "LayerNorm")
        norms = (attention, layer) if self.norms_come_first else (attention.output, layer.output)
        self.norms = nn.ModuleList([place.LayerNorm for place in norms])

    def replace_products(self, make: Callable[[Product], Product]) -> None:
        """Replace each product by the result of a function of it."""
        self.mixed, self.out, self.up, self.down = map(make, (self.mixed, self.out, self.up, self.down))

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
        shape = hidden_states.shape
        states = self._filled(hidden_states.reshape(-1, shape[2]))
        before, between = self.norms
        if self.norms_come_first:
            states = self.out.added(self._attend(before(states), shape, position_embeddings), states)
            states = self.down.added(self.up.activated(between(states)), states)
        else:
            states = before(self.out.added(self._attend(states, shape, position_embeddings), states))
            states = between(self.down.added(self.up.activated(states), states))
        return states[: shape[0] * shape[1]].view(shape)

    def _filled(self, states: torch.Tensor) -> torch.Tensor:
        """Return the rows, filled up with zeros to a number that all products accept."""
        multiple = max(product.multiple for product in (self.mixed, self.out, self.up, self.down))
        absent = -len(states) % multiple
        return torch.cat([states, states.new_zeros(absent, states.shape[1])]) if absent else states

    def _attend(
        self, states: torch.Tensor, shape: torch.Size, positions: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        n, tokens, dim = shape
        size = dim // self.heads
        mixed = self.mixed(states)[: n * tokens]
        if positions is not None:
            cosine, sine = (part[0, :, : size // 2] for part in positions)
            turn = torch.complex(cosine, sine).repeat(1, 2 * self.heads)
            torch.view_as_complex(mixed.view(n, -1, 3 * dim // 2, 2)[:, :, :dim]).mul_(turn)
        query, key, value = mixed.view(n, -1, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self._filled(attended.transpose(1, 2).reshape(-1, dim))


def fuse(model: Any, packed: bool = True) -> None:
    """Rewrite the layers of a model on a CPU in float32, if its type is one of `FAMILIES`.

    A layer is replaced if its states equal those of the original but for rounding; otherwise it is kept.

    Parameters
    ----------
    packed
        True packs weights for oneDNN where that keeps a row's bits; False keeps the weights as they are.
    """
    config = model.config
    if (
        config.model_type not in FAMILIES
        or getattr(config, "hidden_act", "gelu") != "gelu"
        or config.is_decoder
        or config.hidden_size % 16  # rows that begin at multiples of 64 bytes are multiplied alike at any place
        or model.dtype != torch.float32
        or model.device.type != "cpu"
    ):
        return
    rotary = getattr(config, "position_embedding_type", None) == "rotary"
    probe = torch.linspace(-3, 3, 2 * _PROBED * config.hidden_size, dtype=torch.float32).sin().view(2, _PROBED, -1)
    layers = model.encoder.layer
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        positions = model.rotary_embeddings(probe, torch.arange(_PROBED)[None]) if rotary else None
        for place, layer in enumerate(layers):
            expected = layer(probe, position_embeddings=positions)
            if not torch.isfinite(expected).all():  # there is nothing to compare; vectors are checked later
                return
            for make in (product_of, Plain) if packed else (Plain,):
                own = Layer(layer, config.num_attention_heads, rotary, make).eval()
                states = own(probe, position_embeddings=positions)
                if torch.allclose(states, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max())):
                    layers[place] = own
                    break


def alone_as_in_company(model: Any) -> bool:
    """Return True if a sequence of enough tokens has the same bits alone and in a batch."""
    return model.config.model_type in FAMILIES and all(isinstance(layer, Layer) for layer in model.encoder.layer)
