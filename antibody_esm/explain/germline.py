"""Which amino acid the germline genes of an antibody have at a place.

The numbering names the nearest V and J genes and the identity to them, not their sequences. A mutation to a gene's own
residue raises that identity, any other one lowers it or leaves it: so each is tried.
"""

from collections.abc import Sequence

from antibody_esm.explain.chain import Place
from antibody_esm.numbering import Domain, number
from antibody_esm.sequences import AMINO_ACIDS, BETWEEN


def germline(sequence: str, places: Sequence[Place]) -> tuple[str, ...]:
    """Return the germline's residue at each place; empty where there is none, as in the middle of CDR3.

    Numbering takes some 10 ms for each of 19 mutants of a place, the first time.

    Examples
    --------
    >>> from antibody_esm.explain.chain import places
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> sequence = vh + "SRWGGDGFYAMDYWGQGTLVTVSS"
    >>> germline(sequence, [place for place in places(sequence) if place.position in ("1", "29", "110")])
    ('E', 'T', '')
    """
    starts, start = [], 0
    chains = sequence.split(BETWEEN)
    for chain in chains:
        starts.append(start)
        start += len(chain) + 1
    jobs = []
    for i, place in enumerate(places):
        if not place.position:
            continue
        which = max(k for k, first in enumerate(starts) if first <= place.index)
        at = place.index - starts[which]
        for mutant in AMINO_ACIDS:
            if mutant != place.residue:
                jobs.append((i, which, mutant, chains[which][:at] + mutant + chains[which][at + 1 :]))
    itself = number(chains)
    found, lowered = [""] * len(places), set()
    for (i, which, mutant, _), domains in zip(jobs, number([text for *_, text in jobs]), strict=True):
        change = _change(_at(itself[which], places[i], starts[which]), domains)
        if change > 0:
            found[i] = mutant
        elif change < 0:
            lowered.add(i)
    return tuple(places[i].residue if not one and i in lowered else one for i, one in enumerate(found))


def _at(domains: Sequence[Domain], place: Place, start: int) -> Domain:
    return next(one for one in domains if one.start <= place.index - start < one.end)


def _change(one: Domain, others: Sequence[Domain]) -> float:
    """Return by how much the identity to the genes of a domain has changed; 0 where they are others now."""
    changed = 0.0
    for other in others:
        if other.start != one.start:
            continue
        if other.v_gene == one.v_gene and None not in (one.v_identity, other.v_identity):
            changed += other.v_identity - one.v_identity  # type: ignore[operator]
        if other.j_gene == one.j_gene and None not in (one.j_identity, other.j_identity):
            changed += other.j_identity - one.j_identity  # type: ignore[operator]
    return changed if abs(changed) > 1e-9 else 0.0
