"""Choices that folds made, and their agreement."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.specs.tuning import Choice, TuneSpec, described, from_plain, plain, worded

STABLE = 0.8
"""Smallest share of folds with one choice that is called stable."""


@dataclass(frozen=True)
class Selection:
    """Choice of a candidate on certain training rows.

    Attributes
    ----------
    chosen
        Number of the candidate.
    scores
        Number of each candidate that was tried to its mean score over the inner folds.
    folds
        Number of inner folds.
    """

    chosen: int
    scores: Mapping[int, float]
    folds: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        scores = {str(number): score for number, score in self.scores.items()}
        return {"chosen": self.chosen, "scores": scores, "folds": self.folds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Selection":
        """Return the selection of `to_dict`."""
        scores = {int(number): float(score) for number, score in values["scores"].items()}
        return cls(int(values["chosen"]), scores, int(values["folds"]))


@dataclass(frozen=True)
class TunedCrossValidation(CrossValidation):
    """Cross-validation of a procedure that chooses a candidate on the training rows of each fold."""

    tuned: "Tuned | None" = None
    """The choices; None if only scores were wanted."""


@dataclass(frozen=True, eq=False)
class Tuned:
    """Choices of a tuned pipeline, and the untuned pipeline beside it.

    Attributes
    ----------
    spec
        What was tuned.
    candidates
        Keys and values of each candidate.
    selections
        Choice of each fold, one repeat after the other; empty after a fit.
    final
        Choice on all rows.
    untuned
        Cross-validation of the pipeline without `tune`, on the same folds; None after a fit.
    """

    spec: TuneSpec
    candidates: Sequence[Choice]
    selections: Sequence[Selection]
    final: Selection
    untuned: CrossValidation | None = None

    @property
    def choice(self) -> Choice:
        """The choice on all rows."""
        return self.candidates[self.final.chosen]

    @property
    def of_folds(self) -> list[Choice]:
        """The choice of each fold."""
        return [self.candidates[each.chosen] for each in self.selections]

    @cached_property
    def keys(self) -> list[str]:
        """Keys with more than one value, in order."""
        return [key for key, values in self.spec.grid.items() if len(values) > 1]

    def values(self, key: str) -> Counter[str]:
        """Return the number of folds that chose each value of a key; the most frequent first."""
        chosen = [dict(choice) for choice in self.of_folds]
        return Counter(dict(Counter(worded(each[key]) if key in each else "none" for each in chosen).most_common()))

    @property
    def share(self) -> float:
        """Share of folds with the most frequent choice, 0 to 1."""
        return max(Counter(each.chosen for each in self.selections).values()) / len(self.selections)

    @property
    def agreeing(self) -> float:
        """Share of folds whose choice is that on all rows, 0 to 1."""
        return sum(each.chosen == self.final.chosen for each in self.selections) / len(self.selections)

    @property
    def stability(self) -> Literal["stable", "mostly stable", "not stable"]:
        """``stable`` if all folds and all rows together choose alike, ``mostly stable`` from four of five folds on."""
        if self.agreeing == 1:
            return "stable"
        return "mostly stable" if self.agreeing >= STABLE else "not stable"

    @property
    def tried(self) -> tuple[int, int]:
        """Smallest and largest number of candidates that a fold, or the fit on all rows, tried."""
        numbers = [len(each.scores) for each in (*self.selections, self.final)]
        return min(numbers), max(numbers)

    def record(self) -> dict[str, Any]:
        """Return the choice that a saved model records: what was tuned, the choice, and the scores that decided."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "choice": _plain(self.choice),
            "scores": [
                {"candidate": described(self.candidates[number]), "score": score}
                for number, score in self.final.scores.items()
            ],
            "folds": self.final.folds,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, from which `from_dict` makes an equal object."""
        return {
            "candidates": [_plain(choice) for choice in self.candidates],
            "selections": [each.to_dict() for each in self.selections],
            "final": self.final.to_dict(),
            "untuned": None if self.untuned is None else validation_to_dict(self.untuned),
        }

    @classmethod
    def from_dict(cls, spec: TuneSpec, values: Mapping[str, Any]) -> "Tuned":
        """Return the object of `to_dict`, for the spec that it is of."""
        return cls(
            spec,
            [from_plain(choice) for choice in values["candidates"]],
            [Selection.from_dict(each) for each in values["selections"]],
            Selection.from_dict(values["final"]),
            None if values["untuned"] is None else validation_from_dict(values["untuned"]),
        )


def _plain(choice: Choice) -> dict[str, Any]:
    return {key: plain(value) for key, value in choice}


def validation_to_dict(validation: CrossValidation) -> dict[str, Any]:
    """Return scores and predictions of a cross-validation as plain JSON values; undefined scores are None."""
    return {
        "scores": {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in validation.scores.items()
        },
        "fold": validation.fold.tolist(),
        "prediction": validation.prediction.tolist(),
        "probability": None if validation.probability is None else validation.probability.tolist(),
        "unconverged": validation.unconverged,
        "penalties": list(validation.penalties),
    }


def validation_from_dict(values: Mapping[str, Any]) -> CrossValidation:
    """Return the cross-validation of `validation_to_dict`."""
    continuous = values["probability"] is None
    scores: dict[str, NDArray[np.float64]] = {
        name: np.array([np.nan if value is None else value for value in each], np.float64)
        for name, each in values["scores"].items()
    }
    return CrossValidation(
        scores,
        np.array(values["fold"], np.int64),
        np.array(values["prediction"], np.float64 if continuous else np.int64),
        None if continuous else np.array(values["probability"], np.float64),
        unconverged=values["unconverged"],
        penalties=tuple(values["penalties"]),
    )
