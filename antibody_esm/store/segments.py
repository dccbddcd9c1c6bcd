"""A segment: rows with their keys and checksums in one joblib file, complete or absent, and never changed."""

import os
import secrets
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.store.arrays import locate_arrays

SUFFIX = ".joblib"
KEY_BYTES = 32

_DTYPES: dict[str, np.dtype[Any]] = {
    "keys": np.dtype("uint8"),
    "rows": np.dtype("float32"),
    "checksums": np.dtype("uint32"),
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
        self._checksums = np.array(arrays["checksums"].map())
        n = len(self._checksums)
        if arrays["keys"].shape != (n, KEY_BYTES) or len(self._rows.shape) != 2 or self._rows.shape[0] != n:
            raise StoreError("its keys, rows and checksums differ in number", path)
        keys = arrays["keys"].map().tobytes()
        self.places = {keys[i : i + KEY_BYTES]: i // KEY_BYTES for i in range(0, len(keys), KEY_BYTES)}

    def read(self, keys: Iterable[bytes], salt: bytes) -> dict[bytes, NDArray[np.float32]]:
        """Return the rows of these keys, without those whose bytes are not the ones that were written.

        Parameters
        ----------
        keys
            Keys of this segment.
        salt
            The salt it was written with.
        """
        rows = self._rows.map()
        found = {key: np.array(rows[self.places[key]]) for key in keys}
        return {
            key: row for key, row in found.items() if _checksum(salt, key, row) == self._checksums[self.places[key]]
        }


def write(folder: Path, keys: list[bytes], rows: NDArray[np.float32], salt: bytes) -> Path:
    """Write a segment under a temporary name, flush it to the disk, rename it, and return its path.

    Parameters
    ----------
    folder
        Where the segment goes.
    keys
        ``n`` keys of `KEY_BYTES` bytes.
    rows
        ``(n, dim)``, float32.
    salt
        What the rows belong to: a segment moved elsewhere does not pass its checksums there.
    """
    rows = np.ascontiguousarray(rows, np.float32)
    arrays = {
        "keys": np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), KEY_BYTES),
        "rows": rows,
        "checksums": np.array([_checksum(salt, key, row) for key, row in zip(keys, rows, strict=True)], np.uint32),
    }
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


def _checksum(salt: bytes, key: bytes, row: NDArray[np.float32]) -> int:
    return zlib.crc32(row.data, zlib.crc32(key, zlib.crc32(salt)))
