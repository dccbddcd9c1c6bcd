"""Claims share work between writers, and hold nobody up."""

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore
from antibody_esm.store import claims, session
from antibody_esm.store.claims import Claims
from antibody_esm.store.segments import as_bytes, keys_of
from effort import PATIENCE
from stores import fill
from test_store_faults import BATCH, SPEC, computed, computing, some_sequences, truth

THEIRS = f"{'f' * 16}-4711-{'0' * 16}.claim"


def claimed(root: Path, sequences: list[str], name: str = THEIRS, host: bytes = b"") -> Path:
    """Lay a claim of another writer beside rows of the store."""
    EmbeddingStore(root).put(SPEC, ["AAAA"], truth(["AAAA"]))
    path = root / SPEC.resolve().fingerprint / "claims" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(host + b"".join(as_bytes(keys_of(sequences))))
    return path


@given(age=st.floats(-1e9, 1e9))
def test_a_claim_is_void_a_minute_from_now_in_either_direction(
    age: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("claims") / THEIRS
    path.touch()
    now = path.stat().st_mtime
    os.utime(path, (now, now - age))
    assert claims._is_alive(path, now) == (abs(now - path.stat().st_mtime) < claims._STALE)


def test_regression_a_claim_dated_in_the_future_holds_nobody_up(tmp_path: Path) -> None:
    # The age of such a claim was negative, and so for ever below the limit: every writer waited without a word.
    sequences = some_sequences(3 * BATCH)
    path = claimed(tmp_path, sequences)
    os.utime(path, (time.time() + 1e6, time.time() + 1e6))
    began = time.monotonic()
    assert np.array_equal(fill(EmbeddingStore(tmp_path), SPEC, sequences, computing()), truth(sequences))
    assert time.monotonic() - began < PATIENCE
    assert not path.exists()


@pytest.mark.parametrize("named", [True, False])
def test_a_long_wait_is_logged_once_with_the_process_and_machine_that_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, named: bool
) -> None:
    monkeypatch.setattr(session, "_LONG_WAIT", 0.2)
    monkeypatch.setattr(claims, "_STALE", 1.5)
    sequences = some_sequences(3 * BATCH)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "gpu-node-7\x1b[2J")
        host = claims._named_host() if named else b""
    path = claimed(tmp_path, sequences[BATCH:], host=host)
    ended = threading.Event()

    def live() -> None:
        for _ in range(10):
            os.utime(path)
            ended.wait(0.2)

    thread = threading.Thread(target=live)
    with caplog.at_level(logging.WARNING, "antibody_esm"):
        thread.start()
        fill(EmbeddingStore(tmp_path), SPEC, sequences, computing())
        ended.set()
        thread.join()
    there = "gpu-node-72J" if named else f"another machine ({'f' * 16})"
    assert [record.getMessage() for record in caplog.records] == [
        f"waiting for {2 * BATCH} sequences that process 4711 on {there} computes"
    ]


def test_a_writer_names_its_machine_and_its_own_name_is_no_claim(tmp_path: Path) -> None:
    one, other = Claims(tmp_path), Claims(tmp_path)
    one.open()
    other.open()
    keys = as_bytes(keys_of(["EVQL", "QVQL"]))
    assert one.take(keys[:1]) == [True]
    assert other.take(keys) == [False, True]
    assert other.holders(keys[:1]) == [f"process {os.getpid()} on this machine"]
    assert other.holders(keys[1:]) == []
    assert one.take([claims._named_host()]) == [True]
    one.close()
    other.close()


@pytest.mark.parametrize("looked", [True, False], ids=["the other looked before", "the other looked after"])
def test_of_two_writers_that_claim_at_the_same_moment_at_most_one_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: bool
) -> None:
    keys = as_bytes(keys_of(["EVQL", "QVQL"]))
    taken: list[list[bool]] = []
    for _ in range(8):  # names are random, so each is the first by name in some
        one, other = Claims(tmp_path), Claims(tmp_path)
        one.open()
        other.open()
        append = one._append
        with monkeypatch.context() as patch:

            def meanwhile(wanted: list[bytes], other: Claims = other, append: Any = append) -> None:
                if looked:
                    taken.append(other.take(keys))
                    append(wanted)
                else:
                    append(wanted)
                    taken.append(other.take(keys))

            patch.setattr(one, "_append", meanwhile)
            mine = one.take(keys)
        assert taken.pop() == [looked] * 2
        assert mine == [not looked] * 2
        one.close()
        other.close()


def test_no_short_wait_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sequences, logs = some_sequences(6 * BATCH), [tmp_path / "one", tmp_path / "other"]
    with caplog.at_level(logging.WARNING, "antibody_esm"):
        threads = [
            threading.Thread(target=fill, args=(EmbeddingStore(tmp_path / "s"), SPEC, sequences, computing(log, 0.02)))
            for log in logs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not caplog.records
    assert set(computed(*logs)) == set(sequences)
