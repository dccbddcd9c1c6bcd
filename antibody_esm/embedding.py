"""Sequences become vectors: from the store where they are known, else from the language model, once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.tables import in_file, read_sequences
from antibody_esm.ensemble import AnyExtractor, Described, Ensemble, load
from antibody_esm.errors import BadResidue, CheckpointError, SequenceError
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.forecast import Forecast
from antibody_esm.plm.pairs import chains, side_by_side
from antibody_esm.sequences import normalise, refuse_longer
from antibody_esm.specs import AnyExtractorSpec, ExtractorSpec, RuntimeSpec
from antibody_esm.store.sharing import Choose, Keep
from antibody_esm.store.store import EmbeddingStore, MemoryStore, Store

Rows = NDArray[np.float32]


def embed(
    sequences: Iterable[str | tuple[str, str]],
    extractor: str | Path | AnyExtractorSpec | AnyExtractor,
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
        If any sequence is not made of amino acids and X, or is DNA, or too long, or only some are pairs; nothing has
        run by then.
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
    if not isinstance(extractor, AnyExtractor):
        extractor = load(extractor, runtime)
    store = as_store(store)
    normal = normalise(sequences, pairs=True)
    return _any(normal, extractor, store)


def _any(normal: list[str], extractor: AnyExtractor, store: Store, forecast: Forecast | None = None) -> Rows:
    if isinstance(extractor, Ensemble):
        return extractor.combine(lambda member: _any(normal, member, store))
    if isinstance(extractor, Described):
        return extractor.embed(normal)
    return side_by_side(extractor.spec, normal, lambda chains: _embed(chains, extractor, store, forecast))


def _embed(
    normal: list[str], extractor: Extractor, store: Store, forecast: Forecast | None = None
) -> NDArray[np.float32]:
    spec = extractor.spec
    if not normal:
        return np.empty((0, extractor.dim), np.float32)
    if spec.max_length is not None and not spec.truncation:
        refuse_longer(normal, spec.max_length)
    unique = len(set(normal))

    def compute(missing: list[str], choose: Choose, keep: Keep) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        nonlocal forecast
        extractor.check(normal)
        if forecast is None:
            forecast = extractor.forecast()
            forecast.expect(map(len, missing), unique - len(missing))
        return extractor.stream(missing, choose, keep, forecast)

    # Pinned once: files that change from here on cannot lend their address to this model's rows.
    return store.fill(extractor.pinned, normal, compute)


class Block(NamedTuple):
    """Some sequences of a stream."""

    ids: list[str]
    sequences: list[str]
    """In normal form."""
    vectors: NDArray[np.float32]
    """``(b, dim)``, or ``(b, 2 * dim)`` of pairs whose chains are embedded apart."""


def embed_stream(
    source: str | Path | Iterable[str | tuple[str, str]],
    extractor: str | Path | AnyExtractorSpec | AnyExtractor,
    store: str | Path | Store | None = None,
    runtime: RuntimeSpec | None = None,
    *,
    column: str | None = None,
    at_once: int = 2**16,
) -> Iterator[Block]:
    """Give the vectors of a file or an iterator that is larger than memory, some at a time, in order.

    Parameters
    ----------
    source
        Path of a FASTA, CSV, TSV or Parquet file, packed or not; or any iterable of sequences or pairs of chains, whose
        ids are then their numbers, from 0. A file is read twice: all that is wrong in it is said before anything runs.
    extractor, store, runtime
        As for `embed`.
    column
        Column of the sequences in a table; None is the first that there is of sequence, heavy, light.
    at_once
        Sequences that are held in memory together.

    Yields
    ------
    Blocks of ids, sequences and vectors.

    Raises
    ------
    DatasetError
        If the file cannot be read.
    SequenceError, CheckpointError, StoreError
        As `embed` does; rows of an error are counted from the beginning of the source, and messages name the line of
        the file and the id. A missing sequence (an empty cell, NA, nan, None, ``-`` and the like) is one of these.

    Examples
    --------
    >>> [block.vectors.shape for block in embed_stream(iter(["EVQLV", "QVQ", "DIQ"]), "antiberty", at_once=2)]
    [(2, 512), (1, 512)]
    """
    if not isinstance(extractor, AnyExtractor):
        extractor = load(extractor, runtime)
    kept = None if store is None else as_store(store)
    forecast = None
    if isinstance(source, str | Path):
        _, forecast = survey_file(Path(source), extractor, kept, column)
    return stream_blocks(source, extractor, kept, column, at_once, forecast)


def survey_file(
    path: Path, extractor: AnyExtractor, store: Store | None, column: str | None = None
) -> tuple[int, Forecast | None]:
    """Read a file through; return its number of sequences, and a forecast of the work, None where no model is there."""
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
    column: str | None = None,
    at_once: int = 2**16,
    forecast: Forecast | None = None,
) -> Iterator[Block]:
    """Give vectors some at a time, as `embed_stream` does, of a file that was surveyed before."""
    before = 0
    for ids, sequences in blocks(source, column, at_once):
        with counted(source, before, ids, column):
            vectors = _any(sequences, extractor, as_store(store), forecast)
        yield Block(ids, sequences, vectors)
        before += len(ids)


def blocks(
    source: str | Path | Iterable[str | tuple[str, str]], column: str | None = None, at_once: int = 2**16
) -> Iterator[tuple[list[str], list[str]]]:
    """Give ids and sequences in normal form of a file or an iterable, some at a time; see `embed_stream`."""
    named: Iterator[tuple[str, Any]]
    if isinstance(source, str | Path):
        named = read_sequences(Path(source), column)
    else:
        named = ((str(number), one) for number, one in enumerate(source))
    before = 0
    while some := list(islice(named, at_once)):
        ids = [name for name, _ in some]
        with counted(source, before, ids, column):
            normal = normalise((sequence for _, sequence in some), pairs=True)
        yield ids, normal
        before += len(some)


@contextmanager
def counted(source: Any, before: int, ids: Sequence[str], column: str | None = None) -> Iterator[None]:
    """Count the rows of a SequenceError from the beginning of a source, of which some rows come before; name them."""
    try:
        yield
    except SequenceError as error:
        raise _placed(
            _moved(error, before), source, {before + row: name for row, name in enumerate(ids)}, column
        ) from None


def survey(
    path: Path,
    column: str | None = None,
    longest: int | None = None,
    see: Callable[[list[str]], object] = lambda normal: None,
) -> int:
    """Read a file through, showing its sequences in normal form, and return how many there are.

    Raises
    ------
    SequenceError
        If any is not made of amino acids and X, or has more than ``longest`` residues; the first thousands are listed.
    """
    count = 0
    rows: list[BadResidue] = []
    reasons: list[str] = []
    ids: dict[int, str] = {}
    named = read_sequences(path, column)
    while some := list(islice(named, 2**16)):
        try:
            normal = normalise((sequence for _, sequence in some), pairs=True)
            if longest is not None:
                refuse_longer(normal, longest)
            see(normal)
        except SequenceError as error:
            rows += _moved(error, count).rows
            reasons += error.reasons
            ids |= {count + row.index: some[row.index][0] for row in error.rows}
        count += len(some)
        if len(rows) > _MOST_BAD:
            break
    if rows:
        raise _placed(SequenceError(rows, reasons), path, ids, column)
    return count


def _placed(error: SequenceError, source: Any, ids: Mapping[int, str], column: str | None) -> SequenceError:
    return in_file(error, Path(source), ids, column) if isinstance(source, str | Path) else error


def _moved(error: SequenceError, by: int) -> SequenceError:
    return SequenceError([row._replace(index=row.index + by) for row in error.rows], error.reasons)


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
_MOST_BAD = 10_000
"""Bad rows of a file that are listed; more are in a file that is not one of sequences."""
_STORED_AT_ONCE = 2**27
"""Bytes of vectors that are stored together."""


def as_store(store: str | Path | Store | None) -> Store:
    """Return the store, the one in a folder, or one in memory for None."""
    if store is None:
        return MemoryStore()
    return EmbeddingStore(store) if isinstance(store, str | Path) else store
