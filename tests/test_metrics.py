import math

import numpy as np
import pytest

from antibody_esm.evaluation.metrics import METRICS, score

LABEL = np.array([0, 0, 0, 1, 1])
PREDICTION = np.array([0, 0, 1, 1, 0])
PROBABILITY = np.array([0.1, 0.4, 0.6, 0.9, 0.3])


def test_metrics_are_what_one_gets_by_hand() -> None:
    found = score(LABEL, PREDICTION, PROBABILITY)
    assert list(found) == list(METRICS)
    # tp 1, fp 1, fn 1, tn 2; of six pairs of a positive and a negative, four are in order.
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["f1"] == pytest.approx(1 / 2)
    assert found["mcc"] == pytest.approx((1 * 2 - 1 * 1) / math.sqrt(2 * 2 * 3 * 3))
    assert found["roc_auc"] == pytest.approx(4 / 6)
    assert found["pr_auc"] == pytest.approx((1 / 1 + 2 / 4) / 2)


@pytest.mark.parametrize("only", [0, 1])
def test_what_is_not_defined_for_one_class_is_nan(only: int) -> None:
    found = score(np.full(3, only), np.array([0, 1, 1]), np.array([0.1, 0.8, 0.9]))
    undefined = {"balanced_accuracy", "mcc", "roc_auc", "pr_auc"} | ({"f1"} if only == 0 else set())
    assert {name for name, value in found.items() if math.isnan(value)} == undefined


def test_a_constant_prediction_has_no_correlation() -> None:
    found = score(LABEL, np.zeros(5, int), np.full(5, 0.5))
    assert (found["f1"], found["mcc"], found["roc_auc"]) == (0.0, 0.0, 0.5)
