"""The two kinds of labels, classes and values, behind one protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.labels import as_labelled
from antibody_esm.evaluation.conformal import Uncertainty
from antibody_esm.evaluation.thresholds import chosen_threshold
from antibody_esm.specs import TrainSpec


class HasSpec(Protocol):
    """Object that was trained by a spec."""

    spec: TrainSpec


T = TypeVar("T", bound=HasSpec)
P = ParamSpec("P")
R = TypeVar("R")


class Predicted(NamedTuple):
    """Output of a fitted classifier or regressor."""

    prediction: NDArray[Any]
    """``(n,)``: classes, 0 or 1; or values, float64 in the labels' unit."""
    probabilities: NDArray[np.float64] | None = None
    """``(n, 2)`` of class 0 and class 1; None for a regressor."""

    @property
    def positive(self) -> NDArray[np.float64] | None:
        """Probability of class 1, ``(n,)``; None for a regressor."""
        return None if self.probabilities is None else self.probabilities[:, 1]

    @property
    def score(self) -> NDArray[np.float64]:
        """Probability of class 1, or the value, ``(n,)``."""
        return np.asarray(self.prediction, np.float64) if self.positive is None else self.positive


class Target(Protocol):
    """Kind of labels that a model learns."""

    def labels(self, data: Dataset) -> NDArray[Any]:
        """Return the labels ``(n,)``. Raises DatasetError if there are none, or if they are of the other kind."""

    def counts(self, label: NDArray[Any]) -> dict[str, int]:
        """Return numbers of antibodies that a manifest records, by name."""

    def threshold(self, threshold: float | None, assay: str | None) -> float | None:
        """Return the threshold, or None for the model's own. Raises ValueError if the model cannot have a threshold."""

    def predict(self, classifier: Any, X: NDArray[np.float64], threshold: float | None) -> Predicted:
        """Return the output of a fitted pipeline for features ``(n, dim)``."""

    def columns(self, predicted: Predicted, uncertainty: Uncertainty | None, confidence: float) -> dict[str, Any]:
        """Return the columns of `Predictor.score_table` that state the prediction and its uncertainty."""


@dataclass(frozen=True)
class ClassTarget:
    """Labels 0 and 1."""

    def labels(self, data: Dataset) -> NDArray[Any]:
        """Return the classes, int64."""
        return as_labelled(data).binary_labels()

    def counts(self, label: NDArray[Any]) -> dict[str, int]:
        """Return the number of positives."""
        return {"positives": int(label.sum())}

    def threshold(self, threshold: float | None, assay: str | None) -> float | None:
        """Return the threshold, or that of the assay if `threshold` is None."""
        return chosen_threshold(threshold, assay)

    def predict(self, classifier: Any, X: NDArray[np.float64], threshold: float | None) -> Predicted:
        """Return classes and probabilities."""
        if len(X) == 0:
            return Predicted(np.empty(0, np.int64), np.empty((0, 2)))
        with one_blas_thread():
            probability = np.asarray(classifier.predict_proba(X), np.float64)
            if threshold is None:
                return Predicted(classifier.predict(X), probability)
        return Predicted((probability[:, 1] >= threshold).astype(np.int64), probability)

    def columns(self, predicted: Predicted, uncertainty: Uncertainty | None, confidence: float) -> dict[str, Any]:
        """Return class, probability, calibrated probability with its interval, and conformal set."""
        probability = predicted.score
        columns: dict[str, Any] = {"prediction": predicted.prediction, "probability": probability}
        if uncertainty is None or not len(probability):
            absent = np.full(len(probability), np.nan)
            columns |= dict.fromkeys(("calibrated", "calibrated_low", "calibrated_high"), absent)
            return columns | {"conformal_set": [""] * len(probability)}
        low, calibrated, high = uncertainty.calibrated(probability).T
        names = {(False, False): "neither", (True, False): "0", (False, True): "1", (True, True): "0 or 1"}
        sets = [
            names[bool(negative), bool(positive)] for negative, positive in uncertainty.sets(probability, confidence)
        ]
        columns |= {"calibrated": calibrated, "calibrated_low": low, "calibrated_high": high}
        return columns | {"conformal_set": sets}


@dataclass(frozen=True)
class ValueTarget:
    """Continuous labels.

    Parameters
    ----------
    regressor
        Name of the estimator, for messages.
    """

    regressor: str

    def labels(self, data: Dataset) -> NDArray[Any]:
        """Return the values, float64."""
        return as_labelled(data).continuous_labels()

    def counts(self, label: NDArray[Any]) -> dict[str, int]:
        """Return nothing."""
        return {}

    def threshold(self, threshold: float | None, assay: str | None) -> float | None:
        """Return None. Raises ValueError if `threshold` or `assay` is not None."""
        if chosen_threshold(threshold, assay) is not None:
            raise ValueError(f"{self.regressor} is a regressor, which has no threshold")
        return None

    def predict(self, classifier: Any, X: NDArray[np.float64], threshold: float | None) -> Predicted:
        """Return values."""
        if len(X) == 0:
            return Predicted(np.empty(0))
        with one_blas_thread():
            return Predicted(np.asarray(classifier.predict(X), np.float64))

    def columns(self, predicted: Predicted, uncertainty: Uncertainty | None, confidence: float) -> dict[str, Any]:
        """Return value, and the ends of its conformal interval."""
        value = predicted.prediction
        columns: dict[str, Any] = {"prediction": value}
        if uncertainty is None or not len(value):
            return columns | dict.fromkeys(("low", "high"), np.full(len(value), np.nan))
        low, high = uncertainty.intervals(value, confidence).T
        return columns | {"low": low, "high": high}


def target_of(spec: TrainSpec) -> Target:
    """Return the kind of label that a spec learns."""
    return ValueTarget(spec.classifier.kind) if spec.is_regression else ClassTarget()


class ClassifierMethod(Generic[T, P, R]):
    """Method that fitted regressors lack: `hasattr` is False, as with scikit-learn's `available_if`."""

    def __init__(self, method: Callable[Concatenate[T, P], R]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: T | None, kind: type[T]) -> Callable[P, R]:
        if owner is None:
            return self.method  # type: ignore[return-value]  # the plain function, as of any method
        if owner.spec.is_regression:
            problem = f"{owner.spec.classifier.kind} is a regressor, which has no probabilities; see predict"
            raise AttributeError(problem, name=self.method.__name__, obj=owner)
        return MethodType(self.method, owner)
