"""Lines on standard error about slow work: one soon after the start, one for each step, and one a minute."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from antibody_esm.progress import Notice, Step, logger, running

AT_ONCE = 0.1
"""Seconds after which a command that still works prints its first line."""
INTERVAL = 60.0
"""Seconds between two lines of a step, if standard error is no terminal."""


@contextmanager
def progress_lines(
    write: Callable[[str], None], *, at_once: float = AT_ONCE, interval: float = INTERVAL
) -> Iterator[None]:
    """Print lines about the steps of the work in this block.

    Parameters
    ----------
    write
        Function that prints a line.
    at_once
        Seconds until the first line; work that ends before has none.
    interval
        Seconds between two lines of a step. A terminal has progress bars instead.
    """
    lines = _Lines(write, interval)
    level, end = logger.level, threading.Event()
    thread = threading.Thread(target=lines.watch, args=(at_once, end), name="antibody_esm-progress", daemon=True)
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    thread.start()
    try:
        yield
    finally:
        end.set()
        logger.setLevel(level)
        logger.removeHandler(lines)


class _Lines(logging.Handler):
    """Print the begin of steps, each name once in an interval, and the running step after an interval of silence."""

    def __init__(self, write: Callable[[str], None], interval: float) -> None:
        super().__init__()
        self._write = write
        self._interval = interval
        self._began = self._last = time.monotonic()
        self._printed: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Print the begin of a step."""
        begun = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(begun, Notice):
            self._write(begun)
        if not isinstance(begun, Step):
            return
        now = time.monotonic()
        if now - self._printed.get(begun.name, -self._interval) >= self._interval:
            self._printed[begun.name] = now
            self._print(str(begun))

    def watch(self, at_once: float, end: threading.Event) -> None:
        """Print lines until the event is set."""
        if end.wait(at_once):
            return
        while running() is None and not end.wait(0.02):
            pass
        if (first := running()) is not None and not self._printed:
            self._print(str(first))
        while not end.wait(max(self._interval / 20, 0.001)):
            step, now = running(), time.monotonic()
            if step is None or not step.name:  # nothing runs, or it waits
                self._last = now
            elif now - self._last >= self._interval and not _is_terminal():
                self._printed[step.name] = now
                self._print(f"{step}; {_duration(now - self._began)} since the start")

    def _print(self, text: str) -> None:
        self._last = time.monotonic()
        self._write(f"{text} ...")


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _duration(seconds: float) -> str:
    """Return a duration as text.

    Examples
    --------
    >>> _duration(61), _duration(3 * 3600 + 65), _duration(4)
    ('1 min', '3 h 1 min', '4 s')
    """
    hours, minutes = divmod(int(seconds) // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
