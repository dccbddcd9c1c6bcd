"""Vectors addressed by (resolved extractor spec, sequence), on disk or in memory."""

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.sequences import normalise
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import segments
from antibody_esm.store.segments import Segment

_FORMAT = 1
"""Layout of a store's folder. Raise it when an older reader would misread a newer folder."""

AnySpec = ExtractorSpec | ResolvedExtractorSpec


class Store(Protocol):
    """Where rows are looked up and put: an `EmbeddingStore`, or a `MemoryStore`."""

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows of the sequences that are present."""
        ...

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: NDArray[np.float32]) -> None:
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
        self._segments: dict[Path, Segment] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows ``(dim,)`` of the sequences that are present.

        Raises
        ------
        StoreError
            If the folder of this spec holds rows of another one, or a file that is not a segment.
        """
        resolved = spec.resolve()
        folder = self._folder(resolved)
        wanted = {_key(sequence): sequence for sequence in normalise(sequences)}
        found: dict[str, NDArray[np.float32]] = {}
        damaged = 0
        for segment in self._open(folder, resolved):
            here = wanted.keys() & segment.places.keys()
            if here:
                rows = segment.read(here, bytes.fromhex(resolved.fingerprint))
                damaged += len(here) - len(rows)
                found.update({wanted.pop(key): row for key, row in rows.items()})
        if damaged:
            warnings.warn(f"{folder}: {damaged} damaged rows were not used", RuntimeWarning, stacklevel=2)
        return found

    def gather(self, spec: AnySpec, sequences: Sequence[str]) -> NDArray[np.float32]:
        """Return the rows ``(n, dim)`` of all sequences, in input order.

        Raises
        ------
        StoreError
            If any is absent; the message says how many, and names the first.
        """
        normal = normalise(sequences)
        found = self.get(spec, normal)
        missing = list(dict.fromkeys(sequence for sequence in normal if sequence not in found))
        if missing:
            raise StoreError(f"{len(missing)} sequences have no row here, the first is {missing[0]}", self.root)
        return np.stack([found[sequence] for sequence in normal]) if normal else np.empty((0, 0), np.float32)

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Add rows ``(n, dim)`` as one segment, which appears complete or not at all.

        Raises
        ------
        StoreError
            If the folder of this spec holds rows of another one.
        ValueError
            If there is not one finite row for each sequence.
        """
        normal = normalise(sequences)
        rows = np.asarray(rows, np.float32)
        if rows.ndim != 2 or len(rows) != len(normal):
            raise ValueError(f"expected one row for each of {len(normal)} sequences, got an array {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("rows must be finite")
        if not normal:
            return
        resolved = spec.resolve()
        folder = self._folder(resolved)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        if not _matches(folder, resolved):
            _write_description(folder, spec, resolved)
        segments.write(folder, [_key(sequence) for sequence in normal], rows, bytes.fromhex(resolved.fingerprint))

    def count(self, spec: AnySpec) -> int:
        """Return the number of sequences that have a row under this spec."""
        resolved = spec.resolve()
        keys: set[bytes] = set()
        for segment in self._open(self._folder(resolved), resolved):
            keys |= segment.places.keys()
        return len(keys)

    def _folder(self, resolved: ResolvedExtractorSpec) -> Path:
        return self.root / resolved.fingerprint

    def _open(self, folder: Path, resolved: ResolvedExtractorSpec) -> list[Segment]:
        """Return the segments of a folder, newest first; a segment is opened once, since it never changes."""
        if not _matches(folder, resolved):
            return []
        opened = []
        for path in sorted(folder.glob(f"*{segments.SUFFIX}"), reverse=True):
            if path not in self._segments:
                self._segments[path] = Segment(path)
            opened.append(self._segments[path])
        return opened


def _key(sequence: str) -> bytes:
    return hashlib.sha256(sequence.encode("ascii")).digest()


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
