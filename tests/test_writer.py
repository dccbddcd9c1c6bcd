"""Merging loses nothing, hides nothing from those who read meanwhile, and does not fill the disk."""

import os
import stat
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import EmbeddingStore, StoreError
from antibody_esm.store import folder as reading
from antibody_esm.store import writer as adding
from antibody_esm.store.folder import Folder
from antibody_esm.store.segments import keys_of
from effort import PATIENCE, STRESS
from stores import MAX, OTHER, SPEC, fill, folder_of, rows_of

MANY = ["W" * n + "C" for n in range(1, 90)]


def folder(root: Path) -> Folder:
    return Folder(root, SPEC.resolve())


def small_segments(root: Path, sequences: list[str]) -> EmbeddingStore:
    """A store with one segment a sequence, as writers that were killed leave it."""
    EmbeddingStore(root).put(SPEC, sequences[:1], rows_of(sequences[:1]))
    for sequence in sequences[1:]:
        folder(root).write([sequence], rows_of([sequence]))
    return EmbeddingStore(root)


def merge_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody merge everything after the segments were listed and before any is opened."""
    opening, done = Folder._open, []

    def open_after_merging(self: Folder, path: Path) -> object:
        if not done:
            done.append(True)
            other = folder(root)
            adding.merge(other, other.index().segments)
        return opening(self, path)

    monkeypatch.setattr(Folder, "_open", open_after_merging)


def test_a_row_is_found_while_its_segment_is_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = ["AAAA", "CCCC", "DDDD"]
    store = small_segments(tmp_path, sequences)
    merge_once(tmp_path, monkeypatch)
    assert np.array_equal(store.gather(SPEC, sequences), rows_of(sequences))
    assert len(list(tmp_path.rglob("*.joblib"))) == 1


def test_readers_find_every_row_while_writers_merge(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, ["WWWW"], rows_of(["WWWW"]))
    ended, absent, reads = threading.Event(), [], []

    def read(shared: bool) -> None:
        while not ended.is_set():
            found = (store if shared else EmbeddingStore(tmp_path)).get(SPEC, ["WWWW"])
            reads.append(1)
            absent.extend([1] if not found else [])

    readers = [threading.Thread(target=read, args=(shared,)) for shared in (True, True, False, False)]
    for reader in readers:
        reader.start()
    for sequence in MANY * 2 if STRESS else MANY:
        EmbeddingStore(tmp_path).put(SPEC, [sequence], rows_of([sequence]))
        here = folder(tmp_path)
        adding.merge(here, here.index().segments)
    ended.set()
    for reader in readers:
        reader.join()
    assert len(reads) > 100
    assert not absent


def test_an_export_follows_rows_that_are_merged_meanwhile(tmp_path: Path) -> None:
    sequences = ["AAAA", "CCCC", "DDDD"]
    small_segments(tmp_path, sequences)
    blocks = folder(tmp_path).sound_rows()
    found = list(next(blocks)[0])
    other = folder(tmp_path)
    adding.merge(other, other.index().segments)
    for some, rows, damaged in blocks:
        assert np.array_equal(rows, rows_of(some).reshape(-1, 4))
        assert not damaged
        found += some
    assert sorted(found) == sequences


def test_two_who_merge_the_same_leave_one_copy(tmp_path: Path) -> None:
    store = small_segments(tmp_path, MANY[:70])
    one, other = folder(tmp_path), folder(tmp_path)
    listed = one.index().segments
    other.write(MANY[:70], rows_of(MANY[:70]))  # the other has merged, and was killed before it removed anything
    adding.merge(one, listed)
    assert len(list(tmp_path.rglob("*.joblib"))) == 2
    store.put(SPEC, ["WWWW"], rows_of(["WWWW"]))
    assert len(list(tmp_path.rglob("*.joblib"))) == 2, "one copy, and the new row"
    assert np.array_equal(store.gather(SPEC, MANY[:70]), rows_of(MANY[:70]))


def test_a_copy_goes_only_if_the_newer_one_is_sound(tmp_path: Path) -> None:
    store = small_segments(tmp_path, ["AAAA"])
    newer = folder(tmp_path).write(["AAAA", "CCCC"], rows_of(["AAAA", "CCCC"])).path
    content = newer.read_bytes()
    place = content.index(rows_of(["AAAA"]).tobytes())
    newer.write_bytes(content[:place] + b"\x55" + content[place + 1 :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store.put(SPEC, ["WWWW"], rows_of(["WWWW"]))
        assert np.array_equal(EmbeddingStore(tmp_path).gather(SPEC, ["AAAA", "WWWW"]), rows_of(["AAAA", "WWWW"]))


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_what_this_user_may_not_remove_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = small_segments(tmp_path, MANY[:70])
    here = folder_of(store, SPEC)
    here.chmod(0o1777)
    owner = here.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    before = len(list(here.glob("*.joblib")))
    for sequence in MANY[70:75]:
        store.put(SPEC, [sequence], rows_of([sequence]))
    assert len(list(here.glob("*.joblib"))) == before + 5


def test_a_merge_that_failed_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merging, failures = adding.merge, iter([True] * 2)

    def merge(*arguments: object) -> object:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        return merging(*arguments)

    monkeypatch.setattr(adding, "merge", merge)
    with adding.writing(folder(tmp_path), SPEC) as writer:
        for sequence in MANY:
            writer.put([sequence], rows_of([sequence]))
    assert len(list(tmp_path.rglob("*.joblib"))) < 20
    assert np.array_equal(EmbeddingStore(tmp_path).gather(SPEC, MANY), rows_of(MANY))


def test_rows_of_another_length_are_refused_before_they_are_written(store: EmbeddingStore) -> None:
    for rows in (rows_of(["WWWW"], 5), rows_of(["WWWW"], 3)):
        with pytest.raises(StoreError, match="has rows of 4 numbers, but got rows of"):
            EmbeddingStore(store.root).put(SPEC, ["WWWW"], rows)
    with pytest.raises(ValueError, match="one row for each"):
        store.put(SPEC, ["WWWW"], np.empty((1, 0)))
    assert store.stats().rows == 6
    longer = EmbeddingStore(store.root.parent / "longer")
    longer.put(SPEC, ["WWWW"], rows_of(["WWWW"], 5))
    with pytest.raises(StoreError, match="has rows of 4 numbers, but got rows of 5"):
        store.merge(longer)
    longer.export(store.root.parent / "longer.parquet")
    with pytest.raises(StoreError, match="has rows of 4 numbers, but got rows of 5"):
        store.import_file(store.root.parent / "longer.parquet")
    assert store.verify().sound


def test_segments_swapped_between_two_folders_are_computed_again(store: EmbeddingStore) -> None:
    (one,), (other,) = (list(folder_of(store, spec).glob("*.joblib")) for spec in (SPEC, MAX))
    swapped = one.read_bytes(), other.read_bytes()
    other.write_bytes(swapped[0])
    one.write_bytes(swapped[1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = fill(EmbeddingStore(store.root), SPEC, ["EVQL", "WWWW"], rows_of)
        assert np.array_equal(rows, rows_of(["EVQL", "WWWW"]))
        assert np.array_equal(EmbeddingStore(store.root).gather(SPEC, ["EVQL", "WWWW"]), rows_of(["EVQL", "WWWW"]))


def test_one_sequence_has_one_row(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    with pytest.raises(ValueError, match="the sequence AAAA has two different rows"):
        store.put(SPEC, ["AAAA", "CCCC", "aaaa"], [[1, 2], [3, 4], [1, 3]])
    store.put(SPEC, ["AAAA", "CCCC", "aaaa"], [[1, 2], [3, 4], [1, 2]])
    assert store.gather(SPEC, ["CCCC", "AAAA"]).tolist() == [[3, 4], [1, 2]]
    assert store.count(SPEC) == 2


def test_what_was_stored_between_looking_and_writing_is_not_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EmbeddingStore(tmp_path).put(SPEC, ["EVQL"], rows_of(["EVQL"]))
    looking = Folder.read

    def read(self: Folder, keys: np.ndarray) -> reading.Found:
        found = looking(self, keys)
        if not EmbeddingStore(tmp_path).contains(SPEC, ["AAAA"]).all():
            folder(tmp_path).write(["AAAA"], rows_of(["AAAA"]))
            self.index()  # as another thread that shares the store would
        return found

    asked: list[str] = []

    def compute(missing: list[str]) -> np.ndarray:
        asked.extend(missing)
        return rows_of(missing)

    monkeypatch.setattr(Folder, "read", read)
    sequences = ["EVQL", "AAAA", "CCCC"]
    assert np.array_equal(fill(EmbeddingStore(tmp_path), SPEC, sequences, compute, batch=1), rows_of(sequences))
    assert asked == ["CCCC"]


def test_where_warnings_are_errors_a_damaged_row_is_an_error_once(store: EmbeddingStore) -> None:
    (segment,) = folder_of(store, SPEC).glob("*.joblib")
    content = segment.read_bytes()
    place = content.index(rows_of(["AAAA"]).tobytes())
    segment.write_bytes(content[:place] + b"\x55" + content[place + 1 :])
    again = EmbeddingStore(store.root)
    with pytest.raises(RuntimeWarning, match="1 damaged rows"):
        again.get(SPEC, ["AAAA"])
    assert again.get(SPEC, ["AAAA"]) == {}
    again.put(SPEC, ["AAAA"], rows_of(["AAAA"]))
    assert np.array_equal(EmbeddingStore(store.root).gather(SPEC, ["AAAA", "EVQL"]), rows_of(["AAAA", "EVQL"]))


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_users_mask_locks_no_colleague_out_of_a_shared_store(tmp_path: Path) -> None:
    for mode, file_mode in ((0o2770, 0o660), (0o700, 0o600)):
        root = tmp_path / str(mode)
        root.mkdir()
        root.chmod(mode)
        mask = os.umask(0o077)
        try:
            EmbeddingStore(root).put(SPEC, ["EVQL"], rows_of(["EVQL"]))
        finally:
            os.umask(mask)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}
        assert modes == {file_mode}


def test_a_time_that_no_clock_shows_leaves_later_segments_their_names(tmp_path: Path) -> None:
    store = small_segments(tmp_path, ["AAAA"])
    (segment,) = tmp_path.rglob("*.joblib")
    segment.rename(segment.with_name("9" * 20 + segment.name[20:]))
    store.put(SPEC, ["CCCC"], rows_of(["CCCC"]))
    assert {len(path.name.split("-")[0]) for path in tmp_path.rglob("*.joblib")} == {20}
    assert store.gather(SPEC, ["AAAA", "CCCC"]).shape == (2, 4)


def test_a_folder_that_keeps_changing_is_not_looked_at_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_segments(tmp_path, ["AAAA"])
    monkeypatch.setattr(reading, "_PATIENCE", 4)

    def gone(*_: object) -> None:
        raise reading._GoneError

    monkeypatch.setattr(Folder, "_open", gone)
    began = time.monotonic()
    with pytest.raises(StoreError, match="segments were removed"):
        store.get(SPEC, ["AAAA"])
    assert time.monotonic() - began < PATIENCE


def test_merging_int8_rows_takes_memory_in_proportion(tmp_path: Path) -> None:
    spec = OTHER.model_copy(update={"storage": "int8"})
    here = Folder(tmp_path, spec.resolve())
    EmbeddingStore(tmp_path).put(spec, MANY[:2], np.ones((2, 64)))
    here.write(MANY[2:4], np.ones((2, 64), np.float32))
    assert [adding._weight(one) for one in here.index().segments] == [2 * (64 * 4 + adding._TEXT)] * 2, (
        "as float32, not as stored"
    )
    assert here.read(keys_of(MANY[:4])).rows.shape == (4, 64)
