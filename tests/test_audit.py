from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Dataset, DatasetError, Trainer, load_dataset
from antibody_esm.data.audit import Finding
from antibody_esm.numbering import NANOBODY_SPECIES
from antibody_esm.specs import ExtractorSpec, SplitSpec
from chains import HEAVY, LIGHT, LYSOZYME, NANOBODY
from effort import examples


def test_the_faults_of_the_predecessors_training_rows_are_found(published: Path) -> None:
    train = load_dataset("boughter", labels="predecessor")
    audit = train.audit(load_dataset("jain"))
    assert audit.antibodies == 914
    assert audit["exact duplicates"].count == 17
    assert audit["contradictory labels"].count == 6
    assert audit["unknown residues (X)"].count == 62
    assert audit["sequences of both sets"].count == 0
    assert audit["pairs of both at 90%"].count == 3
    assert audit.overlap is not None
    assert set(audit.overlap["other_id"]) == {"tabalumab", "canakinumab", "ipilimumab"}
    assert audit["wrong chain, heavy"].count == 1
    shehata = train.audit(load_dataset("shehata"), numbering=False)
    assert shehata["sequences of both sets"].count == 0
    assert shehata["pairs of both at 90%"].count == 8
    label, sequences = np.asarray(train.label), np.array(train.sequences)
    concerned = list(audit["contradictory labels"].rows)
    for sequence in set(sequences[concerned]):
        assert set(label[sequences == sequence]) == {0.0, 1.0}
    assert all("X" in sequences[row] for row in audit["unknown residues (X)"].rows)
    assert {one.check for one in audit.serious} >= {"exact duplicates", "contradictory labels", "pairs of both at 90%"}
    assert all(len(line) <= 80 for line in str(audit).splitlines())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=12))
@examples(60)
def test_duplicates_and_contradictions_are_counted_as_they_are(rows: list[tuple[int, int]]) -> None:
    data = Dataset(
        ids=[str(i) for i in range(len(rows))],
        heavy=["ACDEFGHIKL"[number] * 9 for number, _ in rows],
        label=[label for _, label in rows],
    )
    audit = data.audit()
    kinds = {number for number, _ in rows}
    assert audit["exact duplicates"].count == len(rows) - len(kinds)
    assert len(audit["exact duplicates"].rows) == len(rows) - len(kinds)
    both = {number for number in kinds if {label for one, label in rows if one == number} == {0, 1}}
    assert audit["contradictory labels"].count == len(both)
    assert set(audit["contradictory labels"].rows) == {i for i, (number, _) in enumerate(rows) if number in both}
    assert len(audit["near-duplicates at 95%"].rows) == sum(
        [number for number, _ in rows].count(one) > 1 for one, _ in rows
    )


def test_chains_that_are_wrong_absent_or_cut_are_found() -> None:
    data = Dataset(
        ids=["good", "light", "enzyme", "cut", "nanobody"],
        heavy=[HEAVY, LIGHT, LYSOZYME, HEAVY[:-14], NANOBODY],
        light=[LIGHT, HEAVY, None, LIGHT[9:], None],
        label=[0, 1, 0, 1, 1],
        groups=["x", "x", "y", "y", "y"],
        species=NANOBODY_SPECIES,
    )
    audit = data.audit()
    assert audit["wrong chain, heavy"].rows == (1,)
    assert audit["no variable domain, heavy"].rows == (2,)
    assert audit["doubtful domain, heavy"].rows == (3,)
    assert [one.check for one in audit.findings if "light" in one.check] == [], "only the chain that is embedded"
    assert data.audit(every_chain=True)["wrong chain, light"].rows == (1,)
    small = audit["groups of fewer than 10"]
    assert (small.count, small.detail) == (2, "hold 5 rows together"), "shares of so few are chance"
    both = data.subset([0, 1, 3]).audit(identities=())
    assert both["wrong chain, heavy"].rows == (1,)
    light = Dataset(ids=["a", "b"], light=[LIGHT, HEAVY], chain="light").audit(identities=())
    assert light["wrong chain, light"].rows == (1,)
    assert not [one for one in data.audit(numbering=False).findings if "domain" in one.check]


def test_overlap_with_a_test_set_is_found_and_lists_pairs() -> None:
    train = Dataset(ids=["a", "b", "c"], heavy=[HEAVY, HEAVY[:60] + "W" + HEAVY[61:], LIGHT], label=[0, 1, 1])
    test = Dataset(ids=["t", "u"], heavy=[HEAVY, LYSOZYME], label=[0, 1])
    audit = train.audit(test, identities=(0.95,), numbering=False)
    assert audit["sequences of both sets"].rows == (0,)
    assert audit["pairs of both at 95%"].rows == (0, 1)
    assert audit.overlap is not None
    assert audit.overlap[["id", "other_id"]].to_numpy().tolist() == [["a", "t"], ["b", "t"]]
    assert audit.overlap["identity"].tolist() == pytest.approx([1, 1 - 1 / len(HEAVY)])


def test_lengths_far_out_are_found() -> None:
    data = Dataset(ids=[str(i) for i in range(21)], heavy=["W" * (20 + i % 3) for i in range(20)] + ["W" * 60])
    assert data.audit(identities=())["unusual lengths"].rows == (20,)


def test_numbers_as_labels_are_no_contradiction() -> None:
    data = Dataset(ids=["a", "b"], heavy=["AAAA", "AAAA"], label=[0.1, 0.2])
    assert "contradictory labels" not in {one.check for one in data.audit().findings}
    assert "positives" not in {one.check for one in data.audit().findings}


def test_the_findings_are_a_table_and_go_into_reports(tiny: ExtractorSpec, tmp_path: Path) -> None:
    data = Dataset(
        ids=[str(i) for i in range(12)],
        heavy=["A" * (1 + i % 6) + "C" for i in range(12)],
        label=[i % 2 for i in range(12)],
    )
    frame = data.audit().to_frame()
    assert list(frame.columns) == ["check", "count", "unit", "rows", "detail", "serious"]
    assert frame.set_index("check").loc["exact duplicates", "count"] == 6
    report = Trainer(tiny, split=SplitSpec(folds=2)).cross_validate(data, check=False)
    assert report.to_dict()["audit"]["exact duplicates"] == 6
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "exact duplicates" in page


def test_other_parts_are_not_compared() -> None:
    data = Dataset(ids=["a"], heavy=[HEAVY], light=[LIGHT])
    for other in (data.cut("H-CDR3"), data.cut("VL")):
        with pytest.raises(DatasetError, match="overlap requires the same chain and fragment"):
            data.audit(other)


def test_frameworks_are_not_numbered_as_if_they_were_domains() -> None:
    frameworks = Dataset(ids=["a", "b"], heavy=[HEAVY, NANOBODY]).cut("H-FWRs").audit()
    assert not [one.check for one in frameworks.findings if "domain" in one.check]


def test_one_class_many_groups_and_close_thresholds_are_told() -> None:
    count = 5000
    data = Dataset(
        ids=[str(i) for i in range(count)],
        heavy=["W" * (1 + i % 50) for i in range(count)],
        label=[1] * count,
        groups=[str(i % 400) for i in range(count)],
    )
    audit = data.audit(identities=(0.995, 0.999))
    assert audit["classes"].serious
    assert audit["further groups"].count == 400 - 30
    assert audit["near-duplicates at 99.5%"].count == audit["near-duplicates at 99.9%"].count == count
    with pytest.raises(KeyError):
        audit["typo"]
    assert data.subset([]).audit().findings == ()


def test_units_of_one_are_in_the_singular() -> None:
    assert Finding("classes", 1, "class").units == "class"
    assert (Finding("pairs", 1, "pairs").units, Finding("pairs", 2, "pairs").units) == ("pair", "pairs")
