"""Panels of a page: figures of an analysis with titles and captions."""

import html
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from antibody_esm.data.audit import FEWEST
from antibody_esm.errors import RECOVERABLE, in_one_line
from antibody_esm.evaluation.interval import compact
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.slices import Slice
from antibody_esm.reports import names, plots
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import Column, GridAnalysis
from antibody_esm.reports.svg import svg
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger("antibody_esm")

_SQUARE = (4.2, 3.9)
_WIDE = 5.0
"""Width in inches above which a figure has a line of its own, and scrolls if the screen is narrower."""


class PagePanel(NamedTuple):
    """Figure of a page, with title and caption."""

    title: str
    caption: str
    draw: "Callable[[Axes], object]"
    size: tuple[float, float] = _SQUARE


class Figures:
    """Figures of a page, each with an id of its own."""

    def __init__(self) -> None:
        self._count = 0

    def figure(self, panel: PagePanel, level: int) -> str:
        """Return the element of a figure, whose title is a heading of this level; level 0 shows no title."""
        self._count += 1
        description = " ".join([f"{panel.title}.", panel.caption]).strip()
        try:
            drawn = svg(panel.draw, f"f{self._count}", description, panel.size)
        except RECOVERABLE as error:
            logger.warning("the figure %r could not be drawn: %s", panel.title, in_one_line(error))
            drawn = f"<p class='warn'>This figure could not be drawn: {html.escape(in_one_line(error))}</p>"
        caption = f"<figcaption>{html.escape(panel.caption)}</figcaption>" if panel.caption else ""
        kind = ("wide" if panel.size[0] > _WIDE else "narrow") + ("" if level else " bare")
        heading = f"<h{level}>{html.escape(panel.title)}</h{level}>" if level else ""
        return f"<figure class='{kind}'>{heading}<div class='scroll'>{drawn}</div>{caption}</figure>"

    def bare(self, panels: Iterable[PagePanel]) -> str:
        """Return the figures of panels without headings, each on a line of its own."""
        return "".join(self.figure(panel, 0) for panel in panels)

    def figures(self, panels: Iterable[PagePanel], level: int = 4) -> str:
        """Return the figures of panels, side by side if there is room."""
        return f"<div class='figures'>{''.join(self.figure(panel, level) for panel in panels)}</div>"


_MEASUREMENTS = 12
"""Most measurements that a page shows; a user's table may have hundreds of columns of numbers."""


_PAIRS = 8
"""Most results whose intervals the first figure of a page shows; a table has all."""


def of_verdicts(grid: GridAnalysis) -> list[PagePanel]:
    """Return the first panels of a page: each result and its best baseline on one axis, one panel for each metric."""
    panels = []
    for metric in dict.fromkeys(each.column.first.metric for each in grid.verdicts):
        pairs = [each for each in grid.verdicts if each.column.first.metric == metric and each.baseline is not None]
        if not 0 < len(pairs) <= _PAIRS:
            continue
        alone = len(grid.reports) == 1
        draw = partial(plots.verdict, grid.reports[0]) if alone else partial(plots.verdicts, grid, metric)
        caption = (
            "Blue: the pipeline. Grey: the best baseline. Both are scored on the same antibodies, so the interval of "
            "the difference decides, even if these intervals overlap."
        )
        title = f"{METRIC[metric].title} with 95 % intervals"
        panels.append(PagePanel(title, caption, draw, (4.9, 0.65 + 0.36 * 2 * len(pairs))))
    return panels


def of_column(grid: GridAnalysis, column: Column) -> list[PagePanel]:
    """Return the panels of a column: scores of all pipelines and baselines, and their differences."""
    metric = column.first.metric
    entries, comparisons = len(column.cells), grid.comparisons[column.title]
    rivals, pipelines = len({each.other for each in comparisons}), len({each.one for each in comparisons})
    panels = [
        PagePanel(
            f"{METRIC[metric].title} and 95 % interval",
            "Blue: trained pipelines. Grey: baselines that read the same sequences and need no language model. "
            + ("The dashed line is chance. " if metric in ("roc_auc", "spearman") else "")
            + "If intervals overlap, compare the differences.",
            partial(plots.grid_scores, grid, column.title),
            (4.6, 0.9 + 0.33 * entries),
        )
    ]
    if comparisons:
        panels.append(
            PagePanel(
                "Differences",
                f"{METRIC[metric].title} of the column less that of the row, with interval and p after Holm's "
                f"correction for {comparisons[0].family} comparisons. Blue is for the column, orange for the row; "
                "a frame marks the only differences that may be claimed.",
                partial(plots.grid_comparisons, grid, column.title),
                (max(4.6, 1.9 + 1.4 * pipelines), 0.9 + 0.44 * rivals),
            )
        )
    return panels


def of_report(report: Analysis) -> list[tuple[str, str, list[PagePanel]]]:
    """Return groups of panels, each with a heading and a sentence about all of them."""
    folded = report.is_cross_validation
    each = " Thin lines: the model of each fold. Thick line: their mean." if folded else ""
    if report.spec.is_regression:
        shown = [
            PagePanel("Predicted and measured", "On the dashed line both are equal.", partial(plots.predicted, report)),
            PagePanel(
                "Residuals",
                "Predicted less measured value. A slope means that predictions are too extreme or too near the mean; a "
                "funnel means that errors grow with the value.",
                partial(plots.residuals, report),
            ),
        ]
        return [("Predictions", "", shown), ("Scores of subsets", "", _subsets(report))]
    decided = "the model's own threshold" if report.threshold is None else f"a threshold of {compact(report.threshold)}"
    ranked = [
        PagePanel("ROC", f"Sensitivity over the false positive rate.{each}", partial(plots.roc, report)),
        PagePanel(
            "Precision and recall",
            f"Precision over sensitivity. The dashed line is the share of positives in the data.{each}",
            partial(plots.precision_recall, report),
        ),
    ]
    cuts = plots.cuts(report)
    line = (
        f"The dashed line is the threshold, {compact(round(cuts[0], 3))}."
        if len(cuts) == 1
        else "Dashed lines: each model's threshold."
    )
    decisions = [
        PagePanel(
            "Scores by class",
            f"Numbers of antibodies: positives upwards, negatives downwards. {line if cuts else ''}".strip(),
            partial(plots.scores, report),
        ),
        PagePanel("Confusion", f"At {decided}. Percentages are of the true class.", partial(plots.confusion, report)),
        PagePanel(
            "Calibration",
            "On the dashed line, probabilities are calibrated; below it, they are too high. Bars are 95 % intervals; "
            "grey columns are numbers of antibodies.",
            partial(plots.calibration, report),
        ),
    ]
    named = [name for name, value in report.data.measurements.items() if _continuous(name, value)]
    values = [_value(report, name) for name in named[:_MEASUREMENTS]]
    more = f" Of {len(named)} measurements, the first {len(values)} are shown; see `Report.plot_values`."
    caption = (
        "If a model has learnt the property itself, its probability rises with the measurement within each class too. "
        "If high values mean class 0, it falls."
    )
    return [
        ("Ranking", "", ranked),
        ("Probabilities and decisions", "", decisions),
        ("Scores of subsets", "", _subsets(report)),
        ("Predictions and measurements", caption + more * (len(named) > len(values)), values),
    ]


def _value(report: Analysis, name: str) -> PagePanel:
    return PagePanel(name, "", partial(plots.values, report, name), (4.2, 3.4))


def _continuous(name: str, values: Any) -> bool:
    """Return True for a measurement on a scale: no fold number, no flag."""
    finite = np.asarray(values)[np.isfinite(np.asarray(values))]
    return name != "fold" and len(np.unique(finite)) > 2


def _subsets(report: Analysis) -> list[PagePanel]:
    """Return the panels of families and of identities; a computation that fails becomes a note in its panel."""
    name = METRIC[report.slice_metric].title
    name = name[0].upper() + name[1:]
    panels: list[PagePanel] = []
    for title, make in (
        (f"{name} by {report.family_title}", _families),
        (f"{name} by identity to the training set", _identities),
    ):
        try:
            panels += make(report, title)
        except RECOVERABLE as error:
            panels.append(PagePanel(title, "", partial(_fail, error)))
    return panels


def _fail(error: Exception, ax: "Axes") -> None:
    raise error


def _families(report: Analysis, title: str) -> list[PagePanel]:
    families = [name for name, part in report.by_family.items() if part.shown]
    if not families:
        return []
    more = len(families) - plots.FAMILIES
    rest = f"{more} more are smaller than these {plots.FAMILIES}. " if more > 0 else ""
    size = 4.6, 0.9 + 0.42 * len(families[: plots.FAMILIES])
    caption = f"{rest}{_left_out(report.by_family.values(), report.family_title)}{_nominal(report)}"
    return [PagePanel(title, caption.strip(), partial(plots.families, report), size)]


def _identities(report: Analysis, title: str) -> list[PagePanel]:
    shown = [name for name, part in report.by_identity.items() if part.shown]
    if not shown:
        return []
    what = names.identity(report.data).capitalize()
    caption = (
        f"{what} to the nearest antibody the model was trained on. High scores for near antibodies only may come "
        "from memorised sequences; new antibodies are more likely far. "
        f"{_left_out(report.by_identity.values(), 'range')}{_nominal(report)}"
    )
    size = 4.6, 0.9 + 0.42 * len(shown)
    return [PagePanel(title, caption.strip(), partial(plots.identity, report), size)]


def _left_out(parts: Iterable[Slice], noun: str) -> str:
    """Return the sentences on slices that are not shown: those of few antibodies, and those without a score."""
    parts = list(parts)
    small = [part.antibodies for part in parts if part.antibodies < FEWEST]
    undefined = [part.antibodies for part in parts if part.antibodies >= FEWEST and not part.defined]
    reasons = {f"of fewer than {FEWEST} antibodies": small, "with one class only": undefined}
    return "".join(
        f"Left out: {names.counted(len(sizes), noun)} {reason}, {sum(sizes):,} in all. "
        for reason, sizes in reasons.items()
        if sizes
    )


def _nominal(report: Analysis) -> str:
    return "Intervals are nominal." if report.is_cross_validation else ""


def of_map(report: Analysis) -> list[PagePanel]:
    """Return the panel of the map of embeddings; none if the report was made without vectors."""
    mapped = report.embedding_map
    if isinstance(mapped, Unknown):
        return []
    shown = f" {len(mapped.rows):,} of {len(report.data):,} antibodies are shown." * (
        len(mapped.rows) < len(report.data)
    )
    caption = (
        f"The first two principal components of the vectors explain {mapped.explained[0]:.0%} and "
        f"{mapped.explained[1]:.0%} of their variance, each number scaled to unit variance. The labels have no part in "
        f"it.{shown} {'Values' if report.spec.is_regression else 'Classes'} that mix here may still differ in other "
        "directions."
    )
    return [PagePanel("Map of the embeddings", caption, partial(plots.embedding_map, report))]
