"""Intervals on one axis, in letters of a terminal."""

import textwrap
from collections.abc import Sequence
from itertools import chain

import numpy as np

from antibody_esm.evaluation.interval import Interval, short

_LABEL = 29
"""Width of the names, which wrap."""
_SCORE = 8
"""Width of the scores."""


def axis(entries: Sequence[tuple[str, Interval]], width: int = 80) -> list[str]:
    r"""Return lines in which intervals share an axis, from the lowest to the highest end; none if a score is undefined.

    Examples
    --------
    >>> lines = [("ours", Interval(0.7, 0.6, 0.8, 0.95, "x")), ("theirs", Interval(0.6, 0.5, 0.7, 0.95, "x"))]
    >>> print("\n".join(axis(lines, 60)))
    ours                             .700         |-----o------|
    theirs                           .600  |------o-----|
                                           .50               .80
    """
    values = [value for _, each in entries for value in (each.estimate, each.low, each.high) if np.isfinite(value)]
    if not entries or not all(np.isfinite(interval.estimate) for _, interval in entries):
        return []
    low, high = min(values), max(values)
    columns = width - _LABEL - _SCORE - 2
    scale = (columns - 1) / (high - low) if high > low else 0.0

    def place(value: float) -> int:
        return round((value - low) * scale)

    def line(label: str, interval: Interval) -> list[str]:
        cells = [" "] * columns
        if np.isfinite(interval.width):
            ends = place(interval.low), place(interval.high)
            cells[ends[0] : ends[1] + 1] = "-" * (ends[1] - ends[0] + 1)
            cells[ends[0]] = cells[ends[1]] = "|"
        cells[place(interval.estimate)] = "o"
        *above, last = textwrap.wrap(label, _LABEL - 1, max_lines=2) or [""]
        return [*above, f"{last:<{_LABEL}}{short(interval.estimate, 3):>{_SCORE}}  {''.join(cells)}".rstrip()]

    ends = short(low), short(high)
    scale_line = " " * (_LABEL + _SCORE + 2) + ends[0] + ends[1].rjust(columns - len(ends[0]))
    return [*chain.from_iterable(line(*entry) for entry in entries), *([scale_line] if high > low else [])]
