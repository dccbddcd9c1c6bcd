"""Segments: joblib files of rows with their keys and checksums, written completely or not at all, and never changed."""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2s
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64, xxh3_64_intdigest

from antibody_esm.batch import Rows
from antibody_esm.errors import StoreError
from antibody_esm.specs import Storage
from antibody_esm.storage_formats import DTYPES, Codes, Scales, decode, encode
from antibody_esm.store.arrays import CutOffError, locate_arrays, opened
from antibody_esm.store.permissions import share

SUFFIX = ".joblib"
KEY_BYTES = 32

Keys = NDArray[np.uint8]
"""``(n, KEY_BYTES)``"""
"""``(n, dim)``"""

_NAME = re.compile(r"(\d{20})-(\d+)-[0-9a-f]{16}\.joblib")

_LAST = 2**63
"""Latest time in a name, in nanoseconds: the year 2262."""

_AT_ONCE = 2 * 2**20
"""Most bytes that are read, checked and decoded together, so that they stay in a processor's cache."""
_WORTH_SKIPPING = 64 * 2**10
"""Most bytes between two wanted rows that are read instead of skipped."""


class DamagedError(StoreError):
    """A segment was cut off or changed after it was written. Its rows count as absent."""


class Segment:
    """A finished segment for reading, with its keys in memory and no open file.

    Raises
    ------
    DamagedError
        If the file was cut off or changed since `write` wrote it, or holds rows in another number format.
    StoreError
        If `write` did not write the file.
    OSError
        If the file was removed, or cannot be read.
    """

    def __init__(self, path: Path, storage: Storage) -> None:
        self.path = path
        self._storage = storage
        try:
            arrays = locate_arrays(path, _dtypes(storage))
            self._rows = arrays["rows"]
            n = self._rows.shape[0]
            shapes = {"keys": (n, KEY_BYTES), "checksums": (n,), "ends": (n,), "scales": (n,)}
            alike = all(arrays[name].shape == shape for name, shape in shapes.items() if name in arrays)
            if not alike or 0 in self._rows.shape or len(self._rows.shape) != 2 or len(arrays["sequences"].shape) != 1:
                raise StoreError("its keys, rows and checksums differ in number", path)
            self.keys: Keys = arrays["keys"].read()
            self._checksums: NDArray[np.uint64] = arrays["checksums"].read()
            self._scales: Scales | None = arrays["scales"].read() if "scales" in arrays else None
            self._sequences, self._ends = arrays["sequences"], arrays["ends"]
            self.intact = _digest(self.keys, self._checksums, self._scales) == path.stem[-16:]
            """True if keys and checksums are unchanged; else rows with damaged keys are lost."""
        except StoreError as error:
            if _was_sound(path, error) or _is_of_another_storage(path, storage):
                raise DamagedError("is cut off, damaged, or of another folder", path) from error
            raise

    @property
    def dim(self) -> int:
        """Length of a row."""
        return self._rows.shape[1]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._rows.end  # without the last bytes of the pickle

    @property
    def written(self) -> int:
        """Time of writing in nanoseconds since 1970; 0 if the name has none."""
        return stamp(self.path)

    def read(self, places: NDArray[np.int64], salt: int, out: Rows, into: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Read rows, and return True for each undamaged row.

        Parameters
        ----------
        places
            ``(k,)``, rows of this segment, from 0.
        salt
            Salt of the segment.
        out, into
            Array ``(n, dim)``, and its rows ``(k,)`` to fill.

        Raises
        ------
        OSError
            If the file was removed after a merge, or cannot be read.
        """
        order = np.argsort(places, kind="stable")
        places, into = places[order], into[order]
        spans = list(self._spans(places))
        seeds = _seeds(np.take(self.keys, places, axis=0), None if self._scales is None else self._scales[places], salt)
        sound = np.zeros(len(places), bool)

        most = max((int(places[stop - 1] - places[start]) + 1 for start, stop in spans), default=0)
        buffer = np.empty((most, self.dim), DTYPES[self._storage])  # one buffer, which stays in the processor's cache
        with opened(self.path) as file, suppress(EOFError):
            for start, stop in spans:
                here, wanted = places[start:stop], _as_slice(places[start:stop] - places[start])
                to = _as_slice(into[start:stop])
                straight = out.dtype == buffer.dtype and isinstance(wanted, slice) and isinstance(to, slice)
                codes = out[to] if straight else buffer[: here[-1] - here[0] + 1]
                self._rows.read_rows(file, int(here[0]), codes)
                codes = codes[wanted]
                sound[start:stop] = _hashes(codes, seeds[start:stop]) == self._checksums[here]
                if not straight:
                    out[to] = decode(codes, None if self._scales is None else self._scales[here])
        back = np.empty_like(sound)
        back[order] = sound
        return back

    def read_all(self, salt: int) -> tuple[Rows, NDArray[np.bool_]]:
        """Return all rows ``(n, dim)``, and True for each undamaged row ``(n,)``."""
        everything = np.arange(len(self.keys))
        rows = np.empty((len(self.keys), self.dim), np.float32)
        return rows, self.read(everything, salt, rows, everything)

    def sequences(self) -> list[str]:
        """Return the sequence of each row; empty if it does not match its key."""
        try:
            text, ends = self._sequences.read().tobytes(), self._ends.read().tolist()
        except EOFError:
            return [""] * len(self.keys)
        texts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return [
            sequence.decode("ascii") if blake2s(sequence).digest() == key else ""
            for sequence, key in zip(texts, as_bytes(self.keys), strict=False)
        ]

    def _spans(self, places: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Divide sorted places into runs that are read at once."""
        bytes_of_row = max(1, self.dim * DTYPES[self._storage].itemsize)
        most, gap = max(1, _AT_ONCE // bytes_of_row), max(1, _WORTH_SKIPPING // bytes_of_row)
        apart = np.flatnonzero(np.diff(places) > gap) + 1
        for start, stop in zip([0, *apart.tolist()], [*apart.tolist(), len(places)], strict=True):
            while start < stop:
                end = start + int(np.searchsorted(places[start:stop], places[start] + most))
                yield start, end
                start = end


def write(folder: Path, sequences: list[str], rows: Rows, storage: Storage, salt: int, after: int = 0) -> Path:
    """Write a segment under a temporary name, flush it to the disk, rename it, and return its path.

    Parameters
    ----------
    folder
        Folder of the segment.
    sequences, rows
        One sequence in normal form per row ``(n, dim)``.
    storage
        Number format of the rows.
    salt
        Number of the folder's spec: the checksums of a segment fail in the folder of another spec.
    after
        Time in nanoseconds: the segment counts as newer, even if the clock was set back.
    """
    codes, scales = encode(rows, storage)
    keys = keys_of(sequences)
    checks = _hashes(codes, _seeds(keys, scales, salt))
    arrays = {
        "keys": keys,
        "checksums": checks,
        "sequences": np.frombuffer("".join(sequences).encode("ascii"), np.uint8),
        "ends": np.cumsum([len(sequence) for sequence in sequences], dtype=np.uint64),
        **({} if scales is None else {"scales": scales}),
        "rows": codes,
    }
    unfinished = folder / f"{secrets.token_hex(8)}.tmp"
    try:
        with unfinished.open("xb") as file:
            joblib.dump(arrays, file)
            file.flush()
            share(file.fileno(), folder)
            os.fsync(file.fileno())
            size = file.tell()
        digest = _digest(keys, checks, scales)
        finished = folder / f"{max(time.time_ns(), after + 1):020d}-{size}-{digest}{SUFFIX}"
        unfinished.rename(finished)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    _flush(folder)
    return finished


def checksums(sequences: list[str], rows: Rows, salt: int) -> NDArray[np.uint64]:
    """Return the checksum ``(n,)`` of each row, which also depends on its sequence and the salt."""
    return _hashes(np.ascontiguousarray(rows, np.float32), _seeds(keys_of(sequences), None, salt))


def stamp(path: Path) -> int:
    """Return the time in a segment's name, in nanoseconds since 1970; 0 if there is no valid time."""
    named = _NAME.fullmatch(path.name)
    return int(named[1]) if named and int(named[1]) < _LAST else 0


def keys_of(sequences: list[str]) -> Keys:
    """Return the BLAKE2s hash ``(n, KEY_BYTES)`` of each sequence, a cryptographic hash that is fast on short texts."""
    digests = b"".join([blake2s(sequence.encode()).digest() for sequence in sequences])
    return np.frombuffer(digests, np.uint8).reshape(len(sequences), KEY_BYTES)


def as_bytes(keys: Keys) -> list[bytes]:
    """Return the keys as a list of bytes."""
    together = keys.tobytes()
    return [together[i : i + KEY_BYTES] for i in range(0, len(together), KEY_BYTES)]


def prefixes(keys: Keys) -> NDArray[np.uint64]:
    """Return the first eight bytes of each key as a number ``(n,)``, the same on every platform."""
    return np.ascontiguousarray(keys[:, :8]).view("<u8").ravel().astype(np.uint64)


def _as_slice(places: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return consecutive numbers as a slice, which copies faster, and others as they are."""
    together = places[-1] - places[0] == len(places) - 1 and (np.diff(places) == 1).all()
    return slice(int(places[0]), int(places[-1]) + 1) if together else places


def _dtypes(storage: Storage) -> dict[str, np.dtype[Any]]:
    return {
        "keys": np.dtype("uint8"),
        "checksums": np.dtype("uint64"),
        "sequences": np.dtype("uint8"),
        "ends": np.dtype("uint64"),
        **({"scales": np.dtype("float32")} if storage == "int8" else {}),
        "rows": DTYPES[storage],
    }


def _was_sound(path: Path, error: StoreError) -> bool:
    """Return True if `write` wrote an unreadable file, which was damaged later.

    The name holds the original length. A shorter file counts as damaged only if it ends too early.
    """
    named = _NAME.fullmatch(path.name)
    if named is None or path.is_symlink() or not path.is_file():
        return False
    size, written = path.stat().st_size, int(named[2])
    return size == written or (size < written and isinstance(error, CutOffError) and error.needed <= written)


def _is_of_another_storage(path: Path, storage: Storage) -> bool:
    for other in DTYPES.keys() - {storage}:
        with suppress(StoreError):
            locate_arrays(path, _dtypes(other))
            return True
    return False


def _seeds(keys: Keys, scales: Scales | None, salt: int) -> NDArray[np.uint64]:
    seeds = prefixes(keys) ^ np.uint64(salt)
    return seeds if scales is None else seeds ^ scales.view(np.uint32).astype(np.uint64)


def _digest(keys: Keys, checks: NDArray[np.uint64], scales: Scales | None) -> str:
    """Return the digest at the end of a segment's name."""
    hashed = xxh3_64()
    for array in (keys, checks, scales):
        if array is not None:
            hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


def _hashes(rows: Codes, seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the XXH3 hash ``(n,)`` of each row."""
    size = rows.shape[1] * rows.itemsize
    view = memoryview(b"" if rows.size == 0 else rows.reshape(-1).view(np.uint8).data)
    hashes = [xxh3_64_intdigest(view[i * size : (i + 1) * size], seed) for i, seed in enumerate(seeds.tolist())]
    return np.array(hashes, np.uint64)


def _flush(folder: Path) -> None:
    """Flush the folder's entries to the disk, if the system supports it."""
    with suppress(OSError):
        entry = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)
