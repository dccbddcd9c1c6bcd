"""Sequences become vectors: from the store where they are known, else from the language model, once."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.extractor import Extractor
from antibody_esm.sequences import normalise, refuse_longer
from antibody_esm.specs import ExtractorSpec, RuntimeSpec
from antibody_esm.store.sharing import Choose, Keep
from antibody_esm.store.store import EmbeddingStore, MemoryStore, Store


def embed(
    sequences: Iterable[str],
    extractor: str | Path | ExtractorSpec | Extractor,
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
) -> NDArray[np.float32]:
    """Return one vector per sequence, in input order.

    Only sequences that the store does not hold go through the language model, each of them once. They are stored batch
    by batch, so a run that is stopped keeps what it had finished. If the store holds them all, no model is loaded.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; upper or lower case, X is an unknown residue.
    extractor
        A preset's name (``"esm2_650m"``), a local folder, an `ExtractorSpec`, or an `Extractor`.
    store
        An `EmbeddingStore` or its folder; None computes without keeping anything.
    runtime
        Device, workers and progress; an `Extractor` has its own.

    Returns
    -------
    ``(n, dim)``, float32; ``(0, dim)`` for no sequences.

    Raises
    ------
    SequenceError
        If any sequence is not made of amino acids and X, or is too long; nothing has run by then.
    CheckpointError
        If the model is needed and cannot be found, read or trusted.
    StoreError
        If files of the store contradict what they should hold.

    Examples
    --------
    >>> embed(["EVQLVESGGGLVQPGG", "QVQLQQSGAELARPGA"], "antiberty").shape
    (2, 512)
    """
    if not isinstance(extractor, Extractor):
        extractor = Extractor(extractor, runtime)
    store = as_store(store)
    spec = extractor.spec
    normal = normalise(sequences)
    if not normal:
        return np.empty((0, extractor.dim), np.float32)
    if spec.max_length is not None and not spec.truncation:
        refuse_longer(normal, spec.max_length)

    def compute(missing: list[str], choose: Choose, keep: Keep) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        extractor.check(normal)
        return extractor.stream(missing, choose, keep)

    # Pinned once: files that change from here on cannot lend their address to this model's rows.
    return store.fill(extractor.pinned, normal, compute)


def as_store(store: str | Path | Store | None) -> Store:
    """Return the store, the one in a folder, or one in memory for None."""
    if store is None:
        return MemoryStore()
    return EmbeddingStore(store) if isinstance(store, str | Path) else store
