"""Tables and messages of the web page: as text to show, and as files to download."""

import html
import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from antibody_esm.cli.web_folder import TABLE, remove_old

if TYPE_CHECKING:
    import pandas as pd

KEPT = 3600
"""Seconds for which uploads, tables and scores of a session are kept."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a cell that spreadsheets read as a formula; the last four are wide forms of the first four."""


def shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table as text for display: three decimals, intervals beside their values, and no empty column."""
    import pandas as pd

    text = pd.DataFrame({name: list(map(_cell, column)) for name, column in table.items()}, dtype=object)
    for middle, low, high in (("calibrated", "calibrated_low", "calibrated_high"), ("prediction", "low", "high")):
        if low in text:
            ends = zip(text[middle], text.pop(low), text.pop(high), strict=True)
            text[middle] = [f"{at} ({a} to {b})" if a else at for at, a, b in ends]
    kept = text.loc[:, [name in ("id", "warning") or bool((text[name] != "").any()) for name in text]]
    return kept.rename(columns=lambda name: str(name).replace("_", " "))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def download_of(folder: Path, name: str, content: "pd.DataFrame | str") -> str:
    """Write a table as CSV without formulas, or a text, to a folder of its own under `folder`, and return its path."""
    remove_old(folder, KEPT)
    path = Path(tempfile.mkdtemp(prefix=TABLE, dir=folder)) / name
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        without_formulas(content).to_csv(path, index=False)
    return str(path)


def message_html(text: str, role: Literal["status", "error"]) -> str:
    """Return a message as HTML, with escaped text."""
    return f'<p role="{"alert" if role == "error" else "status"}">{html.escape(text)}</p>'


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table without formulas: ``'`` is put before a cell or header that spreadsheets would read as a formula.

    Line breaks within a text become spaces. Numbers stay as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> without_formulas(pd.DataFrame({"id": ["=1+1", "a"], "score": [-1, 1]})).to_csv(index=False).split()
    ['id,score', "'=1+1,-1", 'a,1']
    """

    def plain(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        risky = cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)
        return risky * "'" + re.sub(r"[\r\n]+", " ", cell)

    return table.map(plain).rename(columns=plain)
