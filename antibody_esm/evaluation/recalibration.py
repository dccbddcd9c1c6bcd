"""Fitted models whose output is scaled to another assay, see `antibody_esm.evaluation.scaling`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from antibody_esm.evaluation.scaling import Scaling


class _Recalibrated(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted pipeline with a scaling of its output."""

    def __init__(self, classifier: Any, slope: float = 1.0, intercept: float = 0.0, threshold: float = 0.5) -> None:
        self.classifier = classifier
        self.slope = slope
        self.intercept = intercept
        self.threshold = threshold

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def scaling(self) -> Scaling:
        """Line from the output of the pipeline to that of the other assay."""
        return Scaling(self.slope, self.intercept)

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return int(self.classifier.n_features_in_)


class RecalibratedClassifier(ClassifierMixin, _Recalibrated):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted classifier whose probabilities and threshold are those of another assay.

    Parameters
    ----------
    classifier
        Fitted pipeline, or `CalibratedClassifier`.
    slope, intercept
        Scaling of its log-odds.
    threshold
        Smallest probability at which class 1 is predicted.
    """

    @property
    def classes_(self) -> NDArray[Any]:
        """0 and 1."""
        return np.asarray(self.classifier.classes_)

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each class, ``(n, 2)``."""
        positive = self.scaling.probability(np.asarray(self.classifier.predict_proba(X), np.float64)[:, 1])
        return np.stack([1 - positive, positive], axis=1)

    def predict(self, X: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class of each row, ``(n,)``: 1 if the probability is at or above the threshold."""
        return (self.predict_proba(X)[:, 1] >= self.threshold).astype(np.int64)


class RecalibratedRegressor(RegressorMixin, _Recalibrated):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted regressor whose values are those of another assay; parameters as of `RecalibratedClassifier`."""

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values ``(n,)``."""
        return self.scaling.value(np.asarray(self.classifier.predict(X), np.float64))


def as_trained(classifier: Any) -> Any:
    """Return the pipeline of a model as it was trained, without a recalibration."""
    return classifier.classifier if isinstance(classifier, _Recalibrated) else classifier


def check_recalibrated(classifier: Any) -> None:
    """Raise ValueError if a recalibration would reverse the order of antibodies, or is not a number."""
    if not isinstance(classifier, _Recalibrated):
        return
    numbers = classifier.slope, classifier.intercept, classifier.threshold
    if not all(isinstance(number, float) and np.isfinite(number) for number in numbers) or classifier.slope <= 0:
        raise ValueError("the slope of a recalibration is a positive number, intercept and threshold are numbers")
