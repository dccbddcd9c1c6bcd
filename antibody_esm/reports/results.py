"""Sections of a page with scores: pipelines and baselines, their differences, and every metric of a report."""

import html
from collections.abc import Iterable

import numpy as np

from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports import elements, notes, panels
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import Column, GridAnalysis


def overview(grid: GridAnalysis, figures: panels.Figures) -> list[Part]:
    """Return the first metric of every pipeline and baseline on every data set, classes and values apart."""
    if len(grid.columns) == 1:
        return []
    tables = []
    for continuous in sorted({column.first.spec.is_regression for column in grid.columns}):
        columns = [column for column in grid.columns if column.first.spec.is_regression == continuous]
        metric = columns[0].first.metric
        rows = [row for row in grid.rows if any(row in column.cells for column in columns)]
        fragments = len({row.fragment for row in rows}) > 1
        lines = [
            (
                "baseline" if row.baseline else "pipeline",
                [html.escape(row.name), *([html.escape(row.fragment)] if fragments else [])]
                + [estimate(column.cells[row], metric) if row in column.cells else "" for column in columns],
            )
            for row in rows
        ]
        heads = ["", *(["part"] if fragments else []), *(column.title for column in columns)]
        caption = (
            f"{METRIC[metric].title} with 95 % intervals; pipelines in the order of the first column that has them, "
            "baselines below."
        )
        tables.append(elements.table(heads, lines, caption))
    return [Part("At a glance", "".join(tables))]


def results(grid: GridAnalysis, figures: panels.Figures) -> list[Part]:
    """Return a section for each data set: table, sentences and figures of its pipelines and baselines."""
    return [_result(grid, column, figures) for column in grid.columns]


def _result(grid: GridAnalysis, column: Column, figures: panels.Figures) -> Part:
    alone = len(grid.reports) == 1
    coverage = [note for note in map(notes.coverage, column.reports.values()) if note]
    nominal = f"<p class='small'>{elements.sentence(min(coverage, key=len))}</p>" if coverage else ""
    first = _of_report(column.first) if alone else elements.bullets(notes.sentences(grid, column))
    body = [
        f"<p class='lead'>{html.escape(column.first.counts)}</p>" if len(grid.columns) > 1 else "",
        first,
        elements.table(_heads(column), list(_lines(column)), "Scores with 95 % intervals; baselines below."),
        nominal,
        figures.figures(panels.of_column(grid, column), level=3),
    ]
    return Part("Result" if len(grid.columns) == 1 else column.title, "".join(body))


def _of_report(report: Analysis) -> str:
    """Return the first score of a report alone, with its notes."""
    interval, metric = report.intervals[report.metric], METRIC[report.metric].title
    return (
        f"<p class='hero'><strong>{short(interval.estimate, 3)}</strong> {metric}, 95 % interval "
        f"<span class='nobr'>{interval.ends}</span></p>{notes_of(report)}"
    )


def _heads(column: Column) -> list[str]:
    fragments = len({row.fragment for row in column.cells}) > 1
    return ["", *(["part"] if fragments else []), *(METRIC[name].title for name in _main(column.first))]


def _main(report: Analysis) -> list[str]:
    """Return the metrics of the first table."""
    if report.spec.is_regression:
        return ["spearman", "pearson", "rmse"]
    return ["roc_auc", "pr_auc", "balanced_accuracy", "mcc"]


def _lines(column: Column) -> Iterable[tuple[str, list[str]]]:
    fragments = len({row.fragment for row in column.cells}) > 1
    for row, scored in column.cells.items():
        cells = [estimate(scored, name) for name in _main(column.first)]
        kind = "baseline" if row.baseline else "pipeline"
        yield kind, [html.escape(row.name), *([html.escape(row.fragment)] if fragments else []), *cells]


def estimate(scored: ScoredPredictions, metric: str) -> str:
    """Return the cell of a score and its interval."""
    interval = scored.intervals[metric]
    if np.isnan(interval.estimate):
        return "undefined"
    return f"{short(interval.estimate, 3)} <span class='ends'>{interval.ends}</span>"


def notes_of(report: Analysis) -> str:
    """Return the remarks of one report, without those that stand elsewhere on the page."""
    elsewhere = (notes.coverage(report), *notes.warnings(report))
    return elements.bullets([remark for remark in notes.remarks(report) if remark not in elsewhere])


def metrics(report: Analysis, figures: panels.Figures) -> list[Part]:
    """Return the table of every metric of a report."""
    folded = report.is_cross_validation
    lines = []
    for name in report.shown:
        interval, defined = report.intervals[name], report.scored.defined(name)
        numbers = [short(interval.estimate, 3)]
        if folded:
            numbers.append(short(defined.std(ddof=1), 3) if len(defined) > 1 else "")
        less = "" if METRIC[name].higher_is_better else " <span class='small'>less is better</span>"
        lines.append(("", [report.metric_title(name) + less, *numbers, interval.ends, html.escape(interval.method)]))
    heads = ["", "mean" if folded else "score", *(["sd over folds"] if folded else []), "95 % interval", "method"]
    table = elements.table(
        heads,
        lines,
        "The method is that of the interval." + (" sd is that of folds, not of the mean." if folded else ""),
        last="text",
    )
    return [Part("Every metric", table)]
