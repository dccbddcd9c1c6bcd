"""Regions of a variable domain: their IMGT positions, and their lengths in germline V genes.

``benchmarks/count_germline_lengths.py`` counts lengths in anarcism's table of aligned germline genes (IMGT/GENE-DB,
doi:10.1093/nar/gki010, by IMGT, the international ImMunoGeneTics information system, CC BY 4.0). Genes without a
conserved cysteine or tryptophan in that table are left out; rhesus and rat heavy chains lack it by a fault of their
alignment.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Literal

ImgtRegion = Literal["FR1", "CDR1", "FR2", "CDR2", "FR3", "CDR3", "FR4"]

REGIONS: dict[ImgtRegion, tuple[int, int]] = {
    "FR1": (1, 26),
    "CDR1": (27, 38),
    "FR2": (39, 55),
    "CDR2": (56, 65),
    "FR3": (66, 104),
    "CDR3": (105, 117),
    "FR4": (118, 128),
}
"""First and last IMGT position of each region (doi:10.1016/S0145-305X(02)00039-3)."""

CDRS: tuple[ImgtRegion, ...] = ("CDR1", "CDR2", "CDR3")
FRAMEWORKS: tuple[ImgtRegion, ...] = ("FR1", "FR2", "FR3", "FR4")

COUNTED: dict[ImgtRegion, tuple[int, int]] = {
    "FR1": (11, 26),
    **{region: REGIONS[region] for region in ("CDR1", "FR2", "CDR2", "FR3")},
}
"""First and last positions of regions whose length is compared; framework 1 may have gaps before position 11."""

_SAME: dict[ImgtRegion, int] = {"FR1": 16, "FR2": 17}
"""Lengths that are the same in all genes but one of mice."""


def germline_lengths(species: str, v_gene: str | None) -> dict[ImgtRegion, int] | None:
    """Return the number of residues in each region of `COUNTED` of a germline V gene; None if unknown."""
    lengths = _table().get(species, {})
    gene = v_gene or ""
    counts = lengths.get(gene) or lengths.get(gene.split("*")[0])
    return None if counts is None else _SAME | dict(zip(("CDR1", "CDR2", "FR3"), counts, strict=True))


def occurs(chain: str, loop: ImgtRegion, length: int) -> bool:
    """Return True if a germline V gene of this chain, in any species, has a CDR1 or CDR2 of this length."""
    return (chain, loop, length) in _occurring()


@cache
def _table() -> dict[str, dict[str, tuple[int, ...]]]:
    """Return lengths of CDR1, CDR2 and framework 3 by species and gene, or by allele if alleles differ."""
    text = files("antibody_esm.numbering").joinpath("germline_lengths.json").read_text()
    return {
        species: {
            gene: tuple(map(int, counts.split())) for counts, genes in by_lengths.items() for gene in genes.split()
        }
        for species, by_lengths in json.loads(text).items()
    }


@cache
def _occurring() -> set[tuple[str, ImgtRegion, int]]:
    loops: tuple[ImgtRegion, ...] = ("CDR1", "CDR2")
    genes = [(gene[2], counts) for by_gene in _table().values() for gene, counts in by_gene.items()]
    return {(chain, loop, count) for chain, counts in genes for loop, count in zip(loops, counts, strict=False)}
