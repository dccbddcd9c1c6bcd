"""Schedule of batches on workers, whose results come back in any order."""

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
    """Step with a measurement of its time, which can be sent to other processes."""

    step: Callable[[Batch], list[Rows]]

    def __call__(self, batch: Batch) -> Done:
        """Run the step."""
        began = time.perf_counter()
        rows = self.step(batch)
        return Done(batch, rows, time.perf_counter() - began)


def each(run: Callable[[T], R], todo: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """Yield a function's result for each item, in any order; when this ends, no call is running.

    Parameters
    ----------
    run
        Function that any thread may call; without ``workers`` it may be sent to other processes.
    todo
        Items, each taken just before a worker needs it, by one thread at a time.
    workers
        Threads of this process; None uses the backend of `joblib.parallel_config`, which runs an item again if its
        process was lost.
    """
    import joblib

    shared = None if workers is None else "sharedmem"
    work = joblib.Parallel(
        n_jobs=workers, prefer="threads", require=shared, return_as="generator_unordered", batch_size=1
    )
    with torch_threads_restored(), Finishing() as finishing:
        waited_for = finishing(run)
        yield from closing(work(joblib.delayed(waited_for)(item) for item in todo))


def is_watched(progress: bool | None) -> bool:
    """Return True if a progress bar is shown: as set, or in a terminal or a notebook if None."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules if progress is None else progress


def progress_bar(total: int, name: str, unit: str, progress: bool | None) -> Any:
    """Return a progress bar; a notebook without ipywidgets shows it as text."""
    return tqdm(total=total, desc=name, unit=unit, delay=1, disable=not is_watched(progress))
