"""What must never happen to a store: a wrong row, a crash on what a crash left, work that is lost or done twice.

Short here; ``make stress`` runs it in full.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, StoreError, embed
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.store import claims
from antibody_esm.store.claims import Claims
from antibody_esm.store.segments import as_bytes, keys_of
from effort import PATIENCE, STRESS
from processes import fork
from stores import fill

SPEC = ExtractorSpec(model="any", digest="0" * 64, layer=6)
OTHER = ExtractorSpec(model="any", digest="1" * 64, layer=6)
DIM = 24
BATCH = 8

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills, limits and mounts of Linux")


def some_sequences(count: int) -> list[str]:
    generator = random.Random(count)
    return ["".join(generator.choices(AMINO_ACIDS, k=12)) + "A" * (i % 7) for i in range(count)]


def truth(sequences: Iterable[str]) -> np.ndarray:
    """The only right row of each sequence."""
    rows = [np.frombuffer((sequence * DIM).encode()[:DIM], np.uint8) for sequence in sequences]
    return np.array(rows, np.float32).reshape(-1, DIM) / 7


def computing(log: Path | None = None, pause: float = 0.0) -> Callable[[list[str]], np.ndarray]:
    """A model that writes down which rows it has computed."""

    def compute(sequences: list[str]) -> np.ndarray:
        time.sleep(pause * random.random())
        if log is not None:
            with log.open("a") as file:
                file.write("".join(f"{sequence}\n" for sequence in sequences))
        return truth(sequences)

    return compute


def computed(*logs: Path) -> list[str]:
    return [line for log in logs if log.exists() for line in log.read_text().splitlines()]


def never(sequences: list[str]) -> np.ndarray:
    raise AssertionError(f"{len(sequences)} rows would be computed")


def kept_rows(root: Path, sequences: list[str], spec: ExtractorSpec = SPEC) -> set[str]:
    """Read what a store holds, and see that it is right."""
    found = EmbeddingStore(root).get(spec, sequences)
    assert all(np.array_equal(row, truth([sequence])[0]) for sequence, row in found.items())
    return set(found)


def _fill(root: Path, sequences: list[str], log: Path, pause: float) -> None:
    rows = fill(EmbeddingStore(root), SPEC, sequences, computing(log, pause))
    assert np.array_equal(rows, truth(sequences))


def test_a_writer_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    kills = 200 if STRESS else 25
    sequences, log, root = some_sequences(kills * 100), tmp_path / "log", tmp_path / "store"
    before: set[str] = set()
    generator = random.Random(0)
    for killed in range(1, kills + 1):
        writer = fork(_fill, root, sequences, log, 0.02)
        time.sleep(generator.uniform(0, 0.15))
        while killed == kills and not kept_rows(root, sequences):  # on a loaded machine none of them came so far
            time.sleep(0.01)
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL, "it was to be killed before it had finished"
        after = kept_rows(root, sequences)
        assert before <= after, "a row that was there is gone"
        lost = len(computed(log)) - len(after)
        assert lost <= killed * BATCH, "a kill costs one batch at most"
        before = after
    assert before, "some of it was done"
    _fill(root, sequences, log, 0)
    assert len(computed(log)) <= len(sequences) + kills * BATCH
    assert kept_rows(root, sequences) == set(sequences)


def test_a_run_of_a_model_that_is_killed_loses_one_batch_at_most(tiny: ExtractorSpec, tmp_path: Path) -> None:
    program = (
        "import sys; from antibody_esm import *\n"
        f"spec, sequences = {tiny!r}, ['W' * n + 'C' * m for n in range(1, 40) for m in range(9)]\n"
        "from antibody_esm.plm.model import Model\n"
        "whole = Model.run\n"
        "def counted(self, sequences, *further):\n"
        "    done = whole(self, sequences, *further)\n"
        "    print(len(sequences), flush=True)\n"
        "    return done\n"
        "Model.run = counted\n"
        f"embed(sequences, spec, {str(tmp_path)!r}, RuntimeSpec(workers=1, batch_tokens=40))\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    said = [int(run.stdout.readline()) for _ in range(20)]
    run.kill()
    said += [int(line) for line in run.stdout.read().split()]
    run.wait()
    run.stdout.close()
    sequences = ["W" * n + "C" * m for n in range(1, 40) for m in range(9)]
    kept = EmbeddingStore(tmp_path).count(tiny)
    assert 0 < kept < len(sequences)
    assert sum(said) - kept <= max(said), "one worker, one batch"
    extractor = Extractor(tiny, RuntimeSpec(workers=1))
    assert np.array_equal(embed(sequences, extractor, tmp_path), Extractor(tiny).embed(sequences))
    assert extractor.computed == len(set(sequences)) - kept


def test_eight_writers_share_the_work(tmp_path: Path) -> None:
    everything, root, generator = some_sequences(16_000 if STRESS else 2400), tmp_path / "store", random.Random(0)
    parts = [generator.sample(everything, len(everything) * 3 // 4) for _ in range(8)]
    logs = [tmp_path / str(number) for number in range(8)]
    writers = [fork(_fill, root, part, log, 0.02) for part, log in zip(parts, logs, strict=True)]
    before: set[str] = set()
    while any(writer.is_alive() for writer in writers):  # a reader, who waits for none of them
        after = kept_rows(root, everything)
        assert before <= after
        before = after
        time.sleep(0.1)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    done, wanted = computed(*logs), {sequence for part in parts for sequence in part}
    assert set(done) == wanted
    assert len(done) <= 1.01 * len(wanted), "under one in a hundred was computed twice"
    assert sum(1 for log in logs if computed(log)) >= 6, "nearly all took part"
    assert kept_rows(root, everything) == wanted
    assert not list(root.rglob("*.claim"))


def test_two_models_runs_share_the_work(tiny: ExtractorSpec, tmp_path: Path) -> None:
    sequences = some_sequences(400)
    extractors = [Extractor(tiny, RuntimeSpec(workers=1, batch_tokens=64)) for _ in range(2)]
    for extractor in extractors:
        extractor.embed(["A"])
    rows: list[np.ndarray | None] = [None, None]

    def run(number: int) -> None:
        rows[number] = embed(sequences, extractors[number], tmp_path)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = Extractor(tiny).embed(sequences)
    assert all(np.array_equal(one, expected) for one in rows)
    assert sum(extractor.computed - 1 for extractor in extractors) <= 1.01 * len(sequences)


def test_a_stopped_writer_keeps_no_reader_waiting_and_a_dead_one_nobody(tmp_path: Path) -> None:
    sequences, log = some_sequences(400), tmp_path / "log"
    root = tmp_path / "store"
    writer = fork(_fill, root, sequences, log, 0.05)
    while EmbeddingStore(root).count(SPEC) < 4 * BATCH:
        time.sleep(0.01)
    os.kill(writer.pid or 0, signal.SIGSTOP)
    assert kept_rows(root, sequences), "read while the writer cannot move"
    writer.kill()
    writer.join()
    assert list(root.rglob("*.claim")), "it left its claims"
    _fill(root, sequences, tmp_path / "second", 0)
    assert not list(root.rglob("*.claim"))


def test_claims_of_another_host_hold_until_it_gives_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_STALE", 0.5)
    monkeypatch.setattr(claims, "_BEAT", 0.1)
    sequences = some_sequences(3 * BATCH)
    EmbeddingStore(tmp_path).put(SPEC, sequences[:1], truth(sequences[:1]))
    folder = tmp_path / SPEC.resolve().fingerprint
    there = folder / "claims" / f"{'f' * 16}-1-{'0' * 16}.claim"
    there.parent.mkdir()
    there.write_bytes(b"".join(as_bytes(keys_of(sequences[BATCH : 2 * BATCH]))) + b"half a key")
    done: list[np.ndarray] = []
    log = tmp_path / "log"
    thread = threading.Thread(
        target=lambda: done.append(fill(EmbeddingStore(tmp_path), SPEC, sequences, computing(log)))
    )
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while len(computed(log)) < 2 * BATCH - 1 and time.monotonic() < deadline:
        os.utime(there)
        time.sleep(0.02)
    for _ in range(20):
        os.utime(there)
        time.sleep(0.02)
    assert set(computed(log)) == {*sequences[1:BATCH], *sequences[2 * BATCH :]}, "what is claimed is left alone"
    thread.join(60)  # no more signs of life
    assert np.array_equal(done[0], truth(sequences))
    assert sorted(computed(log)) == sorted(sequences[1:])


@pytest.mark.parametrize("seed", range(5))
def test_of_two_claims_at_once_at_most_one_holds_and_later_rounds_take_the_rest(tmp_path: Path, seed: int) -> None:
    left = as_bytes(keys_of(some_sequences(500)))
    rounds = 0
    while left:
        taken = one_round(tmp_path, left, seed=100 * seed + rounds)
        assert len(taken) == len(set(taken)), "no key is taken twice"
        left = [key for key in left if key not in taken]
        rounds += 1
        assert rounds < 50, "what several writers left at the same moment is taken in a later round"


def one_round(folder: Path, keys: list[bytes], seed: int) -> list[bytes]:
    """Return the keys taken by four writers that claim all keys side by side, each in its own order."""
    together = threading.Barrier(4)

    def take(number: int) -> list[bytes]:
        own = random.Random(seed + 1000 * number)
        writer, mine = Claims(folder), []
        writer.open()
        together.wait()
        time.sleep(own.uniform(0, 0.01))  # as sessions pause before their next round
        for start in own.sample(range(0, len(keys), 10), -(-len(keys) // 10)):
            batch = keys[start : start + 10]
            mine += [key for key, free in zip(batch, writer.take(batch), strict=True) if free]
        together.wait()
        writer.close()
        return mine

    with ThreadPoolExecutor(4) as pool:
        return [key for mine in pool.map(take, range(4)) for key in mine]


def damage(path: Path, kind: str, place: float, others: list[Path]) -> None:
    content = path.read_bytes()
    at = min(int(place * len(content)), len(content) - 1)
    if kind == "cut":
        path.write_bytes(content[:at])
    elif kind == "flip":
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << int(place * 8e6) % 8)]) + content[at + 1 :])
    elif kind == "zeros":
        path.write_bytes(content[:at] + bytes(len(content[at : at + 512])) + content[at + 512 :])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "gone":
        path.unlink()
    else:
        other = others[int(place * len(others))]
        swapped = other.read_bytes()
        other.write_bytes(content)
        path.write_bytes(swapped)


@given(
    st.lists(
        st.tuples(st.sampled_from(["cut", "flip", "zeros", "empty", "swap", "gone"]), st.floats(0, 0.9999)),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["float32", "float16", "int8"]),
    st.randoms(use_true_random=False),
)
@example([("swap", 0.99)], "float32", random.Random(1))
@settings(max_examples=600 if STRESS else 120)
def test_damage_is_noticed_said_and_computed_again(
    tmp_path_factory: pytest.TempPathFactory, faults: list[tuple[str, float]], storage: str, choice: random.Random
) -> None:
    root, spec = tmp_path_factory.mktemp("store"), SPEC.model_copy(update={"storage": storage})
    sequences = some_sequences(12)
    store = EmbeddingStore(root)
    for part in (sequences[:3], sequences[3:7], sequences[7:]):
        store.put(spec, part, truth(part))
    shorter = np.ones((5, DIM // 2), np.float32)
    store.put(OTHER, sequences[:5], shorter)
    expected = store.gather(spec, sequences)
    files, others = sorted((root / spec.resolve().fingerprint).glob("*.joblib")), sorted(root.rglob("*.joblib"))
    for (kind, place), path in zip(faults, choice.sample(files, len(faults)), strict=True):
        damage(path, kind, place, [one for one in others if one.exists()] if len(faults) == 1 else [path])
    gone = any(kind == "gone" for kind, _ in faults)

    again: list[str] = []

    def compute(missing: list[str]) -> np.ndarray:
        again.extend(missing)
        return truth(missing)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = EmbeddingStore(root).get(spec, sequences)
        assert all(np.array_equal(row, expected[sequences.index(one)]) for one, row in found.items())
        assert gone or said or found.keys() == set(sequences), "what is missing is said"
        assert np.array_equal(fill(EmbeddingStore(root), spec, sequences, compute), expected)
        assert set(again) == set(sequences) - set(found)
        for one in EmbeddingStore(root).get(OTHER, sequences[:5]).values():
            assert np.array_equal(one, shorter[0])
        # Sequences are read only when segments are merged; what was lost then is computed once more.
        fill(EmbeddingStore(root), spec, sequences, compute)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if again:
            assert np.array_equal(EmbeddingStore(root).gather(spec, sequences), expected), "and then it is quiet"


def test_the_folder_may_be_removed_while_it_is_written(tmp_path: Path) -> None:
    sequences, root = some_sequences(400), tmp_path / "store"
    writer = fork(_fill, root, sequences, tmp_path / "log", 0.01)
    for _ in range(30):
        time.sleep(0.02)
        shutil.rmtree(root, ignore_errors=True)
        kept_rows(root, sequences)
    writer.join()
    assert writer.exitcode == 0, "it returned the right rows all the same"
    assert kept_rows(root, sequences) <= set(sequences)


def test_the_folder_may_be_removed_while_it_is_read(tmp_path: Path) -> None:
    sequences = some_sequences(20)
    store = EmbeddingStore(tmp_path / "store")
    store.put(SPEC, sequences, truth(sequences))
    store.gather(SPEC, sequences)
    shutil.rmtree(tmp_path / "store")
    assert store.get(SPEC, sequences) == {}
    assert np.array_equal(fill(store, SPEC, sequences, computing()), truth(sequences))
    assert kept_rows(tmp_path / "store", sequences) == set(sequences)


def _fill_until_full(root: Path, sequences: list[str], limit: int | None, told: Path) -> None:
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        fill(EmbeddingStore(root), SPEC, sequences, computing(), batch=100)
    except StoreError as error:
        told.write_text(str(error))


def test_a_write_that_fails_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    sequences, root = some_sequences(3000), tmp_path / "store"
    _fill(root, sequences[:500], tmp_path / "log", 0)
    told = tmp_path / "told"
    writer = fork(_fill_until_full, root, sequences, 8_000, told)
    writer.join()
    assert "cannot be written: File too large" in told.read_text()
    assert kept_rows(root, sequences) == set(sequences[:500])
    _fill(root, sequences, tmp_path / "log", 0)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this system mounts nothing for this user; the test before covers a write that fails")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_what_it_holds_is_right(tmp_path: Path) -> None:
    sequences, told = some_sequences(20_000), tmp_path / "told"
    with mounted(tmp_path / "disk", "size=1m"):
        root = tmp_path / "disk" / "store"
        _fill_until_full(root, sequences, None, told)
        assert "cannot be written: No space left on device" in told.read_text()
        kept = kept_rows(root, sequences)
        assert len(kept) >= 1000
        assert not list(root.rglob("*.tmp"))
        assert np.array_equal(fill(EmbeddingStore(root), SPEC, sorted(kept), never), truth(sorted(kept)))


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anywhere, so be nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_folder_is_read_and_writing_there_is_refused_before_anything_is_computed() -> None:
    sequences = some_sequences(10)
    place = Path(tempfile.mkdtemp())
    try:
        root = place / "store"
        EmbeddingStore(root).put(SPEC, sequences, truth(sequences))
        for path in (place, root, root / SPEC.resolve().fingerprint):
            path.chmod(0o555)
        with unprivileged():
            store = EmbeddingStore(root)
            assert kept_rows(root, sequences) == set(sequences)
            assert np.array_equal(fill(store, SPEC, sequences, never), truth(sequences))
            assert store.stats().rows == 10
            assert store.verify().sound
            ran: list[str] = []

            def compute(missing: list[str]) -> np.ndarray:
                ran.extend(missing)
                return truth(missing)

            for spec in (SPEC, OTHER):
                with pytest.raises(StoreError, match="cannot be written: Permission denied"):
                    fill(store, spec, ["WWWW"], compute)
                with pytest.raises(StoreError, match="cannot be written: Permission denied"):
                    store.put(spec, ["WWWW"], truth(["WWWW"]))
            assert not ran
    finally:
        for path in (place, *place.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(place)


def test_a_clock_that_goes_back_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = some_sequences(6)
    EmbeddingStore(tmp_path).put(SPEC, sequences, truth(sequences))
    (segment,) = tmp_path.rglob("*.joblib")
    content = segment.read_bytes()
    place = content.index(truth(sequences[:1]).tobytes())
    segment.write_bytes(content[:place] + b"\x55" + content[place + 1 :])
    now = time.time_ns()
    steps = iter(range(10**6))
    monkeypatch.setattr(time, "time_ns", lambda: now - 10**15 - 10**9 * next(steps))
    with pytest.warns(RuntimeWarning, match="1 damaged rows"):
        rows = fill(EmbeddingStore(tmp_path), SPEC, sequences, computing())
    assert np.array_equal(rows, truth(sequences))
    more = some_sequences(9)
    fill(EmbeddingStore(tmp_path), SPEC, more, computing())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(EmbeddingStore(tmp_path).gather(SPEC, [*sequences, *more]), truth([*sequences, *more]))
