"""Conformal sets and intervals of predictions, with Venn-Abers intervals of probabilities.

A new prediction is compared with out-of-fold predictions for the training antibodies. Folds keep clonally related
antibodies together; otherwise clones of a training antibody would make the sets and intervals too small. The coverage
of conformal prediction holds for antibodies that are exchangeable with the training antibodies. For antibodies of
another laboratory, only a test shows the coverage.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.cross_validation import CrossValidation, cross_validate
from antibody_esm.evaluation.splits import Division
from antibody_esm.specs import SplitBy, SplitSpec
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from antibody_esm.data.dataset import Dataset

CONFIDENCE = 0.9
"""Coverage of conformal sets and intervals by default."""

_FOLDS = 5
_MANY = 20_000
"""Largest number of sequences that are clustered if the split does not cluster them; more take minutes."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Out-of-fold predictions for the training antibodies, from which the uncertainty of other predictions follows.

    Attributes
    ----------
    score
        ``(n,)``, out-of-fold probability of class 1; the predicted value for continuous labels.
    label
        ``(n,)``, 0 or 1; or numbers.
    by
        Unit that the folds kept together, as in `SplitSpec`.
    """

    score: NDArray[np.float64]
    label: NDArray[np.float64]
    by: SplitBy
    task: Literal["classification", "regression"]

    def sets(self, probability: NDArray[np.float64], confidence: float = CONFIDENCE) -> NDArray[np.bool_]:
        """Return True for each class that cannot be ruled out, ``(m, 2)``.

        For antibodies of either class, the sets have coverage `confidence` (Mondrian conformal prediction,
        doi:10.1007/b106715). A set of both classes means that the prediction is uncertain. An empty set means that the
        antibody is unlike the training antibodies of both classes.

        Parameters
        ----------
        probability
            ``(m,)``, of class 1.
        confidence
            Above 0 and below 1.
        """
        _check(confidence)
        crepes = _crepes()
        possible = np.empty((len(probability), 2), np.bool_)
        for value in (0, 1):
            distance = np.abs(value - self.score[self.label == value])  # from the true class
            conformal = crepes.ConformalClassifier().fit(distance)
            p_value = conformal.predict_p(np.abs(value - probability)[:, None], smoothing=False)[:, 0]
            possible[:, value] = p_value > 1 - confidence
        return possible

    def calibrated(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated probabilities and their intervals, ``(m, 3)``: low, probability, high.

        They are those of Venn-Abers prediction (arXiv:1511.00213): the isotonic calibrations with the antibody
        added as class 0, and as class 1. One of the two is calibrated for any classifier.

        Parameters
        ----------
        probability
            ``(m,)``, of class 1.
        """
        calibration = self._venn_abers
        with np.errstate(divide="ignore", invalid="ignore"):  # which its import sets for one thread alone
            merged, ends = calibration.predict_proba(np.stack([1 - probability, probability], axis=1))
        columns = np.stack([ends.min(axis=1), merged[:, 1], ends.max(axis=1)], axis=1)
        return np.asarray(np.clip(columns, 0, 1), np.float64)

    def anonymous(self) -> "Uncertainty":
        """Return the same without labels of antibodies: sorted probabilities of each class, or sorted residuals.

        Sets, calibrated probabilities and intervals depend on no more.
        """
        if self.task == "regression":
            return Uncertainty(np.zeros(len(self.score)), np.sort(self.label - self.score), self.by, self.task)
        order = np.lexsort((self.score, self.label))
        return Uncertainty(self.score[order], self.label[order], self.by, self.task)

    @cached_property
    def _venn_abers(self) -> Any:
        from venn_abers import VennAbers

        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)  # at the end of its search
            return VennAbers().fit(np.stack([1 - self.score, self.score], axis=1), self.label.astype(np.int64))

    def intervals(self, value: NDArray[np.float64], confidence: float = CONFIDENCE) -> NDArray[np.float64]:
        """Return intervals of predicted values, ``(m, 2)``, with coverage `confidence`.

        Their ends are infinite if there are too few training antibodies.
        """
        _check(confidence)
        crepes = _crepes()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the no. of calibration examples is too small", UserWarning)
            conformal = crepes.ConformalRegressor().fit(self.label - self.score)
            return np.asarray(conformal.predict_int(value, confidence=confidence), np.float64)


def out_of_fold(
    classifier: Any,
    features: NDArray[np.float64],
    label: NDArray[Any],
    data: "Dataset",
    split: SplitSpec,
    validate: Callable[[Division], CrossValidation] | None = None,
) -> Uncertainty | Unknown:
    """Return out-of-fold predictions for training antibodies, or the reason why there are none.

    Parameters
    ----------
    classifier
        Unfitted scikit-learn classifier or regressor.
    features
        ``(n, dim)``.
    label
        ``(n,)``.
    data
        The training antibodies.
    split
        Split of the spec. Its groups or families are kept together, else clusters of sequences at 90 % identity. More
        than 20,000 antibodies are clustered only if the split does so.
    validate
        Function that cross-validates a procedure, such as one that chooses the classifier, with a division of the
        training antibodies; None cross-validates the classifier.
    """
    if split.by in ("group", "family", "fold"):
        within = SplitSpec(folds=_FOLDS, by="group") if split.by == "group" else SplitSpec(by=split.by)
    elif len(data) > _MANY and split.by != "identity":  # a classifier that calibrates by identity needs the clusters
        within = SplitSpec(folds=_FOLDS)
    else:
        within = SplitSpec(folds=_FOLDS, by="identity", identity=split.identity)
    from sklearn.exceptions import ConvergenceWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the fit to all antibodies has this warning
            division = Division.of(within, data)
            validation = validate(division) if validate else cross_validate(classifier, features, label, division)
    except DatasetError as error:
        return Unknown(str(error))
    if validation.probability is None:
        return Uncertainty(validation.prediction, label.astype(np.float64), within.by, "regression")
    return Uncertainty(validation.probability, label.astype(np.float64), within.by, "classification")


def _crepes() -> Any:
    """Import crepes, which would show all later warnings of the caller's process, even those that it filters out."""
    with warnings.catch_warnings():
        import crepes
    return crepes


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is above 0 and below 1, not {confidence}")
