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
    BaselineName,
    baseline,
    cross_validate_baselines,
    fit_baselines,
)
from antibody_esm.evaluation.by_position import GERMLINE_FEATURES, germline_distance, residues_by_position
from antibody_esm.evaluation.nearest import NearestSequence
from antibody_esm.evaluation.nested import Candidate, nested_cross_validate
from antibody_esm.evaluation.splits import IdentityKFold
from antibody_esm.numbering import NANOBODY_SPECIES
from antibody_esm.numbering import number as number_chains
from antibody_esm.numbering.germline import germline_of
from antibody_esm.sequences import AMINO_ACIDS
from chains import HEAVY, LIGHT, LINKER, NANOBODY, mutants
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


def test_loops_without_a_domain_lack_the_baselines_of_numbered_antibodies_and_say_why() -> None:
    numbered = ("germline", "germline_distance", "positions")
    results = cross_validate_baselines(LOOPS, SplitSpec(folds=3), ["length", *numbered])
    assert set(results.found) == {"length"}
    assert results.absent == dict.fromkeys(numbered, "no variable domain is recognised in any sequence")
    fitted = fit_baselines(LOOPS, ["length", *numbered])
    assert set(fitted.fitted) == {"length"}
    assert set(fitted.score(LOOPS).absent) == set(numbered)


def test_a_row_without_a_germline_gene_is_unknown_and_no_crash() -> None:
    data = Dataset(
        ids=[str(i) for i in range(44)],
        heavy=[*(one for one in DOMAINS.sequences), *(["GFTFSSYAISGSGGST"] * 4)],
        label=[*DOMAINS.binary_labels().tolist(), 0, 1, 0, 1],
    )
    names = ("germline", "germline_distance", "positions")
    results = cross_validate_baselines(data, SplitSpec(folds=4), names)
    assert all(np.isfinite(results.found[name].probability).all() for name in names)


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
        assert repr(rows[0].tolist()) == repr(rows[1].tolist()), name  # NaN is NaN


def test_scores_on_another_set_are_those_of_a_fit_on_all_of_the_first() -> None:
    train, test = LOOPS.subset(range(0, 358, 2)), LOOPS.subset(range(1, 358, 2))
    found = fit_baselines(train).score(test).found
    assert list(found) == [name for name in BASELINES if name not in ("germline", "germline_distance", "positions")]
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


# Numbered antibodies

LIGHT_ROW = len(GERMLINE_FEATURES)


def test_mutations_are_counted_by_region_and_identity_falls_with_each() -> None:
    """Residues that were put back to the germline are no mutations any more."""
    [row] = germline_distance([HEAVY])
    assert np.isnan(row[LIGHT_ROW:]).all()
    (domains,) = number_chains([HEAVY])
    germline = germline_of(domains[0])
    reverted = "".join(residue if gene in (None, "-") else gene for gene, residue in zip(germline, HEAVY, strict=True))
    [back] = germline_distance([reverted])
    assert row[2] == row[3] + row[4] > 10
    inserted = germline.count("-")  # in CDR2
    assert back[2:5].tolist() == [inserted, 0, inserted]
    assert row[0] < 0.9
    assert back[0] > 0.98  # the V gene ends within CDR3
    place = 20  # framework 1
    mutant = reverted[:place] + ("W" if reverted[place] != "W" else "A") + reverted[place + 1 :]
    assert germline_distance([mutant])[0, 2:5].tolist() == [inserted + 1, 1, inserted]


def test_a_residue_stands_at_its_position_whatever_the_lengths_before_it() -> None:
    begin = HEAVY.index("GFNIKDTY")
    shorter = HEAVY[: begin + 4] + HEAVY[begin + 5 :]
    first, second = residues_by_position([HEAVY, shorter])
    changed = first.keys() ^ second.keys()
    assert changed, "one residue of CDR1 is a gap"
    assert {int(name[1:].split("=")[0].rstrip("ABC")) for name in changed} <= set(range(27, 39))
    assert sum(name.endswith("=-") for name in second) == sum(name.endswith("=-") for name in first) + 1
    assert len(first) == 128 + sum(not name[1:].split("=")[0].isdecimal() for name in first)


@pytest.mark.parametrize("name", ["germline_distance", "positions"])
def test_pairs_have_the_features_of_each_chain_side_by_side(name: BaselineName) -> None:
    features = baseline(name).features
    heavy, light, pair = (features([text])[0] for text in (HEAVY, LIGHT, f"{HEAVY}|{LIGHT}"))
    joined = features([HEAVY + LINKER + LIGHT])[0]
    if name == "positions":
        assert pair == heavy | light == joined
        assert {key[0] for key in pair} == {"H", "L"}
    else:
        both = np.where(np.isnan(heavy), light, heavy)
        assert np.array_equal(pair, both)
        assert np.array_equal(joined, both)


def test_nanobodies_are_numbered_by_the_species_of_the_data() -> None:
    of_alpaca, of_human = (germline_distance([NANOBODY], species=species) for species in (("alpaca",), ("human",)))
    assert not np.array_equal(of_alpaca, of_human, equal_nan=True)
    data = Dataset(["a", "b", "c", "d"], mutants(NANOBODY, 4, 3), label=[0, 1, 0, 1], species=NANOBODY_SPECIES)
    fitted = fit_baselines(data, ["germline_distance", "positions"])
    expected = germline_distance(data.sequences, species=NANOBODY_SPECIES)
    assert np.array_equal(fitted.fitted["germline_distance"].features(data.sequences), expected, equal_nan=True)


def test_an_unknown_residue_is_neither_a_residue_nor_a_gap() -> None:
    unknown = HEAVY[:20] + "X" + HEAVY[21:]
    before, after = (set(each) for each in residues_by_position([HEAVY, unknown]))
    assert after < before
    assert len(before - after) == 1
    assert germline_distance([unknown])[0, 2] <= germline_distance([HEAVY])[0, 2]


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
