"""Linear maps of a rewritten layer, with GELU or a sum inside of the product.

oneDNN multiplies by weights that were packed once, and applies GELU or a sum while it writes; torch's `linear` packs
the weights again in every call. Which of the two multiplies depends on the processor and on a comparison of bits, never
on the clock: rows of two processes would otherwise differ in their last bits.
"""

from functools import cache
from typing import Any

import torch
from torch import nn

from antibody_esm.plm.batching import FEWEST
from antibody_esm.plm.devices import torch_threads_restored

_ROWS = 1024
"""Number of rows for which the layout of packed weights is optimised; any other number works."""

_FEW, _MANY = FEWEST, 480
"""Numbers of rows of the probe whose bits are compared."""


class Product(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """Linear map of states ``(rows, in)`` to ``(rows, out)``; every result is a matrix of its own."""

    multiple = 1
    """The number of rows is a multiple of this."""

    def activated(self, states: torch.Tensor) -> torch.Tensor:
        """Return GELU of the linear map."""
        return torch.ops.aten.gelu_(self(states))

    def added(self, states: torch.Tensor, further: torch.Tensor) -> torch.Tensor:
        """Return the linear map of the states plus further states ``(rows, out)``."""
        return self(states).add_(further)


class Plain(Product):
    """Product of torch's own matrix library."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the linear map."""
        return self.linear(states)

    def added(self, states: torch.Tensor, further: torch.Tensor) -> torch.Tensor:
        """Return the linear map of the states plus further states, added within the product."""
        return torch.addmm(further, states, self.linear.weight.T).add_(self.linear.bias)


class Packed(Product):
    """Product of oneDNN, whose weights are packed in the order in which its kernel reads them."""

    multiple = 32
    """oneDNN compiles and keeps a kernel of .6 to 1.1 MB for each number of rows; there are few such numbers."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.bias = linear.bias
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Packed":
        return self  # torch cannot copy packed weights; nothing writes to them, so copies share them

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the linear map."""
        return torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, "none", [], "")

    def activated(self, states: torch.Tensor) -> torch.Tensor:
        """Return GELU of the linear map, computed within the product."""
        return torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, "gelu", [], "none")

    def added(self, states: torch.Tensor, further: torch.Tensor) -> torch.Tensor:
        """Return the linear map of the states plus further states, added within the product."""
        return torch.ops.mkldnn._linear_pointwise.binary(states, further, self.weight, self.bias, "add")


def product_of(linear: Any) -> Product:
    """Return the product of oneDNN if its shape keeps the bits of a row on this processor, else that of torch."""
    outer, inner = linear.weight.shape
    return Packed(linear) if available() and keeps_bits(inner, outer) else Plain(linear)


def available() -> bool:
    """Return True if torch multiplies packed float32 weights with oneDNN here: on x86 with AVX2 or AVX-512."""
    return (
        torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        and bool(torch.backends.mkldnn.is_available())
        and all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight"))
    )


@cache
def keeps_bits(inner: int, outer: int) -> bool:
    """Return True if rows of packed products have the same bits in any batch, and equal torch's up to rounding."""
    with torch_threads_restored(), torch.inference_mode(), torch.autocast("cpu", enabled=False):
        torch.set_num_threads(1)
        linear = nn.utils.skip_init(nn.Linear, inner, outer, dtype=torch.float32)  # draws no random numbers
        linear.weight.copy_(_wave(outer, inner) / inner**0.5)
        linear.bias.copy_(_wave(1, outer)[0])
        states, further = _wave(_MANY, inner), _wave(_MANY, outer)
        packed, plain = Packed(linear), Plain(linear)

        def results(product: Product, rows: int) -> torch.Tensor:
            last = states[-rows:]
            return torch.cat([product(last), product.activated(last), product.added(last, further[-rows:])], 1)

        rows, expected = results(packed, _FEW), results(plain, _FEW)
        agree = torch.allclose(rows, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        return agree and bool(torch.equal(rows, results(packed, _MANY)[-_FEW:]))


def _wave(rows: int, columns: int) -> torch.Tensor:
    """Return a matrix of numbers between -3 and 3, the same in every process."""
    steps = torch.arange(rows * columns, dtype=torch.int64)
    return steps.square_().remainder_(10_007).float().view(rows, columns).mul_(6 / 10_007).sub_(3)
