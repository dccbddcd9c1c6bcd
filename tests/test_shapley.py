"""Shapley values by the shap library, where its extra is installed."""

from importlib.util import find_spec

import numpy as np
import pytest

from antibody_esm import DescriptorSpec, ExtractorSpec
from antibody_esm.explain import shapley
from explaining import trained

pytestmark = pytest.mark.skipif(find_spec("shap") is None, reason="comes with the extra [explain]")


@pytest.mark.parametrize("classifier", ["logreg", "xgboost", "knn"])
def test_shapley_values_and_the_score_of_nothing_sum_to_the_score(tiny: ExtractorSpec, classifier: str) -> None:
    predictor = trained(tiny, classifier)
    found = shapley(predictor, "EVQLVES")
    hidden = shapley(predictor, "XXXXXXX")
    assert found.intercept == pytest.approx(hidden.score, abs=1e-6)
    assert found.contributions.sum() + found.intercept == pytest.approx(found.score, abs=1e-5)
    np.testing.assert_allclose(hidden.contributions, 0, atol=1e-12)
    np.testing.assert_array_equal(found.contributions, shapley(predictor, "EVQLVES").contributions)


def test_of_two_residues_the_value_is_the_mean_of_both_orders(tiny: ExtractorSpec) -> None:
    predictor = trained(tiny, "logreg")
    none, first, second, both = (shapley(predictor, one).score for one in ("XX", "EX", "XV", "EV"))
    found = shapley(predictor, "EV").contributions
    np.testing.assert_allclose(found, [(first - none + both - second) / 2, (second - none + both - first) / 2])


def test_both_chains_of_a_pair_have_values(tiny: ExtractorSpec) -> None:
    found = shapley(trained(tiny, "logreg", paired=True), ("EVQ", "DI"), rounds=1)
    assert found.contributions.shape == (5,)
    assert found.contributions.sum() + found.intercept == pytest.approx(found.score, abs=1e-5)


def test_what_cannot_be_hidden_is_refused(tiny: ExtractorSpec) -> None:
    described = trained(DescriptorSpec(descriptors=("net_charge", "length")), "logreg")
    with pytest.raises(ValueError, match="the model reads descriptors"):
        shapley(described, "EVQ")
    with pytest.raises(ValueError, match="the region cdr3"):
        shapley(trained(tiny.model_copy(update={"region": "cdr3"}), "logreg"), "EVQ")
    with pytest.raises(ValueError, match="at least one round"):
        shapley(trained(tiny, "logreg"), "EVQ", rounds=0)
