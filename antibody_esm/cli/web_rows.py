"""Tables of the web page as HTML, which keyboards and screen readers reach."""

import html
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from antibody_esm.cli.web_words import MEANINGS

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ROWS = 500
"""Most rows that the page shows; the table to download has all."""

CLICKS = """
element.addEventListener("click", (event) => {
  const row = event.target.closest("[data-antibody]");
  if (!row) return;
  const button = event.target.closest("button");
  trigger("click", {row: row.dataset.antibody, scan: Boolean(button && button.dataset.scan)});
});
"""
"""Script of a table whose rows are antibodies: a click names the row, and whether it is to be scanned."""

STYLE = """
.ab-scroll { overflow: auto; max-height: 560px; border: 1px solid var(--border-color-primary); border-radius: 6px; }
.ab-scroll:focus-visible { outline: 2px solid var(--body-text-color); }
.ab-table { border-collapse: collapse; border: 0 !important; width: 100%; margin: 0; font-size: 14px;
  color: var(--body-text-color); }
.ab-table th, .ab-table td { padding: 6px 10px; text-align: left; vertical-align: top; overflow-wrap: anywhere;
  border-style: solid !important; border-color: var(--border-color-primary) !important;
  border-width: 0 0 1px !important; min-width: 3em; }
.dark button[role=tab].selected { color: #bfdbfe; }
.ab-table th { position: sticky; top: 0; background: var(--background-fill-secondary); overflow-wrap: normal; }
.ab-table th[title] { cursor: help; text-decoration: underline dotted; text-underline-offset: 3px; }
.ab-table td.ab-wide { min-width: 16em; }
.ab-table thead, .ab-table tbody, .ab-table tr { border-color: var(--border-color-primary) !important; }
.ab-table tr[data-antibody] { cursor: pointer; }
.ab-table tr[data-antibody]:hover { background: var(--background-fill-secondary); }
.ab-table td.ab-actions { white-space: nowrap; }
.ab-actions button { border: 1px solid var(--body-text-color); border-radius: 4px; padding: 1px 10px; margin-right: 4px;
  font-size: 13px; font-weight: 500; transition: none;
  color: var(--body-text-color); background: var(--background-fill-primary); }
.ab-actions button:hover, .ab-actions button:focus-visible { background: var(--body-text-color);
  color: var(--background-fill-primary); }
.ab-good, .ab-bad { padding: 1px 8px; border-radius: 9px; font-weight: 600; white-space: nowrap; }
.ab-table .ab-good, .ab-legend .ab-good, .ab-good { background: #d7e8f7; color: #0b3c63; }
.ab-table .ab-bad, .ab-legend .ab-bad, .ab-bad { background: #fde0c5; color: #6b2d00; }
ul.ab-legend { display: flex; flex-wrap: wrap; gap: 6px 20px; list-style: none; padding: 0; margin: 0 0 4px; }
.ab-meanings summary { cursor: pointer; margin-top: 6px; }
.ab-meanings dt { font-weight: 600; margin-top: 6px; }
.ab-meanings dd { margin-left: 1em; }
#score, #search, #propose, #download, #download-liabilities, #example, #download-variants, #download-fasta {
  max-width: 320px; }
#file .or { color: inherit; }
@media (max-width: 640px) {
  .ab-table thead { position: absolute; left: -9999px; }
  .ab-table tr { display: block; padding: 8px 0; border-bottom: 1px solid var(--border-color-primary); }
  .ab-table td { display: flex; gap: 10px; padding: 2px 10px; border-width: 0 !important; }
  .ab-table td[data-label]::before { content: attr(data-label); flex: 0 0 40%; opacity: 0.85; }
  .ab-table td:empty { display: none; }
}
"""
"""Style sheet of the page; the colours are those of Gradio's theme, light or dark."""
_WIDE = ("warning", "reason", "recalibrated")


def table_html(
    table: "pd.DataFrame",
    title: str,
    *,
    meanings: Mapping[str, str] = MEANINGS,
    badges: Mapping[str, str] | None = None,
    actions: Collection[str] = (),
) -> str:
    """Return a table as HTML, with escaped texts.

    Parameters
    ----------
    table
        Texts of the cells.
    title
        Name of the table for screen readers.
    meanings
        Meaning of columns.
    badges
        HTML of cells of the column ``class``, by their text.
    actions
        ``explain`` and ``scan``: buttons of each row, whose antibody is that of the column ``row``.
    """
    columns = list(map(str, table.columns))
    heads = "".join(_head(name, meanings.get(name)) for name in columns) + (
        "<th scope='col'>what next</th>" if actions else ""
    )
    rows = "".join(
        _row(number, dict(zip(columns, cells, strict=True)), badges or {}, actions)
        for number, cells in enumerate(table.head(SHOWN_ROWS).itertuples(index=False, name=None))
    )
    more = f"<p>The first {SHOWN_ROWS} rows are shown; the download has all.</p>" if len(table) > SHOWN_ROWS else ""
    name = html.escape(title, quote=True)
    explained = {column: meanings[column] for column in columns if column in meanings}
    return (
        f"<div class='ab-scroll' role='region' aria-label='{name}' tabindex='0'><table class='ab-table'>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}{_meanings(explained)}"
    )


def escaped(text: object) -> str:
    """Return a text as HTML in which neither tags nor placeholders of Gradio's templates are read.

    Examples
    --------
    >>> escaped("<b>${x}{{y}}")
    '&lt;b&gt;&#36;&#123;x&#125;&#123;&#123;y&#125;&#125;'
    """
    plain = html.escape(str(text), quote=True)
    for letter in "${}`":
        plain = plain.replace(letter, f"&#{ord(letter)};")
    return plain


def _head(name: str, meaning: str | None) -> str:
    title = f" title='{html.escape(meaning, quote=True)}'" if meaning else ""
    return f"<th scope='col'{title}>{escaped(name)}</th>"


def _row(number: int, cells: Mapping[str, object], badges: Mapping[str, str], actions: Collection[str]) -> str:
    antibody = f" data-antibody='{escaped(cells['row'])}'" if actions else ""
    parts = [
        f"<td data-row='{number}' data-col='{column}' data-label='{escaped(name)}'{_class(name, value)}>"
        f"{badges.get(str(value), escaped(value)) if name == 'class' else escaped(value)}</td>"
        for column, (name, value) in enumerate(cells.items())
    ]
    if actions:
        name = escaped(cells.get("id", cells["row"]))
        buttons = [
            f"<button type='button'{' data-scan=1' if each == 'scan' else ''} aria-label='{each.title()} {name}'>"
            f"{each.title()}</button>"
            for each in actions
        ]
        parts.append(f"<td class='ab-actions'>{''.join(buttons)}</td>")
    return f"<tr{antibody}>{''.join(parts)}</tr>"


def _class(name: str, value: object) -> str:
    return " class='ab-wide'" if name in _WIDE and value else ""


def _meanings(meanings: Mapping[str, str]) -> str:
    """Return the meanings of columns for readers without a mouse."""
    named = [f"<dt>{escaped(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in meanings.items()]
    return (
        f"<details class='ab-meanings'><summary>What the columns mean</summary><dl>{''.join(named)}</dl></details>"
        if named
        else ""
    )
