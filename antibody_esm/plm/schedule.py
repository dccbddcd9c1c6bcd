"""Schedule of batches on workers, whose results come back in any order."""

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from antibody_esm.batch import Batch, Done, Rows
from antibody_esm.plm.devices import torch_threads_restored
from antibody_esm.progress import Step, step
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


_PLURALS = {"seq": "sequences"}
"""Plurals of units that take more than an s."""


class ProgressBar:
    """A progress bar, and the step that commands print as lines where nobody sees a bar.

    Parameters
    ----------
    bar
        Bar of tqdm.
    step
        Step of the work.
    """

    def __init__(self, bar: Any, step: Step) -> None:
        self._bar = bar
        self._step = step

    def update(self, count: int = 1) -> None:
        """Add a number of finished items."""
        self._bar.update(count)
        self._step.update(count)

    def write(self, text: str) -> None:
        """Print a line above the bar, on standard error."""
        self._bar.write(text, file=sys.stderr)

    def complete(self) -> None:
        """End here: the rest is not needed, or computed by other writers."""
        self._bar.total = self._bar.n


@contextmanager
def progress_bar(total: int, name: str, unit: str, progress: bool | None, step_name: str = "") -> Iterator[ProgressBar]:
    """Yield a progress bar; a notebook without ipywidgets shows it as text.

    Parameters
    ----------
    total
        Number of items.
    name, unit
        Name of the bar, and of one item.
    progress
        As in `RuntimeSpec`.
    step_name
        Name of the step in lines, such as ``embedding``; that of the bar if empty.
    """
    with (
        step(step_name or name, total, _PLURALS.get(unit, f"{unit}s"), announced=progress is not False) as now,
        tqdm(total=total, desc=name, unit=unit, delay=1, disable=not is_watched(progress)) as bar,
    ):
        yield ProgressBar(bar, now)
