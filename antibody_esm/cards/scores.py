"""Scores in a manifest as a card shows them, with those of the best baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from antibody_esm.evaluation.interval import Interval, short
from antibody_esm.evaluation.metrics import METRIC, title
from antibody_esm.unknown import Unknown

SHOWN = 3
"""Most baselines beside the model."""


@dataclass(frozen=True)
class SavedScores:
    """Scores of a cross-validation as a manifest has them."""

    verdict: str
    """First sentence of the report; empty in models of earlier versions."""
    better: bool
    """True if the model is shown to be better than the best baseline."""
    pipeline: str
    design: str
    """Folds in words; empty in models of earlier versions."""
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    model: Mapping[str, str]
    """Score and interval of each metric, in words."""
    baselines: Mapping[str, Mapping[str, str]]
    """The same of the best baselines, best first."""
    estimates: Mapping[str, float]
    """Defined scores of the model."""


def scores_of(metrics: Mapping[str, Any], better_high: bool | None) -> SavedScores | Unknown:
    """Return the scores in a manifest; the reason if they have another form, which no check of the manifest refuses."""
    try:
        return _scores(metrics, better_high)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Unknown("those in the manifest cannot be read")


def _scores(metrics: Mapping[str, Any], better_high: bool | None) -> SavedScores:
    intervals, verdict = metrics.get("intervals"), metrics.get("verdict", {})
    names = [name for name in metrics.get("shown", metrics["scores"]) if name in METRIC]
    if intervals is None:  # an earlier version kept means of the folds only
        model = {name: _mean(metrics["scores"][name]) for name in names}
    else:
        model = {name: str(_interval(intervals[name])) for name in names}
    means = {name: metrics["scores"][name].get("mean") for name in names}
    titles = {name: title(name, better_high) for name in names}
    return SavedScores(
        str(verdict.get("sentence", "")),
        verdict.get("claim") == "better",
        str(metrics.get("pipeline", "")),
        str(metrics.get("design", "")),
        tuple(map(str, metrics.get("warnings", ()))),
        tuple(map(str, metrics["notes"])),
        {titles[name]: text for name, text in model.items()},
        {
            str(baseline["title"]): {titles[name]: str(_interval(baseline["intervals"][name])) for name in names}
            for baseline in metrics.get("baselines", [])[:SHOWN]
        },
        {name: float(mean) for name, mean in means.items() if mean is not None and np.isfinite(mean)},
    )


def _interval(facts: Mapping[str, Any]) -> Interval:
    numbers = [np.nan if facts[name] is None else float(facts[name]) for name in ("estimate", "low", "high")]
    return Interval(numbers[0], numbers[1], numbers[2], float(facts["level"]), str(facts["method"]))


def _mean(facts: Mapping[str, Any]) -> str:
    mean, sd = (np.nan if facts.get(name) is None else float(facts[name]) for name in ("mean", "sd"))
    return short(mean, 3) + ("" if np.isnan(sd) else f" (sd of the folds {short(sd, 3)})")
