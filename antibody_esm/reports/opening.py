"""Opening of a page: the verdict with its intervals on one axis, then the split and its warnings."""

import html

from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.reports import elements, notes, panels, verdicts
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.reports.results import estimate
from antibody_esm.unknown import Unknown

_KIND = "<p class='kind'>antibody_esm report</p>"


def opening(grid: GridAnalysis, figures: panels.Figures) -> str:
    """Return the first lines of the page of a grid of reports, or of a single one."""
    return _of_report(grid, figures) if len(grid.reports) == 1 else _of_grid(grid, figures)


def _of_report(grid: GridAnalysis, figures: panels.Figures) -> str:
    (report,) = grid.reports
    claim = "unknown" if isinstance(report.verdict, Unknown) else report.verdict.verdict
    test = verdicts.test(report)
    lines = [
        f"{_KIND}<h1>{html.escape(report.title)}</h1>",
        f"<p class='verdict {claim}'>{elements.sentence(verdicts.sentence(report))}</p>",
        figures.bare(panels.of_verdicts(grid)),
        f"<p class='small'>{elements.sentence(test)}</p>" if test else "",
        f"<p class='lead'>{html.escape(report.counts)}</p><p>{html.escape(report.source)}</p>",
        *map(elements.warning, notes.warnings(report)),
    ]
    return f"<header>{''.join(lines)}</header>"


def _of_grid(grid: GridAnalysis, figures: panels.Figures) -> str:
    sources = ", ".join(dict.fromkeys(report.source for report in grid.reports))
    several = len(grid.columns) > 1
    warnings = [
        f"{column.title}: {warning}" if several else warning
        for column in grid.columns
        for warning in notes.column_warnings(column)
    ]
    lines = [
        f"{_KIND}<h1>{html.escape(grid.title)}</h1><p>{html.escape(sources)}</p>",
        f"<p class='verdict'>{elements.sentence(verdicts.of_grid(grid))}</p>",
        figures.bare(panels.of_verdicts(grid)),
        _verdicts(grid),
        elements.bullets([f"{column.title}: {column.first.counts}" for column in grid.columns])
        if several
        else f"<p class='lead'>{html.escape(grid.columns[0].first.counts)}</p>",
        *map(elements.warning, warnings),
    ]
    return f"<header>{''.join(lines)}</header>"


def _verdicts(grid: GridAnalysis) -> str:
    """Return the table with a row for each pipeline and data set or label: score, best baseline and verdict."""
    parts = len({each.row.fragment for each in grid.verdicts})
    several = len({each.row for each in grid.verdicts}) > 1
    metrics = {each.column.first.metric for each in grid.verdicts}
    lines = []
    for each in grid.verdicts:
        metric, report = each.column.first.metric, each.column.first
        better = {True: "high is better", False: "low is better", None: ""}[report.data.higher_is_better]
        better = better if grid.labels else ""
        against, claim = "none", ""
        if each.baseline is not None and each.comparison is not None:
            score = short(each.column.cells[each.baseline].intervals[metric].estimate, 3)
            against, claim = f"{html.escape(each.baseline.name)} {score}", each.comparison.claim
        name = f"<strong>{html.escape(each.column.title)}</strong>"
        if grid.labels:
            name = f"<strong>{html.escape(each.label)}</strong>{'' if report.is_cross_validation else ', test'}"
        part = f", {each.row.fragment}" if parts > 1 else ""
        cells = [
            name + (f"<br><span class='small'>{better}</span>" if better else ""),
            *([html.escape(each.row.name + part)] if several else []),
            f"{report.number[0]:,}",
            (f"{METRIC[metric].title} " if len(metrics) > 1 else "")
            + f"<span class='nobr'>{estimate(each.scored, metric)}</span>",
            against,
            claim,
        ]
        lines.append(("", cells))
    score = METRIC[metrics.pop()].title if len(metrics) == 1 else "score"
    heads = ["", *(["pipeline"] if several else []), "antibodies", score, "best baseline", "verdict"]
    family = next((each.comparison.family for each in grid.verdicts if each.comparison), 0)
    caption = "Verdicts are against the best baseline"
    caption += f", with Holm's correction for all {family} comparisons of this page." if family > 1 else "."
    return elements.table(heads, lines, caption, last=f"text claims{' verdicts' if several else ''}")
