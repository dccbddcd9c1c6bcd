"""Batches that run in other processes, of this machine or of a cluster, as joblib hands them out."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec, RuntimeSpec

if TYPE_CHECKING:
    from antibody_esm.plm.extractor import Extractor

Rows = NDArray[np.float32]
Keep = Callable[[list[str], list[Rows]], None]


class Done(NamedTuple):
    """A batch that was computed."""

    indices: list[int]
    rows: list[Rows]
    """One array ``(b, dim)`` a view."""
    seconds: float
    """What it took, by the number of batches that run at the same time."""


@dataclass(frozen=True)  # of a tuple, Dask would make a graph of its own
class Task:
    """What another process needs to compute batches: names, and no weights."""

    spec: ExtractorSpec
    """Pinned, so that other files under the same name are an error there."""
    runtime: RuntimeSpec
    views: Sequence[ResolvedExtractorSpec]
    keep: Keep | None


def compute(task: Task, indices: list[int], sequences: list[str], at_once: int) -> Done:
    """Compute a batch, and keep its rows where the process runs."""
    began = time.perf_counter()
    rows = _extractor(task.spec, task.runtime).batch(sequences, task.views)
    if task.keep is not None:
        task.keep(sequences, rows)
    return Done(indices, rows, (time.perf_counter() - began) / at_once)


def run(task: Task, batches: Iterable[list[int]], sequences: list[str]) -> Generator[Done]:
    """Give batches as they are done, in any order. One that is lost with its process, the backend runs again."""
    import joblib

    at_once = joblib.effective_n_jobs(None)
    work = joblib.Parallel(n_jobs=None, prefer="threads", return_as="generator_unordered", batch_size=1)
    once = (list(dict.fromkeys(batch)) for batch in batches)
    given = (joblib.delayed(compute)(task, batch, [sequences[i] for i in batch], at_once) for batch in once)
    found: Generator[Done] = work(given)
    return found


_here: dict[Any, "Extractor"] = {}
_lock = Lock()


def _extractor(spec: ExtractorSpec, runtime: RuntimeSpec) -> "Extractor":
    """Return this process's extractor of a spec, with its model loaded: once, whichever of its threads comes first."""
    from antibody_esm.plm.extractor import Extractor

    with _lock:
        if (spec, runtime.device) not in _here:
            _here.clear()  # one model a process
            _here[spec, runtime.device] = Extractor(spec, runtime)
            _here[spec, runtime.device].warm_up()
        return _here[spec, runtime.device]
