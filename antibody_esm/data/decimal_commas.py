"""Decimal commas of tables of text, decided for each column of the whole file."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

_DECIMAL = re.compile(r"\s*[-+]?\d*([.,])\d+([eE][-+]?\d+)?\s*")
_MAYBE_THOUSANDS = re.compile(r"\s*[-+]?[1-9]\d{0,2}([.,])\d{3}\s*")
_SEVERAL_MARKS = re.compile(r"\s*[-+]?\d+([.,]\d+){2,}\s*")


def have_commas(frame: "pd.DataFrame") -> bool:
    """Return True if any cell is a number with a comma as its only mark; fast for tables without commas."""
    return any(
        number[1] == ","
        for name in frame
        if "," in "\n".join(frame[name])
        for cell in frame[name]
        if (number := _DECIMAL.fullmatch(cell))
    )


def comma_columns(frames: Iterable["pd.DataFrame"], *, tabs: bool) -> dict[str, bool]:
    """Return the columns of a file that have numbers with a comma; True if it is the decimal mark.

    It is if no number of the column has a point or two marks, such as 1,234,567.
    Cells that are no number do not matter. Where all numbers with a comma are like 1,234, they may be thousands: such
    a column is False where tabs separate columns, or where another column has numbers with a point.

    Parameters
    ----------
    frames
        All rows of a file as text, in batches.
    tabs
        True if tabs separate the columns.

    Raises
    ------
    DatasetError
        If one column has decimal commas, and all numbers with a point in another are like 1.234: they may be 1234.
    """
    marks: dict[str, set[str]] = {}
    for frame in frames:
        for name in frame:
            text = "\n".join(frame[name])
            if "," in text or "." in text:
                marks.setdefault(str(name), set()).update(map(_mark, frame[name]))
    points = {".", "1.234"}
    thousands = tabs or any(of_column & points for of_column in marks.values())
    commas = {
        name: not of_column & {*points, "1,234,567"} and ("," in of_column or not thousands)
        for name, of_column in marks.items()
        if of_column & {",", "1,234"}
    }
    unclear = [name for name, of_column in marks.items() if of_column & {*points, ",", "1,234"} == {"1.234"}]
    if any(commas.values()) and unclear:
        comma = next(name for name, is_decimal in commas.items() if is_decimal)
        raise DatasetError(
            f"numbers of column {unclear[0]!r} are like 1.234, and those of {comma!r} have decimal commas: 1.234 may "
            "be 1234 or 1.234. Write 1234 without a point, or the decimal comma (1,234) in this column too",
            column=unclear[0],
        )
    return commas


def with_points(frame: "pd.DataFrame", commas: Iterable[str]) -> "pd.DataFrame":
    """Return a table with a point in the numbers of these columns; other cells stay as they are."""
    columns = {
        name: [cell.replace(",", ".") if _DECIMAL.fullmatch(cell) else cell for cell in frame[name]] for name in commas
    }
    return frame.assign(**columns) if columns else frame


def _mark(cell: str) -> str:
    """Return the mark of a number, or a number for those that may have thousands; empty for all other cells."""
    if number := _DECIMAL.fullmatch(cell):
        return f"1{number[1]}234" if _MAYBE_THOUSANDS.fullmatch(cell) else str(number[1])
    return "1,234,567" if _SEVERAL_MARKS.fullmatch(cell) else ""
