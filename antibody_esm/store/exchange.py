"""The rows of one spec as one file that other programs read, and back."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from antibody_esm.errors import SequenceError, StoreError
from antibody_esm.sequences import normalise
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import segments
from antibody_esm.store.folder import FORMAT, Folder, writable
from antibody_esm.store.maintenance import add, read_specs
from antibody_esm.store.segments import Rows

_KEY = "antibody_esm"
_AT_ONCE = 4096
"""Rows that are written or read together."""

SUFFIXES = (".parquet", ".safetensors")


def export(folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec, path: Path) -> int:
    """Write the sound rows of a folder to one file, and return how many there are."""
    _check_suffix(path)
    description = json.dumps(
        {
            "format": FORMAT,
            "fingerprint": folder.spec.fingerprint,
            "spec": json.loads(folder.spec.canonical_json),
            "written_as": json.loads(named.canonical_json),
        }
    )
    with writable(path), _appearing_whole(path) as unfinished:
        blocks = ((sequences, rows) for sequences, rows, _ in folder.sound_rows() if sequences)
        if path.suffix == ".parquet":
            return _write_parquet(unfinished, description, blocks, folder.salt)
        return _write_safetensors(unfinished, description, blocks, folder.salt)


def load(root: Path, path: Path) -> tuple[ExtractorSpec | ResolvedExtractorSpec, int]:
    """Add the rows of a file that `export` wrote to a store, and return their spec and how many were absent."""
    _check_suffix(path)
    read = _read_parquet if path.suffix == ".parquet" else _read_safetensors
    description, blocks = read(path)
    try:
        fields = json.loads(description)
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise StoreError(f"written in another format than {FORMAT}", path)
        resolved, named = read_specs(fields)
        if fields.get("fingerprint") != resolved.fingerprint:
            raise StoreError("is damaged: its spec is not what was written", path)
    except ValueError as error:  # pydantic's and json's are both
        raise StoreError(f"not rows of an embedding store: {error}", path) from error
    folder = Folder(root, resolved)
    return named, add(folder, named, blocks(folder.salt))


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
        if schema.field("sequence").type != pa.string() or schema.field("checksum").type != pa.uint64():
            raise StoreError("not rows of an embedding store: its columns are of other types", path)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise StoreError(f"not rows of an embedding store: {error}", path) from error

    def blocks(salt: int) -> Iterator[tuple[list[str], Rows]]:
        try:
            for batch in file.iter_batches(_AT_ONCE, columns=["sequence", "embedding", "checksum"]):
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
    for some, block in blocks:
        sequences += some
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
            some = slice(first, first + _AT_ONCE)
            sequences = [letters[a:b] for a, b in zip(starts[some].tolist(), ends[some].tolist(), strict=True)]
            rows = embeddings[first : min(first + _AT_ONCE, n)]
            yield _checked(sequences, rows, checksums[some], salt, path)

    return description, blocks


def _checked(sequences: list[str], rows: Rows, checksums: Any, salt: int, path: Path) -> tuple[list[str], Rows]:
    try:
        normal = normalise(sequences)
    except SequenceError as error:
        raise StoreError(f"is damaged: {error}", path) from error
    if not np.array_equal(segments.checksums(normal, rows, salt), checksums) or not np.isfinite(rows).all():
        raise StoreError("is damaged: rows are not what was written", path)
    return normal, rows


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: a file of rows ends in {' or '.join(SUFFIXES)}")


@contextmanager
def _appearing_whole(path: Path) -> Iterator[Path]:
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
