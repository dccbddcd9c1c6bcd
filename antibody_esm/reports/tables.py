"""Tables of reports and grids for terminals and notebooks."""

import html
import textwrap
from collections.abc import Callable, Sequence

from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports import finetuning_panel, learning_curve, notes, tuning_panel, verdicts
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import Column, GridAnalysis, Row, Verdict
from antibody_esm.reports.terminal_axis import axis

_LINE = 80
"""Width of a terminal."""
_NUMBER = 10
"""Width of a column of numbers."""
_COLUMN = 20
"""Width of a column of a grid, which an estimate and its interval fill."""


def text(report: Analysis) -> str:
    """Return a report in lines of a terminal: verdict, split and warnings, numbers, notes."""
    return "\n\n".join("\n".join(lines) for make in PARTS for lines in [make(report)] if lines)


def _verdict(report: Analysis) -> list[str]:
    """Return title and verdict, with the intervals of pipeline and best baseline on one axis."""
    lines = [*textwrap.wrap(report.title, _LINE), "", *textwrap.wrap(verdicts.sentence(report), _LINE)]
    best = [(report.baseline_title(name), scored) for name, scored in report.ranked_baselines[:1]]
    drawn = axis(
        [(title, scored.intervals[report.metric]) for title, scored in [(report.pipeline, report.scored), *best]]
    )
    test = verdicts.test(report)
    return [*lines, *(["", *drawn] if best and drawn else []), *(["", *textwrap.wrap(test, _LINE)] if test else [])]


def _split(report: Analysis) -> list[str]:
    """Return the number of antibodies, the split, and the warnings."""
    lines = textwrap.wrap(report.counts, _LINE)
    return [*lines, *(line for warning in notes.warnings(report) for line in ("", *textwrap.wrap(warning, _LINE)))]


def _scores(report: Analysis) -> list[str]:
    """Return the table of all metrics, and of the baselines."""
    titles = {name: report.metric_title(name) for name in report.shown}
    ranked = [(report.baseline_title(name), scored) for name, scored in report.ranked_baselines]
    width = max(map(len, [*titles.values(), *(title for title, _ in ranked)])) + 2
    head = "".join(f"{name:>{_NUMBER}}" for name in _heads(report))
    lines = [f"{'':<{width}}{head}   95 % interval"]
    lines += [_line(title, report.scored, name, width) for name, title in titles.items()]
    if ranked:
        lines += ["", f"{METRIC[report.metric].title} of baselines"]
        lines += [_line(title, scored, report.metric, width) for title, scored in ranked]
    return lines


def _remarks(report: Analysis) -> list[str]:
    """Return the notes that are no warnings."""
    rest = [*notes.remarks(report)[len(notes.warnings(report)) :], *learning_curve.sentences(report)]
    return "\n\n".join(textwrap.fill(remark, _LINE) for remark in rest).splitlines()


PARTS: tuple[Callable[[Analysis], list[str]], ...] = (
    _verdict,
    _split,
    _scores,
    tuning_panel.lines,
    finetuning_panel.lines,
    _remarks,
)
"""Functions of the parts of a report's text, in their order; each returns no line if there is nothing to show."""


def notebook(report: Analysis) -> str:
    """Return the table of a report as HTML for a notebook."""
    ranked = [(report.baseline_title(name), scored) for name, scored in report.ranked_baselines]
    head = "".join(f"<th>{name}</th>" for name in ["", *_heads(report), "95 % interval"])
    metrics = "".join(_row(report.metric_title(name), report.scored, name) for name in report.shown)
    baselines = "".join(_row(title, scored, report.metric) for title, scored in ranked)
    between = f"<tr><th colspan='4'>{METRIC[report.metric].title} of baselines</th></tr>" if ranked else ""
    first = notes.warnings(report)
    warnings = "".join(f"<p>{html.escape(warning)}</p>" for warning in first)
    rest = [*notes.remarks(report)[len(first) :], *learning_curve.sentences(report)]
    test = verdicts.test(report)
    verdict = f"<p><strong>{html.escape(verdicts.sentence(report))}</strong></p>" + (
        f"<p>{html.escape(test)}</p>" if test else ""
    )
    return (
        f"<h3>{html.escape(report.title)}</h3>{verdict}<p>{html.escape(report.counts)}</p>{warnings}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{metrics}{between}{baselines}</tbody></table>"
        + tuning_panel.notebook(report)
        + finetuning_panel.notebook(report)
        + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in rest)
    )


def grid_text(grid: GridAnalysis) -> str:
    """Return a grid in lines of a terminal: verdicts, then tables of classes and of continuous labels apart."""
    first = [*textwrap.wrap(grid.title, _LINE), "", *textwrap.wrap(verdicts.of_grid(grid), _LINE)]
    tables = ["\n".join(first), verdict_table(grid)]
    for continuous in sorted({column.first.spec.is_regression for column in grid.columns}):
        alike = [column for column in grid.columns if column.first.spec.is_regression == continuous]
        lines = [line for i in range(0, len(alike), 3) for line in _grid_lines(grid, alike[i : i + 3])]
        tables.append("\n".join(lines[:-1]))
    return "\n\n".join(tables)


def verdict_table(grid: GridAnalysis) -> str:
    """Return two lines for each data set or label: antibodies, score, verdict and best baseline; pipelines apart."""
    blocks = []
    metrics = dict.fromkeys(each.column.first.metric for each in grid.verdicts)
    for row in dict.fromkeys(each.row for each in grid.verdicts):
        name = row.name + ("" if row.fragment in ("heavy", "light") else f", {row.fragment}")
        lines = textwrap.wrap(name, _LINE)
        for metric in metrics:
            chosen = [each for each in grid.verdicts if (each.row, each.column.first.metric) == (row, metric)]
            lines += ["", *_verdict_lines(grid, chosen, METRIC[metric].title)] if chosen else []
        blocks.append("\n".join(lines))
    family = next((each.comparison.family for each in grid.verdicts if each.comparison), 0)
    note = "Verdicts are against the best baseline"
    note += f", with Holm's correction for all {family} comparisons." if family > 1 else "."
    return "\n\n".join([*blocks, *([textwrap.fill(note, _LINE)] if family else [])])


def _verdict_lines(grid: GridAnalysis, chosen: Sequence[Verdict], title: str) -> list[str]:
    """Return the lines of the data sets or labels of a pipeline, below a heading."""
    several = len({each.column.first.is_cross_validation for each in chosen}) > 1
    names = [
        each.label + (", test" if several and not each.column.first.is_cross_validation else "")
        if grid.labels
        else each.column.title
        for each in chosen
    ]
    width = min(max(5, *map(len, names)), 18)
    left = width + 28
    lines = [f"{'label' if grid.labels else 'data':<{width}}{'n':>7}  {title:<19}against the best baseline"]
    for name, each in zip(names, chosen, strict=True):
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
        lines += _paragraphs(notes.of_tests(column))
        lines += _paragraphs([*tuning_panel.of_column(column), *finetuning_panel.of_column(column)])
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
