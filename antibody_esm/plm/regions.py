"""Residues of a region in a sequence, by IMGT numbering of its variable domains."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.choices import Engines
from antibody_esm.errors import BadResidue, SequenceError
from antibody_esm.numbering import CDRS, FRAMEWORKS, SPECIES, Domain, ImgtRegion, number
from antibody_esm.sequences import BETWEEN
from antibody_esm.specs import Region

_PARTS: dict[Region, tuple[ImgtRegion, ...]] = {
    "cdr1": ("CDR1",),
    "cdr2": ("CDR2",),
    "cdr3": ("CDR3",),
    "cdrs": CDRS,
    "frameworks": FRAMEWORKS,
}

Residues = Mapping[Region, Mapping[str, NDArray[np.int64]] | None]
"""Places of each region's residues by sequence; None for all residues."""


def residues_of(
    sequences: Sequence[str],
    regions: Iterable[Region],
    species: Sequence[str] | None = None,
    engines: Engines = "anarcism",
) -> Residues:
    """Return the places of the residues of each region in each sequence. Raises as `places`."""
    by_region = {region: places(sequences, region, species, engines) for region in regions}
    return {
        region: None if every is None else dict(zip(sequences, every, strict=True))
        for region, every in by_region.items()
    }


def places(
    sequences: Sequence[str],
    region: Region,
    species: Sequence[str] | None = None,
    engines: Engines = "anarcism",
) -> list[NDArray[np.int64]] | None:
    """Return the places, from 0, of a region's residues in each sequence; None for all residues.

    In a pair, they are places in its text; the separator of the chains is no residue. Residues are numbered by the
    profiles of these species; None is human and mouse.

    Raises
    ------
    SequenceError
        If a sequence has no such residue; every such row is listed.
    """
    if region == "all":
        if not any(BETWEEN in sequence for sequence in sequences):
            return None
        codes = [np.frombuffer(sequence.encode("ascii"), np.uint8) for sequence in sequences]
        return [np.flatnonzero(letters != ord(BETWEEN)) for letters in codes]
    chains = [sequence.split(BETWEEN) for sequence in sequences]
    each = [chain for antibody in chains for chain in antibody]
    of_chain = iter(number(each, species=species or SPECIES, engines=engines))
    every, bad = [], []
    for row, antibody in enumerate(chains):
        before, here = 0, []
        for chain in antibody:
            here.append(before + _of_domains(next(of_chain), region))
            before += len(chain) + 1
        if not all(len(places) for places in here):
            bad.append(row)
        every.append(np.concatenate(here))
    if bad:
        reason = f"no {region} by IMGT numbering"
        raise SequenceError([BadResidue(row, 0, sequences[row][0]) for row in bad], [reason] * len(bad))
    return every


def _of_domains(domains: Sequence[Domain], region: Region) -> NDArray[np.int64]:
    spans = [(domain.start, domain.span(part)) for domain in domains for part in _PARTS[region]]
    return np.array([start + place for start, span in spans for place in range(*span)], np.int64)
