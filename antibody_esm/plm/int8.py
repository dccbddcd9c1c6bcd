"""Linear maps in integers of eight bits, in which no row depends on another.

Weights are scaled by output, states by row (a token); both scales need no data set for calibration.
Sums of integers are exact in any order, so a row has the same bits in any batch. One scale for a whole batch,
as in ``torch.quantization.quantize_dynamic``, would make a row depend on its neighbours.
"""

from typing import Any

import torch
from torch import nn

from antibody_esm.plm.fused import Layer
from antibody_esm.plm.products import Plain, Product

WEIGHT = 63
"""Largest weight in integers. Without VNNI, processors add two products in sixteen bits: 2 * 255 * 63 fits, but with
weights of up to 127 the sums would saturate silently."""

STATE = 127
"""Largest state in integers; they are stored with 128 added, since the processor multiplies signed by unsigned ones."""

_ROWS = 1024
"""Number of rows for which the weights' layout is optimised; any other number works."""


class Linear(Product):
    """Linear map in integers, with a relative error of about 1 %."""

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
        products = torch.ops.onednn.qlinear_pointwise(
            integers, 1.0, 128, self.packed, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return torch.addcmul(self.bias, products, scales, out=products)


def quantise(model: Any) -> None:
    """Replace the linear maps of rewritten layers by linear maps in integers.

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
            layer.replace_products(_in_integers)


def _in_integers(product: Product) -> Product:
    if not isinstance(product, Plain):
        raise ValueError("these weights are packed already")
    return Linear(product.linear)


def exact() -> bool:
    """Return True if the sums nearest to an overflow are correct on this machine."""
    if not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return False
    linear = nn.utils.skip_init(nn.Linear, 640, 16, dtype=torch.float32)  # draws no random numbers
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        signs = (torch.arange(16 * 640) % 2 * 2 - 1).float().view(16, 640)
        signs[8:] = 1
        linear.weight.copy_(signs * WEIGHT)
        linear.bias.zero_()
        states = torch.cat([signs, -signs]) * STATE
        return bool(torch.equal(Linear(linear)(states), states @ signs.T * WEIGHT))
