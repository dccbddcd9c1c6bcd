"""Several writers of several specs share the work of one store."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore, ExtractorSpec, StoreError, embed_views
from antibody_esm.store.claims import Claims
from antibody_esm.store.segments import as_bytes, keys_of
from antibody_esm.store.store import MemoryStore
from processes import fork
from stores import fill
from test_store_faults import SPEC, some_sequences, truth

VIEWS = [SPEC.model_copy(update={"layer": layer}) for layer in (4, 5, 6)]


def fill_views(
    store: EmbeddingStore | MemoryStore, specs: list[ExtractorSpec], sequences: list[str], log: Path
) -> list:
    """Fill a store as every writer does; the log has a line for each row: specs and sequence."""
    with store.session(specs, sequences) as session:
        while missing := session.missing:
            for batch in session.claim([missing[i : i + 8] for i in range(0, len(missing), 8)]):
                time.sleep(0.01 * random.random())
                with log.open("a") as file:
                    file.write("".join(f"{spec.layer} {one}\n" for spec in batch.specs for one in batch.sequences))
                session.put(batch, [truth(batch.sequences) + spec.layer for spec in batch.specs])
            session.wait()
        return session.rows()


def _check(root: Path, specs: list[ExtractorSpec], sequences: list[str], log: Path) -> None:
    rows = fill_views(EmbeddingStore(root), specs, sequences, log)
    for spec, found in zip(specs, rows, strict=True):
        assert np.array_equal(found, truth(sequences) + spec.layer)


def lines(*logs: Path) -> list[str]:
    return [line for log in logs if log.exists() for line in log.read_text().splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_four_writers_of_the_same_views_compute_each_row_once(tmp_path: Path) -> None:
    sequences = some_sequences(800)
    logs = [tmp_path / str(number) for number in range(4)]
    writers = [fork(_check, tmp_path / "store", VIEWS, sequences, log) for log in logs]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert set(lines(*logs)) == {f"{spec.layer} {one}" for spec in VIEWS for one in sequences}
    assert len(lines(*logs)) <= 1.01 * 3 * len(sequences), "under one in a hundred was computed twice"
    assert all(lines(log) for log in logs), "all took part"
    assert not list(tmp_path.rglob("*.claim"))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_writer_of_one_view_leaves_to_the_others_what_they_have_claimed(tmp_path: Path) -> None:
    sequences = some_sequences(400)
    for number, single in enumerate(VIEWS):
        root, logs = tmp_path / f"store{number}", [tmp_path / f"{number}{name}" for name in ("all", "one")]
        writers = [
            fork(_check, root, specs, sequences, log) for specs, log in zip((VIEWS, [single]), logs, strict=True)
        ]
        for writer in writers:
            writer.join()
            assert writer.exitcode == 0
        assert set(lines(*logs)) == {f"{spec.layer} {one}" for spec in VIEWS for one in sequences}
        alone = lines(logs[1])
        assert len(alone) < len(sequences), "it left to the other what that had claimed"
        # A pass for the other views gives this one too, so a row that the writer of one view had claimed may be there
        # twice; no other is.
        assert len(lines(*logs)) - 3 * len(sequences) <= len(alone)


def test_views_are_claimed_together_and_each_of_them_alone(tmp_path: Path) -> None:
    sequences = some_sequences(16)
    store = EmbeddingStore(tmp_path)
    with store.session(VIEWS, sequences) as session:
        batches = session.claim([sequences[:8], sequences[8:]])
        taken = next(batches)
        assert taken.specs == tuple(spec.resolve() for spec in VIEWS)
        for spec in VIEWS:
            other = Claims(tmp_path / spec.resolve().fingerprint)
            other.open()
            keys = as_bytes(keys_of(sequences))
            assert other.take(keys) == [one not in taken.sequences for one in sequences]
            other.close()


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=12))
@settings(max_examples=25)
def test_only_rows_that_lack_are_computed_whatever_is_there(
    tmp_path_factory: pytest.TempPathFactory, there: list[list[bool]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("session")
    sequences = some_sequences(len(there))
    for store in (EmbeddingStore(tmp_path / "store"), MemoryStore()):
        for number, spec in enumerate(VIEWS):
            stored = [one for one, has in zip(sequences, there, strict=True) if has[number]]
            store.put(spec, stored, truth(stored) + spec.layer)
        log = tmp_path / type(store).__name__
        rows = fill_views(store, [*VIEWS, VIEWS[0]], [*sequences, sequences[0]], log)
        for spec, found in zip([*VIEWS, VIEWS[0]], rows, strict=True):
            assert np.array_equal(found, truth([*sequences, sequences[0]]) + spec.layer)
        assert sorted(lines(log)) == sorted(
            f"{spec.layer} {one}"
            for one, has in zip(sequences, there, strict=True)
            for spec, here in zip(VIEWS, has, strict=True)
            if not here
        )


def test_a_session_that_ends_in_an_error_gives_up_its_claims(tmp_path: Path) -> None:
    sequences = some_sequences(8)

    def fail(_: list[str]) -> np.ndarray:
        assert len(list(tmp_path.rglob("*.claim"))) == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill(EmbeddingStore(tmp_path), SPEC, sequences, fail)
    assert not list(tmp_path.rglob("*.claim"))
    assert not [thread for thread in threading.enumerate() if thread.name == "antibody_esm-claims"]


def test_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    sequences = some_sequences(8)
    store = EmbeddingStore(tmp_path)
    store.put(SPEC, sequences[:1], truth(sequences[:1]))
    for one in (store, MemoryStore()):
        one.put(SPEC, sequences[:1], truth(sequences[:1]))
        with pytest.raises(StoreError, match="has rows of 24 numbers, but got rows of 5"):
            fill(one, SPEC, sequences, lambda some: np.ones((len(some), 5), np.float32))


def test_fill_is_deprecated_and_still_fills(tmp_path: Path) -> None:
    sequences = some_sequences(20)
    kept: list[str] = []

    def compute(missing: list[str], choose: Callable, keep: Callable) -> Iterator[tuple[list[int], np.ndarray]]:
        for indices in choose([[i, i + 1] for i in range(0, len(missing), 2)]):
            some = [missing[i] for i in indices]
            kept.extend(some)
            keep(some, truth(some))
            yield indices, truth(some)

    for store in (EmbeddingStore(tmp_path), MemoryStore()):
        kept.clear()
        store.put(SPEC, sequences[:2], truth(sequences[:2]))
        for _ in range(2):
            with pytest.warns(DeprecationWarning, match="use session"):
                assert np.array_equal(store.fill(SPEC, sequences, compute), truth(sequences))
        assert sorted(kept) == sorted(sequences[2:])


PROGRAM = """
import sys
from antibody_esm import *
from antibody_esm.plm.model import Model
whole = Model.run
def counted(self, sequences, *further):
    rows = whole(self, sequences, *further)
    print(len(sequences), flush=True)
    return rows
Model.run = counted
sequences = {sequences!r}
views = {spec!r}.views([1, 2], ["mean", "max"])
embed_views(sequences, views, {root!r}, RuntimeSpec(workers=1, batch_tokens=40, device="cpu"))
"""


def start(tiny: ExtractorSpec, root: Path, sequences: list[str]) -> subprocess.Popen[str]:
    program = PROGRAM.format(sequences=sequences, spec=tiny, root=str(root))
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


MANY = ["W" * n + "C" * m for n in range(1, 30) for m in range(7)]


def test_embed_views_that_is_killed_keeps_all_but_one_batch_of_each_view(tiny: ExtractorSpec, tmp_path: Path) -> None:
    distinct = list(dict.fromkeys(MANY))
    with start(tiny, tmp_path, MANY) as run:
        assert run.stdout is not None
        computed = [int(run.stdout.readline()) for _ in range(20)]
        run.kill()
        computed += [int(line) for line in run.stdout.read().split()]
    views = tiny.views([1, 2], ["mean", "max"])
    kept = [EmbeddingStore(tmp_path).count(view) for view in views]
    assert 0 < min(kept) <= max(kept) < len(distinct)
    assert sum(computed) - min(kept) <= max(computed), "one worker, one batch"
    found, expected = embed_views(MANY, views, tmp_path), embed_views(MANY, views)
    assert all(np.array_equal(*both) for both in zip(found, expected, strict=True))


def test_two_processes_that_run_embed_views_share_the_work(tiny: ExtractorSpec, tmp_path: Path) -> None:
    distinct = list(dict.fromkeys(MANY))
    with start(tiny, tmp_path, MANY) as one, start(tiny, tmp_path, MANY) as other:
        computed = [sum(map(int, run.communicate(timeout=120)[0].split())) for run in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0)
    assert len(distinct) <= sum(computed) <= 1.05 * len(distinct), (
        "at most a batch in which both were at the same moment"
    )
    views = tiny.views([1, 2], ["mean", "max"])
    for view, expected in zip(views, embed_views(MANY, views), strict=True):
        assert np.array_equal(EmbeddingStore(tmp_path).gather(view, MANY), expected)


def test_two_threads_that_run_embed_views_share_the_work(tiny: ExtractorSpec, tmp_path: Path) -> None:
    views, done = tiny.views([1, 2], ["mean", "max"]), [[], []]
    sequences = some_sequences(300)
    expected = embed_views(sequences, views)
    computed: list[str] = []
    threads = [
        threading.Thread(target=lambda rows=rows: rows.extend(embed_views(sequences, views, tmp_path))) for rows in done
    ]
    with pytest.MonkeyPatch.context() as patch:
        from antibody_esm.plm.model import Model

        whole = Model.run
        patch.setattr(Model, "run", lambda self, some, *more: (computed.extend(some), whole(self, some, *more))[1])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for rows in done:
        assert all(np.array_equal(*both) for both in zip(rows, expected, strict=True))
    assert set(computed) == set(sequences)
    assert len(computed) <= 1.05 * len(sequences)
