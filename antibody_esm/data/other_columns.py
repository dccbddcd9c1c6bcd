"""Columns of a table that are no sequence, id, label or group: those that a model reads, and measurements."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import ColumnValues, is_absent, number_in, numbers_of
from antibody_esm.data.labels import RESERVED
from antibody_esm.data.tables import named_column
from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

_WITHOUT_NAME = "Unnamed: "
"""Beginning of pandas' name for a column without one, which mostly holds row numbers; it is not read."""


class OtherColumns(NamedTuple):
    """Columns of a table beside those that a `Dataset` always has."""

    columns: dict[str, ColumnValues]
    """Columns that a model reads, by name."""
    measurements: dict[str, NDArray[np.float64]]
    """All other columns of numbers that have a name."""
    not_kept: tuple[str, ...]
    """Names of all other columns of text."""


def other_columns(
    frame: "pd.DataFrame", used: Collection[str], names: Sequence[str], path: Path | None = None
) -> OtherColumns:
    """Return the columns of a table that are not used otherwise.

    Parameters
    ----------
    used
        Columns of ids, chains, labels and groups.
    names
        Columns that a model reads.

    Raises
    ------
    DatasetError
        If a named column does not exist, occurs more than once, or is used otherwise.
    """
    if isinstance(names, str):
        raise DatasetError(f"columns= must be a list of names, got {names!r}", path)
    columns: dict[str, ColumnValues] = {}
    for name in names:
        if name in used or name in RESERVED:
            raise DatasetError(f"{name!r} is a column of ids, chains, labels or groups, not one beside them", path)
        columns[name] = values_of(named_column(frame, name, path))
    measurements: dict[str, NDArray[np.float64]] = {}
    text = []
    for number, name in enumerate(map(str, frame.columns)):
        if name in columns or name in used or name in RESERVED or name.startswith(_WITHOUT_NAME):
            continue
        values = values_of(frame.iloc[:, number])
        if isinstance(values, np.ndarray):
            measurements[name] = values
        else:
            text.append(name)
    return OtherColumns(columns, measurements, tuple(text))


def values_of(column: "pd.Series[Any]") -> NDArray[np.float64] | tuple[str | None, ...]:
    """Return the numbers of a column; or its text, if a cell is neither empty nor a number.

    Text that spells a number is one, but in a column of pandas' categories.
    """
    numbers = None if column.dtype.name == "category" else _numbers(column)
    if numbers is not None:
        return numbers
    return tuple(None if is_absent(value) else str(value).strip() for value in column)


def _numbers(column: "pd.Series[Any]") -> NDArray[np.float64] | None:
    if column.dtype.kind in "fiub":
        return column.to_numpy(np.float64, na_value=np.nan)
    return numbers_of(column.to_numpy(object))  # pandas iterates over text slowly


class NearlyNumbers(NamedTuple):
    """A column that is read as text, though nearly all of its cells are numbers."""

    numbers: int
    cells: int
    """Number of cells that are not empty."""
    row: int
    """First row whose cell is no number."""
    cell: str


def nearly_numbers(values: ColumnValues) -> NearlyNumbers | None:
    """Return the counts of a column of text of whose cells at least 90 % are numbers; None for all other columns."""
    if isinstance(values, np.ndarray):
        return None
    texts = [(row, str(value)) for row, value in enumerate(values) if value is not None]
    others = [(row, text) for row, text in texts if number_in(text) is None]
    if not others or 10 * len(others) > len(texts):
        return None
    return NearlyNumbers(len(texts) - len(others), len(texts), *others[0])
