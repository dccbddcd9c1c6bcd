"""Files are read as they come, and rows have the lines that an editor shows."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import antibody_esm
from antibody_esm import DatasetError, load_dataset
from antibody_esm.data import files
from antibody_esm.data.files import lines_of, read_frames, read_table
from antibody_esm.files import csv_text
from effort import examples

cells = st.text('ab,"\n EVQ', max_size=6)


def written(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


@given(
    st.lists(st.sampled_from(["# made by hand", '# with a " in it', "#"]), max_size=3),
    st.lists(st.tuples(st.lists(cells, min_size=2, max_size=2), st.integers(0, 2)), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_rows_have_the_lines_of_an_editor_and_are_those_that_are_read(
    tmp_path_factory: pytest.TempPathFactory, comments: list[str], rows: list[tuple[list[str], int]], end: str
) -> None:
    text, expected = "".join(f"{line}\n" for line in comments) + "heavy,label\n", []
    for row, blank in rows:
        text += "\n" * blank
        expected.append(text.count("\n") + 1)
        text += written([row])
    path = tmp_path_factory.mktemp("lines") / "a.csv"
    path.write_bytes(text.replace("\n", end).encode())
    frame = read_table(path)
    assert frame.to_numpy().tolist() == [row for row, _ in rows]
    assert lines_of(path, range(len(rows))) == dict(enumerate(expected))
    assert lines_of(path, [len(rows) - 1]) == {len(rows) - 1: expected[-1]}


def test_what_has_no_lines_or_is_gone_has_none(tmp_path: Path) -> None:
    pd.DataFrame({"heavy": ["EV"]}).to_parquet(tmp_path / "a.parquet")
    assert lines_of(tmp_path / "a.parquet", [0]) == {}
    assert lines_of(tmp_path / "none.csv", [0]) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# one\nid,heavy\na,EV\nb,EV,1\n", "line 2, the header, has 2 columns and line 4 has 3"),
        ('id,heavy\n"a\nb",EV\nb,EV,1\n', "line 1, the header, has 2 columns and line 4 has 3"),
        ('{"Run": 1}\n"heavy"\nEVQ\nEVQ,1\n', "line 2, the header, has 1 column and line 4 has 2"),
        ("metadata\n\nid,heavy\na,EV\n", "line 1, the header, has 1 column and line 3 has 2"),
        ('id,heavy\na,EV\n\n"b,EV\n', "in the row that begins on line 4: unexpected end of data"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=f"cannot be read as a table: {message}"):
        load_dataset(path)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("#id,heavy,label\na,EVQLVESGG,0\n", ["id", "heavy", "label"]),
        ("# by hand\n# id,heavy,label\na,EVQLVESGGEVQLVESGGEV,x\n", ["id", "heavy", "label"]),
        ("#id,heavy,label\n#another comment\na,EVQLVESGG,0\n", ["a", "EVQLVESGG", "0"]),
        ("# another tool, 2020\nheavy,label\nEVQLVESGG,0\n", ["heavy", "label"]),
        ("# another, tool, 2020\nheavy,label\nEVQLVESGG,0\n", ["heavy", "label"]),
    ],
)
def test_the_last_line_with_a_hash_is_the_header_only_if_it_fits_the_row_below(
    tmp_path: Path, content: str, columns: list[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    (frame,) = read_frames(path)
    assert list(frame.columns) == columns


def test_a_hash_header_that_was_taken_for_a_comment_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("#id,loop,label\na,ARDY,no\nb,ARDW,yes\n")
    with pytest.raises(
        DatasetError, match="The columns are: a, ARDY, no; line 1 begins with '#' and was read as a comm"
    ):
        load_dataset(path, heavy="loop")


def test_an_index_with_a_name_is_a_column_at_every_door(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": ["x", "y"], "heavy": ["EV", "QV"], "label": [0, 1]}).set_index("id").to_parquet(path)
    (frame,) = read_frames(path)
    assert list(frame["id"]) == ["x", "y"]
    assert load_dataset(path).ids == ("x", "y")


def test_ids_of_a_large_file_are_right_after_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antibody_esm.data.files._LARGE", 0)
    path = tmp_path / "a.fasta.gz"
    for text, ids in ((">a 1\nEV\n>b 2\nEV\n", ["a", "b"]), (">a 1\nEV\n>a 22\nEV\n", ["a 1", "a 22"])):
        path.write_bytes(gzip.compress(text.encode()))
        for _ in range(2):
            (frame,) = read_frames(path)
            assert list(frame["id"]) == ids


@given(st.lists(st.tuples(st.text('a,"\r\n\t=', max_size=5), st.floats(0, 1)), min_size=1, max_size=5))
@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_written_table_has_the_same_rows_when_it_is_read(separator: str, rows: list[tuple[str, float]]) -> None:
    table = pd.DataFrame(rows, columns=["id", "score"])
    text = csv_text(table, separator=separator)
    read = pd.read_csv(io.StringIO(text, newline=""), sep=separator, keep_default_na=False, dtype={"id": str})
    assert read["id"].tolist() == table["id"].tolist()
    assert read["score"].tolist() == table["score"].tolist()
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    assert [row[0] for row in lines] == ["id", *table["id"]]


def test_every_table_is_written_by_the_same_function() -> None:
    """The page writes its own, in which ends of lines within a text became spaces."""
    root = Path(antibody_esm.__file__).parent
    writers = {
        p.relative_to(root).as_posix()
        for p in root.rglob("*.py")
        if "to_csv(" in p.read_text() and "index=False" in p.read_text()
    }
    assert writers - {"cards/example.py"} == {"files.py", "cli/web_tables.py"}  # a card has it as an example's text


# Tables as other programs write them

TABLE = "id,heavy,label\nMüller,EVQL,0\nb,QVQL,1\n"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("cp1252", "read as cp1252"),
        ("utf-16", "read as utf-16"),
        ("utf-16-le", "read as utf-16-le"),
        ("utf-16-be", "read as utf-16-be"),
        ("utf-32", "read as utf-32"),
    ],
)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_every_encoding_gives_the_same_rows_and_is_noted_unless_it_is_utf_8(
    tmp_path: Path, encoding: str, said: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"a.csv{end}"
    content = TABLE.encode(encoding)
    path.write_bytes(gzip.compress(content) if end else content)
    with caplog.at_level("INFO", "antibody_esm.tables"):
        assert read_table(path).to_numpy().tolist() == [["Müller", "EVQL", "0"], ["b", "QVQL", "1"]]
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)
    assert lines_of(path, [1]) == {1: 3}


def test_an_encoding_that_windows_1252_cannot_hold_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = "id,heavy\n" + "".join(f"抗体の名前は{i}です,EVQL\n" for i in range(20))
    path.write_bytes(text.encode("shift_jis"))
    assert read_table(path)["id"][1] == "抗体の名前は1です"


def test_a_byte_that_is_no_text_far_in_a_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antibody_esm.data.streams._SURVEYED", 10)
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,heavy\n" + b"a,EVQL\n" * 50_000 + b"\xff,EVQL\n")
    with pytest.raises(
        DatasetError, match="cannot be read as a table: .*can't decode byte 0xff.*; save the file as UTF-8"
    ):
        read_table(path)


@given(
    st.sampled_from([".csv", ".tsv", ".tab", ".txt"]),
    st.sampled_from([",", ";", "\t"]),
    st.lists(st.lists(st.text("EVQL01. -", max_size=6), min_size=3, max_size=3), max_size=4),
    st.booleans(),
)
@examples(60)
def test_the_separator_is_that_of_the_file_whatever_its_suffix(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, separator: str, rows: list[list[str]], hashed: bool
) -> None:
    path = tmp_path_factory.mktemp("separators") / f"a{suffix}"
    lines = [["#id" if hashed and rows else "id", "heavy", "label"], *rows]
    path.write_text("".join(separator.join(line) + "\n" for line in lines))
    if hashed and rows:  # a header with # needs a number or a sequence below it
        lines[1] = rows[0] = ["a", "EVQL", "1"]
        path.write_text("".join(separator.join(line) + "\n" for line in lines))
    assert list(read_table(path)) == ["id", "heavy", "label"]
    assert read_table(path).to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("name", "cells", "read"),
    [
        ("a.csv", ["1,5", "-2,25", "3", "NA", "1,0e-3"], ["1.5", "-2.25", "3", "NA", "1.0e-3"]),
        ("a.csv", ["1,234", "5"], ["1.234", "5"]),
        ("a.csv", ["1,5", "2.5"], ["1,5", "2.5"]),
        ("a.csv", ["1,5", "high"], ["1.5", "high"]),
        (
            "a.csv",
            ["n.d.", "ca. 6", "7,4", "<1,5", "1,5-2", "-0,5e3"],
            ["n.d.", "ca. 6", "7.4", "<1,5", "1,5-2", "-0.5e3"],
        ),
        ("a.csv", ["1,234,567", "1,5"], ["1,234,567", "1,5"]),
        ("a.tsv", ["1,5", "2"], ["1.5", "2"]),
        ("a.tsv", ["1,234", "2,500"], ["1,234", "2,500"]),
        ("a.tsv", ["1,234", "0,500"], ["1.234", "0.500"]),
    ],
)
def test_decimal_commas_get_a_point_only_where_they_can_mean_nothing_else(
    tmp_path: Path, name: str, cells: list[str], read: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    separator = ";" if name == "a.csv" else "\t"
    path = tmp_path / name
    path.write_text(f"id{separator}KD\n" + "".join(f"a,b{separator}{cell}\n" for cell in cells))
    with caplog.at_level("INFO", "antibody_esm.tables"):
        frame = read_table(path)
    assert list(frame["KD"]) == read
    assert set(frame["id"]) == {"a,b"}
    assert ("decimal commas are read in 'KD'" in caplog.text) == (read != cells)
    assert ("numbers with commas stay text in 'KD'" in caplog.text) == (read == cells)


@given(
    st.lists(st.sampled_from(["7,4", "7.4", "7,125", "0,125", "1,234,567", "6", "n.d.", "", "ca. 6"]), max_size=6),
    st.lists(st.sampled_from(["1.5", "1,5", "x"]), min_size=6, max_size=6),
    st.integers(1, 6),
    st.sampled_from(";\t"),
)
@examples(60)
def test_a_decimal_comma_does_not_depend_on_batches_or_other_columns(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str], others: list[str], size: int, separator: str
) -> None:
    path = tmp_path_factory.mktemp("commas") / "a.csv"
    rows = zip(cells, others, strict=False)
    path.write_text(
        f"heavy{separator}ph{separator}x\n" + "".join(f"EV{separator}{separator.join(row)}\n" for row in rows)
    )
    whole = read_table(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_ROWS_AT_ONCE", size)
        pd.testing.assert_frame_equal(read_table(path), whole)
    clear, unclear = {"7,4", "0,125"} & set(cells), {"7.4", "1,234,567"} & set(cells)
    if clear or unclear:
        read = [cell.replace(",", ".") if cell in ("7,4", "7,125", "0,125") else cell for cell in cells]
        assert list(whole["ph"]) == (cells if unclear else read)


def test_a_cell_that_is_no_number_or_a_point_elsewhere_leaves_decimal_commas_of_other_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id;heavy;ph;psr;version;label\n" + "a;EVQL;7,4;1,5;1.0;0\nb;QVQL;6;n.d.;1.1;1\nc;EVKL;;2,5;1.0;1\n"
    )
    data = load_dataset(path, columns=["ph"])
    np.testing.assert_array_equal(data.columns["ph"], [7.4, 6, np.nan])
    assert data.not_kept == ("psr",)


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("titers", [["1.234", "987", "2.345"], ["12.500", "", "n.d."], [" 1.234", "1.234.567", "x"]])
def test_points_that_may_be_thousands_beside_decimal_commas_are_refused(
    tmp_path: Path, separator: str, titers: list[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"Titer{separator}Tm\n" + "".join(f"{cell}{separator}75,5\n" for cell in titers))
    with pytest.raises(DatasetError, match="1.234 may be 1234 or 1.234") as caught:
        read_table(path)
    assert caught.value.column == "Titer"


@pytest.mark.parametrize("titers", [["1.234", "0.5"], ["1.234", "0.987"], ["1.234", "1234.5"], ["987", "2345"]])
def test_points_that_can_only_be_decimal_stay_beside_decimal_commas(tmp_path: Path, titers: list[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Titer;Tm\n" + "".join(f"{cell};75,5\n" for cell in titers))
    assert read_table(path).astype(float).to_dict("list") == {"Titer": [*map(float, titers)], "Tm": [75.5, 75.5]}


def test_a_point_elsewhere_in_the_table_means_that_commas_may_be_thousands(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("heavy;KD;label\nEVQL;1.5;1,000\nQVQL;2.5;2,000\n")
    with pytest.raises(
        DatasetError, match=r"labels must be numbers .*; 2 are not:\n  line 2: '1,000'\n  line 3: '2,000'"
    ):
        load_dataset(path)
