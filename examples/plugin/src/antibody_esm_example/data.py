"""A data set: loops whose label is the sign of their net charge."""

import numpy as np

from antibody_esm import Dataset
from antibody_esm.data.dataset import Provenance
from antibody_esm.errors import DatasetError


def charged_loops(labels: str = "sign") -> Dataset:
    """Return 60 made-up loops; ``labels="charge"``: the net charge itself."""
    if labels not in ("sign", "charge"):
        raise DatasetError(f"unknown labels {labels!r} of 'charged_loops'; choose sign or charge")
    generator = np.random.default_rng(0)
    loops = ["".join(generator.choice(list("ADEGKLNRSTVY"), generator.integers(12, 18))) for _ in range(60)]
    charge = np.array([sum(map(loop.count, "KR")) - sum(map(loop.count, "DE")) for loop in loops], float)
    return Dataset(
        [f"loop {number}" for number in range(60)],
        loops,
        label=charge if labels == "charge" else (charge > np.median(charge)).astype(float),
        fragment="H-CDR3",
        provenance=Provenance("made-up loops", f"the {labels} of the net charge"),
    )
