"""Reader of UBJSON, the format of XGBoost's boosters; XGBoost's own reader crashes on deeply nested values."""

import struct
from typing import Any

import numpy as np

from antibody_esm.limits import DEPTH, LimitError

_NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_INTEGERS = frozenset("iUIlL")
_CONSTANTS = {"Z": None, "T": True, "F": False}


def read_ubjson(content: bytes) -> Any:
    r"""Return the value in UBJSON; an array of numbers of one type becomes a NumPy array.

    Raises
    ------
    LimitError
        If the content is nested too deeply, incomplete, damaged, or declares more values than it has.

    Examples
    --------
    >>> read_ubjson(b"{i\x01a[$U#i\x02\x03\x04}")
    {'a': array([3, 4], dtype=uint8)}
    >>> read_ubjson(b"[" * 1000)
    Traceback (most recent call last):
    antibody_esm.limits.LimitError: a booster that is nested more than 100 deep
    """
    reader = _Reader(content)
    value = reader.value(0)
    if reader.at != len(content):
        raise LimitError("a booster with bytes behind its end")
    return value


class _Reader:
    """Content, and the position up to which it is read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def value(self, depth: int) -> Any:
        if depth > DEPTH:
            raise LimitError(f"a booster that is nested more than {DEPTH} deep")
        mark = self.mark()
        if mark == "{":
            return self.object(depth)
        if mark == "[":
            return self.array(depth)
        if mark == "S":
            return self.text()
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        return self.number(mark)

    def mark(self) -> str:
        return self.take(1).decode("latin-1")

    def next_is(self, mark: str) -> bool:
        """Return True if a mark follows, and skip it."""
        follows = self.content[self.at : self.at + 1] == mark.encode()
        self.at += follows
        return follows

    def take(self, length: int) -> bytes:
        if not 0 <= length <= len(self.content) - self.at:
            raise LimitError("a booster that is incomplete")
        self.at += length
        return self.content[self.at - length : self.at]

    def number(self, mark: str) -> Any:
        if mark not in _NUMBERS:
            raise LimitError("a booster that is damaged")
        return struct.unpack(_NUMBERS[mark], self.take(struct.calcsize(_NUMBERS[mark])))[0]

    def length(self) -> int:
        mark = self.mark()
        if mark not in _INTEGERS:
            raise LimitError("a booster that is damaged")
        return int(self.number(mark))

    def text(self) -> str:
        try:
            return self.take(self.length()).decode()
        except UnicodeDecodeError as error:
            raise LimitError("a booster that is damaged") from error

    def object(self, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not self.next_is("}"):
            name = self.text()
            if name in items:
                raise LimitError(f"a booster with two values of {name[:80]!r}")
            items[name] = self.value(depth + 1)
        return items

    def array(self, depth: int) -> Any:
        if self.next_is("$"):
            kind = self.mark()
            if kind not in _NUMBERS or not self.next_is("#"):
                raise LimitError("a booster that is damaged")
            number = np.dtype(_NUMBERS[kind])
            values = np.frombuffer(self.take(self.length() * number.itemsize), number)
            return values.astype(number.newbyteorder("="))
        if self.next_is("#"):
            count = self.length()
            if not 0 <= count <= len(self.content) - self.at:
                raise LimitError("a booster that is incomplete")
            return [self.value(depth + 1) for _ in range(count)]
        items = []
        while not self.next_is("]"):
            items.append(self.value(depth + 1))
        return items
