"""Heads whose predictions are averaged, as one scikit-learn classifier or regressor.

Every head is fitted on the training rows alone, so folds stay as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from antibody_esm.divided import fit_divided


class _Average(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Heads that are fitted on the same rows.

    Parameters
    ----------
    heads
        Unfitted scikit-learn pipelines.
    widths
        Number of features that each head reads, one after the other; None: each head reads all features.
    shared
        Number of last features that every head reads; without effect if `widths` is None.

    Attributes
    ----------
    heads_
        The fitted heads.
    n_features_in_
        Number of features.
    """

    def __init__(self, heads: tuple[Any, ...], widths: tuple[int, ...] | None = None, shared: int = 0) -> None:
        self.heads = heads
        self.widths = widths
        self.shared = shared

    def fit(self, X: NDArray[Any], y: NDArray[Any], division: Any = None) -> "_Average":
        """Fit every head on all rows.

        Parameters
        ----------
        X
            ``(n, dim)``.
        y
            ``(n,)``.
        division
            Division of these rows, for heads that divide them again, see `antibody_esm.divided`.

        Raises
        ------
        ValueError
            If the features of the heads are not all features.
        """
        from sklearn.base import clone

        self.n_features_in_ = X.shape[1]
        if self.widths is not None and sum(self.widths) + self.shared != X.shape[1]:
            raise ValueError(f"heads read {self.widths} and {self.shared} shared features, not {X.shape[1]}")
        fitted = []
        for head, features in zip(self.heads, self.features(X), strict=True):
            done = fit_divided(clone(head), features, y, division)
            fitted.append(getattr(done, "best_estimator_", done))
        self.heads_ = tuple(fitted)
        return self

    @property
    def best_estimator_(self) -> "_Average":
        """The average of the fitted heads, without what only a fit needs, such as a search of a penalty."""
        return type(self)(self.heads_, self.widths, self.shared)._of(self.heads_, self.n_features_in_)

    def with_parts(self, change: Callable[[Any], Any]) -> "_Average":
        """Return the average of changed heads, which read all features of the changed ones."""
        changed = {id(head): change(head) for head in (*self.heads, *getattr(self, "heads_", ()))}
        made = type(self)(tuple(changed[id(head)] for head in self.heads), self.widths, self.shared)
        if not hasattr(self, "heads_"):
            return made
        heads = tuple(changed[id(head)] for head in self.heads_)
        return made._of(heads, heads[0].n_features_in_)

    def _of(self, heads: tuple[Any, ...], n_features: int) -> "_Average":
        self.heads_, self.n_features_in_ = heads, n_features
        return self

    def features(self, X: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the features that each head reads of ``(n, dim)``."""
        if self.widths is None:
            return [X] * len(self.heads)
        return [X[:, places] for places in self.places()]

    def places(self) -> list[NDArray[np.int64]]:
        """Return the features that each head reads, as their places among all."""
        if self.widths is None:
            return [np.arange(self.n_features_in_)] * len(self.heads)
        ends = np.cumsum(self.widths)
        last = np.arange(ends[-1], ends[-1] + self.shared)
        return [
            np.concatenate([np.arange(end - width, end), last]) for end, width in zip(ends, self.widths, strict=True)
        ]

    def _each(self, X: NDArray[Any], method: str) -> Sequence[NDArray[np.float64]]:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        pairs = zip(self.heads_, self.features(np.asarray(X)), strict=True)
        return [np.asarray(getattr(head, method)(features), np.float64) for head, features in pairs]


class AverageClassifier(ClassifierMixin, _Average):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier whose probabilities are the mean of those of its heads; parameters are those of `AverageRegressor`.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = np.arange(40.0).reshape(20, 2), np.arange(20) // 10
    >>> both = AverageClassifier((LogisticRegression(), GaussianNB())).fit(X, y)
    >>> alone = [head.fit(X, y).predict_proba(X) for head in both.heads]
    >>> bool(np.allclose(both.predict_proba(X), (alone[0] + alone[1]) / 2))
    True
    """

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, those of every head."""
        return np.asarray(self.heads_[0].classes_)

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean probability of each class, ``(n, classes)``."""
        return np.asarray(np.mean(self._each(X, "predict_proba"), axis=0))

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the class with the highest mean probability of each row, ``(n,)``."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class AverageRegressor(RegressorMixin, _Average):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor whose predictions are the mean of those of its heads.

    Parameters
    ----------
    heads
        Unfitted scikit-learn pipelines.
    widths
        Number of features that each head reads, one after the other; None: each head reads all features.
    shared
        Number of last features that every head reads, columns of a table.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X, y = np.arange(12.0).reshape(6, 2) ** 2, np.arange(6.0)
    >>> AverageRegressor((LinearRegression(), LinearRegression()), widths=(1, 1)).fit(X, y).predict(X[:2]).round(2)
    array([0.74, 0.99])
    """

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean prediction for each row, ``(n,)``."""
        return np.asarray(np.mean(self._each(X, "predict"), axis=0))
