"""Functions that each draw one figure on given axes, from plain predictions or intervals.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers can distinguish.
Classes differ in shape too. After cross-validation each fold has a thin curve beside the mean of the curves:
probabilities of two models are on two scales, so no curve is drawn through all of them.
"""

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.comparison import Comparison, p_text, signed
from antibody_esm.evaluation.intervals import Interval, wilson
from antibody_esm.evaluation.metrics import BINS, METRIC
from antibody_esm.evaluation.predictions import ContinuousPredictions, Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

COLOURS = {
    "ink": "#1f2328",
    "muted": "#656d76",
    "faint": "#d0d7de",
    "blue": "#0072b2",
    "orange": "#d55e00",
}
"""Colours by name."""
_INK, _MUTED, _FAINT, _BLUE, _ORANGE = COLOURS.values()

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "figure.figsize": (4.2, 3.5),
    "figure.constrained_layout.use": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
}
"""Settings of matplotlib for axes that are made here."""

CHANCE = {"roc_auc": 0.5, "balanced_accuracy": 0.5, "mcc": 0.0, "spearman": 0.0, "pearson": 0.0}
"""Score of a random prediction by metric, for metrics in which it does not depend on the data."""

_GRID = np.linspace(0, 1, 201)
_MOST_POINTS = 2_000
"""Largest number of points in a scatter plot; larger data are thinned evenly by rank."""


class Entry(NamedTuple):
    """One line of a forest plot."""

    label: str
    interval: Interval
    faint: bool = False
    """True for a line in the background, such as a baseline."""
    detail: str = ""
    """Text in small letters below the label."""


def drawn(ax: "Axes | None", draw: Callable[..., None], *arguments: Any) -> "Axes":
    """Draw on these axes, or on new ones if there are none, and return them."""
    if ax is None:
        from matplotlib import pyplot

        with pyplot.rc_context(STYLE):
            ax = pyplot.subplots()[1]
    draw(ax, *arguments)
    return ax


def roc(ax: "Axes", rows: Predictions, area: Interval | None = None) -> None:
    """Draw ROC curves, and the mean of the folds' curves at each false positive rate; the legend has ``area``."""
    from sklearn.metrics import roc_curve

    curves = []
    for label, probability in _models(rows):
        fpr, tpr, _ = roc_curve(label, probability)
        curves.append((fpr, tpr))
    ax.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="chance")
    if rows.fold is not None:
        for fpr, tpr in curves:
            ax.plot(fpr, tpr, color=_BLUE, linewidth=0.7, alpha=0.35)
        means = np.mean([np.interp(_GRID, fpr, tpr) for fpr, tpr in curves], axis=0) if curves else _GRID * np.nan
        means[0] = 0
        curves = [(_GRID, means)]
    for fpr, tpr in curves:
        ax.plot(fpr, tpr, color=_BLUE, linewidth=2, label=_legend(rows, "AUC", area), solid_joinstyle="round")
    _unit_square(ax, "false positive rate (1 - specificity)", "true positive rate (sensitivity)")
    ax.legend(loc="lower right")


def precision_recall(ax: "Axes", rows: Predictions, area: Interval | None = None) -> None:
    """Draw precision-recall curves, and the mean of the folds' curves at each recall; the legend has ``area``.

    Curves are steps: no threshold lies between two points, and a straight line there would be optimistic
    (doi:10.1145/1143844.1143874).
    """
    from sklearn.metrics import precision_recall_curve

    curves = []
    for label, probability in _models(rows):
        precision, recall, _ = precision_recall_curve(label, probability)
        rising = recall[-2::-1], precision[-2::-1]  # without the last point, (0, 1), which no threshold has
        curves.append((np.append(0.0, rising[0]), np.append(rising[1][0], rising[1])))
    share = float(rows.label.mean())
    ax.plot([0, 1], [share, share], color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="share of positives")
    if rows.fold is not None:
        for recall, precision in curves:
            ax.plot(recall, precision, color=_BLUE, linewidth=0.7, alpha=0.35, drawstyle="steps-pre")
        stepped = [precision[np.searchsorted(recall, _GRID[1:])] for recall, precision in curves]
        curves = [(_GRID[1:], np.mean(stepped, axis=0))] if stepped else []
    title = _legend(rows, "AUC", area)
    for recall, precision in curves:
        ax.plot(recall, precision, color=_BLUE, linewidth=2, label=title, drawstyle="steps-pre")
    _unit_square(ax, "recall (sensitivity)", "precision")
    ax.legend(loc="upper right" if share < 0.25 else "lower left")


def calibration(ax: "Axes", rows: Predictions) -> None:
    """Draw the share of positives over the probability in ten bins, with intervals and numbers of rows."""
    number = np.minimum((rows.probability * BINS).astype(int), BINS - 1)
    filled = np.unique(number)
    chosen = [number == index for index in filled]
    mean = np.array([rows.probability[rows_of_bin].mean() for rows_of_bin in chosen])
    intervals = [wilson(rows.label[rows_of_bin] == 1, 0.95) for rows_of_bin in chosen]
    share = np.array([interval.estimate for interval in intervals])
    reach = np.array(
        [[interval.estimate - interval.low, interval.high - interval.estimate] for interval in intervals]
    ).T
    counts = np.bincount(number, minlength=BINS)
    ax.bar(
        (np.arange(BINS) + 0.5) / BINS,
        0.2 * counts / counts.max(),
        width=0.9 / BINS,
        color=_MUTED,
        alpha=0.25,
        linewidth=0,
    )
    ax.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.errorbar(mean, share, np.maximum(reach, 0), color=_BLUE, marker="o", markersize=4.5, linewidth=1.2, capsize=0)
    _unit_square(ax, "predicted probability", "share of positives")


def confusion(ax: "Axes", rows: Predictions) -> None:
    """Draw counts by true and predicted class; shades and percentages are shares of the true class."""
    from matplotlib.patches import Rectangle

    for true in (0, 1):
        of_class = rows.prediction[rows.label == true]
        for predicted in (0, 1):
            count = int((of_class == predicted).sum())
            share = count / max(len(of_class), 1)
            colour = _BLUE if true == predicted else _ORANGE
            ax.add_patch(
                Rectangle((predicted, 1 - true), 1, 1, facecolor=colour, alpha=0.08 + 0.5 * share, linewidth=0)
            )
            middle = predicted + 0.5, 1.5 - true
            ax.text(middle[0], middle[1] + 0.06, f"{count:,}", ha="center", va="center", fontsize=15, color=_INK)
            ax.text(middle[0], middle[1] - 0.17, f"{share:.0%}", ha="center", va="center", color=_INK)
    ax.set(xlim=(0, 2), ylim=(0, 2), aspect="equal", xlabel="predicted", ylabel="true")
    ax.set_xticks([0.5, 1.5], ["negative", "positive"])
    ax.set_yticks([1.5, 0.5], ["negative", "positive"], rotation=90, va="center")
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


def score_by_value(
    ax: "Axes",
    value: NDArray[np.float64],
    probability: NDArray[np.float64],
    label: NDArray[np.int64],
    name: str,
    correlation: Interval | None = None,
) -> None:
    """Draw the predicted probability of antibodies over their measurements; NaN is left out."""
    measured = np.flatnonzero(np.isfinite(value))
    shown = measured[_thinned(value[measured])]
    for number, colour, marker, title in ((0, _BLUE, "o", "negative"), (1, _ORANGE, "^", "positive")):
        rows = shown[label[shown] == number]
        ax.scatter(
            value[rows], probability[rows], s=14, color=colour, marker=marker, alpha=0.6, linewidth=0, label=title
        )
    ax.set(xlabel=_literal(name), ylabel="predicted probability", ylim=(-0.03, 1.03))
    ax.set_title("" if correlation is None else f"Spearman {correlation}", loc="left", color=_MUTED)
    ax.grid(visible=True)
    short_ticks(ax.xaxis, ax.yaxis)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, handletextpad=0.1, columnspacing=0.8)


def forest(ax: "Axes", entries: Sequence[Entry], metric: str) -> None:
    """Draw estimates and their intervals, one line each, from top to bottom; the score of chance is a line."""
    chance = CHANCE.get(metric)
    if chance is not None:
        ax.axvline(chance, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    places = np.arange(len(entries))[::-1]
    for place, entry in zip(places, entries, strict=True):
        colour, interval = (_MUTED if entry.faint else _BLUE), entry.interval
        if np.isnan(interval.estimate):
            ax.text(0.01, place, "not defined", transform=ax.get_yaxis_transform(), va="center", color=_MUTED)
            continue
        if not np.isnan(interval.width):
            ax.plot([interval.low, interval.high], [place, place], color=colour, linewidth=1.2 if entry.faint else 2)
        size = 4 if entry.faint else 6
        ax.plot([interval.estimate], [place], color=colour, marker="o", markersize=size, linestyle="none")
    labels = [
        textwrap.fill(_literal(entry.label), 30, max_lines=3) + (f"\n{entry.detail}" if entry.detail else "")
        for entry in entries
    ]
    ax.set_yticks(places, labels)
    ax.set_ylim(-0.6, len(entries) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(visible=True, axis="x")
    short_ticks(ax.xaxis)
    ax.set_xlabel(METRIC[metric].title + ("" if METRIC[metric].higher_is_better else " (less is better)"))


def matrix(ax: "Axes", comparisons: Sequence[Comparison]) -> None:
    """Draw differences as a table: the score of the column less that of the row, with corrected interval and p.

    Blue is for the column, orange for the row; a frame marks differences that may be claimed after
    Holm's correction.
    """
    from matplotlib.patches import Rectangle

    columns = list(dict.fromkeys(comparison.one for comparison in comparisons))
    rows = list(dict.fromkeys(comparison.other for comparison in comparisons))
    largest = np.nanmax([1e-9, *(abs(comparison.difference.estimate) for comparison in comparisons)])
    better = METRIC[comparisons[0].metric].higher_is_better if comparisons else True
    for comparison in comparisons:
        difference = comparison.difference
        corner = columns.index(comparison.one), len(rows) - 1 - rows.index(comparison.other)
        undefined = np.isnan(difference.estimate)
        colour = _BLUE if (difference.estimate > 0) == better else _ORANGE
        shade = 0.0 if undefined else 0.45 * abs(difference.estimate) / largest
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=colour, alpha=shade, linewidth=0))
        if comparison.verdict != "undecided":
            inner = corner[0] + 0.03, corner[1] + 0.05
            ax.add_patch(Rectangle(inner, 0.94, 0.9, fill=False, edgecolor=colour, linewidth=1.6))
        x, y = corner[0] + 0.5, corner[1] + 0.5
        estimate, _, ends = signed(difference).partition(" ")
        p_value = p_text(comparison.adjusted)
        below = p_value if np.isnan(difference.width) else f"{ends}   {p_value}"
        ax.text(x, y + 0.13, estimate, ha="center", va="center", fontsize=10, color=_INK)
        ax.text(x, y - 0.22, "" if undefined else below, ha="center", va="center", fontsize=7.5, color=_INK)
    ax.set(xlim=(0, len(columns)), ylim=(0, len(rows)))
    ax.set_xticks(np.arange(len(columns)) + 0.5, [textwrap.fill(_literal(name), 20, max_lines=4) for name in columns])
    ax.set_yticks(
        len(rows) - 0.5 - np.arange(len(rows)), [textwrap.fill(_literal(name), 26, max_lines=3) for name in rows]
    )
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.set_xticks(np.arange(len(columns) + 1), minor=True)
    ax.set_yticks(np.arange(len(rows) + 1), minor=True)
    ax.tick_params(which="minor", length=0)
    ax.grid(visible=True, which="minor")
    for side in ax.spines.values():
        side.set_visible(False)


def predicted_by_measured(ax: "Axes", rows: ContinuousPredictions) -> None:
    """Draw the predicted value over the measured one, and the line on which both are equal."""
    shown = _thinned(rows.target)
    ends = [min(rows.target.min(), rows.prediction.min()), max(rows.target.max(), rows.prediction.max())]
    ax.plot(ends, ends, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.scatter(rows.target[shown], rows.prediction[shown], s=14, color=_BLUE, alpha=0.6, linewidth=0)
    ax.set(xlabel="measured", ylabel="predicted")
    ax.grid(visible=True)
    short_ticks(ax.xaxis, ax.yaxis)


def residuals(ax: "Axes", rows: ContinuousPredictions) -> None:
    """Draw the predicted less the measured value over the predicted value."""
    shown = _thinned(rows.prediction)
    ax.axhline(0, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    apart = rows.prediction - rows.target
    ax.scatter(rows.prediction[shown], apart[shown], s=14, color=_BLUE, alpha=0.6, linewidth=0)
    ax.set(xlabel="predicted", ylabel="predicted less measured")
    ax.grid(visible=True)
    short_ticks(ax.xaxis, ax.yaxis)


def _models(rows: Predictions) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return labels and probabilities of each model's rows, if both classes are among them."""
    fold = np.zeros(len(rows), np.int64) if rows.fold is None else rows.fold
    parts = [(rows.label[fold == number], rows.probability[fold == number]) for number in range(rows.folds)]
    return [(label, probability) for label, probability in parts if 0 < label.sum() < len(label)]


def _legend(rows: Predictions, name: str, area: Interval | None) -> str:
    folds = "" if rows.fold is None else f"mean of {rows.folds} folds, "
    return f"{folds}{name} {area}" if area is not None else folds.rstrip(", ") or "model"


def _unit_square(ax: "Axes", x: str, y: str) -> None:
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=x, ylabel=y)
    ax.set_aspect("equal")
    ax.grid(visible=True)
    short_ticks(ax.xaxis, ax.yaxis)


def short_ticks(*axes: "Axis") -> None:
    """Label ticks as reports print numbers: without the zero before the point."""
    from matplotlib.ticker import ScalarFormatter

    class Short(ScalarFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return re.sub(r"^(-?)0(?=\.)", r"\1", super().__call__(x, pos))

    for axis in axes:
        axis.set_major_formatter(Short())


def _literal(text: str) -> str:
    """Return a text in which a dollar does not begin a formula."""
    return text.replace("$", r"\$")


def _thinned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows of a scatter plot: all, or as many as can be shown, evenly in the order of their values."""
    order = np.argsort(values, kind="stable")
    if len(order) <= _MOST_POINTS:
        return order
    evenly: NDArray[np.int64] = order[np.linspace(0, len(order) - 1, _MOST_POINTS).round().astype(np.int64)]
    return evenly
