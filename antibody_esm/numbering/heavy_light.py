"""The heavy and the light domain of an antibody as models read it: one chain, two joined chains, or a pair."""

from collections.abc import Sequence

from antibody_esm.numbering.domain import Domain, best
from antibody_esm.numbering.profiles import SPECIES
from antibody_esm.numbering.recognition import number
from antibody_esm.sequences import any_pair, chains_of, normalise

Domains = tuple[Domain | None, Domain | None]
"""Heavy and light domain; None if it is missing or not recognised."""


def heavy_and_light(
    sequences: Sequence[str], *, species: Sequence[str] = SPECIES, workers: int | None = None
) -> list[Domains]:
    """Return the heavy and the light domain of each antibody, each with the highest score of its kind.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; or texts of pairs, with the heavy domain from the heavy chain and the light domain
        from the light chain.
    species, workers
        As for `antibody_esm.numbering.number`.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> [(heavy, light)] = heavy_and_light([vh + "SRWGGDGFYAMDYWGQGTLVTVSS"])
    >>> heavy.cdr3, light
    ('SRWGGDGFYAMDY', None)
    """
    normal = normalise(sequences, pairs=True)
    if any_pair(normal):
        heavy, light = (number(chains, species=species, workers=workers) for chains in chains_of(normal))
        return [(best(a, "heavy"), best(b, "light")) for a, b in zip(heavy, light, strict=True)]
    numbered = number(normal, species=species, workers=workers)
    return [(best(domains, "heavy"), best(domains, "light")) for domains in numbered]
