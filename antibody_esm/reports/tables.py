"""Tables of reports and grids for terminals and notebooks."""

import html
import textwrap
from collections.abc import Sequence

from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports import learning_curve, notes
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import Column, GridAnalysis, Row, Verdict

_LINE = 80
"""Width of a terminal."""
_NUMBER = 10
"""Width of a column of numbers."""
_COLUMN = 20
"""Width of a column of a grid, which an estimate and its interval fill."""


def text(report: Analysis) -> str:
    """Return the table of a report in lines of a terminal."""
    titles = {name: report.metric_title(name) for name in report.shown}
    ranked = [(report.baseline_title(name), scored) for name, scored in report.ranked_baselines]
    width = max(map(len, [*titles.values(), *(title for title, _ in ranked)])) + 2
    head = "".join(f"{name:>{_NUMBER}}" for name in _heads(report))
    warnings = notes.warnings(report)
    lines = [*textwrap.wrap(report.title, _LINE), *textwrap.wrap(report.counts, _LINE)]
    lines += [line for warning in warnings for line in ("", *textwrap.wrap(warning, _LINE))]
    lines += ["", f"{'':<{width}}{head}   95 % interval"]
    lines += [_line(title, report.scored, name, width) for name, title in titles.items()]
    if ranked:
        lines += ["", f"{METRIC[report.metric].title} of baselines"]
        lines += [_line(title, scored, report.metric, width) for title, scored in ranked]
        lines += ["", *textwrap.wrap(report.comparisons[0].sentence(subject=False), _LINE)]
    rest = [*notes.remarks(report)[len(warnings) :], *learning_curve.sentences(report)]
    return "\n".join([*lines, *("\n" + textwrap.fill(remark, _LINE) for remark in rest)])


def notebook(report: Analysis) -> str:
    """Return the table of a report as HTML for a notebook."""
    ranked = [(report.baseline_title(name), scored) for name, scored in report.ranked_baselines]
    head = "".join(f"<th>{name}</th>" for name in ["", *_heads(report), "95 % interval"])
    metrics = "".join(_row(report.metric_title(name), report.scored, name) for name in report.shown)
    baselines = "".join(_row(title, scored, report.metric) for title, scored in ranked)
    between = f"<tr><th colspan='4'>{METRIC[report.metric].title} of baselines</th></tr>" if ranked else ""
    first = notes.warnings(report)
    warnings = "".join(f"<p>{html.escape(warning)}</p>" for warning in first)
    claims = [comparison.sentence(subject=False) for comparison in report.comparisons[:1]]
    rest = [*claims, *notes.remarks(report)[len(first) :], *learning_curve.sentences(report)]
    return (
        f"<h3>{html.escape(report.title)}</h3><p>{html.escape(report.counts)}</p>{warnings}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{metrics}{between}{baselines}</tbody></table>"
        + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in rest)
    )


def grid_text(grid: GridAnalysis) -> str:
    """Return the tables of a grid, classes and continuous labels apart, in lines of a terminal."""
    tables = [verdicts(grid)] if grid.labels else []
    for continuous in sorted({column.first.spec.is_regression for column in grid.columns}):
        alike = [column for column in grid.columns if column.first.spec.is_regression == continuous]
        lines = [line for i in range(0, len(alike), 3) for line in _grid_lines(grid, alike[i : i + 3])]
        tables.append("\n".join(lines[:-1]))
    return "\n\n".join(tables)


def verdicts(grid: GridAnalysis) -> str:
    """Return two lines for each label: antibodies, score, verdict and best baseline; pipelines apart."""
    blocks = []
    metrics = dict.fromkeys(each.column.first.metric for each in grid.verdicts)
    for row in dict.fromkeys(each.row for each in grid.verdicts):
        name = row.name + ("" if row.fragment in ("heavy", "light") else f", {row.fragment}")
        lines = textwrap.wrap(name, _LINE)
        for metric in metrics:
            chosen = [each for each in grid.verdicts if (each.row, each.column.first.metric) == (row, metric)]
            lines += ["", *_verdict_lines(chosen, METRIC[metric].title)] if chosen else []
        blocks.append("\n".join(lines))
    family = next((each.comparison.family for each in grid.verdicts if each.comparison), 0)
    note = f"Verdicts are against the best baseline, with Holm's correction for all {family} comparisons."
    return "\n\n".join([*blocks, *([textwrap.fill(note, _LINE)] if family else [])])


def _verdict_lines(verdicts: Sequence[Verdict], title: str) -> list[str]:
    """Return the lines of the labels of a pipeline, below a heading."""
    several = len({each.column.first.is_cross_validation for each in verdicts}) > 1
    names = [
        each.label + (", test" if several and not each.column.first.is_cross_validation else "") for each in verdicts
    ]
    width = min(max(5, *map(len, names)), 18)
    left = width + 28
    lines = [f"{'label':<{width}}{'n':>7}  {title:<19}against the best baseline"]
    for name, each in zip(names, verdicts, strict=True):
        *above, last = textwrap.wrap(name, width) or [""]
        metric, comparison = each.column.first.metric, each.comparison
        score, claim = str(each.scored.intervals[metric]), "there is none" if comparison is None else comparison.claim
        lines += [*above, f"{last:<{width}}{each.column.first.number[0]:>7,}  {score:<19}{claim}"]
        if each.baseline is not None:
            value = short(each.column.cells[each.baseline].intervals[metric].estimate, 3)
            lines += textwrap.wrap(
                f"{each.baseline.name} {value}", _LINE, initial_indent=" " * left, subsequent_indent=" " * left
            )
    return lines


def _grid_lines(grid: GridAnalysis, columns: Sequence[Column]) -> list[str]:
    """Return the lines of a few columns side by side, with their notes; the last line is empty."""
    metric = columns[0].first.metric
    warnings = [f"{column.title}: {warning}" for column in columns for warning in notes.column_warnings(column)]
    rows = [row for row in grid.rows if any(row in column.cells for column in columns)]
    fragments = len({row.fragment for row in rows}) > 1
    lines = [*_paragraphs(warnings), *_grid_head(columns)]
    for baseline in (False, True):
        chosen = [row for row in rows if row.baseline == baseline]
        lines += ["baselines"] if baseline and chosen else []
        lines += [line for row in chosen for line in _grid_row(row, columns, fragments)]
    lines.append("")
    for column in columns:
        lines += _paragraphs([f"{column.title}: {column.first.counts}.", *notes.sentences(grid, column)])
        if not column.first.is_cross_validation:
            lines += _paragraphs(notes.unclaimed({metric: column.first.intervals[metric]}))
    return lines


def _grid_head(columns: Sequence[Column]) -> list[str]:
    """Return the lines with the titles of columns."""
    width = _LINE - _COLUMN * len(columns)
    heads = [textwrap.wrap(column.title, _COLUMN - 2, max_lines=3) for column in columns]
    lines = []
    for line in range(max(map(len, heads))):
        cells = [head[line] if line < len(head) else "" for head in heads]
        name = METRIC[columns[0].first.metric].title if line == 0 else ""
        lines.append((f"{name:<{width}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells)).rstrip())
    return lines


def _grid_row(row: Row, columns: Sequence[Column], fragments: bool) -> list[str]:
    """Return the lines of a pipeline or baseline."""
    width, metric = _LINE - _COLUMN * len(columns), columns[0].first.metric
    name = row.name + (f", {row.fragment}" if fragments else "")
    *above, last = textwrap.wrap(name, width - (3 if row.baseline else 1), subsequent_indent="  ")
    intervals = [column.cells[row].intervals[metric] if row in column.cells else "" for column in columns]
    indent = "  " if row.baseline else ""
    cells = "".join(f"{interval!s:>{_COLUMN}}" for interval in intervals)
    return [*(indent + line for line in above), (f"{indent}{last}".ljust(width) + cells).rstrip()]


def _paragraphs(sentences: Sequence[str]) -> list[str]:
    return [line for sentence in sentences for line in [*textwrap.wrap(sentence, _LINE), ""]]


def _heads(report: Analysis) -> list[str]:
    return ["mean", "sd"] if report.scored.rows.fold is not None else ["score"]


def _numbers(scored: ScoredPredictions, metric: str) -> list[str]:
    """Return the score and, after cross-validation, the standard deviation over the folds where it is defined."""
    numbers = [short(scored.intervals[metric].estimate, 3)]
    if scored.rows.fold is not None:
        defined = scored.defined(metric)
        numbers.append(short(defined.std(ddof=1), 3) if len(defined) > 1 else "")
    return numbers


def _line(title: str, scored: ScoredPredictions, metric: str, width: int) -> str:
    numbers = "".join(f"{number:>{_NUMBER}}" for number in _numbers(scored, metric))
    return f"{title:<{width}}{numbers}   {scored.intervals[metric].ends}"


def _row(title: str, scored: ScoredPredictions, metric: str) -> str:
    cells = [*_numbers(scored, metric), scored.intervals[metric].ends]
    return f"<tr><th scope='row'>{html.escape(title)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
