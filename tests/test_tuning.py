"""A choice is made on training rows alone; units stay together; kept results are those of the same numbers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV

from antibody_esm import DatasetError, DescriptorSpec, SplitSpec, TuneSpec, load_dataset
from antibody_esm.descriptors import describe
from antibody_esm.evaluation.nested import Candidate, nested_cross_validate
from antibody_esm.evaluation.splits import Division
from antibody_esm.evaluation.tuned import Selection
from antibody_esm.evaluation.tuning import Procedure, Tunable, digest_of, inner_folds
from antibody_esm.result_cache import ResultFolder
from effort import STRESS, examples
from peers import one_thread

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(90, 12))
Y = (X[:, 0] + GENERATOR.normal(size=90) > 0.2).astype(np.int64)
VALUE = X[:, 0] + GENERATOR.normal(size=90)
GRID = (0.001, 0.1, 10.0)
OF_CLASSES = [Tunable(0, LogisticRegression(C=C), f"C={C}", {"C": str(C)}) for C in GRID]
OF_VALUES = [Tunable(0, Ridge(alpha=alpha), f"alpha={alpha}", {"alpha": str(alpha)}) for alpha in GRID]
TUNE = TuneSpec(grid={"classifier.C": GRID}, folds=3)
FOLDS = SplitSpec(by="fold")


def procedure(tune: TuneSpec = TUNE, *, continuous: bool = False, **options: Any) -> Procedure:
    candidates, label = (OF_VALUES, VALUE) if continuous else (OF_CLASSES, Y)
    fields: dict[str, Any] = {"candidates": candidates, "views": [X], "label": label, "workers": 1} | options
    return Procedure(tune, continuous=continuous, **fields)


def run(made: Procedure, division: Division) -> tuple[list[Selection], Any]:
    """Return the choice of each fold, and the cross-validation."""
    folds = division.folds(made.label, continuous=made.continuous)
    selections = made.select([train for train, _ in folds], division)
    return selections, made.predictions([each.chosen for each in selections], folds, division)


@pytest.mark.parametrize("continuous", [False, True])
@given(seed=st.integers(0, 2**31), fold=st.integers(0, 2))
@examples(8)
def test_labels_and_features_of_test_rows_change_no_choice_of_their_fold(
    continuous: bool, seed: int, fold: int
) -> None:
    unit = np.arange(90) % 3  # given folds, since stratified ones depend on the labels
    division, generator = Division(FOLDS, unit), np.random.default_rng(seed)
    test = unit == fold
    label = (VALUE if continuous else Y).copy()
    label[test] = generator.normal(size=test.sum()) * 100 if continuous else generator.integers(0, 2, test.sum())
    features = X.copy()
    features[test] = generator.normal(size=(test.sum(), X.shape[1])) * 100
    clean, _ = run(procedure(continuous=continuous), division)
    poisoned, predicted = run(procedure(continuous=continuous, label=label), division)
    other, _ = run(procedure(continuous=continuous, views=[features]), division)
    assert poisoned[fold] == other[fold] == clean[fold]
    assert [each.scores for each in poisoned] != [each.scores for each in clean], "it can be seen in other folds"
    before = run(procedure(continuous=continuous), division)[1]
    assert np.array_equal(predicted.prediction[test], before.prediction[test])


@pytest.mark.parametrize("by", ["identity", "group", "family", "fold"])
@given(units=st.lists(st.integers(0, 8), min_size=40, max_size=60), folds=st.integers(2, 6), seed=st.integers(0, 9))
@examples(20)
def test_no_unit_is_divided_between_inner_folds(by: Any, units: list[int], folds: int, seed: int) -> None:
    unit = np.array(units)
    label = (np.arange(len(unit)) % 2).astype(np.int64)
    split = SplitSpec(by=by) if by in ("family", "fold") else SplitSpec(by=by, folds=2)
    division, tune = Division(split, unit), TuneSpec(grid={"pca": (1,)}, folds=folds, random_state=seed)
    try:
        outer = division.folds(label)
        made = [(train, inner_folds(division.part(train), label[train], tune, continuous=False)) for train, _ in outer]
    except DatasetError:
        return  # refused, and not divided otherwise
    for train, inner in made:
        assert inner
        tested = np.concatenate([test for _, test in inner])
        assert sorted(tested) == list(range(len(train)))
        for fitted, test in inner:
            assert not {*unit[train][fitted]} & {*unit[train][test]}


def test_training_rows_of_one_unit_are_refused_rather_than_divided() -> None:
    unit = np.array([0, 0, 0, 1, 1, 1, 0, 1])
    for by in ("group", "family"):
        split = SplitSpec(by=by, folds=2) if by == "group" else SplitSpec(by=by)
        label = np.array([0, 1, 0, 1, 0, 1, 1, 0])
        with pytest.raises(DatasetError, match=r"nothing can be chosen|needs at least two of them"):
            run(procedure(label=label, views=[X[:8]]), Division(split, unit))


def test_fewer_inner_folds_are_made_where_a_class_is_small() -> None:
    label = np.array([1, 1, 1, *[0] * 20])
    made = inner_folds(Division(SplitSpec()), label, TuneSpec(grid={"pca": (1,)}, folds=5), continuous=False)
    assert len(made) == 3
    assert all(label[test].sum() == 1 for _, test in made)


@pytest.mark.parametrize(("metric", "scoring"), [("mcc", "matthews_corrcoef"), ("brier", "neg_brier_score")])
def test_a_choice_is_that_of_scikit_learns_search(metric: Any, scoring: str) -> None:
    tune = TuneSpec(grid={"classifier.C": GRID}, folds=3, metric=metric)
    division = Division(SplitSpec(folds=4))
    selections, validation = run(procedure(tune), division)
    for (train, test), selection in zip(division.folds(Y), selections, strict=True):
        cv = inner_folds(division.part(train), Y[train], tune, continuous=False)
        search = GridSearchCV(LogisticRegression(), {"C": list(GRID)}, cv=cv, scoring=scoring)
        with one_thread():
            search.fit(X[train], Y[train])
        assert GRID[selection.chosen] == search.best_params_["C"]
        np.testing.assert_allclose(
            [*selection.scores.values()], np.abs(search.cv_results_["mean_test_score"]), rtol=1e-12
        )
        np.testing.assert_allclose(validation.probability[test], search.predict_proba(X[test])[:, 1])


def test_the_procedure_and_nested_cross_validation_agree() -> None:
    split, inner = SplitSpec(folds=4, random_state=3), SplitSpec(folds=3)
    selections, validation = run(procedure(), Division(split))
    old = nested_cross_validate({str(C): Candidate(X, LogisticRegression(C=C)) for C in GRID}, Y, split, inner)
    assert [str(GRID[each.chosen]) for each in selections] == list(old.chosen)
    assert old.outer.probability is not None
    assert np.array_equal(validation.probability, old.outer.probability)
    assert validation.scores["roc_auc"].tolist() == old.outer.scores["roc_auc"].tolist()


def test_values_are_chosen_by_their_ranks() -> None:
    tune = TuneSpec(grid={"classifier.alpha": GRID}, folds=4)
    division = Division(SplitSpec(folds=3))
    selections, validation = run(procedure(tune, continuous=True), division)
    assert validation.probability is None
    for (train, _), selection in zip(division.folds(VALUE, continuous=True), selections, strict=True):
        expected = []
        for candidate in OF_VALUES:
            scores = []
            for fitted, test in inner_folds(division.part(train), VALUE[train], tune, continuous=True):
                model = Ridge(**candidate.classifier.get_params()).fit(X[train][fitted], VALUE[train][fitted])
                scores.append(spearmanr(model.predict(X[train][test]), VALUE[train][test]).statistic)
            expected.append(np.mean(scores))
        np.testing.assert_allclose([*selection.scores.values()], expected)
        assert selection.chosen == int(np.argmax(expected))


def test_a_candidate_that_predicts_one_value_for_all_is_not_chosen_for_its_only_defined_fold() -> None:
    # Spearman's correlation of a constant is undefined; leaving such folds out would favour what mostly fails.
    candidates = [Tunable(0, ElasticNet(alpha=alpha), f"alpha={alpha}") for alpha in (50.0, 0.01)]
    [selection] = procedure(continuous=True, candidates=candidates).select([np.arange(90)], Division(SplitSpec()))
    assert selection.scores[0] == 0
    assert selection.chosen == 1


def test_the_first_of_equals_is_chosen() -> None:
    twice = [Tunable(0, LogisticRegression(), "a"), Tunable(0, LogisticRegression(), "b")]
    assert {each.chosen for each in run(procedure(candidates=twice), Division(SplitSpec(folds=3)))[0]} == {0}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_number(workers: int) -> None:
    one, other = (run(procedure(workers=n), Division(SplitSpec(folds=3))) for n in (1, workers))
    assert one[0] == other[0]
    assert np.array_equal(one[1].probability, other[1].probability)


def test_repeats_and_single_antibodies_left_out_are_tuned_as_well() -> None:
    selections, validation = run(procedure(), Division(SplitSpec(folds=3, repeats=2)))
    assert len(selections) == 6
    assert validation.probability.shape == (90, 2)
    few = procedure(continuous=True, label=VALUE[:20], views=[X[:20]])
    selections, validation = run(few, Division(SplitSpec(by="leave_one_out"), np.arange(20)))
    assert len(selections) == 20
    assert validation.scores["spearman"].shape == (1,)


# Results that are kept.


class Fits:
    """Counter of fits."""

    def __init__(self) -> None:
        self.number = 0
        self.most: int | None = None


def counting(fits: Fits, **options: Any) -> Any:
    class Counted(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
        def fit(self, X: Any, y: Any) -> Any:
            fits.number += 1
            if fits.most is not None and fits.number > fits.most:
                raise KeyboardInterrupt
            return super().fit(X, y)

    return Counted(**options)


def counted(fits: Fits, folder: Path, **options: Any) -> Procedure:
    candidates = [Tunable(0, counting(fits, C=C), f"C={C}", {"C": str(C)}) for C in GRID]
    fields: dict[str, Any] = {"candidates": candidates, "results": ResultFolder(folder)}
    return procedure(**fields | options)


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    fits = Fits()
    first = run(counted(fits, tmp_path), Division(SplitSpec(folds=3)))
    assert fits.number == 3 * 3 * 3 + 3
    second = run(counted(fits, tmp_path), Division(SplitSpec(folds=3)))
    assert fits.number == 3 * 3 * 3 + 3
    assert second[0] == first[0]
    assert np.array_equal(second[1].probability, first[1].probability)
    assert second[1].scores["roc_auc"].tolist() == first[1].scores["roc_auc"].tolist()


def test_an_interrupted_run_continues_where_it_stopped(tmp_path: Path) -> None:
    fits = Fits()
    fits.most = 11  # in the middle of the fourth candidate, of three fits each
    with pytest.raises(KeyboardInterrupt):
        run(counted(fits, tmp_path), Division(SplitSpec(folds=3)))
    kept = len([*tmp_path.iterdir()])
    assert kept == 3
    again = Fits()
    selections, _ = run(counted(again, tmp_path), Division(SplitSpec(folds=3)))
    assert again.number == 3 * (3 * 3 - kept) + 3
    assert selections == run(procedure(), Division(SplitSpec(folds=3)))[0]


CHANGED: dict[str, Callable[[Fits, Path], tuple[Procedure, Division]]] = {
    "a feature": lambda fits, folder: (counted(fits, folder, views=[_with(X, (0, 0), 9.0)]), _by(np.arange(90) % 3)),
    "a label": lambda fits, folder: (counted(fits, folder, label=_with(Y, 0, 1 - Y[0])), _by(np.arange(90) % 3)),
    "units": lambda fits, folder: (counted(fits, folder), _by(np.arange(90) % 9 // 3)),
    "metric": lambda fits, folder: (counted(fits, folder, tune=_tune(metric="brier")), _by(np.arange(90) % 3)),
}
"""What changes, and with it all results in which it takes part."""


def _with(array: Any, place: Any, value: Any) -> Any:
    changed = array.copy()
    changed[place] = value
    return changed


def _by(unit: Any) -> Division:
    return Division(FOLDS, unit)


def _tune(**fields: Any) -> TuneSpec:
    return TuneSpec(grid={"classifier.C": GRID}, **{"folds": 3} | fields)


@pytest.mark.parametrize("what", CHANGED)
def test_results_of_other_numbers_are_not_used(what: str, tmp_path: Path) -> None:
    run(counted(Fits(), tmp_path / "kept"), _by(np.arange(90) % 3))
    stale, fresh = Fits(), Fits()
    over = run(*CHANGED[what](stale, tmp_path / "kept"))
    new = run(*CHANGED[what](fresh, tmp_path / "empty"))
    assert over[0] == new[0]
    assert np.array_equal(over[1].probability, new[1].probability)
    unchanged = 2 * 3 + 0 if what in ("a feature", "a label") else 0  # candidates of the fold that tests the row
    assert stale.number >= fresh.number - unchanged - 3 if what != "metric" else stale.number >= 18
    assert stale.number > 0


def test_seed_and_number_of_inner_folds_are_part_of_a_result(tmp_path: Path) -> None:
    division = Division(SplitSpec(folds=3))
    run(counted(Fits(), tmp_path), division)
    for tune, expected in ((_tune(random_state=1), 27), (_tune(folds=4), 36)):
        fits = Fits()
        selections, _ = run(counted(fits, tmp_path, tune=tune), division)
        assert fits.number >= expected
        assert selections == run(procedure(tune), division)[0]


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=50)
def test_arrays_of_different_content_have_different_digests(values: list[float], place: int) -> None:
    array = np.array(values)
    changed = _with(array, place % len(array), array[place % len(array)] + 1e300 if abs(array[0]) < 1e300 else 0.5)
    assert (digest_of(array) == digest_of(changed)) == (array.tobytes() == changed.tobytes())
    assert digest_of(array) != digest_of(array[None])
    assert digest_of(array, array) != digest_of(np.concatenate([array, array]))
    assert digest_of(np.asfortranarray(array)) == digest_of(array)


# Budgets.


def test_a_budget_of_trials_is_the_same_every_time_and_finds_good_candidates() -> None:
    pytest.importorskip("optuna")
    C = tuple(10.0**power for power in range(-6, 6))
    candidates = [Tunable(0, LogisticRegression(C=c), f"C={c}", {"C": str(c)}) for c in C]
    tune = TuneSpec(grid={"classifier.C": C}, trials=4, folds=3)
    division = Division(SplitSpec(folds=3))
    one, other = (run(procedure(tune, candidates=candidates, workers=n), division)[0] for n in (1, 2))
    assert one == other
    assert {len(each.scores) for each in one} == {4}
    assert len({tuple(each.scores) for each in one}) > 1, "each fold has trials of its own"
    whole = run(procedure(candidates=candidates), division)[0]
    for part, every in zip(one, whole, strict=True):
        assert {number: every.scores[number] for number in part.scores} == part.scores


def test_labels_of_test_rows_change_no_trial_of_their_fold() -> None:
    pytest.importorskip("optuna")
    unit = np.arange(90) % 3
    tune = TuneSpec(grid={"classifier.C": GRID}, trials=2, folds=3)
    clean = run(procedure(tune), Division(FOLDS, unit))[0]
    poisoned = run(procedure(tune, label=np.where(unit == 1, 1 - Y, Y)), Division(FOLDS, unit))[0]
    assert list(poisoned[1].scores.items()) == list(clean[1].scores.items())


def test_a_budget_of_time_tries_one_candidate_at_least_and_stays_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    tune = TuneSpec(grid={"classifier.C": GRID}, minutes=1e-9, folds=3)
    first = run(counted(Fits(), tmp_path, tune=tune), Division(SplitSpec(folds=3)))
    assert {len(each.scores) for each in first[0]} == {1}
    fits = Fits()
    assert run(counted(fits, tmp_path, tune=tune), Division(SplitSpec(folds=3)))[0] == first[0]
    assert fits.number == 0
    long = TuneSpec(grid={"classifier.C": GRID}, minutes=10, folds=3)
    assert {len(each.scores) for each in run(procedure(long), Division(SplitSpec(folds=3)))[0]} == {3}


def test_candidates_of_other_keys_are_proposed_too() -> None:
    pytest.importorskip("optuna")
    from antibody_esm.evaluation.budget import tried_within

    choices = [{"kind": "a", "C": str(n)} for n in range(4)] + [{"kind": "b"}] + [{"kind": "c", "k": "1"}]
    seen: list[int] = []

    def goodness(number: int) -> float:
        seen.append(number)
        return -number

    tried_within(goodness, choices, None, None, 0)
    assert sorted(seen) == list(range(6)), "each once"


def test_as_many_trials_as_candidates_need_no_optuna() -> None:
    program = (
        "import sys; sys.modules['optuna'] = None\n"
        "from test_tuning import *\n"
        "run(procedure(TuneSpec(grid={'classifier.C': GRID}, trials=3, folds=3)), Division(SplitSpec(folds=3)))\n"
        "try: run(procedure(TuneSpec(grid={'classifier.C': GRID}, trials=2, folds=3)), Division(SplitSpec(folds=3)))\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert "pip install '.[tune]' in a checkout" in done.stdout, done.stderr


# No bias.


def null_scores(runs: int, *, continuous: bool, n: int) -> Any:
    """Return the mean score of the procedure for each of several shuffles of the labels of real antibodies."""
    data = load_dataset("boughter_flu_cdrs").subset(range(0, 358, 358 // n))
    views = [
        describe(data.sequences, DescriptorSpec(descriptors=names)).values
        for names in (("composition",), ("net_charge", "length", "isoelectric_point"))
    ]
    views = [(view - view.mean(axis=0)) / (view.std(axis=0) + 1e-9) for view in views]
    found = []
    for seed in range(runs):
        generator = np.random.default_rng(seed)
        label = generator.normal(size=len(data)) if continuous else generator.permutation(data.binary_labels())
        strengths = (1e-3, 1.0) if not continuous else (1.0, 300.0)
        kinds = [Ridge(alpha=value) if continuous else LogisticRegression(C=value) for value in strengths]
        candidates = [Tunable(view, kind, str(kind)) for kind in kinds for view in (0, 1)]
        made = procedure(continuous=continuous, candidates=candidates, views=views, label=label)
        validation = run(made, Division(SplitSpec(folds=5, random_state=seed)))[1]
        found.append(float(np.mean(validation.scores["spearman" if continuous else "roc_auc"])))
    return np.array(found)


@pytest.mark.parametrize("continuous", [False, True])
def test_scores_of_shuffled_labels_are_those_of_chance(continuous: bool) -> None:
    """The mean of 100 shuffles is within .01 (stress); that of few within 3.5 standard errors, which are bounded."""
    runs, n = (100, 358) if STRESS else (8, 119)
    values = null_scores(runs, continuous=continuous, n=n)
    chance = 0.0 if continuous else 0.5
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(runs))
    print(f"mean {mean:.4f}, standard error {error:.4f}, {runs} shuffles of {n} labels")  # noqa: T201
    if STRESS:
        assert abs(mean - chance) < 0.01
    else:
        assert error < 0.06
        assert abs(mean - chance) < 3.5 * error
