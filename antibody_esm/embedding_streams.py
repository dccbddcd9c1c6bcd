"""Vectors of files and iterators that may be larger than memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.tables import SequenceColumn, in_file, read_sequences
from antibody_esm.embedding import as_store, check_chains, vectors_of
from antibody_esm.errors import BadResidue, CheckpointError, SequenceError
from antibody_esm.features.chains import ChainExtractor
from antibody_esm.features.sources import AnyExtractor, load, of_two_chains, reads_pairs, refuse_swapped
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.forecast import Forecast
from antibody_esm.plm.pairs import chains, rows_of_pairs
from antibody_esm.sequences import ModelText, any_pair, normalise, refuse_longer
from antibody_esm.specs import AnyExtractorSpec, RuntimeSpec
from antibody_esm.store.store import Store

_MOST_BAD = 10_000
"""Bad rows after which a file is not read further, because it is no file of sequences."""


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
        exists or is recognised. If models read pairs (a `ChainSpec`, ``pairs="joined"``) and the table has columns of
        both chains, None reads the pairs.
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
        the file and the id. A missing sequence (an empty cell, NA, nan, None, ``-``) is a SequenceError. So is, for a
        `ChainSpec`, a light chain in a column of heavy chains, or the reverse.

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
    column = column_of(extractor, column)
    try:
        forecast = extractor.forecast() if isinstance(extractor, Extractor) else None
    except CheckpointError:  # perhaps the store holds all of it
        forecast = None
    if chained := of_two_chains(extractor):
        longest = None if isinstance(extractor, ChainExtractor) else extractor.longest
        return survey(path, column, longest, partial(_check_chains, chained, store)), None
    if forecast is None or not isinstance(extractor, Extractor):
        return survey(path, column, extractor.longest), None
    pinned = extractor.pinned

    def see(normal: list[str]) -> None:
        every = chains(pinned, normal)
        if extractor.longest is not None:
            with rows_of_pairs(every, len(normal)):
                refuse_longer(every, extractor.longest)
        unique = list(dict.fromkeys(every))
        absent = unique if store is None else store.absent(pinned, unique)
        forecast.expect(map(len, absent), len(unique) - len(absent))

    return survey(path, column, None, see), forecast


def column_of(extractor: AnyExtractor, column: str | SequenceColumn | None) -> SequenceColumn:
    """Return the column of a table as an extractor reads it: pairs, and chains of the right kind, if it needs these."""
    named = column if isinstance(column, SequenceColumn) else SequenceColumn(column)
    kinds = next((source.recognised for source in of_two_chains(extractor)), None)
    return named._replace(pairs=reads_pairs(extractor), kinds=kinds)


def _check_chains(sources: Sequence[ChainExtractor], store: Store | None, normal: list[str]) -> None:
    for source in sources:
        source.refuse_swapped(normal)
        check_chains([source], normal, store)


def stream_blocks(
    source: str | Path | Iterable[str | tuple[str, str]],
    extractor: AnyExtractor,
    store: Store | None,
    column: str | SequenceColumn | None = None,
    at_once: int = 2**16,
    forecast: Forecast | None = None,
) -> Iterator[Block]:
    """Yield vectors in batches, like `embed_stream`, of a file that was checked before."""
    column = column_of(extractor, column)
    before, paired, width = 0, False, 0
    for ids, sequences in blocks(source, column, at_once):
        paired = any_pair(sequences) if not before else paired
        with counted(source, before, ids, column):
            if any_pair(sequences) != paired:
                _refuse_mixed(sequences)
            refuse_swapped(extractor, sequences)
            vectors = vectors_of(sequences, extractor, as_store(store), forecast)
        if vectors.shape[1] != (width or vectors.shape[1]):
            raise CheckpointError("a stream of single chains requires language models with vectors of one length")
        width = vectors.shape[1]
        yield Block(ids, sequences, vectors)
        before += len(ids)


def _refuse_mixed(sequences: list[str]) -> None:
    """Raise a SequenceError for the first antibody of another kind than those of batches before."""
    kind = "a pair among single chains" if any_pair(sequences) else "a single chain among pairs"
    raise SequenceError([BadResidue(0, 0, sequences[0][0])], [kind])


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
        If any is not made of amino acids and X, or has a chain of more than ``longest`` residues; it lists up to
        thousands.
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
                refuse_longer([max(ModelText.of(text).chains, key=len) for text in normal], longest)
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
