"""Vectors of sequences: from the store if it holds them, else from the language model, once."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Batch, Rows
from antibody_esm.data.dataset import Dataset
from antibody_esm.features.chains import ChainExtractor, Divided
from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.features.sources import AnyExtractor, Ensemble, Single, load, refuse_swapped
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.forecast import Forecast
from antibody_esm.plm.pairs import beside, chains, rows_of_pairs
from antibody_esm.plm.schedule import Runner
from antibody_esm.sequences import any_pair, chains_of, normalise, refuse_longer
from antibody_esm.specs import AnyExtractorSpec, ChainSpec, ExtractorSpec, RuntimeSpec
from antibody_esm.store.session import Put, Session
from antibody_esm.store.store import EmbeddingStore, MemoryStore, Store

_PART = 256
"""Chains of a plugin's extractor that are computed and stored together."""


def embed(
    sequences: Iterable[str | tuple[str, str]] | Dataset,
    extractor: str | Path | AnyExtractorSpec | AnyExtractor,
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
) -> NDArray[np.float32]:
    """Return one vector per sequence or pair of chains, in input order.

    Only sequences that the store does not hold go through the language model, each of them once. They are stored batch
    by batch, so an interrupted run keeps its finished batches. If the store holds all of them, no model is loaded.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; upper or lower case, X is an unknown residue. Or ``n`` antibodies as
        ``(heavy, light)``, embedded according to `ExtractorSpec.pairs`. Or a `Dataset`, whose sequences are read.
    extractor
        A preset's name (``"esm2_650m"``), a model's name on the hub, a local folder, an `ExtractorSpec`, `ChainSpec` or
        `EnsembleSpec`, or an `Extractor`.
    store
        An `EmbeddingStore` or its folder; None keeps no vectors.
    runtime
        Device, workers and progress; an `Extractor` has its own.

    Returns
    -------
    ``(n, dim)``, float32; ``(n, 2 * dim)`` for pairs of chains apart; ``(0, dim)`` for no sequences.

    Raises
    ------
    SequenceError
        If any sequence is not made of amino acids and X, or is DNA, or too long, or if pairs and single chains are
        mixed; of a `ChainSpec` also if the chain of a sequence is not recognised. It is raised before any computation.
    CheckpointError
        If the model is needed and cannot be found, read or trusted.
    StoreError
        If files of the store are inconsistent.

    Examples
    --------
    >>> embed(["EVQLVESGGGLVQPGG", "QVQLQQSGAELARPGA"], "antiberty").shape
    (2, 512)
    >>> embed([("EVQLVESGGGLVQPGG", "DIQMTQSPSSLSASVG")], "antiberty").shape
    (1, 1024)
    """
    source = extractor if isinstance(extractor, AnyExtractor) else load(extractor, runtime)
    normal = normalise(sequences.sequences if isinstance(sequences, Dataset) else sequences, pairs=True)
    refuse_swapped(source, normal)
    return vectors_of(normal, source, as_store(store))


def vectors_of(normal: list[str], source: AnyExtractor, store: Store, forecast: Forecast | None = None) -> Rows:
    """Return one vector per sequence in normal form, like `embed`; the chains of a pair are taken as they are named."""
    if isinstance(source, Ensemble):
        source.check()
        every: dict[int, Rows] = {}
        for members in source.passes:  # one model in memory at a time
            every |= dict(zip(members, _of_one_pass(normal, list(members.values()), store), strict=True))
            for member in members.values():
                member.unload()
        return source.combined([every[number] for number in range(len(every))])
    [rows] = _of_one_pass(normal, [source], store, forecast)
    return rows


def _of_one_pass(
    normal: list[str], sources: Sequence[Single], store: Store, forecast: Forecast | None = None
) -> list[Rows]:
    """Return one array ``(n, dim)`` per source; several sources are views of one pass of their model or models."""
    chained = [source for source in sources if isinstance(source, ChainExtractor)]
    models = [source for source in sources if isinstance(source, Extractor)]
    if chained:
        return _of_chains(normal, chained, store)
    if models:
        return _views(normal, [model.pinned for model in models], _deepest(models), store, forecast)
    return [
        _of_plugin(normal, source, store) if isinstance(source, FromPlugin) else source.embed(normal)
        for source in sources
    ]


def _of_plugin(normal: list[str], source: FromPlugin, store: Store) -> Rows:
    """Return the vectors of a plugin's extractor: from the store, or computed in parts of 256 chains and stored."""
    if not normal:
        return source.embed(normal)
    sides = chains_of(normal) if any_pair(normal) else (normal,)
    every = list(dict.fromkeys(chain for side in sides for chain in side))
    absent = store.absent(source.address, every)
    for start in range(0, len(absent), _PART):
        part = absent[start : start + _PART]
        store.put(source.address, part, source.of_chains(part))
    rows = store.get(source.address, every)
    return np.hstack([np.stack([rows[chain] for chain in side]) for side in sides])


def _of_chains(normal: list[str], sources: Sequence[ChainExtractor], store: Store) -> list[Rows]:
    """Return one array ``(n, dim)`` per source, each a view of the same two language models."""
    divided = check_chains(sources, normal, store)
    models = zip(*(source.readers for source in sources), strict=True)
    if not normal:
        return [np.empty((0, source.dim), np.float32) for source in sources]
    every = [
        _views(chains, [view.pinned for view in views], _deepest(views), store)
        for chains, views in zip(divided.chains, models, strict=True)
        if chains
    ]
    return [divided.gathered(rows) for rows in zip(*every, strict=True)]


def check_chains(sources: Sequence[ChainExtractor], normal: list[str], store: Store | None) -> Divided:
    """Return the chains of antibodies, or raise a SequenceError that lists all that their models cannot read.

    As in `embed`, a model whose vectors are all stored does not check them again. No model runs.
    """
    first = sources[0]
    divided = first.divided(normal)

    def refuse(reader: Extractor, chains: list[str]) -> None:
        views = [source.heavy if reader is first.heavy else source.light for source in sources]
        if reader.spec.max_length is not None and not reader.spec.truncation:
            refuse_longer(chains, reader.spec.max_length)
        if store is None or any(store.absent(view.pinned, chains) for view in views):
            reader.check(chains, [view.spec.region for view in views])

    first.check(divided, refuse)
    return divided


def _deepest(models: Sequence[Extractor]) -> Extractor:
    """Return the view with the highest layer, whose pass computes all."""
    return max(models, key=lambda model: model.pinned.layer or 0) if len(models) > 1 else models[0]


def _views(
    normal: list[str],
    specs: Sequence[ExtractorSpec],
    extractor: Extractor,
    store: Store,
    forecast: Forecast | None = None,
) -> list[Rows]:
    """Return one array ``(n, dim)`` per spec, or ``(n, 2 * dim)`` for pairs whose chains are embedded apart.

    Parameters
    ----------
    specs
        Views of the extractor's model, pinned once, so that files that change later do not get this model's rows.
    """
    if not normal:
        return [np.empty((0, extractor.dim), np.float32) for _ in specs]
    every = chains(extractor.spec, normal)
    with rows_of_pairs(every, len(normal)):
        if extractor.spec.max_length is not None and not extractor.spec.truncation:
            refuse_longer(every, extractor.spec.max_length)
        with store.session(specs, every) as session:
            if missing := session.missing:
                extractor.check(every, [spec.region for spec in specs])
                if forecast is None:
                    forecast = extractor.forecast()
                    forecast.expect(map(len, missing), len(set(every)) - len(missing))
                _fill(session, extractor, forecast)
            return [beside(rows, len(normal)) for rows in session.rows()]


def _fill(session: Session, extractor: Extractor, forecast: Forecast) -> None:
    """Compute and store the rows that a session lacks: the only loop between store and language model.

    Other writers of the same rows, also in other processes, run this loop too; each batch belongs to the writer that
    claimed it.
    """
    while missing := session.missing:
        claimed = session.claim(extractor.batches(missing))
        step = _Step(extractor.runner(missing, session.specs), session.writer)
        with closing(extractor.each(step, claimed, len(missing), forecast)) as results:
            for done in results:
                session.add(done.batch, done.rows)
        session.wait()


@dataclass(frozen=True)
class _Step:
    """Work on one batch: compute and store its rows, in a thread or another process."""

    model: Runner
    store: Put

    def __call__(self, batch: Batch) -> list[Rows]:
        """Compute rows, store them, and return them; only then does the worker take another batch."""
        rows = self.model.run(batch)
        self.store.put(batch, rows)
        return rows


def embed_views(
    sequences: Iterable[str | tuple[str, str]],
    specs: Sequence[ExtractorSpec] | Sequence[ChainSpec],
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
) -> list[NDArray[np.float32]]:
    """Return vectors of several layers, poolings and regions per sequence, from one pass of the model.

    Vectors are stored under their own specs, bit for bit as by `embed` with that spec. Sequences with a missing vector
    go through the model, once. Several processes that run this on one store share the work. Up to four specs are
    stored batch by batch, as by `embed`; rows of more specs are collected from several batches, for about ten times as
    long as storing them takes.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences, or pairs of chains; as for `embed`.
    specs
        Specs of one model, or of one for each chain, such as from `ExtractorSpec.views`: they may differ in layer,
        pooling, region, special tokens and storage.
    store, runtime
        As for `embed`.

    Returns
    -------
    One array ``(n, dim)`` per spec, float32; ``(n, 2 * dim)`` for pairs of chains apart.

    Raises
    ------
    ValueError
        If the specs differ in another field, or if there is none.
    SequenceError, CheckpointError, StoreError
        As `embed` does.

    Examples
    --------
    >>> specs = ExtractorSpec(model="antiberty").views([7, 8], ["mean", "std"])
    >>> [rows.shape for rows in embed_views(["EVQLVESGGGLVQPGG"], specs)]
    [(1, 512), (1, 512), (1, 512), (1, 512)]
    """
    if len({spec.of_one_pass for spec in specs}) != 1:
        raise ValueError("specs of views may differ only in layer, pooling, region, special_tokens and storage")
    normal, views = normalise(sequences, pairs=True), [load(spec, runtime) for spec in specs]
    for view in views[:1]:
        refuse_swapped(view, normal)
    return _of_one_pass(normal, [view for view in views if not isinstance(view, Ensemble)], as_store(store))


def as_store(store: str | Path | Store | None) -> Store:
    """Return a store as it is, that of a folder, or a new one in memory for None."""
    if store is None:
        return MemoryStore()
    return EmbeddingStore(store) if isinstance(store, str | Path) else store
