"""Learning curve: scores of nested training sets on held-out antibodies, for a model and its best baseline.

Model and baseline are fitted on the same rows and scored on the same held-out ones, so their difference is paired. An
interval comes from resamples of the held-out units and from the exponents that the sizes leave open (`power_law`).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread, workers_of
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.baselines import BaselineName
from antibody_esm.evaluation.cross_validation import fit, has_converged
from antibody_esm.evaluation.interval import Interval
from antibody_esm.evaluation.metrics import METRIC, Classified, Counts, Measured
from antibody_esm.evaluation.nested import Candidate
from antibody_esm.evaluation.power_law import PowerLaw, fit_power_law
from antibody_esm.evaluation.splits import Division
from antibody_esm.evaluation.subsamples import Draw, draws
from antibody_esm.threads import in_threads
from antibody_esm.unknown import Unknown

LEVEL = 0.9
"""Level of intervals."""
DRAWS = 30
"""Fewest draws."""
MORE = 96
"""Antibodies of a plate."""
_RESAMPLES = 200
_FARTHEST = 10
"""Largest size at which curves may cross, in multiples of the antibodies there are."""
_EQUAL = 1e-9
"""Largest difference of equal curves."""
_DEFINED = 0.5
"""Share of draws in which the score of a size has to be defined."""
_UNCLAIMED = "its coverage was measured on one data set (benchmarks/benchmark_learning_curve.py)"


@dataclass(frozen=True, eq=False, repr=False)
class Line:
    """Scores of one model at every size, and the power laws through them.

    Attributes
    ----------
    name
        Name of a baseline; None for the model.
    by_draw
        ``(draws, sizes)``; NaN if held-out rows or training rows are of one class.
    resampled
        ``(1 + resamples, sizes)``, mean scores over draws: of the rows themselves, then of resamples.
    law
        Power laws of these scores.
    """

    name: BaselineName | None
    by_draw: NDArray[np.float64]
    resampled: NDArray[np.float64]
    law: PowerLaw

    @property
    def scores(self) -> NDArray[np.float64]:
        """Mean score of each size, ``(sizes,)``."""
        scores: NDArray[np.float64] = self.resampled[0]
        return scores

    def ends(self, level: float) -> NDArray[np.float64]:
        """Return the ends ``(2, sizes)`` of the intervals of the mean scores."""
        ends: NDArray[np.float64] = np.quantile(self.resampled[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
        return ends

    def at(self, size: float, level: float = LEVEL) -> Interval:
        """Return the score that the power law has at a size."""
        return _interval(self.law(size)[:, 0], level)


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredCurve:
    """Numbers of a learning curve; `antibody_esm.LearningCurve` shows them.

    Attributes
    ----------
    metric
        ``roc_auc``, or ``spearman`` for continuous labels.
    sizes
        ``(sizes,)``, mean number of training antibodies over draws.
    line
        Scores of the model.
    baseline
        Scores of the best baseline, or `Unknown` with the reason. The best one has the highest score at the largest
        size, on the same held-out antibodies; as the best of several, it is optimistic, and the model's lead is
        pessimistic.
    antibodies
        Number of labelled antibodies, on all of which `Trainer.fit` fits.
    by, identity
        Unit of the split, see `SplitSpec`.
    tried
        Score of every baseline at the largest size.
    absent
        Reason why a baseline is absent.
    more
        Further antibodies that sentences and files state the gain of.
    unconverged
        Number of the model's fits whose solver reached its largest number of iterations.
    """

    metric: str
    sizes: NDArray[np.int64]
    line: Line
    baseline: Line | Unknown
    antibodies: int
    by: str
    identity: float
    tried: Mapping[BaselineName, float]
    absent: Mapping[BaselineName, str]
    more: int = MORE
    unconverged: int = 0

    @property
    def scores(self) -> NDArray[np.float64]:
        """Mean score of the model at each size, ``(sizes,)``."""
        return self.line.scores

    @property
    def draws(self) -> int:
        """Number of draws."""
        return len(self.line.by_draw)

    def at(self, size: int, level: float = LEVEL) -> Interval:
        """Return the score that is expected of a training set of this size, by the power law.

        Raises
        ------
        ValueError
            If the size is below the smallest one that was measured.
        """
        if size < self.sizes[0]:
            raise ValueError(f"the curve begins at {self.sizes[0]} antibodies, and {size} are fewer")
        return self.line.at(size, level)

    def gain(self, more: int = MORE, level: float = LEVEL) -> Interval:
        """Return the score that further antibodies are expected to add, by the power law.

        It is the score of a model of all antibodies and ``more`` less that of a model of all antibodies. It is never
        negative.

        Raises
        ------
        ValueError
            If ``more`` is negative.
        """
        if more < 0:
            raise ValueError(f"more antibodies are 0 or above, not {more}")
        now, then = self.line.law([self.antibodies, self.antibodies + more]).T
        return _interval(then - now, level)

    def lead(self, size: int | None = None, level: float = LEVEL) -> Interval:
        """Return the score of the model less that of the best baseline; by default for all antibodies.

        Raises
        ------
        ValueError
            If there is no baseline.
        """
        if isinstance(self.baseline, Unknown):
            raise ValueError(f"there is no baseline: {self.baseline}")
        size = self.antibodies if size is None else size
        return _interval((self.line.law(size) - self.baseline.law(size))[:, 0], level)

    @cached_property
    def crossing(self) -> int | Unknown:
        """Number of antibodies at which the power laws of model and best baseline cross, or the reason if they do not.

        Crossings count from the smallest size to ten times the antibodies there are; of several it is the last.
        """
        if isinstance(self.baseline, Unknown):
            return Unknown(f"there is no baseline: {self.baseline}")
        grid = np.geomspace(self.sizes[0], _FARTHEST * self.antibodies, 2_000)
        lead = self.line.law(grid)[0] - self.baseline.law(grid)[0]
        reach = f"from {self.sizes[0]:,} to {_FARTHEST * self.antibodies:,} antibodies"
        if np.abs(lead).max() < _EQUAL:
            return Unknown(f"they are equal {reach}")
        changes = np.flatnonzero(np.sign(lead[1:]) * np.sign(lead[:-1]) < 0)
        if not len(changes):
            return Unknown(f"that of the {'model' if lead[-1] > 0 else 'best baseline'} is above {reach}")
        return round(float(grid[changes[-1] + 1]))

    @property
    def overtakes(self) -> bool:
        """True if the model is ahead beyond the crossing."""
        if isinstance(self.crossing, Unknown) or isinstance(self.baseline, Unknown):
            return False
        beyond = self.crossing * 1.01
        return bool(self.line.law(beyond)[0, 0] > self.baseline.law(beyond)[0, 0])


def learning_curve(
    model: Candidate,
    label: NDArray[Any],
    division: Division,
    baselines: Mapping[BaselineName, Candidate],
    absent: Mapping[BaselineName, str] | None = None,
    *,
    more: int = MORE,
    number: int = DRAWS,
    workers: int | None = None,
) -> MeasuredCurve:
    """Return the learning curve of an unfitted classifier or regressor, and of the best baseline.

    All baselines are fitted on the largest training set of each draw. Only the best of them is fitted on the smaller
    ones.

    Parameters
    ----------
    model
        Features ``(n, dim)`` and unfitted classifier or regressor.
    label
        ``(n,)``, 0 or 1; numbers for a regressor.
    division
        Division of the rows, whose units stay whole.
    baselines
        Baselines by name.
    absent
        Reason why a baseline is absent.
    more
        Further antibodies that sentences and files state the gain of.
    number
        Fewest draws; there are as many as whole repeats of the split have.
    workers
        Fits at a time; None is one per usable core. It changes no number.

    Raises
    ------
    DatasetError
        As `subsamples.draws`; or if the score is defined at fewer than three sizes.
    """
    from sklearn.base import is_regressor

    continuous = bool(is_regressor(model.classifier))
    drawn = draws(division, label, continuous=continuous, number=number)
    sizes = np.round([np.mean([len(draw.training[j]) for draw in drawn]) for j in range(len(drawn[0].training))])
    last = len(sizes) - 1
    counts, families = _counts(label, division), division.spec.by == "family"
    runs = _Runs(label, division, drawn, continuous, workers_of(model.classifier, workers))
    outputs, unconverged = runs.fitted(model, range(last + 1))
    by_draw, means = _scores(outputs, label, drawn, counts, continuous, families)
    kept = np.isfinite(by_draw).mean(axis=0) >= _DEFINED
    if kept.sum() < 3:
        raise DatasetError(
            f"the score is defined at {kept.sum()} sizes, and a learning curve needs three; most held-out or training "
            "sets have one class only",
            column="label",
        )
    metric = "spearman" if continuous else "roc_auc"
    sizes = sizes[kept]

    def line(name: BaselineName | None, by_draw: NDArray[np.float64], means: NDArray[np.float64]) -> Line:
        by_draw, means = by_draw[:, kept], means[:, kept]
        return Line(name, by_draw, means, fit_power_law(sizes, means, highest=METRIC[metric].bounds[1]))

    best: Line | Unknown = Unknown("no baseline has a score")
    tried: dict[BaselineName, float] = {}
    for name, candidate in baselines.items():
        values, _ = _scores(runs.fitted(candidate, [last])[0], label, drawn, counts[:1], continuous, families)
        if np.isfinite(values).any():
            tried[name] = float(np.nanmean(values))
    if tried:
        name = max(tried, key=lambda key: tried[key])
        scored = _scores(runs.fitted(baselines[name], range(last + 1))[0], label, drawn, counts, continuous, families)
        if np.isfinite(scored[0][:, kept]).any(axis=0).all():
            best = line(name, *scored)
        else:
            best = Unknown(f"the best baseline, {name}, has no score at the smaller sizes")
    return MeasuredCurve(
        metric,
        sizes.astype(np.int64),
        line(None, by_draw, means),
        best,
        len(label),
        division.spec.by,
        division.spec.identity,
        tried,
        dict(absent or {}),
        more,
        unconverged,
    )


@dataclass(frozen=True, eq=False)
class _Runs:
    """Fits on the training sets of all draws."""

    label: NDArray[Any]
    division: Division
    drawn: list[Draw]
    continuous: bool
    workers: int | None

    def fitted(self, candidate: Candidate, sizes: Any) -> tuple[list[list[NDArray[np.float64] | None]], int]:
        """Return outputs for the held-out rows, by draw and size, and the number of fits that did not converge.

        The output is None if the training rows have one value only.
        """
        from sklearn.base import clone

        features, classifier = candidate

        def run(train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[NDArray[np.float64] | None, bool]:
            if len(np.unique(self.label[train])) < 2:
                return None, True
            fitted = fit(clone(classifier), features[train], self.label[train], self.division.part(train))
            tested = features[test]
            output = fitted.predict(tested) if self.continuous else fitted.predict_proba(tested)[:, 1]
            return np.asarray(output, np.float64), has_converged(fitted)

        from sklearn.exceptions import ConvergenceWarning

        jobs = [(draw.training[j], draw.held_out) for draw in self.drawn for j in sizes]
        with one_blas_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # they are counted
            done = in_threads(run, jobs, self.workers)
        outputs = [output for output, _ in done]
        n = len(list(sizes))
        return [outputs[i : i + n] for i in range(0, len(outputs), n)], sum(not converged for _, converged in done)


def _counts(label: NDArray[Any], division: Division) -> Counts:
    """Return how often each row counts, ``(1 + resamples, n)``: once, then as often as resamples draw its unit."""
    unit = np.arange(len(label))
    if division.unit is not None and division.spec.by not in ("fold", "leave_one_out"):
        unit = np.unique(division.unit, return_inverse=True)[1]
    units = int(unit.max()) + 1
    drawn = np.random.default_rng(0).multinomial(units, np.full(units, 1 / units), size=_RESAMPLES)
    return np.vstack([np.ones(len(label)), drawn[:, unit].astype(np.float64)])


def _scores(
    outputs: list[list[NDArray[np.float64] | None]],
    label: NDArray[Any],
    drawn: list[Draw],
    counts: Counts,
    continuous: bool,
    families: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the score of each draw ``(draws, sizes)``, and the mean over draws in each sample ``(samples, sizes)``."""
    scores = np.full((len(drawn), len(outputs[0]), len(counts)), np.nan)
    for i, (draw, row) in enumerate(zip(drawn, outputs, strict=True)):
        truth, counted = label[draw.held_out], counts[:, draw.held_out]
        drawn_at_all = counted.sum(axis=1) > 0
        for j, output in enumerate(row):
            if output is not None:
                scores[i, j, drawn_at_all] = _score(truth, output, counted[drawn_at_all], continuous)
    # A family that a resample has twice counts twice; parts of antibodies or small units count alike.
    weights = np.stack([counts[:, draw.held_out].mean(axis=1) for draw in drawn])[:, None] if families else 1.0
    weights = np.where(np.isfinite(scores), weights, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (np.nan_to_num(scores) * weights).sum(axis=0) / weights.sum(axis=0)
    undefined = np.isnan(means[:, 1:])
    means[:, 1:] = np.where(undefined, means[:, :1], means[:, 1:])  # a resample without a score adds no spread
    return scores[:, :, 0], means.T


def _score(truth: NDArray[Any], output: NDArray[np.float64], counts: Counts, continuous: bool) -> NDArray[np.float64]:
    if continuous:
        return Measured(truth, output)(counts)["spearman"]
    return Classified(truth, output >= 0.5, output)(counts)["roc_auc"]


def _interval(values: NDArray[np.float64], level: float) -> Interval:
    """Return the interval of a value and its resamples, ``(1 + resamples,)``."""
    if not 0 < level < 1:
        raise ValueError(f"a level is between 0 and 1, not {level}")
    low, high = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2])
    estimate = float(values[0])
    return Interval(
        estimate, min(float(low), estimate), max(float(high), estimate), level, "power law", unclaimed=_UNCLAIMED
    )
