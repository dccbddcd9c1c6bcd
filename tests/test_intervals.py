"""Intervals are those of independent references, and hold the truth as often as they say.

The simulations are short here; ``make stress`` runs them in full.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr

from antibody_esm.evaluation.effective_size import sample
from antibody_esm.evaluation.intervals import (
    FEW,
    Interval,
    bootstrap,
    corrected_resampled_t,
    delong,
    few_positives,
    intervals,
    placements,
    sampling_width,
    share_tested,
    short,
    wilson,
)
from antibody_esm.evaluation.metrics import CONTINUOUS_METRICS, METRIC, METRICS
from antibody_esm.evaluation.predictions import ContinuousPredictions, Predictions
from antibody_esm.evaluation.resampling import Resampled, resampled
from effort import STRESS
from simulated import Design, closed_forms, measure

RUNS, RESAMPLES, SLACK = (2000, 1000, 0.0) if STRESS else (400, 300, 0.02)
"""Data sets, resamples of each, and how far a share of so few data sets is off by chance."""


def rows(
    generator: np.random.Generator,
    n: int,
    difference: float = 1.2,
    clusters: int | None = None,
    positives: int | None = None,
) -> Predictions:
    """What a fixed model says of two normal classes, whose distance and whose clusters are chosen."""
    cluster = None if clusters is None else np.arange(n) % clusters
    if positives is not None:
        label = (np.arange(n) < positives).astype(np.int64)
    elif cluster is None:
        label = generator.integers(0, 2, n)
    else:  # nine rows in ten have the label of their cluster
        label = generator.integers(0, 2, clusters)[cluster] ^ (generator.random(n) < 0.1)
    value = generator.normal(size=n)
    if cluster is not None:
        value = np.sqrt(0.5) * value + np.sqrt(0.5) * generator.normal(size=clusters)[cluster]
    value = value + label * difference
    probability = ndtr(value - difference / 2)
    prediction = (probability > 0.5).astype(np.int64)
    return Predictions(label=label, prediction=prediction, probability=probability, fold=None, clusters=cluster)


def plain_delong(label: np.ndarray, score: np.ndarray) -> tuple[float, float, float]:
    """The area, its variance and the degrees of freedom, from every pair of a positive and a negative."""
    pairs = [
        [1.0 if one > other else 0.5 if one == other else 0.0 for other in score[label == 0]]
        for one in score[label == 1]
    ]
    m, n = len(pairs), len(pairs[0])
    of_positive = [sum(row) / n for row in pairs]
    of_negative = [sum(row[j] for row in pairs) / m for j in range(n)]
    area = sum(of_positive) / m
    one = sum((value - area) ** 2 for value in of_positive) / (m - 1) / m
    other = sum((value - area) ** 2 for value in of_negative) / (n - 1) / n
    total = one + other
    return area, total, total**2 / (one**2 / (m - 1) + other**2 / (n - 1)) if total else np.nan


# --- Interval


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (Interval(0.81, 0.74, 0.866, 0.95, ""), ".810 [.74, .87]"),
        (Interval(1.0, 0.59, 1.0, 0.95, ""), "1.000 [.59, 1.00]"),
        (Interval(-0.02, -0.051, 0.0, 0.95, ""), "-.020 [-.05, .00]"),
        (Interval(10.0, 9.5, 10.25, 0.95, ""), "10.000 [9.50, 10.25]"),
        (Interval(1.0, np.nan, np.nan, 0.95, ""), "1.000 [unknown]"),
        (Interval(np.nan, np.nan, np.nan, 0.95, ""), "undefined"),
    ],
)
def test_an_interval_is_read_at_a_glance(interval: Interval, said: str) -> None:
    assert str(interval) == said


@given(st.floats(-100, 100))
def test_a_short_number_is_the_number_rounded(value: float) -> None:
    assert float(short(value)) == float(f"{value:.2f}")
    assert not short(value).startswith(("0.", "-0"))


# --- DeLong


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=4, max_size=40))
def test_areas_and_variances_are_those_of_every_pair(pairs: list[tuple[int, int]]) -> None:
    label = np.array([0, 0, 1, 1, *(one for one, _ in pairs)])
    score = np.array([1, 4, 2, 6, *(other for _, other in pairs)]) / 10
    area, of_positive, of_negative = placements(label, score)
    expected, variance, _ = plain_delong(label, score)
    assert area == pytest.approx(expected, abs=1e-12)
    found = of_positive.var(ddof=1) / len(of_positive) + of_negative.var(ddof=1) / len(of_negative)
    assert found == pytest.approx(variance, abs=1e-12)


def test_variance_and_freedom_are_those_of_the_test_of_brunner_and_munzel() -> None:
    generator = np.random.default_rng(0)
    label, score = np.arange(60) % 3 // 2, np.round(generator.random(60), 1)
    area, variance, freedom = plain_delong(label, score)
    expected = stats.brunnermunzel(score[label == 0], score[label == 1])
    assert (area - 0.5) / np.sqrt(variance) == pytest.approx(expected.statistic, abs=1e-10)
    assert 2 * stats.t.sf(abs(area - 0.5) / np.sqrt(variance), freedom) == pytest.approx(expected.pvalue, abs=1e-10)


@pytest.mark.parametrize(("n", "positives"), [(60, 20), (398, 7)])
def test_the_interval_is_symmetric_on_the_logit_scale_with_what_is_added_for_few(n: int, positives: int) -> None:
    found_rows = rows(np.random.default_rng(2), n, positives=positives)
    area, variance, freedom = plain_delong(found_rows.label, found_rows.probability)
    m, negatives = positives, n - positives
    added = area * (1 - area) * (2 * area - 1) ** 2 * (1 / m**2 + 1 / negatives**2)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance + added) / (area * (1 - area))
    found = delong(found_rows)
    assert found.estimate == pytest.approx(area, abs=1e-12)
    assert found.low == pytest.approx(1 / (1 + np.exp(half - np.log(area / (1 - area)))), abs=1e-10)
    assert found.high == pytest.approx(1 / (1 + np.exp(-half - np.log(area / (1 - area)))), abs=1e-10)


def test_seven_positives_that_are_all_above_are_still_only_seven() -> None:
    label = (np.arange(398) < 7).astype(np.int64)
    found = delong(Predictions(label=label, prediction=label, probability=label * 0.9, fold=None))
    # All of seven independent pairs in order.
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(stats.binomtest(7, 7).proportion_ci(method="exact").low, abs=1e-10)
    upside_down = delong(Predictions(label=label, prediction=label, probability=0.9 - label * 0.9, fold=None))
    assert (upside_down.low, upside_down.high) == (0.0, pytest.approx(1 - found.low))


def test_one_pair_out_of_order_does_not_make_the_interval_wide_at_a_stroke() -> None:
    label = (np.arange(398) < 7).astype(np.int64)
    probability = np.where(label == 1, 0.9, np.arange(398) / 1000)
    perfect = delong(Predictions(label=label, prediction=label, probability=probability, fold=None))
    probability[0] = 0.3965  # one of 391 negatives lies above it
    nearly = delong(Predictions(label=label, prediction=label, probability=probability, fold=None))
    assert 0.999 < nearly.estimate < 1
    assert perfect.low - 0.02 < nearly.low < nearly.estimate < nearly.high <= 1


def test_one_row_of_a_class_says_next_to_nothing() -> None:
    found = delong(
        Predictions(label=[1, 0, 0, 0], prediction=[1, 0, 0, 0], probability=[0.9, 0.1, 0.2, 0.3], fold=None)
    )
    assert (found.low, found.high) == (pytest.approx(0.025), 1.0)


def test_with_one_class_the_area_is_not_defined() -> None:
    found = delong(Predictions(label=[1, 1], prediction=[1, 0], probability=[0.9, 0.1], fold=None))
    assert str(found) == "undefined"


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12), st.floats(0, 5))
def test_intervals_of_areas_hold_the_estimate_stay_within_bounds_and_turn_with_the_labels(
    seed: int, positives: int, negatives: int, difference: float
) -> None:
    one = rows(np.random.default_rng(seed), positives + negatives, difference, positives=positives)
    turned = Predictions(label=1 - one.label, prediction=one.prediction, probability=1 - one.probability, fold=None)
    upside_down = Predictions(label=1 - one.label, prediction=one.prediction, probability=one.probability, fold=None)
    found = delong(one)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert delong(turned).low == pytest.approx(found.low, abs=1e-9)
    assert delong(upside_down).high == pytest.approx(1 - found.low, abs=1e-9)
    assert delong(one, level=0.8).width <= found.width + 1e-12


def test_pooled_scores_of_folds_are_refused() -> None:
    one = rows(np.random.default_rng(0), 40)
    columns = {"label": one.label, "prediction": one.prediction, "probability": one.probability}
    with pytest.raises(ValueError, match="out-of-fold scores mix 4 models"):
        delong(Predictions(**columns, fold=np.arange(40) % 4))


# --- shares


@pytest.mark.parametrize(("right", "of"), [(7, 7), (0, 12), (81, 263), (15, 148), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_of_shares_are_those_of_scipy(right: int, of: int, level: float) -> None:
    expected = stats.binomtest(right, of).proportion_ci(level, "wilson")
    found = wilson(np.arange(of) < right, level)
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=1e-10), pytest.approx(expected.high, abs=1e-10))


def test_intervals_of_shares_are_those_of_statsmodels() -> None:
    # statsmodels 0.15.0, proportion_confint(k, n, method="wilson"); 81 of 263 is Newcombe's example, .2553 to .3662.
    for right, of, low, high in [
        (7, 7, 0.6456695649333125, 1.0),
        (0, 12, 0.0, 0.24249400665524096),
        (81, 263, 0.2552885198782742, 0.36620957698280004),
        (15, 148, 0.06238639953073628, 0.16048724172330803),
    ]:
        found = wilson(np.arange(of) < right, 0.95)
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-10), pytest.approx(high, abs=1e-10))


def test_balanced_accuracy_joins_two_intervals_by_square_and_add() -> None:
    one = rows(np.random.default_rng(1), 80)
    found = intervals(one, resamples=100)
    parts = [found["sensitivity"], found["specificity"]]
    down = np.sqrt(sum((part.estimate - part.low) ** 2 for part in parts)) / 2
    assert found["balanced_accuracy"].low == pytest.approx(found["balanced_accuracy"].estimate - down, abs=1e-12)
    assert found["balanced_accuracy"].estimate == pytest.approx(one.scores()["balanced_accuracy"])


# --- bootstrap


def test_bca_is_that_of_scipy() -> None:
    generator = np.random.default_rng(0)
    data = generator.exponential(size=40)
    expected = stats.bootstrap((data,), np.mean, method="BCa", n_resamples=999, rng=generator)
    left_out = np.array([np.delete(data, i).mean() for i in range(40)])
    # So many clusters that Student's t is the normal distribution.
    found = Resampled(expected.bootstrap_distribution, float(data.mean()), 10**15, left_out).ends(0.95)
    assert found == (
        pytest.approx(expected.confidence_interval.low, abs=1e-10),
        pytest.approx(expected.confidence_interval.high, abs=1e-10),
    )


def test_percentiles_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    data = generator.exponential(size=40)
    expected = stats.bootstrap((data,), np.mean, method="percentile", n_resamples=999, rng=generator)
    found = Resampled(expected.bootstrap_distribution, float(data.mean()), 10**15).ends(0.95)
    assert found == (
        pytest.approx(expected.confidence_interval.low, abs=1e-10),
        pytest.approx(expected.confidence_interval.high, abs=1e-10),
    )


@given(st.integers(0, 1000), st.floats(-2.5, 2.5), st.integers(3, 60), st.booleans())
@example(183, 2.5, 3, False)
def test_the_p_value_is_where_the_interval_begins_to_hold_zero(
    seed: int, away: float, clusters: int, accelerated: bool
) -> None:
    generator = np.random.default_rng(seed)
    values = away + generator.normal(size=400) + 0.1 * generator.exponential(size=400)
    sample = Resampled(values, away, clusters, generator.exponential(size=30) if accelerated else None)
    p = sample.p_value()
    assert 1 / 401 <= p <= 1
    for level in np.linspace(0.5, 0.99, 12):
        low, high = sample.ends(level)
        assert (p < 1 - level) == (low > 0 or high < 0), level


def test_all_metrics_have_intervals_around_their_estimates_and_the_seed_decides() -> None:
    one = rows(np.random.default_rng(3), 120)
    found = bootstrap(one, resamples=400, seed=5)
    assert list(found) == list(METRICS)
    for name, interval in found.items():
        least, most = METRIC[name].bounds
        assert least <= interval.low <= interval.estimate <= interval.high <= most, name
        assert interval.estimate == one.scores()[name]
        assert interval.claimed
    assert bootstrap(one, resamples=400, seed=5) == found
    assert bootstrap(one, resamples=400, seed=6) != found


def test_continuous_targets_have_intervals_too() -> None:
    generator = np.random.default_rng(0)
    target = generator.normal(size=80)
    found = intervals(
        ContinuousPredictions(target=target, prediction=target + generator.normal(size=80), fold=None), resamples=400
    )
    assert list(found) == list(CONTINUOUS_METRICS)
    assert all(one.low < one.estimate < one.high for one in found.values())


def test_rows_that_are_drawn_are_those_of_a_plain_loop() -> None:
    one = rows(np.random.default_rng(0), 50)
    drawn = resampled([one], 100, seed=4)[0]
    generator = np.random.default_rng(4)
    for i, chosen in enumerate(generator.integers(0, 50, (100, 50))):
        again = Predictions(
            label=one.label[chosen], prediction=one.prediction[chosen], probability=one.probability[chosen], fold=None
        )
        for name, value in again.scores().items():
            assert drawn[name][i] == pytest.approx(value, abs=1e-10)


def test_every_row_twice_and_said_so_is_an_interval_like_that_of_the_rows_once() -> None:
    one = rows(np.random.default_rng(3), 100)
    twice = {name: np.tile(getattr(one, name), 2) for name in ("label", "prediction", "probability")}
    told = bootstrap(Predictions(**twice, fold=None, clusters=np.tile(np.arange(100), 2)), resamples=500)
    untold = bootstrap(Predictions(**twice, fold=None), resamples=500)
    once = bootstrap(one, resamples=500)
    for name in ("roc_auc", "accuracy", "sensitivity", "brier", "mcc"):
        assert told[name].low == pytest.approx(once[name].low, abs=1e-9)
        assert told[name].high == pytest.approx(once[name].high, abs=1e-9)
        assert told[name].width > 1.2 * untold[name].width, name


def test_every_resample_has_both_classes_however_rare_one_is() -> None:
    drawn = resampled([rows(np.random.default_rng(0), 60, positives=1)], 1000, seed=0)[0]
    assert not np.isnan(drawn["roc_auc"]).any()


def test_where_every_resample_agrees_the_interval_is_not_known() -> None:
    label = np.arange(30) % 2
    found = intervals(Predictions(label=label, prediction=label, probability=label * 0.8, fold=None), resamples=200)
    assert {name for name, one in found.items() if np.isnan(one.width)} == {"pr_auc"}
    assert str(found["pr_auc"]) == "1.000 [unknown]"
    assert (found["pr_auc"].claimed, found["pr_auc"].unclaimed) == (False, "the data do not determine an interval")
    assert found["sensitivity"].low < 0.85
    assert 0.6 < found["mcc"].low < 0.85


def test_one_class_leaves_undefined_what_needs_both() -> None:
    found = intervals(rows(np.random.default_rng(0), 20, positives=0), resamples=200)
    assert {name for name, one in found.items() if str(one) == "undefined"} == {
        *("roc_auc", "pr_auc", "balanced_accuracy", "sensitivity", "f1", "mcc")
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resamples": 99}, "needs 100 resamples at least, got 99"),
        ({"level": 95}, "a level lies between 0 and 1, got 95"),
    ],
)
def test_odd_arguments_are_refused(changes: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        bootstrap(rows(np.random.default_rng(0), 20), **changes)


def test_one_cluster_is_no_sample() -> None:
    one = rows(np.random.default_rng(0), 20)
    columns = {"label": one.label, "prediction": one.prediction, "probability": one.probability}
    with pytest.raises(ValueError, match="all rows belong to one"):
        bootstrap(Predictions(**columns, fold=None, clusters=np.zeros(20)))


# --- cross-validation


def test_the_corrected_interval_is_that_of_the_formula() -> None:
    scores = np.array([0.7, 0.8, 0.75, 0.72, 0.9])
    # Without a correction it would be that of the t-test of one sample.
    plain = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    found = corrected_resampled_t(scores, 1 / 4)
    wider = np.sqrt((1 / 5 + 1 / 4) / (1 / 5))
    assert found.low == pytest.approx(scores.mean() - wider * (scores.mean() - plain.low), abs=1e-10)
    assert found.high == pytest.approx(scores.mean() + wider * (plain.high - scores.mean()), abs=1e-10)
    assert not found.claimed


def test_intervals_of_cross_validation_are_of_its_folds_and_not_claimed() -> None:
    one = rows(np.random.default_rng(0), 60)
    folds = Predictions(label=one.label, prediction=one.prediction, probability=one.probability, fold=np.arange(60) % 5)
    found = intervals(folds)
    assert share_tested(folds) == 1 / 4
    for name, scores in folds.fold_scores().items():
        assert found[name] == corrected_resampled_t(scores, 1 / 4, bounds=METRIC[name].bounds)
    assert not any(one.claimed for one in bootstrap(folds, resamples=100).values())


def test_folds_that_define_nothing_are_left_out_and_counted() -> None:
    found = corrected_resampled_t([0.7, np.nan, 0.8, 0.9], 1 / 3)
    assert found.method.endswith("3 of 4 folds")
    assert found.low == corrected_resampled_t([0.7, 0.8, 0.9], 1 / 3).low
    assert str(corrected_resampled_t([np.nan, np.nan], 1)) == "undefined"
    assert str(corrected_resampled_t([1.0, 1.0, 1.0], 0.5)) == "1.000 [unknown]"


# --- few positives


def test_few_positives_are_said_with_the_width_and_without_accuracy() -> None:
    one = rows(np.random.default_rng(5), 398, positives=7)
    found = intervals(one, resamples=200)
    said = few_positives(one, found)
    assert said is not None
    assert said.startswith(f"Only 7 of 398 antibodies are positive: ROC AUC is {found['roc_auc']}, an interval ")
    assert f"{short(found['roc_auc'].width)} wide" in said
    assert said.endswith("Accuracy is uninformative: predicting the larger class for every antibody has .982.")
    assert few_positives(rows(np.random.default_rng(5), 100, positives=FEW), found) is None


def test_few_antibodies_with_folds_that_are_similar_by_luck_have_no_narrow_interval() -> None:
    """A report of 48 antibodies warned of few of them by 'an interval .05 wide'."""
    plain = rows(np.random.default_rng(2), 48, positives=28)
    folds = replace(plain, fold=np.arange(48) % 2)
    area = intervals(folds)["roc_auc"]
    narrow = replace(area, low=area.estimate - 0.02, high=area.estimate + 0.02)
    text = few_positives(folds, {"roc_auc": narrow})
    assert text is not None
    width = sampling_width(narrow.estimate, 28, 20)
    assert "The interval is too narrow, as the scores of 2 folds are alike by chance" in text
    assert f"drawing so few antibodies alone makes it about {short(width)} wide" in text
    wide = few_positives(folds, {"roc_auc": replace(narrow, low=0.1, high=0.9)})
    assert wide is not None
    assert "an interval .80 wide" in wide


def test_the_width_from_drawing_antibodies_is_that_of_simulated_test_sets() -> None:
    generator = np.random.default_rng(4)
    drawn = [rows(generator, 48, positives=28) for _ in range(400)]
    areas = [placements(each.label, each.probability)[0] for each in drawn]
    assert sampling_width(float(np.mean(areas)), 28, 20) == pytest.approx(2 * 1.96 * np.std(areas), rel=0.12)


# --- clones, and what is claimed


def test_the_effective_size_is_that_of_independent_rows_and_smaller_with_clones() -> None:
    assert sample(np.arange(7)).effective == 7
    assert sample(np.array([0, 0, 1, 2, 3, 4, 5])).effective == pytest.approx(49 / 9)
    assert sample(np.zeros(5, np.int64)).effective == 1
    assert sample(np.array([0, 0, 0, 0, 1, 2, 3])).dominance == pytest.approx(16 / 19)


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 30), st.integers(0, 60), st.floats(0, 4))
def test_an_interval_has_a_claim_or_a_reason_and_claimed_ends_are_numbers_around_the_score(
    seed: int, n: int, clusters: int, positives: int, difference: float
) -> None:
    generator = np.random.default_rng(seed)
    label = (np.arange(n) < min(positives, n)).astype(np.int64)
    probability = np.round(ndtr(generator.normal(size=n) + label * difference), 1)
    one = Predictions(
        label=label,
        prediction=(probability > 0.8).astype(np.int64),
        probability=probability,
        fold=None,
        clusters=generator.integers(0, clusters, n),
    )
    every = closed_forms(one) if int(one.cluster.max()) == 0 else intervals(one, resamples=100)
    for name, interval in every.items():
        assert interval.claimed == (interval.unclaimed == ""), name
        assert "nan" not in f"{interval} {interval.ends} {interval.unclaimed}"
        if interval.claimed:
            assert np.isfinite([interval.low, interval.high]).all(), name
        if not np.isnan(interval.width):
            least, most = METRIC[name].bounds
            assert least <= interval.low <= interval.estimate + 1e-12, name
            assert interval.estimate - 1e-12 <= interval.high <= most, name
            assert interval.estimate == pytest.approx(one.scores()[name], abs=1e-12)


def test_an_interval_without_ends_is_never_claimed() -> None:
    assert not Interval(0.5, np.nan, np.nan, 0.95, "x", claimed=True).claimed
    assert Interval(np.nan, np.nan, np.nan, 0.95, "x").unclaimed == "the score is not defined"
    assert Interval(0.5, 0.4, 0.6, 0.95, "x", claimed=False).unclaimed == "coverage is nominal"


@pytest.mark.parametrize(
    ("design", "reason"),
    [
        (Design(7, "none", 0.8), ""),
        (Design(7, "pair", 0.8), "7 positive antibodies in 6 clusters count as 5.4 independent ones, fewer than the 6"),
        (Design(398, "shehata", 0.8), "7 positive antibodies in 6 clusters count as 5.4 independent ones"),
        (Design(3, "none", 0.8), "3 positive antibodies are fewer than the 6 that a claim needs"),
        (Design(20, "pair", 0.8), ""),
    ],
)
def test_too_few_antibodies_or_clones_are_the_reason_in_words(design: Design, reason: str) -> None:
    found = intervals(design.draw(np.random.default_rng(0)), resamples=100)
    for name in ("roc_auc", "pr_auc", "balanced_accuracy", "sensitivity", "f1", "mcc"):
        assert found[name].unclaimed.startswith(reason), name
        assert found[name].claimed == (not reason), name
    assert all(found[name].claimed for name in ("specificity", "accuracy", "brier", "ece"))


def test_one_large_cluster_among_many_antibodies_is_a_reason_not_to_claim() -> None:
    clusters = np.maximum(np.arange(400) - 14, 0)
    rows_of_clones = replace(Design(55, "none", 0.8).draw(np.random.default_rng(0)), clusters=clusters)
    found = intervals(rows_of_clones, resamples=100)
    reason = "one cluster holds 15 of 55 positive antibodies and outweighs all other clusters"
    assert found["sensitivity"].unclaimed == found["roc_auc"].unclaimed == reason
    assert found["specificity"].claimed


CLOSED = [Design(7, "none", 0.96), Design(20, "pair", 0.8), Design(20, "pair", 0.96), Design(46, "none", 0.96)]
DESIGNS = [
    Design(positives, clones, area)  # type: ignore[arg-type]
    for positives, clones in [
        *((positives, clones) for positives in (7, 20, 46) for clones in ("none", "pair")),
        (7, "shehata"),
    ]
    for area in (0.8, 0.96)
]


@pytest.mark.parametrize("design", CLOSED, ids=str)
def test_claimed_intervals_of_few_positives_and_clones_have_93_percent_coverage(design: Design) -> None:
    for name, one in measure(design, 400, closed_forms).items():
        assert one.enough, (name, one)
        assert one.undetermined == 0, (name, one)
        assert one.claimed == 1, (name, one)


def test_with_the_bootstrap_of_before_one_pair_of_clones_has_less_coverage() -> None:
    before = measure(Design(7, "pair", 0.96), 40, lambda rows: bootstrap(rows, resamples=100))
    assert before["balanced_accuracy"].coverage < 0.75
    assert before["balanced_accuracy"].claimed == 0


@pytest.mark.parametrize("design", [Design(20, "pair", 0.96)], ids=str)
def test_intervals_are_at_most_three_tenths_wider_than_the_bootstrap_of_before(design: Design) -> None:
    now = measure(design, 100, closed_forms)
    before = measure(design, 100, lambda rows: bootstrap(rows, resamples=200))
    for name, one in now.items():
        assert one.width <= 1.3 * before[name].width, name


@pytest.mark.parametrize("design", DESIGNS if STRESS else [Design(20, "pair", 0.96)], ids=str)
def test_every_claimed_interval_has_93_percent_coverage_and_20_positives_are_claimed(design: Design) -> None:
    found = measure(design, RUNS if STRESS else 40, lambda rows: intervals(rows, resamples=200))
    print(f"\n{design}")  # noqa: T201
    for name, one in found.items():
        print(f"  {name:18} {one.coverage:.3f} claimed {one.claimed:.0%} width {one.width:.3f}")  # noqa: T201
    for name, one in found.items():
        assert one.undetermined == 0, (name, one)
        assert one.enough or not one.claimed, (name, one)
        assert one.claimed == 1 or design.positives == 7, (name, one)


@pytest.mark.parametrize("n", [30, 100, 300] if STRESS else [30])
@pytest.mark.parametrize("correlation", [0.4, 0.9])
def test_claimed_intervals_of_continuous_labels_have_93_percent_coverage(n: int, correlation: float) -> None:
    def draw(generator: np.random.Generator, count: int) -> ContinuousPredictions:
        target, noise = generator.normal(size=(2, count))
        prediction = correlation * target + np.sqrt(1 - correlation**2) * noise
        return ContinuousPredictions(target=target, prediction=prediction, fold=None)

    generator = np.random.default_rng(0)
    true = draw(generator, FAR).scores()
    hits: dict[str, list[bool]] = {name: [] for name in CONTINUOUS_METRICS}
    runs = 1000 if STRESS else 40
    for _ in range(runs):
        for name, interval in intervals(draw(generator, n), resamples=300).items():
            if interval.claimed:
                hits[name].append(interval.low <= true[name] <= interval.high)
    assert len(hits["spearman"]) == runs
    for name, held_true in hits.items():
        if held_true:
            assert np.mean(held_true) >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / len(held_true)), (name, np.mean(held_true))


# --- how often intervals hold the truth


def held(
    make: Callable[[np.random.Generator], Predictions],
    of: Callable[[Predictions], dict[str, Interval]],
    far: Predictions,
) -> dict[str, float]:
    """Return in which share of `RUNS` data sets each interval holds the score on far more rows."""
    true, generator = far.scores(), np.random.default_rng(0)
    hits: dict[str, list[bool]] = {}
    for _ in range(RUNS):
        for name, interval in of(make(generator)).items():
            hits.setdefault(name, []).append(interval.low - 1e-12 <= true[name] <= interval.high + 1e-12)
    return {name: float(np.mean(values)) for name, values in hits.items()}


FAR = 400_000


def test_intervals_of_held_out_rows_hold_the_truth_in_93_to_97_of_100_data_sets() -> None:
    far = rows(np.random.default_rng(1), FAR)
    found = held(lambda generator: rows(generator, 80), lambda one: intervals(one, resamples=RESAMPLES), far)
    assert found.pop("ece") >= 0.93 - SLACK  # a bound
    assert all(0.93 - SLACK <= share <= 0.97 + SLACK for share in found.values()), found


def test_intervals_of_clustered_rows_hold_the_truth_in_93_to_97_of_100_data_sets() -> None:
    far = rows(np.random.default_rng(1), FAR, clusters=FAR // 2)
    found = held(
        lambda generator: rows(generator, 100, clusters=50), lambda one: bootstrap(one, resamples=RESAMPLES), far
    )
    assert found.pop("ece") >= 0.93 - SLACK
    assert all(0.93 - SLACK <= share <= 0.97 + SLACK for share in found.values()), found


@pytest.mark.parametrize("difference", [0.5, 2.5])
def test_delong_holds_the_truth_in_93_to_97_of_100_data_sets(difference: float) -> None:
    far = rows(np.random.default_rng(1), FAR, difference)
    found = held(lambda generator: rows(generator, 100, difference), lambda one: {"roc_auc": delong(one)}, far)
    assert 0.93 - SLACK <= found["roc_auc"] <= 0.97 + SLACK, found


@pytest.mark.parametrize("difference", [0.0, 1.2, 2.5] if STRESS else [1.2])
def test_of_seven_positives_delong_holds_the_truth_in_93_of_100_data_sets_at_least(difference: float) -> None:
    far = rows(np.random.default_rng(1), FAR, difference, positives=FAR // 2)
    found = held(
        lambda generator: rows(generator, 398, difference, positives=7), lambda one: {"roc_auc": delong(one)}, far
    )
    assert found["roc_auc"] >= 0.93 - SLACK, found


def test_the_test_of_coverage_can_fail() -> None:
    far = rows(np.random.default_rng(1), FAR, clusters=FAR // 4)

    def as_if_independent(generator: np.random.Generator) -> Predictions:
        one = rows(generator, 120, clusters=30)
        return Predictions(label=one.label, prediction=one.prediction, probability=one.probability, fold=None)

    assert held(as_if_independent, lambda one: {"roc_auc": delong(one)}, far)["roc_auc"] < 0.9


@pytest.mark.skipif(not STRESS, reason="make stress")
def test_intervals_of_an_unbalanced_set_hold_the_truth_in_93_to_97_of_100_data_sets() -> None:
    far = rows(np.random.default_rng(1), FAR, positives=FAR // 10)
    found = held(
        lambda generator: rows(generator, 300, positives=30), lambda one: intervals(one, resamples=RESAMPLES), far
    )
    for name in ("ece", "brier", "pr_auc", "f1", "mcc", "accuracy"):  # the share of positives was fixed: wider is right
        assert found.pop(name) >= 0.93, name
    assert all(0.93 - SLACK <= share <= 0.97 + SLACK for share in found.values()), found
