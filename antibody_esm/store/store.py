"""Vectors addressed by (resolved extractor spec, sequence), on disk or in memory."""

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.sequences import normalise
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import segments
from antibody_esm.store.index import Index
from antibody_esm.store.segments import Keys, Segment

_FORMAT = 1
"""Layout of a store's folder. Raise it when an older reader would misread a newer folder."""

_MERGED_AT_ONCE = 16
_LARGEST_MERGE = 256 * 2**20
"""Bytes of a merged segment at most, and so of the memory that merging takes."""

_PATIENCE = 100

AnySpec = ExtractorSpec | ResolvedExtractorSpec


class Store(Protocol):
    """Where rows are looked up and put: an `EmbeddingStore`, or a `MemoryStore`."""

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows of the sequences that are present."""
        ...

    def writing(self, spec: AnySpec) -> AbstractContextManager["Put"]:
        """Return a context that gives a function to add rows with, and tidies up at its end."""
        ...


class Put(Protocol):
    """Adds rows ``(n, dim)`` of as many sequences."""

    def __call__(self, sequences: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Add rows."""
        ...


class MemoryStore:
    """Rows that live as long as this object."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, NDArray[np.float32]]] = {}

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows of the sequences that are present."""
        rows = self._rows.get(spec.resolve().fingerprint, {})
        return {sequence: rows[sequence] for sequence in normalise(sequences) if sequence in rows}

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Add rows ``(n, dim)``."""
        mine = self._rows.setdefault(spec.resolve().fingerprint, {})
        mine.update(zip(normalise(sequences), rows, strict=True))

    @contextmanager
    def writing(self, spec: AnySpec) -> Iterator[Put]:
        """Give a function that adds rows."""
        yield partial(self.put, spec.resolve())


class EmbeddingStore:
    """A folder of vectors, addressed by (extractor spec, sequence), that many processes may share.

    A sequence's row is found under any data set, fold, order or classifier; another model, layer, pooling or a changed
    byte in the model's files is another address. Rows are only ever added. A damaged row is noticed, said, and treated
    as absent, so that it is computed again.

    Parameters
    ----------
    root
        The store's folder; made with the first row, private to the user. Nothing on disk is touched before.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> store = EmbeddingStore(mkdtemp())
    >>> spec = ExtractorSpec(model="any", digest="0" * 64, layer=6)
    >>> store.put(spec, ["EVQLV"], np.ones((1, 4), np.float32))
    >>> store.gather(spec, ["EVQLV"]).shape
    (1, 4)
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()
        self._indices: dict[Path, Index] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows ``(dim,)`` of the sequences that are present.

        Raises
        ------
        StoreError
            If the folder of this spec holds rows of another one, or a file that is not a segment.
        """
        normal = normalise(sequences)
        present, rows = self._look_up(spec.resolve(), normal)
        return {normal[i]: row for i, row in zip(np.flatnonzero(present).tolist(), rows, strict=True)}

    def gather(self, spec: AnySpec, sequences: Sequence[str]) -> NDArray[np.float32]:
        """Return the rows ``(n, dim)`` of all sequences, in input order.

        Raises
        ------
        StoreError
            If any is absent; the message says how many, and names the first.
        """
        normal = normalise(sequences)
        present, rows = self._look_up(spec.resolve(), normal)
        if not present.all():
            missing = list(dict.fromkeys(normal[i] for i in np.flatnonzero(~present)))
            raise StoreError(f"{len(missing)} sequences have no row here, the first is {missing[0]}", self.root)
        return rows

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Add rows ``(n, dim)`` as one segment, which appears complete or not at all.

        Raises
        ------
        StoreError
            If the folder of this spec holds rows of another one.
        ValueError
            If there is not one finite row for each sequence.
        """
        with self.writing(spec) as put:
            put(sequences, rows)

    @contextmanager
    def writing(self, spec: AnySpec) -> Iterator[Put]:
        """Give a function that adds rows as `put` does, many times over.

        Each call is on the disk when it returns. Its small segments are merged into larger ones by and by, and at the
        end: a merged segment is on the disk before those that it replaces go, so that a reader, or a writer that is
        killed, never misses a row.
        """
        resolved = spec.resolve()
        folder = self.root / resolved.fingerprint
        mine: list[list[Segment]] = [[]]  # segments of this writer, by how often they were merged

        def put(sequences: Sequence[str], rows: NDArray[np.float32]) -> None:
            normal = normalise(sequences)
            rows = np.asarray(rows, np.float32)
            if rows.ndim != 2 or len(rows) != len(normal):
                raise ValueError(f"expected one row for each of {len(normal)} sequences, got an array {rows.shape}")
            if not np.isfinite(rows).all():
                raise ValueError("rows must be finite")
            if normal:
                self._prepare(folder, spec, resolved)
                add(Segment(segments.write(folder, _keys(normal), rows, _salt(resolved))), 0)

        def add(segment: Segment, level: int) -> None:
            if level == len(mine):
                mine.append([])
            mine[level].append(segment)
            if len(mine[level]) == _MERGED_AT_ONCE and sum(one.size for one in mine[level]) < _LARGEST_MERGE:
                merged = self._merge(folder, mine[level], resolved)
                mine[level] = []
                add(merged, level + 1)

        try:
            yield put
        finally:
            small = [one for level in mine for one in level if one.size < _LARGEST_MERGE // _MERGED_AT_ONCE]
            if len(small) > 1:
                self._merge(folder, small, resolved)

    def count(self, spec: AnySpec) -> int:
        """Return the number of sequences that have a row under this spec."""
        resolved = spec.resolve()
        return self._index(self.root / resolved.fingerprint, resolved).count()

    def _prepare(self, folder: Path, spec: AnySpec, resolved: ResolvedExtractorSpec) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        if not _matches(folder, resolved):
            _write_description(folder, spec, resolved)

    def _merge(self, folder: Path, small: list[Segment], resolved: ResolvedExtractorSpec) -> Segment:
        """Replace segments by one that holds their rows, without those that are damaged."""
        keys, rows = [], []
        for segment in small:
            found, sound = segment.read(np.arange(len(segment.keys)), _salt(resolved))
            keys.append(segment.keys[sound])
            rows.append(found[sound])
        merged = Segment(segments.write(folder, np.concatenate(keys), np.concatenate(rows), _salt(resolved)))
        for segment in small:
            segment.path.unlink(missing_ok=True)
        return merged

    def _look_up(
        self, resolved: ResolvedExtractorSpec, sequences: list[str]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which sequences are present ``(n,)``, and the rows of those that are, in input order."""
        folder = self.root / resolved.fingerprint
        keys = _keys(sequences)
        for _ in range(_PATIENCE):
            try:
                return self._read(self._index(folder, resolved), keys, resolved)
            except FileNotFoundError:  # a writer has merged segments meanwhile; their rows are in another one now
                self._indices.pop(folder, None)
        raise StoreError(f"segments went away {_PATIENCE} times while they were read", folder)

    def _read(
        self, index: Index, keys: Keys, resolved: ResolvedExtractorSpec
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        rows = np.empty((len(keys), index.segments[0].dim if index.segments else 0), np.float32)
        present = np.zeros(len(keys), bool)
        entries = index.find(keys)
        damaged = np.zeros(len(keys), bool)
        while (entries >= 0).any():
            for number in np.unique(index.segment[entries[entries >= 0]]):
                here = np.flatnonzero((entries >= 0) & (index.segment[entries] == number))
                together = here[-1] - here[0] == len(here) - 1
                into = rows[here[0] : here[-1] + 1] if together else None
                found, sound = index.segments[number].read(index.place[entries[here]], _salt(resolved), into)
                if not together:
                    rows[here] = found
                present[here[sound]] = True
                damaged[here[~sound]] = True
            left = np.flatnonzero((entries >= 0) & ~present)  # damaged here; perhaps an older segment has them too
            entries[present] = -1
            entries[left] = index.next(entries[left], keys[left])
        if damaged.any():
            warnings.warn(
                f"{self.root / resolved.fingerprint}: {damaged.sum()} damaged rows were not used",
                RuntimeWarning,
                stacklevel=4,
            )
        return present, rows if present.all() else rows[present]

    def _index(self, folder: Path, resolved: ResolvedExtractorSpec) -> Index:
        """Return the index of a folder as it is now; a segment is opened once, since it never changes."""
        if not _matches(folder, resolved):
            return Index([])
        paths = sorted(folder.glob(f"*{segments.SUFFIX}"), reverse=True)  # newest first
        known = self._indices.get(folder) or Index([])
        if [segment.path for segment in known.segments] != paths:
            opened = {segment.path: segment for segment in known.segments}
            for path in paths:
                if path not in opened:
                    with suppress(_GoneError):
                        opened[path] = _open(path)
            known = self._indices[folder] = Index([opened[path] for path in paths if path in opened])
        return known


class _GoneError(Exception):
    """A segment was merged into another one between being listed and being opened."""


def _open(path: Path) -> Segment:
    try:
        return Segment(path)
    except StoreError as error:
        if not path.exists():
            raise _GoneError from error
        raise


def _keys(sequences: list[str]) -> Keys:
    digests = b"".join([hashlib.sha256(sequence.encode("ascii")).digest() for sequence in sequences])
    return np.frombuffer(digests, np.uint8).reshape(len(sequences), segments.KEY_BYTES)


def _salt(resolved: ResolvedExtractorSpec) -> int:
    return int(resolved.fingerprint[:16], 16)


def _description(folder: Path) -> Path:
    return folder / "spec.json"


def _matches(folder: Path, resolved: ResolvedExtractorSpec) -> bool:
    """Return whether the folder is this spec's, False where it does not exist; another spec's is a StoreError."""
    path = _description(folder)
    try:
        found: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise StoreError(f"not the description of an extractor: {error}", path) from error
    expected = json.loads(resolved.canonical_json)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise StoreError(f"written in another format than {_FORMAT}", path)
    if found.get("spec") != expected:
        raise StoreError("the rows in this folder are of another extractor than its name says", path)
    return True


def _write_description(folder: Path, spec: AnySpec, resolved: ResolvedExtractorSpec) -> None:
    named = json.loads(spec.canonical_json)
    text = json.dumps(
        {"format": _FORMAT, "spec": json.loads(resolved.canonical_json), "written_as": named}, indent=2, sort_keys=True
    )
    path = _description(folder)
    unfinished = path.with_name(f"spec-{secrets.token_hex(8)}.tmp")
    with unfinished.open("x") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
