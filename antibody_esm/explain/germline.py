"""Which residues the germline genes of an antibody have where it has mutated.

anarcism names the nearest genes and how identical the antibody is to them, and does not give their sequences. It need
not: a residue is the gene's if the identity rises when it is put in, or falls when it is taken out.
"""

from collections.abc import Iterable, Sequence

from antibody_esm.numbering import SPECIES, Domain, number
from antibody_esm.sequences import AMINO_ACIDS


def germline_residues(chain: str, places: Iterable[int], species: Sequence[str] = SPECIES) -> dict[int, str] | None:
    """Return the germline residue of the places in a chain that have one; None if no gene is known.

    Places between V and J gene have none, and so have those where the antibody is longer than its genes.

    Parameters
    ----------
    chain
        In normal form.
    places
        From 0.
    species
        Species whose germline genes are compared with.

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
    found: dict[int, str] = {}

    def compare(residue_of: dict[int, str]) -> None:
        """Put in a residue at each of some places, one at a time, and see whether it or the one there is the gene's."""
        mutants = [chain[:place] + residue + chain[place + 1 :] for place, residue in residue_of.items()]
        for (place, residue), others in zip(residue_of.items(), number(mutants, species=species), strict=True):
            if len(others) == len(domains):
                change = _nearer(domains[owner[place]], others[owner[place]])
                if change:
                    found[place] = residue if change > 0 else chain[place]

    for residue in AMINO_ACIDS:
        compare({place: residue for place in open_places if place not in found and chain[place] != residue})
    return {place: found[place] for place in sorted(found)}


def _nearer(one: Domain, other: Domain) -> float:
    """Return by how much another domain is nearer to the genes of this one; 0 where that is not known.

    Of the nearest gene, identity is the highest there is. Where it falls, this gene's has fallen too, even if another
    gene is the nearest now; where it rises, the gene must be the same.
    """
    for gene, before, other_gene, after in (
        (one.v_gene, one.v_identity, other.v_gene, other.v_identity),
        (one.j_gene, one.j_identity, other.j_gene, other.j_identity),
    ):
        if before is not None and after is not None and (after < before or (after > before and gene == other_gene)):
            return after - before
    return 0.0
