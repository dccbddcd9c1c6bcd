"""An extractor: shares of pairs of residues with a gap between them."""

import numpy as np
from numpy.typing import NDArray

_RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


class SpacedPairs:
    """Shares of ordered pairs of residues that stand ``gap`` positions apart.

    Parameters
    ----------
    gap
        Distance of the two residues, from 1.
    """

    def __init__(self, gap: int = 1) -> None:
        if gap < 1:
            raise ValueError(f"gap is 1 or more, not {gap}")
        self.gap = gap

    def embed(self, sequences: list[str]) -> NDArray[np.float32]:
        """Return one vector a sequence, ``(n, 400)``; sequences are upper case, of the 20 amino acids and X."""
        place = {residue: number for number, residue in enumerate(_RESIDUES)}
        rows = np.zeros((len(sequences), 400), np.float32)
        for row, sequence in zip(rows, sequences, strict=True):
            for first, second in zip(sequence, sequence[self.gap :], strict=False):
                if first in place and second in place:
                    row[20 * place[first] + place[second]] += 1
            row /= max(len(sequence) - self.gap, 1)
        return rows
