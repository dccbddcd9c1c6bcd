"""Devices by name, copies of a model on them, and batches that fit into their memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

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


def in_parts(batch: list[S], run: Callable[[list[S]], T]) -> list[T]:
    """Run a batch; if the device lacks the memory, run its halves one after the other, and so on.

    Raises
    ------
    RuntimeError
        If one sequence alone does not fit, or if `run` raises it for another reason.
    """
    try:
        return [run(batch)]
    except RuntimeError as error:  # torch.OutOfMemoryError for CUDA; Apple devices have no class of their own
        if "out of memory" not in str(error) or len(set(batch)) == 1:
            raise
    # Not inside `except`: there the error would keep the memory of the failed pass.
    half = len(batch) // 2
    return in_parts(batch[:half], run) + in_parts(batch[half:], run)


class Copies(Generic[T]):
    """Copies of a model, one for each device.

    Parameters
    ----------
    models
        One model or more.
    """

    def __init__(self, models: Sequence[T]) -> None:
        self._models = list(models)
        self._free: SimpleQueue[T] = SimpleQueue()
        for model in self._models:
            self._free.put(model)

    @contextmanager
    def borrowed(self) -> Iterator[T]:
        """Yield a copy that no other thread uses meanwhile; threads share a single copy."""
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
