"""A classifier of our own, and a regressor of scikit-learn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.validation import check_is_fitted, validate_data


class NearestMean(ClassifierMixin, BaseEstimator):
    """Probability by the distances to the means of the two classes."""

    def __init__(self, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness

    def fit(self, X: Any, y: Any) -> "NearestMean":
        """Learn the mean of each class."""
        X, y = validate_data(self, X, y)
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, ``(n, 2)``."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        distances = np.linalg.norm(X[:, None, :] - self.means_[None], axis=2)
        positive = 1 / (1 + np.exp(np.clip(self.sharpness * (distances[:, 1] - distances[:, 0]), -500, 500)))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row."""
        return self.classes_[(self.predict_proba(X)[:, 1] >= 0.5).astype(int)]


def nearest_mean(sharpness: float = 1.0) -> NearestMean:
    """Return an unfitted classifier."""
    return NearestMean(sharpness)


nearest_mean.trusted_types = ("antibody_esm_example.classifiers.NearestMean",)  # type: ignore[attr-defined]  # for saved models


def mean_of_neighbours(n_neighbors: int = 3) -> KNeighborsRegressor:
    """Return an unfitted regressor, on one thread."""
    return KNeighborsRegressor(n_neighbors, algorithm="brute", n_jobs=1)


mean_of_neighbours.trusted_types = (  # type: ignore[attr-defined]  # for saved models
    "sklearn.neighbors._regression.KNeighborsRegressor",
)
