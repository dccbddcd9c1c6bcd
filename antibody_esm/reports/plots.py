"""Figures of an analysis: each function passes its numbers to a function of `antibody_esm.reports.figures`.

Each draws on the axes that it gets, else on new axes, and returns them.
"""

from typing import TYPE_CHECKING

from antibody_esm.evaluation.predictions import AnyPredictions, ContinuousPredictions, Predictions
from antibody_esm.evaluation.slices import Slice
from antibody_esm.reports import antibody_figures, figures
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.reports.thresholds import thresholds
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILIES = 12
"""Families in a figure, at most."""


def roc(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the ROC curve; after cross-validation that of each fold, and their mean."""
    return figures.drawn(ax, figures.roc, _classes(report.scored.rows), report.intervals.get("roc_auc"))


def precision_recall(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw precision over recall; after cross-validation for each fold, and the mean."""
    return figures.drawn(ax, figures.precision_recall, _classes(report.scored.rows), report.intervals.get("pr_auc"))


def calibration(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of positives over the predicted probability."""
    return figures.drawn(ax, figures.calibration, _classes(report.scored.first))


def confusion(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the number of antibodies of each class by predicted class."""
    return figures.drawn(ax, figures.confusion, _classes(report.scored.first))


def scores(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the numbers of antibodies of each class by predicted probability, with the threshold."""
    return figures.drawn(ax, antibody_figures.scores_by_class, _classes(report.scored.first), cuts(report))


def cuts(report: Analysis) -> list[float]:
    """Return the thresholds at which a report's classes were decided, each number once."""
    return thresholds(_classes(report.scored.first)) if report.threshold is None else [report.threshold]


def embedding_map(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the first two principal components of the vectors, by class or by third of the values."""
    mapped = report.embedding_map
    if isinstance(mapped, Unknown):
        raise AttributeError(f"there is no map: {mapped}")
    label = report.scored.first.truth[mapped.rows]
    return figures.drawn(ax, antibody_figures.plane, mapped.places, label, mapped.explained, report.spec.is_regression)


def values(report: Analysis, name: str, ax: "Axes | None" = None) -> "Axes":
    """Draw the predicted probability over a measurement of the data."""
    rows, value = _classes(report.scored.first), report.data.measurement(name)
    arguments = value, rows.probability, rows.label, name, report.correlation(name)
    return figures.drawn(ax, figures.score_by_value, *arguments)


def predicted(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the predicted over the measured value of continuous labels."""
    return figures.drawn(ax, figures.predicted_by_measured, _values(report.scored.first))


def residuals(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the predicted less the measured value of continuous labels, over the predicted value."""
    return figures.drawn(ax, figures.residuals, _values(report.scored.first))


def families(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the score of each family of ten antibodies or more, of the twelve largest at most."""
    shown = {name: part for name, part in report.by_family.items() if part.shown}
    largest = dict(list(shown.items())[:FAMILIES])
    return figures.drawn(ax, figures.forest, _entries(largest), report.slice_metric)


def identity(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the score by identity to the training set, for ten antibodies or more."""
    shown = {name: part for name, part in report.by_identity.items() if part.shown}
    return figures.drawn(ax, figures.forest, _entries(shown), report.slice_metric)


def baselines(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the score and its interval, above those of the baselines."""
    entries = [figures.Entry(report.pipeline, report.intervals[report.metric])] + [
        figures.Entry(report.baseline_title(name), scored.intervals[report.metric], faint=True)
        for name, scored in report.ranked_baselines
    ]
    return figures.drawn(ax, figures.forest, entries, report.metric)


def verdict(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the score and its interval above that of the best baseline, on one axis."""
    best = [
        figures.Entry(report.baseline_title(name), scored.intervals[report.metric], faint=True)
        for name, scored in report.ranked_baselines[:1]
    ]
    entries = [figures.Entry(report.pipeline, report.intervals[report.metric]), *best]
    return figures.drawn(ax, figures.forest, entries, report.metric)


def verdicts(grid: GridAnalysis, metric: str, ax: "Axes | None" = None) -> "Axes":
    """Draw the scores of a metric in each column, each above that of the best baseline there, on one axis."""
    several = len({each.row for each in grid.verdicts}) > 1
    entries = []
    for each in grid.verdicts:
        if each.column.first.metric == metric and each.baseline is not None:
            name = each.label if grid.labels else each.column.title
            best = each.column.cells[each.baseline].intervals[metric]
            entries += [
                figures.Entry(f"{name}: {each.row.name}" if several else name, each.scored.intervals[metric]),
                figures.Entry(each.baseline.name, best, faint=True),
            ]
    return figures.drawn(ax, figures.forest, entries, metric)


def comparisons(report: Analysis, ax: "Axes | None" = None) -> "Axes":
    """Draw the differences to the baselines."""
    return figures.drawn(ax, figures.matrix, report.comparisons)


def grid_scores(grid: GridAnalysis, title: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw the scores and intervals of a column of a grid, of the first by default."""
    column = grid.column(title)
    metric, fragments = column.first.metric, len({row.fragment for row in column.cells}) > 1
    entries = [
        figures.Entry(row.name, scored.intervals[metric], row.baseline, row.fragment if fragments else "")
        for row, scored in column.cells.items()
    ]
    return figures.drawn(ax, figures.forest, entries, metric)


def grid_comparisons(grid: GridAnalysis, title: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw the differences between the pipelines and baselines of a column of a grid."""
    return figures.drawn(ax, figures.matrix, grid.comparisons[grid.column(title).title])


def _classes(rows: AnyPredictions) -> Predictions:
    if not isinstance(rows, Predictions):
        raise AttributeError("continuous labels have no classes; see plot_predicted and plot_residuals")
    return rows


def _values(rows: AnyPredictions) -> ContinuousPredictions:
    if not isinstance(rows, ContinuousPredictions):
        raise AttributeError("classes have no values; see plot_roc and plot_calibration")
    return rows


def _entries(slices: dict[str, Slice]) -> list[figures.Entry]:
    def counted(part: Slice) -> str:
        return f"{part.antibodies:,}" + ("" if part.positives is None else f", {part.positives:,} positive")

    return [figures.Entry(name, part.interval, detail=counted(part)) for name, part in slices.items()]
