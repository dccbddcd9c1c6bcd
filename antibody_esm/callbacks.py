"""Callbacks that get each finished result, such as trackers of experiments."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Protocol, TypeVar

logger = logging.getLogger("antibody_esm")
_ACTIVE: "ContextVar[tuple[Callback, ...]]" = ContextVar("antibody_esm-callbacks", default=())
_Class = TypeVar("_Class", bound=type)


class Callback(Protocol):
    """Interface of callbacks: one method."""

    def finished(self, result: Any) -> None:
        """Take a finished result, which must not be changed.

        Parameters
        ----------
        result
            `Report` of `Trainer.cross_validate` or `evaluate`, `LearningCurve`, fitted `Predictor`, or `GridReport` of
            `Benchmark.run` and `Panel.evaluate`. `Benchmark.run` passes on its `GridReport` alone, since
            results that are read from its folder are not computed again.
        """


@contextmanager
def tracking(*callbacks: Callback) -> Iterator[None]:
    """Pass each result that is finished within the block to callbacks.

    This concerns `Trainer.cross_validate`, `fit` and `learning_curve`, `Predictor.evaluate`, also of loaded models,
    `Panel` and `Benchmark`, in the thread of the block. A panel passes on the result of each label. If a callback
    raises an error, a warning is logged, and the result is returned all the same.

    Parameters
    ----------
    callbacks
        Objects with the method `Callback.finished`. Those of an outer block are called too, and before.

    Examples
    --------
    >>> from antibody_esm import Trainer, load_dataset
    >>> class Names:
    ...     def finished(self, result):
    ...         print(type(result).__name__)
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> with tracking(Names()):
    ...     predictor = Trainer("descriptors").fit(data, uncertainty=False)
    Predictor
    """
    token = _ACTIVE.set((*_ACTIVE.get(), *callbacks))
    try:
        yield
    finally:
        _ACTIVE.reset(token)


@contextmanager
def untracked() -> Iterator[None]:
    """Pass no result of the block to callbacks: they are parts of a result that is passed on."""
    token = _ACTIVE.set(())
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def announces(*names: str) -> Callable[[_Class], _Class]:
    """Return a decorator of a class whose methods of these names pass their results to callbacks."""

    def decorated(cls: _Class) -> _Class:
        for name in names:
            setattr(cls, name, _announced(vars(cls)[name]))
        return cls

    return decorated


def _announced(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def called(*arguments: Any, **options: Any) -> Any:
        result = method(*arguments, **options)
        for callback in _ACTIVE.get():
            try:
                callback.finished(result)
            except Exception as error:  # noqa: BLE001  hours of work are not lost to a tracker
                kind = type(callback).__name__
                logger.warning("%s.finished raised %s: %s; the result is complete", kind, type(error).__name__, error)
        return result

    return called
