"""Spec of probabilities and classes."""

from typing import Annotated, Literal

from pydantic import Field

from antibody_esm.specs.base import Spec


class DecisionSpec(Spec):
    """Calibration of a classifier's probabilities and threshold of its classes, fitted on folds of its training rows.

    By default both are the classifier's own.

    Examples
    --------
    >>> DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy")
    DecisionSpec(calibration='sigmoid', threshold='balanced_accuracy')
    """

    calibration: Literal["sigmoid", "isotonic"] | None = None
    """``sigmoid``: Platt scaling; ``isotonic``: any rising step function, for hundreds of antibodies or more. Neither
    falls: where outputs out of fold do not rise with the label, all probabilities are the same."""
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["balanced_accuracy"] | None = None
    """Lowest probability of class 1; ``balanced_accuracy`` maximizes the balanced accuracy out of fold."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds of the training rows, which keep the units of `SplitSpec` together. If `SplitSpec.by` is family
    or fold, the folds are those of the data."""
