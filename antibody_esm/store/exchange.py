"""Exchange of rows: merge of another store, export to one file, and import of that file."""

import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from antibody_esm.batch import Rows
from antibody_esm.errors import SequenceError, StoreError
from antibody_esm.files import replacing
from antibody_esm.sequences import normalise
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import segments
from antibody_esm.store.folder import FORMAT, Folder, writable
from antibody_esm.store.inspection import read_specs, stored
from antibody_esm.store.writer import writing

_KEY = "antibody_esm"
_AT_ONCE = 4096
"""Most rows that are written or read together."""
_LARGEST_BLOCK = 2**26
"""Most bytes of rows that are read together."""
_LARGEST_GROUP = 2**31
"""Most bytes of a row group in a file; `export` writes smaller groups."""

SUFFIXES = (".parquet", ".safetensors")


def merge(root: Path, other: Path) -> dict[ExtractorSpec | ResolvedExtractorSpec, int]:
    """Add the undamaged rows of another store that this store lacks."""
    if not other.is_dir():
        raise StoreError("is not a store", other)
    if root.is_dir() and other.samefile(root):
        raise StoreError("cannot be merged with itself", root)
    return {named: add(Folder(root, theirs.spec), named, _sound(theirs)) for theirs, named in stored(other)}


def add(folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec, blocks: Iterable[tuple[list[str], Rows]]) -> int:
    """Add the rows that a folder lacks, and return their number."""
    count = 0
    with writing(folder, named) as writer:
        for sequences, rows in blocks:
            absent = np.flatnonzero(~folder.read(segments.keys_of(normalise(sequences, pairs=True))).present)
            for start in range(0, len(absent), _AT_ONCE):
                part = absent[start : start + _AT_ONCE]
                writer.put([sequences[i] for i in part], rows[part])
            count += len(absent)
    return count


def export(folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec, path: Path) -> int:
    """Write the undamaged rows of a folder to one file, and return their number."""
    _check_suffix(path)
    description = json.dumps(
        {
            "format": FORMAT,
            "fingerprint": folder.spec.fingerprint,
            "spec": json.loads(folder.spec.canonical_json),
            "written_as": json.loads(named.canonical_json),
        }
    )
    with writable(path), replacing(path) as unfinished:
        blocks = _sound(folder)
        if path.suffix == ".parquet":
            return _write_parquet(unfinished, description, blocks, folder.salt)
        return _write_safetensors(unfinished, description, blocks, folder.salt)


def load(root: Path, path: Path) -> tuple[ExtractorSpec | ResolvedExtractorSpec, int]:
    """Add the rows of a file that `export` wrote to a store; return their spec and the number of added rows."""
    _check_suffix(path)
    read = _read_parquet if path.suffix == ".parquet" else _read_safetensors
    description, blocks = read(path)
    try:
        fields = json.loads(description)
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise StoreError(f"its format is not {FORMAT}", path)
        resolved, named = read_specs(fields)
        if fields.get("fingerprint") != resolved.fingerprint:
            raise StoreError("is damaged: its spec is not what was written", path)
    except (ValueError, RecursionError) as error:  # pydantic's and json's are ValueErrors
        raise StoreError(f"not rows of an embedding store: {error}", path) from error
    folder = Folder(root, resolved)
    return named, add(folder, named, blocks(folder.salt))


def _sound(folder: Folder) -> Iterator[tuple[list[str], Rows]]:
    """Yield the undamaged rows of a folder; warn with the number of damaged rows."""
    damaged = 0
    for sequences, rows, bad in folder.sound_rows():
        damaged += bad
        if sequences:
            yield sequences, rows
    if damaged:
        warnings.warn(f"{folder.path}: {damaged} damaged rows were left out", RuntimeWarning, stacklevel=2)


def _write_parquet(path: Path, description: str, blocks: Iterator[tuple[list[str], Rows]], salt: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, writer = 0, None
    try:
        for sequences, rows in blocks:
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
            checksums = pa.array(segments.checksums(sequences, rows, salt))
            table = pa.table(
                {"sequence": pa.array(sequences, pa.string()), "embedding": vectors, "checksum": checksums}
            )
            if writer is None:
                schema = table.schema.with_metadata({_KEY: description})
                writer = pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)
            writer.write_table(table.cast(writer.schema), row_group_size=_AT_ONCE)
            count += len(sequences)
    finally:
        if writer is not None:
            writer.close()
    if not count:
        raise StoreError("there are no rows to write", path)
    return count


def _read_parquet(path: Path) -> tuple[bytes, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        schema = file.schema_arrow
        description = (schema.metadata or {})[_KEY.encode()]
        vector = schema.field("embedding").type
        if not pa.types.is_fixed_size_list(vector) or vector.value_type != pa.float32():
            raise StoreError("not rows of an embedding store: embedding is no list of float32", path)
        groups = [file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)]
        at_once = min(_AT_ONCE, _LARGEST_BLOCK // (4 * max(1, vector.list_size)))
        if not vector.list_size or not at_once or max(groups, default=0) > _LARGEST_GROUP:
            raise StoreError("not rows of an embedding store: its rows are too large, or have no numbers", path)
        if schema.field("sequence").type != pa.string() or schema.field("checksum").type != pa.uint64():
            raise StoreError("not rows of an embedding store: its columns are of other types", path)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise StoreError(f"not rows of an embedding store: {error}", path) from error

    def blocks(salt: int) -> Iterator[tuple[list[str], Rows]]:
        try:
            for batch in file.iter_batches(at_once, columns=["sequence", "embedding", "checksum"]):
                vectors, checksums = batch.column("embedding"), batch.column("checksum")
                if any(column.null_count for column in (*batch.columns, vectors.flatten())):
                    raise StoreError("is damaged: it has rows that are empty", path)
                rows = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), vector.list_size)
                sequences = batch.column("sequence").to_pylist()
                yield _checked(sequences, rows, checksums.to_numpy(zero_copy_only=False), salt, path)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(f"is damaged: {error}", path) from error

    return description, blocks


def _write_safetensors(path: Path, description: str, blocks: Iterator[tuple[list[str], Rows]], salt: int) -> int:
    from safetensors.numpy import save_file

    sequences: list[str] = []
    rows: list[Rows] = []
    for names, block in blocks:
        sequences += names
        rows.append(block)
    if not sequences:
        raise StoreError("there are no rows to write", path)
    embeddings = np.concatenate(rows)
    tensors: dict[str, Any] = {
        "embeddings": embeddings,
        "sequences": np.frombuffer("".join(sequences).encode("ascii"), np.uint8),
        "ends": np.cumsum([len(sequence) for sequence in sequences], dtype=np.uint64),
        "checksums": segments.checksums(sequences, embeddings, salt),
    }
    save_file(tensors, path, metadata={_KEY: description})
    return len(sequences)


def _read_safetensors(path: Path) -> tuple[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        file: Any = safe_open(path, framework="numpy")
        description = (file.metadata() or {})[_KEY]
        names = ("embeddings", "sequences", "ends", "checksums")
        kinds = {name: (file.get_slice(name).get_dtype(), len(file.get_slice(name).get_shape())) for name in names}
    except (SafetensorError, OSError, KeyError) as error:
        raise StoreError(f"not rows of an embedding store: {error}", path) from error
    if kinds != {"embeddings": ("F32", 2), "sequences": ("U8", 1), "ends": ("U64", 1), "checksums": ("U64", 1)}:
        raise StoreError("not rows of an embedding store: its arrays are of other types", path)

    def blocks(salt: int) -> Iterator[tuple[list[str], Rows]]:
        text, ends, checksums = (file.get_tensor(name) for name in ("sequences", "ends", "checksums"))
        embeddings = file.get_slice("embeddings")
        n = embeddings.get_shape()[0]
        starts = np.concatenate([np.zeros(1, np.uint64), ends[:-1]])
        if len(ends) != n or len(checksums) != n or (starts > ends).any() or (n and ends[-1] != len(text)):
            raise StoreError("its sequences and embeddings differ in number", path)
        letters = text.tobytes().decode("ascii", errors="replace")
        for first in range(0, n, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            sequences = [letters[a:b] for a, b in zip(starts[part].tolist(), ends[part].tolist(), strict=True)]
            rows = embeddings[first : min(first + _AT_ONCE, n)]
            yield _checked(sequences, rows, checksums[part], salt, path)

    return description, blocks


def _checked(sequences: list[str], rows: Rows, checksums: Any, salt: int, path: Path) -> tuple[list[str], Rows]:
    try:
        normal = normalise(sequences, pairs=True)
    except SequenceError as error:
        raise StoreError(f"is damaged: {error}", path) from error
    if not np.array_equal(segments.checksums(normal, rows, salt), checksums) or not np.isfinite(rows).all():
        raise StoreError("is damaged: rows are not what was written", path)
    return normal, rows


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: the name of a file of rows must end in {' or '.join(SUFFIXES)}")
