import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from antibody_esm import Dataset, DatasetError, SplitSpec
from antibody_esm.data.identity import cluster
from antibody_esm.evaluation import cross_validation
from antibody_esm.evaluation.splits import Division, IdentityKFold, Splitter
from antibody_esm.sequences import AMINO_ACIDS
from effort import examples


@given(st.integers(2, 6), st.integers(6, 40), st.integers(6, 40), st.booleans(), st.integers(0, 5))
def test_every_row_is_tested_once_and_classes_are_spread(
    n_folds: int, negatives: int, positives: int, shuffle: bool, seed: int
) -> None:
    label = np.array([0] * negatives + [1] * positives)
    made = Division(SplitSpec(folds=n_folds, shuffle=shuffle, random_state=seed)).folds(label)
    assert len(made) == n_folds
    assert sorted(np.concatenate([test for _, test in made]).tolist()) == list(range(len(label)))
    for train, test in made:
        assert sorted([*train, *test]) == list(range(len(label)))
        assert abs(label[test].sum() - positives / n_folds) <= 1


def test_the_seed_decides_and_nothing_else() -> None:
    label = np.array([0, 1] * 20)

    def tested(seed: int) -> list[list[int]]:
        return [test.tolist() for _, test in Division(SplitSpec(folds=4, random_state=seed)).folds(label)]

    assert tested(0) == tested(0) != tested(1)


def test_a_class_smaller_than_the_number_of_folds_is_an_error_that_says_so() -> None:
    with pytest.raises(DatasetError, match=r"10 folds need at least 10 .* class 1 has 7\. Set split.folds lower"):
        Division(SplitSpec()).folds(np.array([0] * 30 + [1] * 7))


def test_the_default_is_scikit_learns_stratified_k_fold() -> None:
    label = np.random.default_rng(0).integers(0, 2, 100)
    for spec, splitter in (
        (SplitSpec(random_state=5), StratifiedKFold(10, shuffle=True, random_state=5)),
        (SplitSpec(shuffle=False), StratifiedKFold(10)),
    ):
        for (train, test), (expected_train, expected_test) in zip(
            Division(spec).folds(label), splitter.split(label, label), strict=True
        ):
            assert train.tolist() == expected_train.tolist()
            assert test.tolist() == expected_test.tolist()


@pytest.mark.parametrize("by", ["antibody", "identity", "group"])
def test_repeats_begin_with_the_folds_of_one_and_test_every_row_once_each(by: str) -> None:
    label = np.array([0, 1] * 30)
    unit = None if by == "antibody" else np.arange(60) // 2
    once = Division(SplitSpec(folds=3, by=by), unit).folds(label)
    many = Division(SplitSpec(folds=3, by=by, repeats=4), unit).folds(label)
    assert [test.tolist() for _, test in many[:3]] == [test.tolist() for _, test in once]
    partitions = [
        frozenset(frozenset(test.tolist()) for _, test in many[start : start + 3]) for start in range(0, 12, 3)
    ]
    assert len(set(partitions)) == 4
    assert all(frozenset.union(*one) == frozenset(range(60)) for one in partitions)


# By identity


def relatives(count: int, parents: int, generator: random.Random, length: int = 110) -> list[str]:
    """Sequences of families of very different sizes, relatives of 86 to 100 % identity; some are there twice."""
    families = [generator.choices(AMINO_ACIDS, k=length + generator.randrange(-5, 15)) for _ in range(parents)]
    weights = [1 / (1 + number) for number in range(parents)]
    found = []
    for parent in generator.choices(families, weights, k=count):
        child = list(parent)
        for _ in range(generator.randrange(8)):
            place = generator.randrange(len(child))
            child[place : place + 1] = generator.choices(AMINO_ACIDS, k=generator.randrange(3))
        found.append("".join(child))
    return found


def divided(sequences: list[str], fold: NDArray[np.int64], identity: float) -> int:
    """Return how many pairs at or above an identity stand in two folds; every pair is aligned."""
    lengths = np.array([len(one) for one in sequences])
    found = 0
    for start in range(0, len(sequences), 500):
        rows = slice(start, start + 500)
        allowed = np.floor((1 - identity) * np.minimum.outer(lengths[rows], lengths) + 1e-9)
        most = int(allowed.max())
        distance = cdist(
            sequences[rows], sequences, scorer=Levenshtein.distance, score_cutoff=most, dtype=np.int16, workers=-1
        )
        found += int(((distance <= allowed) & (fold[rows, None] != fold)).sum())
    return found // 2


@pytest.mark.parametrize(("count", "parents", "identity"), [(5000, 1500, 0.9), (1500, 400, 0.95), (1500, 400, 0.8)])
def test_no_pair_at_the_threshold_stands_in_two_folds(count: int, parents: int, identity: float) -> None:
    """Exhaustively: all 12.5 million pairs of five thousand sequences."""
    generator = random.Random(count)
    sequences = relatives(count, parents, generator)
    label = np.array([generator.randrange(2) for _ in sequences])
    fold = np.empty(count, np.int64)
    for number, (train, test) in enumerate(IdentityKFold(10, identity=identity).split(sequences, label)):
        fold[test] = number
        assert len(train) + len(test) == count
    assert divided(sequences, fold, identity) == 0
    by_antibody = np.empty(count, np.int64)
    for number, (_, test) in enumerate(Division(SplitSpec()).folds(label)):
        by_antibody[test] = number
    assert divided(sequences[:1000], by_antibody[:1000], identity) > 0, "the check can fail"


@given(
    st.lists(st.text("ACDX", min_size=1, max_size=12), min_size=8, max_size=25),
    st.floats(0.5, 1),
    st.integers(2, 4),
    st.integers(0, 3),
    st.data(),
)
@examples(200)
def test_relatives_and_duplicates_stay_together_and_both_classes_are_in_every_fold(
    sequences: list[str], identity: float, n_folds: int, seed: int, data: st.DataObject
) -> None:
    label = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(sequences), max_size=len(sequences))))
    assume(0 < label.sum() < len(label))
    splitter = IdentityKFold(n_folds, identity=identity, random_state=seed)
    clusters = cluster(sequences, identity)
    fewest = min(len(set(clusters[label == value].tolist())) for value in (0, 1))
    if fewest < n_folds:
        with pytest.raises(DatasetError, match=f"{n_folds} folds need at least {n_folds} identity clusters") as error:
            list(splitter.split(sequences, label))
        assert ("Set split.folds lower" in str(error.value)) == (n_folds > 2)
        return
    made = list(splitter.split(sequences, label))
    fold = np.full(len(sequences), -1)
    for number, (train, test) in enumerate(made):
        assert (fold[test] == -1).all()
        fold[test] = number
        assert set(label[test]) == set(label[train]) == {0, 1}
        assert not set(train) & set(test)
    for i, one in enumerate(sequences):
        for j, other in enumerate(sequences[:i]):
            if Levenshtein.distance(one, other) <= int((1 - identity) * min(len(one), len(other)) + 1e-9):
                assert fold[i] == fold[j]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("positives", [0.1, 0.5])
def test_grouped_folds_are_as_stratified_as_those_of_scikit_learn(seed: int, positives: float) -> None:
    generator = np.random.default_rng(seed)
    sizes = np.minimum(generator.geometric(0.3, 300) ** 2, 60)
    unit = np.repeat(np.arange(300), sizes)
    tendency = generator.beta(0.5, 0.5 * (1 / positives - 1), 300)  # relatives often have one label
    label = (generator.random(len(unit)) < tendency[unit]).astype(np.int64)

    def unevenness(made: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> float:
        shares = [[(label[test] == value).sum() / (label == value).sum() for value in (0, 1)] for _, test in made]
        return float(np.std(shares, axis=0).mean())

    ours = Division(SplitSpec(by="group", random_state=seed), unit).folds(label)
    theirs = StratifiedGroupKFold(10, shuffle=True, random_state=seed).split(label, label, unit)
    assert unevenness(ours) <= unevenness(list(theirs)) + 1e-3


def test_both_classes_are_in_every_fold_wherever_clusters_allow_it() -> None:
    # Four positives lie in four clusters, two of them in large ones: balance alone would lay two into one fold.
    unit = np.array([0] * 30 + [1] * 20 + [2, 3] + list(range(4, 14)))
    label = np.zeros(len(unit), np.int64)
    label[[0, 30, 50, 51]] = 1
    for seed in range(20):
        for _, test in Division(SplitSpec(folds=4, by="group", random_state=seed), unit).folds(label):
            assert set(label[test]) == {0, 1}


@given(st.integers(2, 5), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12))
@examples(500)
def test_classes_that_can_be_in_every_fold_are(n_folds: int, sizes: list[tuple[int, int]]) -> None:
    sizes = [one for one in sizes if sum(one)]
    unit = np.repeat(np.arange(len(sizes)), [sum(one) for one in sizes])
    label = np.array([value for one in sizes for value in [0] * one[0] + [1] * one[1]])
    assume(all(sum(one[value] > 0 for one in sizes) >= n_folds for value in (0, 1)))
    for shuffle in (True, False):
        for _, test in Division(SplitSpec(folds=n_folds, by="group", shuffle=shuffle), unit).folds(label):
            assert set(label[test]) == {0, 1}


def test_too_few_clusters_are_an_error_that_says_what_to_do() -> None:
    sequences = ["EVQLVESGGG"] * 20 + ["DIQMTQSPSS"] * 20 + ["QSALTQPPSA"]
    label = np.array([0] * 20 + [1] * 21)
    with pytest.raises(
        DatasetError,
        match=r"3 folds need at least 3 identity clusters with antibodies of each class; class 0 has 1\. "
        r"Set split\.folds lower or split\.identity higher",
    ):
        list(IdentityKFold(3).split(sequences, label))


# By family and by fold

FAMILIES = np.array(["HIV"] * 10 + ["flu"] * 6 + ["mouse"] * 4)
LABEL = np.array([0, 1] * 5 + [0, 1] * 3 + [1] * 4)


def test_a_family_is_left_out_at_a_time_in_the_order_of_names() -> None:
    made = Division(SplitSpec(by="family"), FAMILIES).folds(LABEL)
    assert [set(FAMILIES[test]) for _, test in made] == [{"HIV"}, {"flu"}, {"mouse"}]
    for train, test in made:
        assert not set(FAMILIES[train]) & set(FAMILIES[test])
        assert sorted([*train, *test]) == list(range(20))


def test_a_rest_without_one_class_or_one_family_alone_is_an_error() -> None:
    with pytest.raises(DatasetError, match="without family A every label is 1"):
        Division(SplitSpec(by="family"), np.array(["A", "A", "B", "B"])).folds(np.array([0, 1, 1, 1]))
    with pytest.raises(DatasetError, match="all antibodies are of A"):
        Division(SplitSpec(by="family"), np.array(["A", "A"])).folds(np.array([0, 1]))


def test_units_come_from_the_data() -> None:
    heavy = ["EVQLVESGGG", "EVQLVQSGGG", "DIQMTQSPSS", "DIQMTQSPSS"]
    data = Dataset(
        ids=["a", "b", "c", "d"],
        heavy=heavy,
        label=[0, 1, 0, 1],
        groups=["x", "y", "y", "x"],
        measurements={"fold": [10, 2, 2, 10]},
    )

    def unit_of(spec: SplitSpec) -> list[object]:
        unit = Division.of(spec, data).unit
        assert unit is not None
        return list(unit.tolist())

    assert Division.of(SplitSpec(), data).unit is None
    assert unit_of(SplitSpec(by="identity")) == [0, 0, 1, 1]
    assert unit_of(SplitSpec(by="identity", identity=0.95)) == [0, 1, 2, 2]
    assert unit_of(SplitSpec(by="group")) == unit_of(SplitSpec(by="family")) == [*"xyyx"]
    spec = SplitSpec(by="fold")
    made = Division.of(spec, data).folds(data.binary_labels())
    assert [test.tolist() for _, test in made] == [[1, 2], [0, 3]], "by their number, not as text"


def test_data_without_what_a_split_needs_are_an_error_that_says_what_to_do() -> None:
    data = Dataset(ids=["a", "b"], heavy=["EV", "QV"], label=[0, 1])
    for by, message in (
        ("group", "name their column with groups="),
        ("family", "groups="),
        ("fold", "split.by=family"),
    ):
        with pytest.raises(DatasetError, match=message):
            Division.of(SplitSpec(by=by), data)


@pytest.mark.parametrize("wrong", [np.nan, -1, 0.5])
def test_a_fold_that_is_no_number_of_a_fold_is_an_error(wrong: float) -> None:
    data = Dataset(ids=["a", "b"], heavy=["EV", "QV"], label=[0, 1], measurements={"fold": [0, wrong]})
    with pytest.raises(DatasetError, match="in row 2 .index 1. it is"):
        Division.of(SplitSpec(by="fold"), data)


@pytest.mark.parametrize("by", ["identity", "group", "family", "fold"])
def test_a_split_of_units_never_falls_back_to_rows(by: str) -> None:
    with pytest.raises(ValueError, match=f"a split by {by} needs the unit of each row"):
        Division(SplitSpec(by=by))
    with pytest.raises(ValueError, match=f"a split by {by} needs the unit of each row"):
        cross_validation.cross_validate(LogisticRegression(), np.zeros((len(LABEL), 1)), LABEL, SplitSpec(by=by))
    with pytest.raises(ValueError, match="a split by antibody takes no units"):
        Division(SplitSpec(), FAMILIES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"identity": 0.8}, "requires by='identity'"),
        ({"by": "group", "identity": 0.8}, "requires by='identity'"),
        ({"by": "family", "folds": 5}, "does not allow folds"),
        ({"by": "fold", "repeats": 2, "random_state": 1}, "does not allow random_state, repeats"),
        ({"shuffle": False, "repeats": 2}, "the same in every repeat"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SplitSpec(**fields)


# As scikit-learn splitters

GENERATOR = random.Random(0)
SEQUENCES = relatives(120, 40, GENERATOR, length=20)
Y = np.array([GENERATOR.choice(["no", "yes"]) for _ in SEQUENCES])
X = np.random.default_rng(0).normal(size=(120, 3)) + (Y == "yes")[:, None]


class Letters(TransformerMixin, BaseEstimator):
    """How often a letter occurs; stands for anything that reads sequences."""

    def fit(self, X: list[str], y: object = None) -> "Letters":
        return self

    def transform(self, X: list[str]) -> NDArray[np.float64]:
        return np.array([[one.count(letter) for letter in AMINO_ACIDS] for one in X], np.float64)


@pytest.mark.parametrize(
    ("splitter", "groups"),
    [
        (Splitter(), None),
        (Splitter(SplitSpec(folds=3, repeats=2)), None),
        (IdentityKFold(3, n_repeats=2), SEQUENCES),
        (Splitter(SplitSpec(folds=3, by="group")), [str(i % 40) for i in range(120)]),
        (Splitter(SplitSpec(by="family")), ["a", "b", "c"] * 40),
        (Splitter(SplitSpec(by="fold")), [0, 1, 2, 3] * 30),
    ],
    ids=["antibody", "repeated", "identity", "group", "family", "fold"],
)
def test_every_split_works_in_scikit_learn(splitter: Splitter, groups: list[object] | None) -> None:
    n = splitter.get_n_splits(X, Y, groups)
    assert len(list(splitter.split(X, Y, groups))) == n
    found = cross_validate(LogisticRegression(), X, Y, cv=splitter, groups=groups, scoring="roc_auc")
    assert found["test_score"].shape == (n,)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=splitter, scoring="roc_auc")
    search.fit(X, Y, groups=groups)
    assert search.n_splits_ == n
    if splitter.spec.repeats == 1:
        assert len(cross_val_predict(LogisticRegression(), X, Y, cv=splitter, groups=groups)) == 120


def test_sequences_may_be_x_and_then_nested_searches_need_no_groups() -> None:
    model = make_pipeline(Letters(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1]}, cv=IdentityKFold(3), scoring="roc_auc")
    found = cross_validate(search, np.array(SEQUENCES), Y, cv=IdentityKFold(4), scoring="roc_auc")
    assert np.isfinite(found["test_score"]).all()


def test_a_splitter_without_groups_or_with_three_classes_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs groups"):
        list(IdentityKFold(3).split(X, Y))
    with pytest.raises(DatasetError, match="two classes, got 3"):
        list(Splitter().split(X, [0, 1, 2] * 40))


def test_a_splitter_can_be_written_down() -> None:
    splitter = IdentityKFold(3, identity=0.8)
    assert repr(splitter) == "Splitter(SplitSpec(folds=3, by='identity', identity=0.8))"
    assert eval(repr(splitter)).spec == splitter.spec  # noqa: S307
