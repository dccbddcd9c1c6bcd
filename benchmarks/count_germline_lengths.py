"""Count the residues of CDR1, CDR2 and framework 3 in the germline V genes that anarcism carries.

Run it after an update of anarcism; tests/test_numbering.py fails while the table is not that of the installed version.
"""

import json
from pathlib import Path

import anarcism

TABLE = Path(__file__).parent.parent / "antibody_esm" / "numbering" / "germline_lengths.json"
_RESIDUES = "-ACDEFGHIKLMNPQRSTVWY"
_COUNTED = ((27, 38), (56, 65), (66, 104))


def germlines(of_segment: str = "V") -> list[tuple[str, str, str]]:
    """Return species, name and 128 aligned residues of all V or J genes of antibodies, out of anarcism's module.

    Its table begins with ``ANRCGER1``, a version and two counts; five bits are a residue, and 80 bytes a gene.
    """
    (module,) = Path(anarcism.__file__).parent.glob("_anarcism*.so")
    data = module.read_bytes()
    place = data.index(b"ANRCGER1") + 10
    n_species, n_genes = data[place], int.from_bytes(data[place + 1 : place + 3], "little")
    place += 3
    species = []
    for _ in range(n_species):
        species.append(data[place + 1 : place + 1 + data[place]].decode())
        place += 1 + data[place]
    genes = []
    for _ in range(n_genes):
        segment, chain, name_at = chr(data[place]), chr(data[place + 1]), place + 4
        packed_at = name_at + data[place + 3]
        packed = int.from_bytes(data[packed_at : packed_at + 80], "little")
        codes = [packed >> (5 * position) & 31 for position in range(128)]
        if segment == of_segment and chain in "HKL":
            residues = "".join(_RESIDUES[code] if code < len(_RESIDUES) else "X" for code in codes)
            genes.append((species[data[place + 2]], data[name_at:packed_at].decode(), residues))
        place = packed_at + 80
    return genes


def lengths() -> dict[str, dict[str, str]]:
    """Return genes by species and by their lengths; alleles where those of a gene differ."""
    counts_of: dict[tuple[str, str], dict[str, str]] = {}
    for species, allele, residues in germlines():
        if residues[22] == "C" and residues[40] == "W" and residues[103] == "C":
            counts = [sum(residue != "-" for residue in residues[first - 1 : last]) for first, last in _COUNTED]
            alleles = counts_of.setdefault((species, allele.split("*")[0]), {})
            alleles[allele] = " ".join(map(str, counts))
    table: dict[str, dict[str, list[str]]] = {}
    for (species, gene), alleles in counts_of.items():
        names = {gene: next(iter(alleles.values()))} if len(set(alleles.values())) == 1 else alleles
        for name, text in names.items():
            table.setdefault(species, {}).setdefault(text, []).append(name)
    return {
        species: {text: " ".join(sorted(names)) for text, names in sorted(by_lengths.items())}
        for species, by_lengths in sorted(table.items())
    }


if __name__ == "__main__":
    TABLE.write_text(json.dumps(lengths(), indent=1) + "\n")
