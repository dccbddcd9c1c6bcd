"""Steps of slow work that are running now, which commands print as lines."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("antibody_esm.progress")
"""Logger of a line at the begin of each step, at the level INFO."""

_RUNNING: "list[Step]" = []


class Step:
    """A step of slow work, and how far it is.

    Parameters
    ----------
    name
        Name of the step for users, such as ``numbering``; a step without a name has no lines, such as waiting.
    total
        Number of items; None if it is not known.
    unit
        Name of the items, in the plural.
    """

    def __init__(self, name: str, total: int | None = None, unit: str = "") -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.done = 0
        self.began = time.monotonic()

    def update(self, count: int) -> None:
        """Add a number of finished items."""
        self.done += count

    def __str__(self) -> str:
        """Return the step, and how far it is.

        Examples
        --------
        >>> step = Step("numbering", 2000, "sequences")
        >>> str(step)
        'numbering: 2,000 sequences'
        >>> step.update(500)
        >>> str(step)
        'numbering: 500 of 2,000 sequences'
        """
        if self.total is None:
            return self.name
        done = f"{self.done:,} of " if self.done else ""
        return f"{self.name}: {done}{self.total:,} {self.unit}"


class Notice(str):
    """Sentence about slow work that begins, which commands print."""


@contextmanager
def step(name: str, total: int | None = None, unit: str = "", *, announced: bool = True) -> Iterator[Step]:
    """Yield a step that is running until the end of the block.

    Parameters
    ----------
    name, total, unit
        As for `Step`.
    announced
        True logs a line at its begin.
    """
    now = Step(name, total, unit)
    _RUNNING.append(now)
    if announced and total != 0:
        logger.info("%s", now)
    try:
        yield now
    finally:
        _RUNNING.remove(now)


def running() -> Step | None:
    """Return the step that began last and still runs; None if there is none."""
    return _RUNNING[-1] if _RUNNING else None
