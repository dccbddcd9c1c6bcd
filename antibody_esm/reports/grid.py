"""Several reports side by side: pipelines in rows, data sets in columns."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.overlap import SecondScores
from antibody_esm.evaluation.paired import Comparison, adjust
from antibody_esm.files import csv_text, write
from antibody_esm.reports import figures, plain, text
from antibody_esm.reports.report import Report
from antibody_esm.reports.scored import Scored

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMN = 20
"""Width of a column of text, which an estimate and its interval fill."""


class Row(NamedTuple):
    """A pipeline or baseline that reads one part of the antibodies."""

    name: str
    fragment: str
    baseline: bool = False


@dataclass(frozen=True, eq=False)
class Column:
    """One data set, scored in one way.

    Attributes
    ----------
    title
        Its name, distinct among the columns of a grid.
    reports
        What was found there, by pipeline.
    differs
        Sentence of a column whose antibodies or folds differ from those of another one of its data set; else empty.
    """

    title: str
    reports: dict[Row, Report]
    differs: str = ""

    @property
    def one(self) -> Report:
        """Any of its reports: data set, design and metric are the same in all."""
        return next(iter(self.reports.values()))

    @cached_property
    def cells(self) -> dict[Row, Scored]:
        """What is in each row: pipelines, best first, and then baselines."""
        metric = self.one.metric

        def falling(cells: dict[Row, Scored]) -> dict[Row, Scored]:
            return dict(sorted(cells.items(), key=lambda cell: -np.nan_to_num(_mean(cell[1], metric), nan=-np.inf)))

        firsts: dict[str, Report] = {}
        for row, report in self.reports.items():
            firsts.setdefault(row.fragment, report)
        baselines = {
            Row(report.baseline_title(name), fragment, baseline=True): one
            for fragment, report in firsts.items()
            for name, one in report.baselines.found.items()
        }
        return falling({row: report.scored for row, report in self.reports.items()}) | falling(baselines)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the first lines: overlap with the training, clones, few antibodies of a class."""
        parts: dict[str, list[tuple[Row, Report]]] = {}
        for row, report in self.reports.items():
            parts.setdefault(row.fragment, []).append((row, report))
        overlaps, clones = [], []
        for fragment, reports in parts.items():
            name = f"{fragment}: " if len(parts) > 1 else ""
            overlaps += [name + note for note in [reports[0][1].overlap_note] if note]
            clones += [name + note for note in [_clones(reports)] if note]
        return (*overlaps, *clones, *filter(None, [self.one.few]))

    @property
    def pairs(self) -> list[tuple[Row, Row]]:
        """Every pipeline with every other one and every baseline of the same rows and folds."""
        return [
            (first, second)
            for first, second in combinations(self.cells, 2)
            if not first.baseline and _same_rows(self.cells[first], self.cells[second])
        ]

    @cached_property
    def compared(self) -> list[Comparison]:
        """The comparisons of `pairs`, before the correction for their number."""
        fragments = len({row.fragment for row in self.cells}) > 1

        def name(row: Row) -> str:
            return f"{row.name}, {row.fragment}" if fragments else row.name

        return [
            self.cells[first].compare(
                self.cells[second].clustered(self.cells[first].rows.clusters),
                self.one.metric,
                (name(first), name(second)),
            )
            for first, second in self.pairs
        ]


class GridReport:
    """Pipelines on data sets, with intervals, baselines and comparisons. ``str()`` is a table.

    Parameters
    ----------
    reports
        One or several, of classes or continuous labels. Those of the same antibodies and folds share a column; no order
        is made of pipelines that were scored on different rows.

    Raises
    ------
    ValueError
        If there is no report.
    """

    def __init__(self, reports: Sequence[Report]) -> None:
        self.reports = tuple(reports)
        if not self.reports:
            raise ValueError("a grid needs one report at least")

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Data sets in order of first occurrence, cross-validations before tests."""
        found: dict[tuple[str, str, bool, int], dict[Row, Report]] = {}
        for report in sorted(self.reports, key=lambda one: not one.is_cross_validation):
            row = Row(self._name(report), report.data.reading.fragment or report.data.chain)
            number = 1
            while not _fits(
                row, report, found.get(key := (report.source, report.design, report.spec.is_regression, number), {})
            ):
                number += 1
            found.setdefault(key, {})[row] = report
        titles = _titles([(source, design, number) for source, design, _, number in found])
        first = {
            key[:3]: (title, cells) for title, (key, cells) in zip(titles, found.items(), strict=True) if key[3] == 1
        }
        return tuple(
            Column(title, cells, "" if key[3] == 1 else _differs(cells, *first[key[:3]]))
            for title, (key, cells) in zip(titles, found.items(), strict=True)
        )

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Pipelines, in the order of their scores in the first column that has them, and then baselines."""
        every = list(dict.fromkeys(row for column in self.columns for row in column.cells))
        return tuple(sorted(every, key=lambda row: row.baseline))

    @cached_property
    def comparisons(self) -> dict[str, tuple[Comparison, ...]]:
        """Title of a column to its comparisons, all of the grid with one correction of Holm."""
        every = iter(adjust([one for column in self.columns for one in column.compared]))
        return {column.title: tuple(next(every) for _ in column.compared) for column in self.columns}

    def sentences(self, column: Column) -> list[str]:
        """Return the sentences on a column: each pipeline against the best baseline, and claims between pipelines."""
        best: dict[Row, Comparison] = {}
        among: list[Comparison] = []
        for (pipeline, other), comparison in zip(column.pairs, self.comparisons[column.title], strict=True):
            if other.baseline:
                best.setdefault(pipeline, comparison)
            else:
                among.append(comparison)
        decided = [str(comparison) for comparison in among if comparison.verdict != "undecided"]
        none = ["No pipeline is shown to be better than another."] if among and not decided else []
        return [*filter(None, [column.differs]), *map(str, best.values()), *decided, *none]

    def to_frame(self) -> "pd.DataFrame":
        """Return one row for each pipeline or baseline, data set and metric.

        Columns: pipeline, fragment, data, kind (``cross-validation`` or ``test``), baseline, metric, value (a mean over
        folds, or the score), sd over folds, low, high, method, claimed, unclaimed (the reason).
        """
        import pandas as pd

        rows = []
        for column in self.columns:
            kind = "cross-validation" if column.one.is_cross_validation else "test"
            for row, one in column.cells.items():
                for metric, interval in one.intervals.items():
                    values = one.scores[metric][~np.isnan(one.scores[metric])]
                    rows.append(
                        {
                            "pipeline": row.name,
                            "fragment": row.fragment,
                            "data": column.title,
                            "kind": kind,
                            "baseline": row.baseline,
                            "metric": metric,
                            "value": interval.estimate,
                            "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                            "low": interval.low,
                            "high": interval.high,
                            "method": interval.method,
                            "claimed": interval.claimed,
                            "unclaimed": interval.unclaimed,
                        }
                    )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the table, the comparisons and every report as plain JSON values."""
        table = [
            {name: plain.number(value) if isinstance(value, float) else value for name, value in row.items()}
            for row in self.to_frame().to_dict("records")
        ]
        comparisons = {title: [plain.comparison(one) for one in found] for title, found in self.comparisons.items()}
        return {"table": table, "comparisons": comparisons, "reports": [one.to_dict() for one in self.reports]}

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, and return the path."""
        path = Path(path)
        write(path, json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False).encode())
        return path

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_frame` as CSV, and return the path."""
        path = Path(path)
        write(path, csv_text(self.to_frame()).encode())
        return path

    def to_html(self, path: str | Path) -> Path:
        """Write one page that loads nothing else, and return its path."""
        from antibody_esm.reports.page import page

        path = Path(path)
        write(path, page(self).encode())
        return path

    def plot_scores(self, data: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the scores and intervals of a data set, of the first by default. Return the axes."""
        column = self.column(data)
        metric, fragments = column.one.metric, len({row.fragment for row in column.cells}) > 1
        entries = [
            figures.Entry(row.name, one.intervals[metric], row.baseline, row.fragment if fragments else "")
            for row, one in column.cells.items()
        ]
        return figures.drawn(ax, figures.forest, entries, metric)

    def plot_comparisons(self, data: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the differences between the pipelines and baselines of a data set. Return the axes."""
        return figures.drawn(ax, figures.matrix, self.comparisons[self.column(data).title])

    def column(self, title: str | None) -> Column:
        """Return a column by its title; the first one by default.

        Raises
        ------
        ValueError
            If there is none of that title.
        """
        for one in self.columns:
            if title in (None, one.title):
                return one
        raise ValueError(f"no data set {title!r} here; choose one of {', '.join(one.title for one in self.columns)}")

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n\n".join(
            "\n".join(self._table([one for one in self.columns if one.one.spec.is_regression == continuous]))
            for continuous in sorted({one.one.spec.is_regression for one in self.columns})
        )

    def _table(self, columns: list[Column]) -> list[str]:
        lines: list[str] = []
        for some in (columns[i : i + 3] for i in range(0, len(columns), 3)):
            metric = some[0].one.metric
            warnings = [f"{column.title}: {warning}" for column in some for warning in column.warnings]
            lines += [line for warning in warnings for line in [*textwrap.wrap(warning, 80), ""]]
            rows = [row for row in self.rows if any(row in column.cells for column in some)]
            fragments = len({row.fragment for row in rows}) > 1
            width = 80 - _COLUMN * len(some)
            heads = [textwrap.wrap(column.title, _COLUMN - 2, max_lines=3) for column in some]
            for line in range(max(map(len, heads))):
                cells = [head[line] if line < len(head) else "" for head in heads]
                name = METRIC[metric].title if line == 0 else ""
                lines.append((f"{name:<{width}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells)).rstrip())
            for baseline in (False, True):
                chosen = [row for row in rows if row.baseline == baseline]
                lines += ["baselines"] if baseline and chosen else []
                for row in chosen:
                    name = row.name + (f", {row.fragment}" if fragments else "")
                    *above, last = textwrap.wrap(name, width - (3 if baseline else 1), subsequent_indent="  ")
                    shown = [column.cells[row].intervals[metric] if row in column.cells else "" for column in some]
                    indent = "  " if baseline else ""
                    lines += [indent + one for one in above]
                    cells = [f"{cell!s:>{_COLUMN}}" for cell in shown]
                    lines.append((f"{indent}{last}".ljust(width) + "".join(cells)).rstrip())
            lines.append("")
            for column in some:
                said = [f"{column.title}: {column.one.counts}.", *self.sentences(column)]
                lines += [line for one in said for line in [*textwrap.wrap(one, 80), ""]]
                if not column.one.is_cross_validation:
                    for note in text.unclaimed({metric: column.one.intervals()[metric]}):
                        lines += [*textwrap.wrap(note, 80), ""]
        return lines[:-1]

    def _name(self, report: Report) -> str:
        """Return the name of a pipeline, which is the same for the one that was trained and the one that was pinned."""
        alike = [
            one.spec
            for one in self.reports
            if text.agree(one.spec.extractor, report.spec.extractor)
            and (one.spec.classifier, one.spec.decision) == (report.spec.classifier, report.spec.decision)
        ]
        return min((text.pipeline(spec) for spec in alike), key=len)


def _mean(one: Scored, metric: str) -> float:
    return one.intervals[metric].estimate


def _clones(reports: list[tuple[Row, Report]]) -> str:
    """Return the sentences about clonal relatives in other folds, with the second score of each pipeline of a part."""
    if len(reports) == 1:
        return reports[0][1].clones_note()
    first = reports[0][1]
    if first.second is None:
        return ""
    scores = [(row.name, report.second) for row, report in reports if isinstance(report.second, SecondScores)]
    reasons = dict.fromkeys(report.second for _, report in reports if isinstance(report.second, str))
    said = [str(first.clones), *map(text.no_second_scores, reasons)]
    if scores:
        title = METRIC[first.metric].title
        beside = "; ".join(f"{name}: {second.interval(first.metric)}" for name, second in scores)
        said.append(f"{title} with clonal relatives in one fold: {beside}.")
    return " ".join(said)


def _fits(row: Row, report: Report, cells: dict[Row, Report]) -> bool:
    """Return True if a column has not the pipeline of a report, and the same rows."""
    if row in cells:
        return False
    for other, reported in cells.items():
        if list(report.data.ids) != list(reported.data.ids) or not _same_rows(report.scored, reported.scored):
            return False
        if other.fragment == row.fragment:
            return report.data.sequences == reported.data.sequences
    return True


def _differs(cells: dict[Row, Report], title: str, first: dict[Row, Report]) -> str:
    """Return the sentence of a column with the same data set and design as another one, and other rows."""
    report, other = (next(iter(reports.values())) for reports in (cells, first))
    alike = report.data.fragment == other.data.fragment  # then sequences count too
    ours, theirs = (
        set(zip(one.data.ids, one.data.sequences if alike else one.data.ids, strict=True)) for one in (report, other)
    )
    what = "in other folds than"
    if ours != theirs:
        what = (
            f"on other antibodies ({len(ours):,}, of which {len(ours & theirs):,} are among the {len(theirs):,}) than"
        )
    return f"Pipelines here were scored {what} those of {title!r}: no order between the two is meant."


def _same_rows(one: Scored, other: Scored) -> bool:
    names = ("label", "target", "fold")
    pairs = [(getattr(one.rows, name, None), getattr(other.rows, name, None)) for name in names]
    return one.repeats == other.repeats and all(
        first is second is None or (first is not None and second is not None and np.array_equal(first, second))
        for first, second in pairs
    )


def _titles(found: list[tuple[str, str, int]]) -> list[str]:
    """Return a distinct title for each source, design and number."""
    short = {source: source.partition(":")[0].partition(",")[0] for source, _, _ in found}
    names = {source: short[source] if list(short.values()).count(short[source]) == 1 else source for source in short}
    designs = {(source, design) for source, design, _ in found}
    titles = []
    for source, design, number in found:
        several = sum(one == source and how != "test" for one, how in designs) > 1
        how = "test" if design == "test" else design if several else "cross-validation"
        titles.append(f"{names[source]}, {how}" + (f" ({number})" if number > 1 else ""))
    if len(set(titles)) < len(titles):  # of classes and of continuous labels
        titles = [f"{title} ({i + 1})" if titles.count(title) > 1 else title for i, title in enumerate(titles)]
    return titles
