"""Comparisons are those of independent references, and claim nothing where there is nothing.

The simulations are short here; ``make stress`` runs them in full.
"""

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.special import ndtr
from sklearn.dummy import DummyClassifier

from antibody_esm import LogisticRegressionSpec, SplitSpec
from antibody_esm.classifiers import build
from antibody_esm.evaluation.cross_validation import cross_validate
from antibody_esm.evaluation.interval import Interval
from antibody_esm.evaluation.metrics import CONTINUOUS_METRICS, METRIC, METRICS
from antibody_esm.evaluation.paired import (
    Comparison,
    adjust,
    compare,
    compare_all,
    corrected_resampled_t_test,
    delong_test,
    holm,
    mcnemar,
    paired_bootstrap,
)
from antibody_esm.evaluation.predictions import ContinuousPredictions, Predictions
from antibody_esm.evaluation.resampling import resampled
from effort import STRESS, examples

RUNS = 2000


def pair(
    generator: np.random.Generator,
    n: int = 80,
    differences: tuple[float, float] = (1.2, 1.2),
    clusters: int | None = None,
    positives: int | None = None,
    folds: int | None = None,
) -> tuple[Predictions, Predictions]:
    """What two fixed models say of the same rows; they share half of their errors."""
    cluster = None if clusters is None else np.arange(n) % clusters
    if positives is not None:
        label = (np.arange(n) < positives).astype(np.int64)
    else:
        label = generator.integers(0, 2, n if clusters is None else clusters)
        label = label if cluster is None else label[cluster]
    shared = generator.normal(size=n if cluster is None else clusters)
    shared = shared if cluster is None else shared[cluster]
    made = []
    for difference in differences:
        value = np.sqrt(0.5) * (shared + generator.normal(size=n)) + label * difference
        probability = ndtr(value - difference / 2)
        made.append(
            Predictions(
                label=label,
                prediction=(probability > 0.5).astype(np.int64),
                probability=probability,
                fold=None if folds is None else np.arange(n) % folds,
                clusters=cluster,
            )
        )
    return made[0], made[1]


def table(both: int, only_one: int, only_other: int, neither: int) -> tuple[Predictions, Predictions]:
    """Two classifiers that get so many rows right."""
    right = [(1, 1)] * both + [(1, 0)] * only_one + [(0, 1)] * only_other + [(0, 0)] * neither
    one, other = np.array(right).T
    label = np.arange(len(right)) % 2
    return tuple(
        Predictions(label=label, prediction=label ^ (1 - each), probability=label * 0.5, fold=None)
        for each in (one, other)
    )  # type: ignore[return-value]


def comparison(low: float, high: float, p: float, metric: str = "roc_auc", **changes: object) -> Comparison:
    interval = Interval((low + high) / 2, low, high, 0.95, "DeLong")
    made = Comparison("esm2_650m", "composition", metric, interval, p, p)
    return replace(made, **changes)  # type: ignore[arg-type]


# --- the rule and the sentence


@pytest.mark.parametrize(
    ("made", "verdict", "sentence"),
    [
        (
            comparison(0.02, 0.1, 0.004, scores=(0.75, 0.69)),
            "better",
            "esm2_650m is better than composition: ROC AUC .750 against .690, difference +.060 [.02, .10] "
            "(DeLong, p = .004).",
        ),
        (
            comparison(-0.01, 0.07, 0.14, scores=(0.72, 0.69)),
            "undecided",
            "esm2_650m is not shown to be better than composition: ROC AUC .720 against .690, difference +.030 "
            "[-.01, .07] (DeLong, p = .14).",
        ),
        (
            comparison(-0.126, 0.06, 0.5, scores=(0.662, 0.695)),
            "undecided",
            "esm2_650m is no better than composition: ROC AUC .662 against .695, difference -.033 [-.13, .06] "
            "(DeLong, p = .50).",
        ),
        (
            comparison(-0.1, -0.02, 0.0001),
            "worse",
            "esm2_650m is worse than composition: ROC AUC difference -.060 [-.10, -.02] (DeLong, p < .001).",
        ),
        (
            comparison(-0.1, -0.0004, 0.0499),
            "worse",
            "esm2_650m is worse than composition: ROC AUC difference -.050 [-.1000, -.0004] (DeLong, p = .0499).",
        ),
        (
            comparison(-0.1, -0.02, 0.01, "brier"),
            "better",
            "esm2_650m is better than composition: Brier score difference -.060 [-.10, -.02] "
            "(DeLong, p = .010, less is better).",
        ),
        (
            comparison(0.02, 0.1, 0.01, "f1", caveat=METRIC["f1"].caveat),
            "undecided",
            "Nothing is claimed of esm2_650m against composition: F1 difference +.060 [.02, .10] (DeLong, p = .010), "
            "because the metric rises if more antibodies are predicted positive.",
        ),
        (
            comparison(np.nan, np.nan, 1.0, difference=Interval(0.5, np.nan, np.nan, 0.95, "DeLong")),
            "undecided",
            "esm2_650m is not shown to be better than composition: ROC AUC difference +.500 [unknown] "
            "(DeLong, p = 1.00).",
        ),
        (
            comparison(np.nan, np.nan, 1.0),
            "undecided",
            "esm2_650m is not comparable with composition: the difference of ROC AUC is undefined.",
        ),
    ],
)
def test_a_comparison_is_a_sentence_with_both_scores_that_claims_what_the_rule_allows(
    made: Comparison, verdict: str, sentence: str
) -> None:
    assert made.verdict == verdict
    assert str(made) == sentence
    without = made.sentence(subject=False)
    assert without[0].isupper()
    assert without.lower() == sentence.lower().replace("esm2_650m is ", "").replace("of esm2_650m ", "")


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(METRIC)), st.booleans()
)
def test_better_is_claimed_only_by_interval_and_corrected_p_value_together(
    low: float, width: float, p: float, adjusted: float, metric: str, caveat: bool
) -> None:
    made = comparison(low, low + width, p, metric, adjusted=max(p, adjusted), caveat="why" if caveat else "")
    if made.verdict != "undecided":
        assert not caveat
        assert made.adjusted <= 0.05 + 1e-9
        assert made.difference.low > 0 or made.difference.high < 0
        up = made.difference.low > 0
        assert (made.verdict == "better") == (up == METRIC[metric].higher_is_better)


def made_up(seed: int, kind: str, size: int, apart: float) -> tuple[Predictions, Predictions]:
    """Two models of few rows, whose scores may be tied, constant or perfect."""
    generator = np.random.default_rng(seed)
    one, other = pair(
        generator,
        size,
        (1.2 + apart, 1.2),
        clusters=max(2, size // 2) if kind == "clusters" else None,
        folds=4 if kind == "folds" else None,
    )
    coarse = np.round(one.probability * 3) / 3
    return replace(one, probability=coarse) if seed % 3 else one, other


@examples(200)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["independent", "clusters", "folds"]),
    st.integers(8, 60),
    st.floats(-1, 4),
    st.sampled_from(METRICS),
    st.integers(1, 40),
)
def test_the_interval_excludes_zero_if_and_only_if_p_is_below_one_minus_the_level_and_a_difference_is_claimed(
    seed: int, kind: str, size: int, apart: float, metric: str, family: int
) -> None:
    made = compare(*made_up(seed, kind, size, apart), metric, resamples=100, seed=seed)
    p_values = np.random.default_rng(seed).random(family - 1) ** 3
    rest = [comparison(0.1, 0.2, p) for p in p_values]
    for each in (made, adjust([made, *rest])[0]):
        low, high = each.difference.low, each.difference.high
        excludes = low > 0 or high < 0
        assert excludes == (each.adjusted < 0.05), each
        if not each.caveat:
            assert (each.verdict != "undecided") == excludes, each
        least, most = METRIC[metric].bounds
        assert np.isnan(low) or least - most <= low <= each.difference.estimate <= high <= most - least, each
        assert "nan" not in str(each) + each.sentence(subject=False)
        assert "inf" not in str(each)
        if each.scores and not np.isnan(each.difference.estimate):
            assert each.difference.estimate == pytest.approx(each.scores[0] - each.scores[1], abs=1e-12)


@given(st.integers(0, 10_000), st.integers(6, 40), st.sampled_from(CONTINUOUS_METRICS), st.floats(0.01, 10))
def test_differences_of_correlations_lie_within_two_and_agree_with_their_p_values(
    seed: int, n: int, metric: str, noise: float
) -> None:
    generator = np.random.default_rng(seed)
    target = generator.normal(size=n)
    fold = np.arange(n) % 3 if seed % 2 else None
    one, other = (
        ContinuousPredictions(target=target, prediction=sign * target + noise * generator.normal(size=n), fold=fold)
        for sign in (1, -1)
    )
    made = adjust([compare(one, other, metric, resamples=100), comparison(0.1, 0.2, 0.3)])[0]
    low, high = made.difference.low, made.difference.high
    assert (low > 0 or high < 0) == (made.adjusted < 0.05) == (made.verdict != "undecided")
    assert "nan" not in str(made)
    if metric in ("spearman", "pearson") and not np.isnan(low):
        assert -2 <= low <= high <= 2


def test_holms_correction_widens_the_interval_by_the_factor_of_the_p_value() -> None:
    one, other = pair(np.random.default_rng(3), 200, (1.7, 0.9))
    alone = delong_test(one, other)
    first, second = adjust([alone, replace(alone, p_value=1.0)])
    assert first.adjusted == pytest.approx(2 * alone.p_value)
    expected = delong_test(one, other, level=0.975).difference
    assert (first.difference.low, first.difference.high) == pytest.approx((expected.low, expected.high))
    assert first.difference.level == 0.95
    assert (second.difference.low, second.difference.high) == pytest.approx(
        (alone.difference.low, alone.difference.high)
    )
    assert "interval and p with Holm's correction for 2 comparisons" in str(first)


def test_a_comparison_can_be_copied_and_pickled() -> None:
    made = adjust([compare(*pair(np.random.default_rng(0)), metric, resamples=100) for metric in METRICS])
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301
    assert copy.deepcopy(made) == made


# --- Holm


def test_holm_is_that_of_statsmodels() -> None:
    # statsmodels 0.15.0, multipletests(p, method="holm").
    found = holm([0.01, 0.04, 0.03, 0.005, 0.5, 0.0499])
    np.testing.assert_allclose(found, [0.05, 0.12, 0.12, 0.03, 0.5, 0.12], atol=1e-10)


@given(st.lists(st.floats(0, 1), max_size=20), st.randoms(use_true_random=False))
def test_holm_keeps_the_order_raises_every_p_value_and_does_not_mind_how_they_are_arranged(
    p_values: list[float], random: object
) -> None:
    found = holm(p_values)
    p = np.array(p_values)
    assert (found >= p).all()
    assert (found <= 1).all()
    assert (found <= np.minimum(p * max(1, len(p)), 1) + 1e-15).all()  # never more than Bonferroni's
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    mixed = list(range(len(p)))
    random.shuffle(mixed)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(holm(p[mixed]), found[mixed])


def test_a_p_value_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, 1.5])


def test_comparisons_with_a_baseline_are_one_family() -> None:
    generator = np.random.default_rng(0)
    one, baseline = pair(generator, 200, (1.6, 0.8))
    pipelines = {"esm": one, "composition": baseline, "same": baseline}
    found = compare_all(pipelines, "composition")
    assert [(each.one, each.other, each.family) for each in found] == [
        ("esm", "composition", 2),
        ("same", "composition", 2),
    ]
    assert found[0].adjusted == pytest.approx(2 * found[0].p_value)
    assert (found[1].p_value, found[1].verdict) == (1.0, "undecided")
    assert adjust([replace(each, adjusted=0.0) for each in found]) == found
    with pytest.raises(ValueError, match="'nothing' is not among the pipelines: esm, composition, same"):
        compare_all(pipelines, "nothing")


# --- DeLong


@pytest.mark.parametrize("ties", [2, 20])
def test_delong_is_that_of_every_pair(ties: int) -> None:
    one, other = pair(np.random.default_rng(0), 60)
    one, other = (replace(each, probability=np.round(each.probability * ties) / ties) for each in (one, other))

    def plain(rows: Predictions) -> tuple[list[float], list[float]]:
        above = [
            [1.0 if p > q else 0.5 if p == q else 0.0 for q in rows.probability[rows.label == 0]]
            for p in rows.probability[rows.label == 1]
        ]
        m, n = len(above), len(above[0])
        return [sum(row) / n for row in above], [sum(row[j] for row in above) / m for j in range(n)]

    # The variance of the difference from variances and covariances, as in the paper, not from differences.
    first, second = plain(one), plain(other)
    parts = [np.cov(first[i], second[i], ddof=1) / len(first[i]) for i in (0, 1)]
    variances = [part[0, 0] + part[1, 1] - 2 * part[0, 1] for part in parts]
    difference = np.mean(first[0]) - np.mean(second[0])
    freedom = sum(variances) ** 2 / sum(v**2 / (len(first[i]) - 1) for i, v in enumerate(variances))
    statistic = difference / math.sqrt(sum(variances))
    found = delong_test(one, other)
    assert found.difference.estimate == pytest.approx(difference, abs=1e-10)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), freedom), abs=1e-10)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(variances))
    assert found.difference.low == pytest.approx(difference - half, abs=1e-10)
    assert found.difference.high == pytest.approx(difference + half, abs=1e-10)


def test_delong_of_folds_cannot_happen() -> None:
    with pytest.raises(ValueError, match="out-of-fold scores mix 4 models"):
        delong_test(*pair(np.random.default_rng(0), folds=4))


def test_clones_count_once_in_the_tests_of_areas_and_accuracies() -> None:
    one, other = pair(np.random.default_rng(0), 80)
    twice = tuple(
        Predictions(
            **{name: np.tile(getattr(rows, name), 2) for name in ("label", "prediction", "probability")},
            fold=None,
            clusters=np.tile(np.arange(80), 2),
        )
        for rows in (one, other)
    )
    for metric in ("roc_auc", "accuracy"):
        once, cloned = compare(one, other, metric), compare(*twice, metric)
        assert cloned.p_value == pytest.approx(once.p_value, rel=0.02)
        assert cloned.difference.width == pytest.approx(once.difference.width, rel=0.02)
        assert cloned.difference.method == f"{once.difference.method}, effective size"


def test_two_perfect_pipelines_show_no_difference_and_no_certainty() -> None:
    label = np.arange(20) % 2
    one, other = (
        Predictions(label=label, prediction=label, probability=label * scale, fold=None) for scale in (0.6, 0.9)
    )
    for found in (delong_test(one, other), paired_bootstrap(one, other, "roc_auc", resamples=100)):
        assert (found.difference.estimate, found.p_value, found.verdict) == (0, 1, "undecided")
        assert np.isnan(found.difference.width)


@pytest.mark.parametrize("positives", [0, 1])
def test_too_few_rows_of_a_class_show_nothing(positives: int) -> None:
    found = delong_test(*pair(np.random.default_rng(0), 20, positives=positives))
    assert (found.p_value, found.verdict) == (1.0, "undecided")
    assert np.isnan(found.difference.estimate) == (positives == 0)


# --- McNemar


def test_mcnemar_is_that_of_the_chi_square_distribution() -> None:
    # statsmodels 0.15.0, mcnemar(table, exact=False, correction=False).pvalue, is the same.
    for only_one, only_other in [(121, 59), (12, 5), (1, 0)]:
        expected = stats.chi2.sf((only_one - only_other) ** 2 / (only_one + only_other), 1)
        assert mcnemar(*table(40, only_one, only_other, 20)).p_value == pytest.approx(expected, rel=1e-9)
    assert mcnemar(*table(40, 0, 0, 20)).p_value == 1


def test_the_interval_of_two_accuracies_is_tangos() -> None:
    # doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B for 36, 12, 2 and 0 of 50: .061 to .345.
    found = mcnemar(*table(36, 12, 2, 0)).difference
    assert found.estimate == pytest.approx(0.2)
    assert (round(found.low, 3), round(found.high, 3)) == (0.061, 0.345)


@pytest.mark.parametrize(("both", "only_one", "only_other", "neither"), [(36, 12, 2, 0), (10, 3, 7, 5), (5, 0, 4, 1)])
def test_tangos_interval_ends_where_the_likelihood_ratio_of_a_plain_search_says(
    both: int, only_one: int, only_other: int, neither: int
) -> None:
    n = both + only_one + only_other + neither
    found = mcnemar(*table(both, only_one, only_other, neither)).difference
    for end in (found.low, found.high):

        def likelihood(share: float, end: float = end) -> float:
            parts = [(only_one, share + end), (only_other, share), (both + neither, 1 - 2 * share - end)]
            return -sum(count * math.log(max(part, 1e-300)) for count, part in parts)

        bounds = (max(0, -end), (1 - end) / 2)
        share = optimize.minimize_scalar(likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
        statistic = (only_one - only_other - n * end) / math.sqrt(n * (2 * share + end * (1 - end)))
        assert abs(statistic) == pytest.approx(1.959964, abs=1e-3)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_the_interval_of_two_accuracies_holds_the_difference_and_turns_with_it(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    found, turned = mcnemar(*table(a, b, c, d)), mcnemar(*table(a, c, b, d))
    assert -1 <= found.difference.low <= found.difference.estimate <= found.difference.high <= 1
    assert turned.difference.low == pytest.approx(-found.difference.high, abs=1e-12)
    assert turned.p_value == found.p_value
    assert found.difference.width > 0


# --- corrected resampled t-test


def test_the_corrected_t_test_is_the_paired_one_with_a_wider_error() -> None:
    one, other = np.array([0.7, 0.8, 0.75, 0.72, 0.9]), np.array([0.6, 0.79, 0.7, 0.75, 0.8])
    plain = stats.ttest_rel(one, other)
    found = corrected_resampled_t_test(one, other, 1 / 4, "roc_auc")
    shrunk = plain.statistic / np.sqrt((1 / 5 + 1 / 4) / (1 / 5))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(shrunk), 4), abs=1e-10)
    assert found.difference.estimate == pytest.approx((one - other).mean(), abs=1e-12)
    almost_uncorrected = corrected_resampled_t_test(one, other, 1e-15, "roc_auc")
    assert almost_uncorrected.p_value == pytest.approx(plain.pvalue, abs=1e-10)
    interval = plain.confidence_interval(0.95)
    assert almost_uncorrected.difference.low == pytest.approx(interval.low, abs=1e-10)


def test_scores_that_differ_in_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one score each for every fold, got shapes \(3,\), \(2,\)"):
        corrected_resampled_t_test([1, 2, 3], [1, 2], 0.1, "roc_auc")


def test_equal_scores_on_all_folds_show_nothing() -> None:
    found = corrected_resampled_t_test([0.5, 0.6], [0.5, 0.6], 1.0, "roc_auc")
    assert (found.difference.estimate, found.p_value, found.verdict) == (0, 1, "undecided")


# --- paired bootstrap


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_compared_and_the_comparison_turns_round(metric: str) -> None:
    one, other = pair(np.random.default_rng(0), 100, (1.8, 0.8))
    found = paired_bootstrap(one, other, metric, resamples=400, names=("a", "b"))
    turned = paired_bootstrap(other, one, metric, resamples=400)
    assert found.difference.estimate == one.scores()[metric] - other.scores()[metric]
    assert found.difference.low <= found.difference.estimate <= found.difference.high
    assert turned.difference.low == pytest.approx(-found.difference.high, abs=1e-9)
    assert turned.p_value == pytest.approx(found.p_value, abs=1e-9)
    assert found == paired_bootstrap(one, other, metric, resamples=400, names=("a", "b"))


def test_both_pipelines_are_scored_on_the_same_resamples() -> None:
    one, other = pair(np.random.default_rng(0))
    together, alone = resampled([one, other], 200, 0), resampled([other], 200, 0)
    np.testing.assert_array_equal(together[1]["roc_auc"], alone[0]["roc_auc"])
    same = paired_bootstrap(one, one, "mcc", resamples=100)
    assert (same.difference.estimate, same.p_value) == (0, 1)


def test_a_difference_is_narrower_than_two_scores_apart() -> None:
    one, other = pair(np.random.default_rng(0), 200)
    widths = [np.ptp(each["roc_auc"]) for each in resampled([one, other], 500, 0)]
    found = paired_bootstrap(one, other, "roc_auc", resamples=500).difference
    assert found.width < min(widths)


def test_continuous_targets_are_compared_too() -> None:
    generator = np.random.default_rng(0)
    target = generator.normal(size=100)
    good, bad = (
        ContinuousPredictions(target=target, prediction=target + noise * generator.normal(size=100), fold=None)
        for noise in (0.5, 3)
    )
    assert compare(good, bad, "spearman").verdict == "better"
    assert compare(good, bad, "rmse").verdict == "better"
    assert compare(bad, good, "rmse").verdict == "worse"
    with pytest.raises(ValueError, match="'roc_auc' is not one of the metrics here: spearman"):
        compare(good, bad)


# --- which method, and what is claimed


def test_the_method_suits_the_rows() -> None:
    generator = np.random.default_rng(0)
    held_out, clustered, folds = pair(generator), pair(generator, clusters=20), pair(generator, folds=4)
    assert compare(*held_out).difference.method == "DeLong"
    assert compare(*held_out, "accuracy").difference.method == "McNemar"
    assert compare(*held_out, "mcc", resamples=100).difference.method == "paired bootstrap"
    assert compare(*clustered, resamples=100).difference.method == "DeLong, effective size"
    assert compare(*clustered, "accuracy", resamples=100).difference.method == "McNemar, effective size"
    assert compare(*clustered, "mcc", resamples=100).difference.method == "paired cluster bootstrap"
    found = compare(*folds)
    assert found.difference.method == "corrected resampled t-test"
    assert not found.difference.claimed
    assert "nominal" in str(found)


def test_other_rows_are_refused() -> None:
    one, other = pair(np.random.default_rng(0))
    with pytest.raises(ValueError, match="differ in label"):
        compare(one, replace(other, label=1 - other.label))
    with pytest.raises(ValueError, match="differ in fold"):
        compare(one, replace(other, fold=np.arange(80) % 4))
    with pytest.raises(ValueError, match="differ in clusters"):
        compare(one, replace(other, clusters=np.arange(80) // 2))
    with pytest.raises(ValueError, match="differ in number"):
        compare(one, pair(np.random.default_rng(0), 79)[1])


def test_what_the_number_of_positive_calls_raises_is_never_claimed() -> None:
    one, other = pair(np.random.default_rng(0), 200)
    everything = replace(one, prediction=np.ones(200, np.int64))
    careful = replace(other, prediction=(other.probability > 0.95).astype(np.int64))
    for metric in ("sensitivity", "f1"):
        found = compare(everything, careful, metric, resamples=200)
        assert found.difference.low > 0
        assert found.verdict == "undecided"
        assert str(found).startswith("Nothing is claimed of the one against the other: ")
    assert compare(everything, other, "mcc", resamples=200).verdict == "worse"


def test_a_constant_is_no_baseline_for_pr_auc() -> None:
    one, other = pair(np.random.default_rng(0), 200, (2.0, 0.5))
    constant = replace(other, probability=np.full(200, 0.5))
    assert compare(one, other, "pr_auc", resamples=200).verdict == "better"
    assert compare(one, constant, "pr_auc", resamples=200).verdict == "undecided"
    assert compare(one, constant).verdict == "better"


def test_after_cross_validation_only_the_test_that_knows_of_training_claims() -> None:
    one, other = pair(np.random.default_rng(1), 400, (2.0, 0.5), folds=10)
    assert compare(one, other).verdict == "better"
    assert paired_bootstrap(one, other, "roc_auc", resamples=200).verdict == "undecided"
    assert mcnemar(one, other).verdict == "undecided"
    assert "because the test ignores that models differ between folds" in str(mcnemar(one, other))


# --- how often what is claimed is so


def rate(make: Callable[[np.random.Generator], Comparison], truth: float, runs: int = RUNS) -> tuple[float, float]:
    """Return in which share of runs the interval holds the true difference, and p is at most .05."""
    generator = np.random.default_rng(0)
    found = [make(generator) for _ in range(runs)]
    held = np.mean([each.difference.low <= truth <= each.difference.high for each in found])
    return float(held), float(np.mean([each.p_value <= 0.05 for each in found]))


@pytest.mark.parametrize("differences", [(1.2, 1.2), (1.8, 0.9)])
def test_delong_holds_the_true_difference_in_93_to_97_of_100_data_sets(differences: tuple[float, float]) -> None:
    truth = float(ndtr(differences[0] / math.sqrt(2)) - ndtr(differences[1] / math.sqrt(2)))
    held, rejected = rate(lambda generator: delong_test(*pair(generator, 100, differences)), truth)
    assert 0.93 <= held <= 0.97
    assert rejected <= 0.07 if truth == 0 else rejected > 0.5


@pytest.mark.parametrize("metric", ["pr_auc", "mcc", "brier"] if STRESS else ["mcc"])
@pytest.mark.parametrize("clusters", [None, 60])
def test_the_paired_bootstrap_holds_no_difference_in_93_of_100_data_sets(metric: str, clusters: int | None) -> None:
    runs, resamples = (RUNS, 300) if STRESS else (400, 200)
    held, rejected = rate(
        lambda generator: paired_bootstrap(*pair(generator, 120, clusters=clusters), metric, resamples=resamples),
        0.0,
        runs,
    )
    assert held >= 0.92  # of 400 runs; nominal .95
    assert rejected <= 0.07


def cross_validated(classifier: object, features: np.ndarray, label: np.ndarray, seed: int = 0) -> Predictions:
    found = cross_validate(classifier, features, label, SplitSpec(folds=5, random_state=seed), workers=1)
    return Predictions(label=label, prediction=found.prediction, probability=found.probability, fold=found.fold)


def test_with_permuted_labels_better_than_baseline_is_claimed_in_at_most_15_of_200_runs() -> None:
    generator = np.random.default_rng(0)
    claimed = {(metric, baseline): 0 for metric in METRICS for baseline in ("few features", "constant")}
    runs, most = (200, 15) if STRESS else (60, 7)
    for seed in range(runs):
        label = generator.permutation(np.arange(60) % 5 // 3)
        many, few = (
            cross_validated(build(LogisticRegressionSpec(), dim), generator.normal(size=(60, dim)), label, seed)
            for dim in (8, 3)
        )
        constant = cross_validated(DummyClassifier(), np.zeros((60, 1)), label, seed)
        for (metric, baseline), count in claimed.items():
            found = compare(many, few if baseline == "few features" else constant, metric)
            claimed[metric, baseline] = count + (found.verdict == "better")
    assert max(claimed.values()) <= most, claimed
    assert sum(claimed.values()) > 0  # it does claim where it may


def test_the_test_of_claims_can_fail() -> None:
    generator, label = np.random.default_rng(0), np.arange(200) % 2
    for _ in range(10):
        features = generator.normal(size=(200, 4))
        good, bad = (
            cross_validated(build(LogisticRegressionSpec(), 4), features + shift * label[:, None], label)
            for shift in (1, 0)
        )
        assert compare(good, bad).verdict == "better"
