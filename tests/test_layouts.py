"""Tables in the layouts of the field are the same antibodies at every door, or refused with the reason."""

import logging
from collections.abc import Callable
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
    Predictor,
    SequenceError,
    Trainer,
    embed_stream,
    load_dataset,
)
from antibody_esm.cli.app import app
from antibody_esm.cli.arguments import antibodies as antibodies_given
from antibody_esm.cli.web_jobs import antibodies as uploaded
from antibody_esm.cli.web_jobs import recognised_columns
from antibody_esm.data.antibody_tables import read_tables, table_of
from antibody_esm.data.column_roles import USUAL, plain_name
from antibody_esm.data.labelled_tables import read_dataset
from antibody_esm.data.layouts import LAYOUTS, NAMES, Columns, layout_of
from antibody_esm.design.screening import screen
from antibody_esm.score_tables import score_file, score_frame
from chains import HEAVY, LIGHT
from effort import examples
from laid_out import CONSTANT, DNA, FILES, LEADER, SINGLE, VH, VL, airr, contig, written

LABEL = [float(i % 2) for i in range(40)]
SIMPLE = DescriptorSpec(descriptors=("length", "net_charge"))


def run(*arguments: object, fails: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], terminal_width=200)
    assert done.exit_code == fails, done.output
    return done.output


IDS = ["m0", "m1", "m2"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return written(tmp_path_factory.mktemp("layouts"))


@pytest.fixture(scope="module")
def heavy_model() -> Predictor:
    return Trainer(SIMPLE, "logreg").fit(Dataset([f"a{i}" for i in range(40)], VH, label=LABEL), uncertainty=False)


@pytest.fixture(scope="module")
def paired_model() -> Predictor:
    data = Dataset([f"a{i}" for i in range(40)], VH, VL, label=LABEL, chain="paired")
    return Trainer(SIMPLE, "logreg").fit(data, uncertainty=False)


def ids_in(name: str) -> list[str]:
    return ["0", "1", "2"] if name == "oas.csv" else IDS


@pytest.mark.parametrize("name", FILES)
def test_a_layout_is_the_same_antibodies_at_every_door(
    name: str, files: dict[str, Path], heavy_model: Predictor
) -> None:
    path, ids = files[name], ids_in(name)
    data = read_dataset(path, labelled=False, chain="heavy")
    assert (list(data.ids), list(data.heavy or ())) == (ids, VH[:3])
    assert data.light is None or name == "imgt.txt" or list(data.light) == VL[:3]
    (block,) = embed_stream(path, SIMPLE)
    assert (block.ids, block.sequences) == (ids, VH[:3])
    assert antibodies_given(str(path)) == list(zip(ids, VH[:3], strict=True))
    assert antibodies_given(str(path), heavy_model.reading) == list(zip(ids, VH[:3], strict=True))
    expected = heavy_model.predict_proba(VH[:3])[:, 1]
    (scores,) = score_file(path, heavy_model)
    uploads = score_frame(uploaded("", str(path), "heavy"), heavy_model)
    for each in (scores, uploads):
        assert not len(each.rejected), list(each.rejected["reason"])
        assert list(each.table["id"]) == ids
        assert np.array_equal(each.table["probability"], expected)
    searched = screen(path, chain="heavy")
    assert (searched.antibodies, len(searched.rejected)) == (3, 0)


@pytest.mark.parametrize("name", [name for name in FILES if name not in SINGLE])
def test_pairs_of_a_layout_are_the_same_at_every_door(
    name: str, files: dict[str, Path], paired_model: Predictor
) -> None:
    path = files[name]
    data = read_dataset(path, labelled=False, chain="paired")
    assert (list(data.ids), data.sequences) == (IDS, [f"{h}|{x}" for h, x in zip(VH[:3], VL[:3], strict=True)])
    assert [text for _, text in antibodies_given(str(path), paired_model.reading)] == data.sequences
    expected = paired_model.predict_proba(data)[:, 1]
    (scores,) = score_file(path, paired_model)
    assert np.array_equal(scores.table["probability"], expected)
    frame = next(read_tables(path)).frame
    assert np.array_equal(paired_model.predict_proba(frame)[:, 1], expected)
    assert screen(path).antibodies == 3


@pytest.mark.parametrize("name", ["airr.tsv", "oas.csv", "imgt.txt"])
def test_rows_of_one_chain_are_no_pairs(name: str, files: dict[str, Path], paired_model: Predictor) -> None:
    if name == "imgt.txt":  # it has columns of both, of which one is empty
        (scores,) = score_file(files[name], paired_model)
        assert set(scores.rejected["reason"]) == {"has no light chain"}
        return
    with pytest.raises(DatasetError, match="has one chain, and pairs are read; pass a table with the two") as caught:
        list(score_file(files[name], paired_model))
    assert caught.value.path == files[name]
    with pytest.raises(DatasetError, match="has one chain, and pairs are read"):
        read_dataset(files[name], labelled=False, chain="paired")


@pytest.mark.parametrize("name", FILES)
def test_commands_print_what_is_recognised_once(
    name: str, files: dict[str, Path], heavy_model: Predictor, tmp_path: Path
) -> None:
    heavy_model.save(tmp_path / "model")
    end = ("-o", tmp_path / "out.csv")
    printed = [
        run("predict", files[name], "-m", tmp_path / "model", "-s", tmp_path / "store", *end),
        run("data", "number", files[name], *end),
        run("data", "audit", files[name], "--no-numbering"),
    ]
    for text in printed:
        notes = [line for line in text.splitlines() if line.startswith("note: ")]
        assert len(notes) == len(set(notes))
        assert notes
        assert not [line for line in text.splitlines() if line.startswith("warning")]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "thera.csv",
            {"id": "Therapeutic", "heavy": "HeavySequence", "light": "LightSequence", "layout": "therasabdab"},
        ),
        ("plain.csv", {"id": "Antibody Name", "heavy": "VH", "light": "VL"}),
        ("flab.csv", {"label": "fitness", "layout": "flab"}),
        ("biotrainer.fasta", {"label": "TARGET", "layout": "biotrainer"}),
        ("oas.csv", {"heavy": "sequence_alignment_aa", "layout": "oas"}),
    ],
)
def test_what_was_recognised_is_in_the_provenance(name: str, columns: dict[str, str], files: dict[str, Path]) -> None:
    data = read_dataset(files[name], labelled=False)
    assert data.provenance.columns == columns
    assert all(value in str(data.provenance) for value in columns.values())


def test_a_table_with_the_default_names_has_the_digest_that_it_had_before(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,heavy,light,label\na,{HEAVY},{LIGHT},0\nb,{HEAVY},{LIGHT},1\n")
    data = load_dataset(path)
    assert data.provenance.columns == {}
    assert "columns" not in data.provenance.to_dict()
    named = pd.DataFrame({"vh": [HEAVY], "y2": [1]})
    digest = "0178cb18b5839d6d53100a9656e612f252728bf67151f8b0cbbd71fcc256c4b6"
    assert load_dataset(named, heavy="vh", label="y2").digest == digest


def test_labels_of_a_layout_are_read(files: dict[str, Path]) -> None:
    for name in ("flab.csv", "biotrainer.fasta"):
        assert list(load_dataset(files[name]).label) == [1.5, 2.5, 3.5]  # type: ignore[arg-type]
    frame = pd.DataFrame({"VH": VH[:2], "Target": ["0", "1"]})
    assert list(load_dataset(frame).label) == [0, 1]  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="'Target' and 'Polyreactivity' may each hold the labels; name one of them"):
        load_dataset(frame.assign(Polyreactivity=[0, 1]))
    with pytest.raises(DatasetError, match="no column 'label'"):
        load_dataset(frame.assign(Target=["low", "high"]))


# What is refused


def test_a_transcript_is_cut_to_its_domain_or_refused_by_row(heavy_model: Predictor, tmp_path: Path) -> None:
    table = airr([HEAVY] * 7)
    table["sequence_aa"] = [
        f"{LEADER}{HEAVY}{CONSTANT}",
        f"{LEADER}{HEAVY}{CONSTANT}*RR",
        f"RR*{LEADER}{HEAVY}",
        f"{LEADER}{HEAVY[:60]}*{HEAVY[60:]}",
        f"{LEADER}{CONSTANT}",
        f"{HEAVY}GGGGSGGGGS{HEAVY}",
        f"{LEADER}{HEAVY}",
    ]
    table.loc[6, "productive"] = "F"
    path = tmp_path / "a.tsv"
    table.to_csv(path, index=False, sep="\t")
    reasons = {
        3: "a stop codon (*) at position 80 within the variable domain",
        4: "no variable domain",
        5: "2 variable domains in one transcript",
        6: "not productive (productive is false)",
    }
    (scores,) = score_file(path, heavy_model)
    assert [heavy for heavy, _ in scores.antibodies] == [HEAVY] * 3
    assert list(scores.rejected["row"]) == list(reasons)
    for reason, start in zip(scores.rejected["reason"], reasons.values(), strict=True):
        assert reason.startswith(start)
    with pytest.raises(SequenceError, match=r"line 5 \(id m3\): a stop codon"):
        embed_stream(path, SIMPLE)
    with pytest.raises(SequenceError, match="no variable domain"):
        antibodies_given(str(path), heavy_model.reading)
    with pytest.raises(
        DatasetError, match=r"line 5 \(id m3\): a stop codon[^|]*drop=True \(data.drop=true\) leaves out"
    ) as caught:
        read_dataset(path, labelled=False)
    assert caught.value.rows == (3, 4, 5, 6)
    data = read_dataset(path, labelled=False, drop=True)
    assert data.sequences == [HEAVY] * 3
    assert list(data.provenance.dropped) == ["m3", "m4", "m5", "m6"]
    assert data.provenance.counts == {"rows read": 7, "rows that are not refused": 3}
    run("data", "number", path, "-o", tmp_path / "out.csv")
    numbered = pd.read_csv(tmp_path / "out.csv")
    starts = numbered[numbered["domain"] == 1]
    assert dict(zip(starts["id"], starts["start"], strict=True))["m2"] == len("RR*" + LEADER)
    plain = read_dataset(pd.read_csv(path, sep="\t").iloc[:1], labelled=False, layout="plain")
    assert plain.sequences == [f"{LEADER}{HEAVY}{CONSTANT}"], "layout= leaves it whole"


def test_a_barcode_with_two_chains_of_a_kind_is_refused_by_row(paired_model: Predictor, tmp_path: Path) -> None:
    rows = [
        contig("A", 1, "IGH", HEAVY),
        contig("A", 2, "IGK", LIGHT),
        contig("B", 1, "IGH", HEAVY),
        contig("B", 2, "IGH", VH[1]),
        contig("B", 3, "IGL", LIGHT),
        contig("C", 1, "IGK", LIGHT),
        contig("D", 1, "IGH", HEAVY, fwr4=""),
        contig("D", 2, "IGL", LIGHT),
        contig("E", 1, "IGH", HEAVY, productive="false"),
        contig("F", 1, "IGH", HEAVY, is_cell="False"),
        contig("G", 1, "TRB", HEAVY),
        contig("A", 3, "IGK", VL[1], high_confidence="false"),
    ]
    path = tmp_path / "filtered_contig_annotations.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    for scores in (*score_file(path, paired_model), score_frame(pd.read_csv(path), paired_model)):
        assert list(scores.table["id"]) == ["A"]
        assert scores.antibodies == [(HEAVY, LIGHT)]
        assert dict(zip(scores.rejected["id"], scores.rejected["reason"], strict=True)) == {
            "B": "2 productive heavy chains in one barcode (B_contig_1, B_contig_2)",
            "C": "has no heavy chain",
            "D": "contig D_contig_1 has no fwr4",
        }
    with pytest.raises(DatasetError, match=r"row 2 \(index 1, id B\): 2 productive heavy chains"):
        read_dataset(path, labelled=False, chain="paired")
    data = read_dataset(path, labelled=False, chain="paired", drop=True, required=False)
    assert data.ids == ("A", "C"), "C has one chain, which load_dataset(drop=True) leaves out too"
    table = next(read_tables(path)).frame
    assert list(table["isotype"][:1]) == ["IGHM"]
    assert list(table["v_gene_light"][:1]) == ["V"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("barcode", "contig_id", "chain", "cdr3", "cdr3_nt"), "CDR3 only; the file airr_rearrangement.tsv"),
        (("clonotype_id", "frequency", "cdr3s_aa"), "CDR3 only; the files filtered_contig_annotations.csv"),
        (("pdb", "Hchain", "Lchain", "model"), r"has no sequences; the structures .* \(imgt/\*\.pdb"),
        (("sequence_id", "sequence", "v_call", "junction"), "nucleotides only: write it with the column sequence_aa"),
    ],
)
def test_a_table_without_amino_acids_names_the_file_that_has_them(
    columns: tuple[str, ...], message: str, heavy_model: Predictor, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame([["x"] * len(columns)], columns=columns).to_csv(path, index=False)
    doors: list[Callable[[], Any]] = [
        lambda: load_dataset(path),
        lambda: list(score_file(path, heavy_model)),
        lambda: embed_stream(path, SIMPLE),
        lambda: screen(path),
        lambda: heavy_model.predict(pd.read_csv(path)),
        lambda: antibodies_given(str(path)),
    ]
    for door in doors:
        with pytest.raises(DatasetError, match=message) as caught:
            door()
        assert caught.value.path in (path, None)
    assert run("data", "number", path, "-o", tmp_path / "out.csv", fails=1).count("error: ") == 1


def test_nucleotides_of_imgt_name_the_sheet_with_amino_acids(tmp_path: Path) -> None:
    path = tmp_path / "3_Nt-sequences.txt"
    path.write_text(f"Sequence ID\tV-D-J-REGION\tV-J-REGION\na\t{DNA}\t\n")
    with pytest.raises(DatasetError, match="looks like DNA .*; the sheet 5_AA-sequences of the same results"):
        read_dataset(path, labelled=False)


# Columns


def test_a_column_of_sequences_is_that_of_the_chain_that_is_read(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"sequence": VL[:2], "label": [0, 1]})
    assert load_dataset(frame, chain="light").light == tuple(VL[:2])
    with caplog.at_level(logging.INFO, "antibody_esm.tables"):
        assert load_dataset(frame).heavy == tuple(VL[:2])
        assert "the column 'sequence' is read as heavy chains; chain= names another" in caplog.text
        caplog.clear()
        load_dataset(frame, chain="light")
    assert "is read as light chains" in caplog.text
    assert "names another" not in caplog.text  # chain= was given
    pairs = pd.DataFrame({"Protein Sequence": [f"{h}|{x}" for h, x in zip(VH[:2], VL[:2], strict=True)], "y": [0, 1]})
    for chain in (None, "paired", "both"):
        data = load_dataset(pairs, chain=chain)  # type: ignore[arg-type]
        assert (data.heavy, data.light, data.chain) == (tuple(VH[:2]), tuple(VL[:2]), chain or "paired")
    assert load_dataset(pairs).provenance.columns == {"sequence": "Protein Sequence", "label": "y"}


def test_a_column_is_recognised_only_if_exactly_one_fits(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"VH": VH[:2], "heavy_sequence": VH[:2], "label": [0, 1]})
    with pytest.raises(
        DatasetError, match="no column with sequences; name one of 'VH' and 'heavy_sequence' with heavy="
    ):
        load_dataset(frame)
    with pytest.raises(
        DatasetError, match="'VH' and 'heavy_sequence' may each hold the heavy chains; name one of them"
    ):
        load_dataset(frame, chain="heavy")
    assert load_dataset(frame, heavy="VH").provenance.columns == {}
    genes = frame.assign(VH="IGHV3-23")
    assert load_dataset(genes).provenance.columns == {"heavy": "heavy_sequence"}, "names of genes are no chains"
    assert load_dataset(genes.assign(heavy=VH[2:4])).sequences == VH[2:4], "the default name wins"
    dna = frame.assign(VH=DNA)
    assert load_dataset(dna).provenance.columns == {"heavy": "heavy_sequence"}
    two_ids = genes.assign(name=["a", "b"], antibody=["c", "d"])
    with caplog.at_level(logging.INFO, "antibody_esm.tables"):
        assert load_dataset(two_ids).ids == ("0", "1")
    assert "no id, as 'name' and 'antibody' fit" in caplog.text


def test_a_table_with_default_names_is_read_as_before_whatever_other_columns_fit() -> None:
    frame = pd.DataFrame({"heavy": VH[:2], "label": [0, 1]})
    more = frame.assign(VL=VL[:2], name=["a", "b"])
    assert load_dataset(more).digest == load_dataset(frame).digest
    assert load_dataset(more, chain="paired").provenance.columns == {"light": "VL", "id": "name"}
    light = frame.rename(columns={"heavy": "light"})
    assert load_dataset(light.assign(VH=VH[2:4])).digest == load_dataset(light).digest, "not another chain"
    named = frame.rename(columns={"heavy": "mine"})
    assert load_dataset(named.assign(VL=VL[:2]), heavy="mine").digest == load_dataset(named, heavy="mine").digest
    assert table_of(more).recognised.recognised == {"light": "VL", "id": "name"}, "to predict, ids are recognised"


def test_a_column_of_ids_that_repeat_is_none_with_a_warning() -> None:
    frame = pd.DataFrame({"name": ["a", "a"], "VH": VH[:2], "label": [0, 1]})
    with pytest.warns(UserWarning, match="rows are numbered") as caught:
        data = load_dataset(frame)
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)], "the line that calls load_dataset"
    assert (data.ids, data.provenance.columns) == (("0", "1"), {"heavy": "VH"})
    text = "rows are numbered: in column 'name', ids are missing or repeat: row 1 (index 0, id a), row 2"
    assert str(caught[0].message).startswith(text)
    assert load_dataset(frame.assign(name=["a", "b"])).ids == ("a", "b")
    with pytest.raises(DatasetError, match="ids must be distinct"):
        load_dataset(frame, id="name")


@pytest.mark.parametrize("spelling", ["vh", "VH", "heavy_sequence", "vh_protein_sequence", "HeavySequence", "VHH"])
def test_usual_names_are_recognised_in_any_spelling(spelling: str) -> None:
    assert load_dataset(pd.DataFrame({spelling: VH[:2], "Label": [0, 1]})).sequences == VH[:2]


def test_columns_that_are_named_are_never_recognised_as_others() -> None:
    frame = pd.DataFrame({"VH": VH[:2], "vh_sequence": VL[:2], "label": [0, 1]})
    data = load_dataset(frame, light="vh_sequence", chain="paired")
    assert (list(data.heavy or ()), list(data.light or ())) == (VH[:2], VL[:2])


def test_two_tables_have_two_mappings(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    pd.DataFrame({"VH": VH[:3], "PSR score": [0, 1, 1]}).to_csv(one, index=False)
    pd.DataFrame({"heavy_sequence": VH[2:5], "sticky": [0, 1, 1]}).to_csv(other, index=False)
    text = run("data", "audit", one, "--against", other, "--no-numbering")
    assert f"note: {one}: heavy from 'VH'" in text
    assert f"note: {other}: heavy from 'heavy_sequence'" in text
    assert "sequences of both sets        1 sequence" in text
    named = ("--label", "PSR score", "--against-columns", "label=sticky,heavy=heavy_sequence")
    assert "sequences of both sets" in run("data", "audit", one, "--against", other, "--no-numbering", *named)
    assert "no column 'PSR score'" in run("data", "audit", one, "--against", other, *named[:2], fails=1)
    assert "'hevy' is no column of a table" in run("data", "audit", one, "--against-columns", "hevy=x", fails=1)


def test_a_layout_can_be_forced_and_must_fit(files: dict[str, Path]) -> None:
    with pytest.raises(DatasetError, match=f"unknown layout 'aiir'; choose one of {', '.join(NAMES)}"):
        load_dataset(files["plain.csv"], layout="aiir")
    with pytest.raises(DatasetError, match="a table in the layout AIRR rearrangements has a column 'sequence_id'; the"):
        load_dataset(files["plain.csv"], layout="airr")
    assert "unknown layout 'x'" in run("data", "audit", files["plain.csv"], "--layout", "x", fails=1)


def test_options_of_commands_name_ids_layout_and_sheet(
    files: dict[str, Path], heavy_model: Predictor, tmp_path: Path
) -> None:
    heavy_model.save(tmp_path / "model")
    frame = pd.read_csv(files["plain.csv"])
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        pd.DataFrame({"x": [1]}).to_excel(book, sheet_name="first", index=False)
        frame.assign(other=["x", "y", "z"]).to_excel(book, sheet_name="my data", index=False)
    model = ("-m", tmp_path / "model", "-s", tmp_path / "store")
    options = ("--id", "other", "--sheet", "my data")
    for command in (("predict", path, *model), ("data", "number", path), ("liabilities", path)):
        run(*command, *options, "-o", tmp_path / "out.csv")
        assert set(pd.read_csv(tmp_path / "out.csv")["id"]) == {"x", "y", "z"}
        assert "there is no sheet 'none'" in run(*command, "--sheet", "none", "-o", tmp_path / "out.csv", fails=1)
    assert "x:" in run("explain", path, *model, *options)
    assert "a.xlsx/my data" in str(load_dataset(path, sheet="my data", label="HIC").provenance)
    assert load_dataset(path, sheet="my data", label="HIC").provenance.source == "a.xlsx/my data"


# Facts


def test_every_layout_is_told_by_its_columns_and_no_other() -> None:
    for layout in LAYOUTS:
        if layout.elsewhere:
            with pytest.raises(DatasetError, match=layout.title):
                layout_of(layout.told_by)
        else:
            assert layout_of(layout.told_by) == layout
    assert all(name == plain_name(name) for names in USUAL.values() for name in names)
    assert not USUAL["heavy"] & USUAL["light"]


@given(
    st.lists(st.sampled_from(sorted({name for layout in LAYOUTS for name in layout.told_by})), max_size=8, unique=True),
    st.lists(
        st.sampled_from(["VH", "vl", "name", "ID", "target", "sequence", "heavy", "light", "label", "id", "x"]),
        max_size=4,
        unique=True,
    ),
    st.data(),
)
@examples(200)
@pytest.mark.filterwarnings("ignore:.*labels are not read:UserWarning")
def test_any_table_is_read_the_same_from_file_and_frame_or_refused(
    tmp_path_factory: pytest.TempPathFactory, some: list[str], others: list[str], data: st.DataObject
) -> None:
    names = list(dict.fromkeys([*some, *others])) or ["x"]
    cells = st.sampled_from(
        [HEAVY, LIGHT, LEADER + HEAVY + CONSTANT, HEAVY + "*", DNA, "", "NA", "1.5", "T", "F", "IGH", "E-V"]
    )
    rows = data.draw(st.lists(st.tuples(*[cells] * len(names)), min_size=1, max_size=4))
    frame = pd.DataFrame(rows, columns=names)
    path = tmp_path_factory.mktemp("fuzz") / "a.csv"
    frame.to_csv(path, index=False)

    def outcome(source: Any) -> Any:
        try:
            read = read_dataset(source, labelled=False, drop=True)
        except DatasetError as error:
            assert error.path == (path if source is path else None)  # noqa: PT017  either is right
            return error.rows, error.column
        return read.ids, read.heavy, read.light, read.provenance.columns, read.provenance.dropped

    assert outcome(path) == outcome(frame)


def test_a_table_of_a_frame_keeps_its_other_columns(files: dict[str, Path]) -> None:
    (table,) = read_tables(files["oas.csv"])
    assert set(table.frame["species"]) == {"human"}
    assert set(table.frame["isotype"]) == {"IGHM"}
    (paired,) = read_tables(files["oas_paired.csv"])
    assert set(paired.frame["isotype"]) == {"IGHG"}
    frame = pd.read_csv(files["thera.csv"])
    assert list(table_of(frame).frame.columns) == [*frame.columns, "isotype"]
    assert list(frame.columns)[-1] == "LightSequence", "the caller's table is as it was"
    assert table_of(frame, Columns(layout="plain")).frame.equals(frame)


def test_the_page_shows_what_was_recognised(files: dict[str, Path]) -> None:
    assert recognised_columns(uploaded("", str(files["thera.csv"]), "heavy")).startswith(
        " Columns: layout Thera-SAbDab; heavy from 'HeavySequence'; light from 'LightSequence'; id from"
    )
    assert recognised_columns(uploaded(HEAVY, None, "heavy")) == ""
