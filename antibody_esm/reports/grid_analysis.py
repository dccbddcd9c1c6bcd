"""Pipelines on data sets: pipelines in rows, data sets in columns, and the differences between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from antibody_esm.evaluation.paired import Comparison, adjust
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports import model_names, names
from antibody_esm.reports.analysis import Analysis
from antibody_esm.specs import TrainSpec
from antibody_esm.specs.ensembles import columns_of
from antibody_esm.specs.estimators import without_widths

_OF_A_PIPELINE = TrainSpec.model_fields.keys() - {"format", "extractor", "classifier", "split", "use_columns"}
"""Fields of a pipeline beside its extractor and classifier, which may be pinned, or hold the columns that are used."""


class Row(NamedTuple):
    """A pipeline or baseline that reads one part of the antibodies."""

    name: str
    fragment: str
    baseline: bool = False
    of: str = ""
    """Name of the only pipeline that has this baseline; empty for a baseline of all."""
    training: str = ""
    """Training antibodies in words, if models of the grid differ in these."""


@dataclass(frozen=True, eq=False)
class Column:
    """One data set, scored in one way.

    Attributes
    ----------
    title
        Name of the data set and of the design, distinct among the columns of a grid.
    reports
        Analyses by pipeline.
    differs
        Sentence for a column whose antibodies or folds differ from those of another column of its data set; else empty.
    """

    title: str
    reports: dict[Row, Analysis]
    differs: str = ""

    @property
    def first(self) -> Analysis:
        """The first of `reports`; data set, design and metric are the same in all."""
        return next(iter(self.reports.values()))

    @cached_property
    def cells(self) -> dict[Row, ScoredPredictions]:
        """Predictions in each row: pipelines, best first, then baselines."""
        metric = self.first.metric

        def score(cell: tuple[Row, ScoredPredictions]) -> float:
            return float(np.nan_to_num(cell[1].intervals[metric].estimate, nan=-np.inf))

        def falling(cells: dict[Row, ScoredPredictions]) -> dict[Row, ScoredPredictions]:
            return dict(sorted(cells.items(), key=lambda cell: -score(cell)))

        firsts: dict[tuple[str, str], Analysis] = {}
        for row, report in self.reports.items():
            first = firsts.setdefault((row.fragment, row.training), report)
            if columns_of(report.spec.extractor) and not columns_of(first.spec.extractor):
                firsts[row.fragment, row.training] = report  # which has the baseline of columns too
        baselines = {
            Row(_joined(report.baseline_title(name), training), fragment, True, training=training): scored
            for (fragment, training), report in firsts.items()
            for name, scored in report.baselines.found.items()
            if name not in report.untrained
        }
        for row, report in self.reports.items():
            for name in [name for name in report.untrained if name in report.baselines.found]:
                title = report.baseline_title(name) + (f", {row.name}" if len(self.reports) > 1 else "")
                baselines[Row(title, row.fragment, True, row.name, row.training)] = report.baselines.found[name]
        return falling({row: report.scored for row, report in self.reports.items()}) | falling(baselines)

    @property
    def pairs(self) -> list[tuple[Row, Row]]:
        """Pairs of a pipeline with another pipeline or a baseline that have the same rows and folds."""
        return [
            (first, second)
            for first, second in combinations(self.cells, 2)
            if not first.baseline
            and (not second.baseline or second.training == first.training)
            and (not second.of or (second.of, second.fragment) == (first.name, first.fragment))
            and _same_rows(self.cells[first], self.cells[second])
        ]

    @cached_property
    def compared(self) -> list[Comparison]:
        """Comparisons of `pairs`, before the correction for their number."""
        fragments = len({row.fragment for row in self.cells}) > 1

        def name(row: Row) -> str:
            return f"{row.name}, {row.fragment}" if fragments else row.name

        return [
            self.cells[first].compare(
                self.cells[second].clustered(self.cells[first].rows.clusters),
                self.first.metric,
                (name(first), name(second)),
            )
            for first, second in self.pairs
        ]


class Verdict(NamedTuple):
    """A pipeline on one label of a data set, against the best baseline."""

    column: Column
    row: Row
    baseline: Row | None
    """The baseline with the best score; None if there is none for the same rows."""
    comparison: Comparison | None
    """The difference to the baseline, after the correction for all comparisons of the grid."""

    @property
    def label(self) -> str:
        """Name of the label; empty if it has none."""
        return self.column.first.data.label_name or ""

    @property
    def scored(self) -> ScoredPredictions:
        """Predictions of the pipeline."""
        return self.column.cells[self.row]


class GridAnalysis:
    """Numbers about pipelines on data sets; `antibody_esm.reports.grid.GridReport` shows them.

    Parameters
    ----------
    reports
        One analysis or several, of classes or continuous labels. Those of the same antibodies and folds share a column;
        pipelines that were scored on different rows are not ranked together.

    Raises
    ------
    ValueError
        If there is no report.
    """

    def __init__(self, reports: Sequence[Analysis]) -> None:
        self.reports: tuple[Analysis, ...] = tuple(reports)
        if not self.reports:
            raise ValueError("a grid needs one report at least")

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Data sets in order of first occurrence, cross-validations before tests."""
        table: dict[tuple[str, str, str, bool, int], dict[Row, Analysis]] = {}
        for report in sorted(self.reports, key=lambda report: not report.is_cross_validation):
            row = self._row(report)
            number = 1
            kind = (report.source, report.data.label_name or "", report.design, report.spec.is_regression)
            while not _fits(row, report, table.get((*kind, number), {})):
                number += 1
            table.setdefault((*kind, number), {})[row] = report
        titles = _titles([(source, label, design, number) for source, label, design, _, number in table])
        first = {
            key[:4]: (title, cells) for title, (key, cells) in zip(titles, table.items(), strict=True) if key[4] == 1
        }
        return tuple(
            Column(title, cells, "" if key[4] == 1 else _differs(cells, *first[key[:4]]))
            for title, (key, cells) in zip(titles, table.items(), strict=True)
        )

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Pipelines, in the order of their scores in the first column that has them, and then baselines."""
        every = list(dict.fromkeys(row for column in self.columns for row in column.cells))
        return tuple(sorted(every, key=lambda row: row.baseline))

    @cached_property
    def comparisons(self) -> dict[str, tuple[Comparison, ...]]:
        """Comparisons by the title of their column; one correction of Holm is for all of the grid."""
        every = iter(adjust([comparison for column in self.columns for comparison in column.compared]))
        return {column.title: tuple(next(every) for _ in column.compared) for column in self.columns}

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels of a data set that has several, in the order of the columns; empty if none has."""
        names = dict.fromkeys((column.first.source, column.first.data.label_name or "") for column in self.columns)
        several = {source for source, _ in names if sum(source == other for other, _ in names) > 1}
        return tuple(dict.fromkeys(label for source, label in names if source in several))

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Each pipeline on each column, against the best baseline there."""
        verdicts = []
        for column in self.columns:
            best: dict[Row, tuple[Row, Comparison]] = {}
            for (row, other), comparison in zip(column.pairs, self.comparisons[column.title], strict=True):
                if other.baseline:
                    best.setdefault(row, (other, comparison))
            verdicts += [Verdict(column, row, *best.get(row, (None, None))) for row in column.reports]
        return tuple(verdicts)

    @property
    def named(self) -> list[tuple[str, Analysis]]:
        """Every analysis with a distinct name."""
        fragments = len({row.fragment for row in self.rows}) > 1
        return [
            (f"{row.name}{f', {row.fragment}' if fragments else ''}: {column.title}", report)
            for column in self.columns
            for row, report in column.reports.items()
        ]

    @property
    def title(self) -> str:
        """Numbers of pipelines and of data sets or labels, in words."""
        pipelines = dict.fromkeys(row.name for row in self.rows if not row.baseline)
        parts = {row.fragment for row in self.rows if not row.baseline}
        name = names.counted(len(pipelines), "pipeline") + (f" and {len(parts)} parts" if len(parts) > 1 else "")
        if self.labels:
            return f"{next(iter(pipelines)) if len(pipelines) == 1 else name} on {len(self.labels)} labels"
        return f"{name} on {names.counted(len({report.source for report in self.reports}), 'data set')}"

    def column(self, title: str | None = None) -> Column:
        """Return a column by its title; the first one by default.

        Raises
        ------
        ValueError
            If no column has that title.
        """
        for column in self.columns:
            if title in (None, column.title):
                return column
        titles = ", ".join(column.title for column in self.columns)
        raise ValueError(f"no data set {title!r} here; choose one of {titles}")

    def _row(self, report: Analysis) -> Row:
        """Return the row of a pipeline, whose name is the same before and after its language model was pinned."""
        alike = [
            other
            for other in self.reports
            if names.agree(other.trained.extractor, report.trained.extractor)
            and without_widths(other.trained.classifier) == without_widths(report.trained.classifier)
            and all(getattr(other.trained, name) == getattr(report.trained, name) for name in _OF_A_PIPELINE)
        ]
        name = min((names.pipeline(other.trained) for other in alike), key=len)
        training = model_names.trained_on(report, self.reports)
        name = _joined(name, training, *model_names.of_model(report, alike))
        return Row(name, report.data.reading.title, training=training)


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _fits(row: Row, report: Analysis, cells: dict[Row, Analysis]) -> bool:
    """Return True if a column has the rows of a report, but not yet its pipeline."""
    if row in cells:
        return False
    for other, reported in cells.items():
        if list(report.data.ids) != list(reported.data.ids) or not _same_rows(report.scored, reported.scored):
            return False
        if other.fragment == row.fragment:
            return report.data.sequences == reported.data.sequences
    return True


def _differs(cells: dict[Row, Analysis], title: str, first: dict[Row, Analysis]) -> str:
    """Return the sentence for a column with the data set and design of another column, but other rows."""
    report, other = (next(iter(reports.values())) for reports in (cells, first))
    alike = report.data.fragment == other.data.fragment  # then sequences count too
    ours, theirs = (
        set(zip(each.data.ids, each.data.sequences if alike else each.data.ids, strict=True))
        for each in (report, other)
    )
    difference = "in other folds than"
    if _same_rows(report.scored, other.scored):
        difference = "again, on the antibodies of"
    elif report.scored.rows.fold is None and other.scored.rows.fold is None:
        difference = "with other labels than"
    if ours != theirs:
        difference = (
            f"on other antibodies ({len(ours):,}, of which {len(ours & theirs):,} are among the {len(theirs):,}) than"
        )
    those = "" if difference.endswith(" of") else "those of "
    return f"Pipelines here were scored {difference} {those}{title!r}: the two columns are not ranked together."


def _same_rows(scored: ScoredPredictions, other: ScoredPredictions) -> bool:
    """Return True if predictions are for the same labels in the same folds."""
    mine, theirs = scored.rows, other.rows
    if (
        scored.repeats != other.repeats
        or type(mine) is not type(theirs)
        or (mine.fold is None) != (theirs.fold is None)
    ):
        return False
    folds = mine.fold is None or theirs.fold is None or np.array_equal(mine.fold, theirs.fold)
    return folds and np.array_equal(mine.truth, theirs.truth)


def _titles(columns: list[tuple[str, str, str, int]]) -> list[str]:
    """Return a distinct title for each source, label, design and number."""
    short = {source: names.short_source(source) for source, *_ in columns}
    titled = {source: short[source] if list(short.values()).count(short[source]) == 1 else source for source in short}
    designs = {(source, label, design) for source, label, design, _ in columns}
    labels = {source: len({label for name, label, *_ in columns if name == source}) for source in short}
    titles = []
    for source, label, design, number in columns:
        several = sum((name, other) == (source, label) and kind != "test" for name, other, kind in designs) > 1
        kind = "test" if design == "test" else design if several else "cross-validation"
        name = titled[source]
        if labels[source] > 1:
            name = (label or "label") + (f" of {name}" if len(short) > 1 else "")
        titles.append(f"{name}, {kind}" + (f" ({number})" if number > 1 else ""))
    if len(set(titles)) < len(titles):  # of classes and of continuous labels
        titles = [f"{title} ({i + 1})" if titles.count(title) > 1 else title for i, title in enumerate(titles)]
    return titles
