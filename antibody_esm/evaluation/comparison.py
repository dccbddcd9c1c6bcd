"""The difference between two pipelines as a sentence: interval and p value from one test, with one correction.

**A difference is claimed if and only if its interval excludes 0.** This is so if and only if its p value is below one
minus the level, since both come from one test. For several comparisons, Holm's method corrects both. The p value is
multiplied by Holm's factor; the error of the interval is the nominal error divided by that factor. So a corrected
interval is wider than a 95 % interval of the same difference alone, by Bonferroni's correction at most. A `caveat`
forbids a claim whatever the numbers, and the sentence gives it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antibody_esm.evaluation.interval import Interval, short
from antibody_esm.evaluation.metrics import METRIC

Ends = Callable[[float], tuple[float, float]]
"""Function from a level to the two ends of an interval."""


@dataclass(frozen=True)
class Comparison:
    """The difference between two pipelines; ``str()`` is the sentence to publish.

    Attributes
    ----------
    one, other
        Names of the two pipelines.
    metric
        The metric that is compared, a name of `metrics.METRIC`.
    difference
        Score of `one` minus score of `other`, with the interval after the correction for the ``family``.
    p_value
        Two-sided p value of no difference; 1 if the data do not determine it.
    adjusted
        The same after Holm's correction for the ``family``; equal to it in a family of one.
    family
        Number of comparisons that were made together.
    caveat
        Reason why no difference may be claimed, whatever the numbers; empty if there is none.
    scores
        Scores of `one` and `other`.
    ends
        The interval of the test at other levels, which `adjust` needs; None leaves the interval as it is.

    Examples
    --------
    >>> difference = Interval(0.03, -0.01, 0.07, 0.95, "DeLong")
    >>> print(Comparison("esm2_650m", "composition", "roc_auc", difference, 0.14, 0.14, scores=(0.71, 0.68)))
    esm2_650m is not shown to be better than composition: ROC AUC .710 against .680, difference +.030 [-.01, .07]
    (DeLong, p = .14).
    """

    one: str
    other: str
    metric: str
    difference: Interval
    p_value: float
    adjusted: float
    family: int = 1
    caveat: str = ""
    scores: tuple[float, float] | None = None
    ends: Ends | None = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """The claim for `one` against `other`, by the rule in this module's first lines."""
        interval = self.difference
        excluded = interval.low > 0 or interval.high < 0
        if self.caveat or not excluded or not self.adjusted < 1 - interval.level:
            return "undecided"
        return "better" if (interval.low > 0) == METRIC[self.metric].higher_is_better else "worse"

    @property
    def claim(self) -> str:
        """The verdict with its p value in a few words, for tables: ``better (p = .014)``."""
        if np.isnan(self.difference.estimate):
            return "not comparable"
        words = "nothing claimed" if self.caveat else self._verdict_in_words.removesuffix(" than")
        return f"{words} ({p_text(self.adjusted)})"

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, *, subject: bool = True, test: bool = True) -> str:
        """Return the sentence to publish.

        Parameters
        ----------
        subject
            False begins with the verdict, like "No better than ...".
        test
            False leaves out the test, which `test` describes.
        """
        title, interval = METRIC[self.metric].title, self.difference
        start = f"{self.one} is " if subject else ""
        if np.isnan(interval.estimate):
            return _capital(
                f"{start}not comparable with {self.other}: the difference of {title} is undefined.", subject
            )
        against = f"{short(self.scores[0], 3)} against {short(self.scores[1], 3)}, " if self.scores else ""
        by = f" ({self.test})" if test else ""
        numbers = f"{self.other}: {title} {against}difference {signed(interval)}{by}"
        if self.caveat:
            return f"Nothing is claimed {f'of {self.one} ' if subject else ''}against {numbers}, {self.caveat}."
        return _capital(f"{start}{self._verdict_in_words} {numbers}.", subject)

    @property
    def _verdict_in_words(self) -> str:
        if self.verdict != "undecided":
            return f"{self.verdict} than"
        ahead = self.difference.estimate > 0 if METRIC[self.metric].higher_is_better else self.difference.estimate < 0
        return "not shown to be better than" if ahead else "no better than"

    @property
    def test(self) -> str:
        """Test, p value and correction in words, without a full stop."""
        parts = [self.difference.method, p_text(self.adjusted)]
        if self.family > 1:
            parts.append(f"interval and p with Holm's correction for {self.family} comparisons")
        if not self.difference.claimed and np.isfinite(self.difference.width):
            parts.append("nominal")
        if not METRIC[self.metric].higher_is_better:
            parts.append("less is better")
        return ", ".join(parts)


def signed(interval: Interval) -> str:
    """Return a difference with its sign and its interval, like ``+.030 [-.01, .07]``.

    Ends that exclude 0 have enough decimals to show it.
    """
    digits = 2
    for end in (interval.low, -interval.high):
        while end > 0 and digits < 6 and not float(short(end, digits)):
            digits += 1
    estimate = short(interval.estimate, 3)
    sign = "+" if interval.estimate > 0 and float(estimate) else ""
    ends = f"{short(interval.low, digits)}, {short(interval.high, digits)}"
    return f"{sign}{estimate} [{ends if np.isfinite(interval.width) else 'unknown'}]"


def p_text(value: float) -> str:
    """Return a p value as text, like ``p = .014``; close to .05 with a fourth decimal, which shows the side."""
    if value < 0.001:
        return "p < .001"
    return f"p = {short(value, 2 if value >= 0.095 else 4 if 0.0495 <= value < 0.0505 else 3)}"


def adjust(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return comparisons with Holm's correction of p values and intervals.

    All of them are one family, whatever their metrics or data sets.
    """
    p_values = np.array([comparison.p_value for comparison in comparisons], np.float64)
    corrected, factors = holm(p_values), _factors(p_values)
    return tuple(
        replace(
            comparison,
            adjusted=float(p),
            family=len(comparisons),
            difference=_corrected(comparison, float(factor)),
        )
        for comparison, p, factor in zip(comparisons, corrected, factors, strict=True)
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p values after Holm's correction (https://www.jstor.org/stable/4615733), in the order given.

    Raises
    ------
    ValueError
        If a p value is not from 0 to 1.

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


def _factors(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number that Holm's correction multiplies each p value by, 1 to the size of the family."""
    order = np.argsort(p, kind="stable")
    ordered, steps = p[order], np.arange(len(p), 0, -1).astype(np.float64)
    corrected = np.maximum.accumulate(ordered * steps) if len(p) else ordered
    factors = np.empty(len(p))
    factors[order] = np.divide(corrected, ordered, out=steps.copy(), where=ordered > 0)
    return factors


def _corrected(comparison: Comparison, factor: float) -> Interval:
    interval = comparison.difference
    if comparison.ends is None or np.isnan(interval.width):
        return interval
    low, high = comparison.ends(1 - (1 - interval.level) / factor)
    return replace(interval, low=low, high=high)


def _capital(sentence: str, subject: bool) -> str:
    return sentence if subject else sentence[:1].upper() + sentence[1:]
