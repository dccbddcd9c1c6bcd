import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Dataset, DatasetError, Predictor, SplitSpec, Trainer, load_dataset
from antibody_esm.data.assays import HIGHER_IS_BETTER, higher_is_better
from antibody_esm.data.dataset import Provenance
from antibody_esm.explain import mutational_scan
from chains import HEAVY
from reporting import CHARGES, antibodies

MEASURED = {"HIC": [9.1, None, 11.2], "Tm2": [70.0, 81.5, None]}
FRAME = pd.DataFrame({"id": ["a", "b", "c"], "heavy": ["EVQLV", "QVQLQ", "QVQLV"], **MEASURED})


def several() -> Dataset:
    return load_dataset(FRAME, label=["HIC", "Tm2"])


def test_each_of_several_labels_has_its_own_holes(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    for data in (several(), load_dataset(tmp_path / "a.csv", label=("HIC", "Tm2"))):
        assert (data.targets, data.label, len(data)) == (("HIC", "Tm2"), None, 3)
        hic, tm = data.target("HIC"), data.target("Tm2")
        assert (hic.ids, hic.continuous_labels().tolist(), hic.label_name) == (("a", "c"), [9.1, 11.2], "HIC")
        assert (tm.ids, tm.continuous_labels().tolist(), tm.label_name) == (("a", "b"), [70.0, 81.5], "Tm2")
        assert hic.provenance.dropped == {"b": "no HIC"}
        assert tm.provenance.counts == {"rows read": 3, "with Tm2": 2}
        assert np.array_equal(hic.measurements["Tm2"], [70.0, np.nan], equal_nan=True)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=8))
def test_no_value_is_lost_and_none_is_invented(values: list[float | None]) -> None:
    frame = pd.DataFrame({"id": [f"n{i}" for i in range(len(values))], "heavy": "EVQL", "x": values}, dtype=object)
    data = load_dataset(frame, label=["x"])
    if not any(value is not None for value in values):
        with pytest.raises(DatasetError, match="no antibody has a x"):
            data.target("x")
        return
    for one in (data.target("x"), load_dataset(frame, label="x")):
        kept = dict(zip(one.ids, one.only_label().tolist(), strict=True))
        assert kept == {f"n{i}": value for i, value in enumerate(values) if value is not None}
        assert set(one.provenance.dropped) == {f"n{i}" for i, value in enumerate(values) if value is None}


def test_a_label_without_holes_changes_nothing_of_the_data() -> None:
    frame = FRAME.assign(full=[1.0, 2.0, 3.0])
    before = Dataset(ids=["a", "b", "c"], heavy=list(FRAME["heavy"]), label=[1.0, 2.0, 3.0])
    after = load_dataset(frame, label="full")
    assert after.provenance.counts == {"rows read": 3}
    assert before.digest == Dataset(**{name: getattr(after, name) for name in ("ids", "heavy", "label")}).digest


def test_the_digest_depends_on_targets_but_not_on_the_name_or_the_direction_of_a_label() -> None:
    data = several()
    assert data.digest != load_dataset(FRAME, label=["HIC"]).digest
    named = load_dataset(FRAME, label="HIC", higher_is_better=True)
    assert named.digest == load_dataset(FRAME, label="HIC").digest
    assert len({data.digest, data.target("HIC").digest, data.target("Tm2").digest}) == 3
    assert data.target("HIC").digest == named.digest


def test_subsets_and_frames_keep_several_labels() -> None:
    part = several().subset([2, 0])
    assert (part.targets, part.target("HIC").ids) == (("HIC", "Tm2"), ("c", "a"))
    assert load_dataset(part.to_frame(), label=part.targets).target("Tm2").ids == ("a",)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([], "must be the name of a column or a list"),
        (["HIC", 3], "must be the name of a column or a list"),
        (["HIC", "HIC"], "named twice"),
        (["HIC", "psr"], "no column 'psr'"),
        (["HIC", "id"], "labels must be numbers .* 3 are not:\n  row 1 .*, 'id': 'a'"),
        (["HIC", "heavy"], "labels must be numbers .* 3 are not:\n  row 1 .*, 'heavy': 'EVQLV'"),
    ],
)
def test_labels_that_are_none_are_an_error(label: list[str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(FRAME, label=label)


@pytest.mark.parametrize(
    ("cells", "advice"),
    [
        (["Y", "N"], "table['poly'] = table['poly'].replace({'Y': 1, 'N': 0})"),
        (["no", "yes", 1], "table['poly'] = table['poly'].replace({'no': 0, 'yes': 1})"),
        (["Pos", "neg", "n.d."], "replace({'Pos': 1, 'neg': 0}). Leave a cell empty"),
    ],
)
def test_words_for_two_classes_are_answered_by_the_line_that_makes_them_numbers(cells: list[Any], advice: str) -> None:
    table = pd.DataFrame({"heavy": [HEAVY, HEAVY[1:], HEAVY[2:]][: len(cells)], "poly": pd.Series(cells, dtype=object)})
    with pytest.raises(DatasetError) as caught:
        load_dataset(table, label="poly")
    assert advice in str(caught.value)
    words = {"Y": 1, "N": 0, "no": 0, "yes": 1, "Pos": 1, "neg": 0, "n.d.": None}
    table["poly"] = [words.get(cell, cell) for cell in cells]
    assert set(np.asarray(load_dataset(table, label="poly").label)) == {0, 1}


def test_a_label_in_words_is_an_error_with_drop_too() -> None:
    table = pd.DataFrame({"heavy": [HEAVY, HEAVY[1:]], "label": [0, "n.d."]})
    with pytest.raises(DatasetError, match="Leave a cell empty, or write NA, where nothing was measured"):
        load_dataset(table, drop=True)


def test_a_label_that_is_not_named_is_answered_by_the_columns_of_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "heavy": [HEAVY, HEAVY[1:]], "poly": [0, 1], "HIC RT": [8.5, 9], "t": "x"})
    with pytest.raises(DatasetError, match=r"may be labels: 'poly', 'HIC RT'; name the label by fit\(table, 'poly'\)"):
        Trainer("descriptors").fit(table)
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DatasetError, match=r"t.csv: there is no column 'label'.*by label='poly' \(antibody-train:"):
        load_dataset(tmp_path / "t.csv")
    with pytest.raises(DatasetError, match=r"the labels are 8.5, 9. For numbers take .* classifier='ridge'; for"):
        Trainer("descriptors").fit(table, "HIC RT")


def test_several_labels_are_never_taken_for_one() -> None:
    data = several()
    for read in (data.binary_labels, data.continuous_labels):
        with pytest.raises(DatasetError, match=r"several labels \(HIC, Tm2\): use data.target\('HIC'\)"):
            read()
    with pytest.raises(DatasetError, match="no label 'Tm'; the labels are HIC, Tm2"):
        data.target("Tm")
    with pytest.raises(DatasetError, match="either one label or several"):
        Dataset(ids=["a"], heavy=["EV"], label=[1], measurements={"x": [1]}, targets=("x",))
    with pytest.raises(DatasetError, match="the x of row 2 .* is not finite"):
        Dataset(ids=["a", "b"], heavy=["EV", "QV"], measurements={"x": [1, np.inf]}, targets=("x",))


def test_fasta_takes_several_labels_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(">a\nEVQL\n>b\nQVQL\n")
    table = FRAME[["id", "HIC", "Tm2"]].head(2)
    data = load_dataset(path, labels=table, label=["HIC", "Tm2"])
    assert (data.target("HIC").ids, data.target("Tm2").ids) == (("a",), ("a", "b"))
    with pytest.raises(DatasetError, match="a table with a column for each"):
        load_dataset(path, labels={"a": 1, "b": 2}, label=["HIC", "Tm2"])
    with pytest.raises(DatasetError, match="cannot be named 'sequence'"):
        load_dataset(path, labels=table, label="sequence")


def test_directions_of_named_assays_are_known_and_a_user_overrides_them() -> None:
    data = several()
    assert [data.target(name).higher_is_better for name in data.targets] == [False, True]
    other = load_dataset(FRAME, label=["HIC", "Tm2"], higher_is_better={"HIC": True})
    assert [other.target(name).higher_is_better for name in other.targets] == [True, True]
    assert load_dataset(FRAME.rename(columns={"HIC": "label"})).higher_is_better is None
    assert load_dataset(FRAME, label="HIC", higher_is_better=True).higher_is_better is True
    for sides, message in (({"x": True}, "names 'x'"), ({"HIC": 1}, "True or False"), (True, "there are 2 labels")):
        with pytest.raises(DatasetError, match=message):
            load_dataset(FRAME, label=["HIC", "Tm2"], higher_is_better=sides)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="higher_is_better= must be True or False, .* got 'yes'"):
        load_dataset(FRAME, label="HIC", higher_is_better="yes")  # type: ignore[arg-type]


def test_every_assay_of_jain_but_none_unknown_has_a_direction() -> None:
    from antibody_esm.data.jain import ASSAYS

    worse = {"above": False, "below": True, "": True}
    assert {name: higher_is_better(name) for name in ASSAYS} == {
        name: worse[each.worse] for name, each in ASSAYS.items()
    }
    assert higher_is_better("AC-SINS_pH6.0") is False
    assert higher_is_better("PR_CHO") is False
    assert higher_is_better("") is None
    assert "ph" not in HIGHER_IS_BETTER


def test_recall_is_that_of_the_best_tenth_where_the_direction_is_known() -> None:
    data = antibodies(40, continuous=True)
    trainer = Trainer(CHARGES, "ridge", SplitSpec(folds=3))
    high, low, unknown = (
        trainer.cross_validate(replace(data, label_name="x", directions=side), check=False)
        for side in ({"x": True}, {"x": False}, {})
    )
    assert high.scores["top_k_recall"].tolist() == unknown.scores["top_k_recall"].tolist()
    negative = trainer.cross_validate(replace(data, label=-np.asarray(data.label)), check=False)
    assert low.scores["top_k_recall"].tolist() == negative.scores["top_k_recall"].tolist()
    assert low.scored.rows.scores()["top_k_recall"] == pytest.approx(low.intervals["top_k_recall"].estimate)
    for name, theirs in negative.baselines.found.items():
        ours = low.baselines.found[name].scores["top_k_recall"]
        assert ours == pytest.approx(theirs.scores["top_k_recall"], nan_ok=True), name
    titles = ["recall of the best tenth" in str(report) for report in (high, low, unknown)]
    assert titles == [True, True, False]
    assert "recall of the top tenth" in str(unknown)


def test_a_scan_ranks_the_better_mutants_first_and_a_saved_model_knows_the_side(tmp_path: Path) -> None:
    data = replace(antibodies(40, continuous=True), label_name="Tm")
    predictor = Trainer(CHARGES, "ridge").fit(data, uncertainty=False, check=False)
    saved = Predictor.load(predictor.save(tmp_path / "model"))
    assert (saved.data.label, saved.data.higher_is_better) == ("Tm", True)
    change = mutational_scan(saved, data.sequences[0], [3], plausibility=False, check=False).to_frame()["change"]
    assert change.is_monotonic_decreasing


def copied(data: Dataset) -> Dataset:
    copy: Dataset = pickle.loads(pickle.dumps(data))  # noqa: S301  bytes of this test
    return copy


def _ruled() -> Dataset:
    return Dataset(
        ["a", "b", "c"],
        ["EVQL", "QVQL", "AAAA"],
        label=[0, 1, 1],
        provenance=Provenance("a paper", rule="1: it binds"),
        measurements={"first": [0, 1, 1], "second": [3, 2, 1]},
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.with_label("second", data.measurements["second"]),
        lambda data: data.with_label("second", [1, np.nan, 1]),
        lambda data: replace(data, label=1 - data.label),
        lambda data: replace(data, label=None, targets=("first", "second")),
        lambda data: replace(data, label=None, targets=("first", "second")).target("second"),
        lambda data: replace(data[1:], label=[0, 1]),
        lambda data: Dataset(data.ids, data.heavy, label=[1, 1, 1], provenance=data.provenance),
        lambda data: copied(data).with_label("second", data.measurements["second"]),
    ],
)
def test_other_labels_never_have_the_rule_of_the_earlier_ones(change: Callable[[Dataset], Dataset]) -> None:
    data = _ruled()
    changed = change(data)
    assert (changed.provenance.rule, changed.provenance.source) == ("", "a paper")
    assert data.provenance.rule == "1: it binds"


@given(st.permutations(range(3)), st.integers(1, 3))
def test_a_choice_of_rows_keeps_the_rule(order: list[int], n: int) -> None:
    data = _ruled()
    changed = data.subset(order[:n])
    assert changed.provenance.rule == "1: it binds"
    assert replace(data, ids=["x", "y", "z"]).provenance.rule == "1: it binds"
    assert replace(data, label=[0, 1, 1], label_name="again").digest == data.digest
    assert "labels" not in changed.provenance.to_dict()


def test_the_facts_of_a_model_have_no_rule_of_other_labels() -> None:
    data = replace(antibodies(40), provenance=Provenance("a paper", rule="1: it binds"))
    changed = replace(data, label=1 - np.asarray(data.label))
    fitted = [Trainer(CHARGES, "logreg").fit(each, uncertainty=False, scores=False) for each in (data, changed)]
    assert [each.data.rule for each in fitted] == ["1: it binds", ""]


@pytest.mark.parametrize("labels", ["hic", None])
def test_a_public_set_with_another_measurement_as_label_has_no_rule(labels: str | None, published: Path) -> None:
    data = load_dataset("jain", labels=labels)
    assert data[::2].provenance.rule == data.provenance.rule != ""
    assert data.with_label("tm", data.measurements["tm"]).provenance.rule == ""
    panel = replace(data, label=None, label_name=None, targets=("hic", "tm"))
    assert [panel.target(name).provenance.rule for name in panel.targets] == ["", ""]
    several = load_dataset("jain", label=["hic", "tm"])
    assert [several.target(name).provenance.rule for name in several.targets] == [
        "the measured values of each label"
    ] * 2
