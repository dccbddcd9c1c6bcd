"""Liabilities of an antibody residue by residue, as a piece of HTML with the table of them below."""

import html
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from antibody_esm.explain.marks import SYMBOLS
from antibody_esm.explain.picture import Stretch, stretches
from antibody_esm.explain.sites import Site, sites
from antibody_esm.numbering import SPECIES

if TYPE_CHECKING:
    import pandas as pd

_COUNTED = ("high", "medium")


def liability_picture(text: str, table: "pd.DataFrame", species: Sequence[str] = SPECIES) -> str:
    """Return the chains of an antibody with its liabilities marked, and their table; `STYLE` is its style.

    Parameters
    ----------
    text
        Chain, or pair of heavy and light, in normal form.
    table
        Its rows of `antibody_esm.liabilities`.
    species
        Profiles that number the chains.
    """
    rows: dict[tuple[str, str], list[Any]] = {}
    for row in table.itertuples():
        rows.setdefault((str(row.chain), str(row.position)), []).append(row)
    lines = ["<div class='liabs'>"]
    every = sites(text, species)
    for chain, regions in groupby(stretches(every), lambda stretch: stretch.chain):
        name = {"H": "heavy chain", "L": "light chain"}.get(chain, "other residues")
        lines.append(f"<p class='liabs-chain'>{name}</p><div class='liabs-row'>")
        lines += [_region(stretch, rows) for stretch in regions]
        lines.append("</div>")
    return "".join([*lines, _table(table), "</div>"])


def _region(stretch: Stretch, rows: dict[tuple[str, str], list[Any]]) -> str:
    loop = " liabs-loop" if stretch.region.startswith("CDR") else ""
    cells = "".join(_cell(site, rows.get((site.chain, site.position), [])) for site in stretch.sites)
    return (
        f"<div class='liabs-region{loop}'><div class='liabs-cells'>{cells}</div>"
        f"<small>{stretch.region} {stretch.label}</small></div>"
    )


def _cell(site: Site, here: list[Any]) -> str:
    if not here:
        return f"<span><b>{site.residue}</b></span>"
    worst = next(severity for severity in SYMBOLS if severity in {row.severity for row in here})
    words = html.escape("; ".join(f"{row.kind}, {row.severity}" for row in here), quote=True)
    return f"<span class='liabs-{worst}' title='{words}'><b>{site.residue}</b><em>{SYMBOLS[worst]}</em></span>"


def _table(table: "pd.DataFrame") -> str:
    """Return the medium and high liabilities as a table, and the low ones folded below."""
    counted = table[table["severity"].isin(_COUNTED)]
    low = table[~table["severity"].isin(_COUNTED)]
    order = counted["severity"].map(_COUNTED.index).to_numpy().argsort(kind="stable")
    parts = [_rows(counted.iloc[order]) if len(counted) else "<p>No medium or high liability.</p>"]
    if len(low):
        parts.append(f"<details><summary>{len(low):,} low ones</summary>{_rows(low)}</details>")
    return "".join(parts)


def _rows(table: "pd.DataFrame") -> str:
    heads = ("severity", "liability", "residues", "position", "region", "germline", "source")
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    body = "".join(_row(row) for row in table.to_dict("records"))
    return (
        "<div class='liabs-scroll' tabindex='0' role='region' aria-label='Liabilities'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: dict[Any, Any]) -> str:
    compared = isinstance(row["germline"], bool)
    germline = ("yes" if row["germline"] else "no") if compared else "not known"
    cells = (
        f"{SYMBOLS[row['severity']]} {row['severity']}",
        row["kind"],
        row["motif"],
        f"{row['chain']}{row['position']}",
        row["region"],
        germline,
    )
    inner = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells)
    return f"<tr>{inner}<td>{_link(str(row['source']))}</td></tr>"


def _link(source: str) -> str:
    """Return the source of a rule as a link that does not tell the other site where it was followed."""
    address = source
    if source.startswith("doi:"):
        address = f"https://doi.org/{source.removeprefix('doi:')}"
    elif source.startswith("PMC"):
        address = f"https://pmc.ncbi.nlm.nih.gov/articles/{source}"
    text = html.escape(source, quote=True)
    if not address.startswith("https://"):
        return text
    return f'<a href="{html.escape(address, quote=True)}" target="_blank" rel="noopener noreferrer">{text}</a>'


STYLE = """
.liabs { font: 14px/1.4 system-ui, sans-serif; margin-bottom: 1.5em; }
.liabs p { margin: .4em 0; }
.liabs-chain { font-weight: 600; }
.liabs-row { display: flex; flex-wrap: wrap; gap: .6em .5em; }
.liabs-region { padding: .25em .35em; border-radius: 4px; }
.liabs-loop { background: rgba(128, 128, 128, .16); }
.liabs-cells { display: flex; flex-wrap: wrap; font-family: ui-monospace, monospace; }
.liabs-cells span { display: grid; grid-template-rows: 1.4em 1.1em; width: 1.05em; justify-items: center; }
.liabs-cells b { font-weight: 500; width: 100%; text-align: center; border-radius: 2px; }
.liabs-cells em { font: normal .8em/1.2 system-ui, sans-serif; }
.liabs .liabs-high b { background: #b34700; color: #fff !important; font-weight: 700; }
.liabs .liabs-medium b { background: #f2b98f; color: #1f2328 !important; }
.liabs-low b { border-bottom: 2px dotted currentColor; }
.liabs small { opacity: .75; }
.liabs-scroll { overflow-x: auto; margin-top: .6em; }
.liabs table { border-collapse: collapse; font-size: 13px; }
.liabs th, .liabs td { text-align: left; padding: .2em .9em .2em 0; white-space: nowrap; }
.liabs th { font-weight: 600; }
.liabs tbody tr { border-top: 1px solid rgba(128, 128, 128, .35); }
.liabs summary { cursor: pointer; margin-top: .5em; }
.liabs a { text-decoration: underline; }
"""
"""Style of `liability_picture`, for light and dark pages."""
