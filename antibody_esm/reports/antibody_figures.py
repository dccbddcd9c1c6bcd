"""Figures that count antibodies by their scores, or place them on a map; each is drawn on given axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.metrics import BINS
from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.reports.figures import COLOURS, short_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _MUTED, _, _BLUE, _ORANGE = COLOURS.values()


def scores_by_class(ax: "Axes", rows: Predictions, cuts: Sequence[float]) -> None:
    """Draw the numbers of positives upwards and of negatives downwards by probability, with the thresholds."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    edges = np.linspace(0, 1, 2 * BINS + 1)
    middles, most = (edges[:-1] + edges[1:]) / 2, 1
    for number, side, colour, title in ((1, 1, _ORANGE, "positive"), (0, -1, _BLUE, "negative")):
        counts = np.histogram(rows.probability[rows.label == number], edges)[0]
        most = max(most, int(counts.max()))
        ax.bar(middles, side * counts, width=0.9 / (2 * BINS), color=colour, alpha=0.75, linewidth=0)
        ax.text(
            0.02,
            0.97 if side > 0 else 0.03,
            title,
            transform=ax.transAxes,
            color=colour,
            va="top" if side > 0 else "bottom",
        )
    ax.axhline(0, color=_MUTED, linewidth=0.8)
    for cut in cuts:
        ax.axvline(cut, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.set(xlabel="predicted probability", ylabel="antibodies", xlim=(-0.01, 1.01), ylim=(-1.25 * most, 1.25 * most))
    ax.grid(visible=True, axis="y")
    short_ticks(ax.xaxis)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))


def plane(
    ax: "Axes", places: NDArray[np.float64], label: NDArray[Any], explained: tuple[float, float], continuous: bool
) -> None:
    """Draw antibodies in a plane by class, or by third of their values."""
    marks = [(_BLUE, "o"), (_MUTED, "s"), (_ORANGE, "^")]
    kinds = [(label == 0, "negative", marks[0]), (label == 1, "positive", marks[2])]
    if continuous:
        low, high = np.quantile(label, [1 / 3, 2 / 3])
        third = (label > low).astype(int) + (label > high)
        titles = ("lowest third", "middle", "highest third")
        kinds = [(third == number, titles[number], marks[number]) for number in range(3)]
    for chosen, title, (colour, marker) in kinds:
        x, y = places[chosen].T
        ax.scatter(x, y, s=14, color=colour, marker=marker, alpha=0.6, linewidth=0, label=title)
    first, second = (f"{share:.0%} of the variance" for share in explained)
    ax.set(xlabel=f"component 1, {first}", ylabel=f"component 2, {second}")
    ax.grid(visible=True)
    short_ticks(ax.xaxis, ax.yaxis)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0, handletextpad=0.1, columnspacing=0.8)
