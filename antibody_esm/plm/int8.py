"""Linear maps in integers of eight bits, in which no row depends on another.

Weights are scaled by output, states by row (a token), both when they are met and with no data set to calibrate on.
Sums of integers are exact in any order, so a row has the same bits in any batch. The scale of a whole batch, as
``torch.quantization.quantize_dynamic`` takes it, would make a row depend on its neighbours.
"""

from typing import Any

import torch
from torch import nn

from antibody_esm.plm.fused import Layer

WEIGHT = 63
"""Largest weight in integers. Without VNNI a processor adds two products in sixteen bits: 2 * 255 * 63 fits, and with
weights of up to 127 the sums would saturate silently."""

STATE = 127
"""Largest state in integers; they are stored with 128 added, since the processor multiplies signed by unsigned ones."""

_ROWS = 1024
"""Rows that the weights' layout is made for; any other number works."""


class Linear(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """What a linear map gives, to about one part in a hundred."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.bias = linear.bias
        self.scales = (weight.abs().amax(1) / WEIGHT).clamp_(min=1e-30)
        self.zeros = torch.zeros(len(weight), dtype=torch.long)
        integers = (weight / self.scales[:, None]).round_().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(integers, [_ROWS, weight.shape[1]])

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return ``(rows, out)`` of states ``(rows, in)``."""
        scales = (states.abs().amax(1, keepdim=True) / STATE).clamp_(min=1e-30)
        integers = (states / scales).round_().add_(128).to(torch.uint8)
        found = torch.ops.onednn.qlinear_pointwise(
            integers, 1.0, 128, self.packed, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return torch.addcmul(self.bias, found, scales, out=found)


def quantise(model: Any) -> None:
    """Replace the linear maps of rewritten layers by such in integers.

    Raises
    ------
    ValueError
        If a layer is not a rewritten one, or this machine does not add integers exactly.
    """
    layers = getattr(getattr(model, "encoder", None), "layer", [None])
    if not all(isinstance(layer, Layer) for layer in layers):
        raise ValueError("int8 is for BERT, RoBERTa and ESM models on a CPU")
    if not exact():
        raise ValueError("this processor, or this version of torch, does not multiply int8 exactly")
    with torch.inference_mode():
        for layer in layers:
            layer.replace_products(Linear)


def exact() -> bool:
    """Return whether the sums that come nearest to an overflow are right here."""
    if not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return False
    linear = nn.Linear(640, 16)
    with torch.inference_mode():
        signs = (torch.arange(16 * 640) % 2 * 2.0 - 1).view(16, 640)
        signs[8:] = 1
        linear.weight.copy_(signs * WEIGHT)
        linear.bias.zero_()
        states = torch.cat([signs, -signs]) * STATE
        return bool(torch.equal(Linear(linear)(states), states @ signs.T * WEIGHT))
