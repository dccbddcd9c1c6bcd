"""Stores for tests: specs that need no model, rows that can be told from each other, and damage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from antibody_esm import EmbeddingStore, ExtractorSpec
from antibody_esm.store.store import Store

SPEC = ExtractorSpec(model="any", digest="0" * 64, layer=6)
OTHER = ExtractorSpec(model="any", digest="1" * 64, layer=6)
MAX = SPEC.model_copy(update={"pooling": "max", "model": "a/model-with-quite-a-long-name-of-more-than-one-line"})
SEQUENCES = ["EVQL", "QVQL", "AAAA", "CCCC"]


def rows_of(sequences: list[str], dim: int = 4) -> np.ndarray:
    """A row that can be told from every other: what must come back."""
    return np.array([[*map(float, f"{hash(sequence) % 10**dim:0{dim}d}")] for sequence in sequences], np.float32)


def folder_of(store: EmbeddingStore, spec: ExtractorSpec) -> Path:
    return store.root / spec.resolve().fingerprint


def flip(store: EmbeddingStore, spec: ExtractorSpec, sequence: str) -> None:
    """Damage one row of the only segment."""
    (segment,) = folder_of(store, spec).glob("*.joblib")
    content = segment.read_bytes()
    place = content.index(rows_of([sequence]).tobytes())
    segment.write_bytes(content[:place] + b"\x55" + content[place + 1 :])


def fill(
    store: Store,
    spec: ExtractorSpec,
    sequences: list[str],
    compute: Callable[[list[str]], np.ndarray],
    batch: int = 8,
) -> np.ndarray:
    """All rows, as every writer gets them: what is missing is claimed, computed, put, and waited for."""
    with store.session([spec], sequences) as session:
        while missing := session.missing:
            for claimed in session.claim([missing[i : i + batch] for i in range(0, len(missing), batch)]):
                session.put(claimed, [compute(claimed.sequences)])
            session.wait()
        [rows] = session.rows()
        return rows
