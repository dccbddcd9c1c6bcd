"""Lines above the rows of a table of text: comments, metadata, the header, and the separator of its columns."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TextIO

from antibody_esm.data.parquet import COLUMNS
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import ALPHABET

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
"""Usual separators of columns, by suffix."""
_OTHERS = (",", ";", "\t")
_HEADER = 16 * 10**6
"""Most characters of a header."""
_SEQUENCE_FROM = 20
"""Fewest amino acids of a cell that is a sequence, not a column's name."""


@dataclass(frozen=True)
class Top:
    """Lines above the rows of a table of text."""

    comments: int
    """Number of lines before the header; before the first row, if `names` is not None."""
    separator: str
    header: list[str]
    """Names of columns."""
    names: list[str] | None = None
    """Names of columns in a line with ``#``."""
    hash_above: bool = False
    """True if the line above the header begins with ``#`` and has as many columns, but was read as a comment."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values of a line of JSON above the header, as in files of OAS."""


def read_top(lines: TextIO, usual: str) -> Top:
    """Return the lines above the rows of a table.

    Parameters
    ----------
    lines
        The text from its beginning.
    usual
        Separator to which the file's suffix refers. Another one is taken if it divides the first two lines into equal
        numbers of columns and the usual one does not.

    Raises
    ------
    DatasetError
        If there are too many columns, or two of one name.
    """
    comments, comment, metadata = 0, "", dict[str, Any]()
    line = lines.readline()
    while line.startswith("#"):
        comments, comment, line = comments + 1, line, lines.readline()
    if (values := _json(line)) is not None:
        comments, comment, line, metadata = comments + 1, "", lines.readline(), values
    below = lines.readline()
    separator = _separator(usual, line, below)
    names = _split(comment.lstrip("# "), separator) if separator in comment else []
    alike = bool(names) and len(names) == len(_split(line, separator))
    if alike and any(map(_is_value, _split(line, separator))):
        _check_names(names)
        return Top(comments, separator, names, names, metadata=metadata)
    header = next(csv.reader(_limited(chain([line, below], lines)), delimiter=separator), [])
    _check_names(header)
    return Top(comments, separator, header, hash_above=alike, metadata=metadata)


def _separator(usual: str, line: str, below: str) -> str:
    """Return the separator of the first two lines of a table."""
    counts = {mark: [len(_split(text, mark)) for text in (line, below)] for mark in dict.fromkeys((usual, *_OTHERS))}
    several = {mark: pair for mark, pair in counts.items() if pair[0] > 1}
    even = {mark: pair for mark, pair in several.items() if not below.strip() or pair[0] == pair[1]}
    choice = even or several
    return usual if usual in choice or not choice else max(choice, key=lambda mark: choice[mark][0])


def _limited(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a header, whose quoted names may hold line breaks, up to a limit of characters."""
    count = 0
    for line in lines:
        count += len(line)
        if count > _HEADER:
            raise DatasetError(f"the header has more than {_HEADER // 10**6} MB")
        yield line


def _split(line: str, separator: str) -> list[str]:
    if line.count(separator) >= COLUMNS and '"' not in line:
        raise many_columns(line.count(separator) + 1)
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])


def _is_value(cell: str) -> bool:
    """Return True if a cell is a number or a sequence, and hence no column's name."""
    text = cell.strip()
    try:
        float(text.replace(",", ".", 1))
    except ValueError:
        return len(text) >= _SEQUENCE_FROM and set(text.upper()) <= set(ALPHABET)
    return True


def _json(line: str) -> dict[str, Any] | None:
    """Return the values of a line of JSON, quoted as a cell of a table or not; None for other lines."""
    cells = _split(line, ",") if line.lstrip().startswith(('"{', "{")) else []
    try:
        value = json.loads(cells[0] if len(cells) == 1 or line.lstrip().startswith('"') else line) if cells else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def many_columns(count: int) -> DatasetError:
    """Return the error of a table with too many columns."""
    return DatasetError(f"has {count:,} columns, more than {COLUMNS:,}; keep the columns of chains, ids and labels")


def _check_names(names: list[str]) -> None:
    """Raise DatasetError if columns are too many, have the same name, or are separated by an unknown character."""
    if len(names) > COLUMNS:
        raise many_columns(len(names))
    if len(names) == 1 and "|" in names[0]:
        raise DatasetError(
            "the columns seem to be separated by '|', but comma, semicolon or tab is expected; "
            "pass a DataFrame that was read with the right separator"
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise DatasetError(f"there are {names.count(twice[0])} columns named {twice[0]!r}", column=twice[0])
