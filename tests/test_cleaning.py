import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from antibody_esm import EmbeddingStore, StoreError
from antibody_esm.store import cleaning
from antibody_esm.store.claims import Claims
from stores import MAX, SEQUENCES, SPEC, folder_of, rows_of


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
    with pytest.raises(StoreError, match="not a file of a store"):
        store.gc(keep=[], dry_run=False)
    assert mine.exists()
    assert store.count(MAX) == 2
    mine.unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.joblib").write_text("mine")
    (folder_of(store, MAX) / "claims").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a file of a store"):
        store.gc(keep=[], dry_run=False)
    assert (tmp_path / "elsewhere" / "a.joblib").exists()
    assert (store.root / "notes" / "thesis.txt").exists()


def test_gc_removes_a_folder_that_was_begun_and_never_finished(store: EmbeddingStore) -> None:
    begun = store.root / ("e" * 64)
    begun.mkdir()
    (begun / "x.tmp").write_bytes(b"")
    assert store.gc().items == ()
    for path in (begun / "x.tmp", begun):
        os.utime(path, (1e9, 1e9))
    assert [(one.path, one.reason) for one in store.gc(dry_run=False).items] == [(begun, "never finished")]
    assert not begun.exists()


def test_gc_goes_by_the_clock_of_the_folder(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock is ahead of the file server's would take every writer for dead."""
    claims = Claims(folder_of(store, MAX))
    claims.open()
    there = claims._path.with_name(f"{'f' * 16}-1-{'0' * 16}.claim")  # of another machine, alive by the server's clock
    claims._path.rename(there)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert store.gc(keep=[SPEC], dry_run=False).items == ()
    there.unlink()
    claims.close()


def test_gc_passes_over_what_a_writer_merges_meanwhile(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = cleaning._segments

    def segments(folder: Path) -> list[Path]:
        return [*listing(folder), folder / "merged-meanwhile.joblib"]

    monkeypatch.setattr(cleaning, "_segments", segments)
    assert store.gc(older_than=timedelta(days=1)).items == ()


def test_what_would_go_is_said_in_80_columns(store: EmbeddingStore) -> None:
    (segment,) = folder_of(store, SPEC).glob("*.joblib")
    segment.rename(segment.with_suffix(".damaged"))
    assert all(len(line) <= 80 for line in str(store.gc(keep=[SPEC])).splitlines())
