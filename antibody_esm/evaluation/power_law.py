"""Power law of a score over the number of training antibodies, with intervals for sizes beyond the measured ones.

The score of ``n`` antibodies is ``a - b n^-c``, as in Mukherjee et al. 2003 (doi:10.1089/106652703321825928) and
Figueroa et al. 2012 (doi:10.1186/1472-6947-12-8). A few sizes hardly determine the exponent, so it has a prior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXPONENT, SPREAD = 0.5, 0.25
"""Median of the exponent's prior, which is log-normal, and standard deviation of its logarithm."""
EXPONENTS = (0.1, 2.0)
"""Smallest and largest exponent."""
MISFIT = 0.01
"""Standard deviation of a mean score around the power law, beside that of resamples."""
_GRID = 200
"""Exponents that are tried; for each of them ``a`` and ``b`` have a closed form, so the best fit is always found."""


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """Power laws that were fitted to resamples of the scores.

    Attributes
    ----------
    parameters
        ``(1 + resamples, 3)``: ``a``, ``b`` and ``c`` of the scores themselves in the first row, then of each
        resample. ``b`` is for sizes relative to `reference`.
    reference
        Size that sizes are divided by.
    """

    parameters: NDArray[np.float64]
    reference: float

    def __call__(self, size: ArrayLike) -> NDArray[np.float64]:
        """Return the scores ``(1 + resamples, sizes)`` of numbers of antibodies ``(sizes,)``."""
        a, b, c = (column[:, None] for column in self.parameters.T)
        relative = np.atleast_1d(np.asarray(size, np.float64)) / self.reference
        scores: NDArray[np.float64] = a - b * relative**-c
        return scores


def fit_power_law(
    sizes: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    highest: float = 1.0,
    seed: int = 0,
) -> PowerLaw:
    """Return the power laws of mean scores and of their resamples.

    Scores never fall with the size (``b`` is at least 0), and end at the metric's best value at most. In each resample
    the prior has a median of its own, drawn from the prior: the laws differ by as much as scores and prior leave open.

    Parameters
    ----------
    sizes
        ``(sizes,)``, numbers of training antibodies, ascending.
    scores
        ``(1 + resamples, sizes)``, the scores in the first row, then those of resamples.
    highest
        Best value of the metric.
    seed
        Seed of the resamples' priors.

    Examples
    --------
    >>> sizes = np.array([30.0, 60.0, 120.0, 240.0])
    >>> law = fit_power_law(sizes, 0.9 - 1.5 * sizes[None] ** -0.5)
    >>> bool(abs(law(480.0)[0, 0] - (0.9 - 1.5 * 480**-0.5)) < 0.002)
    True
    """
    reference = float(sizes[-1])
    centres = np.log(EXPONENT) + SPREAD * np.random.default_rng(seed).standard_normal(len(scores))
    centres[0] = np.log(EXPONENT)
    # One weight for all sizes: their errors, of the same held-out antibodies, are not independent.
    spread = scores[1:].var(axis=0).mean() if len(scores) > 1 else 0.0
    weights = np.full(len(sizes), 1 / (MISFIT**2 + spread))
    logs = np.linspace(np.log(EXPONENTS[0]), np.log(EXPONENTS[1]), _GRID)
    fits = [_linear((sizes / reference) ** -np.exp(log), scores, weights, highest) for log in logs]
    a, b, squares = (np.stack(values, axis=1) for values in zip(*fits, strict=True))
    best = np.argmin(squares + ((logs - centres[:, None]) / SPREAD) ** 2, axis=1)
    rows = np.arange(len(scores))
    return PowerLaw(np.stack([a[rows, best], b[rows, best], np.exp(logs[best])], axis=1), reference)


def _linear(
    power: NDArray[np.float64], scores: NDArray[np.float64], weights: NDArray[np.float64], highest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ``a``, ``b`` and the weighted sum of squares of ``a - b power``, each ``(1 + resamples,)``.

    The smallest sum within the bounds is that without bounds, or one on a bound: ``b`` is 0 or ``a`` is the best value.
    """
    total, means = weights.sum(), scores @ weights / weights.sum()
    centred = power - power @ weights / total
    b = -(scores @ (weights * centred)) / (weights @ centred**2)
    a = means + b * (power @ weights / total)
    at_best = np.maximum(((highest - scores) @ (weights * power)) / (weights @ power**2), 0)
    choices = [(a, b), (np.minimum(means, highest), np.zeros_like(b)), (np.full_like(a, highest), at_best)]
    squares = np.stack([((each[0][:, None] - each[1][:, None] * power - scores) ** 2) @ weights for each in choices])
    squares[0, (b < 0) | (a > highest)] = np.inf
    chosen, rows = np.argmin(squares, axis=0), np.arange(len(scores))
    of_choice = [np.stack([each[i] for each in choices])[chosen, rows] for i in (0, 1)]
    return of_choice[0], of_choice[1], squares[chosen, rows]
