import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from antibody_esm import (
    AverageSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    XGBoostSpec,
    presets,
)
from antibody_esm.classifiers import build
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.calibration import CalibratedClassifier
from antibody_esm.evaluation.cross_validation import cross_validate, fit
from antibody_esm.evaluation.splits import Division
from antibody_esm.specs import ClassifierSpec, SplitSpec
from effort import examples

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


@given(st.integers(2, 7), st.integers(2, 7), st.integers(2, 7))
@examples(40)
def test_few_rows_are_refused_by_this_package_if_and_only_if_scikit_learn_refuses_them(
    negatives: int, positives: int, number: int
) -> None:
    y = np.repeat([0, 1], [negatives, positives])
    X, division = np.arange(len(y) * 2.0).reshape(-1, 2) ** 2, Division(SplitSpec())
    for spec in (LinearSVMSpec(calibration_folds=number), KNeighborsSpec(n_neighbors=number)):
        try:
            expected = build(spec, 2).fit(X, y).predict_proba(X)
        except ValueError:
            with pytest.raises(DatasetError, match=r"linear_svm needs at least|knn takes the votes of"):
                fit(build(spec, 2), X, y, division)
        else:
            assert np.array_equal(fit(build(spec, 2), X, y, division).predict_proba(X), expected)


def test_few_rows_of_a_class_are_counted_where_the_estimator_is_fitted() -> None:
    y = np.repeat([0, 1], [9, 3])
    X, division = np.arange(24.0).reshape(-1, 2), Division(SplitSpec())
    reason = r"at least 3 antibodies of each class, .* class 1 has {} of the {} that it is fitted on\. {}"
    svm = build(LinearSVMSpec(calibration_folds=3), 2)
    fit(svm, X, y, division)
    lower = "Set calibration_folds of linear_svm lower"
    with pytest.raises(DatasetError, match=reason.format(2, 8, lower)):
        fit(CalibratedClassifier(svm, "sigmoid", folds=3), X, y, division)
    with pytest.raises(DatasetError, match=reason.format(2, 11, lower)):
        fit(svm, X[:-1], y[:-1], division)
    with pytest.raises(DatasetError, match=reason.format(1, 10, "Use another classifier")):
        fit(svm, X[:-2], y[:-2], division)
    average = build(AverageSpec(heads=(LogisticRegressionSpec(), KNeighborsSpec(n_neighbors=13))), 2)
    with pytest.raises(DatasetError, match="votes of 13 training antibodies, and is fitted on 12"):
        fit(average, X, y, division)
