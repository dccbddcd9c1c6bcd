"""Write the aligned germline V and J genes that anarcism carries to a table of the package.

Run it after an update of anarcism; tests/test_germline.py fails while the table is not that of the installed version.
Genes without a conserved cysteine or tryptophan are left out, as by count_germline_lengths.py. Species and genes keep
the order of anarcism, which assigns the first of equally near genes.
"""

import json
from pathlib import Path

from count_germline_lengths import germlines

TABLE = Path(__file__).parent.parent / "antibody_esm" / "numbering" / "germline_genes.json"


def genes() -> dict[str, dict[str, str]]:
    """Return the names of genes by species and by their aligned residues, without gaps behind the last."""
    v_genes = [gene for gene in germlines() if gene[2][22] == "C" and gene[2][40] == "W" and gene[2][103] == "C"]
    table: dict[str, dict[str, list[str]]] = {}
    for species, name, residues in v_genes + germlines("J"):
        table.setdefault(species, {}).setdefault(residues.rstrip("-"), []).append(name)
    return {
        species: {residues: " ".join(names) for residues, names in by_residues.items()}
        for species, by_residues in table.items()
    }


if __name__ == "__main__":
    TABLE.write_text(json.dumps(genes(), indent=1) + "\n")
