"""Strength of a penalty, chosen on folds of the training rows.

The error on the training rows themselves always favours the weakest penalty, and generalised cross-validation treats
rows of one clone as independent. So the choice is made out of fold, and folds keep the units of the split together.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from antibody_esm.divided import Divides, fit_divided
from antibody_esm.errors import DatasetError

_FOLDS = 5


class PenaltySearch(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor whose penalty has the smallest mean squared error out of fold, within its training rows.

    Parameters
    ----------
    pipeline
        Unfitted scikit-learn pipeline; all of its steps are fitted within the folds.
    parameter
        Name of the penalty among the pipeline's parameters.
    values
        Penalties to choose from, in ascending order.

    Attributes
    ----------
    best_estimator_
        The pipeline with the chosen penalty, fitted on all rows.
    chosen_
        The penalty.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import Pipeline
    >>> generator = np.random.default_rng(0)
    >>> X = generator.normal(size=(60, 40))
    >>> y = generator.normal(size=60)
    >>> PenaltySearch(Pipeline([("regress", Ridge())]), "regress__alpha", (1.0, 1000.0)).fit(X, y).chosen_
    1000.0
    """

    def __init__(self, pipeline: Any, parameter: str, values: tuple[float, ...]) -> None:
        self.pipeline = pipeline
        self.parameter = parameter
        self.values = values

    def fit(self, X: NDArray[Any], y: NDArray[np.float64], division: Divides | None = None) -> "PenaltySearch":
        """Choose the penalty out of fold, then fit on all rows.

        Parameters
        ----------
        X
            ``(n, dim)``.
        y
            ``(n,)``.
        division
            Division of these rows, whose units stay together; None if each row is its own unit.
        """
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the fit on all rows has this warning
            errors = [
                ((self._predicted(X, y, train, test, division) - y[test, None]) ** 2).mean(axis=0)
                for train, test in _inner_folds(division, y)
            ]
        self.chosen_ = float(self.values[int(np.argmin(np.mean(errors, axis=0)))])
        self.best_estimator_ = fit_divided(_with(self.pipeline, self.parameter, self.chosen_), X, y, division)
        return self

    def _predicted(
        self, X: NDArray[Any], y: NDArray[np.float64], train: Any, test: Any, division: Divides | None
    ) -> NDArray[np.float64]:
        """Return the predictions ``(m, values)`` of test rows with each penalty, from fits on training rows."""
        from sklearn.base import clone
        from sklearn.linear_model import Ridge

        X, y, tested, own = X[train], y[train], X[test], None if division is None else division.part(train)
        *before, (_, regressor) = self.pipeline.steps
        if type(regressor) is not Ridge:
            fitted = [fit_divided(_with(self.pipeline, self.parameter, value), X, y, own) for value in self.values]
            return np.stack([each.predict(tested) for each in fitted], axis=1)
        for _, step in before:
            step = fit_divided(clone(step), X, y, own)
            X, tested = step.transform(X), step.transform(tested)
        # as many targets as penalties: one fit instead of many
        every = clone(regressor).set_params(alpha=np.array(self.values))
        return np.asarray(every.fit(X, np.repeat(y[:, None], len(self.values), axis=1)).predict(tested))

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values ``(n,)``."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return np.asarray(self.best_estimator_.predict(X))


def _with(pipeline: Any, parameter: str, value: float) -> Any:
    from sklearn.base import clone

    return clone(pipeline).set_params(**{parameter: value})


def _inner_folds(division: Divides | None, label: NDArray[np.float64]) -> Any:
    """Return five folds, or as many as there can be, that keep the units of a division together.

    Families or folds of the data stay folds. If there are too few units, as where only one family is left, rows are
    divided, since nothing else can be.
    """
    by = "antibody" if division is None else division.spec.by
    if division is not None and by in ("family", "fold"):
        try:
            return division.folds(label, continuous=True)
        except DatasetError:
            by = "antibody"
    if division is not None and by in ("identity", "group"):
        for folds in range(_FOLDS, 1, -1):
            try:
                split = division.spec.model_copy(update={"folds": folds, "repeats": 1})
                return division.again(split).folds(label, continuous=True)
            except DatasetError:
                continue
    from sklearn.model_selection import KFold

    return list(KFold(min(_FOLDS, len(label)), shuffle=True, random_state=0).split(label))
