"""Calibration by a sigmoid that never reverses the order of a classifier's outputs.

Platt scaling (Platt 1999) has a slope, which is negative by chance where outputs out of fold do not rise with the
label. A model would then rank antibodies against its own classifier. Here the slope is 0 or above: the likelihood has
one maximum, so if that lies below 0, the highest likelihood from 0 on is at 0, where the probability is constant.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV, _SigmoidCalibration
from sklearn.model_selection import check_cv


class RisingSigmoid(_SigmoidCalibration):  # type: ignore[misc]  # scikit-learn has no types
    """The sigmoid of outputs with the highest likelihood among those that do not fall.

    Examples
    --------
    >>> sigmoid = RisingSigmoid().fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1, 1, 0, 0]))
    >>> sigmoid.predict(np.array([-9.0, 9.0])).tolist()
    [0.5, 0.5]
    """

    a_: float
    b_: float

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> "RisingSigmoid":
        """Fit on outputs ``(n,)`` and labels ``(n,)``, 0 or 1."""
        super().fit(X, y)
        if self.a_ > 0:  # it is 1 / (1 + exp(a * output + b))
            positive, negative = float(np.sum(y == 1)), float(np.sum(y == 0))
            # the mean of Platt's targets, which stand for 0 and 1
            mean = (positive * (positive + 1) / (positive + 2) + negative / (negative + 2)) / len(y)
            self.a_, self.b_ = 0.0, float(np.log1p(-mean) - np.log(mean))
        return self


class RisingClassifierCV(CalibratedClassifierCV):  # type: ignore[misc]  # scikit-learn has no types
    """`CalibratedClassifierCV` with sigmoids that do not fall, for classifiers with a ``decision_function``.

    The probability is the mean over classifiers, each with the sigmoid of the rows that it was not fitted on.
    """

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> "RisingClassifierCV":
        """Fit classifiers and sigmoids on folds of the rows, ``(n, dim)``; labels are 0 and 1."""
        super().fit(X, y)
        folds = check_cv(self.cv, y, classifier=True).split(X, y)
        for (_, held_out), fitted in zip(folds, self.calibrated_classifiers_, strict=True):
            output = fitted.estimator.decision_function(X[held_out])
            fitted.calibrators[:] = [RisingSigmoid().fit(output, y[held_out])]
        return self
