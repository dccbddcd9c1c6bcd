"""Which residues of a sequence a region holds, by IMGT numbering of its variable domains."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import BadResidue, SequenceError
from antibody_esm.numbering import CDRS, FRAMEWORKS, number
from antibody_esm.numbering import Region as ImgtRegion
from antibody_esm.specs import Region

_PARTS: dict[Region, tuple[ImgtRegion, ...]] = {
    "cdr1": ("CDR1",),
    "cdr2": ("CDR2",),
    "cdr3": ("CDR3",),
    "cdrs": CDRS,
    "frameworks": FRAMEWORKS,
}


def places(sequences: Sequence[str], region: Region) -> list[NDArray[np.int64]] | None:
    """Return the places, from 0, of a region's residues in each sequence; None for all residues.

    Raises
    ------
    SequenceError
        If a sequence has none; every such row is listed.
    """
    if region == "all":
        return None
    found = [
        np.array(
            [
                domain.start + place
                for domain in domains
                for part in _PARTS[region]
                for place in range(*domain.span(part))
            ],
            np.int64,
        )
        for domains in number(sequences)
    ]
    bad = [row for row, one in enumerate(found) if not len(one)]
    if bad:
        reason = f"no {region} by IMGT numbering"
        raise SequenceError([BadResidue(row, 0, sequences[row][0]) for row in bad], [reason] * len(bad))
    return found
