"""A model runs on each device that a name stands for, with batches that fit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def devices(name: str) -> list[str]:
    """Return the devices that a `RuntimeSpec` names.

    ``cuda`` is every CUDA device of this machine, ``auto`` the first of them if there is one, else the CPU.
    """
    import torch

    if name == "auto":
        return ["cuda:0"] if torch.cuda.is_available() else ["cpu"]
    if name == "cuda":
        return [f"cuda:{i}" for i in range(max(1, torch.cuda.device_count()))]
    return [name]


def in_parts(batch: list[S], run: Callable[[list[S]], T]) -> list[T]:
    """Run a batch, or its halves one after the other if the device lacks the memory, and their halves.

    Raises
    ------
    RuntimeError
        If one sequence alone does not fit, or whatever else `run` raises.
    """
    try:
        return [run(batch)]
    except RuntimeError as error:  # torch.OutOfMemoryError for CUDA, and for Apple devices no class of its own
        if "out of memory" not in str(error) or len(set(batch)) == 1:
            raise
    # Not inside `except`: there the error would hold on to what the failed pass has allocated.
    half = len(batch) // 2
    return in_parts(batch[:half], run) + in_parts(batch[half:], run)


class Copies(Generic[T]):
    """Copies of a model, one a device.

    Parameters
    ----------
    models
        One or more.
    """

    def __init__(self, models: Sequence[T]) -> None:
        self._models = list(models)
        self._free: SimpleQueue[T] = SimpleQueue()
        for model in self._models:
            self._free.put(model)

    @contextmanager
    def one(self) -> Iterator[T]:
        """Lend a copy to this thread, and to no other meanwhile; a single one is for all."""
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
    """Leave torch with as many threads as before."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
