"""Columns of a data set in normal form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.files import places
from antibody_esm.errors import DatasetError, SequenceError, listed
from antibody_esm.sequences import normalise


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


def first_repeat(ids: Sequence[str]) -> int:
    """Return the first row whose id occurs in an earlier row."""
    seen: set[str] = set()
    for row, name in enumerate(ids):
        if name in seen:
            return row
        seen.add(name)
    raise AssertionError("no id repeats")
