"""Tests of the difference between two pipelines on the same rows.

`antibody_esm.evaluation.comparison` states the rule by which a difference is claimed. No difference is claimed

- in sensitivity, specificity or F1 alone, which change with the number of rows predicted positive;
- in PR AUC if a pipeline gives one probability to rows of both classes: in a few rows a random order has a higher PR
  AUC than a constant. With permuted labels, a pipeline was "better" than the share of positives in 53 of 200 runs;
- after cross-validation by any test but the corrected resampled t-test, since the models differ between folds.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antibody_esm.evaluation.comparison import Comparison, Ends, adjust, holm
from antibody_esm.evaluation.effective_size import FEW, FOLDS, class_samples, clusters_behind, sample, unclaimed
from antibody_esm.evaluation.interval import Interval
from antibody_esm.evaluation.intervals import (
    corrected_resampled_t,
    corrected_variance,
    placements,
    refuse_folds,
    share_tested,
    student,
)
from antibody_esm.evaluation.metrics import ECE_NOISE, METRIC
from antibody_esm.evaluation.predictions import AnyPredictions, Predictions
from antibody_esm.evaluation.resampling import Reach, Resampled, resampled

__all__ = [
    "Comparison",
    "Names",
    "adjust",
    "compare",
    "compare_all",
    "corrected_resampled_t_test",
    "delong_test",
    "holm",
    "mcnemar",
    "paired_bootstrap",
]

Names = tuple[str, str]
_NAMES = ("the one", "the other")
_TIES = {"pr_auc": "because PR AUC is not comparable if rows of both classes are tied"}
_MODELS_VARY = "because the test ignores that models differ between folds"


def compare(
    one: AnyPredictions,
    other: AnyPredictions,
    metric: str = "roc_auc",
    *,
    names: Names = _NAMES,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Return the comparison of two pipelines, by the method that suits the rows.

    After cross-validation it is the corrected resampled t-test on the folds. On held-out rows it is DeLong's test for
    ROC AUC and McNemar's for accuracy, with effective sizes if rows belong to clusters. For any other metric it is the
    paired bootstrap.

    Parameters
    ----------
    one, other
        Predictions for the same rows, in one order and of the same folds.
    metric
        Metric to compare, a name of `metrics.METRIC`.
    names
        Names of the two pipelines.
    level
        Nominal level, between 0 and 1.
    resamples, seed
        Number of resamples and seed of the bootstrap, if there is one.

    Raises
    ------
    ValueError
        If rows, folds or clusters differ, or the metric is not one of these predictions.
    """
    _check_rows(one, other)
    _check_metric(one, metric)
    if one.fold is not None:
        scores = one.fold_scores()[metric], other.fold_scores()[metric]
        comparison = corrected_resampled_t_test(*scores, share_tested(one), metric, names=names, level=level)
        return replace(comparison, caveat=_caveat(one, other, metric))
    if isinstance(one, Predictions) and isinstance(other, Predictions):
        if metric == "roc_auc":
            return delong_test(one, other, names=names, level=level)
        if metric == "accuracy":
            return mcnemar(one, other, names=names, level=level)
    return paired_bootstrap(one, other, metric, names=names, level=level, resamples=resamples, seed=seed)


def compare_all(
    pipelines: Mapping[str, AnyPredictions],
    baseline: str,
    metric: str = "roc_auc",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Return the comparison of each pipeline with a baseline, corrected for the number of comparisons.

    Parameters
    ----------
    pipelines
        Name to predictions, all for the same rows and folds.
    baseline
        Name of the pipeline that the others are compared with.
    metric, level, resamples, seed
        As for `compare`.

    Raises
    ------
    ValueError
        As for `compare`, and if the baseline is not among the pipelines.
    """
    if baseline not in pipelines:
        raise ValueError(f"the baseline {baseline!r} is not among the pipelines: {', '.join(pipelines)}")
    return adjust(
        [
            compare(
                rows,
                pipelines[baseline],
                metric,
                names=(name, baseline),
                level=level,
                resamples=resamples,
                seed=seed,
            )
            for name, rows in pipelines.items()
            if name != baseline
        ]
    )


def delong_test(one: Predictions, other: Predictions, *, names: Names = _NAMES, level: float = 0.95) -> Comparison:
    """Return the comparison of two ROC AUCs on the same held-out rows.

    DeLong et al. 1988 (doi:10.2307/2531595), with quantiles of Student's t and effective sizes as in
    `intervals.delong`. If the difference is the same without any one row, as for two perfect areas, the data do not
    determine it.

    Raises
    ------
    ValueError
        If the rows come from cross-validation, or the two are not for the same rows.
    """
    _check_rows(one, other)
    refuse_folds(one)
    test = _Test("roc_auc", names, level, *_named("DeLong", one, "roc_auc"))
    sizes = np.array([kind.effective for kind in class_samples(one)])
    if not sizes.all():
        return test.undetermined(np.nan, np.nan)
    from scipy.special import stdtr

    first, second = (placements(rows.label, rows.probability) for rows in (one, other))
    scores = first[0], second[0]
    if sizes.min() <= 1 + 1e-9:
        return test.undetermined(*scores)
    variances = np.array([(first[1] - second[1]).var(ddof=1), (first[2] - second[2]).var(ddof=1)])
    variance, freedom = student(variances / sizes, sizes)
    if variance <= 1e-30:
        return test.undetermined(*scores)
    difference, error = scores[0] - scores[1], float(np.sqrt(variance))
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return test.result(scores, p, partial(_t_ends, difference, error, freedom))


def mcnemar(one: Predictions, other: Predictions, *, names: Names = _NAMES, level: float = 0.95) -> Comparison:
    """Return the comparison of two accuracies on the same rows.

    The test is McNemar's without a correction of continuity (doi:10.1007/BF02295996). The interval is Tango's
    (doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B), which holds the differences that the same
    score test does not reject: so it excludes 0 if and only if McNemar's test rejects. If rows belong to clusters, all
    counts are multiplied by effective size over number of rows.

    Raises
    ------
    ValueError
        If the two are not for the same rows.
    """
    _check_rows(one, other)
    from scipy.special import ndtr

    right, other_right = one.prediction == one.label, other.prediction == other.label
    size = sample(one.cluster).effective
    only_first, only_second = (float(rows.mean()) * size for rows in (right & ~other_right, ~right & other_right))
    scores = float(right.mean()), float(other_right.mean())
    test = _Test(
        "accuracy", names, level, *_named("McNemar", one, "accuracy"), _caveat(one, other, "accuracy", _MODELS_VARY)
    )
    p = float(2 * ndtr(-abs(_tango(only_first, only_second, size, 0.0))))
    return test.result(scores, p, partial(_tango_ends, only_first, only_second, size))


def paired_bootstrap(
    one: AnyPredictions,
    other: AnyPredictions,
    metric: str,
    *,
    names: Names = _NAMES,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Return the comparison of two pipelines in any metric, both scored on the same resamples of the rows.

    Rows are drawn as in `intervals.bootstrap`. The interval is that of percentiles, with levels moved outwards as
    there. For PR AUC, F1 and Matthews correlation, its coverage is .93 to .98; that of BCa was .80 to .92. The p value
    is one minus the highest level whose interval excludes 0. For the calibration error, whose bias differs between
    pipelines, both are bounds: the interval reaches as far as both errors together can have moved.

    Parameters
    ----------
    one, other, metric, names, level, resamples, seed
        As for `compare`. With folds, the models stay as they are, and the interval is not claimed.

    Raises
    ------
    ValueError
        If rows, folds or clusters differ, or the metric is not one of these predictions.
    """
    _check_rows(one, other)
    _check_metric(one, metric)
    pair = [one, other]
    scores = one.scores()[metric], other.scores()[metric]
    drawn = resampled(pair, resamples, seed)
    difference = scores[0] - scores[1]
    statistic = Resampled(drawn[0][metric] - drawn[1][metric], difference, clusters_behind(one)[metric])
    method = "paired bootstrap" if one.independent else "paired cluster bootstrap"
    test = _Test(metric, names, level, method, unclaimed(one, FEW)[metric], _caveat(one, other, metric, _MODELS_VARY))
    if statistic.undetermined:
        return test.undetermined(*scores)
    if metric == "ece":
        reach = Reach(drawn[0][ECE_NOISE] + drawn[1][ECE_NOISE], difference)
        return test.result(scores, reach.p_value(), reach.ends)
    return test.result(scores, statistic.p_value(), statistic.ends)


def corrected_resampled_t_test(
    one: ArrayLike,
    other: ArrayLike,
    test_share: float,
    metric: str,
    *,
    names: Names = _NAMES,
    level: float = 0.95,
) -> Comparison:
    """Return the comparison of two pipelines from their scores on the same folds (doi:10.1023/A:1024068626366).

    Parameters
    ----------
    one, other
        ``(folds,)`` scores on the same folds, or on all folds of all repetitions, in one order.
    test_share
        Rows in a test fold for each row in its training set: 1 / 9 with ten folds of one size.
    metric
        Metric of the scores, a name of `metrics.METRIC`.
    names, level
        As for `compare`, which is preferable if there are predictions: scores of PR AUC do not show ties, so
        no difference of them is claimed here.

    Raises
    ------
    ValueError
        If the numbers of scores differ, or as `intervals.corrected_resampled_t`.
    """
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"two pipelines have one score each for every fold, got shapes {first.shape}, {second.shape}")
    both = ~np.isnan(first - second)
    scores = tuple(float(each[both].mean()) if both.any() else np.nan for each in (first, second))
    apart = first - second
    interval = corrected_resampled_t(apart, test_share, level=level)
    test = _Test(metric, names, level, interval.method, FOLDS, _TIES.get(metric, ""))
    if np.isnan(interval.width):
        return test.undetermined(scores[0], scores[1])
    from scipy.special import stdtr

    error, freedom = float(np.sqrt(corrected_variance(apart[both], test_share))), int(both.sum()) - 1
    p = float(2 * stdtr(freedom, -abs(interval.estimate) / error))
    return test.result((scores[0], scores[1]), p, partial(_t_ends, interval.estimate, error, freedom))


class _Test(NamedTuple):
    """Facts of a comparison beside its numbers."""

    metric: str
    names: Names
    level: float
    method: str
    unclaimed: str = ""
    caveat: str = ""

    def result(self, scores: tuple[float, float], p: float, ends: Ends) -> Comparison:
        """Return the comparison; its interval stays within the differences that the metric can have."""
        least, most = METRIC[self.metric].bounds
        within = partial(_within, ends, most - least)
        return self._comparison(scores, p, within(self.level), within)

    def undetermined(self, first: float, second: float) -> Comparison:
        """Return a comparison without interval."""
        return self._comparison((first, second), 1.0, (np.nan, np.nan), None)

    def _comparison(
        self, scores: tuple[float, float], p: float, ends: tuple[float, float], at: Ends | None
    ) -> Comparison:
        difference = Interval(scores[0] - scores[1], *ends, self.level, self.method, unclaimed=self.unclaimed)
        caveat = METRIC[self.metric].caveat or self.caveat
        return Comparison(*self.names, self.metric, difference, p, p, caveat=caveat, scores=scores, ends=at)


def _within(ends: Ends, reach: float, level: float) -> tuple[float, float]:
    low, high = np.clip(ends(level), -reach, reach)
    return float(low), float(high)


def _t_ends(difference: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    reach = error * float(stdtrit(freedom, (1 + level) / 2))
    return difference - reach, difference + reach


def _tango(only_first: float, only_second: float, n: float, difference: float) -> float:
    """Return the score statistic of a difference of two shares; at 0 its square is McNemar's statistic."""
    middle = (2 * n - only_first + only_second) * difference - only_first - only_second
    product = only_second * difference * (1 - difference)
    share = (np.sqrt(max(middle**2 + 8 * n * product, 0)) - middle) / (4 * n)
    apart, variance = only_first - only_second - n * difference, n * (2 * share + difference * (1 - difference))
    return float(apart / np.sqrt(variance)) if variance > 0 else float(np.sign(apart)) * np.inf if apart else 0.0


def _tango_ends(only_first: float, only_second: float, n: float, level: float) -> tuple[float, float]:
    from scipy.optimize import brentq
    from scipy.special import ndtri

    quantile, difference = float(ndtri((1 + level) / 2)), (only_first - only_second) / n

    def end(side: int) -> float:
        far = side * (1 - 1e-12)

        def beyond(value: float) -> float:
            return side * _tango(only_first, only_second, n, value) + quantile

        if side * (far - difference) <= 0 or beyond(far) >= 0:
            return float(side)
        return float(brentq(beyond, difference, far))

    return end(-1), end(1)


def _named(method: str, rows: AnyPredictions, metric: str) -> tuple[str, str]:
    """Return the name of a method, and the reason why its interval is not claimed."""
    return method if rows.independent else f"{method}, effective size", unclaimed(rows, FEW)[metric]


def _check_rows(first: AnyPredictions, second: AnyPredictions) -> None:
    if type(first) is not type(second) or len(first) != len(second):
        raise ValueError("two pipelines are compared on the same rows, and these differ in number or kind")
    for name in ("label", "target", "fold", "clusters"):
        column: NDArray[np.float64] | None = getattr(first, name, None)
        other: NDArray[np.float64] | None = getattr(second, name, None)
        if (column is None) != (other is None) or (
            column is not None and other is not None and not np.array_equal(column, other)
        ):
            raise ValueError(f"two pipelines are compared on the same rows, and these differ in {name}")


def _check_metric(rows: AnyPredictions, metric: str) -> None:
    if metric not in rows.METRICS:
        raise ValueError(f"{metric!r} is not one of the metrics here: {', '.join(rows.METRICS)}")


def _caveat(first: AnyPredictions, second: AnyPredictions, metric: str, after_folds: str = "") -> str:
    if METRIC[metric].caveat:
        return METRIC[metric].caveat
    if metric in _TIES and any(rows.tied for rows in (first, second) if isinstance(rows, Predictions)):
        return _TIES[metric]
    return after_folds if first.fold is not None else ""
