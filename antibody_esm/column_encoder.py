"""Encoder of the last features, which are columns of a table, as the first step of a pipeline."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin


class ColumnEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """One-hot categories and scaled numbers in place of the last features; the features before pass unchanged.

    Categories, means and deviations are those of the rows of `fit`. A category that these rows lack has 0 in every
    feature, as with ``OneHotEncoder(handle_unknown="ignore")``.

    Parameters
    ----------
    values
        ``category`` or ``number`` for each of the last ``k`` features.

    Attributes
    ----------
    categories_
        Codes of the categories, an array per column; empty for numbers.
    mean_, scale_
        ``(k,)``, mean and deviation of each number; 0 and 1 for categories, and a deviation of 1 for equal numbers.

    Examples
    --------
    >>> encoder = ColumnEncoder(("category", "number")).fit(np.array([[0.5, 0, 6], [0.6, 1, 8]]))
    >>> encoder.transform(np.array([[0.7, 1, 7], [0.8, 2, 9]])).tolist()
    [[0.7, 0.0, 1.0, 0.0], [0.8, 0.0, 0.0, 2.0]]
    """

    def __init__(self, values: Sequence[Literal["category", "number"]] = ()) -> None:
        self.values = values

    def fit(self, X: NDArray[Any], y: Any = None) -> "ColumnEncoder":
        """Store the categories of these rows, and mean and deviation of numbers."""
        last = np.asarray(X, np.float64)[:, X.shape[1] - len(self.values) :]
        is_category = [kind == "category" for kind in self.values]
        self.categories_ = [
            np.unique(column) if category else np.empty(0) for category, column in zip(is_category, last.T, strict=True)
        ]
        variance, mean, rounding = last.var(axis=0), last.mean(axis=0), len(last) * np.finfo(np.float64).eps
        equal = variance <= rounding * variance + (mean * rounding) ** 2  # as scikit-learn's StandardScaler
        self.mean_ = np.where(is_category, 0.0, mean)
        self.scale_ = np.where(is_category | equal, 1.0, np.sqrt(variance))
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the features with encoded columns, ``(n, dim)``."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(f"{self.n_features_in_} features are expected, got {X.shape[1]}")
        before = X.shape[1] - len(self.values)
        parts = [np.asarray(X[:, :before], np.float64)]
        for place, categories in enumerate(self.categories_):
            column = X[:, before + place]
            if self.values[place] == "category":
                parts.append((column[:, None] == categories).astype(np.float64))
            else:
                parts.append(((column - self.mean_[place]) / self.scale_[place])[:, None])
        return np.hstack(parts)
