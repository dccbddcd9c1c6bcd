"""Antibodies that were measured: none of them is proposed, and proposals have a distance to them."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.predictor import Predictor


class MeasuredTexts:
    """Texts of measured antibodies, as a model reads them.

    Parameters
    ----------
    texts
        Any number, in any order.
    unknown
        Reason why the training antibodies of the model are not among them; empty if they are.
    """

    def __init__(self, texts: Iterable[str], unknown: str = "") -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self.unknown = unknown
        self._members = frozenset(self.texts)

    @classmethod
    def of(cls, predictor: Predictor, further: Iterable[str] = ()) -> "MeasuredTexts":
        """Return the training antibodies of a model, and further texts."""
        texts: list[str] = []
        if predictor.training is not None:
            texts += predictor.training.sequences
        if predictor.applicability is not None:
            texts += predictor.applicability.sequences
        return cls([*texts, *further], "" if texts else predictor.unknown or "the training antibodies are unknown")

    def holds(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return True for each text that was measured, ``(n,)``."""
        return np.array([text in self._members for text in texts], bool)

    def distance(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the fewest edits of one residue between each text and a measured one, ``(n,)``; NaN without any."""
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist

        if not self.texts or not texts:
            return np.full(len(texts), np.nan)
        return np.asarray(cdist(texts, self.texts, scorer=Levenshtein.distance, workers=-1).min(axis=1), np.float64)
