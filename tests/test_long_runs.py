"""Long runs: no growth of memory, open files or threads, and a day's worth of writers of one store.

Short here; ``make stress`` runs them in full.
"""

import gc
import os
import random
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from antibody_esm import Dataset, ExtractorSpec, Predictor, Trainer
from antibody_esm.store import claims
from antibody_esm.store.claims import SUFFIX, Claims, _named_host
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, mutants
from effort import STRESS

VH = mutants(HEAVY, 40, 40)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="open files of Linux")


def usage() -> tuple[int, int, int]:
    """Return threads, open files and bytes of Python objects of this process."""
    gc.collect()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), tracemalloc.get_traced_memory()[0]


def test_predictions_leave_no_memory_files_or_threads_behind(tmp_path: Path) -> None:
    extractor = ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path / "esm", layers=1)))
    data = Dataset([f"a{i}" for i in range(40)], VH, label=[(each.count("K") + each.count("R")) % 2 for each in VH])
    saved = Trainer(extractor, "logreg").fit(data, uncertainty=False, scores=False).save(tmp_path / "model")
    predictor = Predictor.load(saved, store=tmp_path / "store")
    count = 20_000 if STRESS else 120
    tracemalloc.start()
    try:
        for i in range(40):
            predictor.predict_proba([VH[i % 40]])
        threads, files, memory = usage()
        for i in range(count):
            predictor.predict_proba([VH[i % 40]])
        after = usage()
    finally:
        tracemalloc.stop()
    assert after[0] <= threads
    assert after[1] <= files
    assert after[2] < memory + 200_000 + 5 * count


def test_a_day_of_writers_that_come_and_go_leaves_no_key_undone_and_no_claim_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a simulated clock: a writer takes keys, gives a sign of life every ten seconds, and may die at any moment."""
    generator = random.Random(0)
    now = [1_800_000_000.0]
    append = Claims._append

    def dated(self: Claims, keys: list[bytes]) -> None:
        append(self, keys)
        os.utime(self._path, (now[0], now[0]))

    monkeypatch.setattr(Claims, "_append", dated)
    monkeypatch.setattr(claims, "host", lambda: f"{generator.getrandbits(64):016x}")  # each on a machine of its own
    todo = [i.to_bytes(32, "big") for i in range(1, 8640 if STRESS else 400)]
    done: set[bytes] = set()
    held: dict[Claims, list[bytes]] = {}
    silent: dict[bytes, float] = {}  # keys of a writer that died, and when
    longest = 0

    def writer() -> None:
        new = Claims(tmp_path)
        new._append([_named_host()])  # without the thread that tells the real time
        held[new] = []

    for _ in range(8640 if STRESS else 400):
        now[0] += 10
        if len(held) < 4 and generator.random() < 0.2:
            writer()
        for each in list(held):
            if generator.random() < 0.02:  # dies without a word
                silent |= dict.fromkeys(held.pop(each), now[0] - 10)
                continue
            os.utime(each._path, (now[0], now[0]))
        for each in held:
            done |= set(held[each])
            left = [key for key in todo if key not in done and not any(key in keys for keys in held.values())][:3]
            mine = each.take(left)
            for key, own in zip(left, mine, strict=True):
                assert own or now[0] - silent[key] < 60, "a claim holds for a minute, and only of one that died"
            held[each] = [key for key, own in zip(left, mine, strict=True) if own]
        longest = max(longest, len(list((tmp_path / "claims").glob(f"*{SUFFIX}"))))
    for _ in range(3):  # the last one finishes, when all the others have been silent for a minute
        now[0] += 70
        writer()
        last = list(held)[-1]
        left = [key for key in todo if key not in done]
        done |= {key for key, own in zip(left, last.take(left), strict=True) if own}
    assert done == set(todo)
    assert longest < 15
