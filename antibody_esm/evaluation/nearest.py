"""The label of the most similar training sequence, as scikit-learn's estimators."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from antibody_esm.data.identity import identities


class NearestSequence(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The label of the training sequence that is most similar, by the identity of `antibody_esm.data.identity`.

    X is a one-dimensional array of sequences, or of texts of pairs, whose identity is that of both chains. If several
    are equally near, their labels are averaged; a mean of one half is class 0.

    Attributes
    ----------
    classes_
        The two classes, sorted.

    Examples
    --------
    >>> fitted = NearestSequence().fit(np.array(["EVQLVESGGG", "EVQLVQSGGG", "DIQMTQSPSS"]), [0, 1, 1])
    >>> fitted.predict_proba(np.array(["EVQLVKSGGG", "DIQMTQSPSA"]))[:, 1].tolist()
    [0.5, 1.0]
    """

    def fit(self, X: NDArray[Any], y: Any) -> "NearestSequence":
        """Store the sequences and their labels."""
        self.classes_, label = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(f"two classes are needed, got {len(self.classes_)}")
        self._sequences, self._label = [str(sequence) for sequence in X], label.astype(np.float64)
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the share of each class among the nearest, ``(n, 2)``."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        positive = _mean_of_nearest(X, self._sequences, self._label)
        return np.stack([1 - positive, positive], axis=1)

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the class of most of the nearest, ``(n,)``."""
        probability = self.predict_proba(X)
        predicted: NDArray[Any] = self.classes_[probability.argmax(axis=1)]
        return predicted


class NearestSequenceRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The continuous label of the training sequence that is most similar, see `NearestSequence`.

    Examples
    --------
    >>> fitted = NearestSequenceRegressor().fit(np.array(["EVQLVESGGG", "EVQLVQSGGG", "DIQMTQSPSS"]), [0.2, 0.6, 3])
    >>> fitted.predict(np.array(["EVQLVKSGGG", "DIQMTQSPSA"])).tolist()
    [0.4, 3.0]
    """

    def fit(self, X: NDArray[Any], y: Any) -> "NearestSequenceRegressor":
        """Store the sequences and their labels."""
        self._sequences, self._label = [str(sequence) for sequence in X], np.asarray(y, np.float64)
        self.is_fitted_ = True
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean label of the nearest, ``(n,)``."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return _mean_of_nearest(X, self._sequences, self._label)


def _mean_of_nearest(X: NDArray[Any], sequences: list[str], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean value of the sequences that are nearest to each of X, ``(n,)``."""
    means = np.empty(len(X))
    for rows, same in identities([str(query) for query in X], sequences):
        nearest = same == same.max(axis=1, keepdims=True)
        means[rows] = (nearest * values).sum(axis=1) / nearest.sum(axis=1)
    return means
