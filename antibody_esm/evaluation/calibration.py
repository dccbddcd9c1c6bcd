"""Calibration of probabilities and choice of a threshold, both from out-of-fold outputs of a classifier.

The probabilities of a classifier on its own training rows are overconfident, so neither a calibration nor a threshold
can be learnt from them. Both are learnt from out-of-fold outputs within the rows of `CalibratedClassifier.fit`; the
classifier is then fitted on all of these rows. No test label is used.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from antibody_esm.classifiers import refuse_few
from antibody_esm.deprecation import moved
from antibody_esm.divided import fit_divided
from antibody_esm.evaluation.nested import best_threshold
from antibody_esm.evaluation.splits import Division
from antibody_esm.specs import OF_THE_DATA, DecisionSpec, SplitBy, SplitSpec

_FOLDS = "decision.folds"
"""Field with the number of folds, for messages."""

__getattr__ = moved(__name__, "antibody_esm.evaluation.thresholds")


class CalibratedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier whose probabilities and threshold are learnt out of fold, within its training rows.

    Parameters
    ----------
    classifier
        Unfitted scikit-learn classifier of two classes, 0 and 1.
    calibration
        ``sigmoid`` (Platt 1999, with a slope of 0 or above), ``isotonic`` (doi:10.1145/775047.775151), or None: the
        probabilities of the classifier. No calibration reverses the order of the classifier's outputs.
    threshold
        Smallest probability at which class 1 is predicted; ``balanced_accuracy`` chooses the threshold with the highest
        balanced accuracy out of fold; None is 0.5.
    folds
        Folds of the training rows.
    by, identity
        Unit that is never divided between these folds, as in `SplitSpec`.

    Attributes
    ----------
    classifier_
        Fitted on all rows.
    calibrator_
        Map from outputs to probabilities; None without calibration.
    threshold_
        Smallest probability at which class 1 is predicted.
    classes_
        0 and 1.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.arange(40.0)[:, None], (np.arange(40) >= 30).astype(int)
    >>> fitted = CalibratedClassifier(LogisticRegression(), threshold="balanced_accuracy", folds=4).fit(X, y)
    >>> bool(fitted.threshold_ < 0.5)
    True
    """

    def __init__(
        self,
        classifier: Any,
        calibration: Literal["sigmoid", "isotonic"] | None = None,
        threshold: float | Literal["balanced_accuracy"] | None = None,
        folds: int = 5,
        by: SplitBy = "antibody",
        identity: float = 0.9,
    ) -> None:
        self.classifier = classifier
        self.calibration = calibration
        self.threshold = threshold
        self.folds = folds
        self.by = by
        self.identity = identity

    def fit(self, X: NDArray[Any], y: NDArray[np.int64], division: Division | None = None) -> "CalibratedClassifier":
        """Fit calibration and threshold out of fold, then the classifier on all rows.

        Parameters
        ----------
        X
            ``(n, dim)``.
        y
            ``(n,)``, 0 or 1.
        division
            Division of these rows, by the same unit as this classifier; not needed, and without effect, if `by` is
            ``antibody``.

        Raises
        ------
        DatasetError
            As `Division.folds`, for the training rows; as `classifiers.refuse_few`, for those of each fold.
        ValueError
            If `by` needs units and there are none, or those of another rule.
        """
        from sklearn.base import clone

        self.classifier_ = fit_divided(clone(self.classifier), X, y, division)
        self.classes_ = self.classifier_.classes_
        self.calibrator_ = None
        self.threshold_ = 0.5 if self.threshold in (None, "balanced_accuracy") else float(self.threshold)
        if self.calibration is None and self.threshold != "balanced_accuracy":
            return self
        inner = self._division(division)
        folds = inner.folds(y)
        for train, _ in folds:
            refuse_few(self.classifier, y[train])
        output = np.empty(len(y))
        for train, test in folds:
            fitted = fit_divided(clone(self.classifier), X[train], y[train], inner.part(train))
            output[test] = _of_class_1(getattr(fitted, self._method())(X[test]))
        if self.calibration is not None:
            self.calibrator_ = _calibrator(self.calibration, output, y)
            output = self.calibrator_.predict(output)
        if self.threshold == "balanced_accuracy":
            self.threshold_ = best_threshold(y, np.clip(output, 0, 1))
        return self

    @property
    def is_flat(self) -> bool:
        """True if the calibration gives every output the same probability."""
        return self.calibrator_ is not None and bool(np.ptp(self.calibrator_.predict(np.array([-1e9, 1e9]))) == 0)

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return int(self.classifier_.n_features_in_)

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each class, ``(n, 2)``."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if self.calibrator_ is None:
            return np.asarray(self.classifier_.predict_proba(X), np.float64)
        output = _of_class_1(getattr(self.classifier_, self._method())(X))
        positive = np.clip(self.calibrator_.predict(output), 0, 1)
        return np.stack([1 - positive, positive], axis=1)

    def predict(self, X: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class of each row, ``(n,)``: 1 if the probability is at or above the threshold."""
        return (self.predict_proba(X)[:, 1] >= self.threshold_).astype(np.int64)

    def with_parts(self, change: Callable[[Any], Any]) -> "CalibratedClassifier":
        """Return the same calibration and threshold of a changed classifier."""
        settings = {**vars(self), "classifier": change(self.classifier)}
        made = CalibratedClassifier(**{name: settings[name] for name in self.get_params(deep=False)})
        return made._of(change(self.classifier_), self)

    def _of(self, classifier: Any, other: "CalibratedClassifier") -> "CalibratedClassifier":
        self.classifier_, self.classes_ = classifier, other.classes_
        self.calibrator_, self.threshold_ = other.calibrator_, other.threshold_
        return self

    def _division(self, outer: Division | None) -> Division:
        if self.by in OF_THE_DATA:
            split = SplitSpec(by=self.by)
        else:
            split = SplitSpec(folds=self.folds, by=self.by, identity=self.identity)
        if outer is None or self.by == "antibody":
            return Division(split, setting=_FOLDS)
        return outer.again(split, _FOLDS)

    def _method(self) -> str:
        """Return the name of the method whose outputs are calibrated."""
        has_logits = self.calibration is not None and hasattr(self.classifier, "decision_function")
        return "decision_function" if has_logits else "predict_proba"


def decide(classifier: Any, decision: DecisionSpec, split: SplitSpec) -> Any:
    """Return the unfitted classifier with the decision of a spec, or unchanged if no decision is learnt.

    Folds of the training rows keep the same rows together as those of the split.
    """
    if decision == DecisionSpec():
        return classifier
    return CalibratedClassifier(
        classifier, decision.calibration, decision.threshold, decision.folds, split.by, split.identity
    )


def _of_class_1(output: NDArray[Any]) -> NDArray[Any]:
    return output if output.ndim == 1 else output[:, 1]


def _calibrator(calibration: Literal["sigmoid", "isotonic"], output: NDArray[np.float64], label: NDArray[Any]) -> Any:
    """Return the fitted map from outputs to probabilities, which does not fall."""
    if calibration == "sigmoid":
        from antibody_esm.rising import RisingSigmoid

        return RisingSigmoid().fit(output, label)
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(output, label)
