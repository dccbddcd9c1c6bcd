"""A store that somebody else can write to may give a StoreError, and nothing more."""

import io
import json
import os
import pickle
import struct
import tracemalloc
import warnings
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from antibody_esm import EmbeddingStore, StoreError
from antibody_esm.plm import checkpoints, resolution
from antibody_esm.store import claims
from antibody_esm.store.claims import Claims
from stores import MAX, OTHER, SPEC

SEQUENCES = ["EVQL", "QVQL", "AAAA"]


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def dumped(value: object, **options: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file, **options)
    return file.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    store = EmbeddingStore(tmp_path / "store")
    store.put(SPEC, SEQUENCES, np.ones((3, 4), np.float32))
    return store


def segment_of(store: EmbeddingStore, folder: Path | None = None) -> Path:
    (path,) = (folder or store.root).rglob("*.joblib")
    return path


def uses(store: EmbeddingStore) -> list:
    """Everything that reads or adds rows; each as a store that opens the folder for the first time."""
    root = store.root
    return [
        lambda: EmbeddingStore(root).get(SPEC, SEQUENCES),
        lambda: EmbeddingStore(root).gather(SPEC, SEQUENCES),
        lambda: EmbeddingStore(root).count(SPEC),
        lambda: EmbeddingStore(root).put(SPEC, ["WWWW"], np.ones((1, 4))),
        lambda: EmbeddingStore(root.parent / "mine").merge(root),
        lambda: EmbeddingStore(root).export(root.parent / "out.parquet", SPEC),
    ]


def refused(store: EmbeddingStore, match: str | None = None) -> None:
    """See that every use is an error, that what looks at the whole store says so, and goes on."""
    for use in uses(store):
        with pytest.raises(StoreError, match=match):
            use()
    other = EmbeddingStore(store.root)
    other.put(OTHER, ["EVQL"], np.ones((1, 4)))
    for look in (EmbeddingStore(store.root).stats, EmbeddingStore(store.root).verify):
        with pytest.warns(RuntimeWarning, match=match):
            found = look()
        assert [one.spec for one in found.specs] == [OTHER]
        assert len(found.left_out) == 1
        assert not getattr(found, "sound", False)
    with pytest.warns(RuntimeWarning, match=match):
        assert EmbeddingStore(store.root).explain(SPEC.model_copy(update={"layer": 5}))


def contents(kind: str, tmp_path: Path, honest: bytes) -> bytes:
    evil = Evil(tmp_path / "ran")
    arrays = joblib.load(io.BytesIO(honest))
    objects = np.array([evil], object)
    elsewhere = b"(X\x0b\x00\x00\x00/etc/passwdtR."
    return {
        "a pickled object": pickle.dumps(evil),
        "an object in joblib's format": dumped(evil),
        "an object among the arrays": dumped(arrays | {"rows": evil}),
        "an object beside the arrays": dumped(arrays | {"more": evil}),
        "an array of objects": dumped(arrays | {"rows": objects}),
        "an array of objects alone": dumped(objects),
        "code behind the arrays": honest + pickle.dumps(evil),
        "compressed": dumped({"rows": evil}, compress=3),
        "an array in another file": b"\x80\x04cjoblib.numpy_pickle_compat\nNDArrayWrapper\n" + elsewhere,
        "a mapped file": b"\x80\x04cjoblib._memmapping_reducer\n_strided_from_memmap\n" + elsewhere,
    }[kind]


KINDS = (
    "a pickled object",
    "an object in joblib's format",
    "an object among the arrays",
    "an object beside the arrays",
    "an array of objects",
    "an array of objects alone",
    "code behind the arrays",
    "compressed",
    "an array in another file",
    "a mapped file",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["in place of a segment", "beside the segments"])
def test_a_file_that_would_run_code_or_point_elsewhere_is_an_error(
    store: EmbeddingStore, tmp_path: Path, kind: str, place: str
) -> None:
    path = segment_of(store)
    crafted = contents(kind, tmp_path, path.read_bytes())
    target = path if place == "in place of a segment" else path.with_name("zzz.joblib")
    target.write_bytes(crafted)
    refused(store)
    assert not (tmp_path / "ran").exists()


def patched(content: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    def short(number: int) -> bytes:
        return b"K" + bytes([number])

    def long(number: int) -> bytes:
        return b"\x8a\x09" + number.to_bytes(9, "little", signed=True)

    honest = short(before[0]) + short(before[1]) + b"\x86"
    assert content.count(honest) == 1
    return content.replace(honest, long(after[0]) + long(after[1]) + b"\x86")


@pytest.mark.parametrize("shape", [(2**40, 4), (3, 2**40), (0, 2**40), (-1, 4), (2**62, 2**62)])
def test_an_absurd_shape_is_an_error_and_allocates_nothing(store: EmbeddingStore, shape: tuple[int, int]) -> None:
    path = segment_of(store)
    crafted = patched(path.read_bytes(), (3, 4), shape)
    EmbeddingStore(store.root).export(store.root.parent / "warm.parquet", SPEC)  # imports what it needs
    path.write_bytes(crafted)
    tracemalloc.start()
    try:
        refused(store)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_absurd_length_is_an_error_and_allocates_nothing(store: EmbeddingStore) -> None:
    segment_of(store).with_name("zzz.joblib").write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"abc")
    with pytest.raises(StoreError):
        EmbeddingStore(store.root).get(SPEC, SEQUENCES)


def test_a_segment_that_is_a_link_is_an_error(store: EmbeddingStore, tmp_path: Path) -> None:
    path = segment_of(store)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    refused(store, "symbolic link")


def test_a_folder_that_is_a_link_is_an_error(store: EmbeddingStore, tmp_path: Path) -> None:
    folder = segment_of(store).parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    for use in uses(store)[:4]:
        with pytest.raises(StoreError, match="symbolic link"):
            use()
    for use in (store.stats, store.verify, lambda: store.gc(keep=[], dry_run=False)):
        with pytest.warns(RuntimeWarning, match="symbolic link"):
            use()
    assert len(list((tmp_path / "elsewhere").glob("*.joblib"))) == 1


def test_a_description_that_is_a_link_is_an_error(store: EmbeddingStore, tmp_path: Path) -> None:
    path = segment_of(store).with_name("spec.json")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    for use in uses(store)[:4]:
        with pytest.raises(StoreError, match="symbolic link"):
            use()


def test_claims_are_not_written_through_a_link(store: EmbeddingStore, tmp_path: Path) -> None:
    folder = segment_of(store).parent
    (tmp_path / "elsewhere").mkdir()
    (folder / "claims").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a folder of its own"):
        Claims(folder).open()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_claims_of_others_that_are_none_are_passed_over(store: EmbeddingStore, tmp_path: Path) -> None:
    folder = segment_of(store).parent
    mine = Claims(folder)
    mine.open()
    try:
        for name in ("x.claim", "a-b-c.claim", f"{'0' * 16}-99999999999-{'0' * 16}.claim"):
            (folder / "claims" / name).write_bytes(b"x" * 100)
        assert mine.take([b"k" * 32]) == [True]
        (folder / "claims" / f"{'0' * 16}-1-{'0' * 16}.claim").symlink_to("/dev/zero")
        with pytest.raises(StoreError, match="symbolic link"):
            mine.take([b"l" * 32])
    finally:
        mine.close()


def test_a_claim_with_an_absurd_process_number_stops_nobody(store: EmbeddingStore) -> None:
    folder = segment_of(store).parent
    (folder / "claims").mkdir()
    for number in (0, 2**31, 9999999999):
        (folder / "claims" / f"{claims.host()}-{number}-{'0' * 16}.claim").write_bytes(b"")
    assert [one.writers for one in store.stats().specs] == [0]
    mine = Claims(folder)
    mine.open()
    assert mine.take([b"k" * 32]) == [True]
    mine.close()
    assert len(store.gc(keep=[OTHER]).items) == 1


def test_a_description_makes_nobody_look_for_a_model(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def located(*_: object) -> None:
        raise AssertionError("a model was looked for")

    monkeypatch.setattr(checkpoints, "locate", located)
    monkeypatch.setattr(resolution, "locate", located)
    path = segment_of(store).with_name("spec.json")
    fields = json.loads(path.read_text())
    for change in ({"truncation": True}, {"digest": None}, {"layer": None}, {"layer": -1}, {"max_length": 5}):
        path.write_text(json.dumps({**fields, "written_as": {**fields["written_as"], "model": "a/model", **change}}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for look in (store.stats, store.verify, store.gc):
                look()


def test_a_name_in_a_description_does_not_steer_a_terminal(store: EmbeddingStore) -> None:
    EmbeddingStore(store.root).put(MAX.model_copy(update={"model": "a\x1b[2J"}), ["EVQL"], np.ones((1, 4)))
    assert "\x1b" not in str(store.stats()) + str(store.verify())


def test_a_segment_with_one_absurdly_long_row_asks_for_no_more_than_it_holds(store: EmbeddingStore) -> None:
    EmbeddingStore(store.root).put(OTHER, ["EVQL"], np.ones((1, 500_000)))
    theirs, ours = (store.root / spec.resolve().fingerprint for spec in (OTHER, SPEC))
    segment_of(store, ours).unlink()
    segment_of(store, theirs).rename(ours / segment_of(store, theirs).name)
    sequences = ["EVQL", *("W" * n for n in range(1, 3000))]
    tracemalloc.start()
    try:
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert EmbeddingStore(store.root).get(SPEC, sequences) == {}
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_metadata_of_a_file_that_is_nested_without_end_is_an_error(tmp_path: Path) -> None:
    nested = "[" * 200_000
    path = tmp_path / "rows.safetensors"
    arrays = {
        "embeddings": np.ones((1, 1), np.float32),
        "sequences": np.array([65], np.uint8),
        "ends": np.array([1], np.uint64),
        "checksums": np.array([0], np.uint64),
    }
    save_file(arrays, path, metadata={"antibody_esm": nested})
    with pytest.raises(StoreError, match="not rows of an embedding store"):
        EmbeddingStore(tmp_path / "store").import_file(path)


def test_a_small_file_of_enormous_rows_is_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    width = 2**25
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(width, np.float32)), width)
    table = pa.table({"sequence": ["A"], "embedding": vectors, "checksum": pa.array([0], pa.uint64())})
    pq.write_table(table.replace_schema_metadata({"antibody_esm": "{}"}), path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(StoreError, match="rows are too large"):
        EmbeddingStore(tmp_path / "store").import_file(path)


def test_an_imported_file_runs_nothing(tmp_path: Path) -> None:
    for suffix in ("parquet", "safetensors"):
        for content in (pickle.dumps(Evil(tmp_path / "ran")), b"", b"PAR1", struct.pack("<Q", 2**60) + b"{}"):
            path = tmp_path / f"crafted.{suffix}"
            path.write_bytes(content)
            with pytest.raises(StoreError, match="not rows of an embedding store"):
                EmbeddingStore(tmp_path / "store").import_file(path)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "store").exists()
