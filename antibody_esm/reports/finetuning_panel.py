"""Fine-tuning in each fold: epochs that ran, losses that chose them, and the frozen model beside it."""

import html
import textwrap
from typing import Any

import numpy as np

from antibody_esm.evaluation.interval import short
from antibody_esm.evaluation.paired import Comparison
from antibody_esm.finetuning_facts import FineTuningFacts
from antibody_esm.reports import elements
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import Column
from antibody_esm.reports.names import counted

_LINE = 80
"""Width of a terminal."""
_FOLDS = 20
"""Most folds that a terminal lists one by one."""
_HEADS = ("", "epoch", "of", "loss", "frozen", "rows", "held out", "seconds")


def lines(report: Analysis) -> list[str]:
    """Return the lines of a terminal: epochs and losses of each fold, and sentences; none for a frozen model."""
    if not report.finetuned:
        return []
    table = []
    if len(report.finetuned) <= _FOLDS:
        rows = [list(_HEADS), *_rows(report)]
        table = ["".join(f"{cell:>9}" if i else f"{cell:<20}" for i, cell in enumerate(row[:-1])) for row in rows]
    heading = "Fine-tuning on the training antibodies of each fold"
    wrapped = [line for sentence in sentences(report) for line in ("", *textwrap.wrap(sentence, _LINE))]
    return [heading, *(line.rstrip() for line in table), *wrapped]


def notebook(report: Analysis) -> str:
    """Return table and sentences as HTML for a notebook; empty for a frozen model."""
    if not report.finetuned:
        return ""
    heads = "".join(f"<th>{name}</th>" for name in _HEADS)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in _rows(report))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return table + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences(report))


def parts(report: Analysis, figures: object) -> list[Part]:
    """Return the part of a page; none for a frozen model."""
    if not report.finetuned:
        return []
    rows = [("", [html.escape(cell) for cell in row]) for row in _rows(report)]
    note = (
        "The epoch is the one with the lowest loss on the held-out rows, of those that ran; 0 is the frozen model. "
        "Seconds are those of this run: an adapter that was kept takes none."
    )
    return [Part("Fine-tuning", f"{elements.bullets(sentences(report))}{elements.table(list(_HEADS), rows, note)}")]


def record(report: Analysis) -> dict[str, Any]:
    """Return epochs and losses of each fold as plain JSON values, without durations; empty for a frozen model."""
    if not report.finetuned:
        return {}
    folds = [{"fold": name, **facts.plain()} for name, facts in zip(_names(report), report.finetuned, strict=True)]
    return {"finetuned": {"folds": folds, "sentences": sentences(report)}}


def of_column(column: Column) -> list[str]:
    """Return the sentence on each fine-tuned pipeline on a data set."""
    tuned = {row: report for row, report in column.reports.items() if report.finetuned}
    return [f"{row.name}: {_epochs(report.finetuned)}" for row, report in tuned.items()]


def sentences(report: Analysis) -> list[str]:
    """Return the epochs that were kept, and the difference to the frozen model."""
    if not report.finetuned:
        return []
    against = frozen(report)
    beside = [] if against is None else [f"Against the frozen language model: {against.sentence(subject=False)}"]
    return [_epochs(report.finetuned), *beside]


def frozen(report: Analysis) -> Comparison | None:
    """Return the comparison with the frozen model on the same folds; None without it."""
    title = report.baseline_title("frozen")
    return next((each for each in report.comparisons if each.other == title), None)


def _epochs(finetuned: tuple[FineTuningFacts, ...]) -> str:
    epochs = [facts.epochs for facts in finetuned]
    n, frozen = len(epochs), epochs.count(0)
    kept = f"epoch {min(epochs)}" if min(epochs) == max(epochs) else f"epochs {min(epochs)} to {max(epochs)}"
    text = (
        f"In {counted(n, 'fold')} the weights of {kept} (median {np.median(epochs):g}) were kept, chosen on "
        f"{_range([facts.held_out for facts in finetuned])} of {_range([facts.rows for facts in finetuned])} training "
        "antibodies, never on scored ones."
    )
    if frozen:
        text += f" In {frozen} of {n} no epoch was better than the frozen model, whose vectors were then read."
    divided = sum(facts.divided == "rows" for facts in finetuned)
    if divided:
        text += (
            f" In {divided} of {n} single antibodies were held out, not whole units of the split: no units have both "
            "classes, leave both, and are at most half of the antibodies. The epoch may then be chosen on relatives of "
            "trained ones."
        )
    return text


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _names(report: Analysis) -> list[str]:
    n = len(report.finetuned) // report.repeats
    several = report.repeats > 1
    return [
        f"repeat {number // n + 1}, fold {number % n}" if several else f"fold {number}"
        for number in range(len(report.finetuned))
    ]


def _rows(report: Analysis) -> list[list[str]]:
    """Return name, epoch, epochs that ran, losses, rows and duration of each fold."""
    return [
        [
            name,
            str(facts.epochs),
            str(len(facts.losses) - 1),
            short(facts.losses[facts.epochs], 3),
            short(facts.losses[0], 3),
            f"{facts.rows:,}",
            f"{facts.held_out:,}",
            f"{facts.seconds:.0f}",
        ]
        for name, facts in zip(_names(report), report.finetuned, strict=True)
    ]
