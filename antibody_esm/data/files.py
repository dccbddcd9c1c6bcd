"""Files of antibodies as DataFrames of text, with the line of each row in the file."""

import csv
import json
import lzma
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.fasta import headers, namer, records
from antibody_esm.data.parquet import COLUMNS, parquet_frames
from antibody_esm.data.streams import PACKED, open_text, read_unpacked
from antibody_esm.errors import DatasetError, place
from antibody_esm.sequences import ALPHABET

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_FASTA = (".fasta", ".fa", ".faa", ".fas")
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError, zlib.error, lzma.LZMAError)
_ROWS_AT_ONCE = 2**16
_CELLS_AT_ONCE = 2**22
_HEADER = 16 * 10**6
"""Most characters of a header."""
_SHOWN = 10
_LARGE = 2**20
"""Smallest file, in bytes, whose headers are read only once while the file does not change."""
_SEQUENCE_FROM = 20
"""Fewest amino acids of a cell that is a sequence, not a column's name."""


class _Top(NamedTuple):
    """Lines above the rows of a table of text."""

    comments: int
    """Number of lines before the header; before the first row, if `names` is not None."""
    names: list[str] | None = None
    """Names of columns in a line with ``#``."""
    columns: int = 1
    hash_above: bool = False
    """True if the line above the header begins with ``#`` and has as many columns, but was read as a comment."""


def is_fasta(path: Path) -> bool:
    """Return True if the name of a file has a suffix of FASTA."""
    return _suffix(path) in _FASTA


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV, TSV or Parquet file; formats without types are read as text, see `read_frames`.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its suffix is not supported.
    """
    import pandas as pd

    if _suffix(path) not in (*_SEPARATORS, ".parquet"):
        raise DatasetError(_unknown_suffix(), path)
    frames = list(read_frames(path))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def read_frames(path: Path) -> "Iterator[pd.DataFrame]":
    """Yield a file's rows in batches; a table without rows yields one frame with its columns.

    Lines with ``#`` above a table are skipped. The last of them is the header if it has as many columns as the line
    below, and that line holds a number or a sequence. One line of JSON above the header, as in files of OAS, is
    skipped. Columns of Parquet are read if they hold text or numbers. FASTA has the columns ``id`` and ``sequence``:
    the id is the header's first word if first words are unique in the file, else the whole header.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its suffix is not supported; if it has more than 10,000 columns, or a line of
        more than 16 MB; if it unpacks to more than 4 GB, or to more than 64 MB and a hundred times its size, unless
        the environment variable ``ANTIBODY_ESM_MAX_UNPACKED`` allows it.
    """
    import pandas as pd

    suffix = _suffix(path)
    read = _fasta_frames if suffix in _FASTA else _parquet_frames if suffix == ".parquet" else _text_frames
    if suffix not in (*_SEPARATORS, ".parquet", *_FASTA):
        raise DatasetError(_unknown_suffix(), path)
    wrong = "cannot be read" if suffix in _FASTA else "cannot be read as a table"
    try:
        yield from read(path)
    except FileNotFoundError as error:
        raise DatasetError("there is no such file", path) from error
    except DatasetError as error:
        if error.path is not None:
            raise
        raise DatasetError(str(error), path, error.row, error.column) from error
    except pd.errors.EmptyDataError as error:
        raise DatasetError("the file is empty", path) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{wrong}: {_misshapen(path) or error}", path) from error
    except (*_UNREADABLE, csv.Error) as error:
        raise DatasetError(f"{wrong}: {error}", path) from error


def lines_of(path: Path, rows: Iterable[int]) -> dict[int, int]:
    """Return the lines on which rows of a file begin, from 1, as an editor counts them.

    Headers, comments, empty lines and line breaks in quoted cells count. Parquet has no lines. The file is read again
    up to the last of these rows, which is acceptable only for messages.
    """
    wanted = set(rows)
    last = max(wanted, default=-1)
    try:
        with open_text(path) as text:
            begun: Iterable[int] = ()
            if _suffix(path) in _FASTA:
                begun = (record.line for record in records(text))
            elif _suffix(path) in _SEPARATORS:
                begun = (line for line, _ in islice(_cells(path, text), 0 if _top(path).names else 1, None))
            return {row: line for row, line in enumerate(islice(begun, last + 1)) if row in wanted}
    except (*_UNREADABLE, csv.Error, DatasetError):  # a message without lines is better than none
        return {}


def places(path: Path | None, rows: Iterable[int], ids: Mapping[int, str], noun: str = "row") -> dict[int, str]:
    """Return the names of the first ten of these rows, as `errors.place` returns them, with their lines in the file."""
    first = list(dict.fromkeys(rows))[:_SHOWN]
    lines = {} if path is None else lines_of(path, first)
    return {row: place(row, ids.get(row) or None, lines.get(row), noun) for row in first}


def commented_header(path: Path | None) -> str:
    """Return a note on a line with ``#`` that was read as a comment but may be the header; empty if there is none."""
    if path is None or _suffix(path) not in _SEPARATORS:
        return ""
    try:
        top = _top(path)
    except (*_UNREADABLE, csv.Error):
        return ""
    return f"; line {top.comments} begins with '#' and was read as a comment" if top.hash_above else ""


def _fasta_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    status = path.stat()
    name_once = _names_of if status.st_size >= _LARGE else _names_of.__wrapped__
    named = name_once(path.absolute(), status.st_size, status.st_mtime_ns)
    with open_text(path) as lines:
        rows = ((named(record.header), record.sequence) for record in records(lines))
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            yield pd.DataFrame(batch, columns=["id", "sequence"])


@lru_cache(maxsize=16)
def _names_of(path: Path, size: int, changed: int) -> Callable[[str], str]:
    def read() -> Iterator[str]:
        with open_text(path) as lines:
            yield from headers(lines)

    return namer(read)


def _text_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    top, separator = _top(path), _SEPARATORS[_suffix(path)]
    with open_text(path) as lines, warnings.catch_warnings():
        for _ in range(top.comments):
            lines.readline()
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header would lose its end
        yield from pd.read_csv(
            lines,
            sep=separator,
            header=None if top.names else 0,
            names=top.names,
            dtype=str,
            keep_default_na=False,  # as text: each kind of column has its own missing values
            index_col=False,
            chunksize=max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(1, top.columns))),
        )


def _parquet_frames(path: Path) -> "Iterator[pd.DataFrame]":
    packed = path.suffix.lower() in PACKED
    for frame in parquet_frames(read_unpacked(path) if packed else path, _ROWS_AT_ONCE):
        yield with_index(frame)


def with_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table in which a named index, most often ids, is a column too."""
    named = any(name is not None and name not in frame.columns for name in frame.index.names)
    return frame.reset_index() if named else frame


def _top(path: Path) -> _Top:
    """Return the lines above the rows of a table. Raises DatasetError if the header does not fit the suffix."""
    separator = _SEPARATORS[_suffix(path)]
    with open_text(path) as lines:
        comments, comment = 0, ""
        line = lines.readline()
        while line.startswith("#"):
            comments, comment, line = comments + 1, line, lines.readline()
        if _is_json(line, separator):
            comments, comment, line = comments + 1, "", lines.readline()
        names = _split(comment.lstrip("# "), separator) if separator in comment else []
        alike = bool(names) and len(names) == len(_split(line, separator))
        if alike and any(map(_is_value, _split(line, separator))):
            _check_names(names, separator)
            return _Top(comments, names, len(names))
        header = next(csv.reader(_limited(chain([line], lines)), delimiter=separator), [])
        _check_names(header, separator)
        return _Top(comments, None, len(header), hash_above=alike)


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
        raise _many_columns(line.count(separator) + 1)
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])


def _is_value(cell: str) -> bool:
    """Return True if a cell is a number or a sequence, and hence no column's name."""
    text = cell.strip()
    try:
        float(text)
    except ValueError:
        return len(text) >= _SEQUENCE_FROM and set(text.upper()) <= set(ALPHABET)
    return True


def _is_json(line: str, separator: str) -> bool:
    cells = _split(line, separator) if line.lstrip().startswith(('"{', "{")) else []
    try:
        return bool(cells) and isinstance(json.loads(cells[0] if len(cells) == 1 else line), dict)
    except (ValueError, RecursionError):
        return False


def _many_columns(count: int) -> DatasetError:
    return DatasetError(f"has {count:,} columns, more than {COLUMNS:,}; keep the columns of chains, ids and labels")


def _check_names(names: list[str], separator: str) -> None:
    """Raise DatasetError if columns are too many, have the same name, or do not have the suffix's separator."""
    if len(names) > COLUMNS:
        raise _many_columns(len(names))
    others = [other for other in (",", ";", "\t", "|") if other != separator and other in (names or [""])[0]]
    if len(names) == 1 and others:
        raise DatasetError(
            f"the columns seem to be separated by {others[0]!r}, but {separator!r} is expected; "
            "pass a DataFrame that was read with the right separator"
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise DatasetError(f"there are {names.count(twice[0])} columns named {twice[0]!r}", column=twice[0])


def _cells(path: Path, text: Any, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row of a table of text begins, and its cells; a header is the first row.

    Blank lines are no rows, as in `pandas.read_csv`.
    """
    comments = _top(path).comments
    for _ in range(comments):
        text.readline()
    last = ""

    def lines() -> Iterator[str]:
        nonlocal last
        for line in text:
            last = line
            yield line

    reader = csv.reader(lines(), delimiter=_SEPARATORS[_suffix(path)], strict=strict)
    while True:
        before = reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DatasetError(f"in the row that begins on line {comments + before + 1}: {error}") from error
        if cells is None:
            return
        if len(cells) > 1 or (cells and last.strip()):
            yield comments + before + 1, cells


def _misshapen(path: Path) -> str:
    """Return a note on a row with more columns than the header, or on an open quote; empty if there is none."""
    try:
        top = _top(path)
        with open_text(path) as text:
            rows = _cells(path, text, strict=True)
            line, header = (top.comments, top.names) if top.names else next(rows, (1, []))
            for here, cells in rows:
                if len(cells) > len(header):
                    columns = f"{len(header)} column{'' if len(header) == 1 else 's'}"
                    return f"line {line}, the header, has {columns} and line {here} has {len(cells)}"
    except DatasetError as error:
        return str(error)
    except _UNREADABLE:
        return ""
    return ""


def _unknown_suffix() -> str:
    suffixes, packed = ", ".join((*_SEPARATORS, ".parquet", *_FASTA)), ", ".join(PACKED)
    more = "; spreadsheets (.xlsx) are not supported: save them as CSV"
    return f"not a supported table; names of tables end in {suffixes}, optionally followed by {packed}{more}"


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower()
