"""Vectors of sequences: from the store if it holds them, else from the language model, once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Batch, Rows
from antibody_esm.data.tables import SequenceColumn, in_file, read_sequences
from antibody_esm.errors import BadResidue, CheckpointError, SequenceError
from antibody_esm.features.sources import AnyExtractor, Ensemble, Source, load
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.forecast import Forecast
from antibody_esm.plm.pairs import beside, chains, rows_of_pairs
from antibody_esm.plm.schedule import Runner
from antibody_esm.sequences import normalise, refuse_longer
from antibody_esm.specs import AnyExtractorSpec, ExtractorSpec, RuntimeSpec
from antibody_esm.store.session import Put, Session
from antibody_esm.store.store import EmbeddingStore, MemoryStore, Store


def embed(
    sequences: Iterable[str | tuple[str, str]],
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
        ``(heavy, light)``, embedded according to `ExtractorSpec.pairs`.
    extractor
        A preset's name (``"esm2_650m"``), a local folder, an `ExtractorSpec` or `EnsembleSpec`, or an `Extractor`.
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
        mixed; it is raised before any computation.
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
    return _vectors(normalise(sequences, pairs=True), source, as_store(store))


def _vectors(normal: list[str], source: Source, store: Store, forecast: Forecast | None = None) -> Rows:
    """Return one vector per sequence in normal form; vectors of language models are stored."""
    if isinstance(source, Ensemble):
        source.check()
        every: dict[int, Rows] = {}
        for members in source.passes:  # one model in memory at a time
            views = [member for member in members.values() if isinstance(member, Extractor)]
            if len(views) > 1:
                deepest = max(views, key=lambda member: member.pinned.layer or 0)
                vectors = _views(normal, [member.pinned for member in views], deepest, store)
            else:
                vectors = [_vectors(normal, member, store) for member in members.values()]
            every |= dict(zip(members, vectors, strict=True))
            for member in members.values():
                member.unload()
        return source.combined([every[number] for number in range(len(every))])
    if isinstance(source, Extractor):
        [rows] = _views(normal, [source.pinned], source, store, forecast)
        return rows
    return source.embed(normal)


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


class Block(NamedTuple):
    """Batch of a stream."""

    ids: list[str]
    sequences: list[str]
    """In normal form."""
    vectors: NDArray[np.float32]
    """``(b, dim)``, or ``(b, 2 * dim)`` for pairs whose chains are embedded apart."""


def embed_stream(
    source: str | Path | Iterable[str | tuple[str, str]],
    extractor: str | Path | AnyExtractorSpec | AnyExtractor,
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
    *,
    column: str | None = None,
    id: str | None = None,  # noqa: A002  the name of the column, as in load_dataset
    layout: str | None = None,
    at_once: int = 2**16,
) -> Iterator[Block]:
    """Yield the vectors of a file or an iterator in batches, in order; it may be larger than memory.

    Parameters
    ----------
    source
        Path of a FASTA, CSV, TSV or Parquet file, packed or not; or any iterable of sequences or pairs of chains, whose
        ids are their numbers, from 0. A file is read twice, so that all its errors are raised before any computation.
    extractor, store, runtime
        As for `embed`.
    column
        Column of the sequences in a table; None is that of the layout, else the first of sequence, heavy, light that
        exists or is recognised.
    id, layout
        Column of the ids, and layout of the table; None is recognised, see `load_dataset`.
    at_once
        Most sequences in a batch.

    Yields
    ------
    Blocks of ids, sequences and vectors.

    Raises
    ------
    DatasetError
        If the file cannot be read.
    SequenceError, CheckpointError, StoreError
        As `embed` does; rows of an error are counted from the beginning of the source, and messages name the line of
        the file and the id. A missing sequence (an empty cell, NA, nan, None, ``-``) is a SequenceError.

    Examples
    --------
    >>> [block.vectors.shape for block in embed_stream(iter(["EVQLV", "QVQ", "DIQ"]), "antiberty", at_once=2)]
    [(2, 512), (1, 512)]
    """
    if not isinstance(extractor, AnyExtractor):
        extractor = load(extractor, runtime)
    kept = None if store is None else as_store(store)
    forecast, named = None, SequenceColumn(column, id, layout)
    if isinstance(source, str | Path):
        _, forecast = survey_file(Path(source), extractor, kept, named)
    return stream_blocks(source, extractor, kept, named, at_once, forecast)


def survey_file(
    path: Path, extractor: AnyExtractor, store: Store | None, column: str | SequenceColumn | None = None
) -> tuple[int, Forecast | None]:
    """Check a file; return its number of sequences, and a forecast of the work, or None without a model."""
    try:
        forecast = extractor.forecast() if isinstance(extractor, Extractor) else None
    except CheckpointError:  # perhaps the store holds all of it
        forecast = None
    if forecast is None or not isinstance(extractor, Extractor):
        return survey(path, column, extractor.longest), None
    pinned = extractor.pinned

    def see(normal: list[str]) -> None:
        unique = list(dict.fromkeys(chains(pinned, normal)))
        absent = unique if store is None else store.absent(pinned, unique)
        forecast.expect(map(len, absent), len(unique) - len(absent))

    return survey(path, column, extractor.longest, see), forecast


def stream_blocks(
    source: str | Path | Iterable[str | tuple[str, str]],
    extractor: AnyExtractor,
    store: Store | None,
    column: str | SequenceColumn | None = None,
    at_once: int = 2**16,
    forecast: Forecast | None = None,
) -> Iterator[Block]:
    """Yield vectors in batches, like `embed_stream`, of a file that was checked before."""
    before = 0
    for ids, sequences in blocks(source, column, at_once):
        with counted(source, before, ids, column):
            vectors = _vectors(sequences, extractor, as_store(store), forecast)
        yield Block(ids, sequences, vectors)
        before += len(ids)


def blocks(
    source: str | Path | Iterable[str | tuple[str, str]],
    column: str | SequenceColumn | None = None,
    at_once: int = 2**16,
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield batches of ids and sequences in normal form of a file or an iterable; see `embed_stream`."""
    named: Iterator[tuple[str, Any]]
    if isinstance(source, str | Path):
        named = read_sequences(Path(source), column)
    else:
        named = ((str(number), sequence) for number, sequence in enumerate(source))
    before = 0
    while batch := list(islice(named, at_once)):
        ids = [name for name, _ in batch]
        with counted(source, before, ids, column):
            normal = normalise((sequence for _, sequence in batch), pairs=True)
        yield ids, normal
        before += len(batch)


@contextmanager
def counted(source: Any, before: int, ids: Sequence[str], column: str | SequenceColumn | None = None) -> Iterator[None]:
    """Raise a SequenceError with rows counted from the beginning of a source, after `before` rows, and their names."""
    try:
        yield
    except SequenceError as error:
        raise _placed(
            _moved(error, before), source, {before + row: name for row, name in enumerate(ids)}, column
        ) from None


def survey(
    path: Path,
    column: str | SequenceColumn | None = None,
    longest: int | None = None,
    see: Callable[[list[str]], object] = lambda normal: None,
) -> int:
    """Check a file, call `see` with its sequences in normal form, and return the number of sequences.

    Raises
    ------
    SequenceError
        If any is not made of amino acids and X, or has more than ``longest`` residues; it lists up to thousands.
    """
    count = 0
    rows: list[BadResidue] = []
    reasons: list[str] = []
    ids: dict[int, str] = {}
    named = read_sequences(path, column)
    while batch := list(islice(named, 2**16)):
        try:
            normal = normalise((sequence for _, sequence in batch), pairs=True)
            if longest is not None:
                refuse_longer(normal, longest)
            see(normal)
        except SequenceError as error:
            rows += _moved(error, count).rows
            reasons += error.reasons
            ids |= {count + row.index: batch[row.index][0] for row in error.rows}
        count += len(batch)
        if len(rows) > _MOST_BAD:
            break
    if rows:
        raise _placed(SequenceError(rows, reasons), path, ids, column)
    return count


def _placed(
    error: SequenceError, source: Any, ids: Mapping[int, str], column: str | SequenceColumn | None
) -> SequenceError:
    return in_file(error, Path(source), ids, column) if isinstance(source, str | Path) else error


def _moved(error: SequenceError, by: int) -> SequenceError:
    return SequenceError([row._replace(index=row.index + by) for row in error.rows], error.reasons)


def embed_views(
    sequences: Iterable[str | tuple[str, str]],
    specs: Sequence[ExtractorSpec],
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
        Specs of one model, such as from `ExtractorSpec.views`: they may differ in layer, pooling, region, special
        tokens and storage.
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
    views = [spec.resolve(() if runtime is None else runtime.checkpoints) for spec in specs]
    pinned = [spec.pinned_to(view) for spec, view in zip(specs, views, strict=True)]
    deepest = max(range(len(views)), key=lambda number: views[number].layer)
    return _views(normalise(sequences, pairs=True), pinned, Extractor(specs[deepest], runtime), as_store(store))


_MOST_BAD = 10_000
"""Bad rows after which a file is not read further, because it is no file of sequences."""


def as_store(store: str | Path | Store | None) -> Store:
    """Return a store as it is, that of a folder, or a new one in memory for None."""
    if store is None:
        return MemoryStore()
    return EmbeddingStore(store) if isinstance(store, str | Path) else store
