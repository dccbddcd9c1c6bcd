"""Residue contributions: in closed form where the model is linear, by hiding residues where it is not."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import (
    Dataset,
    DatasetError,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    Predictor,
    SVRSpec,
    Trainer,
    presets,
)
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions, shapley
from antibody_esm.explain.logits import linear
from antibody_esm.specs import EstimatorSpec
from chains import HEAVY, LIGHT, NANOBODY
from effort import examples
from explaining import NUMBERED, trained

LINEAR: dict[str, EstimatorSpec] = {
    "logreg": presets.classifier("logreg"),
    "logreg scaled": presets.classifier("logreg").model_copy(update={"standardize": True}),
    "ridge": presets.classifier("ridge"),
    "elastic net": presets.classifier("elastic_net").model_copy(update={"alpha": 1e-3}),
    "linear svr": SVRSpec(kernel="linear"),
}
every_linear = pytest.mark.parametrize("classifier", LINEAR)


def said(predictor: Predictor, sequence: str | tuple[str, str]) -> float:
    """The logit or value as the predictor itself gives it to users."""
    if predictor.spec.is_regression:
        return float(predictor.predict([sequence])[0])
    ((negative, positive),) = predictor.predict_proba([sequence])
    return float(np.log(positive / negative))


@pytest.fixture(scope="module")
def model(checkpoints: dict[str, Path]) -> Callable[..., Predictor]:
    """Predictors of tiny checkpoints, each trained once."""

    @cache
    def of(family: str, classifier: str = "logreg", *, paired: bool = False, **fields: object) -> Predictor:
        return trained(
            ExtractorSpec(model=str(checkpoints[family]), **fields), LINEAR.get(classifier, classifier), paired=paired
        )

    return of


@examples(30)
@given(
    sequence=strategies.sequences(max_size=40),
    family=st.sampled_from(["esm", "bert", "prott5"]),
    classifier=st.sampled_from(list(LINEAR)),
    fields=st.sampled_from([{}, {"storage": "float16"}, {"storage": "int8"}, {"precision": "bfloat16"}, {"layer": 1}]),
)
def test_contributions_and_intercept_sum_to_the_logit(
    model: Callable[..., Predictor], sequence: str, family: str, classifier: str, fields: dict[str, str]
) -> None:
    predictor = model(family, classifier, **fields)
    found = residue_contributions(predictor, sequence)
    assert (found.method, found.contributions.shape) == ("exact", (len(sequence),))
    assert found.contributions.sum() + found.intercept == pytest.approx(found.score, abs=1e-5)
    assert found.score == pytest.approx(said(predictor, sequence), abs=1e-5)
    assert found.unit == ("value" if predictor.spec.is_regression else "logit")


@examples(15)
@given(
    pair=st.tuples(strategies.sequences(max_size=25), strategies.sequences(max_size=25)),
    how=st.sampled_from(["apart", "joined"]),
)
def test_contributions_of_a_pair_are_those_of_its_heavy_then_its_light_chain(
    model: Callable[..., Predictor], pair: tuple[str, str], how: str
) -> None:
    predictor = model("bert", paired=True, pairs=how)
    found = residue_contributions(predictor, pair)
    assert found.contributions.shape == (len(pair[0]) + len(pair[1]),)
    assert found.contributions.sum() + found.intercept == pytest.approx(said(predictor, pair), abs=1e-5)


def test_a_chain_apart_contributes_the_same_beside_any_other(model: Callable[..., Predictor]) -> None:
    predictor = model("esm", paired=True)
    one, other = (residue_contributions(predictor, ("EVQLVESGG", light)) for light in ("DIQMT", "SYELTQ"))
    np.testing.assert_allclose(one.contributions[:9], other.contributions[:9], atol=1e-6)


@pytest.mark.parametrize("region", ["cdr3", "cdrs", "frameworks"])
def test_residues_outside_of_the_region_contribute_nothing(model: Callable[..., Predictor], region: str) -> None:
    predictor = model("esm", region=region)
    found = residue_contributions(predictor, NANOBODY)
    assert found.contributions.sum() + found.intercept == pytest.approx(said(predictor, NANOBODY), abs=1e-5)
    cdr3 = NANOBODY.index("AADAGVYVISYLVDY")
    inside = found.contributions[cdr3 : cdr3 + 15]
    assert (inside == 0).all() if region == "frameworks" else (inside != 0).all()
    if region == "cdr3":
        assert np.count_nonzero(found.contributions) == 15


def test_regions_of_joined_pairs_are_found_in_both_chains(model: Callable[..., Predictor]) -> None:
    predictor = model("bert", paired=True, pairs="joined", region="cdr3")
    found = residue_contributions(predictor, (HEAVY, LIGHT))
    shown = "".join(np.array(list(HEAVY + LIGHT))[found.contributions != 0])
    assert shown == "SRWGGDGFYAMDY" + "QQHYTTPPT"
    assert found.contributions.sum() + found.intercept == pytest.approx(said(predictor, (HEAVY, LIGHT)), abs=1e-5)


@pytest.mark.parametrize("combine", ["mean", "concat"])
def test_contributions_of_several_models_sum_to_their_logit(checkpoints: dict[str, Path], combine: str) -> None:
    members = (ExtractorSpec(model=str(checkpoints["esm"])), ExtractorSpec(model=str(checkpoints["bert"])))
    predictor = trained(EnsembleSpec(members=members, combine=combine), "logreg")
    found = residue_contributions(predictor, "EVQLVESGG")
    assert found.method == "exact"
    assert found.contributions.sum() + found.intercept == pytest.approx(said(predictor, "EVQLVESGG"), abs=1e-5)


def test_a_contribution_is_the_weights_times_the_state_of_its_residue(model: Callable[..., Predictor]) -> None:
    predictor = model("esm")
    (states,) = predictor.extractor.residues(["EVQLVESGG"])
    weights = predictor.classifier[-1].coef_[0]
    np.testing.assert_allclose(
        residue_contributions(predictor, "EVQLVESGG").contributions, states @ weights / 9, atol=1e-5
    )


def test_what_rounding_adds_is_told(model: Callable[..., Predictor]) -> None:
    assert abs(residue_contributions(model("esm"), "EVQLVESGG").rounding) < 1e-5
    coarse = residue_contributions(model("esm", storage="int8"), "EVQLVESGG")
    assert 1e-5 < abs(coarse.rounding) < 0.2


def test_residues_that_are_cut_off_contribute_nothing(model: Callable[..., Predictor]) -> None:
    predictor = model("esm", max_length=6, truncation=True)
    found = residue_contributions(predictor, "EVQLVESGG")
    assert (found.contributions[6:] == 0).all()
    assert found.contributions.sum() + found.intercept == pytest.approx(said(predictor, "EVQLVESGG"), abs=1e-5)


def test_a_sigmoid_calibration_is_part_of_the_score(tiny: ExtractorSpec) -> None:
    predictor = trained(tiny, "logreg", calibration="sigmoid")
    found = residue_contributions(predictor, "EVQLVESGG")
    assert found.contributions.sum() + found.intercept == pytest.approx(found.score, abs=1e-5)
    assert found.score == pytest.approx(said(predictor, "EVQLVESGG"), abs=1e-6)


def test_before_an_isotonic_calibration_the_score_is_explained_and_says_so(tiny: ExtractorSpec) -> None:
    predictor = trained(tiny, "logreg", calibration="isotonic")
    found = residue_contributions(predictor, "EVQLVESGG")
    inner = predictor.classifier.classifier_
    X = predictor.extractor.embed(["EVQLVESGG"]).astype(float)
    assert found.contributions.sum() + found.intercept == pytest.approx(float(inner.decision_function(X)[0]), abs=1e-5)
    assert found.unit == "raw_logit"
    assert "log-odds before calibration" in str(found)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"pooling": "max"}, "the max over residues"),
        ({"pooling": "cls"}, "the cls over residues"),
        ({"special_tokens": "include"}, "tokens that are no residues"),
    ],
)
def test_what_is_no_sum_over_residues_is_occluded_or_refused(
    model: Callable[..., Predictor], fields: dict[str, str], why: str
) -> None:
    predictor = model("esm", **fields)
    assert residue_contributions(predictor, "EVQLV").method == "occlusion"
    with pytest.raises(ValueError, match=why):
        residue_contributions(predictor, "EVQLV", method="exact")


def test_descriptors_are_not_of_residues(tiny: ExtractorSpec) -> None:
    described = EnsembleSpec(members=(tiny, DescriptorSpec(descriptors=("net_charge",))), combine="concat")
    predictor = trained(described, "logreg")
    with pytest.raises(ValueError, match="descriptors describe the whole sequence"):
        residue_contributions(predictor, "EVQLV", method="exact")
    assert residue_contributions(predictor, "EVQLK").method == "occlusion"


def test_a_kernel_is_not_linear(tiny: ExtractorSpec) -> None:
    assert linear(trained(tiny, SVRSpec(kernel="linear"))) is not None
    assert linear(trained(tiny, SVRSpec(kernel="rbf"))) is None


@pytest.mark.parametrize("classifier", [*presets.CLASSIFIERS, *presets.REGRESSORS])
def test_occlusion_is_the_fall_of_the_score_with_each_residue_hidden(tiny: ExtractorSpec, classifier: str) -> None:
    predictor = trained(tiny, classifier)
    found = occlusion(predictor, "EVQLK")
    hidden = ["XVQLK", "EXQLK", "EVXLK", "EVQXK", "EVQLX"]

    def score(sequence: str) -> float:
        steps = classifier in ("knn", "random_forest")
        return float(predictor.predict_proba([sequence])[0, 1]) if steps else said(predictor, sequence)

    changes = [score("EVQLK") - score(one) for one in hidden]
    np.testing.assert_allclose(found.contributions, changes, atol=1e-4)
    assert found.intercept is None


def test_a_wider_window_shares_its_change_between_its_residues(model: Callable[..., Predictor]) -> None:
    predictor = model("esm")
    whole, first, last = (said(predictor, one) for one in ("EVQ", "XXQ", "EXX"))
    found = occlusion(predictor, "EVQ", window=2).contributions
    np.testing.assert_allclose(
        found, [(whole - first) / 2, (2 * whole - first - last) / 4, (whole - last) / 2], atol=1e-6
    )


def test_an_alanine_scan_leaves_alanines_alone(model: Callable[..., Predictor]) -> None:
    found = occlusion(model("esm"), "EVAQA", replacement="A").contributions
    np.testing.assert_allclose(found[[2, 4]], 0, atol=1e-12)
    assert (np.abs(found[[0, 1, 3]]) > 1e-6).all()


def test_occlusion_of_a_pair_hides_residues_of_both_chains_once(tiny: ExtractorSpec) -> None:
    predictor = trained(tiny, "logreg", paired=True)
    before = predictor.extractor.computed
    found = occlusion(predictor, ("EVQLV", "DIQM"))
    assert found.contributions.shape == (9,)
    assert predictor.extractor.computed - before == 6 + 5
    occlusion(predictor, ("EVQLV", "DIQM"))
    assert predictor.extractor.computed - before == 6 + 5, "the store knows them"


def test_windows_and_replacements_that_make_no_sense_are_refused(model: Callable[..., Predictor]) -> None:
    for window in (0, 5):
        with pytest.raises(ValueError, match="a window is from 1 to 4"):
            occlusion(model("esm"), "EVQLV", window=window)
    with pytest.raises(ValueError, match="a replacement is one of"):
        occlusion(model("esm"), "EVQLV", replacement="B")


@pytest.fixture(scope="module")
def of_fragment(checkpoints: dict[str, Path]) -> Callable[[str], Predictor]:
    """Predictors that were trained on a fragment of both chains."""

    @cache
    def of(fragment: str) -> Predictor:
        label = [one.count("K") % 2 for one in NUMBERED]
        data = Dataset(list(map(str, range(24))), NUMBERED, [LIGHT] * 24, label=label).cut(fragment)
        return Trainer(ExtractorSpec(model=str(checkpoints["esm"]))).fit(data, uncertainty=False)

    return of


@pytest.mark.parametrize(
    ("fragment", "antibody"),
    [
        ("VH", HEAVY + "ASTKGPSVFPLAPSSK"),  # with the beginning of a constant domain
        ("H-CDRs", HEAVY),
        ("H-CDR3", HEAVY),
        ("L-CDR3", LIGHT),
        ("VH+VL", (HEAVY, LIGHT)),
        ("All-CDRs", (HEAVY, LIGHT)),
    ],
)
def test_what_is_explained_and_scanned_is_what_a_table_of_antibodies_is_scored_by(
    fragment: str, antibody: str | tuple[str, str], of_fragment: Callable[[str], Predictor]
) -> None:
    predictor = of_fragment(fragment)
    heavy, light = antibody if isinstance(antibody, tuple) else (antibody, antibody)
    scored = predictor.predict_proba(pd.DataFrame({"heavy": [heavy], "light": [light]}))[0]
    part = predictor.reads(antibody)
    assert part != antibody
    assert predictor.reads(part) == part
    for one in (antibody, part):
        found = residue_contributions(predictor, one)
        assert found.sequence == part
        assert found.score == pytest.approx(np.log(scored[1] / scored[0]), abs=1e-6)
        assert occlusion(predictor, one).score == pytest.approx(found.score)
        scan = mutational_scan(predictor, one, [0], plausibility=False)
        assert (scan.sequence, scan.prediction) == (part, pytest.approx(scored[1]))
        if one == antibody and len(part) < 20:  # of a whole domain it takes seconds
            assert shapley(predictor, one, rounds=1).sequence == part


def test_an_antibody_without_the_whole_fragment_is_not_explained_as_if_it_were_one(
    of_fragment: Callable[[str], Predictor],
) -> None:
    for fragment, antibody in (("VH", HEAVY[:60]), ("VH", "ACDEFGHIKL"), ("H-CDR3", HEAVY[:100])):
        with pytest.raises(DatasetError, match="missing|no heavy variable domain|ends in CDR3"):
            residue_contributions(of_fragment(fragment), antibody)
