"""One HTML page of reports that loads nothing, follows light and dark, and prints.

It has no script, and a policy that forbids every load; figures are inline SVG. The same results give the same bytes.
"""

import html
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from antibody_esm.data.audit import Finding
from antibody_esm.data.dataset import Dataset
from antibody_esm.errors import RECOVERABLE, in_one_line
from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.reports import plain, text
from antibody_esm.reports.beside import MANY
from antibody_esm.reports.grid import Column, GridReport, Row
from antibody_esm.reports.report import FAMILIES, Report
from antibody_esm.reports.scored import Scored, defined
from antibody_esm.reports.svg import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger("antibody_esm")

_SQUARE = (4.2, 3.9)
_WIDE = 5.0
"""A figure of more inches has a line of its own, and scrolls in its box where the screen is narrower."""


class _Panel(NamedTuple):
    """A figure of the page, and what to make of it."""

    title: str
    caption: str
    draw: "Callable[[Axes], object]"
    size: tuple[float, float] = _SQUARE


def page(grid: GridReport) -> str:
    """Return the page of some reports, or of one."""
    ids = _Ids()
    one = grid.reports[0] if len(grid.reports) == 1 else None
    title = one.title if one else f"{len(_pipelines(grid))} pipelines, {len(grid.columns)} results"
    body = [_header(grid, title, one)]
    body += [_overview(grid)] if len(grid.columns) > 1 else []
    body += [_result(grid, column, ids) for column in grid.columns]
    body += [_detail(report, name, ids, alone=one is not None) for name, report in _named(grid)]
    body += [_data(grid), _provenance(grid), _reproduce(grid)]
    return _PAGE.format(title=html.escape(title), style=_STYLE, body="\n".join(body))


class _Ids:
    """Gives each figure a name of its own."""

    def __init__(self) -> None:
        self._count = 0

    def figure(self, panel: _Panel, level: int) -> str:
        """Return the element of a figure, its title a heading of this level."""
        self._count += 1
        told = " ".join([f"{panel.title}.", panel.caption]).strip()
        try:
            drawn = svg(panel.draw, f"f{self._count}", told, panel.size)
        except RECOVERABLE as error:
            logger.warning("the figure %r could not be drawn: %s", panel.title, in_one_line(error))
            drawn = f"<p class='warn'>This figure could not be drawn: {html.escape(in_one_line(error))}</p>"
        caption = f"<figcaption>{html.escape(panel.caption)}</figcaption>" if panel.caption else ""
        kind = "wide" if panel.size[0] > _WIDE else "narrow"
        return (
            f"<figure class='{kind}'><h{level}>{html.escape(panel.title)}</h{level}><div class='scroll'>{drawn}</div>"
            f"{caption}</figure>"
        )

    def figures(self, panels: Iterable[_Panel], level: int = 4) -> str:
        """Return some figures, side by side where there is room."""
        return f"<div class='figures'>{''.join(self.figure(one, level) for one in panels)}</div>"


def _header(grid: GridReport, title: str, one: Report | None) -> str:
    lines = ["<p class='kind'>antibody_esm report</p>", f"<h1>{html.escape(title)}</h1>"]
    if one is not None:
        found, metric = one.intervals()[one.metric], METRIC[one.metric].title
        lines.append(f"<p class='lead'>{html.escape(one.counts)}</p><p>{html.escape(one.source)}</p>")
        lines.append(
            f"<p class='hero'><strong>{short(found.estimate, 3)}</strong> {metric}, 95 % interval "
            f"<span class='nobr'>{found.ends}</span></p>"
        )
    else:
        lines.append(f"<p class='lead'>{html.escape(', '.join(dict.fromkeys(one.source for one in grid.reports)))}</p>")
    lines += [f"<p class='warn'>{_said(warning)}</p>" for warning in (one.warnings if one is not None else ())]
    return f"<header>{''.join(lines)}</header>"


def _overview(grid: GridReport) -> str:
    """Return the first metric of every pipeline and baseline on every data set, classes and values apart."""
    tables = []
    for continuous in sorted({column.one.spec.is_regression for column in grid.columns}):
        columns = [column for column in grid.columns if column.one.spec.is_regression == continuous]
        metric = columns[0].one.metric
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
        told = (
            f"{METRIC[metric].title} with 95 % intervals; pipelines in the order of the first column that has them, "
            "baselines below."
        )
        tables.append(_table(heads, lines, told))
    warnings = "".join(
        f"<p class='warn'>{html.escape(column.title)}: {_said(warning)}</p>"
        for column in grid.columns
        for warning in column.warnings
    )
    return f"<section><h2>At a glance</h2>{warnings}{''.join(tables)}</section>"


def _result(grid: GridReport, column: Column, ids: _Ids) -> str:
    """Return what was found on one data set: table, sentences and figures of all its pipelines and baselines."""
    one, metric = column.one, column.one.metric
    sentences = grid.sentences(column)
    above = len(grid.columns) > 1 or len(grid.reports) == 1  # where the page has its warnings then
    warnings = "" if above else "".join(f"<p class='warn'>{_said(warning)}</p>" for warning in column.warnings)
    lead = (
        f"<p class='claim'>{_said(sentences[0])}</p>"
        if len(sentences) == 1
        else f"<ul>{''.join(f'<li>{_said(sentence)}</li>' for sentence in sentences)}</ul>"
    )
    entries, comparisons = len(column.cells), grid.comparisons[column.title]
    rivals, pipelines = len({each.other for each in comparisons}), len({each.one for each in comparisons})
    panels = [
        _Panel(
            f"{METRIC[metric].title} and 95 % interval",
            "Blue: what was trained. Grey: baselines that read the same sequences and need no language model. "
            + ("The dashed line is chance. " if metric in ("roc_auc", "spearman") else "")
            + "Where intervals overlap much, look at the differences.",
            lambda ax: grid.plot_scores(column.title, ax),
            (4.6, 0.9 + 0.33 * entries),
        )
    ]
    if comparisons:
        panels.append(
            _Panel(
                "Differences",
                f"{METRIC[metric].title} of the column less that of the row, with interval and p after Holm's "
                f"correction for {comparisons[0].family} comparisons. Blue is for the column, orange for the row; "
                "a frame marks the only differences that may be claimed.",
                lambda ax: grid.plot_comparisons(column.title, ax),
                (max(4.6, 1.9 + 1.4 * pipelines), 0.9 + 0.44 * rivals),
            )
        )
    notes = [report.nominal for report in column.reports.values() if report.nominal]
    nominal = f"<p class='small'>{html.escape(min(notes, key=len))}</p>" if notes else ""
    heading = "Result" if len(grid.columns) == 1 else column.title
    return (
        f"<section><h2>{html.escape(heading)}</h2>"
        + (f"<p class='lead'>{html.escape(one.counts)}</p>" if len(grid.columns) > 1 else "")
        + warnings
        + lead
        + (_notes(one) if len(grid.reports) == 1 else "")
        + _table(_heads(column), list(_lines(column)), "What was found, with 95 % intervals; baselines below.")
        + nominal
        + ids.figures(panels, level=3)
        + "</section>"
    )


def _heads(column: Column) -> list[str]:
    fragments = len({row.fragment for row in column.cells}) > 1
    return ["", *(["part"] if fragments else []), *(METRIC[name].title for name in _main(column.one))]


def _main(report: Report) -> list[str]:
    """Return the metrics of the first table."""
    if report.spec.is_regression:
        return ["spearman", "pearson", "rmse"]
    return ["roc_auc", "pr_auc", "balanced_accuracy", "mcc"]


def _lines(column: Column) -> Iterable[tuple[str, list[str]]]:
    fragments = len({row.fragment for row in column.cells}) > 1
    for row, one in column.cells.items():
        cells = [_estimate(one, name) for name in _main(column.one)]
        kind = "baseline" if row.baseline else "pipeline"
        yield kind, [html.escape(row.name), *([html.escape(row.fragment)] if fragments else []), *cells]


def _estimate(one: Scored, metric: str) -> str:
    found = one.intervals[metric]
    if np.isnan(found.estimate):
        return "undefined"
    return f"{short(found.estimate, 3)} <span class='ends'>{found.ends}</span>"


def _said(sentence: str) -> str:
    """Return a sentence as HTML, in which intervals stay on one line."""
    return re.sub(r"\[[^\]]*\]", r"<span class='nobr'>\g<0></span>", html.escape(sentence))


def _detail(report: Report, name: str, ids: _Ids, *, alone: bool) -> str:
    """Return the figures and all metrics of one report."""
    parts = [
        "" if alone else _notes(report),
        "<h3>Every metric</h3>" + _metrics(report),
        "".join(
            f"<h3>{heading}</h3>{f'<p>{told}</p>' if told else ''}{ids.figures(panels)}"
            for heading, told, panels in _panels(report)
            if panels
        ),
    ]
    body = "".join(parts)
    if alone:
        return f"<section><h2>In detail</h2>{body}</section>"
    return f"<section><details><summary><h2>{html.escape(name)}</h2></summary>{body}</details></section>"


def _notes(report: Report) -> str:
    """Return the remarks of one report, but for those that stand elsewhere."""
    said = [remark for remark in report.remarks if remark not in (report.nominal, *report.warnings)]
    return f"<ul>{''.join(f'<li>{_said(one)}</li>' for one in said)}</ul>" if said else ""


def _metrics(report: Report) -> str:
    folded = report.is_cross_validation
    lines = []
    for name in report.shown:
        found, values = report.intervals()[name], report.scores[name]
        defined = values[~np.isnan(values)]
        numbers = [short(found.estimate, 3)]
        if folded:
            numbers.append(short(defined.std(ddof=1), 3) if len(defined) > 1 else "")
        less = "" if METRIC[name].higher_is_better else " <span class='small'>less is better</span>"
        lines.append(("", [METRIC[name].title + less, *numbers, found.ends, html.escape(found.method)]))
    heads = ["", "mean" if folded else "score", *(["sd over folds"] if folded else []), "95 % interval", "method"]
    return _table(
        heads,
        lines,
        "The method is that of the interval." + (" sd is that of folds, not of the mean." if folded else ""),
        last="text",
    )


def _panels(report: Report) -> list[tuple[str, str, list[_Panel]]]:
    """Return groups of figures, each with a heading and what is said of all of them."""
    folded = report.is_cross_validation
    each = " Thin: one fold each, by the model of that fold. Thick: their mean." if folded else ""
    if report.spec.is_regression:
        shown = [
            _Panel("Predicted and measured", "On the dashed line both are equal.", report.plot_predicted),
            _Panel(
                "Residuals",
                "What was predicted too much. A slope says that predictions are too bold or too timid; a funnel, that "
                "errors grow with the value.",
                report.plot_residuals,
            ),
        ]
        return [("Predictions", "", shown), ("Where it works", "", _where(report))]
    decided = (
        "the model's own threshold" if report.threshold is None else f"a threshold of {plain.text(report.threshold)}"
    )
    ranked = [
        _Panel("ROC", f"Positives that are found, over false alarms that this costs.{each}", report.plot_roc),
        _Panel(
            "Precision and recall",
            "Of the antibodies called positive, how many are. Calling every antibody positive has the dashed line."
            + each,
            report.plot_precision_recall,
        ),
    ]
    decisions = [
        _Panel(
            "Calibration",
            "On the dashed line a probability can be taken at its word; below it, it promises too much. Bars are 95 % "
            "intervals; grey columns say how many antibodies have such a probability.",
            report.plot_calibration,
        ),
        _Panel("Confusion", f"At {decided}. Percentages are of the true class.", report.plot_confusion),
    ]
    values = [_value(report, name) for name, one in report.data.measurements.items() if _continuous(name, one)]
    told = (
        "A model that has learnt the property, and not only on which side of its threshold an antibody lies, rises "
        "within each class too, or falls where the assay counts downwards."
    )
    return [
        ("Ranking", "", ranked),
        ("Probabilities and decisions", "", decisions),
        ("Where it works", "", _where(report)),
        ("Against what the assay measured", told, values),
    ]


def _value(report: Report, name: str) -> _Panel:
    return _Panel(name, "", lambda ax: report.plot_values(name, ax), (4.2, 3.4))


def _continuous(name: str, values: Any) -> bool:
    """Whether a measurement is one: not the number of a fold, not a flag."""
    known = np.asarray(values)[np.isfinite(np.asarray(values))]
    return name != "fold" and len(np.unique(known)) > 2


def _where(report: Report) -> list[_Panel]:
    """Return the figures of families and of identities; a figure that fails becomes a note."""
    name = METRIC[report.slice_metric].title
    name = name[0].upper() + name[1:]
    panels: list[_Panel] = []
    for title, make in (
        (f"{name} by family", _families),
        (f"{name} by identity to the training set", _identities),
    ):
        try:
            panels += make(report, title)
        except RECOVERABLE as error:
            panels.append(_Panel(title, "", partial(_fail, error)))
    return panels


def _fail(error: Exception, ax: "Axes") -> None:
    raise error


def _families(report: Report, title: str) -> list[_Panel]:
    families = defined(report.by_family)
    if not families:
        return []
    left = len(report.by_family) - len(families[:FAMILIES])
    told = f"{left} more are small or have one class only. " if left else ""
    kind = "group" if report.data.groups is not None else "V gene family"
    size = 4.6, 0.9 + 0.42 * len(families[:FAMILIES])
    return [_Panel(title, f"By {kind}. {told}{_nominal(report)}".strip(), report.plot_families, size)]


def _identities(report: Report, title: str) -> list[_Panel]:
    if not report.by_identity:
        return []
    what = text.identity(report.data).capitalize()
    told = (
        f"{what} to the nearest antibody the model was trained on. What holds only for near ones may be memory; "
        f"what you will predict is more likely far. {_nominal(report)}"
    )
    size = 4.6, 0.9 + 0.42 * len(report.by_identity)
    return [_Panel(title, told.strip(), report.plot_identity, size)]


def _nominal(report: Report) -> str:
    return "Intervals are nominal." if report.is_cross_validation else ""


def _data(grid: GridReport) -> str:
    """Return the audit of every data set, and what tests share with training sets."""
    parts = []
    for data, training in _sets(grid):
        identities = (0.95, 0.9, 0.8) if len(data) <= MANY else ()
        findings = list(data.audit(identities=identities, numbering=False).findings)
        told = "What was looked for in the data. ! makes scores wrong or flattering."
        if training is not None and training.reading.same_part(data.reading):
            shared = training.audit(data, identities=(0.9,), numbering=False)
            findings += [one for one in shared.findings if "both" in one.check]
            told += " Both are this set and the training set."
        name = f"{data.provenance.source}: {len(data):,} antibodies"
        parts.append(
            f"<h3>{html.escape(name)}</h3>"
            + _table(["", "", "", ""], list(map(_finding, findings)), told, last="text audit")
        )
    return f"<section><h2>The data</h2>{''.join(parts)}</section>"


def _finding(one: Finding) -> tuple[str, list[str]]:
    mark = "! " if one.serious and one.count else ""
    unit = one.unit.removesuffix("s") if one.count == 1 else one.unit
    detail = one.detail if one.count else ""
    kind = "serious" if mark else ""
    return kind, [mark + html.escape(one.check), f"{one.count:,}", html.escape(unit), html.escape(detail)]


def _provenance(grid: GridReport) -> str:
    parts = []
    for data, _ in _sets(grid, training=True):
        known = data.provenance
        facts = {"rule": known.rule, "citation": known.citation, "licence": known.licence}
        facts |= {name: f"{count:,}" for name, count in known.counts.items()}
        facts |= {f"left out: {reason}": f"{count:,}" for reason, count in known.reasons().items()}
        facts |= {"part": str(data.reading), "digest": data.digest}
        digests = f"<details><summary>SHA-256 of its files</summary>{_facts(known.sha256)}</details>"
        parts.append(f"<h3>{html.escape(known.source)}</h3>{_facts(facts)}{digests if known.sha256 else ''}")
    opened = {column.title: column.one.openings for column in grid.columns if column.one.openings is not None}
    ledger = {title: f"opened {'once' if n == 1 else f'{n} times'}" for title, n in opened.items()}
    return (
        f"<section><h2>Provenance and versions</h2>{''.join(parts)}"
        + (f"<h3>Tests</h3>{_facts(ledger)}" if ledger else "")
        + f"<h3>Versions</h3>{_facts(text.versions())}</section>"
    )


def _reproduce(grid: GridReport) -> str:
    parts = []
    for name, report in _named(grid):
        heading = "" if len(grid.reports) == 1 else f"<h3>{html.escape(name)}</h3>"
        command = f"<pre><code>{html.escape(report.command)} data=...</code></pre>" if report.command else ""
        spec = json.dumps(json.loads(report.spec.model_dump_json()), indent=2)
        prints = {"fingerprint of the training": report.spec.fingerprint}
        parts.append(
            f"{heading}{command}<pre><code>{html.escape(report.python)}</code></pre>{_facts(prints)}"
            f"<details><summary>The whole specification</summary><pre><code>{html.escape(spec)}</code></pre></details>"
        )
    told = (
        "With the versions above and the data of these digests, the lines below give these numbers again; on another "
        "machine, but for the last digits. In the command, <code>data=</code> names the data set or table."
    )
    return f"<section><h2>How to reproduce it</h2><p>{told}</p>{''.join(parts)}</section>"


def _pipelines(grid: GridReport) -> list[Row]:
    return [row for row in grid.rows if not row.baseline]


def _named(grid: GridReport) -> list[tuple[str, Report]]:
    """Return every report with a name of its own."""
    fragments = len({row.fragment for row in grid.rows}) > 1
    return [
        (f"{row.name}{f', {row.fragment}' if fragments else ''}: {column.title}", report)
        for column in grid.columns
        for row, report in column.reports.items()
    ]


def _sets(grid: GridReport, *, training: bool = False) -> list[tuple[Dataset, Dataset | None]]:
    """Return the data sets, each once, with the training set of a test."""
    found: dict[str, tuple[Dataset, Dataset | None]] = {}
    for column in grid.columns:
        for report in column.reports.values():
            if training and report.training is not None:
                found.setdefault(report.training.digest, (report.training, None))
            found.setdefault(report.data.digest, (report.data, report.training))
    return list(found.values())


def _table(heads: Sequence[str], lines: Sequence[tuple[str, list[str]]], caption: str, *, last: str = "") -> str:
    """Return a table; cells are HTML. Its last column is text, if so it is said."""
    shown = any(heads)
    head = "".join(f"<th scope='col'>{html.escape(one)}</th>" if one else "<td></td>" for one in heads)
    body = "".join(
        f"<tr class='{kind}'><th scope='row'>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for kind, (first, *cells) in lines
    )
    said = html.escape(caption)
    return (
        f"<figure class='table {last}'><div class='scroll' tabindex='0' role='region' aria-label='{said}'>"
        f"<table>{f'<thead><tr>{head}</tr></thead>' if shown else ''}<tbody>{body}</tbody></table></div>"
        f"<figcaption>{said}</figcaption></figure>"
    )


def _facts(facts: dict[str, str]) -> str:
    lines = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{''.join(lines)}</dl>"


_STYLE = (files("antibody_esm.reports") / "page.css").read_text(encoding="utf-8")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
