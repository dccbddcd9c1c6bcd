"""Limits on files: bytes, unpacked bytes, nested JSON, and kinds of files.

A file is checked before its content is built in memory, so that a small crafted file cannot fill the memory.
"""

import io
import json
import math
import os
import stat
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from antibody_esm.errors import CRAFTED
from antibody_esm.files import size

VARIABLE = "ANTIBODY_ESM_MAX_UNPACKED"
"""Environment variable with the most bytes that a packed file may unpack to."""
RATIO = 100
"""Largest ratio of unpacked to packed bytes of a large file."""
FREE = 64 * 10**6
"""Unpacked bytes to which the ratio does not apply."""
DEPTH = 100
"""Deepest nesting of JSON."""
_MEMBERS = 50_000
"""Most files in a ZIP archive."""
_CHUNK = 2**20
_DAMAGED = (BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, struct.error)
"""Errors of a ZIP archive that is damaged, encrypted, or packed in another way."""


class LimitError(ValueError):
    """A file exceeds a limit, or is of another kind. Callers raise it as their own error."""


def unpacked_limit(packed: int, default: int) -> int:
    """Return the most bytes that a file of `packed` bytes may unpack to; the environment variable wins.

    Examples
    --------
    >>> unpacked_limit(1_000, 10**9), unpacked_limit(10**6, 10**9), unpacked_limit(10**8, 10**9)
    (64000000, 100000000, 1000000000)
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return min(default, max(FREE, RATIO * packed))
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise LimitError(f"the environment variable {VARIABLE} must be a number of bytes, not {text!r}")
    return int(text)


def too_large(limit: int, packed: int) -> LimitError:
    """Return the error of a packed file that unpacks to more than its limit."""
    return LimitError(
        f"{size(packed)} unpack to more than {size(limit)}; if you trust the file, set the environment variable "
        f"{VARIABLE} to a larger number of bytes"
    )


def read_regular(path: Path, limit: int, folder: Path | None = None) -> bytes:
    """Return the content of a regular file.

    Parameters
    ----------
    path
        Path of the file. A FIFO, a device or a folder raises an error at once.
    limit
        Most bytes.
    folder
        Folder that must hold the file after symbolic links are followed.

    Raises
    ------
    LimitError
        If the file is of another kind, outside the folder, or too large.
    OSError
        If the file cannot be read.
    """
    check_inside(path, folder)
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise LimitError("not a regular file")
        if status.st_size > limit:
            raise LimitError(f"has {size(status.st_size)}, more than {size(limit)}")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise LimitError(f"has more than {size(limit)}")
    return content


def check_inside(path: Path, folder: Path | None) -> None:
    """Raise LimitError if symbolic links lead a path out of a folder."""
    if folder is None:
        return
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except RuntimeError as error:  # before Python 3.13, links in a circle
        raise LimitError("a symbolic link that leads to itself") from error
    if not inside:
        raise LimitError("a symbolic link that leads out of its folder")


def parse_json(content: bytes, values: int = 2_000_000, *, strict: bool = False) -> Any:
    """Return the value of JSON text. Raises LimitError if it is invalid, nested too deeply, or has too many values.

    If `strict`, names that repeat within an object, NaN, infinite numbers and halves of characters are invalid too.

    Examples
    --------
    >>> parse_json(b'{"a": [1]}')
    {'a': [1]}
    >>> parse_json(b"[" * 1000)
    Traceback (most recent call last):
    antibody_esm.limits.LimitError: JSON is nested more than 100 deep
    >>> parse_json(b'{"heavy": "EVQ", "heavy": "QVQ"}', strict=True)
    Traceback (most recent call last):
    antibody_esm.limits.LimitError: not JSON: 'heavy' is there twice in one object
    """
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > values:
        raise LimitError(f"JSON has more than {values:,} values")
    try:
        value = json.loads(content, **(_STRICT if strict else {}))
    except RecursionError as error:
        raise LimitError(f"JSON is nested more than {DEPTH} deep") from error
    except ValueError as error:
        raise LimitError(f"not JSON: {error}") from error
    level = [value]
    for _ in range(DEPTH):
        level = [part for outer in level for part in _parts(outer) if isinstance(part, dict | list)]
        if not level:
            if strict and b"\\u" in content:
                _refuse_halves(value)
            return value
    raise LimitError(f"JSON is nested more than {DEPTH} deep")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice[:80]!r} is there twice in one object")
    return fields


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON; write null for a missing value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


_STRICT: dict[str, Any] = {"object_pairs_hook": _distinct, "parse_constant": _no_number, "parse_float": _finite}
"""Options of `json.loads`."""


def _refuse_halves(value: Any) -> None:
    """Raise LimitError if a text has half a character of two escapes, which no file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise LimitError("not JSON: an escape such as \\ud800 is half a character") from error


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def unzip(content: bytes, default: int) -> dict[str, bytes]:
    """Return the files in a ZIP archive; their sizes are checked before and during unpacking.

    Parameters
    ----------
    content
        The archive.
    default
        Most unpacked bytes of all files, unless the environment variable sets another limit.

    Raises
    ------
    LimitError
        If the archive is damaged, packed by an unknown method, unpacks to more bytes, or has a name twice.
    """
    limit = unpacked_limit(len(content), default)
    if content.count(b"PK\x01\x02") > _MEMBERS:
        raise LimitError(f"more than {_MEMBERS:,} files in an archive")
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > limit:
                raise too_large(limit, len(content))
            if len({member.filename for member in members}) < len(members):
                raise LimitError("an archive with two files of one name")
            return {member.filename: _unpacked(archive, member) for member in members}
    except LimitError:
        raise
    except _DAMAGED as error:
        raise LimitError(f"a damaged archive: {error}") from error


def _unpacked(archive: ZipFile, member: ZipInfo) -> bytes:
    """Return one file of an archive, read in pieces because its declared size may be wrong."""
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise LimitError(f"{member.filename[:80]!r} is packed by the unknown method {member.compress_type}")
    pieces, rest = [], member.file_size
    with archive.open(member) as file:
        while piece := file.read(min(_CHUNK, rest + 1)):
            pieces.append(piece)
            rest -= len(piece)
    if rest:
        raise LimitError(f"{member.filename[:80]!r} is not as long as the archive declares")
    return b"".join(pieces)


def rezip(files: dict[str, bytes]) -> bytes:
    """Return an archive of checked files, without compression."""
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(ZipInfo(name), data)
    return content.getvalue()


def check_npy(content: bytes) -> None:
    """Raise LimitError for a file of numpy whose header declares another size or objects.

    Examples
    --------
    >>> check_npy(b"no array")
    Traceback (most recent call last):
    antibody_esm.limits.LimitError: not an array of numpy
    """
    import numpy as np

    file = io.BytesIO(content[:65_536])
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(file)
    except CRAFTED as error:
        raise LimitError("not an array of numpy") from error
    if dtype.hasobject or dtype.itemsize == 0 or any(length < 0 for length in shape):
        raise LimitError(f"an array of {str(dtype)[:80]} and shape {str(shape)[:80]}")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise LimitError(f"an array whose header declares the shape {str(shape)[:80]}, which its content has not")
