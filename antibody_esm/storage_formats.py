"""Storage of vectors in float32, float16 or int8, and its rounding."""

import numpy as np
from numpy.typing import NDArray

from antibody_esm.specs import Storage

DTYPES: dict[Storage, np.dtype[np.float32] | np.dtype[np.float16] | np.dtype[np.int8]] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "int8": np.dtype(np.int8),
}

Codes = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int8]
Scales = NDArray[np.float32]

_LARGEST = 127
_KEPT = np.uint32(0xFFFFFF80)
"""Mask that keeps 17 bits of a scale's mantissa, so that 127 times the scale is exactly a float32."""


def encode(rows: NDArray[np.float32], storage: Storage) -> tuple[Codes, Scales | None]:
    """Return the codes of rows ``(n, dim)``, in the same shape, and for int8 one scale per row ``(n,)``.

    float16 rounds each number to 11 bits: a relative error of at most 2**-11 above 6e-5. int8 rounds each number to a
    multiple of the row's scale, which is the largest absolute value divided by 127, rounded up: an error of at most
    0.4 % of that value. Encoding the result of `decode` again changes nothing.

    Raises
    ------
    ValueError
        If a number is too large for float16 (65504) or not finite.
    """
    rows = np.ascontiguousarray(rows, np.float32)
    if storage == "int8":
        largest = np.abs(rows).max(axis=1, initial=0)
        scales = _scales(largest)
        with np.errstate(over="ignore"):
            if not np.isfinite(scales * np.float32(_LARGEST)).all():
                raise ValueError("rows must be finite in int8")
        with np.errstate(divide="ignore", invalid="ignore"):
            codes = np.where(scales[:, None] > 0, np.rint(rows / scales[:, None]), 0)
        return np.clip(codes, -_LARGEST, _LARGEST).astype(np.int8), scales
    with np.errstate(over="ignore"):
        codes = rows.astype(DTYPES[storage], copy=False)
    if not np.isfinite(codes).all():
        raise ValueError(f"rows must be finite in {storage}")
    return codes, None


def decode(codes: Codes, scales: Scales | None = None) -> NDArray[np.float32]:
    """Return the rows ``(n, dim)`` of codes and scales, as float32."""
    rows = codes.astype(np.float32, copy=False)
    return rows if scales is None else rows * scales[:, None]


def rounded(rows: NDArray[np.float32], storage: Storage) -> NDArray[np.float32]:
    """Return rows ``(n, dim)`` as rounded by storage."""
    return rows if storage == "float32" else decode(*encode(rows, storage))


def _scales(largest: NDArray[np.float32]) -> Scales:
    exact = largest / np.float32(_LARGEST)
    rounded_up = ((exact.view(np.uint32) + ~_KEPT) & _KEPT).view(np.float32)
    tiny = np.finfo(np.float32).tiny  # below it, numbers have fewer bits
    return np.where((largest > 0) & (exact < tiny), tiny, rounded_up)
