"""The public data sets, from their published files."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import Dataset, DatasetError, load_dataset
from antibody_esm.data import boughter as boughter_module
from antibody_esm.data.boughter import MouseCounts, ligands_of
from antibody_esm.data.boughter_records import STUDIES, read_records
from antibody_esm.data.downloads import fetch
from antibody_esm.data.harvey import stream_harvey
from antibody_esm.data.jain import ASSAYS
from antibody_esm.data.translation import variable_domains
from antibody_esm.numbering import Domain, best, number

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture(scope="module")
def graded(published: Path) -> Dataset:
    return load_dataset("boughter")


@pytest.fixture(scope="module")
def predecessor(published: Path) -> Dataset:
    return load_dataset("boughter", labels="predecessor")


def mouse_counts() -> tuple[MouseCounts, dict[str, tuple[Domain | None, Domain | None]]]:
    mice = [record for record in read_records()[0] if record.study == "mouse"]
    heavy, light = (variable_domains([getattr(one, chain) for one in mice]) for chain in ("heavy", "light"))
    domains = dict(zip([one.id for one in mice], zip(heavy, light, strict=True), strict=True))
    return MouseCounts(fetch("boughter/aims/mouse_IgA.dat"), domains.values()), domains


def trained_on(published: Path) -> list[dict[str, str]]:
    folder = published / "boughter" / "predecessor"
    with (folder / "VH_only_boughter.csv").open() as lines:
        annotated = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return [row for row in annotated if row["include_in_training"] == "True"]


def test_the_predecessors_rows_come_out_of_the_dna_with_its_ids_labels_and_counts(
    predecessor: Dataset, published: Path
) -> None:
    theirs = trained_on(published)
    assert list(predecessor.ids) == [row["id"] for row in theirs]
    assert predecessor.label is not None
    assert np.asarray(predecessor.label).tolist() == [float(row["label"]) for row in theirs]
    assert Counter(np.asarray(predecessor.label).tolist()) == {0: 443, 1: 471}
    assert predecessor.provenance.counts == {
        "antibodies": 1171,
        "translated": 1117,
        "annotated": 1065,
        "labelled 0": 443,
        "labelled 1": 471,
    }
    different = {
        row["id"] for row, heavy in zip(theirs, predecessor.heavy or (), strict=True) if row["sequence"] != heavy
    }
    # Two have no framework 4, two begin elsewhere; see test_numbering.py.
    assert different == {"hiv_nat_000024", "gut_hiv_000030", "mouse_iga_000167", "mouse_iga_000190"}
    with (published / "boughter" / "predecessor" / "VH_only_boughter_training.csv").open() as lines:
        assert [row["sequence"] for row in csv.DictReader(lines)] == [row["sequence"] for row in theirs]


def test_the_provenance_says_how_many_of_its_labels_break_its_rule(predecessor: Dataset) -> None:
    records = {record.id: record for record in read_records()[0]}
    mice, domains = mouse_counts()
    found: Counter[str] = Counter()
    for one, label in zip(predecessor.ids, np.asarray(predecessor.label), strict=True):
        ligands = ligands_of(records[one], *domains.get(one, (None, None)), mice)
        if records[one].label in "YN":
            by_rule = None if isinstance(ligands, str) else 0 if ligands == 0 else 1 if ligands >= 4 else -1
            found["unknown" if by_rule is None else "right" if by_rule == label else "wrong"] += 1
    assert found == {"right": 274, "wrong": 167, "unknown": 73}
    assert re.search("of 514 rows .* 167 .* 73", predecessor.provenance.rule)


def test_graded_labels_are_none_against_four_or_more_of_whole_domains(graded: Dataset) -> None:
    assert len(graded) == 669
    assert graded.label is not None
    assert int(np.sum(graded.label)) == 324
    assert Counter(graded.groups or ()) == {"influenza": 209, "HIV": 186, "mouse": 274}
    count = load_dataset("boughter", labels="count")
    ligands = dict(zip(count.ids, np.asarray(count.label).tolist(), strict=True))
    assert len(count) == 993
    assert set(ligands.values()) == set(range(8))
    for one, label in zip(graded.ids, np.asarray(graded.label).tolist(), strict=True):
        assert ligands[one] >= 4 if label else ligands[one] == 0
    assert {one for one, value in ligands.items() if not 0 < value < 4} == set(graded.ids)
    for chain, kinds in (("heavy", "H"), ("light", "KL")):
        for domains in number(getattr(graded, chain)):
            domain = best(domains)
            assert domain is not None
            assert domain.chain in kinds
            assert domain.has_loops


def test_what_is_kept_and_what_is_dropped_is_everything(graded: Dataset) -> None:
    records = [record.id for record in read_records()[0]]
    dropped = graded.provenance.dropped
    assert len(records) == 1171 == len(graded) + len(dropped)
    assert set(records) == {*graded.ids, *dropped}
    assert sum(graded.provenance.reasons().values()) == len(dropped)
    assert graded.provenance.reasons()["published as Y or N only"] == 40


def test_counts_of_mice_are_those_of_their_loops_and_agree_with_what_is_published(graded: Dataset) -> None:
    assert len(mouse_counts()[0]) == 450, "no two rows have the same two loops"
    published = {record.id: record.label for record in read_records()[0]}
    mice = load_dataset("boughter", labels="count")
    for one, value, group in zip(mice.ids, np.asarray(mice.label), mice.groups or (), strict=True):
        if group == "mouse":
            assert (value >= 2) == (published[one] == "Y")


def test_a_relative_of_a_counted_antibody_does_not_get_its_count(graded: Dataset) -> None:
    """Five mouse antibodies share both third loops with one that was counted, and differ from it in the others."""
    mice, domains = mouse_counts()
    for one in (352, 355, 359, 360, 363):
        assert mice.of(*domains[f"mouse_iga_{one:06d}"]) == "loops without a count"
    for one, count in ((170, 0), (181, 7), (309, 0), (159, 2), (188, 3)):
        assert mice.of(*domains[f"mouse_iga_{one:06d}"]) == count
    for one in (175, 177, 178, 358, 414, 467):
        said = "loops of several antibodies, of which one was counted"
        assert graded.provenance.dropped[f"mouse_iga_{one:06d}"] == said


def test_influenza_counts_are_those_of_the_file_of_loops(published: Path) -> None:
    """Another file of the same authors has them with the loops, in the order of the DNA."""
    lines = (published / "boughter" / "aims" / "flu_IgG.dat").read_text().splitlines()
    flu = [record for record in read_records()[0] if record.study == "flu"]
    assert [record.label for record in flu] == [re.split(r"\s+", line.strip())[-1] for line in lines]


def test_chains_that_lie_in_each_others_file_are_put_right(graded: Dataset, predecessor: Dataset) -> None:
    everything = load_dataset("boughter", labels="count")
    for one in ("flu_000026", "flu_000048"):
        domain = best(number([everything.subset([everything.ids.index(one)]).sequences[0]])[0])
        assert domain is not None
        assert domain.chain == "H"
    wrong = predecessor.audit(identities=())["wrong chain, heavy"]
    assert [predecessor.ids[row] for row in wrong.rows] == ["flu_000048"]


def test_a_file_of_loops_that_is_another_is_an_error(tmp_path: Path) -> None:
    from antibody_esm.data.downloads import RawFile

    path = tmp_path / "loops.dat"
    for content, message in (("A B C D E 1.0\n", "six loops"), ("A B C D E FFW 1.0\n" * 2, "on an earlier line")):
        path.write_text(content)
        with pytest.raises(DatasetError, match=message):
            MouseCounts(RawFile(path, ""), [])


def test_jain_has_twelve_assays_and_46_flags() -> None:
    data = load_dataset("jain")
    assert len(data) == 137
    assert data.label is not None
    assert int(np.sum(data.label)) == 46
    assert set(data.measurements) == {*ASSAYS, "flag_groups"}
    assert all(np.isfinite(values).all() for values in data.measurements.values())
    flags = {name: int(np.sum(load_dataset("jain", labels=f"{name}_flag").label)) for name in ("psr", "bvp", "elisa")}
    assert flags == {"psr": 28, "bvp": 35, "elisa": 30}
    for name, assay in ASSAYS.items():
        values = load_dataset("jain", labels=name)
        assert np.array_equal(values.label, data.measurements[name])
        if assay.worse:
            flagged = np.asarray(load_dataset("jain", labels=f"{name}_flag").label, bool)
            better, worse = data.measurements[name][~flagged], data.measurements[name][flagged]
            assert worse.min() > better.max() if assay.worse == "above" else worse.max() < better.min()
    groups = np.asarray(load_dataset("jain", labels="flag_groups").label)
    assert set(groups.tolist()) <= {0, 1, 2, 3, 4}
    assert "psr > 0.27 or bvp > 4.3 or elisa > 1.9" in data.provenance.rule


def test_the_thresholds_of_jain_are_the_worst_tenth_of_approved_antibodies(published: Path) -> None:
    """Table 1 of the paper gives them rounded; they can be computed from the same tables."""
    with (published / "jain" / "jain_sd01.csv").open(encoding="utf-8-sig") as lines:
        approved = {row["Name"] for row in csv.DictReader(lines) if row["Clinical Status"] == "Approved"}
    assert len(approved) == 48
    data = load_dataset("jain")
    rows = [row for row, one in enumerate(data.ids) if one in approved]
    for name, assay in ASSAYS.items():
        if assay.worse:
            tenth = np.percentile(np.asarray(data.measurements[name])[rows], 10 if assay.worse == "below" else 90)
            assert assay.threshold == pytest.approx(tenth, abs=0.01 + 0.01 * abs(tenth)), name


def test_shehata_has_seven_positives_with_the_highest_scores() -> None:
    data = load_dataset("shehata")
    assert len(data) == 398
    label, score = np.asarray(data.label, bool), np.asarray(data.measurements["psr"])
    assert label.sum() == 7
    assert score[label].min() > score[~label].max()
    assert np.array_equal(load_dataset("shehata", labels="psr").label, score)


def test_harvey_keeps_the_insertions_of_its_loops() -> None:
    data = load_dataset("harvey")
    assert len(data) == 48
    assert [round(float(one), 2) for one in (np.min(data.label), np.max(data.label))] == [1.77, 99.19]  # type: ignore[arg-type]
    assert data.cut("VHH").heavy == data.heavy
    loops = data.cut("H-CDR3").sequences
    assert max(map(len, loops)) > 13, "positions 105 to 117 without insertions are thirteen"
    assert [int(np.sum(load_dataset("harvey", labels=one).label)) for one in ("moderate", "high")] == [32, 7]


@pytest.mark.parametrize("name", ["boughter", "jain", "shehata", "harvey", "boughter_flu_cdrs"])
def test_labels_that_a_set_has_not_are_an_error_that_lists_them(name: str) -> None:
    for labels in ("nothing", "titer_flag", "_flag", "Graded"):
        with pytest.raises(DatasetError, match=f"unknown labels '{labels}' of '{name}'"):
            load_dataset(name, labels=labels)
    with pytest.raises(DatasetError, match="must be a name"):
        load_dataset(name, labels={"a": 1.0})


def test_the_rule_the_files_and_what_was_dropped_are_part_of_the_digest(graded: Dataset) -> None:
    digests = {load_dataset("jain", labels=labels).digest for labels in ("flags", "psr", "psr_flag", "flag_groups")}
    digests |= {load_dataset("jain", fragment=fragment).digest for fragment in ("VH", "H-CDR3", "VH+VL", "Full")}
    digests |= {load_dataset("jain", chain=chain).digest for chain in ("light", "both")}
    assert len(digests) == 10
    assert load_dataset("jain").digest in digests
    assert len(graded.provenance.sha256) == 3 * len(STUDIES) + 1
    assert all(len(line) <= 118 for line in str(graded.provenance).splitlines())
    assert "dropped: 1 to 3 ligands" in str(graded.provenance)


def test_nobody_fits_the_sets_to_each_other(graded: Dataset) -> None:
    assert boughter_module.MANY == 4
    for other, pairs in (("jain", 3), ("shehata", 8)):
        found = graded.audit(load_dataset(other), identities=(0.9,), numbering=False)
        assert found["sequences of both sets"].count == 0
        assert found["pairs of both at 90%"].count <= pairs


def written(folder: Path, rows: int) -> dict[str, str]:
    """Files like the published ones of sorted nanobodies, made from those that were measured."""
    import hashlib

    with fetch("harvey/low_throughput.csv").path.open() as lines:
        table = list(csv.DictReader(lines))
    digests = {}
    for kind in ("low", "high"):
        path = folder / "harvey" / f"{kind}_polyreactivity_high_throughput.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as lines:
            columns = [name for name in table[0] if re.fullmatch(r"\d+[A-Z]?|CDR1_nogaps", name)]
            writer = csv.DictWriter(lines, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(table[number % len(table)] for number in range(rows))
        digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


def test_sorted_nanobodies_stream_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = written(tmp_path, 250)
    expected = load_dataset("harvey").sequences
    monkeypatch.setenv("ANTIBODY_ESM_DATA", str(tmp_path))
    blocks = list(stream_harvey(digests, rows=100))
    assert [len(block) for block in blocks] == [100, 100, 50] * 2
    assert [set(np.asarray(block.label).tolist()) for block in blocks] == [{0.0}] * 3 + [{1.0}] * 3
    assert len({one for block in blocks for one in block.ids}) == 500
    assert blocks[0].sequences[:48] == expected
    with pytest.raises(DatasetError, match="the SHA-256 of low_polyreactivity_high_throughput.csv and high"):
        next(stream_harvey())
    with pytest.raises(DatasetError, match="is not the published file"):
        next(stream_harvey(dict.fromkeys(digests, "0" * 64)))
    low = tmp_path / "harvey" / "low_polyreactivity_high_throughput.csv"
    lines = low.read_text().splitlines()
    low.write_text("\n".join([*lines[:3], "," * lines[0].count(","), *lines[3:]]))
    import hashlib

    digests[low.name] = hashlib.sha256(low.read_bytes()).hexdigest()
    with pytest.raises(DatasetError, match="no residues") as caught:
        next(stream_harvey(digests))
    assert (caught.value.path, caught.value.row) == (low, 2)


def test_loops_of_nanobodies_are_at_their_published_positions(published: Path) -> None:
    with (published / "harvey" / "low_throughput.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    for fragment, (first, last) in (("H-CDR1", (27, 38)), ("H-CDR2", (56, 65)), ("H-CDR3", (105, 117))):
        named = [
            one for one in rows[0] if re.fullmatch(r"\d+[A-Z]?", one) and first <= int(re.sub("[A-Z]", "", one)) <= last
        ]
        expected = ["".join(row[one] for one in named).replace("-", "") for row in rows]
        assert load_dataset("harvey", fragment=fragment).sequences == expected


def test_fragments_of_the_predecessors_rows_leave_out_what_is_cut_off() -> None:
    with pytest.raises(DatasetError, match="drop=True leaves these antibodies out"):
        load_dataset("boughter", labels="predecessor", fragment="H-CDR3")
    cut = load_dataset("boughter", labels="predecessor", fragment="H-CDR3", drop=True)
    assert cut.provenance.dropped["hiv_nat_000024"] == "heavy domain ends in CDR3"
    assert cut.provenance.dropped["flu_000048"] == "a light chain, where the heavy chain is read"
    for name in ("jain", "shehata", "boughter"):
        load_dataset(name, fragment="VH+VL")
