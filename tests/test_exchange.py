import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore, StoreError
from effort import examples
from stores import OTHER, SEQUENCES, SPEC, flip, rows_of


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sampled_from(["float32", "float16", "int8"]))
@examples(20)
def test_a_merged_store_is_the_union(
    tmp_path_factory: pytest.TempPathFactory, here: set[int], there: set[int], storage: str
) -> None:
    root, spec = tmp_path_factory.mktemp("stores"), SPEC.model_copy(update={"storage": storage})
    one, other = EmbeddingStore(root / "one"), EmbeddingStore(root / "other")
    other.put(OTHER, ["EVQL"], rows_of(["EVQL"]))
    for store, members in ((one, here), (other, there)):
        sequences = ["W" * (n + 1) for n in members]
        store.put(spec, sequences, rows_of(sequences) if members else np.empty((0, 4)))
    added = one.merge(other)
    assert added.get(spec, 0) == len(there - here)
    assert added[OTHER] == 1
    every = ["W" * (n + 1) for n in here | there]
    whole = EmbeddingStore(root / "whole")
    whole.put(spec, every, rows_of(every) if every else np.empty((0, 4)))
    for sequence in every:
        assert np.array_equal(one.gather(spec, [sequence]), whole.gather(spec, [sequence]))
    assert set(one.merge(root / "other").values()) <= {0}
    assert other.count(spec) == len(there), "the other store is only read"


def test_merging_repairs_and_carries_no_damage(store: EmbeddingStore, tmp_path: Path) -> None:
    other = EmbeddingStore(tmp_path / "other")
    other.put(SPEC, SEQUENCES, rows_of(SEQUENCES))
    flip(store, SPEC, "AAAA")
    flip(other, SPEC, "CCCC")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert store.merge(other)[SPEC] == 1
    assert np.array_equal(EmbeddingStore(store.root).gather(SPEC, SEQUENCES), rows_of(SEQUENCES))
    assert EmbeddingStore(store.root).verify().sound


def test_what_cannot_be_merged_is_an_error(store: EmbeddingStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="with itself"):
        store.merge(store)
    with pytest.raises(StoreError, match="is not a store"):
        store.merge(tmp_path / "none")


@pytest.mark.parametrize("suffix", ["parquet", "safetensors"])
@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_what_is_exported_comes_back(tmp_path: Path, suffix: str, storage: str) -> None:
    spec = SPEC.model_copy(update={"storage": storage})
    store, path = EmbeddingStore(tmp_path / "store"), tmp_path / f"rows.{suffix}"
    rows = np.random.default_rng(0).standard_normal((4, 7)).astype(np.float32)
    store.put(spec, SEQUENCES[:3], rows[:3])
    store.put(spec, SEQUENCES[2:], rows[2:])
    assert store.export(path) == 4
    other = EmbeddingStore(tmp_path / "other")
    assert other.import_file(path) == (spec, 4)
    assert other.gather(spec, SEQUENCES).tobytes() == store.gather(spec, SEQUENCES).tobytes()
    assert other.import_file(path) == (spec, 0)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [path.name]


def test_exported_parquet_is_a_table_that_pandas_reads(store: EmbeddingStore, tmp_path: Path) -> None:
    assert store.export(tmp_path / "rows.parquet", SPEC) == 4
    table = pd.read_parquet(tmp_path / "rows.parquet")
    assert sorted(table["sequence"]) == sorted(SEQUENCES)
    assert np.array_equal(np.stack(table["embedding"]), rows_of(list(table["sequence"])))


def test_what_cannot_be_exported_is_an_error(store: EmbeddingStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="2 specs; name the spec"):
        store.export(tmp_path / "rows.parquet")
    for suffix in ("parquet", "safetensors"):
        with pytest.raises(StoreError, match="no rows"):
            store.export(tmp_path / f"rows.{suffix}", OTHER)
    with pytest.raises(ValueError, match=r"\.parquet or \.safetensors"):
        store.export(tmp_path / "rows.csv", SPEC)
    with pytest.raises(StoreError, match="cannot be written"):
        store.export(tmp_path / "none" / "rows.parquet", SPEC)
    assert not list(tmp_path.glob("rows*"))


@pytest.mark.parametrize("suffix", ["parquet", "safetensors"])
@given(place=st.floats(0, 0.9999), bit=st.integers(0, 7), cut=st.booleans())
@examples(100)
def test_a_damaged_export_never_gives_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, place: float, bit: int, cut: bool
) -> None:
    root = tmp_path_factory.mktemp("export")
    store, path = EmbeddingStore(root / "store"), root / f"rows.{suffix}"
    store.put(SPEC, SEQUENCES, rows_of(SEQUENCES))
    store.export(path)
    content = path.read_bytes()
    at = int(place * len(content))
    flipped = content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
    path.write_bytes(content[:at] if cut else flipped)
    other = EmbeddingStore(root / "other")
    try:
        spec, _ = other.import_file(path)
        assert spec.resolve() == SPEC.resolve()
    except StoreError:
        pass
    assert not cut or not other.root.exists()
    assert [one.spec.resolve() for one in other.stats().specs] in ([], [SPEC.resolve()])
    assert all(np.array_equal(row, rows_of([one])[0]) for one, row in other.get(SPEC, SEQUENCES).items())


def test_damaged_rows_that_are_left_behind_are_said(store: EmbeddingStore, tmp_path: Path) -> None:
    flip(store, SPEC, "AAAA")
    with pytest.warns(RuntimeWarning, match="1 damaged rows were left out"):
        assert store.export(tmp_path / "rows.parquet", SPEC) == 3
    with pytest.warns(RuntimeWarning, match="1 damaged rows were left out"):
        assert EmbeddingStore(tmp_path / "other").merge(store)[SPEC] == 3
