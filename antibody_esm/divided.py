"""Fits of estimators whose parts divide their training rows again, by the units of the split."""

from typing import Any, Protocol

from numpy.typing import NDArray

from antibody_esm.specs import SplitSpec


class Divides(Protocol):
    """Rows with their units; `antibody_esm.evaluation.splits.Division`."""

    spec: SplitSpec

    @property
    def unit(self) -> NDArray[Any] | None:
        """Unit of each row, ``(n,)``; None if each row is its own."""
        ...

    def again(self, spec: SplitSpec, setting: str | None = None) -> "Divides":
        """Return another split of the same rows, which keeps the same units together; see `Division.again`."""
        ...

    def part(self, rows: Any) -> "Divides":
        """Return the division of some of the rows, which keep their units."""
        ...

    def folds(self, label: NDArray[Any], *, continuous: bool = False) -> list[tuple[Any, Any]]:
        """Return the training and test rows of each fold. Raises DatasetError if there cannot be as many."""
        ...


def fit_divided(estimator: Any, X: Any, y: NDArray[Any], division: Divides | None) -> Any:
    """Fit an estimator and return it; parts whose `fit` takes ``division`` are fitted with that of these rows.

    Such a part is the estimator itself, or a step of a pipeline. An estimator that fits others hands the division of
    their rows on in the same way.

    Parameters
    ----------
    estimator
        Unfitted scikit-learn classifier, regressor, transformer or pipeline.
    X, y
        ``(n, dim)`` and ``(n,)``.
    division
        Division of these rows; None if each row is its own unit.
    """
    from sklearn import config_context

    with config_context(enable_metadata_routing=False):  # by which no step would get its division
        if _divides(estimator):
            return estimator.fit(X, y, division=division)
        steps = [name for name, step in getattr(estimator, "steps", ()) if _divides(step)]
        return estimator.fit(X, y, **{f"{name}__division": division for name in steps})


def _divides(estimator: Any) -> bool:
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "division"))
