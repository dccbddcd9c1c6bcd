"""Parallel calls in threads that have ended when the caller continues, even after an interrupt or an error."""

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from threading import Condition
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


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

    with warnings.catch_warnings(), Finishing() as finishing:
        counted = delayed(finishing(run))
        results = Parallel(n_jobs=workers or -1, prefer="threads")(counted(*call) for call in calls)
    return list(results)


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
