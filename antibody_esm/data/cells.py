"""Cells of tables: missing values, and sequences without what surrounds them."""

from typing import Any

MISSING = frozenset({
    *("", "-", "--", "na", "n/a", "nan", "none", "null", "<na>"),
    *("#n/a", "#n/a n/a", "#na", "-nan", "-1.#ind", "-1.#qnan", "1.#ind", "1.#qnan"),  # the other markers of pandas
})  # fmt: skip
_LONGEST_MARK = max(map(len, MISSING))


def is_missing(value: Any) -> bool:
    """Return True if a cell is empty."""
    import pandas as pd

    if isinstance(value, str):
        return not value.strip()
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def is_missing_chain(value: Any) -> bool:
    """Return True if a cell of a column of chains is empty or holds NA, N/A, nan, None, null or ``-``.

    In such a column these are never sequences: NA is not the dipeptide of asparagine and alanine.
    """
    if not isinstance(value, str):
        return is_missing(value)
    text = value.strip()
    return len(text) <= _LONGEST_MARK and text.lower() in MISSING


def without_dressing(sequence: Any) -> Any:
    """Return a sequence without white space and without a final stop ``*``."""
    return "".join(sequence.split()).removesuffix("*") if isinstance(sequence, str) else sequence


def cleaned(value: Any) -> Any:
    """Return the sequence in a cell of a column of chains, without white space and stop; None if it is missing."""
    return None if is_missing_chain(value) else without_dressing(value)
