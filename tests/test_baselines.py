import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from antibody_esm import Dataset, DatasetError, SplitSpec, load_dataset
from antibody_esm.data.identity import identity
from antibody_esm.descriptors import net_charge
from antibody_esm.evaluation.baselines import (
    BASELINES,
    baseline,
    cross_validate_baselines,
    fit_baselines,
)
from antibody_esm.evaluation.nearest import NearestSequence
from antibody_esm.evaluation.nested import Candidate, nested_cross_validate
from antibody_esm.evaluation.splits import IdentityKFold
from antibody_esm.sequences import AMINO_ACIDS
from chains import HEAVY, NANOBODY
from effort import examples

LOOPS = load_dataset("boughter_flu_cdrs")


def relatives(count: int, seed: int = 0) -> Dataset:
    """Whole heavy domains, some of two germline genes, that differ in a few residues of their loops."""
    generator = random.Random(seed)
    heavy, label = [], []
    for _ in range(count):
        parent = generator.choice([HEAVY, NANOBODY])
        place = generator.randrange(98, 106)
        heavy.append(parent[:place] + "".join(generator.choices(AMINO_ACIDS, k=4)) + parent[place + 4 :])
        label.append(int(generator.random() < (0.7 if parent == HEAVY else 0.3)))
    return Dataset(ids=[str(i) for i in range(count)], heavy=heavy, label=label)


DOMAINS = relatives(40)


@pytest.fixture(scope="module", autouse=True)
def _quiet_numbering() -> None:
    """Number the chains once, so that no test counts that as its own time."""
    baseline("germline").features(DOMAINS.sequences)


def test_every_baseline_is_on_the_folds_of_the_split() -> None:
    results = cross_validate_baselines(DOMAINS, SplitSpec(folds=4, random_state=2))
    assert tuple(results.found) == BASELINES
    assert results.absent == {}
    label = DOMAINS.binary_labels()
    splitter = StratifiedKFold(4, shuffle=True, random_state=2)
    for found in results.found.values():
        assert found.scores["roc_auc"].shape == (4,)
        for number, (_, test) in enumerate(splitter.split(label, label)):
            assert (found.fold[test] == number).all()
        assert ((found.probability >= 0) & (found.probability <= 1)).all()


def test_a_number_is_learnt_from_by_scaled_logistic_regression() -> None:
    results = cross_validate_baselines(LOOPS, SplitSpec(folds=5), ["net_charge"])
    X = net_charge(LOOPS.sequences)[:, None]
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=10_000))
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_predict(model, X, LOOPS.binary_labels(), cv=splitter, method="predict_proba")[:, 1]
    np.testing.assert_allclose(results.found["net_charge"].probability, expected)


def test_the_majority_knows_the_share_of_the_training_rows_and_nothing_else() -> None:
    label = [1] * 30 + [0] * 10
    data = Dataset(ids=[str(i) for i in range(40)], heavy=["EVQLV"] * 40, label=label)
    found = cross_validate_baselines(data, SplitSpec(folds=5), ["majority"]).found["majority"]
    assert found.prediction.tolist() == [1] * 40
    assert found.probability.tolist() == [0.75] * 40
    assert found.scores["roc_auc"].tolist() == [0.5] * 5
    assert found.scores["accuracy"].tolist() == [0.75] * 5


def test_loops_without_a_germline_gene_lack_that_baseline_and_say_why() -> None:
    results = cross_validate_baselines(LOOPS, SplitSpec(folds=3), ["length", "germline"])
    assert set(results.found) == {"length"}
    assert "no variable domain is recognised" in results.absent["germline"]
    fitted = fit_baselines(LOOPS, ["length", "germline"])
    assert set(fitted.fitted) == {"length"}
    assert set(fitted.score(LOOPS).absent) == {"germline"}


def test_a_row_without_a_germline_gene_is_unknown_and_no_crash() -> None:
    data = Dataset(
        ids=[str(i) for i in range(44)],
        heavy=[*(one for one in DOMAINS.sequences), *(["GFTFSSYAISGSGGST"] * 4)],
        label=[*DOMAINS.binary_labels().tolist(), 0, 1, 0, 1],
    )
    results = cross_validate_baselines(data, SplitSpec(folds=4), ["germline"])
    assert np.isfinite(results.found["germline"].probability).all()


def test_a_gene_that_training_rows_have_not_says_nothing() -> None:
    train = DOMAINS.subset([i for i, one in enumerate(DOMAINS.sequences) if one.startswith("EVQ")])
    other = Dataset(ids=["a", "b"], heavy=[NANOBODY, NANOBODY.replace("YAM", "YVM")], label=[0, 1])
    found = fit_baselines(train, ["germline"]).score(other).found["germline"]
    assert found.probability[0] == found.probability[1]


def test_nothing_is_fitted_on_the_rows_that_are_tested() -> None:
    """Flipping the labels of the rows of one fold moves no prediction of theirs."""
    fold = np.arange(40) % 4
    label = DOMAINS.binary_labels()

    def found(label: np.ndarray) -> dict[str, np.ndarray]:
        data = Dataset(ids=DOMAINS.ids, heavy=DOMAINS.heavy, label=label, measurements={"fold": fold})
        results = cross_validate_baselines(data, SplitSpec(by="fold"))
        return {name: one.probability for name, one in results.found.items()}

    clean, poisoned = found(label), found(np.where(fold == 0, 1 - label, label))
    for name in BASELINES:
        assert np.array_equal(clean[name][fold == 0], poisoned[name][fold == 0]), name
        assert not np.array_equal(clean[name][fold != 0], poisoned[name][fold != 0]), f"{name}: it can be seen"


def test_rows_of_features_depend_on_their_own_sequence_alone() -> None:
    for name in BASELINES:
        features = baseline(name).features
        together, alone = features(DOMAINS.sequences), features(DOMAINS.sequences[3:4])
        rows = [one.toarray() if hasattr(one, "toarray") else one for one in (together[[3]], alone)]
        assert np.array_equal(*rows), name


def test_scores_on_another_set_are_those_of_a_fit_on_all_of_the_first() -> None:
    train, test = LOOPS.subset(range(0, 358, 2)), LOOPS.subset(range(1, 358, 2))
    found = fit_baselines(train).score(test).found
    assert list(found) == [name for name in BASELINES if name != "germline"]
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=10_000))
    model.fit(net_charge(train.sequences)[:, None], train.binary_labels())
    expected = model.predict_proba(net_charge(test.sequences)[:, None])[:, 1]
    np.testing.assert_allclose(found["net_charge"].probability, expected)
    for one in found.values():
        assert one.scores["accuracy"] == pytest.approx((one.prediction == test.binary_labels()).mean())
    assert found["majority"].scores["roc_auc"] == 0.5


def test_sequences_of_another_chain_or_fragment_are_refused() -> None:
    fitted = fit_baselines(LOOPS, ["length"])
    light = Dataset(ids=["a", "b"], light=["EV", "QV"], label=[0, 1], chain="light")
    with pytest.raises(DatasetError, match="cannot be scored on light ones"):
        fitted.score(light)
    with pytest.raises(DatasetError, match="no labels"):
        fit_baselines(Dataset(ids=["a"], heavy=["EV"]))


def test_a_name_that_is_none_is_an_error_that_names_them() -> None:
    with pytest.raises(ValueError, match="choose one of majority, length"):
        baseline("weight")  # type: ignore[arg-type]  # as somebody without a type checker may


def test_baselines_can_be_chosen_among_in_nested_cross_validation() -> None:
    names = ("length", "kmers", "nearest_neighbour")
    made = {name: baseline(name) for name in names}
    candidates = {name: Candidate(one.features(DOMAINS.sequences), one.classifier) for name, one in made.items()}
    found = nested_cross_validate(candidates, DOMAINS.binary_labels(), SplitSpec(folds=3), SplitSpec(folds=2))
    assert set(found.chosen) <= set(names)


# The nearest sequence


@given(
    st.lists(st.tuples(st.text("ACD", min_size=1, max_size=8), st.integers(0, 1)), min_size=2, max_size=12),
    st.lists(st.text("ACD", min_size=1, max_size=8), min_size=1, max_size=5),
)
@examples(60)
def test_the_nearest_give_their_mean_label(training: list[tuple[str, int]], queries: list[str]) -> None:
    training = [*training, ("A", 0), ("C", 1)]
    sequences, label = [one for one, _ in training], np.array([value for _, value in training])
    fitted = NearestSequence().fit(np.array(sequences, object), label)
    found = fitted.predict_proba(np.array(queries, object))
    for row, query in zip(found, queries, strict=True):
        same = np.array([identity(query, one) for one in sequences])
        assert row[1] == pytest.approx(label[same == same.max()].mean())
        assert row.sum() == pytest.approx(1)
    assert np.array_equal(fitted.predict(np.array(queries, object)), (found[:, 1] > 0.5).astype(int))


def test_the_nearest_sequence_is_a_scikit_learn_classifier_of_any_two_classes() -> None:
    label = np.where(LOOPS.binary_labels() == 1, "poly", "mono")
    X = np.array(LOOPS.sequences, object)
    assert cross_val_score(clone(NearestSequence()), X, label, cv=IdentityKFold(5), scoring="roc_auc").mean() > 0.4
    assert NearestSequence().fit(X, label).predict(X[:3]).tolist() == ["mono"] * 3
    with pytest.raises(NotFittedError):
        NearestSequence().predict(X)
    with pytest.raises(ValueError, match="two classes are needed, got 1"):
        NearestSequence().fit(X, ["mono"] * len(X))


def test_public_sets_have_every_baseline_and_no_warning(published: Path) -> None:
    train, memory_cells = load_dataset("jain"), load_dataset("shehata")
    rows = [*np.flatnonzero(memory_cells.binary_labels()), *range(40)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = cross_validate_baselines(train, SplitSpec(folds=3, by="identity", repeats=2))
        scores = fit_baselines(train).score(memory_cells.subset(rows))
    assert set(results.found) == set(scores.found) == set(BASELINES)
    assert all(one.probability.shape == (137, 2) for one in results.found.values())
    assert results.found["isoelectric_point"].scores["roc_auc"].mean() > 0.6, "charge tells something"
