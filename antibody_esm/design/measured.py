"""Antibodies that were measured: none of them is proposed, and proposals have a distance to them."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.predictor import Predictor
from antibody_esm.trained_on import sequence_digest


class MeasuredTexts:
    """Texts of measured antibodies, as a model reads them.

    Parameters
    ----------
    texts
        Any number, in any order.
    unknown
        Reason why antibodies that the model has learned from are not among them; empty if all are.
    digests
        `sequence_digest` of further ones, whose texts are not known.
    """

    def __init__(self, texts: Iterable[str], unknown: str = "", digests: frozenset[str] = frozenset()) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self.unknown = unknown
        self._members = frozenset(self.texts)
        self._digests = digests

    @classmethod
    def of(cls, predictor: Predictor, further: Iterable[str] = ()) -> "MeasuredTexts":
        """Return the antibodies that a model was trained or recalibrated on, and further texts."""
        texts: list[str] = []
        if predictor.training is not None:
            texts += predictor.training.sequences
        if predictor.applicability is not None:
            texts += predictor.applicability.sequences
        unknown = "" if texts else predictor.unknown or "the training antibodies are unknown"
        again = predictor.recalibration
        if again is not None and again.sequences is None:
            unknown = unknown or "the antibodies of the recalibration are unknown"
        digests = frozenset() if again is None or again.sequences is None else again.sequences
        return cls([*texts, *further], unknown, digests)

    def holds(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return True for each text that was measured, ``(n,)``."""
        return np.array([text in self._members or self._is_digest(text) for text in texts], bool)

    def _is_digest(self, text: str) -> bool:
        return bool(self._digests) and sequence_digest(text) in self._digests

    def distance(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the fewest edits of one residue between each text and a measured one, ``(n,)``; NaN without any."""
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist

        if not self.texts or not texts:
            return np.full(len(texts), np.nan)
        return np.asarray(cdist(texts, self.texts, scorer=Levenshtein.distance, workers=-1).min(axis=1), np.float64)
