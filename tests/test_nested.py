import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.neighbors import KNeighborsClassifier

from antibody_esm import DatasetError, SplitSpec
from antibody_esm.data.identity import cluster
from antibody_esm.evaluation.nested import Candidate, best_threshold, nested_cross_validate
from antibody_esm.evaluation.splits import Division, Splitter
from antibody_esm.sequences import AMINO_ACIDS
from peers import one_thread

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(120, 30))
Y = (X[:, 0] + GENERATOR.normal(size=120) > 0.3).astype(np.int64)
GRID = [0.001, 0.1, 10]
CANDIDATES = {f"C={C:g}": Candidate(X, LogisticRegression(C=C)) for C in GRID}
OUTER, INNER = SplitSpec(folds=5, random_state=1), SplitSpec(folds=4, random_state=2)


@pytest.mark.parametrize(("metric", "scoring"), [("roc_auc", "roc_auc"), ("mcc", "matthews_corrcoef")])
def test_a_grid_of_penalties_gives_what_scikit_learns_nested_search_gives(metric: str, scoring: str) -> None:
    search = GridSearchCV(LogisticRegression(), {"C": GRID}, cv=Splitter(INNER), scoring=scoring)
    with one_thread():
        expected = cross_validate(search, X, Y, cv=Splitter(OUTER), scoring=scoring, return_estimator=True)
        probability = cross_val_predict(search, X, Y, cv=Splitter(OUTER), method="predict_proba")[:, 1]
    for workers in (1, None):
        found = nested_cross_validate(CANDIDATES, Y, OUTER, INNER, metric=metric, workers=workers)
        np.testing.assert_allclose(found.outer.scores[metric], expected["test_score"])
        assert found.chosen == tuple(f"C={one.best_params_['C']:g}" for one in expected["estimator"])
        for i, one in enumerate(expected["estimator"]):
            inner = [found.inner[name][i] for name in CANDIDATES]
            np.testing.assert_allclose(inner, one.cv_results_["mean_test_score"])
        np.testing.assert_allclose(found.outer.probability, probability)
        assert np.array_equal(found.outer.prediction, (probability > 0.5).astype(int))
        assert np.isnan(found.threshold).all()


@pytest.mark.parametrize("threshold", [None, "balanced_accuracy"])
def test_poisoned_labels_of_test_rows_change_no_choice_and_no_prediction(threshold: str | None) -> None:
    # The folds are given, since stratified ones depend on the labels.
    unit = np.arange(120) % 3
    split = SplitSpec(by="fold")
    clean = nested_cross_validate(CANDIDATES, Y, Division(split, unit), split, threshold=threshold, workers=1)
    for fold in range(3):
        test = unit == fold
        poisoned = np.where(test, 1 - Y, Y)
        found = nested_cross_validate(
            CANDIDATES, poisoned, Division(split, unit), split, threshold=threshold, workers=1
        )
        assert found.chosen[fold] == clean.chosen[fold]
        assert np.array_equal(found.threshold[fold], clean.threshold[fold], equal_nan=True)
        assert np.array_equal(found.outer.prediction[test], clean.outer.prediction[test])
        assert np.array_equal(found.outer.probability[test], clean.outer.probability[test])
        assert [found.inner[name][fold] for name in CANDIDATES] == [clean.inner[name][fold] for name in CANDIDATES]
    others = unit != 2
    assert not np.array_equal(found.outer.probability[others], clean.outer.probability[others]), "it can be seen"


def test_a_candidate_that_remembers_relatives_is_not_preferred() -> None:
    """Families of one label each: what remembers relatives is best on rows, and no better than chance on clusters."""
    generator = random.Random(1)
    sequences, label, signal = [], [], []
    for _ in range(60):
        parent, value = generator.choices(AMINO_ACIDS, k=60), generator.randrange(2)
        for _ in range(4):
            child = list(parent)
            child[generator.randrange(60)] = generator.choice(AMINO_ACIDS)
            sequences.append("".join(child))
            label.append(value)
            signal.append(value + generator.gauss(0, 1.2))
    y = np.array(label)
    letters = np.array([[AMINO_ACIDS.index(letter) for letter in one] for one in sequences])
    candidates = {
        "remembers": Candidate((letters[:, :, None] == np.arange(20)).reshape(240, -1), KNeighborsClassifier(3)),
        "learns": Candidate(np.array(signal)[:, None], LogisticRegression()),
    }
    rows = nested_cross_validate(candidates, y, SplitSpec(folds=5), SplitSpec(folds=4))
    assert set(rows.chosen) == {"remembers"}
    unit = cluster(sequences, 0.9)
    assert len(set(unit.tolist())) == 60
    split, inner = SplitSpec(folds=5, by="identity"), SplitSpec(folds=4, by="identity")
    clusters = nested_cross_validate(candidates, y, Division(split, unit), inner)
    assert set(clusters.chosen) == {"learns"}


def test_inner_folds_keep_together_what_outer_ones_do() -> None:
    seen: list[tuple[set[int], set[int]]] = []
    unit = np.arange(120) // 4

    class Spy(LogisticRegression):
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Spy":
            self.trained_ = {int(one) for one in X[:, -1]}
            return super().fit(X[:, :-1], y)

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            seen.append((self.trained_, {int(one) for one in X[:, -1]}))
            return super().predict_proba(X[:, :-1])

        def predict(self, X: np.ndarray) -> np.ndarray:
            return super().predict(X[:, :-1])

    named = np.column_stack([X, unit])
    for by in ("group", "family"):
        outer, inner = (
            (SplitSpec(by=by), SplitSpec(by=by))
            if by == "family"
            else (SplitSpec(by=by, folds=3), SplitSpec(by=by, folds=2))
        )
        groups = unit // 10 if by == "family" else unit
        seen.clear()
        nested_cross_validate({"spy": Candidate(named, Spy())}, Y, Division(outer, groups), inner, metric="accuracy")
        assert len(seen) == {"group": 3 * 2 + 3, "family": 3 * 2 + 3}[by]
        assert all(not trained & tested for trained, tested in seen)
    with pytest.raises(ValueError, match="both by identity at 0.9, not by antibody"):
        nested_cross_validate(CANDIDATES, Y, Division(SplitSpec(by="identity"), unit), INNER)
    with pytest.raises(ValueError, match=r"by identity at 0\.9, not by identity at 0\.8"):
        nested_cross_validate(
            CANDIDATES, Y, Division(SplitSpec(by="identity"), unit), SplitSpec(by="identity", identity=0.8)
        )


def test_layers_and_poolings_are_candidates_too() -> None:
    noise = GENERATOR.normal(size=X.shape)
    candidates = {
        "layer 1": Candidate(noise, LogisticRegression()),
        "layer 2": Candidate(X[:, :5], LogisticRegression()),
        "layer 2 by knn": Candidate(noise[:, :2], KNeighborsClassifier(3)),
    }
    found = nested_cross_validate(candidates, Y, OUTER, INNER)
    assert set(found.chosen) == {"layer 2"}
    assert {name: values.shape for name, values in found.inner.items()} == dict.fromkeys(candidates, (5,))


def test_the_first_of_equals_is_chosen() -> None:
    one = Candidate(X, LogisticRegression())
    assert set(nested_cross_validate({"b": one, "a": one}, Y, OUTER, INNER).chosen) == {"b"}


def test_the_threshold_is_that_of_inner_out_of_fold_probabilities() -> None:
    label = (X[:, 0] > 1).astype(np.int64)  # one in six
    found = nested_cross_validate(
        {"only": Candidate(X[:, :3], LogisticRegression(C=0.1))}, label, OUTER, INNER, threshold="balanced_accuracy"
    )
    plain = nested_cross_validate({"only": Candidate(X[:, :3], LogisticRegression(C=0.1))}, label, OUTER, INNER)
    assert (found.threshold < 0.5).all()
    for i, (train, test) in enumerate(Splitter(OUTER).split(X, label)):
        with one_thread():
            probability = cross_val_predict(
                LogisticRegression(C=0.1), X[train, :3], label[train], cv=Splitter(INNER), method="predict_proba"
            )[:, 1]
        assert found.threshold[i] == pytest.approx(best_threshold(label[train], probability))
        assert np.array_equal(found.outer.prediction[test], found.outer.probability[test] >= found.threshold[i])
    assert np.array_equal(found.outer.probability, plain.outer.probability)
    assert found.outer.scores["balanced_accuracy"].mean() > plain.outer.scores["balanced_accuracy"].mean()


def test_a_rule_of_ones_own_gives_the_threshold() -> None:
    sizes = []

    def rule(label: np.ndarray, probability: np.ndarray) -> float:
        sizes.append((len(label), len(probability)))
        return 0.7

    found = nested_cross_validate(CANDIDATES, Y, OUTER, SplitSpec(folds=3, repeats=2), threshold=rule)
    assert found.threshold.tolist() == [0.7] * 5
    assert sizes == [(192, 192)] * 5
    assert np.array_equal(found.outer.prediction, found.outer.probability >= 0.7)


def test_repeats_have_a_column_each() -> None:
    found = nested_cross_validate(CANDIDATES, Y, SplitSpec(folds=3, repeats=2), SplitSpec(folds=3))
    assert found.outer.probability.shape == (120, 2)
    assert len(found.chosen) == len(found.threshold) == 6


def test_units_beside_the_split_still_work_with_a_warning() -> None:
    unit = np.arange(len(Y)) // 2
    spec = SplitSpec(folds=4, by="group")
    with pytest.warns(DeprecationWarning, match="Division"):
        old = nested_cross_validate(CANDIDATES, Y, spec, spec, unit=unit)
    assert old.chosen == nested_cross_validate(CANDIDATES, Y, Division(spec, unit), spec).chosen


def test_nothing_to_choose_from_and_nothing_to_choose_by_are_errors() -> None:
    with pytest.raises(ValueError, match="no candidates"):
        nested_cross_validate({}, Y, OUTER, INNER)
    candidates, split = {"only": Candidate(X[:24], LogisticRegression())}, SplitSpec(by="fold")
    label, unit = np.repeat([0, 1, 0, 1], 2), np.repeat(np.arange(4), 2)
    with pytest.raises(DatasetError, match="without fold 2 every label is 1"):
        nested_cross_validate(candidates, label, Division(split, unit), split)
    label, unit = np.repeat([0, 1] * 3, 2), np.repeat(np.arange(6), 2)
    with pytest.raises(DatasetError, match="roc_auc is defined on no inner fold"):
        nested_cross_validate(candidates, label, Division(split, unit), split)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=2, max_size=30))
def test_no_threshold_is_better_than_the_best(rows: list[tuple[int, int]]) -> None:
    label = np.array([one for one, _ in rows])
    assume(0 < label.sum() < len(label))
    probability = np.array([value / 10 for _, value in rows])

    def accuracy(cut: float) -> float:
        called = probability >= cut
        return float(called[label == 1].mean() + (~called)[label == 0].mean())

    found = best_threshold(label, probability)
    cuts = [*(np.arange(21) / 20 + 0.001), 0, 1.001]
    assert accuracy(found) == pytest.approx(max(map(accuracy, cuts)))


def test_a_threshold_of_one_class_is_an_error() -> None:
    with pytest.raises(DatasetError, match="both classes"):
        best_threshold(np.array([1, 1]), np.array([0.2, 0.8]))
