"""Columns of text and numbers of Parquet files, whose declared sizes are checked before they are decoded.

A dictionary stores a value once for any number of rows, and a page can be compressed a thousandfold: a few kilobytes
may expand to gigabytes. Therefore headers of pages are read first, and the size of texts is computed from their
dictionary before they are expanded.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from antibody_esm.data.thrift import struct_at
from antibody_esm.errors import DatasetError
from antibody_esm.limits import LimitError, too_large, unpacked_limit

if TYPE_CHECKING:
    import pandas as pd

_DAMAGED = "cannot be read as a table: the Parquet file is damaged, or pyarrow does not support it"
COLUMNS = 10_000
"""Most columns of a table."""
_UNPACKED = 4 * 10**9
_FOOTER = 16 * 2**20
_HEADER = 2**16
_CELL = 8
_DELTA_BYTE_ARRAY = 7
_BATCH = 64 * 2**20
"""Most bytes of texts in a batch, if each text may be as long as a page."""


def parquet_frames(source: Path | bytes, rows: int) -> "Iterator[pd.DataFrame]":
    """Yield the columns of text and numbers of a Parquet file in batches of rows; other columns are skipped.

    Parameters
    ----------
    source
        A file, or its content.
    rows
        Most rows of a frame.

    Raises
    ------
    DatasetError
        If the file is damaged, or unpacks to more bytes than its limit. The message holds none of its content.
    """
    import pyarrow as pa

    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            yield from _frames(file, rows)
    except DatasetError:
        raise
    except LimitError as error:
        raise DatasetError(f"cannot be read as a table: {error}") from None
    except (pa.lib.ArrowException, ValueError, TypeError, LookupError, RecursionError, MemoryError) as error:
        raise DatasetError(f"{_DAMAGED} ({type(error).__name__})") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise DatasetError(_DAMAGED) from None


def _frames(file: BinaryIO, rows: int) -> "Iterator[pd.DataFrame]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    length = file.seek(0, io.SEEK_END)
    file.seek(max(0, length - 8))
    end = file.read(8)
    footer = int.from_bytes(end[:4], "little")
    if not end.endswith(b"PAR1"):
        raise DatasetError(_DAMAGED)
    if footer > _FOOTER:
        raise LimitError(f"a description of {footer / 10**6:.0f} MB")
    file.seek(0)
    opened = pq.ParquetFile(file)
    schema = _kept(opened.schema_arrow)
    limit = unpacked_limit(length, _UNPACKED)
    if opened.metadata.num_rows * max(1, len(schema)) * _CELL > limit:
        raise too_large(limit, length)
    largest, spelt = _check_pages(file, opened.metadata, set(schema.names), limit, length)
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    texts = [name for name in texts if name not in spelt]
    file.seek(0)
    reader = pq.ParquetFile(file, metadata=opened.metadata, read_dictionary=texts, pre_buffer=False)
    if not opened.metadata.num_rows:
        yield schema.empty_table().to_pandas()
    rows = max(1, min(rows, _BATCH // max(1, largest))) if spelt else rows
    count = 0
    for batch in reader.iter_batches(rows, columns=schema.names, use_threads=False):
        if batch.schema.names != schema.names:
            raise LimitError("columns with names of others")
        count += sum(map(_bytes_of, batch.columns))
        if count > limit:
            raise too_large(limit, length)
        columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
        yield pa.Table.from_arrays(columns, schema=schema).to_pandas()


def _kept(schema: Any) -> Any:
    """Return the columns of text and numbers of an Arrow schema."""
    import pyarrow as pa

    if len(schema) > COLUMNS:
        raise LimitError(f"{len(schema):,} columns, more than {COLUMNS:,}")
    twice = (
        [name for name in schema.names if schema.names.count(name) > 1] if len(set(schema.names)) < len(schema) else []
    )
    if twice:
        raise DatasetError(f"there are {schema.names.count(twice[0])} columns named {twice[0]!r}", column=twice[0])

    def plain(kind: Any) -> bool:
        if pa.types.is_dictionary(kind):
            return plain(kind.value_type)
        return bool(pa.types.is_primitive(kind)) or any(
            check(kind)
            for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_decimal, pa.types.is_null)
        )

    return pa.schema([field for field in schema if plain(field.type)], schema.metadata)


def _bytes_of(column: Any) -> int:
    """Return the bytes of a column without a dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    if not (pa.types.is_string(column.type.value_type) or pa.types.is_large_string(column.type.value_type)):
        return _CELL * len(column)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return _CELL * len(column) + int(pc.sum(lengths.take(column.indices)).as_py() or 0)


def _check_pages(file: BinaryIO, metadata: Any, names: set[str], limit: int, length: int) -> tuple[int, set[str]]:
    """Return the bytes of the largest page, and the columns whose texts are encoded as differences.

    Raises LimitError if the pages unpack to more than the limit.
    """
    total = largest = 0
    spelt = set()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.path_in_schema not in names:
                continue
            for page in _pages(file, column, length):
                total += page[2]
                values = max(_field(page, kind, 1) for kind in (5, 7, 8))
                if total > limit or values * _CELL > limit:
                    raise too_large(limit, length)
                if _DELTA_BYTE_ARRAY in (_field(page, 5, 2), _field(page, 8, 4)):
                    spelt.add(column.path_in_schema)
                largest = max(largest, page[2])
    return largest, spelt


def _field(page: dict[int, Any], kind: int, number: int) -> int:
    """Return a number in the part of a page's header for its kind; 0 if there is none."""
    part = page.get(kind)
    value = part.get(number) if isinstance(part, dict) else None
    return value if isinstance(value, int) else 0


def _pages(file: BinaryIO, column: Any, length: int) -> Iterator[dict[int, Any]]:
    """Yield the headers of a column's pages, by the numbers of their fields in the Parquet format."""
    starts = [column.data_page_offset, column.dictionary_page_offset if column.has_dictionary_page else None]
    at = min(start for start in starts if start is not None and start > 0)
    end = at + column.total_compressed_size
    if end > length or column.num_values < 0:
        raise LimitError("a column that lies outside the file")
    while at < end:
        file.seek(at)
        header, size = struct_at(file.read(_HEADER))
        if not (isinstance(header.get(2), int) and isinstance(header.get(3), int)) or min(header[2], header[3]) < 0:
            raise LimitError("a page without a size")
        yield header
        at += size + header[3]
