"""Whether an antibody is like those that a model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.identity import compared, identities

_NEIGHBOURS = 5
_KEPT = 5_000
"""Of more training antibodies a random sample is compared with; the same one always."""
FAR = 0.95
"""An antibody farther from the training ones than this share of them are from each other is flagged."""


@dataclass(frozen=True, eq=False)
class Applicability:
    """Training antibodies, and how far others are from them.

    Attributes
    ----------
    sequences
        ``n`` training sequences; of pairs their texts, ``heavy|light``.
    features
        ``(n, dim)``, what the classifier read of them, float32.
    """

    sequences: tuple[str, ...]
    features: NDArray[np.float32]

    @classmethod
    def of(cls, sequences: Sequence[str], features: NDArray[np.float64]) -> "Applicability":
        """Return the applicability of a model trained on these: on all, or on a random sample of 5,000."""
        rows = np.unique(np.asarray(sequences, object).astype(str), return_index=True)[1]
        if len(rows) > _KEPT:
            rows = np.random.default_rng(0).choice(rows, _KEPT, replace=False)
        rows = np.sort(rows)
        return cls(tuple(sequences[i] for i in rows), features[rows].astype(np.float32))

    def distance(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far antibodies are from the training ones, ``(m,)``, from 0 to 1.

        It is the share of training antibodies that are nearer to their own neighbours: the mean distance to the five
        nearest other training antibodies, in features of mean 0 and variance 1. Above `FAR`, a model extrapolates.

        Parameters
        ----------
        features
            ``(m, dim)``, as the classifier reads them.
        """
        if not len(features):
            return np.empty(0)
        scaler, neighbours, own = self._neighbours
        found = neighbours.kneighbors(scaler.transform(features.astype(np.float32).astype(np.float64)))[0].mean(axis=1)
        return np.asarray(np.searchsorted(own, found, side="left") / len(own), np.float64)

    def identity(self, sequences: Sequence[str]) -> NDArray[np.float64]:
        """Return the identity of each sequence to the nearest training one, ``(m,)``, from 0 to 1.

        Of pairs it is the identity of the heavy chains. Chains that are joined are compared as they are.
        """
        if not len(sequences):
            return np.empty(0)
        queries, targets = ([compared(text) for text in texts] for texts in (sequences, self.sequences))
        return np.concatenate([same.max(axis=1) for _, same in identities(queries, targets)])

    def holds(self, sequences: Sequence[str]) -> list[bool]:
        """Return whether each sequence, or pair with both its chains, is a training one."""
        training = set(self.sequences)
        return [text in training for text in sequences]

    @cached_property
    def _neighbours(self) -> tuple[Any, Any, NDArray[np.float64]]:
        """Return the scaler, the search, and the sorted distances of training antibodies to the others."""
        from sklearn.neighbors import NearestNeighbors
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(self.features.astype(np.float64))
        known = scaler.transform(self.features.astype(np.float64))
        nearest = min(_NEIGHBOURS, max(1, len(known) - 1))
        neighbours = NearestNeighbors(n_neighbors=nearest, algorithm="brute").fit(known)
        # Without the antibody itself, which is its own nearest neighbour.
        own = neighbours.kneighbors(n_neighbors=nearest)[0].mean(axis=1) if len(known) > 1 else np.zeros(1)
        return scaler, neighbours, np.sort(own)
