"""A segment: rows with their keys and checksums in one joblib file, complete or absent, and never changed."""

import os
import secrets
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from antibody_esm.errors import StoreError
from antibody_esm.store.arrays import locate_arrays

SUFFIX = ".joblib"
KEY_BYTES = 32

Keys = NDArray[np.uint8]
"""``(n, KEY_BYTES)``"""
Rows = NDArray[np.float32]
"""``(n, dim)``"""

_DTYPES: dict[str, np.dtype[Any]] = {
    "keys": np.dtype("uint8"),
    "rows": np.dtype("float32"),
    "checksums": np.dtype("uint64"),
}


class Segment:
    """A finished segment, opened for reading. It holds its keys in memory, and no file open.

    Raises
    ------
    StoreError
        If the file is not what `write` writes.
    """

    def __init__(self, path: Path) -> None:
        arrays = locate_arrays(path, _DTYPES)
        self.path = path
        self._rows = arrays["rows"]
        self.keys: Keys = np.array(arrays["keys"].map())
        self._checksums: NDArray[np.uint64] = np.array(arrays["checksums"].map())
        n = len(self._checksums)
        if self.keys.shape != (n, KEY_BYTES) or len(self._rows.shape) != 2 or self._rows.shape[0] != n:
            raise StoreError("its keys, rows and checksums differ in number", path)

    @property
    def dim(self) -> int:
        """Length of a row."""
        return self._rows.shape[1]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._rows.end

    def read(self, places: NDArray[np.int64], salt: int, out: Rows | None = None) -> tuple[Rows, NDArray[np.bool_]]:
        """Return the rows at these places, and for each whether its bytes are the ones that were written.

        Parameters
        ----------
        places
            Rows of this segment, from 0.
        salt
            The salt it was written with.
        out
            Where to put the rows, without another copy.

        Raises
        ------
        FileNotFoundError
            If the file was replaced by a larger one that holds its rows.
        """
        rows = np.empty((len(places), self.dim), np.float32) if out is None else out
        stored = self._rows.map()
        if len(places) and places[-1] - places[0] == len(places) - 1 and (np.diff(places) == 1).all():
            rows[:] = stored[places[0] : places[-1] + 1]
        else:
            np.take(stored, places, axis=0, out=rows, mode="clip")  # "raise" would copy once more
        return rows, checksums(rows, self.keys[places], salt) == self._checksums[places]


def write(folder: Path, keys: Keys, rows: Rows, salt: int) -> Path:
    """Write a segment under a temporary name, flush it to the disk, rename it, and return its path.

    Parameters
    ----------
    folder
        Where the segment goes.
    keys, rows
        One key a row.
    salt
        What the rows belong to: a segment moved elsewhere does not pass its checksums there.
    """
    rows = np.ascontiguousarray(rows, np.float32)
    arrays = {"keys": np.ascontiguousarray(keys), "rows": rows, "checksums": checksums(rows, keys, salt)}
    name = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
    unfinished, finished = folder / f"{name}.tmp", folder / f"{name}{SUFFIX}"
    try:
        with unfinished.open("xb") as file:
            joblib.dump(arrays, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(finished)
    finally:
        unfinished.unlink(missing_ok=True)
    return finished


def checksums(rows: Rows, keys: Keys, salt: int) -> NDArray[np.uint64]:
    """Return the XXH3 hash ``(n,)`` of each row, seeded with its key and the salt."""
    seeds = (prefixes(keys) ^ np.uint64(salt)).tolist()
    size = rows.shape[1] * rows.itemsize
    view = memoryview(rows.tobytes() if rows.size == 0 else rows.reshape(-1).view(np.uint8).data)
    found = [xxh3_64_intdigest(view[i * size : (i + 1) * size], seed) for i, seed in enumerate(seeds)]
    return np.array(found, np.uint64)


def prefixes(keys: Keys) -> NDArray[np.uint64]:
    """Return the first eight bytes of each key as a number ``(n,)``, the same on every platform."""
    return np.ascontiguousarray(keys[:, :8]).view("<u8").ravel().astype(np.uint64)
