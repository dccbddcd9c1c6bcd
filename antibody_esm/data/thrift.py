"""Structs in Thrift's compact protocol, the format of headers of Parquet pages."""

from typing import Any

from antibody_esm.limits import LimitError

_DEPTH = 8
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


def struct_at(content: bytes) -> tuple[dict[int, Any], int]:
    r"""Return the fields of the struct at the beginning of bytes, by number, and its length; a text is its length.

    Raises
    ------
    LimitError
        If the bytes do not begin with a struct.

    Examples
    --------
    >>> struct_at(b"\x15\x04\x15\x0c\x00")
    ({1: 2, 2: 6}, 5)
    """
    try:
        return _struct(content, 0, 0)
    except IndexError as error:
        raise LimitError("a page whose header is damaged") from error


def _struct(content: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > _DEPTH:
        raise LimitError("a page whose header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head, at = content[at], at + 1
        if head == 0:
            return fields, at
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(content, at)
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], at = _value(content, at, kind, depth)


def _value(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE, _BYTE):
        return content[at], at + 1
    if kind in _INTEGERS:
        return _integer(content, at)
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BINARY:
        length, at = _unsigned(content, at)
        return length, at + length
    if kind in (_LIST, _SET):
        head, at = content[at], at + 1
        count = head >> 4
        if count == 15:
            count, at = _unsigned(content, at)
        for _ in range(count):
            _, at = _value(content, at, head & 15, depth + 1)
        return count, at
    if kind == _STRUCT:
        return _struct(content, at, depth + 1)
    raise LimitError("a page whose header is damaged")


def _unsigned(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte, at = content[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise LimitError("a page whose header is damaged")


def _integer(content: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(content, at)
    return (value >> 1) ^ -(value & 1), at
