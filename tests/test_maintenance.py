import json
import os
import shutil
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, StoreError, embed
from antibody_esm.store.claims import Claims
from antibody_esm.store.maintenance import readable
from test_store import OTHER, SPEC, rows_of

SEQUENCES = ["EVQL", "QVQL", "AAAA", "CCCC"]
MAX = SPEC.model_copy(update={"pooling": "max", "model": "a/model-with-quite-a-long-name-of-more-than-one-line"})


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    store = EmbeddingStore(tmp_path / "store")
    store.put(SPEC, SEQUENCES, rows_of(SEQUENCES))
    store.put(MAX, SEQUENCES[:2], rows_of(SEQUENCES[:2], 5))
    return store


def folder_of(store: EmbeddingStore, spec: ExtractorSpec) -> Path:
    return store.root / spec.resolve().fingerprint


def flip(store: EmbeddingStore, spec: ExtractorSpec, sequence: str) -> None:
    (segment,) = folder_of(store, spec).glob("*.joblib")
    content = segment.read_bytes()
    place = content.index(rows_of([sequence]).tobytes())
    segment.write_bytes(content[:place] + b"\x55" + content[place + 1 :])


def test_stats_count_what_is_there(store: EmbeddingStore) -> None:
    store.put(SPEC, ["EVQL", "WWWW"], rows_of(["EVQL", "WWWW"]))
    (folder_of(store, MAX) / "x.tmp").write_bytes(b"12345")
    found = {one.fingerprint: one for one in store.stats().specs}
    mean, max_ = found[SPEC.resolve().fingerprint], found[MAX.resolve().fingerprint]
    assert (mean.rows, mean.dim, mean.segments, mean.leftovers, mean.writers) == (5, 4, 2, 0, 0)
    assert (max_.rows, max_.dim, max_.segments, max_.leftovers) == (2, 5, 1, 5)
    assert mean.bytes == sum(path.stat().st_size for path in folder_of(store, SPEC).glob("*.joblib"))
    assert (store.stats().rows, mean.spec, max_.spec) == (7, SPEC, MAX)
    assert mean.written is not None
    text = str(store.stats())
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "5 B left over; gc removes it" in text
    assert "layer 6, max" in text
    claims = Claims(folder_of(store, MAX))
    claims.open()
    assert "1 writing now" in str(store.stats())
    claims.close()


def test_an_empty_store_has_no_stats(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "none")
    assert store.stats().specs == store.verify().specs == store.gc(keep=[]).items == ()
    assert store.stats().bytes == 0
    assert str(store.stats()).splitlines()[-1] == "0 specs, 0 rows, 0 B"
    assert not (tmp_path / "none").exists()


def test_verify_finds_every_damaged_row(store: EmbeddingStore) -> None:
    assert store.verify().sound
    assert "every row is what was written" in str(store.verify())
    flip(store, SPEC, "AAAA")
    (segment,) = folder_of(store, MAX).glob("*.joblib")
    segment.write_bytes(segment.read_bytes()[:100])
    with pytest.warns(RuntimeWarning, match="is cut off"):
        found = EmbeddingStore(store.root).verify()
    checks = {one.fingerprint: one for one in found.specs}
    mean, max_ = checks[SPEC.resolve().fingerprint], checks[MAX.resolve().fingerprint]
    assert (mean.rows, mean.damaged_rows, mean.damaged_files) == (3, 1, 0)
    assert (max_.rows, max_.damaged_rows, max_.damaged_files) == (0, 0, 1)
    assert not found.sound
    assert all(len(line) <= 80 for line in str(found).splitlines())


def test_verify_finds_a_sequence_that_is_not_the_one_its_key_was_made_from(store: EmbeddingStore) -> None:
    (segment,) = folder_of(store, SPEC).glob("*.joblib")
    segment.write_bytes(segment.read_bytes().replace(b"AAAACCCC", b"AAAACCCW"))
    assert [one.damaged_rows for one in store.verify().specs if one.rows > 2] == [1]


def test_verify_computes_a_sample_again_and_says_how_far_it_is_off(tiny: ExtractorSpec, tmp_path: Path) -> None:
    sequences = ["A" * n for n in range(1, 31)]
    embed(sequences, tiny, tmp_path)
    extractor = Extractor(tiny)
    (check,) = EmbeddingStore(tmp_path).verify(extractor, sample=10).specs
    assert (check.rows, check.recomputed, check.max_difference) == (30, 10, 0.0)
    assert extractor.computed == 10
    assert "10 rows computed again" in str(EmbeddingStore(tmp_path).verify(extractor, sample=10))
    (all_,) = EmbeddingStore(tmp_path).verify(extractor, sample=100).specs
    assert (all_.recomputed, all_.max_difference) == (30, 0.0)

    wrong = EmbeddingStore(tmp_path / "wrong")
    wrong.put(tiny, sequences, Extractor(tiny).embed(sequences) + np.float32(0.25))
    (check,) = wrong.verify(extractor).specs
    assert check.sound, "checksums say that rows are what was written, not that they are right"
    assert check.max_difference == pytest.approx(0.25, abs=1e-5)
    other = Extractor(tiny.model_copy(update={"pooling": "max"}))
    assert [one.max_difference for one in wrong.verify(other).specs] == [None]


def test_gc_says_first_and_removes_only_when_asked(store: EmbeddingStore) -> None:
    said = store.gc(keep=[SPEC])
    assert [one.path for one in said.items] == [folder_of(store, MAX)]
    assert said.bytes > 0
    assert "would be removed" in str(said)
    assert store.count(MAX) == 2
    done = store.gc(keep=[SPEC], dry_run=False)
    assert [(one.path, one.bytes) for one in done.items] == [(one.path, one.bytes) for one in said.items]
    assert str(done).endswith(" removed")
    assert os.listdir(store.root) == [SPEC.resolve().fingerprint]  # noqa: PTH208
    assert store.count(MAX) == 0
    assert np.array_equal(store.gather(SPEC, SEQUENCES), rows_of(SEQUENCES))


def test_gc_by_age(store: EmbeddingStore) -> None:
    for path in folder_of(store, MAX).rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert [one.path for one in store.gc(older_than=timedelta(days=30)).items] == [folder_of(store, MAX)]
    assert store.gc(older_than=timedelta(days=30), keep=[MAX]).items == ()
    assert len(store.gc(older_than=timedelta(), keep=[]).items) == 2


def test_gc_leaves_a_spec_that_is_being_written(store: EmbeddingStore) -> None:
    claims = Claims(folder_of(store, MAX))
    claims.open()
    assert store.gc(keep=[SPEC], dry_run=False).items == ()
    claims.close()
    assert len(store.gc(keep=[SPEC], dry_run=False).items) == 1


def test_gc_removes_what_crashes_and_damage_left_and_nothing_else(store: EmbeddingStore) -> None:
    folder = folder_of(store, SPEC)
    for name in ("old.tmp", "new.tmp", "x.damaged"):
        (folder / name).write_bytes(b"123")
    os.utime(folder / "old.tmp", (1e9, 1e9))
    shutil.copytree(folder_of(store, MAX), store.root / f"{'f' * 64}.12.removed")
    reasons = {one.path.name: one.reason for one in store.gc(dry_run=False).items}
    assert reasons == {
        "old.tmp": "never finished",
        "x.damaged": "found damaged",
        f"{'f' * 64}.12.removed": "was being removed",
    }
    assert (folder / "new.tmp").exists()
    assert store.stats().rows == 6
    assert len(os.listdir(store.root)) == 2  # noqa: PTH208


def test_gc_removes_no_file_that_is_not_a_stores(store: EmbeddingStore, tmp_path: Path) -> None:
    (store.root / "notes").mkdir()
    (store.root / "notes" / "thesis.txt").write_text("mine")
    mine = folder_of(store, MAX) / "thesis.txt"
    mine.write_text("mine")
    with pytest.raises(StoreError, match="not a store's file"):
        store.gc(keep=[], dry_run=False)
    assert mine.exists()
    assert store.count(MAX) == 2
    mine.unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.joblib").write_text("mine")
    (folder_of(store, MAX) / "claims").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a store's file"):
        store.gc(keep=[], dry_run=False)
    assert (tmp_path / "elsewhere" / "a.joblib").exists()
    assert (store.root / "notes" / "thesis.txt").exists()


def test_a_folder_with_a_description_of_something_else_is_left_out_and_said(store: EmbeddingStore) -> None:
    description = folder_of(store, MAX) / "spec.json"
    fields = json.loads(description.read_text())
    for broken in ({**fields, "spec": {}}, {**fields, "spec": {**fields["spec"], "layer": 7}}, {"format": 99}, []):
        description.write_text(json.dumps(broken))
        with pytest.warns(RuntimeWarning, match="left out"):
            assert len(store.stats().specs) == 1
    description.write_text(json.dumps({**fields, "written_as": {**fields["written_as"], "pooling": "mean"}}))
    with pytest.warns(RuntimeWarning, match="not written as"):
        assert len(store.stats().specs) == 1


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sampled_from(["float32", "float16", "int8"]))
@settings(max_examples=20)
def test_a_merged_store_is_the_union(
    tmp_path_factory: pytest.TempPathFactory, here: set[int], there: set[int], storage: str
) -> None:
    root, spec = tmp_path_factory.mktemp("stores"), SPEC.model_copy(update={"storage": storage})
    one, other = EmbeddingStore(root / "one"), EmbeddingStore(root / "other")
    other.put(OTHER, ["EVQL"], rows_of(["EVQL"]))
    for store, members in ((one, here), (other, there)):
        sequences = ["A" * (n + 1) for n in members]
        store.put(spec, sequences, rows_of(sequences) if members else np.empty((0, 4)))
    added = one.merge(other)
    assert added.get(spec, 0) == len(there - here)
    assert added[OTHER] == 1
    every = ["A" * (n + 1) for n in here | there]
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
    with pytest.raises(StoreError, match="is no store"):
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
    import pandas as pd

    assert store.export(tmp_path / "rows.parquet", SPEC) == 4
    table = pd.read_parquet(tmp_path / "rows.parquet")
    assert sorted(table["sequence"]) == sorted(SEQUENCES)
    assert np.array_equal(np.stack(table["embedding"]), rows_of(list(table["sequence"])))


def test_what_cannot_be_exported_is_an_error(store: EmbeddingStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="2 specs; name the one"):
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
@settings(max_examples=100)
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


def test_a_miss_says_why(store: EmbeddingStore, tmp_path: Path) -> None:
    wanted = SPEC.model_copy(update={"layer": 5})
    assert store.explain(wanted) == ["layer 6 -> 5"]
    with pytest.raises(StoreError, match=r"there are rows of any, layer 6, mean: layer 6 -> 5"):
        store.gather(wanted, ["EVQL"])
    with pytest.raises(StoreError, match="model bytes changed"):
        store.gather(OTHER, ["EVQL"])
    with pytest.raises(StoreError, match="the store is empty"):
        EmbeddingStore(tmp_path / "none").gather(SPEC, ["EVQL"])
    assert EmbeddingStore(tmp_path / "none").explain(SPEC) == []


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1.5e9, "1.5 GB"), (4.93e12, "4.93 TB")]
)
def test_sizes_are_read_by_people(size: float, text: str) -> None:
    assert readable(size) == text
