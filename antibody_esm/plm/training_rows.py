"""Rows on which an adapter is trained, in an order that does not depend on the caller's, and the held-out ones."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.held_out import HeldOut, hold_out
from antibody_esm.sequences import BETWEEN
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.specs.finetuning import FineTuneSpec

_FORMAT = 2
"""Version of the training. Raise it if the same rows and spec give another adapter."""


@dataclass(frozen=True)
class TrainingRows:
    """Rows of a training in their own order: sorted by text, label and unit."""

    texts: tuple[str, ...]
    """``n`` inputs of the model in normal form."""
    label: NDArray[np.float64]
    """``(n,)``, 0 and 1, or numbers."""
    units: NDArray[np.int64]
    """``(n,)``, rows of one number are divided between training and validation only if whole units do not allow it."""

    @classmethod
    def of(cls, texts: Sequence[str], label: NDArray[np.generic], units: NDArray[np.generic] | None) -> "TrainingRows":
        """Return rows in their own order, in which units are numbered by their first row.

        Rows that differ in their unit alone are ordered by the rows of these units.
        """
        values = np.asarray(label, np.float64) + 0.0  # -0.0 equals 0.0
        members: dict[object, list[tuple[str, float]]] = {}
        of_row = range(len(texts)) if units is None else np.asarray(units).tolist()
        pairs = list(zip(texts, values.tolist(), strict=True))
        for unit, pair in zip(of_row, pairs, strict=True):
            members.setdefault(unit, []).append(pair)
        content = {unit: sorted(rows) for unit, rows in members.items()}
        # units with the same rows are interchangeable, but each stays in one piece
        rank = {unit: place for place, unit in enumerate(sorted(members, key=lambda unit: content[unit]))}
        keyed = [(pair, rank[unit], row) for row, (pair, unit) in enumerate(zip(pairs, of_row, strict=True))]
        order = [row for *_, row in sorted(keyed)]
        numbers: dict[object, int] = {}
        numbered = [numbers.setdefault(of_row[row], len(numbers)) for row in order]
        return cls(tuple(texts[row] for row in order), values[order], np.array(numbered, np.int64))

    def __len__(self) -> int:
        return len(self.texts)

    def key(self, spec: FineTuneSpec, resolved: ResolvedExtractorSpec, continuous: bool) -> str:
        """Return the digest of all that determines the adapter: rows, spec, and how the model reads and pools.

        The number format of the vectors is no part of it: a training computes in float32.
        """
        reads = resolved.model_copy(update={"precision": "float32", "storage": "float32", "pooling": "mean"})
        parts = {
            "format": _FORMAT,
            "spec": spec.fingerprint,
            "reads": reads.fingerprint,
            "continuous": continuous,
            "texts": self.texts,
            "label": [value.hex() for value in self.label.tolist()],
            "units": self.units.tolist(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()

    def divided(self, share: float, seed: int, *, continuous: bool) -> HeldOut:
        """Return the rows to train on, and the rows held out, see `hold_out`."""
        return hold_out(self.label, self.units, share, seed, continuous=continuous)

    def chains(self, joined: bool) -> list[tuple[str, ...]]:
        """Return the texts of each row that the model reads: one, or two of a pair whose chains are read apart."""
        return [(text,) if joined else tuple(text.split(BETWEEN)) for text in self.texts]
