"""Results as plain JSON values."""

from typing import Any

import numpy as np

from antibody_esm.evaluation.intervals import Interval
from antibody_esm.evaluation.overlap import Clones, SecondScores
from antibody_esm.evaluation.paired import Comparison
from antibody_esm.reports.scored import Slice


def number(value: Any) -> float | None:
    """Return a number as JSON has it; NaN and infinity are None."""
    return float(value) if np.isfinite(value) else None


def text(value: float) -> str:
    """Return a number for people: six digits at most, and none before the point below 1."""
    return f"{value:g}".replace("0.", ".", 1) if 0 < abs(value) < 1 else f"{value:g}"


def interval(one: Interval) -> dict[str, Any]:
    """Return an interval; unknown ends are None, and so is the reason beside a claimed one."""
    numbers = {name: number(getattr(one, name)) for name in ("estimate", "low", "high")}
    return {
        **numbers,
        "level": one.level,
        "method": one.method,
        "claimed": one.claimed,
        "unclaimed": one.unclaimed or None,
    }


def clones(counted: Clones, second: SecondScores | str | None) -> dict[str, Any]:
    """Return the count of antibodies with a clonal relative in another fold, and the scores without such relatives."""
    found: dict[str, Any] = counted._asdict()
    if isinstance(second, str):
        found["without_second"] = second
    elif second is not None:
        found["second"] = {metric: interval(second.interval(metric)) for metric in second.scores}
    return found


def part(one: Slice) -> dict[str, Any]:
    """Return the score of some antibodies."""
    return {"antibodies": one.antibodies, "positives": one.positives, "interval": interval(one.interval)}


def comparison(one: Comparison) -> dict[str, Any]:
    """Return a comparison, with the sentence to publish."""
    return {
        "one": one.one,
        "other": one.other,
        "metric": one.metric,
        "scores": None if one.scores is None else [number(score) for score in one.scores],
        "difference": interval(one.difference),
        "p_value": number(one.p_value),
        "adjusted": number(one.adjusted),
        "family": one.family,
        "verdict": one.verdict,
        "sentence": str(one),
    }
