"""Interval around an estimate, in numbers as people read them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it; ``str()`` is short, like ``.812 [.74, .87]``.

    Attributes
    ----------
    estimate
        The score; NaN if it is not defined.
    low, high
        Ends of the interval; NaN if the data do not determine them, as if every resample of the rows gives one value.
    level
        Its nominal level, 0 to 1.
    method
        Name of the method.
    claimed
        True if its coverage is to be ``level``; False after cross-validation, for too few antibodies, and for every
        interval without ends.
    unclaimed
        The reason why it is not claimed; empty if it is.

    Examples
    --------
    >>> print(Interval(0.8123, 0.74, 0.8689, 0.95, "DeLong"))
    .812 [.74, .87]
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    claimed: bool = True
    unclaimed: str = ""

    def __post_init__(self) -> None:
        reason = self.unclaimed
        if not reason and np.isnan(self.estimate):
            reason = "the score is not defined"
        elif not reason and np.isnan(self.width):
            reason = "the data do not determine an interval"
        object.__setattr__(self, "claimed", self.claimed and not reason)
        object.__setattr__(self, "unclaimed", reason or ("" if self.claimed else "coverage is nominal"))

    @property
    def width(self) -> float:
        """Distance between the ends; NaN if they are unknown."""
        return self.high - self.low

    @property
    def ends(self) -> str:
        """The two ends in brackets, or ``unknown``."""
        return f"[{short(self.low)}, {short(self.high)}]" if np.isfinite(self.width) else "unknown"

    def __str__(self) -> str:
        if np.isnan(self.estimate):
            return "undefined"
        return f"{short(self.estimate, 3)} {self.ends if np.isfinite(self.width) else '[unknown]'}"


def short(value: float, digits: int = 2) -> str:
    """Return a number with so many decimals and without the zero before the point; ``undefined`` for NaN.

    Examples
    --------
    >>> short(0.8123), short(-0.049), short(-0.001), short(1.0), short(float("nan"))
    ('.81', '-.05', '.00', '1.00', 'undefined')
    """
    if np.isnan(value):
        return "undefined"
    text = f"{value:.{digits}f}"
    if not any(digit in "123456789" for digit in text):
        text = text.lstrip("-")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def compact(value: float) -> str:
    """Return a number with six digits at most, and without the zero before the point.

    Examples
    --------
    >>> compact(0.25), compact(-0.5), compact(3.0)
    ('.25', '-.5', '3')
    """
    return f"{value:g}".replace("0.", ".", 1) if 0 < abs(value) < 1 else f"{value:g}"
