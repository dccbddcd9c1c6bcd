"""Small HTML cards that notebooks show in place of ``repr()``; they read fields and compute nothing."""

from collections.abc import Iterable, Sequence
from html import escape

_LONGEST = 300
"""Most characters of a fact or a cell."""
_LINE = "1px solid rgba(128,128,128,.45)"
"""A grey that is seen on a light and on a dark page; text has the colour of the page."""
_CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top;background:none;color:inherit"


def card(
    title: str,
    facts: Iterable[tuple[str, object]],
    header: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
    note: str = "",
) -> str:
    """Return a fragment of HTML with a title, facts by name, and a table.

    All texts are escaped and cut at 300 characters. Colours are those of the page, light or dark.

    Parameters
    ----------
    title
        First line.
    facts
        Names and values; an empty value is left out.
    header, rows
        A table; empty for none.
    note
        Last line.

    Examples
    --------
    >>> "&lt;b&gt;" in card("Dataset", [("source", "<b>")])
    True
    """
    parts = [f"<strong>{_text(title)}</strong>"]
    named = [(name, value) for name, value in facts if str(value)]
    lines = [(_cell("th", name, "font-weight:normal;opacity:.75"), _cell("td", value)) for name, value in named]
    if lines:
        parts.append(_table(lines))
    if header:
        head = [_cell("th", name, f"border-bottom:{_LINE}") for name in header]
        parts.append(_table([head, *([_cell("td", cell) for cell in row] for row in rows)]))
    if note:
        parts.append(f"<div style='opacity:.75'>{_text(note)}</div>")
    return f"<div style='border-left:3px solid rgba(128,128,128,.45);padding-left:10px'>{''.join(parts)}</div>"


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table style='border:0;margin:4px 0'>{lines}</table>"


def _cell(kind: str, value: object, style: str = "") -> str:
    return f"<{kind} style='{_CELL};{style}'>{_text(value)}</{kind}>"


def shortened(sequence: str | None) -> str:
    """Return a sequence as its ends and its length; empty if it is missing.

    Examples
    --------
    >>> shortened("EVQLVESGGGLVQPGGSLRLSCAAS"), shortened(None)
    ('EVQLVESGGG...LSCAAS (25)', '')
    """
    if sequence is None:
        return ""
    return sequence if len(sequence) <= 20 else f"{sequence[:10]}...{sequence[-6:]} ({len(sequence)})"


def _text(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...")
