"""Tables that commands write some rows at a time, as CSV, TSV or Parquet."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.files import csv_text

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*_SEPARATORS, ".parquet")
"""Ends of the names of such files."""


def rejected_file(out: Path) -> Path:
    """Return the file beside a table that lists the rows which were rejected, with their reasons."""
    return out.with_name(f"{out.stem}.rejected{out.suffix}")


@contextmanager
def writing(path: Path) -> "Iterator[Callable[[pd.DataFrame], None]]":
    """Take rows some at a time; the file appears when all is written, if there were any."""
    from antibody_esm.files import replacing

    with ExitStack() as stack:
        write: Any = None

        def add(table: "pd.DataFrame") -> None:
            nonlocal write
            if write is None:
                unfinished = stack.enter_context(replacing(path))
                write = stack.enter_context((_parquet if path.suffix == ".parquet" else _text)(unfinished, path.suffix))
            write(table)

        yield add


@contextmanager
def _parquet(path: Path, suffix: str) -> "Iterator[Callable[[pd.DataFrame], None]]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def write(table: "pd.DataFrame") -> None:
        nonlocal writer
        rows = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, rows.schema, compression="zstd")
        writer.write_table(rows)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def _text(path: Path, suffix: str) -> "Iterator[Callable[[pd.DataFrame], None]]":
    with path.open("w", encoding="utf-8", newline="") as file:

        def write(table: "pd.DataFrame") -> None:
            file.write(csv_text(table, separator=_SEPARATORS[suffix], header=file.tell() == 0))

        yield write
