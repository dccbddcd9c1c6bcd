"""Vectors of named sequences as one file that other programs read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.store.exchange import appearing_whole

Views = Mapping[str, NDArray[np.float32]]
"""Name of each view, and its rows ``(n, dim)``."""


def write_vectors(path: Path, ids: list[str], sequences: list[str], views: Views) -> None:
    """Write ids, sequences and the rows of every view; an existing file is replaced when all is written.

    Raises
    ------
    ValueError
        If the file's name ends in none of `WRITERS`.
    """
    check(path)
    with appearing_whole(path) as unfinished, unfinished.open("x+b") as file:
        WRITERS[path.suffix](file, ids, sequences, views)


def check(path: Path) -> None:
    """Refuse a file whose name does not say a format."""
    if path.suffix not in WRITERS:
        raise ValueError(f"{path}: the name of a file of vectors ends in one of {', '.join(WRITERS)}")


def _parquet(file: Any, ids: list[str], sequences: list[str], views: Views) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"id": pa.array(ids, pa.string()), "sequence": pa.array(sequences, pa.string())}
    for name, rows in views.items():
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    pq.write_table(pa.table(columns), file, compression="zstd")


def _npz(file: Any, ids: list[str], sequences: list[str], views: Views) -> None:
    np.savez(file, allow_pickle=False, id=np.array(ids), sequence=np.array(sequences), **views)


def _safetensors(file: Any, ids: list[str], sequences: list[str], views: Views) -> None:
    from safetensors.numpy import save

    named = {"id": json.dumps(ids), "sequence": json.dumps(sequences)}
    file.write(save({name: np.ascontiguousarray(rows) for name, rows in views.items()}, metadata=named))


def _hdf5(file: Any, ids: list[str], sequences: list[str], views: Views) -> None:
    import h5py

    with h5py.File(file, "w") as group:
        for name, texts in (("id", ids), ("sequence", sequences)):
            group.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        for name, rows in views.items():
            group.create_dataset(name, data=rows)


WRITERS: dict[str, Callable[[Any, list[str], list[str], Views], None]] = {
    ".parquet": _parquet,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}
"""What writes which kind of file, by the end of its name."""
