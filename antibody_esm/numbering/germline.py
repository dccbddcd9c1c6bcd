"""Germline residues of a variable domain, at the same IMGT positions."""

from collections.abc import Sequence

from antibody_esm.numbering.domain import Domain
from antibody_esm.numbering.genes import GAP, gene
from antibody_esm.numbering.regions import REGIONS


def germline_of(domain: Domain) -> tuple[str | None, ...]:
    """Return the germline residue at each residue of a domain.

    Outside of CDR3 it is the residue of the nearest V or J gene at the same position, `GAP` if the gene has none there.
    Within CDR3 the V gene is followed from position 105 on, and the J gene from 117 back, up to the first residue that
    differs; all others are None, because the D gene and inserted residues are not known. None is also the residue of a
    gene that is not known, and that of an X.

    Examples
    --------
    >>> from antibody_esm.numbering import number
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> (trastuzumab,), = number([vh + "SRWGGDGFYAMDYWGQGTLVTVSS"])
    >>> begin, end = trastuzumab.span("CDR1")
    >>> trastuzumab.cdr1, "".join(germline_of(trastuzumab)[begin:end])  # IGHV3-66*01
    ('GFNIKDTY', 'GFTVSSNY')
    """
    v_gene, j_gene = gene(domain.species, domain.v_gene), gene(domain.species, domain.j_gene)
    first, last = REGIONS["CDR3"]
    residues: list[str | None] = []
    for position, bare, residue in zip(domain.positions, domain.numbers, domain.residues, strict=True):
        aligned = None if first <= bare <= last else v_gene if bare < first else j_gene
        at_gene = None if aligned is None else aligned[bare - 1] if position.isdecimal() else GAP
        residues.append(None if residue == "X" else at_gene)
    begin, end = domain.span("CDR3")
    inside = range(begin, end)
    _follow(residues, domain.residues, inside, (v_gene or "")[first - 1 :].replace(GAP, ""))
    _follow(residues, domain.residues, inside[::-1], (j_gene or "")[:last].replace(GAP, "")[::-1])
    return tuple(residues)


def _follow(residues: list[str | None], antibody: str, places: Sequence[int], gene_end: str) -> None:
    """Set the germline residues of CDR3 along one gene, up to the first that the antibody has not."""
    for place, residue in zip(places, gene_end, strict=False):
        if antibody[place] != residue:
            return
        residues[place] = residue
