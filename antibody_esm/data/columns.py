"""Columns of a data set in normal form."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.cells import MISSING
from antibody_esm.data.files import places
from antibody_esm.errors import DatasetError, SequenceError, listed
from antibody_esm.sequences import normalise

ColumnValues = NDArray[np.float64] | Sequence[str | float | None]
"""Values of a column that a model reads beside the sequences; numbers or text."""


def is_series(values: Any) -> bool:
    """Return True for a Series of pandas, which has an index of its own."""
    return "pandas" in sys.modules and isinstance(values, sys.modules["pandas"].Series)


def check_index(values: Any, ids: Sequence[str], what: str) -> None:
    """Raise DatasetError for a Series that is not in the order of the ids: its index must be 0, 1, 2 ... or the ids.

    A Series of another length is left to other checks.
    """
    if not is_series(values) or len(values) != len(ids):
        return
    index = values.index.tolist()
    if index not in (list(range(len(ids))), list(ids)):
        raise DatasetError(
            f"{what} have an index that is neither 0, 1, 2 ... nor the ids; to_numpy() takes them in the order of the "
            "antibodies"
        )


def check_alike(columns: Mapping[str, Any]) -> None:
    """Raise DatasetError if columns that are Series have different indices: they are joined by row, not by index."""
    series = {name: values for name, values in columns.items() if is_series(values)}
    first = next(iter(series), "")
    for name, values in series.items():
        if len(values) == len(series[first]) and not values.index.equals(series[first].index):
            raise DatasetError(
                f"{name} has another index than {first}; to_numpy() takes each in its own order", column=name
            )


def normal_chains(chains: Sequence[str | None] | None, ids: Sequence[str]) -> tuple[str | None, ...] | None:
    """Return one chain of each antibody in normal form; a missing chain is None."""
    if chains is None:
        return None
    # A placeholder for missing chains, so that row numbers of errors are those of the input.
    try:
        normal = normalise("X" if chain is None else chain for chain in chains)
    except SequenceError as error:
        where = places(None, (row.index for row in error.rows), dict(enumerate(ids)), "sequence")
        raise SequenceError(error.rows, error.reasons, where) from None
    return tuple(None if chain is None else new for chain, new in zip(chains, normal, strict=True))


def normal_labels(label: Any, ids: Sequence[str]) -> NDArray[np.float64]:
    """Return labels as a read-only array. Raises DatasetError if a label is missing or not finite."""
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in label], np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"labels must be numbers (0 and 1 for classification): {error}", column="label") from error
    absent = np.flatnonzero(np.isnan(numbers)).tolist()
    if absent:
        where = listed(places(None, absent, dict(enumerate(ids))).values(), len(absent))
        raise DatasetError(f"{len(absent)} labels are missing: {where}", column="label", rows=absent)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        where = places(None, [row], dict(enumerate(ids)))[row]
        raise DatasetError(f"the label in {where} is not finite", row=row, column="label")
    numbers.setflags(write=False)
    return numbers


def normal_measurement(name: str, values: Any) -> NDArray[np.float64]:
    """Return measured values as a read-only array; a missing value is NaN."""
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"measurements of {name} must be numbers: {error}", column=name) from error
    numbers.setflags(write=False)
    return numbers


def normal_column(values: ColumnValues) -> NDArray[np.float64] | tuple[str | None, ...]:
    """Return a column as read-only numbers, in which NaN is missing; or, if any value is text, as text and None.

    A list of nothing but None is text.
    """
    if isinstance(values, np.ndarray) or not all(value is None or isinstance(value, str) for value in values):
        numbers = None if any(isinstance(value, str) for value in values) else numbers_of(values)
        if numbers is not None:
            numbers.setflags(write=False)
            return numbers
    return tuple(None if is_absent(value) else str(value).strip() for value in values)


def numbers_of(values: Iterable[Any]) -> NDArray[np.float64] | None:
    """Return the numbers in a column, NaN for a missing one; None if a value is no number."""
    numbers = []
    for value in values:
        number = number_in(value)
        if number is None:
            return None
        numbers.append(number)
    return np.array(numbers, np.float64)


def number_in(value: Any) -> float | None:
    """Return the number in a cell, 1 and 0 for true and false, NaN if it is empty; None if it is no number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        text = str(value).strip().lower()
        return float(text == "true") if text in ("true", "false") else float("nan") if is_absent(value) else None
    return None if isinstance(value, str) and "_" in value else number  # Python reads 1_0 as ten


def is_absent(value: Any) -> bool:
    """Return True if a cell is missing: None, NaN, empty, or a mark such as NA."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or str(value) in ("nan", "NaN", "NaT", "<NA>")


def rows_of(column: ColumnValues, rows: NDArray[np.int64]) -> ColumnValues:
    """Return the values of a column in normal form at these rows."""
    return column[rows] if isinstance(column, np.ndarray) else tuple(column[row] for row in rows.tolist())


def plain(column: ColumnValues) -> list[str | None]:
    """Return the values of a column in normal form as distinct texts, for digests: text differs from any number."""
    if isinstance(column, np.ndarray):
        return list(map(repr, column.tolist()))
    return [None if value is None else f"text {value}" for value in column]


def first_repeat(ids: Sequence[str]) -> int:
    """Return the first row whose id occurs in an earlier row."""
    seen: set[str] = set()
    for row, name in enumerate(ids):
        if name in seen:
            return row
        seen.add(name)
    raise AssertionError("no id repeats")
