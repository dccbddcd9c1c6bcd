"""How good predictions are, in the field's metrics."""

import numpy as np
from numpy.typing import NDArray

METRICS = ("accuracy", "balanced_accuracy", "f1", "mcc", "roc_auc", "pr_auc")
"""Names of the metrics, in the order in which they are reported. ``pr_auc`` is average precision."""


def score(
    label: NDArray[np.int64], prediction: NDArray[np.int64], probability: NDArray[np.float64]
) -> dict[str, float]:
    """Return every metric of `METRICS`; one that is not defined is NaN, never a number that looks like a result.

    Parameters
    ----------
    label
        ``(n,)`` true classes, 0 or 1.
    prediction
        ``(n,)`` predicted classes, 0 or 1.
    probability
        ``(n,)`` predicted probability of class 1, 0 to 1.

    Returns
    -------
    Accuracy, balanced accuracy, F1, ROC AUC and PR AUC from 0 to 1; Matthews correlation from -1 to 1. Where only one
    class is present, balanced accuracy, MCC and both areas are not defined; without positives, F1 is not either.
    """
    from sklearn import metrics

    both = len(np.unique(label)) == 2
    positives = bool(label.any())
    undefined = float("nan")
    return {
        "accuracy": float(metrics.accuracy_score(label, prediction)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(label, prediction)) if both else undefined,
        "f1": float(metrics.f1_score(label, prediction, zero_division=0.0)) if positives else undefined,
        "mcc": float(metrics.matthews_corrcoef(label, prediction)) if both else undefined,
        "roc_auc": float(metrics.roc_auc_score(label, probability)) if both else undefined,
        "pr_auc": float(metrics.average_precision_score(label, probability)) if both else undefined,
    }
