"""Antibodies between the classes: each is predicted by the model of one fold, and none is trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from antibody_esm import Benchmark, Dataset, SplitSpec, Trainer, load_dataset
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.ungraded import Ungraded
from chains import HEAVY, mutants
from reporting import CHARGES

N, M = 40, 12
CHAINS = mutants(HEAVY, N + M, 6)
COUNT = np.concatenate([np.arange(N) // 4 % 2 * 4.0 + np.arange(N) % 3, 1 + np.arange(M) % 3])


def graded(rows: slice, label: bool = True) -> Dataset:
    n = len(COUNT[rows])
    return Dataset(
        [f"a{row}" for row in range(N + M)][rows],
        CHAINS[rows],
        label=(COUNT[rows] >= 4).astype(float) if label else None,
        groups=[f"study {row % 4}" for row in range(n)],
        measurements={"ligands": COUNT[rows]},
        grade="ligands",
    )


DATA = replace(graded(slice(N)), ungraded=graded(slice(N, None), label=False))


@pytest.mark.parametrize("by", ["antibody", "group", "family", "identity"])
def test_each_is_predicted_by_the_model_of_its_fold(by: str) -> None:
    split = SplitSpec(by=by) if by == "family" else SplitSpec(folds=4, by=by, identity=1 if by == "identity" else 0.9)
    report = Trainer(CHARGES, "logreg", split).cross_validate(DATA)
    ungraded, others = report.ungraded, DATA.ungraded
    assert ungraded is not None
    assert others is not None
    assert ungraded.fold is not None
    fold = report.predictions["fold"].to_numpy()
    for number in range(4):
        rows = np.flatnonzero(fold != number)
        fitted = Trainer(CHARGES, "logreg").fit(replace(DATA.subset(rows), ungraded=None), uncertainty=False)
        mine = np.flatnonzero(ungraded.fold == number)
        assert len(mine) == M // 4
        expected = fitted.predict_proba(others.subset(mine))[:, 1]
        np.testing.assert_allclose(ungraded.score[mine], expected, rtol=1e-6)
    if by in ("group", "family"):
        of_group = dict(zip(DATA.groups or (), fold.tolist(), strict=True))
        assert ungraded.fold.tolist() == [of_group[name] for name in others.groups or ()]
    both = np.concatenate([fold, ungraded.fold])
    score = np.concatenate([report.predictions["probability"], ungraded.score])
    by_fold = [spearmanr(COUNT[both == number], score[both == number]).statistic for number in range(4)]
    assert list(report.graded) == [N + M, N]
    assert report.graded[N + M].estimate == pytest.approx(np.mean(by_fold))
    assert f"over {N + M} antibodies, of which {M} are between the classes" in " ".join(str(report).split())
    assert set(report.to_dict()["graded"]) == {str(N), str(N + M)}


def test_a_relative_decides_the_fold_by_identity() -> None:
    same = replace(DATA, ungraded=graded(slice(3, 9), label=False))
    validation = CrossValidation({}, np.arange(N) % 5, np.zeros(N), None, np.arange(30.0).reshape(5, 6))
    found = Ungraded.of_folds(same, SplitSpec(by="identity", identity=1), validation)
    assert found is not None
    assert found.fold is not None
    assert found.fold.tolist() == [3, 4, 0, 1, 2, 3]
    assert found.score.tolist() == [18, 25, 2, 9, 16, 23]
    again = Ungraded.from_dict(found.to_dict())
    assert again is not None
    assert np.array_equal(again.score, found.score)


def test_none_is_predicted_without_the_groups_or_folds_of_the_split() -> None:
    """Such a split was refused, though the labelled antibodies have what it needs."""
    number = np.arange(N) % 4
    data = replace(DATA, measurements={"ligands": COUNT[:N], "fold": number})
    others = DATA.ungraded
    assert others is not None
    report = Trainer(CHARGES, "logreg", SplitSpec(by="fold")).cross_validate(data)
    assert report.ungraded is None
    assert list(report.graded) == [N]
    assert "between the classes" not in str(report)
    folds = replace(others, measurements={"ligands": COUNT[N:], "fold": np.arange(M) % 4})
    both = Trainer(CHARGES, "logreg", SplitSpec(by="fold")).cross_validate(replace(data, ungraded=folds))
    assert both.ungraded is not None
    assert both.ungraded.fold is not None
    assert both.ungraded.fold.tolist() == [row % 4 for row in range(M)]
    without = replace(DATA, ungraded=replace(others, groups=None))
    grid = Trainer(CHARGES, "logreg", SplitSpec(folds=4, by="group")).cross_validate(without)
    assert list(grid.graded) == [N]


def test_a_test_and_a_grid_have_the_correlation_too(tmp_path: Path) -> None:
    predictor = Trainer(CHARGES, "logreg").fit(DATA, uncertainty=False)
    report = predictor.evaluate(DATA)
    expected = spearmanr(COUNT, predictor.predict_read(CHAINS)).statistic
    assert report.graded[N + M].estimate == pytest.approx(expected)
    split = SplitSpec(folds=4)
    grid = Benchmark([CHARGES], ["logreg"], DATA, [DATA], split=split, output=tmp_path).run()
    alone = Trainer(CHARGES, "logreg", split).cross_validate(DATA)
    assert [each.graded[N + M] for each in grid.reports] == [alone.graded[N + M], report.graded[N + M]]
    again = Benchmark([CHARGES], ["logreg"], DATA, [DATA], split=split, output=tmp_path)
    assert [each.graded[N + M] for each in again.run().reports] == [alone.graded[N + M], report.graded[N + M]]
    assert again.computed == 0


def test_they_are_read_as_the_labelled_are_and_left_out_of_the_digest() -> None:
    plain = replace(DATA, measurements={}, grade=None, ungraded=None)
    assert DATA.digest == plain.digest
    cut = DATA.cut("H-CDRs")
    assert cut.ungraded is not None
    assert cut.ungraded.sequences == graded(slice(N, None)).cut("H-CDRs").sequences
    assert cut.grade == "ligands"
    assert DATA.subset(range(30)).ungraded is None
    without = replace(DATA, ungraded=None)
    assert list(Trainer(CHARGES, "logreg", SplitSpec(folds=4)).cross_validate(without).graded) == [N]
    assert not Trainer(CHARGES, "ridge", SplitSpec(folds=4)).cross_validate(DATA).graded


@pytest.mark.parametrize("change", ["with_label", "some", "replace", "flipped"])
def test_other_labels_have_no_grade_and_no_antibodies_between_the_classes(change: str) -> None:
    other = (np.arange(N) % 2).astype(float)
    data = {
        "with_label": lambda: DATA.with_label("charged", other),
        "some": lambda: DATA.with_label("charged", np.where(np.arange(N) < 5, np.nan, other)),
        "replace": lambda: replace(DATA, label=other),
        "flipped": lambda: replace(DATA, label=1 - np.asarray(DATA.label)),
    }[change]()
    assert (data.grade, data.ungraded, data.graded) == (None, None, None)
    report = Trainer(CHARGES, "logreg", SplitSpec(folds=4)).cross_validate(data)
    assert not report.graded
    assert "ligands" not in str(report)


def test_the_same_labels_keep_their_grade() -> None:
    named = DATA.with_label("polyreactivity", np.asarray(DATA.label))
    assert (named.grade, len(named.ungraded or ())) == ("ligands", M)
    assert DATA.subset(range(5, 30)).grade == "ligands"
    assert DATA.subset(range(5, 30)).with_label("x", np.arange(25.0)).grade is None
    values = replace(DATA, label=COUNT[:N])
    assert values.grade is None
    assert replace(values, grade="ligands").grade == "ligands"
    unlabelled = replace(DATA, label=None)
    assert (unlabelled.grade, unlabelled.digest) == ("ligands", replace(unlabelled, measurements={}).digest)
    assert unlabelled.with_label("x", np.arange(N) % 2).grade is None


def test_labels_lose_their_grade_with_its_measurement() -> None:
    data = replace(DATA, measurements={}, ungraded=None)
    assert data.grade is None
    assert "ligands" not in str(Trainer(CHARGES, "logreg", SplitSpec(folds=4)).cross_validate(data))
    assert replace(DATA, measurements={}).ungraded is None
    assert replace(DATA, grade=None).ungraded is None


def test_a_grade_that_is_no_measurement_is_refused() -> None:
    with pytest.raises(DatasetError, match="the grade 'ligand' is no measurement; these are: ligands"):
        replace(DATA, grade="ligand", ungraded=None)
    with pytest.raises(DatasetError, match="the antibodies in ungraded have no measurement 'ligands'"):
        replace(DATA, ungraded=Dataset(["b"], [HEAVY]))


def test_a_label_among_several_has_no_grade() -> None:
    measured = {"ligands": COUNT[:N], "other": np.arange(N) % 2}
    several = replace(DATA, label=None, measurements=measured, targets=("ligands", "other"), ungraded=None)
    assert [several.target(name).grade for name in several.targets] == [None, None]


DIGESTS = {
    "boughter": "aa92ea85ee72f4e5762a098406c205cf6009c910767d4a2ae0666a7b16c0f6f6",
    "jain": "05abce814e7a4aceb3f06accbdfa7291270e232722aebcc1285d01621fd237bd",
}
"""Of the versions before these sets had a grade."""


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", DIGESTS)
def test_public_data_keep_their_digest_and_have_a_grade(name: str) -> None:
    data = load_dataset(name)
    assert data.digest == DIGESTS[name]
    assert data.grade is not None
    values = data.measurement(data.grade)
    if name == "boughter":
        count = load_dataset(name, labels="count")
        assert data.ungraded is not None
        assert len(data) + len(data.ungraded) == len(count) == 993
        ligands = dict(zip(count.ids, np.asarray(count.label).tolist(), strict=True))
        for each in (data, data.ungraded):
            assert each.measurement("ligands").tolist() == [ligands[name] for name in each.ids]
        assert set(data.ungraded.measurement("ligands").tolist()) == {1, 2, 3}
    else:
        assert np.array_equal(values, load_dataset(name, labels="flag_groups").label)
