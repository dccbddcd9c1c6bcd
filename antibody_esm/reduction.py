"""Principal components of vectors, as a step of a pipeline."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from antibody_esm.errors import DatasetError


class Reduction(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Principal components in place of the first features, which are vectors; the features after them pass unchanged.

    The components are those of the rows of `fit`, by singular values, with the largest weight of each positive.

    Parameters
    ----------
    components
        Number of components.
    vectors
        Number of features that are reduced.

    Attributes
    ----------
    mean_
        ``(vectors,)``.
    components_
        ``(components, vectors)``, orthonormal rows by falling variance.

    Examples
    --------
    >>> X = np.array([[1.0, 1.0, 5.0], [2.0, 2.0, 6.0], [3.0, 3.0, 7.0]])
    >>> Reduction(components=1, vectors=2).fit(X).transform(X).round(3).tolist()
    [[-1.414, 5.0], [0.0, 6.0], [1.414, 7.0]]
    """

    def __init__(self, components: int = 1, vectors: int = 1) -> None:
        self.components = components
        self.vectors = vectors

    def fit(self, X: NDArray[Any], y: Any = None) -> "Reduction":
        """Compute the components of these rows.

        Raises
        ------
        DatasetError
            If there are fewer rows, or fewer dimensions, than components.
        """
        X = np.asarray(X)  # which scikit-learn's set_config(transform_output="pandas") makes a table
        reduced = np.asarray(X[:, : self.vectors], np.float64)
        if self.components > min(reduced.shape):
            raise DatasetError(
                f"pca={self.components} needs as many antibodies in every fit, and as many dimensions; a fit has "
                f"{reduced.shape[0]} antibodies with vectors of {reduced.shape[1]} numbers. Set pca lower"
            )
        self.mean_ = reduced.mean(axis=0)
        rows = np.linalg.svd(reduced - self.mean_, full_matrices=False)[2][: self.components]
        largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
        self.components_ = rows * np.where(largest < 0, -1.0, 1.0)[:, None]
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the components and the features after the vectors, ``(n, dim)``."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        X = np.asarray(X)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(f"{self.n_features_in_} features are expected, got {X.shape[1]}")
        reduced = (np.asarray(X[:, : self.vectors], np.float64) - self.mean_) @ self.components_.T
        return np.hstack([reduced, np.asarray(X[:, self.vectors :], np.float64)])
