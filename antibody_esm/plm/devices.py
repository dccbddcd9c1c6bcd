"""Devices by name, copies of a model on them, and batches that fill them and fit into their memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def devices(name: str) -> list[str]:
    """Return the devices that a `RuntimeSpec` names.

    ``cuda`` is every CUDA device of this machine, ``auto`` the first CUDA device if there is one, else the CPU.
    """
    import torch

    if name == "auto":
        return ["cuda:0"] if torch.cuda.is_available() else ["cpu"]
    if name == "cuda":
        return [f"cuda:{i}" for i in range(max(1, torch.cuda.device_count()))]
    return [name]


AHEAD = 3
"""Concurrent batches of a CUDA device: one is computed, one is launched behind it, and one is on the host, where its
rows are checked and stored and the next batch is prepared."""


def concurrent(devices: Sequence[str]) -> int:
    """Return the number of batches that devices other than a CPU work on at a time."""
    return sum(map(_ahead, devices))


def _ahead(device: str) -> int:
    return AHEAD if device.startswith("cuda") else 1


_SATURATING = 2**26
"""Numbers of a layer's states in a batch, with which a large card's matrix products run near their peak."""
_SHARE_OF_MEMORY = 1 / 8
"""Share of a card's memory for the states of a pass; weights, rows and the allocator's gaps need some too."""
_STATES_OF_TOKEN = 32
"""Numbers for each token of a pass at its peak, divided by the dimension; a feed-forward part has four to twelve."""


def tokens_at_once(memory: int, dim: int, bytes_of_number: int) -> int:
    """Return the number of tokens of a batch that fills a CUDA device.

    Parameters
    ----------
    memory
        Bytes of the device.
    dim
        Width of the model's states.
    bytes_of_number
        4 in float32, 2 in half precision.

    Examples
    --------
    ESM-2 650M in bfloat16 on cards of 8 and 141 GB:

    >>> [tokens_at_once(memory * 10**9, 1280, 2) for memory in (8, 141)]
    [12207, 52428]
    """
    fitting = int(memory * _SHARE_OF_MEMORY) // (_STATES_OF_TOKEN * dim * bytes_of_number)
    return max(1024, min(fitting, _SATURATING // dim))


def tokens_of_batch(devices: Sequence[str], dim: int, bytes_of_number: int) -> int:
    """Return the largest number of tokens of a batch on these devices; see `tokens_at_once` for CUDA devices."""
    if not all(device.startswith("cuda") for device in devices):
        return 1024 if list(devices) == ["cpu"] else 16_384
    return tokens_at_once(memory(devices), dim, bytes_of_number)


def memory(devices: Sequence[str]) -> int:
    """Return the bytes of the smallest of several CUDA devices."""
    import torch

    return min(int(torch.cuda.get_device_properties(device).total_memory) for device in devices)


class Fits:
    """Batches in parts that fit into a device's memory; no later batch is tried at a size that did not fit.

    Parameters
    ----------
    size
        Function of a batch, to which the memory of its pass is proportional; by default its number of items.
    """

    def __init__(self, size: Callable[[Sequence[Any]], int] = len) -> None:
        self._size = size
        self._refused: int | None = None

    def in_parts(self, batch: list[S], run: Callable[[list[S]], T]) -> list[T]:
        """Run a batch; if the device lacks the memory, run its halves one after the other, and so on.

        Raises
        ------
        RuntimeError
            If one sequence alone does not fit, or if `run` raises it for another reason.
        """
        alone = len(set(batch)) == 1
        if alone or self._refused is None or self._size(batch) < self._refused:
            try:
                return [run(batch)]
            except RuntimeError as error:
                if not _lacks_memory(error) or alone:
                    raise
            # Not inside `except`: there the error would keep the memory of the failed pass.
            _free_memory()
            self._refused = min(self._size(batch), self._refused or self._size(batch))
        half = len(batch) // 2
        return self.in_parts(batch[:half], run) + self.in_parts(batch[half:], run)


def _lacks_memory(error: RuntimeError) -> bool:
    """Return True for torch.OutOfMemoryError, for Apple's error without a class, and for that of a matrix library."""
    return "out of memory" in str(error) or "ALLOC_FAILED" in str(error)


def _free_memory() -> None:
    """Give the blocks of a failed pass back to the device, so that its halves find them in one piece."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class Copies(Generic[T]):
    """Copies of a model, one for each device.

    Parameters
    ----------
    models
        One model or more.
    at_once
        Threads that use a copy at the same time; all threads share a single copy.

    Attributes
    ----------
    fits
        Sizes of batches of sequences that fit into the devices.
    """

    def __init__(self, models: Sequence[T], at_once: int = 1) -> None:
        self._models = list(models)
        self.fits = Fits(lambda sequences: sum(map(len, sequences)))
        self._free: SimpleQueue[T] = SimpleQueue()
        for _ in range(at_once):
            for model in self._models:
                self._free.put(model)

    @contextmanager
    def borrowed(self) -> Iterator[T]:
        """Yield a copy that fewer than `at_once` other threads use; threads share a single copy."""
        if len(self._models) == 1:
            yield self._models[0]
            return
        model = self._free.get()
        try:
            yield model
        finally:
            self._free.put(model)


@contextmanager
def torch_threads_restored() -> Iterator[None]:
    """Restore the number of torch's threads at the end."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
