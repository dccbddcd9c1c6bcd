"""Structure of UBJSON, as XGBoost writes its boosters; XGBoost itself reads deeply nested values until it crashes."""

import struct

from antibody_esm.limits import DEPTH, LimitError

_WIDTH = {"Z": 0, "T": 0, "F": 0, "N": 0, "C": 1, "i": 1, "U": 1, "I": 2, "l": 4, "L": 8, "d": 4, "D": 8}
_INTEGER = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q"}


def check_ubjson(content: bytes) -> None:
    r"""Refuse UBJSON that is nested too deeply, incomplete, or declares more values than it has.

    Examples
    --------
    >>> check_ubjson(b"{i\x01a[$U#i\x02\x00\x00}")
    >>> check_ubjson(b"[" * 1000)
    Traceback (most recent call last):
    antibody_esm.limits.LimitError: a booster that is nested more than 100 deep
    """
    at = 0
    containers: list[tuple[str, int]] = []  # around a place: the mark that ends each, or the values that it still has
    while at == 0 or containers:
        end, rest = containers[-1] if containers else ("", 1)
        mark = _mark(content, at)
        if rest == 0 or mark == end:
            at += len(end)
            containers.pop()
            continue
        if end == "}":
            at = _after_text(content, at)
            mark = _mark(content, at)
        elif containers and not end:
            containers[-1] = ("", rest - 1)
        at = _opened(content, at + 1, mark, containers) if mark in "[{" else _after(content, at + 1, mark)
        if len(containers) > DEPTH:
            raise LimitError(f"a booster that is nested more than {DEPTH} deep")


def _mark(content: bytes, at: int) -> str:
    if at > len(content):
        raise LimitError("a booster that is incomplete")
    return content[at : at + 1].decode("latin-1") or " "


def _opened(content: bytes, at: int, mark: str, containers: list[tuple[str, int]]) -> int:
    """Enter a container, and return the place behind its head; an array of numbers of one type is passed over."""
    if mark == "[" and _mark(content, at) == "$":
        return _after_typed(content, at + 1)
    if mark == "[" and _mark(content, at) == "#":
        count, at = _integer(content, at + 1)
        if count > len(content):
            raise LimitError("a booster that is incomplete")
        containers.append(("", count))
    else:
        containers.append(("]" if mark == "[" else "}", -1))
    return at


def _after(content: bytes, at: int, mark: str) -> int:
    """Return the place behind a value that is no container."""
    if mark == "S":
        return _after_text(content, at)
    if mark not in _WIDTH:
        raise LimitError("a booster that is damaged")
    return at + _WIDTH[mark]


def _integer(content: bytes, at: int) -> tuple[int, int]:
    """Return an integer with its mark, and the place behind it."""
    form = _INTEGER.get(content[at : at + 1].decode("latin-1"))
    if form is None or at + 1 + struct.calcsize(form) > len(content):
        raise LimitError("a booster that is damaged")
    value = int(struct.unpack_from(form, content, at + 1)[0])
    if value < 0:
        raise LimitError("a booster with a negative length")
    return value, at + 1 + struct.calcsize(form)


def _after_text(content: bytes, at: int) -> int:
    length, start = _integer(content, at)
    return start + length


def _after_typed(content: bytes, at: int) -> int:
    width = _WIDTH.get(content[at : at + 1].decode("latin-1"))
    if not width or content[at + 1 : at + 2] != b"#":
        raise LimitError("a booster that is damaged")
    count, start = _integer(content, at + 2)
    return start + count * width
