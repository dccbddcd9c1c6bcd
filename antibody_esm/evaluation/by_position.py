"""Features of numbered antibodies without a language model: residues by IMGT position, and distance to germline.

Both are pure functions of one antibody. The features of the light domain follow those of the heavy domain.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.numbering import CDRS, FRAMEWORKS, SPECIES, Domain
from antibody_esm.numbering.germline import germline_of
from antibody_esm.numbering.heavy_light import heavy_and_light
from antibody_esm.numbering.regions import REGIONS

GERMLINE_FEATURES = ("V identity", "J identity", "V mutations", "framework mutations", "CDR mutations")
"""Numbers of one domain; see `germline_distance`."""
_LAST = 128
"""Last IMGT position."""


def residues_by_position(sequences: Sequence[str], *, species: Sequence[str] = SPECIES) -> list[dict[str, float]]:
    """Return the residue at each IMGT position of each antibody, as names of features that are 1.

    Each of the 128 positions has a residue or a gap, ``"H27=G"`` or ``"H32=-"``; an inserted position has a residue or
    no feature, ``"H111A=Y"``. An X has none. A domain that is missing or not recognised has no features.

    Parameters
    ----------
    sequences, species
        As for `antibody_esm.numbering.heavy_light.heavy_and_light`.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> [features] = residues_by_position([vh + "SRWGGDGFYAMDYWGQGTLVTVSS"])
    >>> [name for name in features if name.startswith(("H9=", "H10=", "H11="))]
    ['H9=G', 'H10=-', 'H11=G']
    """
    return [
        _residues("H", heavy) | _residues("L", light) for heavy, light in heavy_and_light(sequences, species=species)
    ]


def _residues(chain: str, domain: Domain | None) -> dict[str, float]:
    if domain is None:
        return {}
    residue_at = dict.fromkeys(map(str, range(1, _LAST + 1)), "-") | dict(
        zip(domain.positions, domain.residues, strict=True)
    )
    return {f"{chain}{position}={residue}": 1.0 for position, residue in residue_at.items() if residue != "X"}


def germline_distance(sequences: Sequence[str], *, species: Sequence[str] = SPECIES) -> NDArray[np.float64]:
    """Return the distance of each antibody to its nearest germline genes, ``(n, 10)``.

    Each domain has the five numbers of `GERMLINE_FEATURES`: identity to the nearest V and J gene, from 0 to 1; residues
    before CDR3 that differ from the V gene; those in frameworks 1 to 3; and those in CDR1 and CDR2. An inserted residue
    differs. NaN stands for a domain that is missing or not recognised, and for an unknown gene.

    Parameters
    ----------
    sequences, species
        As for `antibody_esm.numbering.heavy_light.heavy_and_light`.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> germline_distance([vh + "SRWGGDGFYAMDYWGQGTLVTVSS"])[0, :5].round(2).tolist()
    [0.82, 0.93, 17.0, 8.0, 9.0]
    """
    rows = [[*_distance(heavy), *_distance(light)] for heavy, light in heavy_and_light(sequences, species=species)]
    return np.array(rows, np.float64).reshape(-1, 2 * len(GERMLINE_FEATURES))


def _distance(domain: Domain | None) -> list[float]:
    if domain is None or domain.v_gene is None:
        return [np.nan] * len(GERMLINE_FEATURES)
    germline = germline_of(domain)
    differs = [gene is not None and gene != residue for gene, residue in zip(germline, domain.residues, strict=True)]
    counts = {region: sum(differs[slice(*domain.span(region))]) for region in REGIONS if region not in ("CDR3", "FR4")}
    frameworks, loops = (sum(counts.get(region, 0) for region in regions) for regions in (FRAMEWORKS, CDRS))
    identities = [np.nan if value is None else value for value in (domain.v_identity, domain.j_identity)]
    return [*identities, frameworks + loops, frameworks, loops]
