"""Batches that run are finished before their caller goes on, also where it was interrupted or has seen enough."""

import warnings
from collections.abc import Callable, Generator, Iterator
from threading import Condition
from types import TracebackType
from typing import Self, TypeVar

B = TypeVar("B")
T = TypeVar("T")


class Finishing:
    """On leaving, wait for the calls that run, and refuse those that have not begun.

    A thread that still computes when the process ends would end it with a crash, and what it has computed would be
    lost.
    """

    def __init__(self) -> None:
        self._running = 0
        self._over = False
        self._changed = Condition()

    def __call__(self, run: Callable[[B], T]) -> Callable[[B], T]:
        """Return a function that does the same, and is waited for."""

        def counted(batch: B) -> T:
            with self._changed:
                if self._over:
                    raise RuntimeError("the caller has gone")
                self._running += 1
            try:
                return run(batch)
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


def closing(results: Generator[T]) -> Iterator[T]:
    """Give what joblib gives, and leave it without a word to people who take no more."""
    try:
        for one in results:  # noqa: UP028  yield from would close it with a warning
            yield one
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()
