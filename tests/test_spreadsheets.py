"""Sheets of workbooks are read as the user sees them, and messages count their rows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from antibody_esm import DatasetError, load_dataset
from antibody_esm.data.files import lines_of, read_table
from antibody_esm.data.spreadsheets import with_sheet
from chains import HEAVY


def book(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)  # type: ignore[arg-type]
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


def test_a_sheet_is_the_same_data_as_its_csv(tmp_path: Path) -> None:
    rows = [["id", "heavy", "label"], ["a", HEAVY, 0], [7, HEAVY[:-1], 1.5]]
    data = load_dataset(book(tmp_path / "a.xlsx", {"One": rows}))
    frame = pd.DataFrame(rows[1:], columns=rows[0])
    frame.to_csv(tmp_path / "a.csv", index=False)
    same = load_dataset(tmp_path / "a.csv")
    assert (data.ids, data.heavy, list(data.label)) == (same.ids, same.heavy, list(same.label))  # type: ignore[arg-type]


def test_cells_are_text_as_the_user_sees_them(tmp_path: Path) -> None:
    cells = [1, 1.0, 0.1, None, True, " EVQL ", datetime(2020, 1, 2, tzinfo=UTC).replace(tzinfo=None), "NA"]
    path = book(tmp_path / "a.xlsx", {"One": [[f"c{i}" for i in range(len(cells))], cells]})
    expected = ["1", "1", "0.1", "", "True", "EVQL", "2020-01-02", "NA"]
    assert read_table(path).iloc[0].tolist() == expected


def test_titles_comments_and_empty_rows_are_no_rows_but_count(tmp_path: Path) -> None:
    rows = [
        ["Table S1: antibodies"],
        ["# by hand"],
        [],
        ["#id", "heavy", "label"],
        ["a", "EV-Q", 0],
        [],
        ["b", "Q1", 1],
    ]
    path = book(tmp_path / "a.xlsx", {"One": rows})
    assert list(read_table(path)) == ["id", "heavy", "label"]
    assert lines_of(path, [0, 1]) == {0: 5, 1: 7}
    with pytest.raises(DatasetError, match=r"a\.xlsx: column 'heavy'[^:]*:\n  line 5 \(id a\), position 3: '-'"):
        load_dataset(path)
    alone = book(tmp_path / "b.xlsx", {"One": [["heavy"], ["EVQL"]]})
    assert list(read_table(alone)["heavy"]) == ["EVQL"]


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    sheets = {"One": [["x"], [1]], "Two sheets": [["heavy", "label"], ["EVQL", 0], ["QV-L", 1]]}
    path = book(tmp_path / "a.xlsx", sheets)
    second = with_sheet(path, "Two sheets")
    assert list(read_table(second)["heavy"]) == ["EVQL", "QV-L"]
    assert lines_of(second, [1]) == {1: 3}
    with pytest.raises(DatasetError, match=r"there is no sheet 'Three'; the sheets are One, Two sheets"):
        read_table(with_sheet(path, "Three"))
    with pytest.raises(DatasetError, match=r"has no sheet 'One'; only workbooks \(\.xlsx, \.xlsm\) have sheets"):
        with_sheet(tmp_path / "a.csv", "One")
    with pytest.raises(DatasetError, match="has no sheet '..'"):
        with_sheet(path, "..")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "the file is empty"),
        ([["heavy", "heavy"], ["EVQL", "QV"]], "there are 2 columns named 'heavy'"),
        ([["id", "heavy"], ["a", "EVQL", "more"]], "row 1, the header, has 2 columns and row 2 has 3"),
        ([["id", "heavy", "label"]], "the table has no rows"),
    ],
)
def test_a_sheet_that_is_no_table_is_an_error_that_names_the_file(
    tmp_path: Path, rows: list[list[Any]], message: str
) -> None:
    path = book(tmp_path / "a.xlsx", {"One": rows})
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(path)
    assert caught.value.path == path
    with pytest.raises(DatasetError, match="there is no such file"):
        load_dataset(tmp_path / "none.xlsx")
