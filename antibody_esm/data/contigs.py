"""Antibodies of cells: the productive heavy and light chain of each barcode in contig annotations of 10x."""

import logging
from typing import TYPE_CHECKING, Any

from antibody_esm.data.cells import cleaned
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("antibody_esm.tables")

_REGIONS = ("fwr1", "cdr1", "fwr2", "cdr2", "fwr3", "cdr3", "fwr4")
_KINDS = {"IGH": "heavy", "IGK": "light", "IGL": "light"}
_TRUE = ("true", "t", "1")
_NEEDED = ("productive", "is_cell", "high_confidence", "full_length")
"""Columns that must be true for a chain to count, where there are such columns."""
_KEPT = ("v_gene", "d_gene", "j_gene", "c_gene", "cdr3", "umis")
_OF_A_CELL = ("raw_clonotype_id", "exact_subclonotype_id")


def pair_contigs(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row for each barcode with a productive chain, in their order in the table.

    Chains that are not productive, not of full length, of low confidence, of no cell or of T cells are left out; a
    logged note counts them. If a barcode has two productive chains of one kind, its chains are `Unknown`, with the
    reason: it may be two cells.

    Returns
    -------
    Columns ``barcode``, ``heavy``, ``light`` (None if there is none), those of genes, CDR3 and UMIs with ``_heavy`` and
    ``_light``, ``isotype`` and the clonotype.
    """
    import pandas as pd

    columns = {str(name): list(frame[name]) for name in frame.columns}
    tests = [[str(cell).strip().lower() in _TRUE for cell in columns[name]] for name in _NEEDED if name in columns]
    cells: dict[str, dict[str, list[int]]] = {}
    counted = 0
    for row, (barcode, chain) in enumerate(zip(columns["barcode"], columns["chain"], strict=True)):
        kind = _KINDS.get(str(chain).strip())
        if kind is not None and all(test[row] for test in tests):
            cells.setdefault(str(barcode), {"heavy": [], "light": []})[kind].append(row)
            counted += 1
    logger.info(
        "10x contigs: %s of %s are productive chains of antibodies in cells, of %s barcodes",
        *(f"{count:,}" for count in (counted, len(frame), len(cells))),
    )
    records = [{"barcode": barcode, **_antibody(rows, columns)} for barcode, rows in cells.items()]
    names = ["barcode", "heavy", "light", *dict.fromkeys(name for record in records for name in record)]
    return pd.DataFrame(records, columns=list(dict.fromkeys(names)), dtype=object)


def _antibody(rows: dict[str, list[int]], columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the chains of a barcode, and what is known of them."""
    twice = next((kind for kind, places in rows.items() if len(places) > 1), None)
    if twice is not None:
        contigs = ", ".join(str(columns["contig_id"][row]) for row in rows[twice])
        reason = Unknown(f"{len(rows[twice])} productive {twice} chains in one barcode ({contigs})")
        return {"heavy": reason, "light": reason}
    record: dict[str, Any] = {"heavy": None, "light": None}
    for kind, places in rows.items():
        for row in places:
            record[kind] = _domain(row, columns)
            record |= {f"{name}_{kind}": columns[name][row] for name in _KEPT if name in columns}
            record |= {name: columns[name][row] for name in _OF_A_CELL if name in columns}
            if kind == "heavy" and "c_gene" in columns:
                record["isotype"] = columns["c_gene"][row]
    return record


def _domain(row: int, columns: dict[str, list[Any]]) -> str | Unknown:
    """Return the variable domain of a contig, which is the text of its regions in their order."""
    parts = [cleaned(columns[region][row]) for region in _REGIONS]
    absent = [region for region, part in zip(_REGIONS, parts, strict=True) if part is None]
    if absent:
        return Unknown(f"contig {columns['contig_id'][row]} has no {', '.join(absent)}")
    return "".join(map(str, parts))
