"""Intervals of scores, by the method whose coverage was measured for each metric.

Tests and ``benchmarks/benchmark_intervals.py`` repeat the measurement. For one fixed model on held-out rows:

========================================== ============================================================================
ROC AUC                                    `delong`
accuracy, sensitivity, specificity         Wilson's score interval (doi:10.1080/01621459.1927.10502953)
balanced accuracy, F1, Matthews            the Wilson intervals of sensitivity, specificity and share of positives,
correlation                                joined by square and add
                                           (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I)
RMSE                                       Student's t for the logarithm of the mean square
PR AUC, Brier score, calibration error,    `bootstrap`, of clusters if rows belong to clusters
Spearman, Pearson, recall of the top tenth
cross-validation                           `corrected_resampled_t`, without a claim
========================================== ============================================================================

If rows belong to clusters, closed forms take the effective size ``n^2 / sum of squared cluster sizes`` for the number
of rows, in each class: clones that all have one probability then count once. An interval is claimed
(`Interval.claimed`) if simulated 95 % intervals had at least 93 % coverage for as many antibodies in such clusters.
Otherwise `Interval.unclaimed` gives the reason.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antibody_esm.evaluation.effective_size import FEW, FOLDS, class_samples, clusters_behind, sample, unclaimed
from antibody_esm.evaluation.interval import Interval, short
from antibody_esm.evaluation.metrics import ECE_NOISE, METRIC, Values
from antibody_esm.evaluation.predictions import AnyPredictions, Predictions
from antibody_esm.evaluation.resampling import Resampled, jackknifed, resampled
from antibody_esm.evaluation.shares import rates, wilson

__all__ = [
    "CROSS_VALIDATION",
    "FEW",
    "SIMULATED",
    "Interval",
    "bootstrap",
    "corrected_resampled_t",
    "corrected_variance",
    "delong",
    "few_positives",
    "intervals",
    "placements",
    "refuse_folds",
    "sampling_width",
    "share_tested",
    "short",
    "student",
    "wilson",
]

CROSS_VALIDATION = (
    "Intervals of cross-validation are nominal: folds share most of their training rows, and no interval computed from "
    "one cross-validation has a known coverage (Bengio and Grandvalet 2004, "
    "https://jmlr.org/papers/v5/grandvalet04a.html)."
)
"""Note beside every interval of a cross-validation."""

SIMULATED = (
    "This design was simulated: ten stratified folds of logistic regression, 100 to 400 independent antibodies, half "
    "of them positive. In 100 data sets, nominal 95 % intervals of ROC AUC, balanced accuracy, accuracy and Brier "
    "score had a coverage of 94 to 100 % (benchmarks/benchmark_intervals.py)."
)
"""Note for the cross-validations whose coverage was simulated, and for no other."""


def intervals(
    rows: AnyPredictions, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return an interval for every metric, each by the method in the table of this module.

    Parameters
    ----------
    rows
        Predictions for labelled rows.
    level
        Nominal level, between 0 and 1.
    resamples, seed
        Number of resamples and seed of the bootstrap.

    Raises
    ------
    ValueError
        If all rows belong to one cluster, or as `bootstrap`.
    """
    if rows.fold is not None:
        share = share_tested(rows)
        return {
            name: corrected_resampled_t(scores, share, level=level, bounds=METRIC[name].bounds)
            for name, scores in rows.fold_scores().items()
        }
    by_metric = bootstrap(rows, level=level, resamples=resamples, seed=seed)
    if isinstance(rows, Predictions):
        by_metric |= {"roc_auc": delong(rows, level=level)} | rates(rows, level)
    else:
        by_metric["rmse"] = _root_mean_square(rows.target - rows.prediction, sample(rows.cluster).effective, level)
    reasons = unclaimed(rows)
    return {name: replace(by_metric[name], claimed=not reasons[name], unclaimed=reasons[name]) for name in rows.METRICS}


def few_positives(rows: Predictions, by_metric: dict[str, Interval]) -> str | None:
    """Return the warning for a class with fewer than `FEW` rows; None if both classes have more.

    Parameters
    ----------
    rows
        Predictions for labelled rows.
    by_metric
        `intervals` of these rows.
    """
    n, positives = len(rows), int(rows.label.sum())
    least, kind = min((positives, "positive"), (n - positives, "negative"))
    if least >= FEW:
        return None
    area = by_metric["roc_auc"]
    if np.isnan(area.estimate):
        width = "ROC AUC is undefined"
    elif np.isnan(area.width):
        width = f"ROC AUC is {area}: the data do not determine an interval"
    elif rows.fold is not None and area.width < (drawn := sampling_width(area.estimate, positives, n - positives)):
        width = (
            f"ROC AUC is {area}. The interval is too narrow, as the scores of {rows.folds} folds are alike by chance; "
            f"drawing so few antibodies alone makes it about {short(drawn)} wide"
        )
    else:
        width = f"ROC AUC is {area}, an interval {short(area.width)} wide"
    return (
        f"Only {least} of {n} antibodies {'is' if least == 1 else 'are'} {kind}: {width}. "
        f"Accuracy is uninformative: predicting the larger class for every antibody has {short(1 - least / n, 3)}."
    )


def sampling_width(area: float, positives: int, negatives: int) -> float:
    """Return the width of a 95 % interval of a ROC AUC from the drawing of the antibodies alone, of one model.

    The variance is that of Hanley and McNeil 1982 (doi:10.1148/radiology.143.1.7063747).

    Examples
    --------
    >>> round(sampling_width(0.5, 28, 20), 2)
    0.33
    """
    both, squared = positives * negatives, area**2
    above = (positives - 1) * (area / (2 - area) - squared) + (negatives - 1) * (2 * squared / (1 + area) - squared)
    return float(2 * 1.96 * np.sqrt((area * (1 - area) + above) / both))


def delong(rows: Predictions, *, level: float = 0.95) -> Interval:
    """Return the interval of the ROC AUC of one model on held-out rows.

    The variance is that of DeLong et al. 1988 (doi:10.2307/2531595), in the fast form of Sun and Xu 2014
    (doi:10.1109/LSP.2014.2337313), divided by the effective size of each class. The interval is symmetric on the logit
    scale, so it stays within 0 and 1. Its quantile is that of Student's t with the degrees of freedom of Brunner and
    Munzel 2000 (doi:10.1002/(SICI)1521-4036(200001)42:1<17::AID-BIMJ17>3.0.CO;2-U).

    For few rows of a class and an area near 1, the variance of those few is usually too small: for seven positives
    among 398 and an area of .96, coverage without a correction was .85. So ``a (1 - a) (2 a - 1)^2 (1 / m^2 + 1 /
    n^2)`` is added to the variance; coverage is then .97 to .99. The term vanishes at .5 and for hundreds of rows.

    The interval never exceeds Clopper and Pearson's for as many independent pairs as the effective size of the smaller
    class. No area has more variance than that (Birnbaum and Klose, Ann. Math. Statist. 28, 933-945, 1957). That
    interval is also the result for classes that are separated perfectly (seven positives: 1.000 [.59, 1.00]) and for a
    class of one row. With one class only, the area is undefined.

    Raises
    ------
    ValueError
        If the rows come from cross-validation, whose pooled scores mix models.

    Examples
    --------
    >>> label, probability = [0] * 6 + [1] * 4, [0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.45, 0.6, 0.7, 0.9]
    >>> print(delong(Predictions(label=label, prediction=label, probability=probability, fold=None)))
    .833 [.25, .99]
    """
    refuse_folds(rows)
    _checked(level)
    samples = class_samples(rows)
    m, n = (one_class.effective for one_class in samples)
    reason = unclaimed(rows)["roc_auc"]
    if not m or not n:
        return Interval(np.nan, np.nan, np.nan, level, "DeLong", unclaimed=reason)
    from scipy.special import betaincinv, expit, stdtrit

    area, positive, negative = placements(rows.label, rows.probability)
    tail, pairs = (1 - level) / 2, min(m, n)
    low = float(betaincinv(pairs * area, pairs * (1 - area) + 1, tail)) if area > 0 else 0.0
    high = float(betaincinv(pairs * area + 1, pairs * (1 - area), 1 - tail)) if area < 1 else 1.0
    method = "Clopper-Pearson bound of the AUC"
    if pairs > 1 and 0 < area < 1:
        variance, freedom = student(np.array([positive.var(ddof=1) / m, negative.var(ddof=1) / n]), np.array([m, n]))
        if variance > 0:
            variance += area * (1 - area) * (2 * area - 1) ** 2 * (1 / m**2 + 1 / n**2)
            reach = float(stdtrit(freedom, 1 - tail)) * np.sqrt(variance) / (area * (1 - area))
            middle = np.log(area / (1 - area))
            low = max(low, float(expit(middle - reach)))
            high = min(high, float(expit(middle + reach)))
            method = "DeLong"
    return Interval(
        area, low, high, level, method if rows.independent else f"{method}, effective size", unclaimed=reason
    )


def refuse_folds(rows: Predictions) -> None:
    """Raise a ValueError for predictions of several models, whose scores cannot be ranked in one list."""
    if rows.fold is not None:
        raise ValueError(
            "DeLong's method is for the scores of one model on held-out rows; out-of-fold scores mix "
            f"{rows.folds} models. Compare scores fold by fold: compare() or corrected_resampled_t()"
        )


def placements(
    label: NDArray[np.int64], score: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the ROC AUC and the placement of each row, 0 to 1.

    Parameters
    ----------
    label, score
        ``(n,)``; both classes are present.

    Returns
    -------
    The area; ``(positives,)`` the share of negatives below each positive; ``(negatives,)`` the share of positives
    above each negative. A tie counts half.
    """
    from scipy.stats import rankdata

    positive, negative = score[label == 1], score[label == 0]
    m, n = len(positive), len(negative)
    every = rankdata(np.concatenate([positive, negative]))
    of_positive = (every[:m] - rankdata(positive)) / n
    of_negative = 1 - (every[m:] - rankdata(negative)) / m
    return float((every[:m].sum() - m * (m + 1) / 2) / (m * n)), of_positive, of_negative


def student(variances: NDArray[np.float64], sizes: NDArray[np.float64]) -> tuple[float, float]:
    """Return the sum of variances of means of samples of these sizes, and its degrees of freedom by Satterthwaite."""
    total = float(variances.sum())
    if total == 0:
        return 0.0, 1.0
    return total, float(total**2 / (variances**2 / (sizes - 1)).sum())


def bootstrap(
    rows: AnyPredictions, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return the bootstrap interval of every metric, all from one set of resamples.

    Rows are drawn with replacement; if they belong to clusters, whole clusters are. A resample without one of the
    classes is drawn again. The interval is BCa (doi:10.1080/01621459.1987.10478410), with levels moved outwards by
    Student's t for the number of clusters behind a metric (doi:10.1080/00031305.2015.1089789).

    The calibration error has another interval: chance lifts the error of every resample above that of the rows, and the
    coverage of BCa was .00 to .85. The lower end subtracts the distance that all bins together can have moved (the
    triangle inequality). The upper end is that of the basic bootstrap. Coverage is .94 to 1.00.

    If all resamples give one value, or a tenth give none, the ends are NaN. With a class of seven rows the bootstrap of
    balanced accuracy is too narrow (.85): `intervals` has other methods for areas and shares. Here no metric that needs
    a class is claimed if the class has fewer than `FEW` rows.

    Parameters
    ----------
    rows
        Predictions for labelled rows. With folds the mean over folds is resampled, and the models are fixed; such an
        interval is not claimed.
    level
        Nominal level, between 0 and 1.
    resamples, seed
        Number of resamples, and seed of their random numbers. The same four give the same interval.

    Raises
    ------
    ValueError
        If there are fewer than 2 clusters or 100 resamples, or ``level`` is not between 0 and 1.
    """
    _checked(level)
    estimate = rows.scores()
    drawn = resampled([rows], resamples, seed)[0]
    left, behind, reasons = jackknifed(rows, seed), clusters_behind(rows), unclaimed(rows, FEW)
    method = "bootstrap" if rows.independent else "cluster bootstrap"
    by_metric = {}
    for name in rows.METRICS:
        statistic = Resampled(drawn[name], estimate[name], behind[name], left[name])
        if name == "ece" and not statistic.undetermined:
            low, high = _of_calibration(estimate[name], drawn, level)
        else:
            low, high = statistic.ends(level)
        low, high = np.clip([low, high], *METRIC[name].bounds)
        by_metric[name] = Interval(
            estimate[name], float(low), float(high), level, method, not reasons[name], unclaimed=reasons[name]
        )
    return by_metric


def corrected_resampled_t(
    scores: ArrayLike,
    test_share: float,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Return the mean over folds and the interval of the corrected resampled t-test, which is not claimed.

    The variance of scores over folds or repetitions is multiplied by ``1 / scores + test / train``, since training sets
    overlap (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366).

    Parameters
    ----------
    scores
        ``(folds,)``, or all folds of all repetitions. Folds in which the metric is not defined (NaN) are left out, and
        ``method`` has the number that remain.
    test_share
        Rows in a test fold for each row in its training set: 1 / 9 with ten folds of one size.
    level
        Nominal level, between 0 and 1.
    bounds
        Smallest and largest possible value.

    Raises
    ------
    ValueError
        If ``test_share`` is not above 0 or ``level`` not between 0 and 1.

    Examples
    --------
    >>> print(corrected_resampled_t([0.7, 0.8, 0.75, 0.72], 1 / 3))
    .742 [.64, .85]
    """
    _checked(level)
    if not test_share > 0:
        raise ValueError(f"a test fold has rows, so their share is above 0, got {test_share}")
    every = np.asarray(scores, np.float64)
    defined = every[~np.isnan(every)]
    method = "corrected resampled t-test"
    if len(defined) < len(every):
        method += f", {len(defined)} of {len(every)} folds"
    mean = float(defined.mean()) if len(defined) else np.nan
    if len(defined) < 2 or np.ptp(defined) == 0:
        return Interval(mean, np.nan, np.nan, level, method, claimed=False)
    from scipy.special import stdtrit

    reach = stdtrit(len(defined) - 1, (1 + level) / 2) * np.sqrt(corrected_variance(defined, test_share))
    low, high = np.clip([mean - reach, mean + reach], *bounds)
    return Interval(mean, float(low), float(high), level, method, unclaimed=FOLDS)


def corrected_variance(scores: NDArray[np.float64], test_share: float) -> float:
    """Return the variance of the mean of scores over folds, corrected for training sets that overlap."""
    return float(scores.var(ddof=1) * (1 / len(scores) + test_share))


def share_tested(rows: AnyPredictions) -> float:
    """Return the number of test rows for each training row, the mean over folds."""
    sizes = np.bincount(rows.fold) if rows.fold is not None else np.array([len(rows)])
    return float((sizes / (len(rows) - sizes)).mean())


def _root_mean_square(errors: NDArray[np.float64], size: float, level: float) -> Interval:
    """Return the interval of the root of the mean square; ``size`` is the effective number of rows.

    The logarithm of a mean of few squares is biased: Bonett's ``n / (n - z)`` widens the interval
    (doi:10.1016/j.csda.2005.02.005).
    """
    from scipy.special import ndtri, stdtrit

    squares = errors**2
    mean, z, method = float(squares.mean()), float(ndtri((1 + level) / 2)), "Student's t of the log mean square"
    if size <= z + 1 or np.ptp(squares) == 0:
        return Interval(float(np.sqrt(mean)), np.nan, np.nan, level, method)
    error = squares.std(ddof=1) / np.sqrt(size) / mean
    reach = min(float(stdtrit(size - 1, (1 + level) / 2)) * error * size / (size - z), 600)
    low, high = np.sqrt(mean * np.exp([-reach, reach]))
    return Interval(float(np.sqrt(mean)), float(low), float(high), level, method)


def _of_calibration(estimate: float, drawn: Values, level: float) -> tuple[float, float]:
    moved = np.quantile(drawn[ECE_NOISE], (1 + level) / 2)
    return estimate - float(moved), max(estimate, 2 * estimate - float(np.quantile(drawn["ece"], (1 - level) / 2)))


def _checked(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
