"""Errors of a recalibrated model by the number of antibodies that it was recalibrated on."""

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.interval import short
from antibody_esm.evaluation.scaling import Threshold, fit_scaling, threshold_of
from antibody_esm.unknown import Unknown

SIZES = (0, 5, 10, 20, 40)
"""Numbers of antibodies."""
LEVEL = 0.9
_DRAWS = 100
_HELD_OUT = 10
"""Fewest antibodies on which errors are computed."""
_TITLES = {
    "log_loss": "log loss",
    "brier": "Brier score",
    "balanced_accuracy": "balanced accuracy",
    "rmse": "RMSE",
    "constant": "constant",
}
_LEAST = 1e-12
_MOST = 10**9
_LINE = 80
"""Width of a terminal."""


@dataclass(frozen=True)
class RecalibrationCurve:
    """Errors on antibodies that had no part in the recalibration; ``print`` shows a table.

    Attributes
    ----------
    sizes
        Numbers of antibodies that the model is recalibrated on; 0 is the model as it is.
    held_out
        Number of other antibodies in each draw, the same for all sizes.
    draws
        Number of random draws.
    scores
        Metric to mean, low and high over draws of each size. Low and high hold 90 % of the draws. ``constant`` is the
        first metric of a constant prediction: the share of positives, or the mean, of the same few antibodies.
    change
        The same for the difference of the first metric to size 0 in the same draw.
    helped
        Share of draws in which the first metric is better than at size 0, for each size.
    """

    sizes: tuple[int, ...]
    held_out: int
    draws: int
    scores: Mapping[str, tuple[tuple[float, float, float], ...]]
    change: tuple[tuple[float, float, float], ...]
    helped: tuple[float, ...]

    @property
    def metric(self) -> str:
        """First metric: log loss, or RMSE of values."""
        return next(iter(self.scores))

    @property
    def sentence(self) -> str:
        """Effect of the largest number of antibodies, in words."""
        title, before, after = _TITLES[self.metric], self.scores[self.metric][0][0], self.scores[self.metric][-1][0]
        mean, low, high = self.change[-1]
        numbers = f"from {short(before, 3)} to {short(after, 3)}"
        draws = f"change {short(mean, 3)}, in {LEVEL:.0%} of draws [{short(low, 3)}, {short(high, 3)}]"
        size, constant = self.sizes[-1], self.scores["constant"][-1][0]
        what = "mean" if self.metric == "rmse" else "share of positives"
        alone = f" Without the model, the {what} of these antibodies alone has {short(constant, 3)}."
        if constant <= after:
            alone += " The model is not shown to add to it."
        if high < 0:
            return (
                f"Recalibration helps: with {size} antibodies the {title} of others falls {numbers} ({draws}).{alone}"
            )
        if low > 0:
            return (
                f"Recalibration harms: with {size} antibodies the {title} of others rises {numbers} ({draws}).{alone}"
            )
        return (
            f"No help is shown: with {size} antibodies the {title} of others goes {numbers} ({draws}); it falls in "
            f"{self.helped[-1]:.0%} of draws.{alone}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as plain JSON values; undefined numbers are None."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: plain(each) for name, each in value.items()}
            if isinstance(value, tuple | list):
                return [plain(each) for each in value]
            return None if isinstance(value, float) and not np.isfinite(value) else value

        return {name: plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> "RecalibrationCurve":
        """Return the curve of plain JSON values. Raises TypeError, ValueError or KeyError for others."""
        names = [name for name in values["scores"] if name in _TITLES]
        if names[-1:] != ["constant"] or len(names) < 2 or len(names) != len(values["scores"]):
            raise ValueError("unknown scores of a recalibration")
        sizes = tuple(values["sizes"])
        counts = (*sizes, values["held_out"], values["draws"])
        if not all(type(count) is int and 0 <= count < _MOST for count in counts):
            raise ValueError("sizes of a recalibration are not numbers of antibodies")
        rows = {name: _rows(values["scores"][name]) for name in names}
        change, helped = _rows(values["change"]), tuple(float(share) for share in values["helped"])
        if {len(each) for each in (*rows.values(), change, helped)} != {len(sizes)} or not sizes:
            raise ValueError("scores of a recalibration are of other sizes")
        return cls(sizes, values["held_out"], values["draws"], rows, change, helped)

    def __str__(self) -> str:
        titles = [_TITLES[name] for name in self.scores]
        lines = ["   n   " + "".join(f"{title:<18}" for title in titles).rstrip()]
        for row, size in enumerate(self.sizes):
            cells = [
                f"{short(mean, 3)} [{short(low)}, {short(high)}]" if np.isfinite(mean) else "undefined"
                for mean, low, high in (values[row] for values in self.scores.values())
            ]
            lines.append(f"{size:>4}   " + "".join(f"{cell:<17} " for cell in cells).rstrip())
        caption = f"Means on {self.held_out} other antibodies, with 90 % of {self.draws} draws in brackets."
        return "\n".join([*lines, "", caption, *textwrap.wrap(self.sentence, _LINE)])


def recalibration_curve(
    score: NDArray[np.float64],
    label: NDArray[Any],
    *,
    continuous: bool = False,
    threshold: Threshold = "balanced_accuracy",
    own_threshold: float = 0.5,
    sizes: tuple[int, ...] = SIZES,
) -> RecalibrationCurve | Unknown:
    """Return the curve, or the reason why there are too few antibodies.

    In each draw the antibodies are in a random order. The first ones are those that the model is recalibrated on; all
    behind the largest size are held out, and their labels reach no fit.

    Parameters
    ----------
    score
        ``(n,)``, log-odds of class 1, or values, of the model as it is.
    label
        ``(n,)``, 0 or 1, or measured values.
    threshold
        As for `threshold_of`.
    own_threshold
        Threshold of the model as it is.
    sizes
        Numbers of antibodies; those that leave fewer than ten, or fewer than half, are left out.
    """
    n = len(label)
    sizes = tuple(size for size in sizes if size <= n // 2 and n - size >= _HELD_OUT)
    if len(sizes) < 2:
        few = "antibody is" if n == 1 else "antibodies are"
        return Unknown(f"{n} {few} too few to hold some out: {2 * _HELD_OUT} or more would tell")
    most = sizes[-1]
    results = [
        _draw(score, np.asarray(label), order, sizes, continuous, threshold, own_threshold)
        for order in (np.random.default_rng((0, draw)).permutation(n) for draw in range(_DRAWS))
    ]
    table = {name: np.array([each[name] for each in results]) for name in results[0]}
    first = next(iter(table.values()))
    change = first - first[:, :1]
    helped = tuple(float(share) for share in (change < 0).mean(axis=0))
    scores = {name: _over_draws(values) for name, values in table.items()}
    return RecalibrationCurve(sizes, n - most, _DRAWS, scores, _over_draws(change), helped)


def _draw(
    score: NDArray[np.float64],
    label: NDArray[Any],
    order: NDArray[np.int64],
    sizes: tuple[int, ...],
    continuous: bool,
    threshold: Threshold,
    own_threshold: float,
) -> dict[str, list[float]]:
    """Return every metric at each size on the antibodies behind the largest size."""
    from scipy.special import expit

    test = order[sizes[-1] :]
    results: dict[str, list[float]] = {}
    for size in sizes:
        rows = order[:size]
        scaled = fit_scaling(score[rows], label[rows], continuous=continuous).value(score[test])
        if continuous:
            values = {"rmse": float(np.sqrt(np.mean((scaled - label[test]) ** 2)))}
            mean = label[rows].mean() if size else score.mean()
            values["constant"] = float(np.sqrt(np.mean((mean - label[test]) ** 2)))
        else:
            cut = threshold_of(label[rows], threshold) if size else own_threshold
            values = _errors(label[test], np.asarray(expit(scaled)), cut)
            share = np.full(len(test), (label[rows].sum() + 1) / (size + 2))
            values["constant"] = _errors(label[test], share, cut)["log_loss"]
        for name, value in values.items():
            results.setdefault(name, []).append(value)
    return results


def _errors(label: NDArray[Any], probability: NDArray[np.float64], threshold: float) -> dict[str, float]:
    of_truth = np.clip(np.where(label == 1, probability, 1 - probability), _LEAST, 1)
    right = (probability >= threshold) == (label == 1)
    rates = [right[label == value].mean() if (label == value).any() else np.nan for value in (0, 1)]
    return {
        "log_loss": float(-np.log(of_truth).mean()),
        "brier": float(((probability - label) ** 2).mean()),
        "balanced_accuracy": float(np.mean(rates)),
    }


def _rows(values: Any) -> tuple[tuple[float, float, float], ...]:
    rows = [tuple(float("nan") if value is None else float(value) for value in row) for row in values]
    return tuple((mean, low, high) for mean, low, high in rows)


def _over_draws(values: NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    """Return mean, low and high over the draws ``(draws, sizes)`` in which a value is defined."""
    ends = []
    for column in values.T:
        defined = column[np.isfinite(column)]
        if not len(defined):
            ends.append((float("nan"),) * 3)
            continue
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        ends.append((float(defined.mean()), float(low), float(high)))
    return tuple(ends)
