"""Batches are handed to workers, and what they have done comes back in any order."""

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from antibody_esm.batch import Batch, Done, Rows
from antibody_esm.plm.devices import torch_threads_restored
from antibody_esm.threads import Finishing, closing

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
    """A step that measures its time; other processes can be sent one."""

    step: Callable[[Batch], list[Rows]]

    def __call__(self, batch: Batch) -> Done:
        """Run the step."""
        began = time.perf_counter()
        rows = self.step(batch)
        return Done(batch, rows, time.perf_counter() - began)


def each(run: Callable[[T], R], todo: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """Yield a function's result for each item, in any order; no call runs any more when this ends.

    Parameters
    ----------
    run
        Function that any thread may call; without ``workers`` other processes are sent it.
    todo
        Iterated over when a worker is about to need an item, by one thread at a time.
    workers
        Threads of this process; None hands items to the backend that `joblib.parallel_config` has chosen. An item that
        is lost with its process runs again there.
    """
    import joblib

    shared = None if workers is None else "sharedmem"
    work = joblib.Parallel(
        n_jobs=workers, prefer="threads", require=shared, return_as="generator_unordered", batch_size=1
    )
    with torch_threads_restored(), Finishing() as finishing:
        waited_for = finishing(run)
        yield from closing(work(joblib.delayed(waited_for)(item) for item in todo))


def is_watched(asked: bool | None) -> bool:
    """Return whether a progress bar is shown: as asked, else in a terminal or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules if asked is None else asked


def progress_bar(total: int, name: str, unit: str, asked: bool | None) -> Any:
    """Return a bar; a notebook without ipywidgets gets it as text."""
    return tqdm(total=total, desc=name, unit=unit, delay=1, disable=not is_watched(asked))
