"""Vectors of named sequences in one file that other programs can read."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.files import replacing

Views = Mapping[str, NDArray[np.float32]]
"""Name of each view, and its rows ``(b, dim)``."""
Add = Callable[[list[str], list[str], Views], None]
"""Function that adds rows, by their ids, sequences and views."""


@contextmanager
def writing_vectors(path: Path) -> Iterator[Add]:
    """Yield a function that adds batches of rows; the file appears, or replaces another, when all rows are written.

    Parquet and HDF5 are written batch by batch. For the other formats, all rows are held in memory.

    Raises
    ------
    ValueError
        If the suffix is none of `WRITERS`.
    """
    check(path)
    with replacing(path) as unfinished, unfinished.open("r+b") as file, WRITERS[path.suffix](file) as add:
        yield add


def check(path: Path) -> None:
    """Raise ValueError if the suffix of a file is not supported."""
    if path.suffix not in WRITERS:
        raise ValueError(f"{path}: the name of a file of vectors must end in one of {', '.join(WRITERS)}")


@contextmanager
def _parquet(file: Any) -> Iterator[Add]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def add(ids: list[str], sequences: list[str], views: Views) -> None:
        nonlocal writer
        columns: dict[str, Any] = {"id": pa.array(ids, pa.string()), "sequence": pa.array(sequences, pa.string())}
        for name, rows in views.items():
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)

    yield add
    if writer is not None:
        writer.close()


@contextmanager
def _hdf5(file: Any) -> Iterator[Add]:
    import h5py

    with h5py.File(file, "w") as group:

        def append(name: str, values: Any, kind: Any, shape: tuple[int, ...] = ()) -> None:
            if name not in group:
                group.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape), chunks=(1024, *shape))
            column = group[name]
            column.resize(len(column) + len(values), axis=0)
            column[len(column) - len(values) :] = values

        def add(ids: list[str], sequences: list[str], views: Views) -> None:
            append("id", ids, h5py.string_dtype())
            append("sequence", sequences, h5py.string_dtype())
            for name, rows in views.items():
                append(name, rows, rows.dtype, rows.shape[1:])

        yield add


@contextmanager
def _at_the_end(write: Callable[[Any, list[str], list[str], Views], None], file: Any) -> Iterator[Add]:
    every: list[tuple[list[str], list[str], Views]] = []

    def add(ids: list[str], sequences: list[str], views: Views) -> None:
        every.append((ids, sequences, views))

    yield add
    views = {name: np.concatenate([block[name] for _, _, block in every]) for name in (every[0][2] if every else ())}
    write(
        file,
        [name for ids, _, _ in every for name in ids],
        [sequence for _, block, _ in every for sequence in block],
        views,
    )


def _npz(file: Any, ids: list[str], sequences: list[str], views: Views) -> None:
    np.savez(file, allow_pickle=False, id=np.array(ids), sequence=np.array(sequences), **views)


def _safetensors(file: Any, ids: list[str], sequences: list[str], views: Views) -> None:
    from safetensors.numpy import save

    named = {"id": json.dumps(ids), "sequence": json.dumps(sequences)}
    file.write(save({name: np.ascontiguousarray(rows) for name, rows in views.items()}, metadata=named))


WRITERS: dict[str, Callable[[Any], Any]] = {
    ".parquet": _parquet,
    ".npz": lambda file: _at_the_end(_npz, file),
    ".safetensors": lambda file: _at_the_end(_safetensors, file),
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}
"""Writers by suffix."""
