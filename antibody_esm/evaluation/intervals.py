"""How far a score may be from what it would be on all antibodies like these.

Which method gives which interval was decided by measured coverage; the tests measure it again. Of a fixed model on
held-out rows, nominal 95 % intervals hold the truth in 93 to 97 of 100 data sets, where each class has thirty rows or
more. With fewer they are made to err on the side of being wide:

============================================== ========================================================================
ROC AUC, independent rows                      `delong`
accuracy, sensitivity, specificity, the same   Wilson's score interval (doi:10.1080/01621459.1927.10502953)
balanced accuracy, the same                    the two Wilson intervals joined, by Newcombe's square and add
                                               (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I)
everything else, and all where rows cluster    `bootstrap`
cross-validation                               `corrected_resampled_t`, of which no coverage is claimed
============================================== ========================================================================
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antibody_esm.evaluation.metrics import ECE_NOISE, METRIC, Counts, Values
from antibody_esm.evaluation.predictions import AnyPredictions, Predictions

FEW = 30
"""With fewer rows in the smaller class, a report says how little is known."""

_AT_ONCE = 100_000
"""Numbers of a table of counts that are worked on at once; they stay in the processor's cache."""
_JACKKNIFE = 200
"""Parts that are left out in turn, at most; the acceleration of more rows is that of their blocks."""
_DEFINED = 0.9
"""A bootstrap whose statistic is defined in a smaller share of the resamples tells nothing."""

CROSS_VALIDATION = (
    "Intervals of cross-validation are nominal: folds share most of their training rows, and nothing computed from one "
    "cross-validation is known to hold its level (Bengio and Grandvalet 2004, "
    "https://jmlr.org/papers/v5/grandvalet04a.html). In simulations of ten folds of logistic regression, nominal 95 % "
    "intervals held the truth in 94 to 100 of 100 data sets (benchmarks/benchmark_intervals.py)."
)
"""What must be said beside every interval that is not `Interval.claimed`."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it; ``str()`` is short, like ``.81 [.74, .87]``.

    Attributes
    ----------
    estimate
        The score; NaN where it is not defined.
    low, high
        Ends of the interval; NaN where the data do not tell, as where every resample of the rows gives one value.
    level
        Its nominal level, 0 to 1.
    method
        How it was made.
    claimed
        Whether it is to hold the truth as often as ``level`` says; False after cross-validation.

    Examples
    --------
    >>> print(Interval(0.8123, 0.74, 0.8689, 0.95, "DeLong"))
    .81 [.74, .87]
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    claimed: bool = True

    @property
    def width(self) -> float:
        """How wide the interval is; NaN where that is not known."""
        return self.high - self.low

    def __str__(self) -> str:
        if np.isnan(self.estimate):
            return "undefined"
        ends = "unknown" if np.isnan(self.width) else f"{short(self.low)}, {short(self.high)}"
        return f"{short(self.estimate)} [{ends}]"


def short(value: float, digits: int = 2) -> str:
    """Return a number with so many decimals and without the zero before the point.

    Examples
    --------
    >>> short(0.8123), short(-0.049), short(-0.001), short(1.0)
    ('.81', '-.05', '.00', '1.00')
    """
    text = f"{value:.{digits}f}"
    if not any(digit in "123456789" for digit in text):
        text = text.lstrip("-")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def intervals(
    rows: AnyPredictions, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return an interval for every metric, each by the method that this module's table names for it.

    Parameters
    ----------
    rows
        What was predicted.
    level
        Nominal level, between 0 and 1.
    resamples, seed
        Of the bootstrap.
    """
    if rows.fold is not None:
        share = share_tested(rows)
        return {
            name: corrected_resampled_t(scores, share, level=level, bounds=METRIC[name].bounds)
            for name, scores in rows.fold_scores().items()
        }
    found = bootstrap(rows, level=level, resamples=resamples, seed=seed)
    if isinstance(rows, Predictions) and rows.independent:
        found |= {"roc_auc": delong(rows, level=level)} | _proportions(rows, level)
    return found


def few_positives(rows: Predictions, found: dict[str, Interval]) -> str | None:
    """Return what a report has to say where a class has fewer than `FEW` rows; None where both have more.

    Parameters
    ----------
    rows
        What was predicted.
    found
        `intervals` of them.
    """
    n, positives = len(rows), int(rows.label.sum())
    least, kind = min((positives, "positive"), (n - positives, "negative"))
    if least >= FEW:
        return None
    area = found["roc_auc"]
    told = (
        f"ROC AUC is {area}, an interval {short(area.width)} wide"
        if not np.isnan(area.width)
        else f"ROC AUC is {area}; how far that is from the truth, the data do not tell"
    )
    return (
        f"Only {least} of {n} antibodies {'is' if least == 1 else 'are'} {kind}: {told}. "
        f"Accuracy says nothing here: always naming the larger class has {short(1 - least / n)}."
    )


def delong(rows: Predictions, *, level: float = 0.95) -> Interval:
    """Return the interval of the ROC AUC of one model on held-out, independent rows.

    The variance is that of DeLong et al. 1988 (doi:10.2307/2531595), in the fast form of Sun and Xu 2014
    (doi:10.1109/LSP.2014.2337313). The interval is symmetric on the logit scale, so it stays within 0 and 1, and takes
    its quantile from Student's t with the degrees of freedom of Brunner and Munzel 2000
    (doi:10.1002/(SICI)1521-4036(200001)42:1<17::AID-BIMJ17>3.0.CO;2-U).

    With few rows of a class and an area near 1, the variance of those few is too small more often than not: of seven
    positives among 398 and an area of .96, the interval as above held the truth in 85 of 100 data sets. So
    ``a (1 - a) (2 a - 1)^2 (1 / m^2 + 1 / n^2)`` is added to the variance, which is nothing at .5 and for hundreds of
    rows; then 97 to 99 of 100 hold it. It never goes beyond Clopper and Pearson's interval of as many independent pairs
    as the smaller class has rows, since no area has more variance than that (Birnbaum and Klose,
    Ann. Math. Statist. 28, 933-945, 1957).
    That interval is also the answer where classes are separated perfectly (seven positives: 1.00 [.59, 1.00]) or a
    class has one row. Where only one class is present nothing is defined.

    Raises
    ------
    ValueError
        If the rows come from cross-validation, whose pooled scores mix models, or belong to clusters.

    Examples
    --------
    >>> label, probability = [0] * 6 + [1] * 4, [0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.45, 0.6, 0.7, 0.9]
    >>> print(delong(Predictions(label=label, prediction=label, probability=probability, fold=None)))
    .83 [.25, .99]
    """
    refuse_for_delong(rows)
    _checked(level)
    undefined = Interval(np.nan, np.nan, np.nan, level, "DeLong")
    m, n = int(rows.label.sum()), int(len(rows) - rows.label.sum())
    if not m or not n:
        return undefined
    from scipy.special import betaincinv, stdtrit

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
            low = max(low, float(1 / (1 + np.exp(reach - middle))))
            high = min(high, float(1 / (1 + np.exp(-reach - middle))))
            method = "DeLong"
    return Interval(area, low, high, level, method)


def refuse_for_delong(rows: Predictions) -> None:
    """Raise a ValueError unless one model scored independent rows that it had not seen."""
    if rows.fold is not None:
        raise ValueError(
            "DeLong's method is for the scores of one model on held-out rows; out-of-fold scores mix "
            f"{rows.folds} models. Compare scores fold by fold: compare() or corrected_resampled_t()"
        )
    if not rows.independent:
        raise ValueError("DeLong's method is for independent rows, and these belong to clusters: use the bootstrap")


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


def student(variances: NDArray[np.float64], sizes: NDArray[np.int64]) -> tuple[float, float]:
    """Return the sum of variances of means of samples of these sizes, and its degrees of freedom by Satterthwaite."""
    total = float(variances.sum())
    if total == 0:
        return 0.0, 1.0
    return total, float(total**2 / (variances**2 / (sizes - 1)).sum())


def bootstrap(
    rows: AnyPredictions, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return the bootstrap interval of every metric, all from one set of resamples.

    Rows are drawn with replacement; where they belong to clusters, whole clusters are. A resample without one of the
    classes is drawn again. The interval is BCa (doi:10.1080/01621459.1987.10478410), with levels moved outwards by what
    Student's t asks of as few clusters as a metric rests on (doi:10.1080/00031305.2015.1089789).

    That of the calibration error is another one: chance lifts the error of every resample above that of the rows, and
    BCa held the truth in 0 to 85 of 100 data sets. Here the lower end lies as far below as all bins together can have
    moved (the triangle inequality), the upper one is that of the basic bootstrap; 94 to 100 of 100 held it.

    Where all resamples give one value, or a tenth gives none, the ends are NaN. Of a class with seven rows the
    bootstrap of balanced accuracy is too narrow (85 of 100); `intervals` takes another method for it, and for ROC AUC
    and shares, where rows are independent.

    Parameters
    ----------
    rows
        What was predicted. With folds it is the mean over folds that is resampled, the models staying as they are;
        such an interval is not claimed.
    level
        Nominal level, between 0 and 1.
    resamples, seed
        How many, and where their random numbers start. The same four give the same interval.

    Raises
    ------
    ValueError
        If there are fewer than 2 clusters or 100 resamples, or ``level`` is not between 0 and 1.
    """
    _checked(level)
    estimate = rows.scores()
    drawn = resampled([rows], resamples, seed)[0]
    left, behind = _jackknifed(rows, seed), clusters_behind(rows)
    method = "bootstrap" if rows.independent else "cluster bootstrap"
    found = {}
    for name in rows.METRICS:
        sample = Resampled(drawn[name], estimate[name], behind[name], left[name])
        low, high = (
            _of_calibration(estimate[name], drawn, level)
            if name == "ece" and not sample.tells_nothing
            else sample.ends(level)
        )
        least, most = METRIC[name].bounds
        found[name] = Interval(
            estimate[name],
            float(np.clip(low, least, most)),
            float(np.clip(high, least, most)),
            level,
            method,
            rows.fold is None,
        )
    return found


def resampled(pipelines: Sequence[AnyPredictions], resamples: int, seed: int) -> list[Values]:
    """Return every metric of each pipeline in each resample, ``(resamples,)``; the resamples are the same for all.

    Parameters
    ----------
    pipelines
        Predictions for the same rows, labels and clusters.
    """
    if resamples < 100:
        raise ValueError(f"a bootstrap needs 100 resamples at least, got {resamples}")
    scorers = [one.scorer() for one in pipelines]
    parts = [[scorer(counts) for scorer in scorers] for counts in _draws(pipelines[0], resamples, seed)]
    return [_joined([part[i] for part in parts]) for i in range(len(pipelines))]


def clusters_behind(rows: AnyPredictions) -> dict[str, int]:
    """Return how many clusters each metric rests on: those of the smaller class where it needs both."""
    every = int(rows.cluster.max()) + 1
    if not isinstance(rows, Predictions):
        return dict.fromkeys(rows.METRICS, every)
    negative, positive = (len(np.unique(rows.cluster[rows.label == one])) for one in (0, 1))
    own = {"accuracy": every, "brier": every, "ece": every, "sensitivity": positive, "specificity": negative}
    return dict.fromkeys(rows.METRICS, min(negative, positive)) | own


class Resampled:
    """A statistic in many resamples, from which come intervals and p values.

    Parameters
    ----------
    values
        ``(resamples,)``.
    estimate
        The statistic of the rows themselves.
    clusters
        How many clusters the statistic rests on; levels move outwards by what Student's t asks of so few.
    left_out
        The statistic without each cluster in turn. With it intervals are BCa, without it percentiles.
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        estimate: float,
        clusters: int,
        left_out: NDArray[np.float64] | None = None,
    ) -> None:
        self._count = len(values)
        self._sorted = np.sort(values[~np.isnan(values)])
        self._estimate, self._clusters, self._left_out = estimate, clusters, left_out

    @cached_property
    def tells_nothing(self) -> bool:
        """Whether the statistic is undefined, in the rows or in many resamples, or the same in all."""
        few = self._clusters < 2 or len(self._sorted) < _DEFINED * self._count
        return bool(few or np.isnan(self._estimate) or np.ptp(self._sorted) <= 1e-12 * max(1, abs(self._estimate)))

    @cached_property
    def _shape(self) -> tuple[float, float]:
        """Bias and acceleration; a tie with the estimate counts half below it."""
        from scipy.special import ndtri

        if self._left_out is None:
            return 0.0, 0.0
        sides = [np.searchsorted(self._sorted, self._estimate, side) for side in ("left", "right")]
        share = sum(sides) / 2 / len(self._sorted)
        bias = float(ndtri(np.clip(share, 0.5 / len(self._sorted), 1 - 0.5 / len(self._sorted))))
        left = self._left_out[~np.isnan(self._left_out)]
        away = left.mean() - left if len(left) else np.zeros(1)
        spread = float((away**2).sum() ** 1.5)
        return bias, float((away**3).sum() / (6 * spread)) if spread > 0 else 0.0

    def ends(self, level: float) -> tuple[float, float]:
        """Return the two ends of the interval; NaN where the resamples tell nothing."""
        from scipy.special import ndtr, stdtrit

        if self.tells_nothing:
            return np.nan, np.nan
        bias, acceleration = self._shape
        freedom = self._clusters - 1
        wider = np.sqrt(self._clusters / freedom)
        moved = bias + wider * stdtrit(freedom, [(1 - level) / 2, (1 + level) / 2])
        room = 1 - acceleration * moved
        shares = np.where(room > 0, ndtr(bias + moved / np.where(room > 0, room, 1)), moved > 0)
        low, high = np.quantile(self._sorted, shares)
        return float(low), float(high)

    def p_value(self) -> float:
        """Return two-sided p of the statistic being 0: one minus the highest level whose interval leaves 0 out.

        It is not less than one by the number of resamples, and 1 where the resamples tell nothing.
        """
        if self.tells_nothing:
            return 1.0
        count = len(self._sorted)
        below = np.searchsorted(self._sorted, 0, "right") + 1
        above = count - np.searchsorted(self._sorted, 0, "left") + 1
        one_sided = min(self._tail(below / (count + 1), 1), self._tail(above / (count + 1), -1))
        return float(np.clip(2 * one_sided, 1 / (count + 1), 1))

    def _tail(self, share: float, side: int) -> float:
        """Return the level whose end on one side (1 the lower, -1 the upper) leaves out so large a share."""
        from scipy.special import ndtri, stdtr

        bias, acceleration = (side * one for one in self._shape)
        away = ndtri(min(share, 1 - 1e-16)) - bias
        room = 1 + acceleration * away
        if room <= 0:
            return 0.0 if away < 0 else 1.0
        freedom = self._clusters - 1
        return float(stdtr(freedom, (away / room - bias) / np.sqrt(self._clusters / freedom)))


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
        ``(folds,)``, or of all folds of all repetitions. Folds in which the metric is not defined (NaN) are left out,
        and ``method`` says how many remain.
    test_share
        Rows in a test fold for each row in its training set: 1 / 9 with ten folds of one size.
    level
        Nominal level, between 0 and 1.
    bounds
        The least and the largest value possible.

    Raises
    ------
    ValueError
        If ``test_share`` is not above 0 or ``level`` not between 0 and 1.

    Examples
    --------
    >>> print(corrected_resampled_t([0.7, 0.8, 0.75, 0.72], 1 / 3))
    .74 [.64, .85]
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
    return Interval(mean, float(low), float(high), level, method, claimed=False)


def corrected_variance(scores: NDArray[np.float64], test_share: float) -> float:
    """Return the variance of the mean of scores over folds, corrected for training sets that overlap."""
    return float(scores.var(ddof=1) * (1 / len(scores) + test_share))


def share_tested(rows: AnyPredictions) -> float:
    """Return how many rows are tested for each row that is trained on, the mean over folds."""
    sizes = np.bincount(rows.fold) if rows.fold is not None else np.array([len(rows)])
    return float((sizes / (len(rows) - sizes)).mean())


def _proportions(rows: Predictions, level: float) -> dict[str, Interval]:
    """Return the intervals of the metrics that are shares of independent rows, and of the mean of two."""
    right, label = rows.label == rows.prediction, rows.label
    found = {
        "accuracy": wilson(right, level),
        "sensitivity": wilson(right[label == 1], level),
        "specificity": wilson(right[label == 0], level),
    }
    one, other = found["sensitivity"], found["specificity"]
    mean = (one.estimate + other.estimate) / 2
    down = np.hypot(one.estimate - one.low, other.estimate - other.low) / 2
    up = np.hypot(one.high - one.estimate, other.high - other.estimate) / 2
    return found | {"balanced_accuracy": Interval(mean, mean - down, mean + up, level, "Wilson, square and add")}


def wilson(right: NDArray[np.bool_], level: float) -> Interval:
    """Return Wilson's score interval of the share of independent rows that are right."""
    from scipy.special import ndtri

    n = len(right)
    if not n:
        return Interval(np.nan, np.nan, np.nan, level, "Wilson")
    share, z = float(right.mean()), float(ndtri((1 + level) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = 0.0 if share == 0 else float(middle - reach)
    high = 1.0 if share == 1 else float(middle + reach)
    return Interval(share, low, high, level, "Wilson")


def _of_calibration(estimate: float, drawn: Values, level: float) -> tuple[float, float]:
    moved = np.quantile(drawn[ECE_NOISE], (1 + level) / 2)
    return estimate - float(moved), max(estimate, 2 * estimate - float(np.quantile(drawn["ece"], (1 - level) / 2)))


def _jackknifed(rows: AnyPredictions, seed: int) -> Values:
    """Return every metric without each cluster in turn, or without each block of many."""
    clusters = int(rows.cluster.max()) + 1
    blocks = min(clusters, _JACKKNIFE)
    block = (np.random.default_rng(seed).permutation(clusters) % blocks)[rows.cluster]
    scorer = rows.scorer()
    some = np.array_split(np.arange(blocks), -(-blocks * len(rows) // _AT_ONCE))
    return _joined([scorer((block != part[:, None]).astype(np.float64)) for part in some])


def _draws(rows: AnyPredictions, resamples: int, seed: int) -> Iterator[Counts]:
    """Give how often each row is in each resample, some resamples at once."""
    generator = np.random.default_rng(seed)
    cluster = rows.cluster
    clusters = int(cluster.max()) + 1
    if clusters < 2:
        raise ValueError("a bootstrap needs two clusters at least, and all rows belong to one")
    label = rows.label.astype(np.float64) if isinstance(rows, Predictions) else None
    both = label is not None and 0 < label.sum() < len(label)
    for some in np.array_split(np.arange(resamples), -(-resamples * len(rows) // _AT_ONCE)):
        counts = _counts(generator, len(some), clusters)[:, cluster]
        while label is not None and both:
            positives, negatives = counts @ label, counts @ (1 - label)
            again = np.flatnonzero((positives == 0) | (negatives == 0))
            if not len(again):
                break
            counts[again] = _counts(generator, len(again), clusters)[:, cluster]
        yield counts


def _counts(generator: np.random.Generator, resamples: int, clusters: int) -> Counts:
    drawn = generator.integers(0, clusters, (resamples, clusters)) + np.arange(resamples)[:, None] * clusters
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.float64)


def _joined(parts: list[Values]) -> Values:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _checked(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
