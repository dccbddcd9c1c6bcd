"""Choices of a tuned pipeline: how stable they are, what to do, and the untuned pipeline beside it."""

import html
import textwrap
from collections import Counter
from typing import Any

import numpy as np

from antibody_esm.evaluation.interval import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.tuned import Selection, Tuned, validation_to_dict
from antibody_esm.reports import elements
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import Column
from antibody_esm.reports.names import counted
from antibody_esm.specs.tuning import Choice, described, plain

_LINE = 80
"""Width of a terminal."""
_FOLDS = 20
"""Most folds, or else most different choices, that a terminal lists one by one."""
_LISTED = 4
"""Most different choices that a sentence names."""


def lines(report: Analysis) -> list[str]:
    """Return the lines of a terminal: the choice of each fold, and sentences; none if nothing was tuned."""
    if report.tuned is None:
        return []
    rows = [(name, choice) for name, choice, *_ in _rows(report, report.tuned)]
    heading = "Choices on the training antibodies of each fold"
    if len(rows) > _FOLDS:
        heading = f"Choices on the training antibodies of {len(rows)} folds"
        rows = _counts(report.tuned)
    width = max(len(name) for name, _ in rows) + 2
    table = []
    for name, choice in rows:
        first, *more = textwrap.wrap(choice, _LINE - width) or [""]
        table += [f"{name:<{width}}{first}", *(" " * width + line for line in more)]
    return [
        heading,
        *table,
        *(line for sentence in sentences(report) for line in ("", *textwrap.wrap(sentence, _LINE))),
    ]


def notebook(report: Analysis) -> str:
    """Return table and sentences as HTML for a notebook; empty if nothing was tuned."""
    if report.tuned is None:
        return ""
    heads = "".join(f"<th>{name}</th>" for name in _heads(report))
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in _rows(report, report.tuned)
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return table + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences(report))


def parts(report: Analysis, figures: object) -> list[Part]:
    """Return the part of a page; none if nothing was tuned."""
    tuned = report.tuned
    if tuned is None:
        return []
    rows = [("", [html.escape(cell) for cell in row]) for row in _rows(report, tuned)]
    table = elements.table(
        _heads(report), rows, "Each fold chose on its training antibodies; the test score is that of its choice."
    )
    metric = METRIC[_metric(report)].title
    scores = sorted(tuned.final.scores.items(), key=lambda each: _order(report, each[1]))
    every = [("", [html.escape(described(tuned.candidates[number])), short(score, 3)]) for number, score in scores]
    note = "Means of the inner folds of all antibodies, which choose; the best one is optimistic."
    candidates = elements.table(["candidate", metric], every, note)
    folded = f"<details><summary>All candidates on all antibodies</summary>{candidates}</details>"
    return [Part("Tuning", f"{elements.bullets(sentences(report))}{table}{folded}")]


def record(report: Analysis) -> dict[str, Any]:
    """Return choices and verdict as plain JSON values; empty if nothing was tuned."""
    tuned = report.tuned
    if tuned is None:
        return {}
    outer = _outer(report)
    return {
        "metric": _metric(report),
        "folds": [
            {
                "choice": _plain(tuned, each),
                "inner": each.scores[each.chosen],
                "score": None if np.isnan(value) else value,
            }
            for each, value in zip(tuned.selections, outer, strict=True)
        ],
        "values": {key: dict(tuned.values(key)) for key in tuned.keys},
        "share": tuned.share,
        "agreeing": tuned.agreeing,
        "stability": tuned.stability,
        "verdict": verdict(report),
        "sentences": sentences(report),
        "final": {
            "choice": _plain(tuned, tuned.final),
            "candidates": [
                {"choice": {key: plain(value) for key, value in tuned.candidates[number]}, "score": score}
                for number, score in tuned.final.scores.items()
            ],
        },
        "untuned_scores": None if tuned.untuned is None else validation_to_dict(tuned.untuned)["scores"],
    }


def sentences(report: Analysis) -> list[str]:
    """Return the sentences on a tuned pipeline: verdict, the final choice, and the untuned pipeline beside it."""
    tuned = report.tuned
    if tuned is None:
        return []
    best = short(tuned.final.scores[tuned.final.chosen], 3)
    metric = METRIC[_metric(report)].title
    final = (
        f"On all antibodies the choice is {described(tuned.choice)}, which fit saves ({metric} {best} on inner folds; "
        "optimistic, since it was chosen by that). The scores of this report are those of the procedure, on antibodies "
        "without a part in the choice."
    )
    beside = [] if report.against_untuned is None else [report.against_untuned.sentence(subject=False)]
    return [verdict(report), final, *beside, *_budget(tuned)]


def of_column(column: Column) -> list[str]:
    """Return the verdict of each tuned pipeline on a data set."""
    tuned = {row: report for row, report in column.reports.items() if report.tuned is not None}
    return [f"{row.name}: {verdict(report)}" for row, report in tuned.items()]


def verdict(report: Analysis) -> str:
    """Return the sentences on the stability of the choice, with what to do."""
    tuned = report.tuned
    if tuned is None:
        return ""
    n = len(tuned.selections)
    if tuned.stability == "stable":
        text = f"All {n} folds chose {described(tuned.choice)}, as do all antibodies together: the choice is stable."
    else:
        agree = sum(each.chosen == tuned.final.chosen for each in tuned.selections)
        text = (
            f"Choices differ between folds ({_spread(tuned)}); {agree} of {n} have that of all antibodies together: "
            f"the choice is {tuned.stability}."
        )
    return f"{text} {_advice(report, tuned)}"


def _advice(report: Analysis, tuned: Tuned) -> str:
    """Return what to do."""
    comparison = report.against_untuned
    unstable = tuned.stability == "not stable"
    if comparison is None:
        return "It was not compared with the untuned pipeline."
    if comparison.verdict == "better":
        more = ", but do not read the single values as findings: others are as good" if unstable else ""
        return f"Keep the tuned pipeline, which is better than the untuned one{more}."
    if comparison.verdict == "worse":
        return "Prefer the untuned pipeline, which is better."
    if unstable:
        return (
            "Prefer the untuned pipeline: tuning is not shown to be better. Fewer values or more antibodies make a "
            "choice more stable."
        )
    return "Tuning is not shown to be better than the untuned pipeline: prefer that, or test both on other antibodies."


def _spread(tuned: Tuned) -> str:
    """Return the number of folds of each choice, or of each value if there are many choices."""
    counts = Counter(described(choice) for choice in tuned.of_folds).most_common()
    if len(counts) <= _LISTED:
        return "; ".join(f"{choice} in {number}" for choice, number in counts)
    return "; ".join(
        f"{key}: {', '.join(f'{value} in {number}' for value, number in tuned.values(key).most_common(_LISTED))}"
        for key in tuned.keys
    )


def _counts(tuned: Tuned) -> list[tuple[str, str]]:
    """Return the number of folds of each choice, the most frequent first."""
    counts = Counter(described(choice) for choice in tuned.of_folds).most_common()
    rows = [(counted(number, "fold"), choice) for choice, number in counts[:_FOLDS]]
    rest = sum(number for _, number in counts[_FOLDS:])
    return rows + ([(counted(rest, "fold"), counted(len(counts) - _FOLDS, "other choice"))] if rest else [])


def _budget(tuned: Tuned) -> list[str]:
    least, most = tuned.tried
    every = len(tuned.candidates)
    if most == every == least:
        return []
    tried = f"{least}" if least == most else f"{least} to {most}"
    again = (
        " The budget is a time, so another run or machine may choose otherwise."
        if tuned.spec.minutes is not None
        else ""
    )
    return [f"Each fold tried {tried} of {every} candidates, which Optuna proposed.{again}"]


def _rows(report: Analysis, tuned: Tuned) -> list[list[str]]:
    """Return name, choice, inner score and test score of each fold."""
    n = len(tuned.selections) // report.repeats
    outer = _outer(report)
    return [
        [
            f"repeat {number // n + 1}, fold {number % n}" if report.repeats > 1 else f"fold {number}",
            described(tuned.candidates[each.chosen]),
            short(each.scores[each.chosen], 3),
            short(outer[number], 3),
        ]
        for number, each in enumerate(tuned.selections)
    ]


def _heads(report: Analysis) -> list[str]:
    metric = METRIC[_metric(report)].title
    return ["", "choice", f"{metric}, inner folds", f"{metric}, test"]


def _metric(report: Analysis) -> str:
    tune = report.spec.tune
    return (tune.metric if tune is not None else None) or report.metric


def _outer(report: Analysis) -> list[float]:
    """Return the test score of each fold; NaN if one antibody at a time is left out."""
    values = [float(value) for value in report.scores[_metric(report)]]
    n = len(report.tuned.selections) if report.tuned is not None else 0
    return values if len(values) == n else [float("nan")] * n


def _order(report: Analysis, score: float) -> float:
    return -score if METRIC[_metric(report)].higher_is_better else score


def _plain(tuned: Tuned, selection: Selection) -> dict[str, Any]:
    choice: Choice = tuned.candidates[selection.chosen]
    return {key: plain(value) for key, value in choice}
