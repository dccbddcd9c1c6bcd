import numpy as np
import pytest
from sklearn.base import clone

from antibody_esm import (
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    XGBoostSpec,
    presets,
)
from antibody_esm.classifiers import build
from antibody_esm.evaluation.cross_validation import cross_validate
from antibody_esm.specs import ClassifierSpec, SplitSpec

GENERATOR = np.random.default_rng(0)
Y = GENERATOR.integers(0, 2, 80)
X = GENERATOR.normal(size=(80, 5)) + 0.8 * Y[:, None]


@pytest.mark.parametrize("spec", presets.CLASSIFIERS.values(), ids=presets.CLASSIFIERS.keys())
def test_every_classifier_learns_gives_probabilities_and_repeats_itself(spec: ClassifierSpec) -> None:
    classifier = build(spec, X.shape[1])
    found = cross_validate(classifier, X, Y, SplitSpec(folds=4))
    assert found.scores["roc_auc"].mean() > 0.75
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    again = cross_validate(clone(classifier), X, Y, SplitSpec(folds=4), workers=1)
    assert np.array_equal(found.probability, again.probability)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (LogisticRegressionSpec(C=0.1, class_weight="balanced"), {"C": 0.1, "class_weight": "balanced"}),
        (XGBoostSpec(n_estimators=7, learning_rate=0.1), {"n_estimators": 7, "learning_rate": 0.1, "n_jobs": 1}),
        (RandomForestSpec(n_estimators=9, max_features=0.5), {"n_estimators": 9, "max_features": 0.5}),
        (GaussianProcessSpec(length_scale=2.0), {"kernel__k2__length_scale": 2.0}),
        (GaussianProcessSpec(), {"kernel__k2__length_scale": 5**0.5}),
        (LinearSVMSpec(C=3, calibration_folds=4), {"estimator__C": 3.0, "cv": 4}),
        (KNeighborsSpec(n_neighbors=2, metric="cosine"), {"n_neighbors": 2, "metric": "cosine"}),
    ],
)
def test_fields_of_a_spec_reach_the_estimator(spec: ClassifierSpec, expected: dict[str, object]) -> None:
    classifier = build(spec, 5)
    found = classifier["classify"].get_params()
    assert {name: found[name] for name in expected} == expected
    classifier.fit(X, Y)


@pytest.mark.parametrize("spec", [LogisticRegressionSpec(), GaussianProcessSpec(), LinearSVMSpec(), KNeighborsSpec()])
def test_standardising_makes_the_unit_of_a_feature_irrelevant(spec: ClassifierSpec) -> None:
    scaled = spec.model_copy(update={"standardize": True})
    units = np.array([1, 1024, 1, 2**-10, 1])
    one, other = build(scaled, 5).fit(X, Y), build(scaled, 5).fit(X * units, Y)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X * units), atol=1e-6)
    assert list(build(spec.model_copy(update={"standardize": False}), 5).named_steps) == ["classify"]


@pytest.mark.parametrize("spec", [XGBoostSpec(subsample=0.5), RandomForestSpec()])
def test_the_seed_matters_where_a_classifier_draws_numbers(spec: ClassifierSpec) -> None:
    one, same, other = (
        build(spec.model_copy(update={"random_state": seed}), 5).fit(X, Y).predict_proba(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
