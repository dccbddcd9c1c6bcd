"""Residues of the germline genes at the places where an antibody has mutated.

Numbering returns the nearest genes and the identity of the antibody to them. Their sequences are not needed: a residue
is the gene's if the identity rises when it is put in, or falls when it is taken out.
"""

from collections.abc import Iterable, Sequence

from antibody_esm.numbering import SPECIES, Domain, number
from antibody_esm.sequences import AMINO_ACIDS


def germline_residues(chain: str, places: Iterable[int], species: Sequence[str] = SPECIES) -> dict[int, str] | None:
    """Return the germline residue of the places in a chain that have one; None if no gene is assigned.

    Places between V and J gene have none, nor do places where the antibody is longer than its genes.

    Parameters
    ----------
    chain
        In normal form.
    places
        From 0.
    species
        Species of the germline genes.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> germline_residues(vh + "SRWGGDGFYAMDYWGQGTLVTVSS", [24, 27, 28, 29, 99])  # IGHV3-66 has S, T, V, S
    {24: 'S', 27: 'T', 28: 'V', 29: 'S'}
    """
    (domains,) = number([chain], species=species)
    if not any(domain.v_gene for domain in domains):
        return None
    owner = {place: i for i, domain in enumerate(domains) for place in range(domain.start, domain.end)}
    open_places = [place for place in places if place in owner and chain[place] in AMINO_ACIDS]
    germline: dict[int, str] = {}

    def compare(residue_of: dict[int, str]) -> None:
        """Replace the residue at each place, one at a time, and store the gene's residue if the identity changes."""
        mutants = [chain[:place] + residue + chain[place + 1 :] for place, residue in residue_of.items()]
        for (place, residue), others in zip(residue_of.items(), number(mutants, species=species), strict=True):
            if len(others) == len(domains):
                change = _nearer(domains[owner[place]], others[owner[place]])
                if change:
                    germline[place] = residue if change > 0 else chain[place]

    for residue in AMINO_ACIDS:
        compare({place: residue for place in open_places if place not in germline and chain[place] != residue})
    return {place: germline[place] for place in sorted(germline)}


def _nearer(domain: Domain, mutant: Domain) -> float:
    """Return the gain of a mutant in identity to the genes of a domain; 0 if it is unknown.

    The nearest gene has the highest identity of all. If that falls, the identity to the first gene has fallen too, even
    if another gene is the nearest now. If it rises, the gene must be the same.
    """
    for gene, before, other_gene, after in (
        (domain.v_gene, domain.v_identity, mutant.v_gene, mutant.v_identity),
        (domain.j_gene, domain.j_identity, mutant.j_gene, mutant.j_identity),
    ):
        if before is not None and after is not None and (after < before or (after > before and gene == other_gene)):
            return after - before
    return 0.0
