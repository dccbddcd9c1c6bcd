"""Files as other programs write them are read as they are meant, or refused by line, id and reason."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import (
    Dataset,
    DatasetError,
    DescriptorSpec,
    ExtractorSpec,
    Predictor,
    SequenceError,
    Trainer,
    embed,
    embed_stream,
    embed_views,
    load_dataset,
)
from antibody_esm.cli.app import app
from antibody_esm.cli.arguments import antibodies as antibodies_given
from antibody_esm.cli.web_jobs import antibodies
from antibody_esm.data.labelled_tables import read_dataset
from antibody_esm.data.tables import read_sequences
from antibody_esm.numbering import number
from antibody_esm.score_tables import Columns, score_file, score_frame
from antibody_esm.sequences import normalise
from chains import HEAVY, LIGHT, LINKER, mutants
from effort import examples

FIELD = Path(__file__).parent / "field"
AIRR, CONTIG, THERA, OAS = (
    FIELD / name
    for name in (
        "01_airr_rearrangement.tsv",
        "01b_filtered_contig.fasta",
        "02_therasabdab_na.csv",
        "03_oas_unpaired.csv.gz",
    )
)
PAIRS, SPACED = FIELD / "07_pair_one_record.fasta", FIELD / "08_spaced_names.fasta"
HASHED, UNLABELLED = FIELD / "09_hash_header.tsv", FIELD / "10_unlabelled.fasta"
DNA = "GAGGTGCAGCTGGTGGAGAGCGGCGGCGGC"
SIMPLE = DescriptorSpec(descriptors=("length", "net_charge"))
COLUMNS: dict[str, Any] = {
    "id": "Therapeutic",
    "heavy": "HeavySequence",
    "light": "LightSequence",
    "label": "Polyreactive",
}
MISSING = ["", " ", "NA", "na", "N/A", "n/a", "nan", "NaN", "None", "null", "NULL", "-", "--", " na ", "#N/A", "<NA>"]
VH, VL = mutants(HEAVY, 40, 6), mutants(LIGHT, 40, 6)
LABEL = [i % 2 for i in range(40)]


def run(*arguments: object, fails: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], terminal_width=200)
    assert done.exit_code == fails, done.output
    return done.output


@pytest.fixture(scope="module")
def heavy_model() -> Predictor:
    return Trainer(SIMPLE, "logreg").fit(Dataset([f"a{i}" for i in range(40)], VH, label=LABEL), uncertainty=False)


@pytest.fixture(scope="module")
def paired_model(tiny: ExtractorSpec) -> Predictor:
    data = Dataset([f"a{i}" for i in range(40)], VH, VL, label=LABEL, chain="paired")
    return Trainer(tiny, "logreg").fit(data, uncertainty=False)


# DNA and RNA


@pytest.mark.parametrize("dna", [DNA, DNA.lower(), DNA.replace("T", "U"), "N" * 30, DNA[:29] + "N", f" {DNA}\n"])
@pytest.mark.parametrize(
    "read",
    [
        normalise,
        lambda given: normalise([(one, "EVQ") for one in given], pairs=True),
        lambda given: normalise([f"EVQ|{one}" for one in given], pairs=True),
        lambda given: embed(given, SIMPLE),
        lambda given: list(embed_stream(iter(given), SIMPLE)),
        lambda given: Dataset(["a", "b"], given),
        number,
    ],
)
def test_dna_and_rna_are_no_protein_anywhere(read: Any, dna: str) -> None:
    with pytest.raises(SequenceError, match=r"looks like [DR]NA \(30 letters, all of [ACGTUN, ]+\)") as caught:
        read([dna, HEAVY])
    assert [(row.index, row.position) for row in caught.value.rows] == [(0, 0)], "one reason a sequence"


def test_views_of_dna_are_refused_too(tiny: ExtractorSpec) -> None:
    with pytest.raises(SequenceError, match="looks like DNA"):
        embed_views([DNA, HEAVY], tiny.views([1, 2]))


@given(st.text("ACGTUN", min_size=1, max_size=60), st.sampled_from("DEFHIKLMPQRSVWYX"), st.integers(0, 60))
def test_one_amino_acid_more_or_fewer_than_thirty_letters_make_it_a_protein(text: str, other: str, at: int) -> None:
    protein = (text[:at] + other + text[at:]).replace("U", "V")
    assert normalise([protein]) == [protein]
    short = text[:29].replace("U", "T")
    assert normalise([short, protein]) == [short, protein]


@pytest.mark.parametrize("do", ["predict", "predict_proba", "vectors", "score_table"])
def test_no_model_scores_dna(do: str, heavy_model: Predictor) -> None:
    for dna in ([DNA], pd.DataFrame({"heavy": [DNA]}), pd.DataFrame({"sequence": [DNA]})):
        with pytest.raises(SequenceError, match="looks like DNA"):
            getattr(heavy_model, do)(dna)


def test_contigs_are_refused_at_every_door(heavy_model: Predictor, tmp_path: Path) -> None:
    message = r"line 1 \(id AAACCTGCAAGCGCTC-1_contig_1\): looks like DNA \(360 letters, all of A, C, G, T\)"
    with pytest.raises(DatasetError, match=message):
        load_dataset(CONTIG, labels={"AAACCTGCAAGCGCTC-1_contig_1": 1})
    with pytest.raises(SequenceError, match=message):
        embed_stream(CONTIG, SIMPLE)
    with pytest.raises(SequenceError, match=message):
        antibodies_given(str(CONTIG))
    ((table, rejected, _),) = score_file(CONTIG, heavy_model)
    assert not len(table)
    assert list(rejected["reason"]) == ["heavy chain: looks like DNA (360 letters, all of A, C, G, T)"]
    assert "looks like DNA (360 letters" in run("data", "number", CONTIG, "-o", tmp_path / "out.csv", fails=1)
    pasted = antibodies(CONTIG.read_text(), None, "heavy")
    assert "looks like DNA" in score_frame(pasted, heavy_model).rejected["reason"][0]


def test_amino_acids_and_ids_of_an_airr_table_are_those_of_its_own_columns(
    heavy_model: Predictor, tmp_path: Path
) -> None:
    expected = pd.read_csv(AIRR, sep="\t")
    ids, proteins = list(expected["sequence_id"]), list(expected["sequence_aa"])
    assert list(read_sequences(AIRR, cut=False)) == list(zip(ids, proteins, strict=True))
    proteins = [protein[d.start : d.end] for protein, (d,) in zip(proteins, number(proteins), strict=True)]
    assert proteins[0].startswith("EVQLVES"), "the leader is cut off"
    assert list(read_sequences(AIRR)) == list(zip(ids, proteins, strict=True))
    assert [block.ids for block in embed_stream(AIRR, SIMPLE)] == [ids]
    assert [name for name, _ in antibodies_given(str(AIRR))] == ids
    ((table, rejected, antibodies_read),) = score_file(AIRR, heavy_model)
    heavy = [0, 2]
    assert [list(table["id"]), list(rejected["id"])] == [[ids[0], ids[2]], [ids[1]]]
    assert list(rejected["reason"]) == ["a light chain, where the heavy chain is read"]
    assert antibodies_read == [(proteins[row], None) for row in heavy]
    some = expected.iloc[heavy]
    assert np.array_equal(heavy_model.predict_proba(some), heavy_model.predict_proba([proteins[row] for row in heavy]))
    assert list(heavy_model.score_table(expected)["id"]) == ids
    run("data", "number", AIRR, "-o", tmp_path / "out.csv")
    assert set(pd.read_csv(tmp_path / "out.csv")["id"]) == set(ids)


def test_the_column_of_amino_acids_is_named_where_another_one_is_read(heavy_model: Predictor, tmp_path: Path) -> None:
    advice = r"line 2 \(id CELL1-1_contig_1\): looks like DNA .*; use the column sequence_aa"
    with pytest.raises(SequenceError, match=advice):
        embed_stream(AIRR, SIMPLE, column="sequence")
    said = run("data", "number", AIRR, "--sequence", "sequence", "-o", tmp_path / "out.csv", fails=1)
    assert "line 3 (id CELL1-1_contig_2): looks like DNA" in said
    assert "use the column sequence_aa" in said
    labelled = pd.read_csv(AIRR, sep="\t").assign(label=[0, 1, 1])
    with pytest.raises(DatasetError, match=r"row 1 \(index 0, id CELL1-1_contig_1\): looks like .* column sequence_aa"):
        load_dataset(labelled, heavy="sequence")
    assert load_dataset(labelled, heavy="sequence_aa").ids == tuple(labelled["sequence_id"])
    (scores,) = score_file(AIRR, heavy_model, Columns(heavy="sequence"))
    assert scores.rejected["reason"].str.endswith("use the column sequence_aa").all()


def test_a_data_unit_of_oas_is_read_below_its_metadata() -> None:
    (block,) = embed_stream(OAS, SIMPLE, column="sequence_alignment_aa")
    assert len(block.ids) == 2
    (recognised,) = embed_stream(OAS, SIMPLE)
    assert recognised.sequences == block.sequences
    for layout in (None, "plain"):
        with pytest.raises(SequenceError, match="line 3 .*looks like DNA.*; use the column sequence_alignment_aa"):
            embed_stream(OAS, SIMPLE, column="sequence", layout=layout)


# Missing chains


def test_a_missing_light_chain_is_refused_from_the_path_and_from_the_frame() -> None:
    for source, where in ((THERA, "line 4"), (pd.read_csv(THERA), "row 3"), (pd.read_csv(THERA, dtype=str), "row 3")):
        with pytest.raises(DatasetError, match=rf"{where} \(.*id Caplacizumab\): no light chain") as caught:
            load_dataset(source, **COLUMNS, chain="paired")
        assert (caught.value.rows, caught.value.row, caught.value.column) == ((2,), 2, "LightSequence")
        assert load_dataset(source, **COLUMNS).light[2] is None  # type: ignore[index]


@pytest.mark.parametrize("missing", MISSING)
def test_no_way_of_writing_nothing_is_a_sequence(
    missing: str, paired_model: Predictor, heavy_model: Predictor, tmp_path: Path
) -> None:
    """NA would be embedded as asparagine and alanine, and NAN as a tripeptide."""
    table = pd.DataFrame({"id": ["a", "b"], "heavy": [HEAVY, missing], "light": [missing, LIGHT], "label": [0, 1]})
    path = tmp_path / "a.csv"
    table.to_csv(path, index=False)
    for source in (table, path, pd.read_csv(path), pd.read_csv(path, keep_default_na=False)):
        for chain in ("paired", "both", "heavy"):
            with pytest.raises(DatasetError, match=r"id b\): no heavy chain") as caught:
                load_dataset(source, chain=chain)  # type: ignore[arg-type]
            assert caught.value.rows == (1,)
    with pytest.raises(SequenceError, match=r"line 3 \(id b\): no sequence"):
        embed_stream(path, SIMPLE, column="heavy")
    assert list(read_sequences(path, "heavy"))[1] == ("b", None)
    with pytest.raises(SequenceError, match=r"line 3 \(id b\): no sequence"):
        antibodies_given(str(path))
    said = run("data", "number", path, "--sequence", "heavy", "-o", tmp_path / "out.csv")
    assert "line 3 (id b): no sequence" in said
    for frame in (table, antibodies("", str(path), "paired")):
        scores = score_frame(frame, paired_model)
        assert list(scores.rejected["reason"]) == ["has no light chain", "has no heavy chain"]
        assert list(score_frame(frame, heavy_model).rejected["reason"]) == ["has no heavy chain"]
        with pytest.raises(DatasetError, match="no heavy chain"):
            heavy_model.predict(frame)
    pasted = score_frame(antibodies(f"{HEAVY}\n{missing or '-'}\n", None, "heavy"), heavy_model)
    assert list(pasted.rejected["reason"]) == [] if not missing.strip() and missing else ["has no heavy chain"]


chains = st.sampled_from([*MISSING, "EVQLVESGG", "evq lve*", "NLL", "EV-L", "X", DNA, "E1"])


@given(
    st.lists(st.tuples(chains, chains, st.sampled_from(["0", "1", "NA", "", "high"])), min_size=1, max_size=6),
    st.sampled_from(["heavy", "light", "paired", "both"]),
)
@examples(80)
def test_a_path_and_a_frame_that_pandas_read_are_the_same_data_or_the_same_refusal(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], chain: Any
) -> None:
    path = tmp_path_factory.mktemp("agree") / "a.csv"
    table = pd.DataFrame(rows, columns=["heavy", "light", "label"])
    table.insert(0, "id", [f"m{i}" for i in range(len(rows))])
    table.to_csv(path, index=False)

    def outcome(source: Any) -> Any:
        try:
            data = load_dataset(source, chain=chain)
        except DatasetError as error:
            return error.rows, error.column
        return data.ids, data.heavy, data.light, np.asarray(data.label).tolist()

    expected = outcome(path)
    for frame in (pd.read_csv(path), pd.read_csv(path, dtype=str), pd.read_csv(path, keep_default_na=False), table):
        assert outcome(frame) == expected


def test_all_rows_without_the_chain_are_in_the_error() -> None:
    table = pd.DataFrame({"heavy": [HEAVY] * 30, "light": [LIGHT, "na"] * 15, "label": [0] * 30})
    with pytest.raises(DatasetError, match="and 5 more") as caught:
        load_dataset(table, chain="paired")
    assert caught.value.rows == tuple(range(1, 30, 2))


# A record as its own partner


@pytest.mark.parametrize("chain", ["paired", "both"])
def test_a_record_of_fasta_is_never_its_own_partner(chain: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(f">a\n{HEAVY}|{LIGHT}\n>b\n{HEAVY}\n")
    with pytest.raises(DatasetError, match=r"1 records hold one chain, .* write each as HEAVY\|LIGHT.*: line 3 \(id b"):
        load_dataset(path, labels={"a": 0, "b": 1}, chain=chain)
    path.write_text(f">a\n{HEAVY}|na\n")
    with pytest.raises(DatasetError, match="no light chain"):
        load_dataset(path, labels={"a": 0}, chain=chain)


def test_a_record_that_is_left_out_is_not_its_own_partner_either(tmp_path: Path) -> None:
    fasta = tmp_path / "pairs.fasta"
    fasta.write_text(f">a\n{HEAVY}|{LIGHT}\n>b\n{HEAVY}|{LIGHT}\n>single\n{HEAVY}\n")
    options: dict[str, Any] = {"chain": "paired", "labels": {"a": 0, "b": 1, "single": 1}}
    with pytest.raises(DatasetError, match=r"1 records hold one chain.*drop=True \(data.drop=true\)"):
        load_dataset(fasta, **options)
    data = load_dataset(fasta, **options, drop=True)
    assert (data.ids, data.provenance.dropped) == (("a", "b"), {"single": "no light chain"})


@pytest.mark.parametrize("chain", ["paired", "both"])
def test_a_column_is_never_its_own_partner(chain: Any, paired_model: Predictor) -> None:
    table = pd.DataFrame({"vh": [HEAVY], "label": [0]})
    with pytest.raises(DatasetError, match="'vh' is named for both the heavy and the light chain"):
        load_dataset(table, heavy="vh", light="vh", chain=chain)
    with pytest.raises(DatasetError, match="'vh' is named for both the heavy and the light chain"):
        score_frame(table, paired_model, Columns(heavy="vh", light="vh"))


def test_a_single_chain_with_both_domains_is_read_for_a_fragment_of_both(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(
        "".join(f">m{i}\n{one}{LINKER}{other}\n" for i, (one, other) in enumerate(zip(VH, VL, strict=True)))
    )
    data = load_dataset(path, labels={f"m{i}": label for i, label in enumerate(LABEL)}, fragment="VH+VL", drop=True)
    assert len(data) > 30
    model = Trainer(SIMPLE, "logreg").fit(data, uncertainty=False)
    (scores,) = score_file(path, model)
    assert model.reading.read(scores.antibodies).accepted == data.sequences


def test_a_fasta_of_pairs_gives_the_same_numbers_at_every_door(paired_model: Predictor, tmp_path: Path) -> None:
    data = load_dataset(PAIRS, labels={"mAb1": 0, "mAb2": 1}, chain="paired")
    assert load_dataset(PAIRS, labels={"mAb1": 0, "mAb2": 1}).digest == data.digest, "which is the default"
    assert "2 antibodies" in run("data", "audit", PAIRS, "--no-numbering")
    expected = paired_model.predict_proba(data)[:, 1]
    (block,) = embed_stream(PAIRS, paired_model.extractor)
    assert block.sequences == data.sequences
    frame = pd.DataFrame({"id": data.ids, "sequence": data.sequences})
    for scores in (
        *score_file(PAIRS, paired_model),
        score_frame(frame, paired_model),
        score_frame(antibodies(PAIRS.read_text(), None, "paired"), paired_model),
        score_frame(antibodies("", str(PAIRS), "paired"), paired_model),
    ):
        assert np.array_equal(scores.table["probability"], expected)
        assert list(scores.table["id"]) == ["mAb1", "mAb2"]
    assert np.array_equal(paired_model.predict_proba(frame)[:, 1], expected)
    paired_model.save(tmp_path / "model")
    run("predict", PAIRS, "--model", tmp_path / "model", "-o", tmp_path / "out.csv", "-s", tmp_path / "store")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv")["probability"], expected, rtol=1e-12)


# Ids and lines


def test_names_with_spaces_are_three_ids_at_every_door(heavy_model: Predictor, tmp_path: Path) -> None:
    ids = [f"antibody {number} heavy" for number in (1, 2, 3)]
    assert load_dataset(SPACED, labels=dict.fromkeys(ids, 1.0)).ids == tuple(ids)
    assert [block.ids for block in embed_stream(SPACED, SIMPLE)] == [ids]
    assert [list(scores.table["id"]) for scores in score_file(SPACED, heavy_model)] == [ids]
    assert list(antibodies(SPACED.read_text(), None, "heavy")["id"]) == ids
    assert list(antibodies("", str(SPACED), "heavy")["id"]) == ids
    assert [name for name, _ in antibodies_given(str(SPACED))] == ids
    run("data", "number", SPACED, "-o", tmp_path / "out.csv")
    assert list(pd.read_csv(tmp_path / "out.csv")["id"]) == ids
    with pytest.raises(DatasetError, match="first 'antibody'; the ids are whole headers"):
        load_dataset(SPACED, labels={"antibody": 1})


def test_a_header_with_a_hash_is_the_header(heavy_model: Predictor) -> None:
    data = load_dataset(HASHED)
    assert (data.ids, data.binary_labels().tolist()) == (("A", "B", "C"), [0, 1, 1])
    assert [list(scores.table["id"]) for scores in score_file(HASHED, heavy_model)] == [["A", "B", "C"]]


def test_sequences_without_labels_are_audited(tmp_path: Path) -> None:
    assert "no variable domain, heavy     0 rows" in run("data", "audit", UNLABELLED)
    table = tmp_path / "a.csv"
    table.write_text(f"heavy\n{HEAVY}\n{HEAVY}\n")
    assert "exact duplicates              1 row" in run("data", "audit", table, "--against", UNLABELLED)
    assert "there is no column 'psr'" in run("data", "audit", table, "--label", "psr", fails=1)
    assert read_dataset(UNLABELLED, labelled=False).label is None
    with pytest.raises(DatasetError, match="pass labels="):
        load_dataset(UNLABELLED)


MESSY = f'# by hand\n# twice\nid,heavy,note,label\na,{HEAVY},"two\nlines",0\n\nb,EV-Q,,1\nc,EVQ1,,0\n'


def test_lines_and_positions_of_a_file_are_those_of_an_editor(heavy_model: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "messy.csv"
    path.write_text(MESSY)
    for line, bad in ((7, "EV-Q"), (8, "EVQ1")):
        assert MESSY.splitlines()[line - 1].split(",")[1] == bad
    with pytest.raises(
        DatasetError, match=r"line 7 \(id b\), position 3: '-'\n  line 8 \(id c\), position 4: '1'"
    ) as one:
        load_dataset(path)
    assert (one.value.rows, one.value.row) == ((1, 2), 1)
    with pytest.raises(
        SequenceError, match=r"line 7 \(id b\), position 3: '-'\n  line 8 \(id c\), position 4"
    ) as other:
        embed_stream(path, SIMPLE)
    assert other.value.rows == ((1, 2, "-"), (2, 3, "1"))
    assert "line 7 (id b): position 3: '-'" in run("data", "number", path, "-o", tmp_path / "out.csv")
    heavy_model.save(tmp_path / "model")
    command = ("predict", path, "--model", tmp_path / "model", "-o", tmp_path / "o.csv", "-s", tmp_path / "store")
    assert "line 7 (id b): heavy chain, position 3: '-'" in run(*command, "--strict", fails=1)
    path.write_text(MESSY.replace("EV-Q", HEAVY).replace("EVQ1", HEAVY[:60]))
    with pytest.raises(DatasetError, match=r"messy\.csv: 1 of 3 antibodies have no whole VH: line 8 \(id c\): heavy"):
        load_dataset(path, fragment="VH")
    path.write_text(MESSY.replace("EV-Q", HEAVY).replace("EVQ1", "").replace("b,", "a,"))
    with pytest.raises(DatasetError, match=r"'a' occurs 2 times: line 4 \(id a\), line 7 \(id a\)") as twice:
        load_dataset(path)
    assert twice.value.rows == (1,)


def test_a_list_has_no_lines_and_counts_from_one_with_the_index_beside() -> None:
    with pytest.raises(SequenceError, match=r"sequence 3 \(index 2\), position 5: '-'") as caught:
        normalise(["EVQ", "EVQ", "EVQL-"])
    assert (caught.value.index, caught.value.position) == (2, 4)
    with pytest.raises(SequenceError, match=r"sequence 2 \(index 1, id b\): empty"):
        Dataset(["a", "b"], ["EVQ", ""])


def test_an_error_behind_the_first_block_is_counted_from_the_beginning(tmp_path: Path, tiny: ExtractorSpec) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(f">a\n{HEAVY}\n>b\n{HEAVY}\n>c\nXXX\n")
    with pytest.raises(SequenceError, match=r"line 5 \(id c\): all residues are unknown") as caught:
        list(embed_stream(path, SIMPLE, at_once=2))
    assert caught.value.index == 2
    loops = tiny.model_copy(update={"region": "cdr3"})
    with pytest.raises(SequenceError, match=r"line 5 \(id c\): no cdr3 by IMGT numbering"):
        list(embed_stream(path, loops, at_once=2))


def test_an_error_without_a_place_in_the_sequence_names_no_position() -> None:
    for bad in (None, math.nan, "", 3):
        with pytest.raises(SequenceError) as caught:
            normalise(["EVQ", bad])  # type: ignore[list-item]
        assert "position" not in str(caught.value)
