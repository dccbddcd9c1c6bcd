"""Figures of antibodies: counts by score and class, and places in a plane."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.reports import antibody_figures
from reporting import antibodies, cross_validated, held_out


def axes() -> Axes:
    return Figure().subplots()


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60), st.lists(st.floats(0, 1)))
def test_every_antibody_is_counted_once_positives_upwards(pairs: list[tuple[float, int]], cuts: list[float]) -> None:
    probability, label = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    rows = Predictions(label=label, prediction=label, probability=probability, fold=None)
    ax = axes()
    antibody_figures.scores_by_class(ax, rows, cuts)
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in ax.patches if isinstance(bar, Rectangle)]
    assert len(bars) == 40, "as many marks for any number of antibodies"
    for sign, number in ((1, 1), (-1, 0)):
        values = probability[label == number]
        assert sum(height for _, height in bars if sign * height > 0) == sign * len(values)
        for middle, height in bars:
            if sign * height > 0:
                assert (np.abs(values - middle) <= 0.025 + 1e-9).sum() >= sign * height
    drawn = [float(np.asarray(line.get_xdata())[0]) for line in ax.lines[1:]]
    assert drawn == cuts


def test_the_threshold_of_a_report_is_its_own_or_the_one_it_was_scored_with() -> None:
    for report, cut in ((cross_validated(), 0.5), (held_out(antibodies(50, seed=1)), 0.5)):
        ax = report.plot_scores(axes())
        assert [float(np.asarray(line.get_xdata())[0]) for line in ax.lines[1:]] == [cut]
    with pytest.raises(AttributeError, match="continuous labels have no classes"):
        cross_validated(antibodies(continuous=True), "ridge").plot_scores()


@pytest.mark.parametrize("continuous", [False, True])
def test_a_plane_shows_each_antibody_once_in_its_class_or_third(continuous: bool) -> None:
    places = np.random.default_rng(0).normal(size=(30, 2))
    label = np.arange(30.0) if continuous else np.arange(30.0) % 2
    ax = axes()
    antibody_figures.plane(ax, places, label, (0.25, 0.125), continuous)
    parts = {str(points.get_label()): np.asarray(points.get_offsets()) for points in ax.collections}
    assert list(parts) == (["lowest third", "middle", "highest third"] if continuous else ["negative", "positive"])
    assert sorted(map(tuple, np.vstack(list(parts.values())).tolist())) == sorted(map(tuple, places.tolist()))
    first = "lowest third" if continuous else "negative"
    assert parts[first].tolist() == places[label < 10 if continuous else label == 0].tolist()
    assert ax.get_xlabel() == "component 1, 25% of the variance"
