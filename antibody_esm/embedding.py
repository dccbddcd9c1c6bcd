"""Sequences become vectors: from the store where they are known, else from the language model, once."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.ensemble import AnyExtractor, Ensemble, load
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.pairs import chains, side_by_side
from antibody_esm.sequences import normalise, refuse_longer
from antibody_esm.specs import EnsembleSpec, ExtractorSpec, RuntimeSpec
from antibody_esm.store.sharing import Choose, Keep
from antibody_esm.store.store import EmbeddingStore, MemoryStore, Store


def embed(
    sequences: Iterable[str | tuple[str, str]],
    extractor: str | Path | ExtractorSpec | EnsembleSpec | AnyExtractor,
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
) -> NDArray[np.float32]:
    """Return one vector per sequence or pair of chains, in input order.

    Only sequences that the store does not hold go through the language model, each of them once. They are stored batch
    by batch, so a run that is stopped keeps what it had finished. If the store holds them all, no model is loaded.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; upper or lower case, X is an unknown residue. Or ``n`` antibodies as
        ``(heavy, light)``, embedded as `ExtractorSpec.pairs` says.
    extractor
        A preset's name (``"esm2_650m"``), a local folder, an `ExtractorSpec` or `EnsembleSpec`, or an `Extractor`.
    store
        An `EmbeddingStore` or its folder; None computes without keeping anything.
    runtime
        Device, workers and progress; an `Extractor` has its own.

    Returns
    -------
    ``(n, dim)``, float32; ``(n, 2 * dim)`` for pairs of chains apart; ``(0, dim)`` for no sequences.

    Raises
    ------
    SequenceError
        If any sequence is not made of amino acids and X, or is too long, or only some are pairs; nothing has run by
        then.
    CheckpointError
        If the model is needed and cannot be found, read or trusted.
    StoreError
        If files of the store contradict what they should hold.

    Examples
    --------
    >>> embed(["EVQLVESGGGLVQPGG", "QVQLQQSGAELARPGA"], "antiberty").shape
    (2, 512)
    >>> embed([("EVQLVESGGGLVQPGG", "DIQMTQSPSSLSASVG")], "antiberty").shape
    (1, 1024)
    """
    if not isinstance(extractor, Extractor | Ensemble):
        extractor = load(extractor, runtime)
    store = as_store(store)
    normal = normalise(sequences, pairs=True)
    if isinstance(extractor, Ensemble):
        return extractor.combine(lambda member: embed(normal, member, store))
    return side_by_side(extractor.spec, normal, lambda chains: _embed(chains, extractor, store))


def _embed(normal: list[str], extractor: Extractor, store: Store) -> NDArray[np.float32]:
    spec = extractor.spec
    if not normal:
        return np.empty((0, extractor.dim), np.float32)
    if spec.max_length is not None and not spec.truncation:
        refuse_longer(normal, spec.max_length)

    def compute(missing: list[str], choose: Choose, keep: Keep) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        extractor.check(normal)
        return extractor.stream(missing, choose, keep)

    # Pinned once: files that change from here on cannot lend their address to this model's rows.
    return store.fill(extractor.pinned, normal, compute)


def embed_views(
    sequences: Iterable[str | tuple[str, str]],
    specs: Sequence[ExtractorSpec],
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
) -> list[NDArray[np.float32]]:
    """Return several vectors a sequence, of several layers, poolings and regions, from one pass of the model.

    Each goes into the store under its own spec, with the same bits as `embed` of that spec gives. Sequences for which
    any is missing go through the model, once. What is finished is stored some hundred megabytes at a time, so a run
    that is killed loses more than one of `embed` does; and it does not look at what others compute at the same time.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences, or pairs of chains; as for `embed`.
    specs
        Of one model, as `ExtractorSpec.views` gives them: they may differ in layer, pooling, region, special tokens and
        storage.
    store, runtime
        As for `embed`.

    Returns
    -------
    One array ``(n, dim)`` a spec, float32; ``(n, 2 * dim)`` for pairs of chains apart.

    Raises
    ------
    ValueError
        If the specs differ in anything else, or there is none.
    SequenceError, CheckpointError, StoreError
        As `embed` does.

    Examples
    --------
    >>> specs = ExtractorSpec(model="antiberty").views([7, 8], ["mean", "std"])
    >>> [rows.shape for rows in embed_views(["EVQLVESGGGLVQPGG"], specs)]
    [(1, 512), (1, 512), (1, 512), (1, 512)]
    """
    if len({spec.model_copy(update=_OF_A_VIEW) for spec in specs}) != 1:
        raise ValueError("views are of one model: specs may differ in layer, pooling, region, special_tokens, storage")
    views = [spec.resolve() for spec in specs]
    deepest = max(range(len(views)), key=lambda number: views[number].layer)
    extractor = Extractor(specs[deepest], runtime)
    normal, store = normalise(sequences, pairs=True), as_store(store)
    if not normal:
        return [np.empty((0, extractor.dim), np.float32) for _ in specs]
    every = chains(extractor.spec, normal)
    if len(every) > len(normal):
        n, rows = len(normal), embed_views(every, specs, store, runtime)
        return [np.hstack([of_both[:n], of_both[n:]]) for of_both in rows]
    unique = list(dict.fromkeys(normal))
    pinned = [spec.pinned_to(view) for spec, view in zip(specs, views, strict=True)]
    known = [store.get(spec, unique) for spec in pinned]
    missing = [one for one in unique if any(one not in rows for rows in known)]
    for spec in {spec.region: spec for spec in specs}.values():
        Extractor(spec, runtime).check(missing)

    waiting: list[tuple[list[str], list[NDArray[np.float32]]]] = []

    def store_waiting() -> None:
        if waiting:
            names = [one for some, _ in waiting for one in some]
            for number, spec in enumerate(pinned):
                rows = np.concatenate([block[number] for _, block in waiting])
                new = [i for i, one in enumerate(names) if one not in known[number]]
                store.put(spec, [names[i] for i in new], rows[new])
                known[number].update((names[i], rows[i]) for i in new)
            waiting.clear()

    try:
        size = 0
        for indices, rows in extractor.stream_views(missing, views):
            waiting.append(([missing[i] for i in indices], rows))
            size += sum(block.nbytes for block in rows)
            if size > _STORED_AT_ONCE:
                store_waiting()
                size = 0
    finally:
        store_waiting()
    return [np.stack([rows[one] for one in normal]) for rows in known]


_OF_A_VIEW = {"layer": None, "pooling": "mean", "region": "all", "special_tokens": "exclude", "storage": "float32"}
_STORED_AT_ONCE = 2**27
"""Bytes of vectors that are stored together."""


def as_store(store: str | Path | Store | None) -> Store:
    """Return the store, the one in a folder, or one in memory for None."""
    if store is None:
        return MemoryStore()
    return EmbeddingStore(store) if isinstance(store, str | Path) else store
