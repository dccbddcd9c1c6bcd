"""Parallel calls in threads that have ended when the caller continues, even after an interrupt or an error."""

import contextlib
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from threading import Condition
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

from antibody_esm.cluster import dask_client, on_workers, threads_of

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class Finishing:
    """Context manager that, at its end, waits for running calls and refuses those that have not begun.

    After an error or Ctrl-C, joblib neither stops nor joins the threads of its pool. If the process ends while such a
    thread runs compiled code, Python unwinds its stack, C++ calls `std::terminate`, and the process dies by SIGABRT
    after it has printed its result.
    """

    def __init__(self) -> None:
        self._running = 0
        self._over = False
        self._changed = Condition()

    def __call__(self, run: Callable[P, T]) -> Callable[P, T]:
        """Return a function whose calls are counted; if calls run in other processes, the function itself."""
        if runs_elsewhere():  # a counter cannot be sent to other processes
            return run

        def counted(*arguments: P.args, **keywords: P.kwargs) -> T:
            with self._changed:
                if self._over:
                    raise RuntimeError("the caller has ended")
                self._running += 1
            try:
                return run(*arguments, **keywords)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

        return counted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._changed:
            self._over = True
            self._changed.wait_for(lambda: self._running == 0)


def in_threads(run: Callable[..., T], calls: Iterable[tuple[Any, ...]], workers: int | None = None) -> list[T]:
    """Return the results of a function for each tuple of arguments, in order.

    All calls have ended when this returns or raises, unless `joblib.parallel_config` chose other processes. Filters of
    warnings are then those of before: calls that change them for a while may restore those of each other.

    Parameters
    ----------
    workers
        Number of concurrent calls; None is one per usable core.

    Examples
    --------
    >>> in_threads(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    from sklearn.utils.parallel import Parallel, delayed

    if (client := dask_client()) is not None:
        results = dict(on_workers(client, _Unpacked(run), calls))
        return [results[number] for number in range(len(results))]
    with warnings.catch_warnings(), Finishing() as finishing:
        counted = delayed(finishing(run))
        return list(Parallel(n_jobs=workers or -1, prefer="threads")(counted(*call) for call in calls))


def in_any_order(run: Callable[[T], R], todo: Iterable[T], workers: int | None = None) -> Iterator[R]:
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

    Raises
    ------
    ClusterError
        If a cluster is lost, see `cluster.on_workers`.
    """
    import joblib

    if workers is None and (client := dask_client()) is not None:
        with contextlib.closing(on_workers(client, run, todo)) as results:
            yield from (result for _, result in results)
        return
    shared = None if workers is None else "sharedmem"
    work = joblib.Parallel(
        n_jobs=workers, prefer="threads", require=shared, return_as="generator_unordered", batch_size=1
    )
    with Finishing() as finishing:
        waited_for = finishing(run)
        yield from closing(work(joblib.delayed(waited_for)(item) for item in todo))


@dataclass(frozen=True)
class _Unpacked(Generic[R]):
    """Function of a tuple of arguments."""

    run: Callable[..., R]

    def __call__(self, arguments: tuple[Any, ...]) -> R:
        return self.run(*arguments)


def concurrency(workers: int | None = None) -> int:
    """Return the number of calls that run at a time: in so many threads, or on the backend of joblib.

    Raises
    ------
    ClusterError
        If the backend's cluster is lost.
    """
    from joblib import effective_n_jobs

    client = dask_client()
    return int(effective_n_jobs(workers)) if client is None else threads_of(client)


def usable_threads() -> int:
    """Return the number of threads for work in this process: one per usable core, or 1 in a call on a cluster."""
    from joblib import cpu_count
    from joblib.parallel import get_active_backend

    if runs_elsewhere():
        return int(cpu_count())
    backend, _ = get_active_backend(prefer="threads")
    return int(backend.effective_n_jobs(-1))


def runs_elsewhere() -> bool:
    """Return True if `joblib.parallel_config` has chosen a backend of other processes."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend(prefer="threads")
    return not getattr(backend, "supports_sharedmem", False)  # Dask's has no such attribute


def closing(results: Generator[T]) -> Iterator[T]:
    """Yield joblib's results; suppress its warning if the consumer stops early."""
    try:
        for result in results:  # noqa: UP028  yield from would close it with a warning
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()
