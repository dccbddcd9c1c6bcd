"""One HTML page of reports that loads nothing, has a light and a dark style, and can be printed.

It has no script, and a policy that forbids every load; figures are inline SVG. The same results give the same bytes.
"""

import html
import json
from collections.abc import Iterable

import numpy as np

from antibody_esm.data.audit import Finding
from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports import elements, learning_curve, notes, panels, reproduction
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.context import MANY
from antibody_esm.reports.grid_analysis import Column, GridAnalysis

_KIND = "<p class='kind'>antibody_esm report</p>"


def page(grid: GridAnalysis) -> str:
    """Return the page of a grid of reports, or of a single one."""
    figures = panels.Figures()
    alone = grid.reports[0] if len(grid.reports) == 1 else None
    pipelines = [row for row in grid.rows if not row.baseline]
    title = alone.title if alone else _title(grid, len(pipelines))
    body = [_header(grid, title) if alone is None else _header_of_report(alone)]
    body += [_overview(grid)] if len(grid.columns) > 1 else []
    body += [_result(grid, column, figures) for column in grid.columns]
    body += [_detail(report, name, figures, alone=alone is not None) for name, report in _named(grid)]
    body += learning_curve.sections(grid, figures)
    body += [_data(grid), _provenance(grid), _reproduce(grid)]
    return elements.document(title, body)


def _title(grid: GridAnalysis, pipelines: int) -> str:
    """Return the title of several reports."""
    if grid.labels:
        return (
            f"{grid.verdicts[0].row.name if pipelines == 1 else f'{pipelines} pipelines'} on {len(grid.labels)} labels"
        )
    return f"{pipelines} pipelines, {len(grid.columns)} results"


def _header(grid: GridAnalysis, title: str) -> str:
    sources = ", ".join(dict.fromkeys(report.source for report in grid.reports))
    return f"<header>{_KIND}<h1>{html.escape(title)}</h1><p class='lead'>{html.escape(sources)}</p></header>"


def _header_of_report(report: Analysis) -> str:
    interval, metric = report.intervals[report.metric], METRIC[report.metric].title
    lines = [
        f"{_KIND}<h1>{html.escape(report.title)}</h1>",
        f"<p class='lead'>{html.escape(report.counts)}</p><p>{html.escape(report.source)}</p>",
        f"<p class='hero'><strong>{short(interval.estimate, 3)}</strong> {metric}, 95 % interval "
        f"<span class='nobr'>{interval.ends}</span></p>",
        *map(elements.warning, notes.warnings(report)),
    ]
    return f"<header>{''.join(lines)}</header>"


def _overview(grid: GridAnalysis) -> str:
    """Return the first metric of every pipeline and baseline on every data set, classes and values apart."""
    tables = [_verdicts(grid)] if grid.labels else []
    for continuous in sorted({column.first.spec.is_regression for column in grid.columns}):
        columns = [column for column in grid.columns if column.first.spec.is_regression == continuous]
        metric = columns[0].first.metric
        rows = [row for row in grid.rows if any(row in column.cells for column in columns)]
        fragments = len({row.fragment for row in rows}) > 1
        lines = [
            (
                "baseline" if row.baseline else "pipeline",
                [html.escape(row.name), *([html.escape(row.fragment)] if fragments else [])]
                + [_estimate(column.cells[row], metric) if row in column.cells else "" for column in columns],
            )
            for row in rows
        ]
        heads = ["", *(["part"] if fragments else []), *(column.title for column in columns)]
        caption = (
            f"{METRIC[metric].title} with 95 % intervals; pipelines in the order of the first column that has them, "
            "baselines below."
        )
        tables.append(elements.table(heads, lines, caption))
    warnings = "".join(
        f"<p class='warn'>{html.escape(column.title)}: {elements.sentence(warning)}</p>"
        for column in grid.columns
        for warning in notes.column_warnings(column)
    )
    return f"<section><h2>At a glance</h2>{warnings}{''.join(tables)}</section>"


def _verdicts(grid: GridAnalysis) -> str:
    """Return the table with a row for each label and pipeline: score, best baseline and verdict."""
    several = len({each.row for each in grid.verdicts}) > 1
    metrics = {each.column.first.metric for each in grid.verdicts}
    lines = []
    for each in grid.verdicts:
        metric, report = each.column.first.metric, each.column.first
        better = {True: "high is better", False: "low is better", None: ""}[report.data.higher_is_better]
        against, claim = "none", ""
        if each.baseline is not None and each.comparison is not None:
            score = short(each.column.cells[each.baseline].intervals[metric].estimate, 3)
            against, claim = f"{html.escape(each.baseline.name)} {score}", each.comparison.claim
        cells = [
            f"<strong>{html.escape(each.label)}</strong>{'' if report.is_cross_validation else ', test'}"
            f"<br><span class='small'>{better}</span>",
            *([html.escape(each.row.name)] if several else []),
            f"{report.number[0]:,}",
            (f"{METRIC[metric].title} " if len(metrics) > 1 else "") + _estimate(each.scored, metric),
            against,
            claim,
        ]
        lines.append(("", cells))
    score = METRIC[metrics.pop()].title if len(metrics) == 1 else "score"
    heads = ["", *(["pipeline"] if several else []), "antibodies", score, "best baseline", "verdict"]
    family = next((each.comparison.family for each in grid.verdicts if each.comparison), 0)
    caption = (
        f"Verdicts are against the best baseline, with Holm's correction for all {family} comparisons of this page."
    )
    return elements.table(heads, lines, caption, last="text")


def _result(grid: GridAnalysis, column: Column, figures: panels.Figures) -> str:
    """Return the section of one data set: table, sentences and figures of its pipelines and baselines."""
    sentences = notes.sentences(grid, column)
    above = len(grid.columns) > 1 or len(grid.reports) == 1  # then the page has its warnings at the top
    warnings = "" if above else "".join(map(elements.warning, notes.column_warnings(column)))
    claim = f"<p class='claim'>{elements.sentence(sentences[0])}</p>" if len(sentences) == 1 else None
    coverage = [note for note in map(notes.coverage, column.reports.values()) if note]
    nominal = f"<p class='small'>{html.escape(min(coverage, key=len))}</p>" if coverage else ""
    heading = "Result" if len(grid.columns) == 1 else column.title
    return (
        f"<section><h2>{html.escape(heading)}</h2>"
        + (f"<p class='lead'>{html.escape(column.first.counts)}</p>" if len(grid.columns) > 1 else "")
        + warnings
        + (
            f"<ul>{''.join(f'<li>{elements.sentence(text)}</li>' for text in sentences)}</ul>"
            if claim is None
            else claim
        )
        + (_notes(column.first) if len(grid.reports) == 1 else "")
        + elements.table(_heads(column), list(_lines(column)), "Scores with 95 % intervals; baselines below.")
        + nominal
        + figures.figures(panels.of_column(grid, column), level=3)
        + "</section>"
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
        cells = [_estimate(scored, name) for name in _main(column.first)]
        kind = "baseline" if row.baseline else "pipeline"
        yield kind, [html.escape(row.name), *([html.escape(row.fragment)] if fragments else []), *cells]


def _estimate(scored: ScoredPredictions, metric: str) -> str:
    interval = scored.intervals[metric]
    if np.isnan(interval.estimate):
        return "undefined"
    return f"{short(interval.estimate, 3)} <span class='ends'>{interval.ends}</span>"


def _detail(report: Analysis, name: str, figures: panels.Figures, *, alone: bool) -> str:
    """Return the figures and all metrics of one report."""
    parts = [
        "" if alone else _notes(report),
        "<h3>Every metric</h3>" + _metrics(report),
        "".join(
            f"<h3>{heading}</h3>{f'<p>{caption}</p>' if caption else ''}{figures.figures(group)}"
            for heading, caption, group in panels.of_report(report)
            if group
        ),
    ]
    body = "".join(parts)
    if alone:
        return f"<section><h2>In detail</h2>{body}</section>"
    return f"<section><details><summary><h2>{html.escape(name)}</h2></summary>{body}</details></section>"


def _notes(report: Analysis) -> str:
    """Return the remarks of one report, without those that stand elsewhere on the page."""
    elsewhere = (notes.coverage(report), *notes.warnings(report))
    return elements.bullets([remark for remark in notes.remarks(report) if remark not in elsewhere])


def _metrics(report: Analysis) -> str:
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
    return elements.table(
        heads,
        lines,
        "The method is that of the interval." + (" sd is that of folds, not of the mean." if folded else ""),
        last="text",
    )


def _data(grid: GridAnalysis) -> str:
    """Return the audit of every data set, with the overlap of test sets and training sets."""
    parts = []
    for data, training in _sets(grid):
        identities = (0.95, 0.9, 0.8) if len(data) <= MANY else ()
        findings = list(data.audit(identities=identities, numbering=False).findings)
        caption = "Checks of the data. ! marks findings that make scores wrong or optimistic."
        if training is not None and training.reading.same_part(data.reading):
            shared = training.audit(data, identities=(0.9,), numbering=False)
            findings += [finding for finding in shared.findings if "both" in finding.check]
            caption += " Checks of both compare this set with the training set."
        name = f"{_source(grid, data)}: {len(data):,} antibodies"
        parts.append(
            f"<h3>{html.escape(name)}</h3>"
            + elements.table(["", "", "", ""], list(map(_finding, findings)), caption, last="text audit")
        )
    return f"<section><h2>The data</h2>{''.join(parts)}</section>"


def _finding(finding: Finding) -> tuple[str, list[str]]:
    mark = "! " if finding.serious and finding.count else ""
    unit = finding.unit.removesuffix("s") if finding.count == 1 else finding.unit
    detail = finding.detail if finding.count else ""
    kind = "serious" if mark else ""
    return kind, [mark + html.escape(finding.check), f"{finding.count:,}", html.escape(unit), html.escape(detail)]


def _provenance(grid: GridAnalysis) -> str:
    parts = []
    for data, _ in _sets(grid, training=True):
        origin = data.provenance
        facts = {"rule": origin.rule, "citation": origin.citation, "licence": origin.licence}
        facts |= {name: f"{count:,}" for name, count in origin.counts.items()}
        facts |= {f"left out: {reason}": f"{count:,}" for reason, count in origin.reasons().items()}
        facts |= {"part": str(data.reading), "digest": data.digest}
        digests = f"<details><summary>SHA-256 of its files</summary>{elements.facts(origin.sha256)}</details>"
        parts.append(
            f"<h3>{html.escape(_source(grid, data))}</h3>{elements.facts(facts)}{digests if origin.sha256 else ''}"
        )
    opened = {column.title: column.first.openings for column in grid.columns if column.first.openings is not None}
    openings = {title: f"opened {'once' if n == 1 else f'{n} times'}" for title, n in opened.items()}
    return (
        f"<section><h2>Provenance and versions</h2>{''.join(parts)}"
        + (f"<h3>Tests</h3>{elements.facts(openings)}" if openings else "")
        + f"<h3>Versions</h3>{elements.facts(reproduction.versions())}</section>"
    )


def _source(grid: GridAnalysis, data: Dataset) -> str:
    """Return the source of a data set, with its label if there are several."""
    label = f", {data.label_name}" if grid.labels and data.label_name else ""
    return f"{data.provenance.source}{label}"


def _reproduce(grid: GridAnalysis) -> str:
    parts = []
    for name, report in _named(grid):
        heading = "" if len(grid.reports) == 1 else f"<h3>{html.escape(name)}</h3>"
        words, python = reproduction.command(report.spec, report.data), reproduction.python(report)
        command = f"<pre><code>{html.escape(words)} data=...</code></pre>" if words else ""
        spec = json.dumps(json.loads(report.spec.model_dump_json()), indent=2)
        prints = {"fingerprint of the training": report.spec.fingerprint}
        parts.append(
            f"{heading}{command}<pre><code>{html.escape(python)}</code></pre>{elements.facts(prints)}"
            f"<details><summary>The whole specification</summary><pre><code>{html.escape(spec)}</code></pre></details>"
        )
    text = (
        "With the versions above and the data of these digests, the lines below reproduce the numbers. On another "
        "machine, the last digits may differ. In the command, <code>data=</code> names the data set or table."
    )
    return f"<section><h2>How to reproduce it</h2><p>{text}</p>{''.join(parts)}</section>"


def _named(grid: GridAnalysis) -> list[tuple[str, Analysis]]:
    """Return every report with a distinct name."""
    fragments = len({row.fragment for row in grid.rows}) > 1
    return [
        (f"{row.name}{f', {row.fragment}' if fragments else ''}: {column.title}", report)
        for column in grid.columns
        for row, report in column.reports.items()
    ]


def _sets(grid: GridAnalysis, *, training: bool = False) -> list[tuple[Dataset, Dataset | None]]:
    """Return the data sets, each once, with the training set of a test."""
    sets: dict[str, tuple[Dataset, Dataset | None]] = {}
    for column in grid.columns:
        for report in column.reports.values():
            if training and report.training is not None:
                sets.setdefault(report.training.digest, (report.training, None))
            sets.setdefault(report.data.digest, (report.data, report.training))
    return list(sets.values())
