"""Whether one pipeline is better than another on the same rows.

One rule decides, for every method: **better is claimed only where the interval of the difference leaves out 0 on the
good side and the p value, after Holm's correction for all comparisons of the family, is at most one minus the level.**
Everything else reads "no difference is shown", which does not say that there is none. Nothing is claimed at all

- of sensitivity, specificity or F1 alone, which the number of rows called positive raises without any knowledge;
- of PR AUC where a pipeline gives one probability to rows of both classes: in a few rows a random order has a higher PR
  AUC than a constant, so with permuted labels one was "better" than the share of positives in 53 of 200 runs;
- after cross-validation by anything but the corrected resampled t-test, since the models vary too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antibody_esm.evaluation.intervals import (
    Interval,
    Resampled,
    clusters_behind,
    corrected_resampled_t,
    corrected_variance,
    placements,
    refuse_for_delong,
    resampled,
    share_tested,
    short,
    student,
    wilson,
)
from antibody_esm.evaluation.metrics import ECE_NOISE, METRIC
from antibody_esm.evaluation.predictions import AnyPredictions, Predictions

Names = tuple[str, str]
_NAMES = ("the one", "the other")
_TIES = {"pr_auc": "which is not comparable where rows of both classes are tied"}
_MODELS_VARY = "which leaves out that the models of the folds vary"


@dataclass(frozen=True)
class Comparison:
    """The difference between two pipelines; ``str()`` is the sentence to publish.

    Attributes
    ----------
    one, other
        Their names.
    metric
        What was compared, a name of `metrics.METRIC`.
    difference
        Score of the one minus score of the other.
    p_value
        Two-sided, of no difference; 1 where the data do not tell.
    adjusted
        The same after Holm's correction for the ``family``; equal to it in a family of one.
    family
        How many comparisons were made together.
    caveat
        Why nothing may be claimed, whatever the numbers; empty where it may.

    Examples
    --------
    >>> difference = Interval(0.03, -0.01, 0.07, 0.95, "DeLong")
    >>> print(Comparison("esm2_650m", "amino-acid composition", "roc_auc", difference, 0.14, 0.14))
    No difference is shown: esm2_650m adds +.03 ROC AUC [-.01, .07] over amino-acid composition (DeLong, p = .14).
    """

    one: str
    other: str
    metric: str
    difference: Interval
    p_value: float
    adjusted: float
    family: int = 1
    caveat: str = ""

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What may be claimed of the one against the other; this module's first lines state the rule."""
        better = METRIC[self.metric].higher_is_better
        if self.caveat or not self.adjusted <= 1 - self.difference.level + 1e-12:
            return "undecided"
        if self.difference.low > 0:
            return "better" if better else "worse"
        if self.difference.high < 0:
            return "worse" if better else "better"
        return "undecided"

    def __str__(self) -> str:
        found = self.difference
        if np.isnan(found.estimate):
            return f"{METRIC[self.metric].title} of {self.one} and {self.other} cannot be compared: it is undefined."
        unknown = np.isnan(found.width)
        ends = "interval unknown" if unknown else f"{short(found.low)}, {short(found.high)}"
        sign = "+" if short(found.estimate)[0] != "-" else ""
        less = "" if METRIC[self.metric].higher_is_better else ", less is better"
        corrected = f" after Holm's correction for {self.family}" if self.family > 1 else ""
        nominal = "" if found.claimed else ", nominal"
        said = (
            f"{self.one} adds {sign}{short(found.estimate)} {METRIC[self.metric].title} [{ends}] over {self.other} "
            f"({found.method}, {_p(self.adjusted)}{corrected}{nominal}{less})"
        )
        if self.caveat:
            return f"Nothing is claimed: {said}, {self.caveat}."
        return f"{said}." if self.verdict != "undecided" else f"No difference is shown: {said}."


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

    After cross-validation that is the corrected resampled t-test on the folds. On held-out, independent rows it is
    DeLong's test of ROC AUC and McNemar's of accuracy; the paired bootstrap of any other metric, and of rows in
    clusters.

    Parameters
    ----------
    one, other
        Predictions for the same rows, in one order and of the same folds.
    metric
        What to compare, a name of `metrics.METRIC`.
    names
        Of the one and of the other.
    level
        Nominal level, between 0 and 1.
    resamples, seed
        Of the bootstrap, where there is one.

    Raises
    ------
    ValueError
        If rows, folds or clusters differ, or the metric is not one of these predictions.
    """
    _paired(one, other)
    _known(one, metric)
    if one.fold is not None:
        scores = one.fold_scores()[metric], other.fold_scores()[metric]
        found = corrected_resampled_t_test(*scores, share_tested(one), metric, names=names, level=level)
        return replace(found, caveat=_caveat(one, other, metric))
    if isinstance(one, Predictions) and isinstance(other, Predictions) and one.independent:
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
    """Return the comparison of each pipeline with a baseline, corrected for how many there are.

    Parameters
    ----------
    pipelines
        Name to predictions, all for the same rows and folds.
    baseline
        Which of them the others are compared with.
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


def adjust(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return comparisons with Holm's correction; they are one family, whatever metrics or data sets they are of."""
    corrected = holm([one.p_value for one in comparisons])
    return tuple(
        replace(one, adjusted=float(p), family=len(comparisons)) for one, p in zip(comparisons, corrected, strict=True)
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p values after Holm's correction (https://www.jstor.org/stable/4615733), in the order given.

    Raises
    ------
    ValueError
        If one is not from 0 to 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p values are a list of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def delong_test(one: Predictions, other: Predictions, *, names: Names = _NAMES, level: float = 0.95) -> Comparison:
    """Return the comparison of two ROC AUCs on the same held-out, independent rows.

    DeLong et al. 1988 (doi:10.2307/2531595), with quantiles of Student's t as in `intervals.delong`. Where both
    areas differ by the same amount whichever row is left out, as two perfect ones do by 0, the data do not tell.

    Raises
    ------
    ValueError
        If the rows come from cross-validation or belong to clusters, or the two are not for the same rows.
    """
    _paired(one, other)
    refuse_for_delong(one)
    m = int(one.label.sum())
    sizes = np.array([m, len(one) - m])
    if not sizes.all():
        return _untold("roc_auc", np.nan, level, "DeLong", names)
    from scipy.special import stdtr, stdtrit

    first, second = (placements(rows.label, rows.probability) for rows in (one, other))
    difference = first[0] - second[0]
    if sizes.min() < 2:
        return _untold("roc_auc", difference, level, "DeLong", names)
    variances = np.array([(first[1] - second[1]).var(ddof=1), (first[2] - second[2]).var(ddof=1)])
    variance, freedom = student(variances / sizes, sizes)
    if variance <= 1e-30:
        return _untold("roc_auc", difference, level, "DeLong", names)
    error = np.sqrt(variance)
    low, high = np.clip(difference + error * stdtrit(freedom, [(1 - level) / 2, (1 + level) / 2]), -1, 1)
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return _found("roc_auc", Interval(difference, float(low), float(high), level, "DeLong"), p, names)


def mcnemar(one: Predictions, other: Predictions, *, names: Names = _NAMES, level: float = 0.95) -> Comparison:
    """Return the comparison of two accuracies on the same, independent rows.

    The p value is McNemar's (doi:10.1007/BF02295996), exact: of the rows that only one of the two gets right, half
    would be the one's. The interval is Newcombe's for paired proportions
    (doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C).

    Raises
    ------
    ValueError
        If the rows belong to clusters, or the two are not for the same rows.
    """
    _paired(one, other)
    if not one.independent:
        raise ValueError("McNemar's test is for independent rows, and these belong to clusters: use paired_bootstrap()")
    from scipy.stats import binomtest

    n = len(one)
    right, of_other = one.prediction == one.label, other.prediction == other.label
    only_one, only_other = int((right & ~of_other).sum()), int((~right & of_other).sum())
    p = float(binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0
    first, second = wilson(right, level), wilson(of_other, level)
    both, neither = int((right & of_other).sum()), int((~right & ~of_other).sum())
    together = float(both * neither - only_one * only_other)
    scale = np.sqrt(
        float((both + only_one) * (only_other + neither)) * float((both + only_other) * (only_one + neither))
    )
    correlation = (max(together - n / 2, 0) if together > 0 else together) / scale if scale else 0.0
    difference = (only_one - only_other) / n
    down = _joined(first.estimate - first.low, second.high - second.estimate, correlation)
    up = _joined(first.high - first.estimate, second.estimate - second.low, correlation)
    interval = Interval(difference, difference - down, difference + up, level, "McNemar, exact", one.fold is None)
    return replace(_found("accuracy", interval, p, names), caveat=_caveat(one, other, "accuracy", _MODELS_VARY))


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

    Rows are drawn as in `intervals.bootstrap`. The interval is that of percentiles, with levels moved outwards as there
    (BCa held differences of PR AUC, F1 and Matthews correlation in 80 to 92 of 100 data sets, this in 93 to 98). The p
    value is one minus the highest level whose interval leaves 0 out. For the calibration error, whose bias differs
    between pipelines, both are bounds: the interval reaches as far as both errors together can have moved.

    Parameters
    ----------
    one, other, metric, names, level, resamples, seed
        As for `compare`. With folds, the models stay as they are, and the interval is not claimed.

    Raises
    ------
    ValueError
        If rows, folds or clusters differ, or the metric is not one of these predictions.
    """
    _paired(one, other)
    _known(one, metric)
    pair = [one, other]
    scores = [rows.scores()[metric] for rows in pair]
    drawn = resampled(pair, resamples, seed)
    difference = scores[0] - scores[1]
    sample = Resampled(drawn[0][metric] - drawn[1][metric], difference, clusters_behind(one)[metric])
    method = "paired bootstrap" if one.independent else "paired cluster bootstrap"
    (low, high), p = sample.ends(level), sample.p_value()
    if metric == "ece" and not sample.tells_nothing:
        moved = drawn[0][ECE_NOISE] + drawn[1][ECE_NOISE]
        reach = float(np.quantile(moved, level))
        low, high = difference - reach, difference + reach
        p = float(((moved >= abs(difference)).sum() + 1) / (len(moved) + 1))
    interval = Interval(difference, low, high, level, method, one.fold is None)
    return replace(_found(metric, interval, p, names), caveat=_caveat(one, other, metric, _MODELS_VARY))


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
        What the scores are, a name of `metrics.METRIC`.
    names, level
        As for `compare`, which one should prefer where there are predictions: scores of PR AUC do not tell whether
        there were ties, so nothing is claimed of them here.

    Raises
    ------
    ValueError
        If the numbers of scores differ, or as `intervals.corrected_resampled_t`.
    """
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"two pipelines have one score each for every fold, got shapes {first.shape}, {second.shape}")
    apart = first - second
    interval = corrected_resampled_t(apart, test_share, level=level)
    if np.isnan(interval.width):
        return _untold(metric, interval.estimate, level, interval.method, names, claimed=False)
    from scipy.special import stdtr

    defined = apart[~np.isnan(apart)]
    error = np.sqrt(corrected_variance(defined, test_share))
    p = float(2 * stdtr(len(defined) - 1, -abs(interval.estimate) / error))
    return _found(metric, interval, p, names)


def _paired(one: AnyPredictions, other: AnyPredictions) -> None:
    if type(one) is not type(other) or len(one) != len(other):
        raise ValueError("two pipelines are compared on the same rows, and these differ in number or kind")
    for name in ("label", "target", "fold", "clusters"):
        first: NDArray[np.float64] | None = getattr(one, name, None)
        second: NDArray[np.float64] | None = getattr(other, name, None)
        if (first is None) != (second is None) or (
            first is not None and second is not None and not np.array_equal(first, second)
        ):
            raise ValueError(f"two pipelines are compared on the same rows, and these differ in {name}")


def _known(rows: AnyPredictions, metric: str) -> None:
    if metric not in rows.METRICS:
        raise ValueError(f"{metric!r} is not one of the metrics here: {', '.join(rows.METRICS)}")


def _found(metric: str, difference: Interval, p: float, names: Names) -> Comparison:
    return Comparison(*names, metric, difference, p, p, caveat=METRIC[metric].caveat or _TIES.get(metric, ""))


def _caveat(one: AnyPredictions, other: AnyPredictions, metric: str, after_folds: str = "") -> str:
    if METRIC[metric].caveat:
        return METRIC[metric].caveat
    if isinstance(one, Predictions) and isinstance(other, Predictions) and (one.tied or other.tied) and metric in _TIES:
        return _TIES[metric]
    return after_folds if one.fold is not None else ""


def _untold(
    metric: str, difference: float, level: float, method: str, names: Names, claimed: bool = True
) -> Comparison:
    return _found(metric, Interval(difference, np.nan, np.nan, level, method, claimed), 1.0, names)


def _joined(one: float, other: float, correlation: float) -> float:
    return float(np.sqrt(max(one**2 - 2 * correlation * one * other + other**2, 0)))


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {short(value, 2 if value >= 0.095 else 3)}"
