import bz2
import gzip
import lzma
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import Dataset, DatasetError, load_dataset
from chains import HEAVY, LIGHT
from effort import examples

FRAME = pd.DataFrame(
    {"name": ["a", "b"], "vh": ["EVQL", "QVQL"], "vl": ["DIQ", "EIV"], "psr": [0, 1], "donor": ["x", "y"]}
)
COLUMNS = {"id": "name", "heavy": "vh", "light": "vl", "label": "psr", "groups": "donor"}


def write(frame: pd.DataFrame, path: Path) -> Path:
    if ".parquet" in path.name:
        frame.to_parquet(path)
        return path
    text = frame.to_csv(index=False, sep="\t" if ".tsv" in path.name else ",")
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.parquet", "A.CSV"])
def test_every_kind_of_table_gives_the_same_antibodies(tmp_path: Path, name: str) -> None:
    data = load_dataset(write(FRAME, tmp_path / name), **COLUMNS)  # type: ignore[arg-type]
    same = load_dataset(FRAME, **COLUMNS)  # type: ignore[arg-type]
    for one in (data, same):
        assert (one.ids, one.heavy, one.light, one.groups) == (("a", "b"), ("EVQL", "QVQL"), ("DIQ", "EIV"), ("x", "y"))
        assert one.binary_labels().tolist() == [0, 1]
    assert data.provenance.source == name
    assert set(data.provenance.sha256) == {name}


@given(st.lists(strategies.sequences(), min_size=1, max_size=5))
def test_sequences_that_are_written_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[str]
) -> None:
    sequences = [one for one in sequences if one not in ("NA", "NAN")] + ["NLL", "nll", "AN", "X"]
    frame = pd.DataFrame({"heavy": sequences, "label": [0] * len(sequences)})
    for name in ("a.csv", "a.parquet"):
        path = write(frame, tmp_path_factory.mktemp("table") / name)
        assert load_dataset(path).sequences == [sequence.upper() for sequence in sequences]


def test_columns_of_the_usual_names_are_found_and_rows_without_ids_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("label,heavy\n1,EVQL\n0,QVQL\n")
    data = load_dataset(path)
    assert (data.ids, data.sequences, data.light, data.groups) == (("0", "1"), ["EVQL", "QVQL"], None, None)
    path.write_text("label,light\n1,DIQ\n0,EIV\n")
    assert load_dataset(path).sequences == ["DIQ", "EIV"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_comments_byte_order_marks_and_line_ends_of_other_systems_are_read(
    tmp_path: Path, encoding: str, newline: str
) -> None:
    lines = ["# made by", "# another tool, 2020", "id,heavy,label", "#1,EVQL,1", "b,QVQL,0", ""]
    path = tmp_path / "a.csv"
    path.write_bytes(newline.join(lines).encode(encoding))
    assert load_dataset(path).ids == ("#1", "b"), "only leading lines are comments"


def test_a_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    path = write(FRAME, tmp_path / "a.csv")
    with pytest.raises(DatasetError, match="no column 'VH'. The columns are: name, vh, vl, psr, donor") as caught:
        load_dataset(path, heavy="VH", label="psr")
    assert (caught.value.path, caught.value.column) == (path, "VH")
    with pytest.raises(DatasetError, match="no column with sequences.*The columns are: name, vh"):
        load_dataset(path, label="psr")
    with pytest.raises(DatasetError, match="no column 'label'"):
        load_dataset(path, heavy="vh")


@pytest.mark.parametrize("missing", ["", " ", "NA", "nan", "None"])
def test_rows_without_a_label_are_left_out_counted_and_named(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,heavy,label\na,EVQL,1\nb,QVQL,{missing}\n")
    for source in (path, pd.read_csv(path, keep_default_na=False)):
        data = load_dataset(source)
        assert (data.ids, data.provenance.dropped) == (("a",), {"b": "no label"})
        assert data.provenance.counts == {"rows read": 2, "with label": 1}


def test_labels_in_words_are_an_error_but_truth_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("heavy,label\nEVQL,True\nQVQL,false\n")
    assert load_dataset(path).binary_labels().tolist() == [1, 0]
    path.write_text("heavy,label\nEVQL,1\nQVQL,polyreactive\n")
    with pytest.raises(DatasetError, match="label in line 3 is 'polyreactive'; labels must be numbers"):
        load_dataset(path)


def test_a_missing_sequence_is_an_error_in_the_embedded_chain_and_none_in_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("heavy,light,label\nEVQL,,1\nQVQL,DIQ,0\n")
    assert load_dataset(path).light == (None, "DIQ")
    with pytest.raises(DatasetError) as caught:
        load_dataset(path, chain="light")
    assert (caught.value.path, caught.value.row, caught.value.column) == (path, 0, "light")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"heavy,label\n", "the table has no rows"),
        ("a.csv", b"# only comments\n", "the file is empty"),
        ("a.csv", b"heavy,label\nEVQL,1,extra\n", "cannot be read as a table"),
        ("a.csv", b'heavy,label\nEVQL,1\n"unclosed,1\n', "cannot be read as a table"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read as a table"),
        ("a.csv.gz", b"not gzip", "cannot be read"),
        ("a.parquet", b"not parquet", "cannot be read as a table"),
        ("a.xls", b"", r"not a supported table; .*\.csv, \.tsv.*save other spreadsheets \(\.xls, \.ods\) as \.xlsx"),
        ("a.xlsx", b"", r"cannot be read as a workbook: a damaged archive"),
        ("a.xlsx", b"PK\x03\x04", r"cannot be read as a workbook"),
        ("a.csv", b"heavy,heavy,label\nEVQL,QVQL,1\n", "there are 2 columns named 'heavy'"),
        ("a.csv", b"id,heavy,label\na,EVQL,1\na,QVQL,0\n", "'a' occurs 2 times: line 2 .id a., line 3 .id a."),
        ("a.csv", b"id,heavy,label\na,EVQL,1\n,QVQL,0\n", "1 rows have no 'id': line 3"),
        ("a.csv", b"groups,heavy,label\n,EVQL,1\na,QVQL,0\n", "1 rows have no 'groups': line 2"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error_that_names_the_file(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if not message:  # pandas renames the second of two columns of one name, which nobody asked for
        assert load_dataset(path).sequences == ["EVQL"]
        return
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(path)
    assert caught.value.path == path


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such file"):
        load_dataset(tmp_path / "a.csv")


FASTA = ">a first antibody\nEVQL\nVESG\n>b\nqvql\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "a.fasta"
    path.write_text(FASTA)
    return path


def test_fasta_is_read_with_labels_from_a_mapping_a_frame_or_a_table(fasta: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("id,label\nb,1\na,0\n")
    for labels in ({"a": 0, "b": 1}, pd.DataFrame({"id": ["b", "a"], "label": [1, 0]}), table):
        data = load_dataset(fasta, labels=labels)  # type: ignore[arg-type]
        assert (data.ids, data.sequences) == (("a", "b"), ["EVQLVESG", "QVQL"])
        assert data.binary_labels().tolist() == [0, 1]
    light = load_dataset(fasta, labels={"a": 0, "b": 1}, chain="light")
    assert (light.heavy, light.light) == (None, ("EVQLVESG", "QVQL"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "pass labels="),
        ({}, "no antibody has a label"),
        ({"a": 0, "b": 1, "c": 1}, "1 ids with labels are not in the file, first 'c'"),
        (pd.DataFrame({"id": ["a", "a"], "label": [0, 1]}), "an id occurs twice"),
    ],
)
def test_fasta_labels_must_fit(fasta: Path, labels: object, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(fasta, labels=labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["EVQL\n>a\nEVQL\n", "id,heavy\n"])
def test_text_before_the_first_record_is_an_error_and_not_lost(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.fa"
    path.write_text(text)
    with pytest.raises(DatasetError, match="must begin with '>'"):
        load_dataset(path, labels={"a": 1})


def test_a_data_set_can_be_written_and_read_back(tmp_path: Path) -> None:
    data = load_dataset("boughter_flu_cdrs")
    data.to_frame().to_csv(tmp_path / "a.csv", index=False)
    back = load_dataset(tmp_path / "a.csv")
    assert isinstance(back, Dataset)
    assert (back.ids, back.heavy, back.light) == (data.ids, data.heavy, data.light)
    assert (back.binary_labels() == data.binary_labels()).all()


DRESSED = (
    b"\xef\xbb\xbfid,heavy,label\r\na, EVQL VESG ,0\r\nb,qvqlqqsg*,1\r\n",
    b"# made by hand\nid,heavy,label\na,EVQLVESG,0\nb,QVQLQQSG,1",
    b'id,heavy,label\n"a","EVQL\nVESG",0\nb,"QVQL QQSG",1\n',
    b"id,heavy,label\ra,EVQLVESG,0\rb,QVQLQQSG,1\r",
)


@pytest.mark.parametrize("content", DRESSED)
@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_a_table_is_read_in_every_dress(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix](content))
    data = load_dataset(path)
    assert data.sequences == ["EVQLVESG", "QVQLQQSG"]
    assert data.ids == ("a", "b")


@pytest.mark.parametrize(
    ("name", "content", "row", "column", "message"),
    [
        ("a.csv", b"id|heavy|label\na|EVQL|0\n", None, None, "separated by '.', but comma, semicolon or tab is"),
        ("a.csv", b"id,heavy,label\na,EVQL,0\nb,EV*QL,1\n", 1, "heavy", "line 3 .id b., position 3: '\\*'"),
        ("a.csv", b"id,heavy,label\na,EVQL,0\nb,EV-QL,1\n", 1, "heavy", "line 3 .id b., position 3: '-'"),
        ("a.csv", b"id,heavy,label\na,EVQL,0\na,QVQL,1\n", 1, "id", "'a' occurs 2 times"),
        ("a.csv", b"id,heavy,label\na,EVQL,0\nb,QVQL,high\n", 1, "label", "the label in line 3 .id b. is 'high'"),
        ("a.csv", b"id,heavy,label\na,EVQL,\nb,QVQL,\n", None, "label", "no antibody has a label"),
        ("a.csv", b"id,heavy,label\na,EVQL,0\nb,,1\n", 1, "heavy", "line 3 .id b.: no heavy chain"),
        ("a.csv", b"id,heavy,label\na,EVQL,0\nb\n", 1, "heavy", "line 3 .id b.: no heavy chain"),
        ("a.csv", b"id,heavy,label\n,EVQL,0\n", 0, "id", "1 rows have no 'id'"),
        ("a.csv", b"id,heavy,label\n", None, None, "the table has no rows"),
        ("a.csv", b"", None, None, "the file is empty"),
        ("a.csv", b"id,id,heavy,label\na,b,EVQL,0\n", None, "id", "2 columns named 'id'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_by_file_row_and_column(
    tmp_path: Path, name: str, content: bytes, row: int | None, column: str | None, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(path)
    assert (caught.value.path, caught.value.row, caught.value.column) == (path, row, column)
    assert str(path) in str(caught.value)


@given(
    st.sampled_from(["a.csv", "a.tsv", "a.fasta", "a.parquet", "a.csv.gz", "a.tsv.bz2", "a.fa.xz"]),
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(str.encode),
        st.text('id,heavy;label\n\r\t"# >EVQL01*-', max_size=200).map(lambda text: f"id,heavy,label\n{text}".encode()),
        st.sampled_from(DRESSED),
    ),
    st.tuples(st.floats(0, 1), st.binary(max_size=5)),
)
@examples(400)
def test_any_bytes_are_a_data_set_or_an_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes, change: tuple[float, bytes]
) -> None:
    at = int(change[0] * len(content))
    content = content[:at] + change[1] + content[at + len(change[1]) :]
    path = tmp_path_factory.mktemp("fuzz") / name
    if at % 3:
        compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
        content = compress(content)
    path.write_bytes(content)
    try:
        data = load_dataset(path, labels={"a": 0} if name.startswith("a.fa") else None)
    except DatasetError as error:
        assert error.path == path  # noqa: PT017  a data set is as good as an error here
    else:
        assert len(data) > 0
        assert data.label is not None


@pytest.mark.parametrize("label", [pd.Timestamp("2020-01-01"), 1 + 2j, [1], {"a": 1}, "1_0"])
def test_a_label_that_is_no_number_is_an_error_of_its_row(label: object) -> None:
    frame = pd.DataFrame({"heavy": ["EV", "QV"], "label": pd.Series([0, label], dtype=object)})
    with pytest.raises(DatasetError, match="the label in row 2 .index 1. is") as caught:
        load_dataset(frame)
    assert (caught.value.row, caught.value.column) == (1, "label")


def test_columns_that_hold_lists_are_errors_too() -> None:
    frame = pd.DataFrame({"heavy": ["EV", "QV"], "light": [["DI"], ["DV"]], "label": [0, 1]})
    with pytest.raises(DatasetError, match="column 'light'"):
        load_dataset(frame)
    with pytest.raises(DatasetError, match="cannot be expanded"):
        load_dataset("~nobody-of-this-name/a.csv")


def test_a_fragment_of_a_fasta_file_or_table_is_of_its_own_chain(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(f">a\n{HEAVY}GGGGSGGGGSGGGGS{LIGHT}\n")
    labels = {"a": 1}
    assert load_dataset(path, labels=labels, fragment="VL").sequences == [LIGHT]
    assert load_dataset(path, labels=labels, fragment="VH+VL").sequences == [HEAVY + LIGHT]
    frame = pd.DataFrame({"heavy": [HEAVY, None], "light": [LIGHT, LIGHT], "label": [0, 1]})
    assert load_dataset(frame, fragment="L-CDR3").sequences == ["QQHYTTPPT"] * 2
    assert load_dataset(frame, fragment="VH+VL", drop=True).ids == ("0",)


def test_all_cells_that_are_no_labels_are_listed_at_once_with_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("heavy,HIC,Tm\nEVQL,1.5,high\nQVQL,n.d.,70\nEVKL,2.5,<60\n")
    with pytest.raises(DatasetError) as caught:
        load_dataset(path, label=["HIC", "Tm"])
    for cell in (
        "line 2, 'Tm': 'high'",
        "line 3, 'HIC': 'n.d.'",
        "line 4, 'Tm': '<60'",
        "3 are not",
        "Leave a cell empty",
    ):
        assert cell in str(caught.value)
    assert caught.value.rows == (0, 1, 2)
    with pytest.raises(DatasetError, match=r"the label in line 3 is 'n\.d\.'; labels must be .* NA, where nothing"):
        load_dataset(path, label=["HIC"])
    with pytest.raises(DatasetError, match=r"2 are not:\n  line 2: 'high'\n  line 4: '<60'$"):
        load_dataset(path, label="Tm")


def test_many_wrong_cells_are_counted_and_the_first_ten_listed() -> None:
    frame = pd.DataFrame({"heavy": ["EVQL"] * 30, "A": ["x"] * 30, "B": ["y"] * 30})
    with pytest.raises(DatasetError, match="60 are not") as caught:
        load_dataset(frame, label=["A", "B"])
    assert str(caught.value).count("'x'") == 5
    assert "and 50 more" in str(caught.value)


@pytest.mark.parametrize("units", [("min", "°C"), ("[min]", "(°C)"), ("0-1", "")])
def test_a_row_of_units_is_named_as_such(tmp_path: Path, units: tuple[str, str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"heavy,HIC,Tm\n,{','.join(units)}\nQVQL,9.1,70\nEVKL,2.5,60\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="The first row seems to hold units: write them into the header"):
        load_dataset(path, label=["HIC", "Tm"])
