"""Files of antibodies as DataFrames of text, with the line of each row in the file."""

import csv
import logging
import lzma
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.data.decimal_commas import comma_columns, have_commas, with_points
from antibody_esm.data.fasta import BIOTRAINER, attributes, headers, namer, records
from antibody_esm.data.headers import SEPARATORS, Top, read_top
from antibody_esm.data.layouts import pairs_rows
from antibody_esm.data.parquet import parquet_frames
from antibody_esm.data.spreadsheets import SUFFIXES, header_of, sheet_rows, workbook
from antibody_esm.data.streams import PACKED, UTF_8, encoding, open_text, read_unpacked
from antibody_esm.errors import DatasetError, place

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("antibody_esm.tables")
"""Notes on how files were read, which commands print."""
_FASTA = (".fasta", ".fa", ".faa", ".fas")
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError, zlib.error, lzma.LZMAError)
"""Errors of libraries that read a damaged file, or an archive that is packed in an unknown way."""
_ROWS_AT_ONCE = 2**16
_CELLS_AT_ONCE = 2**22
_SHOWN = 10
_LARGE = 2**20
"""Smallest file, in bytes, whose headers are read only once while the file does not change."""


def is_fasta(path: Path) -> bool:
    """Return True if the name of a file has a suffix of FASTA."""
    return _suffix(path) in _FASTA


def read_table(path: Path) -> "pd.DataFrame":
    """Read a table; formats without types are read as text, see `read_frames`.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its suffix is not supported.
    """
    import pandas as pd

    if _suffix(path) not in (*SEPARATORS, *SUFFIXES, ".parquet"):
        raise DatasetError(_unknown_suffix(), path)
    frames = list(read_frames(path))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def read_frames(path: Path) -> "Iterator[pd.DataFrame]":
    """Yield a file's rows in batches; a table without rows yields one frame with its columns.

    Lines with ``#`` above a table are skipped. The last of them is the header if it has as many columns as the line
    below, and that line holds a number or a sequence. One line of JSON above the header, as in files of OAS, is
    skipped. Comma, semicolon and tab separate columns, whatever the suffix; where it is not the comma, numbers with a
    decimal comma get a point, see `decimal_commas.comma_columns`. Text that is not UTF-8 is decoded by
    `streams.encoding`. Of an Excel workbook, the first sheet is read, or that of ``table.xlsx/name``. Columns of
    Parquet are read if they hold text or numbers. FASTA has the columns ``id`` and ``sequence``: the id is the header's
    first word if first words are unique in the file, else the whole header. Where the first header has ``TARGET=``, as
    those of biotrainer, it has ``TARGET`` and ``SET`` too.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its suffix is not supported; if it has more than 10,000 columns, or a line of
        more than 16 MB; if it unpacks to more than 4 GB, or to more than 64 MB and a hundred times its size, unless
        the environment variable ``ANTIBODY_ESM_MAX_UNPACKED`` allows it.
    """
    import pandas as pd

    suffix = _suffix(path)
    readers = dict.fromkeys(SEPARATORS, _text_frames) | dict.fromkeys(_FASTA, _fasta_frames)
    readers |= dict.fromkeys(SUFFIXES, _sheet_frames) | {".parquet": _parquet_frames}
    if suffix not in readers:
        raise DatasetError(_unknown_suffix(), path)
    read = readers[suffix]
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
    except UnicodeError as error:
        raise DatasetError(f"{wrong}: {error}; save the file as UTF-8", path) from error
    except (*_UNREADABLE, csv.Error) as error:
        raise DatasetError(f"{wrong}: {error}", path) from error


def lines_of(path: Path, rows: Iterable[int]) -> dict[int, int]:
    """Return the lines on which rows of a file begin, from 1, as an editor counts them.

    Headers, comments, empty lines and line breaks in quoted cells count; lines of a workbook are rows of its sheet.
    Parquet has no lines, nor has a table whose rows are not its antibodies. The file is read again
    up to the last of these rows, which is acceptable only for messages.
    """
    wanted = set(rows)
    last = max(wanted, default=-1)
    try:
        if _suffix(path) in SUFFIXES:
            rows_there = list(sheet_rows(path))
            numbers = [number for number, _ in rows_there[header_of(rows_there) + 1 :]]
            return {row: numbers[row] for row in wanted if row < len(numbers)}
        with open_text(path) as text:
            begun: Iterable[int] = ()
            if _suffix(path) in _FASTA:
                begun = (record.line for record in records(text))
            elif _suffix(path) in SEPARATORS and not pairs_rows(top_of(path).header):
                begun = (line for line, _ in islice(_cells(path, text), 0 if top_of(path).names else 1, None))
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
    if path is None or _suffix(path) not in SEPARATORS:
        return ""
    try:
        top = top_of(path)
    except (*_UNREADABLE, csv.Error):
        return ""
    return f"; line {top.comments} begins with '#' and was read as a comment" if top.hash_above else ""


def _fasta_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    status = path.stat()
    name_once = _names_of if status.st_size >= _LARGE else _names_of.__wrapped__
    named = name_once(path.absolute(), status.st_size, status.st_mtime_ns)
    with open_text(path) as lines:
        rows = records(lines)
        biotrainer = False
        for first in count(0, _ROWS_AT_ONCE):
            batch = list(islice(rows, _ROWS_AT_ONCE))
            if not batch:
                return
            columns = {"id": [named(record.header) for record in batch], "sequence": [r.sequence for r in batch]}
            biotrainer = "TARGET" in attributes(batch[0].header) if not first else biotrainer
            if biotrainer:
                values = [attributes(record.header) for record in batch]
                columns |= {name: [each.get(name, "") for each in values] for name in BIOTRAINER}
            yield pd.DataFrame(columns)


@lru_cache(maxsize=16)
def _names_of(path: Path, size: int, changed: int) -> Callable[[str], str]:
    def read() -> Iterator[str]:
        with open_text(path) as lines:
            yield from headers(lines)

    return namer(read)


def metadata_of(path: Path) -> Mapping[str, Any]:
    """Return the values of a line of JSON above a table of text, as in files of OAS; empty for other files."""
    return top_of(path).metadata if _suffix(path) in SEPARATORS else {}


def _text_frames(path: Path) -> "Iterator[pd.DataFrame]":
    top = top_of(path)
    _note(path, top)
    commas: list[str] | None = None
    for frame in _frames_as_written(path, top):
        if commas is None and top.separator != "," and have_commas(frame):
            there = comma_columns(_frames_as_written(path, top), tabs=top.separator == "\t")
            commas = [name for name, is_decimal in there.items() if is_decimal]
            unclear = [name for name in there if name not in commas]
            if commas:
                logger.info("%s: decimal commas are read in %s", path, ", ".join(map(repr, commas)))
            if unclear:
                names = ", ".join(map(repr, unclear))
                logger.info(
                    "%s: numbers with commas stay text in %s: some have points or may be thousands", path, names
                )
        yield with_points(frame, commas or ())


def _frames_as_written(path: Path, top: Top) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    with open_text(path) as lines, warnings.catch_warnings():
        for _ in range(top.comments):
            lines.readline()
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header would lose its end
        yield from pd.read_csv(
            lines,
            sep=top.separator,
            header=None if top.names else 0,
            names=top.names,
            dtype=str,
            keep_default_na=False,  # as text: each kind of column has its own missing values
            index_col=False,
            chunksize=max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(1, len(top.header)))),
        )


def _note(path: Path, top: Top) -> None:
    """Log what is unusual in how a file is written."""
    if encoding(path) != UTF_8:
        logger.info("%s: read as %s, since it is not UTF-8", path, encoding(path))
    if top.separator != SEPARATORS[_suffix(path)]:
        logger.info("%s: the columns are separated by %r", path, top.separator)


def _sheet_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    rows = list(sheet_rows(path))
    if not rows:
        raise pd.errors.EmptyDataError
    start = header_of(rows)
    names = [rows[start][1][0].lstrip("# "), *rows[start][1][1:]]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(f"there are {names.count(twice)} columns named {twice!r}", column=twice)
    names = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    for number, cells in rows[start + 1 :]:
        if len(cells) > len(names):
            raise DatasetError(
                f"row {rows[start][0]}, the header, has {len(names)} columns and row {number} has {len(cells)}"
            )
    for first in range(start + 1, max(len(rows), start + 2), _ROWS_AT_ONCE):
        batch = [cells + [""] * (len(names) - len(cells)) for _, cells in rows[first : first + _ROWS_AT_ONCE]]
        yield pd.DataFrame(batch, columns=names, dtype=object)


def _parquet_frames(path: Path) -> "Iterator[pd.DataFrame]":
    packed = path.suffix.lower() in PACKED
    for frame in parquet_frames(read_unpacked(path) if packed else path, _ROWS_AT_ONCE):
        yield with_index(frame)


def with_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table in which a named index, most often ids, is a column too."""
    named = any(name is not None and name not in frame.columns for name in frame.index.names)
    return frame.reset_index() if named else frame


def top_of(path: Path) -> Top:
    """Return the lines above the rows of a table of text. Raises DatasetError if these are no lines of a table."""
    with open_text(path) as lines:
        return read_top(lines, SEPARATORS[_suffix(path)])


def _cells(path: Path, text: Any, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row of a table of text begins, and its cells; a header is the first row.

    Blank lines are no rows, as in `pandas.read_csv`.
    """
    top = top_of(path)
    comments = top.comments
    for _ in range(comments):
        text.readline()
    last = ""

    def lines() -> Iterator[str]:
        nonlocal last
        for line in text:
            last = line
            yield line

    reader = csv.reader(lines(), delimiter=top.separator, strict=strict)
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
        top = top_of(path)
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
    suffixes = ", ".join((*SEPARATORS, ".parquet", *SUFFIXES, *_FASTA))
    return (
        f"not a supported table; names of tables end in {suffixes}, and all but workbooks optionally in a further "
        f"{', '.join(PACKED)}; save other spreadsheets (.xls, .ods) as .xlsx or CSV"
    )


def _suffix(path: Path) -> str:
    book = workbook(path)
    if book is not None:
        return book.suffix.lower()
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower()
