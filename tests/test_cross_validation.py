from typing import ClassVar

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, cross_val_score
from threadpoolctl import threadpool_info

from antibody_esm import SplitSpec
from antibody_esm.evaluation.cross_validation import cross_validate
from antibody_esm.evaluation.splits import Division

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 4))
Y = (X[:, 0] + GENERATOR.normal(size=60) > 0).astype(np.int64)


@pytest.mark.parametrize("workers", [1, 2, None])
def test_scores_and_predictions_are_those_of_scikit_learn(workers: int | None) -> None:
    found = cross_validate(LogisticRegression(), X, Y, SplitSpec(folds=5, random_state=3), workers)
    splitter = StratifiedKFold(5, shuffle=True, random_state=3)
    for metric, name in (("accuracy", "accuracy"), ("roc_auc", "roc_auc"), ("pr_auc", "average_precision")):
        np.testing.assert_allclose(
            found.scores[metric], cross_val_score(LogisticRegression(), X, Y, cv=splitter, scoring=name)
        )
    expected = cross_val_predict(LogisticRegression(), X, Y, cv=splitter, method="predict_proba")[:, 1]
    np.testing.assert_allclose(found.probability, expected)
    assert np.array_equal(found.prediction, (expected > 0.5).astype(int))
    for number, (_, test) in enumerate(splitter.split(X, Y)):
        assert (found.fold[test] == number).all()


def test_no_row_is_predicted_by_a_classifier_that_has_seen_it() -> None:
    # Features that name the row: a nearest neighbour that had seen it would always be right.
    from sklearn.neighbors import KNeighborsClassifier

    label = GENERATOR.integers(0, 2, 60)
    found = cross_validate(KNeighborsClassifier(1), np.arange(60.0)[:, None] * 10, label, SplitSpec(folds=10))
    assert found.scores["accuracy"].mean() < 0.75


class Probe(LogisticRegression):
    """Says how many threads a matrix product would have."""

    seen: ClassVar[set[int]] = set()

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Probe":
        self.seen |= {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
        return super().fit(X, y)


def test_folds_side_by_side_do_not_change_the_threads_under_each_others_feet() -> None:
    # scikit-learn's neighbours switch them for the whole process and back again; OpenBLAS then warned of a deadlock.
    before = threadpool_info()
    cross_validate(Probe(), X, Y, SplitSpec(folds=5), workers=2)
    assert Probe.seen == {1}
    assert threadpool_info() == before


def test_repeats_give_a_column_each_of_which_the_first_is_that_of_one_repeat() -> None:
    once = cross_validate(LogisticRegression(), X, Y, SplitSpec(folds=4))
    found = cross_validate(LogisticRegression(), X, Y, SplitSpec(folds=4, repeats=3))
    assert (once.repeats, found.repeats) == (1, 3)
    assert found.scores["roc_auc"].shape == (12,)
    assert found.fold.shape == found.prediction.shape == found.probability.shape == (60, 3)
    assert once.fold.shape == (60,)
    assert np.array_equal(found.probability[:, 0], once.probability)
    assert np.array_equal(found.scores["mcc"][:4], once.scores["mcc"])
    for repeat in range(3):
        for fold in range(4):
            test = found.fold[:, repeat] == fold
            right = (found.prediction[test, repeat] == Y[test]).mean()
            assert found.scores["accuracy"][repeat * 4 + fold] == pytest.approx(right)


def test_a_family_of_one_class_has_predictions_and_no_scores_that_need_both() -> None:
    unit = np.array(["a"] * 20 + ["b"] * 20 + ["c"] * 20)
    label = Y.copy()
    label[:20] = 1
    found = cross_validate(LogisticRegression(), X, label, Division(SplitSpec(by="family"), unit))
    assert np.isnan(found.scores["roc_auc"]).tolist() == [True, False, False]
    assert np.isnan(found.scores["mcc"]).tolist() == [True, False, False]
    assert np.isfinite(found.scores["accuracy"]).all()
    assert found.fold.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    for name in ("a", "b", "c"):
        test = unit == name
        alone = LogisticRegression().fit(X[~test], label[~test])
        np.testing.assert_allclose(found.probability[test], alone.predict_proba(X[test])[:, 1])


def test_sparse_features_give_what_dense_ones_give() -> None:
    from scipy.sparse import csr_array

    counts = GENERATOR.integers(0, 3, (60, 5)).astype(float)
    one, other = (
        cross_validate(LogisticRegression(), features, Y, SplitSpec(folds=3))
        for features in (counts, csr_array(counts))
    )
    np.testing.assert_allclose(one.probability, other.probability, rtol=1e-4)


def test_the_classifier_that_is_given_stays_unfitted() -> None:
    classifier = LogisticRegression()
    cross_validate(classifier, X, Y, SplitSpec(folds=2))
    assert not hasattr(classifier, "coef_")
