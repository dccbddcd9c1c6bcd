"""Cells of columns of labels: numbers, missing values, and advice on all others."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from antibody_esm.data.cells import MISSING

NUMBERS = "labels must be numbers (0 and 1 for classification)"
"""Rule of labels, for messages."""
_NOT_MEASURED = frozenset({
    *("n.d.", "n.d", "nd", "n/d", "n.a.", "n.a", "n.m.", "nm.", "not determined", "not measured", "not tested"),
    *("missing", "?", ".", "\u2013", "\u2014", "\u2212"),
})  # fmt: skip
_POSITIVE = frozenset({*("y", "yes", "pos", "positive", "t", "polyreactive", "polyspecific", "nonspecific")})
_NEGATIVE = frozenset({*("n", "no", "neg", "negative", "f", "specific", "non-polyreactive", "monoreactive")})
"""Usual words of the two classes."""
_UNITS = frozenset({
    *("min", "mins", "minutes", "s", "sec", "h", "nm", "mg/l", "mg/ml", "g/l", "ug/ml", "µg/ml", "μg/ml", "mm", "m"),
    *("°c", "c", "degc", "celsius", "k", "%", "percent", "fold", "au", "a.u.", "mfi", "cp", "mpa s", "mpa·s", "0-1"),
    *("pm", "µm", "μm", "%/day", "kd", "kda", "rfu", "rlu", "ratio", "score", "unit", "units", "0/1", "0 or 1"),
})  # fmt: skip


def label_of(cell: Any) -> float:
    """Return a label as a number; NaN if it is missing.

    Raises
    ------
    TypeError, ValueError
        If it is no number.
    """
    import pandas as pd

    text = cell.strip().lower() if isinstance(cell, str) else ""
    if text in MISSING if isinstance(cell, str) else pd.api.types.is_scalar(cell) and pd.isna(cell):
        return float(np.nan)
    if text in ("true", "false"):
        return float(text == "true")
    return float(text.replace("_", "?") if text else cell)  # Python reads 1_0 as ten


def is_label(cell: Any) -> bool:
    """Return True if a cell is a number or missing."""
    try:
        label_of(cell)
    except (TypeError, ValueError):
        return False
    return True


def _class_of(cell: str) -> int | None:
    """Return the class that a usual word stands for; None for other cells."""
    text = cell.strip().lower()
    return 1 if text in _POSITIVE else 0 if text in _NEGATIVE else None


def advice_on(cells: Sequence[Any], rows: set[int], column: str = "label") -> str:
    """Return advice on cells of a column that are no labels, after a period; empty for other cells.

    Examples
    --------
    >>> advice_on(["min", "°C"], {0})
    '. The first row seems to hold units: write them into the header, and delete the row'
    >>> advice_on(["n.d."], {4})
    '. Leave a cell empty, or write NA, where nothing was measured'
    >>> advice_on(["Y", "N"], {4, 5}, "poly")
    ". In pandas, words become numbers by table['poly'] = table['poly'].replace({'Y': 1, 'N': 0})"
    >>> advice_on(["twice"], {4})
    ''
    """
    texts = {str(cell).strip().strip("()[]").lower() for cell in cells}
    if rows == {0} and texts <= _UNITS:
        return ". The first row seems to hold units: write them into the header, and delete the row"
    classes = {cell: value for cell in cells if isinstance(cell, str) and (value := _class_of(cell)) is not None}
    words = f". In pandas, words become numbers by table[{column!r}] = table[{column!r}].replace({classes})"
    empty = ". Leave a cell empty, or write NA, where nothing was measured"
    return (words if classes else "") + (empty if texts & _NOT_MEASURED else "")
