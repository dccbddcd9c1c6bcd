"""Similarity of antibodies to those that a model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.identity import compared, identities, similar_pairs
from antibody_esm.sequences import ModelText

_NEIGHBOURS = 5
_KEPT = 5_000
"""Largest number of vectors to which distances are computed; larger sets are sampled with a fixed seed."""
_COMPARED = 20_000
"""Largest number of training antibodies that are all aligned; in larger sets, only those at or above `_NEAR`."""
_NEAR = 0.9
FAR = 0.95
"""Share of training antibodies: an antibody is flagged if more of them are nearer to their own neighbours."""


@dataclass(frozen=True, eq=False)
class Applicability:
    """Training antibodies, from which the distance of others is measured.

    Attributes
    ----------
    sequences
        All distinct training sequences; pairs are texts, ``heavy|light``.
    features
        ``(k, dim)``, vectors that the classifier read, float32; a random sample if there are more than 5,000. Columns
        of a table take no part in distances; `ColumnReading` has warnings of them.
    complete
        False if training sequences are missing, as in models of more than 5,000 antibodies that an earlier version
        saved: then the identity to the nearest one is unknown.
    """

    sequences: tuple[str, ...]
    features: NDArray[np.float32]
    complete: bool = True

    @classmethod
    def of(cls, sequences: Sequence[str], features: NDArray[np.float64]) -> "Applicability":
        """Return the applicability of a model trained on these: all sequences, and the vectors of at most 5,000."""
        rows = np.unique(np.asarray(sequences, object).astype(str), return_index=True)[1]
        if len(rows) > _KEPT:
            rows = np.random.default_rng(0).choice(rows, _KEPT, replace=False)
        return cls(tuple(dict.fromkeys(sequences)), features[np.sort(rows)].astype(np.float32))

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
        apart = neighbours.kneighbors(scaler.transform(features.astype(np.float32).astype(np.float64)))[0].mean(axis=1)
        return np.asarray(np.searchsorted(own, apart, side="left") / len(own), np.float64)

    def identity(self, sequences: Sequence[str]) -> NDArray[np.float64]:
        """Return the identity of each sequence to the nearest training one, ``(m,)``, from 0 to 1; NaN if unknown.

        For pairs it is the identity of the heavy chains. Chains that are joined are compared as they are.

        A training antibody always has 1. If there are more than 20,000 training antibodies, identities below 0.9 are
        unknown. If training sequences are missing (`complete`), all identities but those of 1 are unknown.
        """
        queries = [compared(text) for text in sequences]
        nearest = np.array([1.0 if query in self._compared else np.nan for query in queries], np.float64)
        others = np.flatnonzero(np.isnan(nearest))
        if not self.complete or not len(others):
            return nearest
        rest, targets = [queries[row] for row in others.tolist()], list(self._compared)
        if len(targets) <= _COMPARED:
            nearest[others] = np.concatenate([same.max(axis=1) for _, same in identities(rest, targets)])
        else:
            pairs = similar_pairs(rest, targets, _NEAR)
            np.fmax.at(nearest, others[pairs.query], pairs.identity)
        return nearest

    def holds(self, sequences: Sequence[str]) -> list[bool]:
        """Return True for each sequence, or pair with both its chains, that is a training antibody."""
        return [text in self._members for text in sequences]

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self.sequences)

    @cached_property
    def _compared(self) -> dict[str, None]:
        """Distinct training sequences that identity compares, in their order."""
        return dict.fromkeys(compared(text) for text in self.sequences)

    @cached_property
    def _neighbours(self) -> tuple[Any, Any, NDArray[np.float64]]:
        """Return the scaler, the search, and the sorted distances of training antibodies to the others."""
        from sklearn.neighbors import NearestNeighbors
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(self.features.astype(np.float64))
        scaled = scaler.transform(self.features.astype(np.float64))
        nearest = min(_NEIGHBOURS, max(1, len(scaled) - 1))
        neighbours = NearestNeighbors(n_neighbors=nearest, algorithm="brute").fit(scaled)
        # Without the antibody itself, which is its own nearest neighbour.
        own = neighbours.kneighbors(n_neighbors=nearest)[0].mean(axis=1) if len(scaled) > 1 else np.zeros(1)
        return scaler, neighbours, np.sort(own)


def familiarity(
    applicability: Applicability | None,
    sequences: Sequence[str],
    features: NDArray[np.float64],
    unknown: str,
    others: Sequence[str],
) -> dict[str, Any]:
    """Return the columns ``distance``, ``identity`` and ``warning`` of antibodies, see `Predictor.score_table`.

    Parameters
    ----------
    applicability
        The training antibodies; None if a model was saved without them.
    sequences
        Texts of ``m`` antibodies.
    features
        ``(m, dim)``, vectors that the classifier reads, without columns of a table.
    unknown
        Reason why training antibodies are unknown, if they are.
    others
        ``m`` other warnings, which may be empty.
    """
    distance, identity = np.full((2, len(sequences)), np.nan)
    trained = [False] * len(sequences)
    if applicability is not None:
        distance, identity = applicability.distance(features), applicability.identity(sequences)
        trained = applicability.holds(sequences)
    no_identity = "" if applicability is not None and applicability.complete else unknown
    rows = zip(sequences, distance.tolist(), identity.tolist(), trained, others, strict=True)
    return {"distance": distance, "identity": identity, "warning": [_warning(*row, no_identity) for row in rows]}


def _warning(sequence: str, distance: float, identity: float, trained: bool, other: str, no_identity: str) -> str:
    """Return the warnings of one antibody, empty if there are none."""
    warnings = []
    if trained:
        warnings.append("is a training antibody")
    elif identity == 1 and ModelText.of(sequence).is_pair:
        warnings.append("has the heavy chain of a training antibody")
    elif distance > FAR:
        warnings.append(f"farther from the training antibodies than {FAR:.0%} of them from each other")
    if no_identity and identity != 1:
        warnings.append(f"identity unknown: {no_identity}")
    if unknown := sequence.count("X"):
        warnings.append(f"{unknown} unknown residues")
    if other:
        warnings.append(other)
    return "; ".join(warnings)
