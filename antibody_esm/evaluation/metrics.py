"""Metrics of predictions, as the field uses them."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antibody_esm.errors import place

Counts = NDArray[np.float64]
"""Number of times that each row counts in each of several samples, ``(samples, n)``."""
Values = dict[str, NDArray[np.float64]]
"""Metric to its value in each sample, ``(samples,)``."""


class Metric(NamedTuple):
    """Properties of a metric that a reader of its value needs."""

    title: str
    """Name in tables and sentences."""
    needs: Literal["class", "order", "probability", "value"]
    """Input: predicted classes, only the order of the predictions, probabilities as such, or values."""
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest possible value."""
    caveat: str = ""
    """Reason why a better value alone is no better model; empty if it is."""


_RISES = "because the metric rises if {} antibodies are predicted positive"

METRIC = {
    "roc_auc": Metric("ROC AUC", "order"),
    "pr_auc": Metric("PR AUC", "order"),
    "balanced_accuracy": Metric("balanced accuracy", "class"),
    "sensitivity": Metric("sensitivity", "class", caveat=_RISES.format("more")),
    "specificity": Metric("specificity", "class", caveat=_RISES.format("fewer")),
    "f1": Metric("F1", "class", caveat=_RISES.format("more")),
    "mcc": Metric("Matthews correlation", "class", bounds=(-1.0, 1.0)),
    "accuracy": Metric("accuracy", "class"),
    "brier": Metric("Brier score", "probability", higher_is_better=False),
    "ece": Metric("calibration error", "probability", higher_is_better=False),
    "spearman": Metric("Spearman", "order", bounds=(-1.0, 1.0)),
    "pearson": Metric("Pearson", "value", bounds=(-1.0, 1.0)),
    "rmse": Metric("RMSE", "value", higher_is_better=False, bounds=(0.0, np.inf)),
    "top_k_recall": Metric("recall of the top tenth", "order"),
}
"""Every metric by name. This is the one place that names a metric for people."""

METRICS = tuple(METRIC)[:10]
"""Names of the metrics of classes, in the order in which they are reported.

Accuracy is not among the first: if one antibody in fifty is positive, predicting none has an accuracy of .98.
"""

CONTINUOUS_METRICS = tuple(METRIC)[10:]
"""Names of the metrics of continuous targets, in the order in which they are reported."""

ECE_NOISE = "noise of the calibration error"
"""Largest possible difference between the calibration error of a sample and that of the rows it was drawn from: the sum
over bins of the distances between the gaps of the sample and those of the rows."""

BINS = 10
"""Bins of the expected calibration error."""
TOP = 10
"""Rows for each of the k rows of the top-k recall: k is a tenth of the rows, rounded up."""


def score(label: ArrayLike, prediction: ArrayLike, probability: ArrayLike) -> dict[str, float]:
    """Return every metric of `METRICS`; a metric that is not defined is NaN, never a number that looks like a result.

    Parameters
    ----------
    label
        ``(n,)`` true classes, 0 or 1.
    prediction
        ``(n,)`` predicted classes, 0 or 1.
    probability
        ``(n,)`` predicted probability of class 1, 0 to 1.

    Returns
    -------
    All are from 0 to 1, but Matthews correlation from -1 to 1. Less is better for Brier score and calibration error.

    ``pr_auc`` is average precision. For a constant prediction it is the share of positives. For a random order it is
    above that, and more so for few positives (four of ten: .53 instead of .40).

    ``ece`` is the expected calibration error (doi:10.1609/aaai.v29i1.9602) of the probability of class 1 in ten bins of
    equal width: the mean over rows of the distance between the mean probability of a bin and its share of positives. It
    is 0 only for a perfect model of a whole population: chance alone lifts it, and more so for few rows.

    If only one class is present, balanced accuracy, Matthews correlation and both areas are not defined; without
    positives sensitivity and F1 are not either, without negatives specificity. Matthews correlation of a constant
    prediction is 0.

    Raises
    ------
    ValueError
        If lengths differ, there is no row, a class is not 0 or 1, or a probability is not from 0 to 1.

    Examples
    --------
    >>> values = score([0, 0, 1, 1], [0, 1, 1, 1], [0.1, 0.6, 0.8, 0.7])
    >>> values["roc_auc"], values["specificity"], round(values["brier"], 3)
    (1.0, 0.5, 0.125)
    """
    return _once(Classified(label, prediction, probability))


def title(metric: str, higher_is_better: bool | None = None) -> str:
    """Return the name of a metric for people; with a known direction, the top tenth is the best one.

    Examples
    --------
    >>> title("top_k_recall"), title("top_k_recall", higher_is_better=False)
    ('recall of the top tenth', 'recall of the best tenth')
    """
    name = METRIC[metric].title
    return name if higher_is_better is None else name.replace("the top tenth", "the best tenth")


def score_continuous(target: ArrayLike, prediction: ArrayLike, *, higher_is_better: bool = True) -> dict[str, float]:
    """Return every metric of `CONTINUOUS_METRICS`; a metric that is not defined is NaN.

    Parameters
    ----------
    target, prediction
        ``(n,)`` measured and predicted values; RMSE needs both on one scale.

    Returns
    -------
    Spearman and Pearson correlation, -1 to 1; RMSE in the units of the target; ``top_k_recall``, 0 to 1: the
    share of the tenth of rows (rounded up) with the best targets that are among as many best predictions. The highest
    are the best, or the lowest if not `higher_is_better`; no other metric depends on that.
    If rows are tied at the edge of the tenth, it is the expected value of breaking the ties at random.

    If target or prediction is constant, correlations are not defined; if the target is, recall is not either.

    Raises
    ------
    ValueError
        If lengths differ, there is no row, or a value is not finite.

    Examples
    --------
    >>> score_continuous([1.0, 2.0, 3.0], [2.0, 1.0, 4.0])["spearman"]
    0.5
    """
    return _once(Measured(target, prediction, higher_is_better=higher_is_better))


class Classified:
    """Metrics of predicted classes, in many samples of the rows at once.

    Parameters
    ----------
    label, prediction, probability
        As for `score`.
    """

    def __init__(self, label: ArrayLike, prediction: ArrayLike, probability: ArrayLike) -> None:
        true, predicted = _classes(label, "label"), _classes(prediction, "prediction")
        probable = _probabilities(probability)
        self.n = n = _same_length(label=true, prediction=predicted, probability=probable)
        self._order = np.argsort(probable, kind="stable")
        self._positive = true[self._order]
        self._ties = _starts(probable[self._order])
        cells = np.stack(
            [true * predicted, true * (1 - predicted), (1 - true) * predicted, (1 - true) * (1 - predicted)], axis=1
        )
        bins = np.zeros((n, BINS))
        bins[np.arange(n), np.minimum((probable * BINS).astype(int), BINS - 1)] = probable - true
        self._rows = np.column_stack([cells, (probable - true) ** 2, bins])
        self._gaps = bins.mean(axis=0)

    def __call__(self, counts: Counts) -> Values:
        """Return the value of each metric in each sample, and `ECE_NOISE`; ``counts`` is ``(samples, n)``."""
        sums = counts @ self._rows
        tp, fn, fp, tn = sums[:, :4].T
        positives, negatives = tp + fn, fp + tn
        rows = positives + negatives
        sensitivity, specificity = _ratio(tp, positives), _ratio(tn, negatives)
        both = (positives > 0) & (negatives > 0)
        both_predicted = (tp + fp) * (tn + fn)
        scale = np.sqrt(positives * negatives * np.where(both_predicted > 0, both_predicted, 1))
        correlation = _ratio(tp * tn - fp * fn, scale)
        gaps = sums[:, 5:] / rows[:, None]
        roc_auc, pr_auc = self._areas(counts[:, self._order])
        return {
            "roc_auc": np.where(both, roc_auc, np.nan),
            "pr_auc": np.where(both, pr_auc, np.nan),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "f1": np.where(positives > 0, _ratio(2 * tp, 2 * tp + fp + fn), np.nan),
            "mcc": np.where(both, correlation, np.nan),
            "accuracy": (tp + tn) / rows,
            "brier": sums[:, 4] / rows,
            "ece": np.abs(gaps).sum(axis=1),
            ECE_NOISE: np.abs(gaps - self._gaps).sum(axis=1),
        }

    def _areas(self, counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ROC AUC and average precision; the columns of ``counts`` are in ascending order of probability."""
        positive, every = counts * self._positive, counts
        if self._ties is not None:
            positive = np.add.reduceat(positive, self._ties, axis=1)
            every = np.add.reduceat(every, self._ties, axis=1)
        negative = every - positive
        positives, negatives = positive.sum(axis=1), negative.sum(axis=1)
        below = np.cumsum(negative, axis=1)
        in_order = np.einsum("ij,ij->i", positive, below) - np.einsum("ij,ij->i", positive, negative) / 2
        # Precision at a probability: positive rows at or above it over all such rows.
        above = every.sum(axis=1)[:, None] - np.cumsum(every, axis=1) + every
        positive_above = above - (negatives[:, None] - below + negative)
        precision = np.divide(positive_above, above, out=np.zeros_like(above), where=above > 0)
        average = np.einsum("ij,ij->i", positive, precision)
        return _ratio(in_order, positives * negatives), _ratio(average, positives)


class Measured:
    """Metrics of continuous targets, in many samples of the rows at once.

    Parameters
    ----------
    target, prediction, higher_is_better
        As for `score_continuous`.
    centre
        ``(n,)``, subtracted from predictions of several models before they are ranked or correlated; None for those
        of one model. Errors are of the predictions as they are.
    """

    def __init__(
        self,
        target: ArrayLike,
        prediction: ArrayLike,
        centre: ArrayLike | None = None,
        *,
        higher_is_better: bool = True,
    ) -> None:
        true, predicted = _finite(target, "target"), _finite(prediction, "prediction")
        self.n = _same_length(target=true, prediction=predicted)
        self._square = (true - predicted) ** 2
        if centre is not None:
            predicted = _less(predicted, _finite(centre, "centre"))
        self._ranked = _Ranked(true, higher_is_better), _Ranked(predicted, higher_is_better)
        self._values = _standard(true), _standard(predicted)

    def __call__(self, counts: Counts) -> Values:
        """Return the value of each metric in each sample; ``counts`` is ``(samples, n)``."""
        rows = counts.sum(axis=1)
        sums = [ranked.sums(counts) for ranked in self._ranked]
        k = np.ceil(rows / TOP)
        shares = [ranked.top(counted, k) for ranked, counted in zip(self._ranked, sums, strict=True)]
        recall = np.einsum("ij,ij,ij->i", counts, *shares)
        several = (sums[0] > 0).sum(axis=1) > 1
        ranks = [_standard(ranked.ranks(counted)) for ranked, counted in zip(self._ranked, sums, strict=True)]
        return {
            "spearman": _correlation(counts, *ranks),
            "pearson": _correlation(counts, *self._values),
            "rmse": np.sqrt(counts @ self._square / rows),
            "top_k_recall": np.where(several, recall / k, np.nan),
        }


def _less(values: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return differences; one that is rounding alone is 0, so that equal numbers are ranked as such."""
    difference = values - centre
    difference[np.abs(difference) <= 1e-12 * np.maximum(np.abs(values), np.abs(centre))] = 0
    return difference


class _Ranked:
    """Rows in groups of equal value, in ascending order."""

    def __init__(self, values: NDArray[np.float64], higher_is_better: bool) -> None:
        self._highest = higher_is_better
        unique, self._group = np.unique(values, return_inverse=True)
        self._order = np.argsort(self._group, kind="stable")
        starts = np.searchsorted(self._group[self._order], np.arange(len(unique)))
        self._starts = starts if len(unique) < len(values) else None

    def sums(self, counts: Counts) -> Counts:
        """Return the number of rows of each group in a sample, ``(samples, groups)``."""
        ordered = counts[:, self._order]
        return ordered if self._starts is None else np.add.reduceat(ordered, self._starts, axis=1)

    def ranks(self, sums: Counts) -> NDArray[np.float64]:
        """Return the mean rank of each row in each sample, ``(samples, n)``."""
        mean: NDArray[np.float64] = (np.cumsum(sums, axis=1) - (sums - 1) / 2)[:, self._group]
        return mean

    def top(self, sums: Counts, k: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance of each row to be among the ``k`` best, ``(samples, n)``."""
        counted = np.cumsum(sums, axis=1)
        above = sums.sum(axis=1)[:, None] - counted if self._highest else counted - sums
        inside = np.clip(k[:, None] - above, 0, sums)
        chance: NDArray[np.float64] = np.divide(inside, sums, out=np.zeros_like(sums), where=sums > 0)[:, self._group]
        return chance


def _probabilities(values: ArrayLike) -> NDArray[np.float64]:
    """Return probabilities, clipped to 0 and 1 if rounding left them up to 1e-6 outside."""
    probability = _finite(values, "probability")
    outside = (probability < -1e-6) | (probability > 1 + 1e-6)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"a probability is from 0 to 1, got {probability[row]} in {place(row)}")
    return np.clip(probability, 0, 1)


def _once(metrics: Classified | Measured) -> dict[str, float]:
    values = metrics(np.ones((1, metrics.n)))
    return {name: float(values[name][0]) for name in METRIC if name in values}


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    column = np.asarray(values, np.float64)
    if column.ndim != 1:
        raise ValueError(f"{name} has one number a row, got an array of shape {column.shape}")
    if not np.isfinite(column).all():
        row = int((~np.isfinite(column)).argmax())
        raise ValueError(f"{name} is finite, got {column[row]} in {place(row)}")
    return column


def _classes(values: ArrayLike, name: str) -> NDArray[np.float64]:
    column = _finite(values, name)
    odd = (column != 0) & (column != 1)
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(f"{name} is 0 or 1, got {column[row]:g} in {place(row)}")
    return column


def _same_length(**columns: NDArray[Any]) -> int:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"lengths differ: {', '.join(f'{name} {length}' for name, length in lengths.items())}")
    (n,) = set(lengths.values())
    if not n:
        raise ValueError("there is no row to score")
    return n


def _starts(ordered: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return the first index of each group of equal values; None if all differ."""
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return None if first.all() else np.flatnonzero(first)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quotient; NaN if it is not defined."""
    quotient: NDArray[np.float64] = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return quotient


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values on a scale on which 1e-12 is negligible; exact zeros if they are constant."""
    centred = values - values.mean(axis=-1, keepdims=True)
    constant = values.min(axis=-1, keepdims=True) == values.max(axis=-1, keepdims=True)
    largest = np.abs(centred).max(axis=-1, keepdims=True)
    scaled: NDArray[np.float64] = np.where(constant, 0, centred / np.where(constant, 1, largest))
    return scaled


def _correlation(counts: Counts, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation in each sample; the columns are ``(n,)`` or ``(samples, n)``."""

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.einsum("ij,ij->i", counts, values) if values.ndim == 2 else counts @ values
        return np.asarray(total / rows)

    rows = counts.sum(axis=1)
    means = mean(first), mean(second)
    covariance = mean(first * second) - means[0] * means[1]
    spread = mean(first**2) - means[0] ** 2, mean(second**2) - means[1] ** 2
    defined = (spread[0] > 1e-13) & (spread[1] > 1e-13)
    scale = np.sqrt(np.where(defined, spread[0] * spread[1], 1))
    return np.where(defined, np.clip(covariance / scale, -1, 1), np.nan)
