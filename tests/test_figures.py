"""Figures show the predictions they are given."""

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from antibody_esm import SplitSpec
from antibody_esm.evaluation.intervals import Interval, wilson
from antibody_esm.evaluation.paired import Comparison
from antibody_esm.evaluation.predictions import ContinuousPredictions, Predictions
from antibody_esm.reports import figures
from antibody_esm.reports.report import Report
from reporting import antibodies, cross_validated, held_out

GENERATOR = np.random.default_rng(0)
LABEL = GENERATOR.integers(0, 2, 90)
PROBABILITY = np.clip(LABEL * 0.3 + GENERATOR.random(90) * 0.7, 0, 1).round(2)
ROWS = Predictions(label=LABEL, prediction=PROBABILITY > 0.5, probability=PROBABILITY, fold=None)
FOLDED = Predictions(label=LABEL, prediction=PROBABILITY > 0.5, probability=PROBABILITY, fold=np.arange(90) % 3)
VALUES = ContinuousPredictions(target=PROBABILITY * 3, prediction=PROBABILITY * 2 + LABEL, fold=None)


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def curves(ax: Axes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the coordinates of all that is no reference line."""
    for line in ax.lines:
        if line.get_color() == figures.COLOURS["blue"]:
            yield np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def texts(ax: Axes) -> set[str]:
    return {one.get_text() for one in ax.texts}


def test_the_roc_curve_is_that_of_scikit_learn(ax: Axes) -> None:
    figures.roc(ax, ROWS)
    ((x, y),) = curves(ax)
    fpr, tpr, _ = roc_curve(LABEL, PROBABILITY)
    np.testing.assert_array_equal((x, y), (fpr, tpr))
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(LABEL, PROBABILITY))


def test_each_fold_has_its_own_roc_curve_and_none_runs_through_all(ax: Axes) -> None:
    figures.roc(ax, FOLDED, Interval(0.8, 0.7, 0.9, 0.95, "x"))
    *folds, mean = curves(ax)
    assert len(folds) == 3
    for number, (x, y) in enumerate(folds):
        rows = FOLDED.fold == number
        fpr, tpr, _ = roc_curve(LABEL[rows], PROBABILITY[rows])
        np.testing.assert_array_equal((x, y), (fpr, tpr))
    assert np.trapezoid(mean[1], mean[0]) == pytest.approx(FOLDED.scores()["roc_auc"], abs=0.01)
    assert "mean of 3 folds, AUC .800 [.70, .90]" in [one.get_text() for one in ax.get_legend().get_texts()]


def test_scales_of_two_models_do_not_meet_in_a_curve(ax: Axes) -> None:
    scale = np.where(FOLDED.fold == 0, 0.1, 1.0)
    moved = Predictions(label=LABEL, prediction=LABEL, probability=PROBABILITY * scale, fold=FOLDED.fold)
    figures.roc(ax, moved)
    figures.precision_recall(ax, moved)
    other = Figure().subplots()
    figures.roc(other, FOLDED)
    figures.precision_recall(other, FOLDED)
    for one, same in zip(curves(ax), curves(other), strict=True):
        np.testing.assert_array_equal(one, same)


def test_the_precision_recall_curve_is_that_of_scikit_learn_in_steps(ax: Axes) -> None:
    figures.precision_recall(ax, ROWS)
    ((recall, precision),) = curves(ax)
    expected, at, _ = precision_recall_curve(LABEL, PROBABILITY)
    np.testing.assert_array_equal((recall[1:], precision[1:]), (at[-2::-1], expected[-2::-1]))
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(average_precision_score(LABEL, PROBABILITY))
    assert [line.get_drawstyle() for line in ax.lines][-1] == "steps-pre"
    assert list(ax.lines[0].get_ydata()) == pytest.approx([LABEL.mean()] * 2)


def test_the_mean_precision_has_the_mean_area(ax: Axes) -> None:
    figures.precision_recall(ax, FOLDED)
    *folds, (recall, precision) = curves(ax)
    assert len(folds) == 3
    assert np.sum(np.diff(np.append(0, recall)) * precision) == pytest.approx(FOLDED.scores()["pr_auc"], abs=0.01)


def test_a_fold_of_one_class_has_no_curve(ax: Axes) -> None:
    rows = Predictions(label=[0, 1, 0, 0], prediction=[0, 1, 0, 0], probability=[0.1, 0.8, 0.2, 0.3], fold=[0, 0, 1, 1])
    figures.roc(ax, rows)
    figures.precision_recall(ax, rows)
    assert len(list(curves(ax))) == 4, "one fold and the mean, twice"


def test_calibration_is_the_share_of_positives_in_each_bin(ax: Axes) -> None:
    figures.calibration(ax, ROWS)
    ((x, y),) = (one for one in curves(ax) if len(one[0]) > 2)
    number = np.minimum((PROBABILITY * 10).astype(int), 9)
    filled = np.unique(number)
    np.testing.assert_allclose(x, [PROBABILITY[number == one].mean() for one in filled])
    np.testing.assert_allclose(y, [LABEL[number == one].mean() for one in filled])
    ((bars,),) = (container.get_children()[1:] for container in ax.containers if hasattr(container, "has_yerr"))
    for segment, one in zip(bars.get_segments(), filled, strict=True):
        expected = wilson(LABEL[number == one] == 1, 0.95)
        np.testing.assert_allclose(segment[:, 1], [expected.low, expected.high])
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(
        np.array(heights) / max(heights), np.bincount(number, minlength=10) / max(np.bincount(number))
    )


def test_confusion_counts_each_class(ax: Axes) -> None:
    figures.confusion(ax, ROWS)
    placed = {(round(one.get_position()[0], 1), one.get_position()[1] > 1): one.get_text() for one in ax.texts[::2]}
    for true in (0, 1):
        for predicted in (0, 1):
            count = ((true == LABEL) & (ROWS.prediction == predicted)).sum()
            assert placed[predicted + 0.5, true == 0] == f"{count:,}"


def test_a_value_that_was_not_measured_is_left_out(ax: Axes) -> None:
    value = np.where(np.arange(90) % 9, PROBABILITY * 7, np.nan)
    figures.score_by_value(ax, value, PROBABILITY, LABEL, "psr $2$", Interval(0.5, 0.4, 0.6, 0.95, "x"))
    shown = np.concatenate([np.asarray(one.get_offsets()) for one in ax.collections])
    known = np.isfinite(value)
    assert sorted(map(tuple, shown)) == sorted(zip(value[known], PROBABILITY[known], strict=True))
    negative, positive = ax.collections
    assert len(negative.get_offsets()) == (LABEL[known] == 0).sum()
    assert negative.get_paths()[0].vertices.shape != positive.get_paths()[0].vertices.shape, (
        "shapes differ, not colours only"
    )
    assert ax.get_title(loc="left") == "Spearman .500 [.40, .60]"


def test_very_many_points_are_thinned_from_end_to_end(ax: Axes) -> None:
    value = np.arange(50_000.0)
    figures.score_by_value(ax, value, value / 50_000, (value > 9).astype(int), "x")
    shown = np.concatenate([np.asarray(one.get_offsets())[:, 0] for one in ax.collections])
    assert (len(shown), shown.min(), shown.max()) == (2_000, 0, 49_999)


def test_a_forest_has_a_line_for_each_and_says_what_is_not_defined(ax: Axes) -> None:
    nan = float("nan")
    entries = [
        figures.Entry("one", Interval(0.7, 0.6, 0.8, 0.95, "x"), detail="12, 3 positive"),
        figures.Entry("other", Interval(0.5, nan, nan, 0.95, "x"), faint=True),
        figures.Entry("none", Interval(nan, nan, nan, 0.95, "x")),
    ]
    figures.forest(ax, entries, "roc_auc")
    lines = {tuple(line.get_xdata()): line.get_ydata()[0] for line in ax.lines[1:]}
    assert lines == {(0.6, 0.8): 2, (0.7,): 2, (0.5,): 1}
    assert [one.get_text() for one in ax.get_yticklabels()] == ["one\n12, 3 positive", "other", "none"]
    assert texts(ax) == {"not defined"}
    assert ax.lines[0].get_xdata() == [0.5, 0.5]


def test_a_matrix_frames_only_what_may_be_claimed(ax: Axes) -> None:
    found = [
        Comparison("a", "b", "roc_auc", Interval(0.1, 0.02, 0.18, 0.95, "x"), 0.001, 0.02, 3),
        Comparison("a", "c", "roc_auc", Interval(-0.2, -0.3, -0.1, 0.95, "x"), 0.02, 0.06, 3),
        Comparison("b", "c", "roc_auc", Interval(float("nan"), float("nan"), float("nan"), 0.95, "x"), 1, 1, 3),
    ]
    figures.matrix(ax, found)
    framed = [one for one in ax.patches if isinstance(one, Rectangle) and not one.get_fill()]
    assert [one.get_xy()[0] < 1 and one.get_xy()[1] > 1 for one in framed] == [True], "a over b, and nothing else"
    assert {"+.100", "-.200", "undefined"} <= texts(ax)
    assert any("[.02, .18]" in one and "p = .020" in one for one in texts(ax))


def test_less_is_better_of_some_metrics(ax: Axes) -> None:
    figures.matrix(ax, [Comparison("a", "b", "brier", Interval(-0.1, -0.2, -0.01, 0.95, "x"), 0.01, 0.01)])
    from matplotlib.colors import to_hex

    assert to_hex(ax.patches[0].get_facecolor()) == figures.COLOURS["blue"]


def test_values_are_drawn_as_they_are(ax: Axes) -> None:
    figures.predicted_by_measured(ax, VALUES)
    assert sorted(map(tuple, ax.collections[0].get_offsets())) == sorted(
        zip(VALUES.target, VALUES.prediction, strict=True)
    )
    other = Figure().subplots()
    figures.residuals(other, VALUES)
    expected = sorted(zip(VALUES.prediction, VALUES.prediction - VALUES.target, strict=True))
    np.testing.assert_allclose(sorted(map(tuple, other.collections[0].get_offsets())), expected)


@pytest.mark.parametrize("split", [SplitSpec(folds=4), SplitSpec(folds=3, repeats=2)])
def test_a_report_draws_on_the_axes_it_is_given(split: SplitSpec) -> None:
    report = cross_validated(split=split)
    names = ("roc", "precision_recall", "calibration", "confusion", "families", "identity", "baselines", "comparisons")
    for name in names:
        ax = Figure().subplots()
        assert getattr(report, f"plot_{name}")(ax) is ax
        assert ax.has_data() or ax.patches
    ax = Figure().subplots()
    assert len(list(curves(report.plot_roc(ax)))) == split.folds * split.repeats + 1
    ax = report.plot_confusion(Figure().subplots())
    assert sum(int(one.get_text()) for one in ax.texts[::2]) == 60, "each antibody once"
    ax = report.plot_values("psr", Figure().subplots())
    assert sum(len(one.get_offsets()) for one in ax.collections) == 54


def test_new_axes_are_those_of_pyplot(report: Report) -> None:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    ax = report.plot_roc()
    assert ax is pyplot.gca()
    pyplot.close("all")


def test_classes_and_values_have_figures_of_their_own(report: Report) -> None:
    values = cross_validated(antibodies(continuous=True), "ridge")
    assert values.plot_predicted(Figure().subplots()).collections
    assert values.plot_residuals(Figure().subplots()).collections
    for one, name in ((values, "plot_roc"), (values, "plot_confusion"), (report, "plot_predicted")):
        with pytest.raises(AttributeError, match="see plot_"):
            getattr(one, name)(Figure().subplots())


def test_slices_count_every_antibody_once(report: Report) -> None:
    for found in (report.by_family, report.by_identity, held_out(antibodies(50, seed=1)).by_identity):
        assert sum(one.antibodies for one in found.values()) in (50, 60)
    rows = report.predictions[np.array(report.data.groups) == "HIV"]
    label, prediction = rows["label"], rows["prediction"]
    expected = (prediction[label == 1].mean() + 1 - prediction[label == 0].mean()) / 2
    found = report.by_family["HIV"]
    assert found.interval.estimate == pytest.approx(expected)
    assert (found.antibodies, found.positives) == (20, label.sum())
    assert not found.interval.claimed, "several models"
    assert held_out(antibodies(50, seed=1)).by_family["HIV"].interval.claimed


def test_identities_are_told_from_far_to_near() -> None:
    report = held_out(antibodies())
    assert list(report.by_identity) == ["identical"]
    far = held_out(antibodies(50, seed=1))
    assert list(far.by_identity) == ["below 60%"]


@pytest.fixture(scope="module")
def report() -> Report:
    return cross_validated()
