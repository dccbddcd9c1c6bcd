"""Continuous labels: regressors, their folds, and the same Trainer and Predictor around them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import pearsonr, spearmanr

from antibody_esm import Dataset, DatasetError, DescriptorSpec, Predictor, SplitSpec, StoreError, Trainer, presets
from antibody_esm.classifiers import build
from antibody_esm.evaluation.baselines import BASELINES, cross_validate_baselines, fit_baselines
from antibody_esm.evaluation.cross_validation import cross_validate
from antibody_esm.evaluation.interval import short
from antibody_esm.evaluation.metrics import CONTINUOUS_METRICS
from antibody_esm.evaluation.stratification import strata
from antibody_esm.model_files import manifest_digest
from antibody_esm.specs import RegressorSpec

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(90, 5))
Y = X[:, 0] - 2 * X[:, 1] + 0.3 * GENERATOR.normal(size=90)
SEQUENCES = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 20)) for _ in range(80)]
CHARGE = np.array([one.count("K") + one.count("R") - one.count("D") - one.count("E") for one in SEQUENCES], float)
VALUE = 10 + CHARGE + 0.3 * GENERATOR.normal(size=80)
NUMBERED = DescriptorSpec(descriptors=("net_charge", "composition"))

every_regressor = pytest.mark.parametrize("spec", presets.REGRESSORS.values(), ids=presets.REGRESSORS.keys())


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset(ids=[f"a{i}" for i in range(80)], heavy=SEQUENCES, label=VALUE, fragment="H-CDRs")


@every_regressor
def test_every_regressor_learns_and_repeats_itself(spec: RegressorSpec) -> None:
    found = cross_validate(build(spec, 5), X, Y, SplitSpec(folds=4))
    assert found.probability is None
    assert found.scores.keys() == set(CONTINUOUS_METRICS)
    assert found.scores["spearman"].mean() > 0.7
    again = cross_validate(build(spec, 5), X, Y, SplitSpec(folds=4), workers=1)
    assert np.array_equal(found.prediction, again.prediction)


@every_regressor
def test_predictions_are_in_the_unit_of_the_labels(spec: RegressorSpec) -> None:
    one = build(spec, 5).fit(X[:60], Y[:60]).predict(X[60:])
    other = build(spec, 5).fit(X[:60], 1000 * Y[:60] + 5).predict(X[60:])
    np.testing.assert_allclose(1000 * one + 5, other, rtol=2e-3, atol=20)


@every_regressor
def test_a_regressor_is_trained_saved_loaded_and_applied(spec: RegressorSpec, data: Dataset, tmp_path: Path) -> None:
    trainer = Trainer(NUMBERED, spec, SplitSpec(folds=4))
    report = trainer.cross_validate(data)
    assert (report.predictions["label"] == VALUE).all()
    assert "probability" not in report.predictions
    trainer.fit(data, scores=False).save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model")
    predicted = loaded.predict(data)
    assert np.array_equal(predicted, trainer.predictor_.predict(data))
    assert spearmanr(predicted, CHARGE).statistic > 0.8
    assert loaded.predict([]).shape == (0,)
    with pytest.raises(AttributeError, match=f"{spec.kind} is a regressor, which has no probabilities; see predict"):
        loaded.predict_proba(data)
    assert not hasattr(loaded, "predict_proba")
    assert hasattr(loaded, "predict")


def test_scores_of_a_report_are_those_of_scipy_on_each_fold(data: Dataset) -> None:
    report = Trainer(NUMBERED, "ridge", SplitSpec(folds=4)).cross_validate(data)
    for number, fold in report.out_of_fold.groupby("fold"):
        for metric, peer in (("spearman", spearmanr), ("pearson", pearsonr)):
            assert report.scores[metric][number] == pytest.approx(peer(fold["label"], fold["prediction"]).statistic)
    text = str(report)
    assert "80 antibodies, 4 folds stratified by the median" in text
    assert "Spearman" in text
    assert "positive" not in text
    assert "accuracy" not in text


def test_a_test_of_a_regressor(data: Dataset) -> None:
    trainer = Trainer(NUMBERED, "ridge")
    trainer.fit(data.subset(range(60)))
    held_out = data.subset(range(60, 80))
    report = trainer.evaluate(held_out)
    error = trainer.predictor_.predict(held_out) - np.asarray(held_out.label)
    assert report.scores["rmse"][0] == pytest.approx(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("split", [SplitSpec(folds=3), SplitSpec(folds=3, repeats=2), SplitSpec(by="leave_one_out")])
def test_the_note_on_the_mean_has_the_number_of_the_table(data: Dataset, split: SplitSpec) -> None:
    report = Trainer(DescriptorSpec(descriptors=("length",)), "ridge", split).cross_validate(data.subset(range(30)))
    rmse = report.baselines.found["majority"].intervals["rmse"].estimate
    assert report.scored.rmse_of_means == pytest.approx(rmse)
    assert f"Predicting the mean for every antibody has an RMSE of {short(rmse, 3)}." in " ".join(str(report).split())


def test_the_note_of_a_test_predicts_the_mean_of_the_training_antibodies(data: Dataset) -> None:
    trainer = Trainer(DescriptorSpec(descriptors=("length",)), "ridge", SplitSpec(folds=3))
    trainer.fit(data.subset(range(30)), uncertainty=False)
    report = trainer.evaluate(data.subset(range(30, 50)))
    rmse = report.baselines.found["majority"].intervals["rmse"].estimate
    expected = f"Predicting the mean of the training antibodies for every antibody has an RMSE of {short(rmse, 3)}."
    assert expected in " ".join(str(report).split())


def test_a_classifier_is_not_fitted_to_numbers_and_a_regressor_takes_them(data: Dataset) -> None:
    with pytest.raises(DatasetError, match="a classifier needs the labels 0 and 1"):
        Trainer(NUMBERED, "logreg").cross_validate(data)
    alike = Dataset(ids=data.ids, heavy=data.heavy, label=[3.0] * 80, fragment="H-CDRs")
    with pytest.raises(DatasetError, match="every label is 3"):
        Trainer(NUMBERED, "ridge").cross_validate(alike)


def test_a_regressor_in_the_place_of_a_classifier_is_no_model(data: Dataset, tmp_path: Path) -> None:
    Trainer(NUMBERED, "ridge").fit(data, scores=False).save(tmp_path / "ridge")
    halves = Dataset(ids=data.ids, heavy=data.heavy, label=np.median(CHARGE) < CHARGE, fragment="H-CDRs")
    Trainer(NUMBERED, "logreg").fit(halves, scores=False).save(tmp_path / "logreg")
    there, here = (tmp_path / name / "manifest.json" for name in ("ridge", "logreg"))
    crafted = json.loads(here.read_text()) | {"classifier_sha256": json.loads(there.read_text())["classifier_sha256"]}
    here.write_text(json.dumps(crafted | {"sha256": manifest_digest(crafted)}))
    (tmp_path / "ridge" / "classifier.skops").replace(tmp_path / "logreg" / "classifier.skops")
    with pytest.raises(StoreError, match="not a pipeline of a classifier"):
        Predictor.load(tmp_path / "logreg")


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6)))
def test_strata_are_two_wherever_values_differ(target: np.ndarray) -> None:
    found = strata(target)
    if len(np.unique(target)) > 1:
        assert set(found.tolist()) == {0, 1}
        assert target[found == 1].min() > target[found == 0].max()


def test_every_fold_has_high_and_low_values() -> None:
    found = cross_validate(build(presets.REGRESSORS["ridge"], 5), X, Y, SplitSpec(folds=9))
    for number in range(9):
        assert (Y[found.fold == number] > np.median(Y)).sum() == 5


def test_baselines_of_continuous_labels(data: Dataset) -> None:
    results = cross_validate_baselines(data, SplitSpec(folds=4), continuous=True)
    assert {*results.found, *results.absent} == set(BASELINES)
    assert results.found["net_charge"].scores["spearman"].mean() > 0.9
    assert results.found["majority"].scores["rmse"].mean() > results.found["net_charge"].scores["rmse"].mean()
    assert np.isnan(results.found["majority"].scores["spearman"]).all()
    tested = fit_baselines(data.subset(range(60)), continuous=True).score(data.subset(range(60, 80)))
    assert tested.found["nearest_neighbour"].probability is None
    assert tested.found["net_charge"].scores["spearman"] > 0.6
