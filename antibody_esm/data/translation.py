"""Translation of antibody DNA; the reading frame is the one with the best variable domain."""

import re
from collections.abc import Sequence
from pathlib import Path

from antibody_esm.choices import Engines
from antibody_esm.errors import DatasetError
from antibody_esm.numbering import Domain, best, number
from antibody_esm.sequences import is_nucleic

_SHORTEST = 60
"""Residues of the shortest open stretch that could hold most of a variable domain."""
_LONGEST = 450

_SIGNS = (
    r"W[VIFYL][RKQ]Q",  # framework 2 of heavy chains, behind the conserved tryptophan
    r"W[YF][QLR][QH]",  # and of light chains
    r"[ED]D.A.[YH][YFHLS]C",  # the end of framework 3
    r"[WF]G.G",  # the beginning of framework 4
)


def read_dna(path: Path) -> list[str]:
    """Return the sequences of a FASTA file in order, in upper case; titles may be missing or repeat.

    Raises
    ------
    DatasetError
        If a sequence holds a letter that is not a nucleotide code.
    """
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with path.open(encoding="ascii", errors="replace") as lines:
        sequences = ["".join(sequence.split()).upper() for _, sequence in SimpleFastaParser(lines)]
    for row, sequence in enumerate(sequences):
        if not set(sequence) <= set("ACGTRYSWKMBDHVN"):
            raise DatasetError(f"record {row + 1} holds letters that are not nucleotide codes", path, row)
    return sequences


def translate(dna: str) -> str:
    """Return the protein of the first reading frame: ``*`` is a stop, X is an ambiguous codon.

    Examples
    --------
    >>> translate("GAGGTNCAGTGAC")
    'EVQ*'
    """
    from Bio.Seq import Seq

    protein = str(Seq(dna[: len(dna) // 3 * 3]).translate())
    return re.sub("[BZJ]", "X", protein)  # letters for one of two residues, for which no language model has tokens


def open_stretches(dna: str) -> list[str]:
    """Return the proteins between stops in the three forward frames, the likeliest antibody first.

    Examples
    --------
    >>> open_stretches("GAGGTGCAGCTGGTG" * 20)[0][:10]
    'EVQLVEVQLV'
    """
    parts = [part for frame in range(3) for part in translate(dna[frame:]).split("*")]
    parts = [part[:_LONGEST] for part in parts if len(part.strip("X")) >= _SHORTEST]
    parts = [part for part in parts if not is_nucleic(part)]  # of repeats, such as alanines alone
    return sorted(parts, key=lambda part: (-sum(bool(re.search(sign, part)) for sign in _SIGNS), -len(part)))


def variable_domains(records: Sequence[str]) -> list[Domain | None]:
    """Return the variable domain of each DNA sequence with the most bits in any frame; None if there is none.

    If the likeliest stretch holds a complete domain, the others are skipped. On the sequences of Boughter et al. 2020,
    the domains are the same as by numbering every stretch of every frame.
    """
    stretches = [open_stretches(dna) for dna in records]
    best_domains: list[Domain | None] = [None] * len(records)

    def look(wanted: list[tuple[int, str]], engines: Engines) -> None:
        for (row, _), domains in zip(wanted, number([part for _, part in wanted], engines=engines), strict=True):
            new, old = best(domains), best_domains[row]
            if new is not None and (old is None or (new.score or 0.0) > (old.score or 0.0)):
                best_domains[row] = new

    look([(row, parts[0]) for row, parts in enumerate(stretches) if parts], "auto")
    doubtful = [row for row, domain in enumerate(best_domains) if domain is None or not domain.is_complete]
    # Their domains are anarcism's, whose bits are compared.
    look([(row, part) for row in doubtful for part in stretches[row][1:]], "anarcism")
    return best_domains
