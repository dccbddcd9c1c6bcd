"""Schedule of batches on workers, whose results come back in any order."""

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from antibody_esm.batch import Batch, Done, Rows
from antibody_esm.plm.devices import torch_threads_restored
from antibody_esm.threads import in_any_order

with warnings.catch_warnings():  # before huggingface_hub imports it, whose import would advise to install ipywidgets
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm

T = TypeVar("T")
R = TypeVar("R")


class Runner(Protocol):
    """A language model that is ready to run, here or in another process."""

    def run(self, batch: Batch) -> list[Rows]:
        """Return one array ``(b, dim)`` for each spec of the batch."""
        ...


@dataclass(frozen=True)
class Timed:
    """Step with a measurement of its time, which can be sent to other processes."""

    step: Callable[[Batch], list[Rows]]

    def __call__(self, batch: Batch) -> Done:
        """Run the step."""
        began = time.perf_counter()
        rows = self.step(batch)
        return Done(batch, rows, time.perf_counter() - began)


def each(run: Callable[[T], R], todo: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """Yield a function's result for each item, in any order; see `threads.in_any_order`.

    The number of torch's threads is that of before when this ends.
    """
    with torch_threads_restored():
        yield from in_any_order(run, todo, workers)


def is_watched(progress: bool | None) -> bool:
    """Return True if a progress bar is shown: as set, or in a terminal or a notebook if None."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules if progress is None else progress


def progress_bar(total: int, name: str, unit: str, progress: bool | None) -> Any:
    """Return a progress bar; a notebook without ipywidgets shows it as text."""
    return tqdm(total=total, desc=name, unit=unit, delay=1, disable=not is_watched(progress))
