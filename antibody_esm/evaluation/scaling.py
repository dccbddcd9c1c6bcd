"""Scaling of a model's output to another assay, from few antibodies: shrunken Platt scaling, or a shrunken line.

A class's log-odds ``x`` become ``intercept + slope x`` (Platt scaling; for the updating of models with shrinkage see
Steyerberg et al. 2004, doi:10.1002/sim.1844). The prior is no change: the logarithm of the
slope has mean 0 and standard deviation .5, and the intercept has mean 0 and standard deviation 2. A slope is positive,
so antibodies keep their order. Values of a regressor become ``intercept + slope x`` too; the prior of slope 1 weighs as
much as 10 antibodies, that of no shift as much as one.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SLOPE, INTERCEPT = 0.5, 2.0
"""Standard deviations of the priors of the slope's logarithm and of the intercept, for classes."""
OF_SLOPE, OF_SHIFT = 10, 1
"""Weights of the priors of slope and shift of values, in antibodies."""
_LEAST_SLOPE = 0.01
_LEAST = 1e-12
"""Smallest distance of a probability from 0 and 1."""
Threshold = float | Literal["balanced_accuracy"] | None


@dataclass(frozen=True)
class Scaling:
    """Line from a model's log-odds, or values, to those of another assay.

    Examples
    --------
    >>> Scaling().probability(np.array([0.2, 0.9])).round(3).tolist()
    [0.2, 0.9]
    """

    slope: float = 1.0
    intercept: float = 0.0

    def value(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log-odds or values on the scale of the other assay, ``(n,)``."""
        return self.intercept + self.slope * value

    def probability(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities of class 1 for the other assay, ``(n,)``."""
        from scipy.special import expit

        return np.asarray(expit(self.value(logit(probability))), np.float64)


def logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-odds of probabilities, which are finite for 0 and 1 too."""
    clipped = np.clip(probability, _LEAST, 1 - _LEAST)
    odds: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return odds


def fit_scaling(score: NDArray[np.float64], label: NDArray[Any], *, continuous: bool = False) -> Scaling:
    """Return the most probable scaling of scores by new labels, under the prior of this module.

    Parameters
    ----------
    score
        ``(n,)``, log-odds of class 1, or predicted values.
    label
        ``(n,)``, 0 or 1, or measured values. One class, one antibody and none will do: the prior remains.

    Examples
    --------
    >>> fit_scaling(np.empty(0), np.empty(0))
    Scaling(slope=1.0, intercept=0.0)
    >>> fit_scaling(np.array([0.0, 1.0, 2.0]), np.array([0, 0, 0])).intercept < 0
    True
    """
    if not len(score):
        return Scaling()
    if continuous:
        return _line(score, np.asarray(label, np.float64))
    from scipy.optimize import minimize
    from scipy.special import expit

    sign = np.where(np.asarray(label) == 1, 1.0, -1.0)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_slope, intercept = parameters
        slope = np.exp(log_slope)
        margin = sign * (intercept + slope * score)
        value = np.logaddexp(0, -margin).sum() + (log_slope / SLOPE) ** 2 / 2 + (intercept / INTERCEPT) ** 2 / 2
        rise = -sign * expit(-margin)
        slopes = [rise @ score * slope + log_slope / SLOPE**2, rise.sum() + intercept / INTERCEPT**2]
        return float(value), np.array(slopes)

    bounds = [(np.log(_LEAST_SLOPE), -np.log(_LEAST_SLOPE)), (-50, 50)]
    log_slope, intercept = minimize(loss, np.zeros(2), jac=True, bounds=bounds, method="L-BFGS-B").x
    return Scaling(float(np.exp(log_slope)), float(intercept))


def threshold_of(label: NDArray[Any], threshold: Threshold) -> float:
    """Return the smallest recalibrated probability at which class 1 is predicted.

    ``balanced_accuracy``: the share of positives among the new antibodies, with one more of each class. Of calibrated
    probabilities this threshold has the highest balanced accuracy, and few antibodies determine a share better than
    the best threshold. None is 0.5.

    Examples
    --------
    >>> threshold_of(np.array([0, 0, 0, 1]), "balanced_accuracy"), threshold_of(np.array([0, 1]), None)
    (0.3333333333333333, 0.5)
    """
    if threshold is None:
        return 0.5
    if threshold == "balanced_accuracy":
        return float((np.sum(label) + 1) / (len(label) + 2))
    return float(threshold)


def _line(value: NDArray[np.float64], label: NDArray[np.float64]) -> Scaling:
    """Return the line of values, shrunken to the identity."""
    n, centre = len(value), float(value.mean())
    away, error = value - centre, label - value
    shift = error.sum() / (n + OF_SHIFT)
    spread = float(away @ away)
    slope = 1 + (float(away @ (error - shift)) / (spread * (1 + OF_SLOPE / n)) if spread > 0 else 0.0)
    slope = max(slope, _LEAST_SLOPE)
    return Scaling(slope, float(centre + shift - slope * centre))
