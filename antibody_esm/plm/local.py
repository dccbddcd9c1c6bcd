"""Language model in this process: copies on its devices, which run batches in the calling threads."""

from dataclasses import dataclass

import numpy as np

from antibody_esm.batch import Batch, Rows
from antibody_esm.plm.devices import Copies
from antibody_esm.plm.model import Model
from antibody_esm.plm.regions import Residues


@dataclass(frozen=True)
class LocalModel:
    """The models of this process, one for each device, with the residues of the sequences to run."""

    models: Copies[Model]
    residues: Residues
    max_length: int

    def run(self, batch: Batch) -> list[Rows]:
        """Return one array ``(b, dim)`` for each spec of the batch, computed in this thread on a free device."""
        cut = [sequence[: self.max_length] for sequence in batch.sequences]
        distinct = list(dict.fromkeys(cut))
        with self.models.borrowed() as model:
            parts = self.models.fits.in_parts(distinct, lambda part: model.run(part, batch.specs, self.residues))
        rows = parts[0] if len(parts) == 1 else [np.concatenate(views) for views in zip(*parts, strict=True)]
        if len(distinct) == len(cut):
            return rows
        place = {sequence: i for i, sequence in enumerate(distinct)}
        return [view[[place[sequence] for sequence in cut]] for view in rows]
