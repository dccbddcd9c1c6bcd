"""Turns on a device, and copies to and from it that do not wait for its work.

A CUDA device computes what was launched before, in order, while the host goes on. It stays busy if the next pass is
launched before the rows of the last one are fetched. So a worker launches a pass in its turn, copies included, and
waits for the rows when its turn is over. Meanwhile the next worker launches its own pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

_MOST_PINNED = 2**26
"""Most bytes of rows that are copied into pinned memory, which torch keeps for later copies and never frees."""


def to_device(values: NDArray[Any], device: "torch.device") -> "torch.Tensor":
    """Return numbers on a device; a copy to a CUDA device is launched, and the host does not wait for it."""
    import torch

    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Fetched:
    """Numbers on their way from a device to the host.

    Parameters
    ----------
    numbers
        Tensor; on a CUDA device, its copy is launched behind the work that computes it.
    """

    def __init__(self, numbers: "torch.Tensor") -> None:
        import torch

        self._numbers, self._arrived = numbers, None
        if numbers.device.type == "cuda" and numbers.nbytes <= _MOST_PINNED:
            self._numbers = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._numbers.copy_(numbers, non_blocking=True)
            # A blocking event lets the processor work for other threads meanwhile.
            self._arrived = torch.cuda.Event(blocking=True)
            self._arrived.record(torch.cuda.current_stream(numbers.device))

    def wait(self) -> NDArray[Any]:
        """Return the numbers once they have arrived."""
        if self._arrived is None:
            return np.asarray(self._numbers.cpu().numpy())
        self._arrived.synchronize()
        return np.array(self._numbers.numpy())  # a copy: pinned memory is for the next rows


class Turns:
    """Turns of threads on one device.

    On a CUDA device one thread at a time launches work, and products of float32 are exact in its turn: TF32, which
    Ampere and later cards compute with if a user has enabled it, keeps 10 bits of each factor. All threads use a CPU
    at the same time.

    Parameters
    ----------
    device
        Type of the device.
    """

    def __init__(self, device: str) -> None:
        self._lock = Lock() if device == "cuda" else None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Run alone on the device, if it is a CUDA device."""
        if self._lock is None:
            yield
            return
        with self._lock, _EXACT:
            yield


class _Exact:
    """Exact products of float32 while any thread is inside; the setting is one for all threads and devices."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = Lock(), 0, ""

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = _precision()
                if self._before not in _EXACT_NAMES:
                    _set_precision("ieee")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before not in _EXACT_NAMES:
                _set_precision(self._before)


_EXACT = _Exact()
_EXACT_NAMES = ("ieee", "none", "highest")
"""Names of exact products; torch before 2.9 has the last one alone."""


def _precision() -> str:
    import torch

    products = torch.backends.cuda.matmul
    return str(getattr(products, "fp32_precision", None) or torch.get_float32_matmul_precision())


def _set_precision(name: str) -> None:
    import torch

    products = torch.backends.cuda.matmul
    if hasattr(products, "fp32_precision"):
        products.fp32_precision = name
    else:
        torch.set_float32_matmul_precision("highest" if name == "ieee" else name)
