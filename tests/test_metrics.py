import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from antibody_esm.evaluation.metrics import (
    CONTINUOUS_METRICS,
    METRIC,
    METRICS,
    Classified,
    Measured,
    score,
    score_continuous,
)
from antibody_esm.evaluation.predictions import ContinuousPredictions

LABEL = np.array([0, 0, 0, 1, 1])
PREDICTION = np.array([0, 0, 1, 1, 0])
PROBABILITY = np.array([0.1, 0.4, 0.6, 0.9, 0.3])

# Coarse probabilities, so that ties are common.
ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 16).map(lambda i: i / 16)), min_size=1, max_size=40
)
VALUES = st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=3, max_size=40)


def columns(rows: list[tuple[float, ...]]) -> list[np.ndarray]:
    return [np.array(column) for column in zip(*rows, strict=True)]


def test_metrics_are_what_one_gets_by_hand() -> None:
    found = score(LABEL, PREDICTION, PROBABILITY)
    assert list(found) == list(METRICS)
    # tp 1, fp 1, fn 1, tn 2; of six pairs of a positive and a negative, four are in order.
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["sensitivity"] == pytest.approx(1 / 2)
    assert found["specificity"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["f1"] == pytest.approx(1 / 2)
    assert found["mcc"] == pytest.approx((1 * 2 - 1 * 1) / math.sqrt(2 * 2 * 3 * 3))
    assert found["roc_auc"] == pytest.approx(4 / 6)
    assert found["pr_auc"] == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.16 + 0.36 + 0.01 + 0.49) / 5)
    assert found["ece"] == pytest.approx((0.1 + 0.4 + 0.6 + 0.1 + 0.7) / 5)


def test_the_calibration_error_is_that_of_ten_bins_by_hand() -> None:
    # Bin .2 to .3: mean probability .25, one of two positive; the last bin holds 1.0 too.
    found = score([0, 1, 1, 1], [0, 0, 1, 1], [0.2, 0.3 - 1e-9, 1.0, 0.92])
    assert found["ece"] == pytest.approx((2 * 0.25 + 2 * 0.04) / 4, abs=1e-9)


@given(ROWS)
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[float, ...]]) -> None:
    label, prediction, probability = columns(rows)
    assume(0 < label.sum() < len(label))
    found = score(label, prediction, probability)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(label, prediction),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(label, prediction),
        "sensitivity": sklearn_metrics.recall_score(label, prediction),
        "specificity": sklearn_metrics.recall_score(label, prediction, pos_label=0),
        "f1": sklearn_metrics.f1_score(label, prediction),
        "mcc": sklearn_metrics.matthews_corrcoef(label, prediction),
        "roc_auc": sklearn_metrics.roc_auc_score(label, probability),
        "pr_auc": sklearn_metrics.average_precision_score(label, probability),
        "brier": sklearn_metrics.brier_score_loss(label, probability),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-10), name


@given(VALUES)
def test_continuous_metrics_are_those_of_scipy_and_scikit_learn(rows: list[tuple[float, ...]]) -> None:
    target, prediction = columns(rows)
    assume(np.ptp(target) > 0 and np.ptp(prediction) > 0)
    found = score_continuous(target, prediction)
    assert list(found) == list(CONTINUOUS_METRICS)
    assert found["spearman"] == pytest.approx(stats.spearmanr(target, prediction).statistic, abs=1e-10)
    assert found["pearson"] == pytest.approx(stats.pearsonr(target, prediction).statistic, abs=1e-10)
    assert found["rmse"] == pytest.approx(sklearn_metrics.root_mean_squared_error(target, prediction), abs=1e-10)


def test_the_recall_of_the_top_tenth_is_what_one_counts() -> None:
    target = np.arange(25.0)  # k is 3: rows 22, 23 and 24
    prediction = target.copy()
    prediction[[22, 3]] = prediction[[3, 22]]
    assert score_continuous(target, prediction)["top_k_recall"] == pytest.approx(2 / 3)
    assert score_continuous(target, np.zeros(25))["top_k_recall"] == pytest.approx(3 / 25)


def test_ties_at_the_edge_of_the_top_tenth_are_broken_at_random_on_average() -> None:
    target, prediction = np.array([3, 2, 2, 1, 1, 0] * 2), np.array([3, 1, 2, 2, 0, 1] * 2)
    target[6], prediction[6] = 0, 0  # k is 2: the first row, and one of those that have 2
    generator, shares = np.random.default_rng(0), []
    for _ in range(5000):
        best = [set(np.lexsort((generator.random(12), -one))[:2].tolist()) for one in (target, prediction)]
        shares.append(len(best[0] & best[1]) / 2)
    assert 0.5 < np.mean(shares) < 1
    assert score_continuous(target, prediction)["top_k_recall"] == pytest.approx(np.mean(shares), abs=0.01)


@given(ROWS, st.data())
def test_counts_of_rows_are_rows_that_stand_there_as_often(rows: list[tuple[float, ...]], data: st.DataObject) -> None:
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    assume(counts.sum() > 0)
    label, prediction, probability = columns(rows)
    repeated = np.repeat(np.arange(len(rows)), counts)
    found = Classified(label, prediction, probability)(counts[None].astype(float))
    expected = score(label[repeated], prediction[repeated], probability[repeated])
    for name in METRICS:
        assert found[name][0] == pytest.approx(expected[name], abs=1e-10, nan_ok=True), name


@given(VALUES, st.data())
def test_counts_of_measured_rows_are_rows_that_stand_there_as_often(
    rows: list[tuple[float, ...]], data: st.DataObject
) -> None:
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    assume(counts.sum() > 0)
    target, prediction = columns(rows)
    repeated = np.repeat(np.arange(len(rows)), counts)
    found = Measured(target, prediction)(counts[None].astype(float))
    expected = score_continuous(target[repeated], prediction[repeated])
    for name in CONTINUOUS_METRICS:
        assert found[name][0] == pytest.approx(expected[name], abs=1e-10, nan_ok=True), name


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[float, ...]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = score(*columns(rows)), score(*columns(shuffled))
    assert {name: pytest.approx(value, abs=1e-12, nan_ok=True) for name, value in one.items()} == other


@given(ROWS)
def test_swapping_the_classes_swaps_what_is_told_of_them_and_nothing_else(rows: list[tuple[float, ...]]) -> None:
    label, prediction, probability = columns(rows)
    one, other = score(label, prediction, probability), score(1 - label, 1 - prediction, 1 - probability)
    for name in ("roc_auc", "balanced_accuracy", "mcc", "accuracy", "brier"):
        assert one[name] == pytest.approx(other[name], abs=1e-12, nan_ok=True)
    assert one["sensitivity"] == pytest.approx(other["specificity"], nan_ok=True)


@given(ROWS, VALUES)
def test_every_value_is_within_its_bounds_or_undefined(
    rows: list[tuple[float, ...]], values: list[tuple[float, ...]]
) -> None:
    for name, value in (score(*columns(rows)) | score_continuous(*columns(values))).items():
        least, most = METRIC[name].bounds
        assert math.isnan(value) or least <= value <= most, name


@pytest.mark.parametrize("only", [0, 1])
def test_what_is_not_defined_for_one_class_is_nan(only: int) -> None:
    found = score(np.full(3, only), np.array([0, 1, 1]), np.array([0.1, 0.8, 0.9]))
    undefined = {"balanced_accuracy", "mcc", "roc_auc", "pr_auc"}
    undefined |= {"f1", "sensitivity"} if only == 0 else {"specificity"}
    assert {name for name, value in found.items() if math.isnan(value)} == undefined


def test_a_constant_prediction_has_no_correlation() -> None:
    found = score(LABEL, np.zeros(5, int), np.full(5, 0.5))
    assert (found["f1"], found["mcc"], found["roc_auc"]) == (0.0, 0.0, 0.5)


def test_correlations_with_a_constant_are_not_defined() -> None:
    assert math.isnan(score_continuous([0.1] * 7, [1, 2, 3, 4, 5, 6, 7])["pearson"])
    found = score_continuous([0.1] * 7, [0.3] * 7)
    assert {name for name, value in found.items() if math.isnan(value)} == {"spearman", "pearson", "top_k_recall"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"label": [0, 2]}, "label is 0 or 1, got 2 in row 2"),
        ({"prediction": [0.5, 1]}, "prediction is 0 or 1, got 0.5 in row 1"),
        ({"probability": [0.1, np.nan]}, "probability is finite, got nan in row 2"),
        ({"probability": [0.1, 1.1]}, "a probability is from 0 to 1, got 1.1 in row 2"),
        ({"probability": [[0.1, 0.9]]}, "one number a row"),
        ({"probability": [0.1]}, "lengths differ: label 2, prediction 2, probability 1"),
        ({"label": [], "prediction": [], "probability": []}, "there is no row"),
    ],
)
def test_what_cannot_be_scored_is_an_error_that_says_where(changed: dict[str, list[float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        score(**{"label": [0, 1], "prediction": [0, 1], "probability": [0.1, 0.9]} | changed)


def test_what_rounding_leaves_beyond_one_is_a_probability() -> None:
    assert score([0, 1], [0, 1], [0.0, 1 + 2e-16])["brier"] == 0


def test_accuracy_is_no_headline() -> None:
    assert METRICS[0] == "roc_auc"
    assert METRICS.index("accuracy") > METRICS.index("balanced_accuracy")
    assert set(METRIC) == {*METRICS, *CONTINUOUS_METRICS}


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=40))
def test_if_low_values_are_better_the_best_tenth_is_that_of_the_negative_values(rows: list[tuple[int, int]]) -> None:
    target, prediction = np.array(rows, float).T
    low, high = score_continuous(target, prediction, higher_is_better=False), score_continuous(target, prediction)
    negative = score_continuous(-target, -prediction)
    assert low["top_k_recall"] == pytest.approx(negative["top_k_recall"], nan_ok=True)
    assert {name: low[name] for name in ("spearman", "pearson", "rmse")} == pytest.approx(
        {name: high[name] for name in ("spearman", "pearson", "rmse")}, nan_ok=True
    )
    predictions = ContinuousPredictions(target=target, prediction=prediction, fold=None, higher_is_better=False)
    every = predictions.subset(np.arange(len(target)))
    assert every.scores()["top_k_recall"] == pytest.approx(low["top_k_recall"], nan_ok=True)
