"""Sheets of Excel workbooks as rows of text.

A sheet is named like a file in a folder: ``table.xlsx/Sheet2`` is a sheet of ``table.xlsx``, and ``table.xlsx`` its
first. Names of sheets hold no ``/``, so that every function that takes a path takes a sheet too.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from antibody_esm.data.parquet import COLUMNS
from antibody_esm.errors import CRAFTED, DatasetError
from antibody_esm.limits import LimitError, rezip, unzip

SUFFIXES = (".xlsx", ".xlsm")
"""Suffixes of workbooks."""
_UNPACKED = 10**9
_ROWS = 2**20
_CELLS = 2**26
"""Most cells of a sheet."""


def workbook(path: Path) -> Path | None:
    """Return the workbook of a path that names a workbook or a sheet in it; None for other files.

    Examples
    --------
    >>> str(workbook(Path("a.xlsx/Sheet 2"))), workbook(Path("a.csv"))
    ('a.xlsx', None)
    """
    if path.suffix.lower() in SUFFIXES:
        return path
    return path.parent if path.parent.suffix.lower() in SUFFIXES and not path.parent.is_dir() else None


def with_sheet(path: Path, sheet: str | None) -> Path:
    """Return the path of a sheet; that of the file if the sheet is None.

    Raises
    ------
    DatasetError
        If the file is no workbook.
    """
    if sheet is None:
        return path
    if workbook(path) != path or Path(sheet).parts != (sheet,) or sheet == "..":
        raise DatasetError(f"has no sheet {sheet!r}; only workbooks ({', '.join(SUFFIXES)}) have sheets", path)
    return path / sheet


def on_disk(path: Path) -> Path:
    """Return the file that holds a table: the workbook of a sheet, or the path itself."""
    return workbook(path) or path


def sheet_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row of a sheet, from 1, and its cells as text; empty rows are skipped.

    Formulas have the values that the program stored. Whole numbers have no decimals, dates are written as in ISO 8601.

    Raises
    ------
    DatasetError
        If the sheet does not exist, the file is no workbook, or it is larger than the limits.
    """
    file = on_disk(path)
    content = file.read_bytes()
    try:
        parts = unzip(content, _UNPACKED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that tables do not need
            yield from _rows(rezip(parts), None if file == path else path.name)
    except LimitError as error:
        raise DatasetError(f"cannot be read as a workbook: {error}") from error
    except DatasetError:
        raise
    except CRAFTED as error:
        raise DatasetError(f"cannot be read as a workbook: it is damaged ({type(error).__name__})") from error


def _rows(content: bytes, name: str | None) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook

    opened = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        sheets = {sheet.title: sheet for sheet in opened.worksheets}
        if name is not None and name not in sheets:
            raise DatasetError(f"there is no sheet {name!r}; the sheets are {', '.join(sheets)}")
        if not sheets:
            raise DatasetError("the workbook has no sheet with cells")
        sheet = sheets[name] if name is not None else next(iter(sheets.values()))
        sheet.reset_dimensions()  # which other programs write wrongly
        count = 0
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells = _trimmed([_text(value) for value in row])
            count += len(cells)
            if number > _ROWS:
                raise DatasetError(f"the sheet has rows beyond {_ROWS:,}, the last one of a workbook")
            if count > _CELLS or len(cells) > COLUMNS:
                raise DatasetError(f"the sheet has more than {COLUMNS:,} columns or {_CELLS:,} cells")
            if cells:
                yield number, cells
    finally:
        opened.close()


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime) and not (value.hour or value.minute or value.second or value.microsecond):
        return value.date().isoformat()
    return value.strip() if isinstance(value, str) else str(value)


def header_of(rows: Sequence[tuple[int, list[str]]]) -> int:
    """Return the index of the header: the first row with more than one cell that does not begin with ``#``.

    Titles above a table fill one cell. In a table of one column, the header is the first row that is no comment.
    """
    width = max((len(cells) for _, cells in rows), default=0)
    for index, (_, cells) in enumerate(rows):
        if not (len(cells) == 1 < width) and not (cells[0].startswith("#") and len(cells) < width):
            return index
    return 0
