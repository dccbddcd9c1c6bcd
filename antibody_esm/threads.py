"""Work in threads that has ended when its caller goes on, also if the caller was interrupted or an item failed."""

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from threading import Condition
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Finishing:
    """On leaving, wait for the calls that run, and refuse those that have not begun.

    joblib neither stops nor joins the threads of a pool that it gives up, after an error or Ctrl-C. If the process ends
    while such a thread is in compiled code, Python unwinds its stack, C++ calls `std::terminate` there, and the process
    dies by SIGABRT after it has printed its result.
    """

    def __init__(self) -> None:
        self._running = 0
        self._over = False
        self._changed = Condition()

    def __call__(self, run: Callable[P, T]) -> Callable[P, T]:
        """Return a function that does the same, and is waited for; in other processes, the function itself."""
        if runs_elsewhere():  # what counts calls cannot be sent there
            return run

        def counted(*arguments: P.args, **keywords: P.kwargs) -> T:
            with self._changed:
                if self._over:
                    raise RuntimeError("the caller has gone")
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
    """Return the results of a function for each tuple of arguments, in their order.

    No call runs any more when this returns or raises, unless `joblib.parallel_config` chose other processes.

    Parameters
    ----------
    workers
        Calls at a time; None is one per usable core.

    Examples
    --------
    >>> in_threads(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    from sklearn.utils.parallel import Parallel, delayed

    with Finishing() as finishing:
        counted = delayed(finishing(run))
        results = Parallel(n_jobs=workers or -1, prefer="threads")(counted(*call) for call in calls)
    return list(results)


def runs_elsewhere() -> bool:
    """Return whether `joblib.parallel_config` has chosen a backend of other processes."""
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
