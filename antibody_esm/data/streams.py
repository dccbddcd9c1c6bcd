"""Streams of files, unpacked and counted while they are read, so that a small packed file cannot fill the memory."""

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from antibody_esm.errors import DatasetError
from antibody_esm.limits import LimitError, too_large, unpacked_limit

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""Functions that open packed files, by suffix."""
_UNPACKED = 4 * 10**9
"""Most bytes to which a packed table unpacks, unless an environment variable sets another limit."""
_LINE = 16 * 10**6
_BUFFER = 2**18
UTF_8 = "utf-8-sig"
"""Encoding of almost all files, with or without a byte order mark."""
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16"}
_MARKS |= {codecs.BOM_UTF16_BE: "utf-16"}
"""Encodings by their byte order marks, longest first."""
_SURVEYED = 2**26
"""Most bytes of a file, unpacked, by which its encoding is recognised."""


class _Counted(io.RawIOBase):
    """Bytes of a file, with a limit on their number and on the length of a line."""

    def __init__(self, file: BinaryIO, limit: int | None, packed: int, line: int | None) -> None:
        self.file, self.limit, self.packed, self.line = file, limit, packed, line
        self.count = self.since = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self.file.read(len(buffer))
        buffer[: len(content)] = content
        self.count += len(content)
        if self.limit is not None and self.count > self.limit:
            raise DatasetError(str(too_large(self.limit, self.packed)))
        if self.line is not None:
            self._count_line(content, self.line)
        return len(content)

    def _count_line(self, content: bytes, most: int) -> None:
        end = b"\n" if b"\n" in content else b"\r"
        first = content.find(end)
        if self.since + (len(content) if first < 0 else first) > most:
            raise DatasetError(f"a line has more than {most / 10**6:.0f} MB")
        self.since = self.since + len(content) if first < 0 else len(content) - 1 - content.rfind(end)

    def close(self) -> None:
        self.file.close()
        super().close()


def open_text(path: Path) -> io.TextIOWrapper:
    """Open a text file in its `encoding`, which is unpacked while it is read.

    Reading raises DatasetError if the file unpacks to more than its limit, or has a line of more than 16 MB.
    """
    return io.TextIOWrapper(_opened(path, _LINE), encoding=encoding(path))


def encoding(path: Path) -> str:
    """Return the encoding of a text file: by its byte order mark, else UTF-8 if its bytes are valid UTF-8.

    Other files are UTF-16 if every second byte is 0, else Windows-1252 (Western Europe), else what charset-normalizer
    takes them for. Commands print an encoding that is not UTF-8.
    """
    status = path.stat()
    return _encoding(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _encoding(path: Path, size: int, changed: int) -> str:
    decoder, count = codecs.getincrementaldecoder("utf-8")(), 0
    with _opened(path, _LINE) as file:
        content = file.read(_BUFFER)
        marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
        zeros = [content[start::2].count(0) for start in (0, 1)]
        if marked is None and max(zeros) * 4 > len(content) > 0:
            return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        while marked is None and content and count < _SURVEYED:
            try:
                decoder.decode(content)
            except UnicodeDecodeError:
                return _other_encoding(content)
            count += len(content)
            content = file.read(_BUFFER)
    return marked or UTF_8


def _other_encoding(content: bytes) -> str:
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        match = from_bytes(content).best()
        return UTF_8 if match is None else match.encoding
    return "cp1252"


def read_unpacked(path: Path) -> bytes:
    """Return the unpacked bytes of a packed file. Raises DatasetError if they are more than its limit."""
    with _opened(path, None) as file:
        return file.read()


def _opened(path: Path, line: int | None) -> io.BufferedReader:
    opener = PACKED.get(path.suffix.lower())
    packed = path.stat().st_size
    try:
        limit = None if opener is None else unpacked_limit(packed, _UNPACKED)
    except LimitError as error:
        raise DatasetError(str(error)) from error
    file = cast("BinaryIO", (opener or open)(path, "rb"))
    return io.BufferedReader(_Counted(file, limit, packed, line), _BUFFER)
