from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from antibody_esm import (
    DatasetError,
    ExtractorSpec,
    LogisticRegressionSpec,
    RidgeSpec,
    SplitSpec,
    Trainer,
    load_dataset,
)
from antibody_esm.classifiers import build
from antibody_esm.divided import fit_divided
from antibody_esm.evaluation.splits import Division
from antibody_esm.explain import residue_contributions
from antibody_esm.reduction import Reduction

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(30, 8)) @ GENERATOR.normal(size=(8, 8))
DATA = load_dataset("boughter_flu_cdrs").subset(range(150, 220))


@given(st.integers(1, 8), st.integers(0, 2**31))
def test_components_are_those_of_scikit_learn_up_to_their_sign(components: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(12, 8))
    ours = Reduction(components, 8).fit(rows).transform(X)
    theirs = PCA(components, svd_solver="full").fit(rows).transform(X)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-9)


def test_columns_behind_the_vectors_pass_unchanged() -> None:
    columns = np.arange(60.0).reshape(30, 2)
    reduced = Reduction(3, 8).fit(np.hstack([X, columns])).transform(np.hstack([X, columns]))
    assert reduced.shape == (30, 5)
    assert np.array_equal(reduced[:, 3:], columns)
    assert np.array_equal(reduced[:, :3], Reduction(3, 8).fit(X).transform(X))


def test_components_are_those_of_the_training_rows_alone() -> None:
    y = (X[:, 0] > 0).astype(int)
    fitted = build(LogisticRegressionSpec(standardize=True), 8, pca=2).fit(X[:20], y[:20])
    poisoned = X.copy()
    poisoned[20:] *= 1000
    again = build(LogisticRegressionSpec(standardize=True), 8, pca=2).fit(poisoned[:20], y[:20])
    assert [name for name, _ in fitted.steps] == ["scale", "reduce", "classify"]
    assert np.array_equal(fitted.predict_proba(X), again.predict_proba(X))


class Dividing(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    def fit(self, X: Any, y: Any = None, division: Any = None) -> "Dividing":
        self.division_ = division
        return self

    def transform(self, X: Any) -> Any:
        return X


@pytest.mark.parametrize("routing", [False, True])
def test_steps_get_their_division_with_metadata_routing_too(routing: bool) -> None:
    division = Division(SplitSpec(), None)
    with config_context(enable_metadata_routing=routing):
        fitted = fit_divided(make_pipeline(Dividing(), Ridge()), X, X[:, 0], division)
    assert fitted[0].division_ is division


def test_settings_of_scikit_learn_change_no_number() -> None:
    y = X[:, 0] + 0.0
    spec = RidgeSpec(alpha="cv")
    expected = fit_divided(build(spec, 8, pca=2), X, y, None).predict(X)
    for setting in ({"transform_output": "pandas"}, {"enable_metadata_routing": True}):
        with config_context(**setting):
            assert np.array_equal(fit_divided(build(spec, 8, pca=2), X, y, None).predict(X), expected)


@pytest.mark.parametrize("components", [9, 31])
def test_more_components_than_rows_or_dimensions_are_refused(components: int) -> None:
    with pytest.raises(
        DatasetError, match=f"pca={components} needs as many antibodies.*30 antibodies with vectors of 8"
    ):
        Reduction(components, 8).fit(X)


def test_features_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="8 features are expected, got 7"):
        Reduction(2, 8).fit(X).transform(X[:, :7])


@pytest.mark.parametrize("spec", [LogisticRegressionSpec(standardize=True), LogisticRegressionSpec()])
def test_a_model_of_components_is_linear_in_the_vector(spec: LogisticRegressionSpec, tiny: ExtractorSpec) -> None:
    predictor = Trainer(tiny, spec, SplitSpec(folds=3), pca=4).fit(DATA, uncertainty=False, check=False)
    explained = residue_contributions(predictor, DATA.sequences[0])
    assert explained.intercept is not None, "it is exact"
    assert explained.method == "exact"
    logit = predictor.classifier.decision_function(predictor.vectors(DATA.subset([0])))[0]
    assert explained.intercept + explained.contributions.sum() == pytest.approx(logit, abs=1e-5)


def test_a_report_names_the_components_and_reproduces_them() -> None:
    trainer = Trainer("descriptors", RidgeSpec(alpha=10.0), SplitSpec(folds=3), pca=4)
    plain = Trainer("descriptors", RidgeSpec(alpha=10.0), SplitSpec(folds=3))
    assert trainer.spec.fingerprint != plain.spec.fingerprint
    data = replace(DATA, label=[float(len(sequence)) for sequence in DATA.sequences])
    report = trainer.cross_validate(data)
    assert report.pipeline.endswith("4 principal components")
    assert report.command is not None
    assert "pca=4" in report.command
    assert "pca=4" in report.python
    assert not report.predictions["prediction"].equals(plain.cross_validate(data).predictions["prediction"])
