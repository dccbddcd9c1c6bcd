"""`EmbeddingStore` beside joblib.Memory and a plain array on disk: 141,021 rows of 1280 numbers, in the same run.

joblib.Memory caches a function of the list of sequences, as its documentation shows. The plain array is what numpy does
with a file: no keys, no checksums, nothing to tell a wrong row by. They run in turns, ratios are medians over the
rounds, and no timing can fail the run; that the rows agree is asserted.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import EmbeddingStore, ExtractorSpec, embed, load_dataset
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.storage_formats import rounded
from antibody_esm.trainer import Trainer

N, DIM, FEW = 141_021, 1280, 1000
"""The high-throughput set of nanobodies of Harvey et al. 2022 (doi:10.1038/s41467-022-35276-4), in ESM-2 650M."""

ROUNDS = 5
SPEC = ExtractorSpec(model="any", digest="0" * 64, layer=33)

CHILD = """
import json, sys, time
from pathlib import Path
import joblib, numpy as np
from antibody_esm import EmbeddingStore, ExtractorSpec
import antibody_esm.store.store
folder, way = Path(sys.argv[1]), sys.argv[2]
sequences = (folder / "sequences.txt").read_text().split()
some = sequences[::len(sequences) // 1000][:1000]
spec = ExtractorSpec(model="any", digest="0" * 64, layer=33)
def load(sequences):
    with (folder / "calls").open("a") as file:
        file.write("called\\n")
    return np.load(folder / "rows.npy")
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
before, began = peak(), time.perf_counter()
if way == "store":
    store = EmbeddingStore(folder / "store")
    assert store.contains(spec, sequences).all()
    rows = store.gather(spec, some)
elif way == "memory":
    place = {sequence: i for i, sequence in enumerate(sequences)}
    memory = joblib.Memory(folder / "memory", verbose=0)
    rows = memory.cache(load)(sequences)[[place[sequence] for sequence in some]]
else:
    place = {sequence: i for i, sequence in enumerate(sequences)}
    rows = np.load(folder / "rows.npy", mmap_mode="r")[[place[sequence] for sequence in some]]
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "megabytes": (peak() - before) / 1e6, "sum": float(rows.sum(dtype=float))}))
"""
"""Opens, looks up all keys and gathers 1,000 rows, as a new process: what it takes in seconds and in memory."""


def some_sequences(count: int, length: int = 120) -> list[str]:
    generator = random.Random(0)
    letters = "".join(generator.choices(AMINO_ACIDS, k=count * length))
    return [letters[i * length : (i + 1) * length] for i in range(count)]


def timed(work: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def middle(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    (folder / "sequences.txt").write_text("\n".join(some_sequences(N)))
    np.save(folder / "rows.npy", np.random.default_rng(0).standard_normal((N, DIM), dtype=np.float32))
    return folder


@pytest.fixture(scope="module")
def sequences(folder: Path) -> list[str]:
    return (folder / "sequences.txt").read_text().split()


def benchmark_writing(folder: Path, sequences: list[str], benchmark: BenchmarkFixture) -> None:
    rows = np.load(folder / "rows.npy")

    def raw() -> None:
        with (folder / "raw").open("wb") as file:
            file.write(rows.data)
            file.flush()
            os.fsync(file.fileno())

    ours, plain = [], []
    for turn in range(ROUNDS):
        (folder / "raw").unlink(missing_ok=True)
        plain.append(timed(raw)[0])
        store = EmbeddingStore(folder / f"store{turn}")
        ours.append(timed(lambda store=store: store.put(SPEC, sequences, rows))[0])
        if turn:
            store.gc(keep=[], dry_run=False)
        else:
            store.root.rename(folder / "store")
    ratios = [one / other for one, other in zip(ours, plain, strict=True)]
    print(f"\nwriting {N:,} x {DIM}, with fsync: raw {middle(plain)} s, store {middle(ours)} s, ratio {middle(ratios)}")
    benchmark.extra_info["ratio"] = statistics.median(ratios)
    benchmark.pedantic(raw, rounds=1)


def benchmark_opening(folder: Path, benchmark: BenchmarkFixture) -> None:
    found: dict[str, list[dict[str, float]]] = {"store": [], "array": [], "memory": []}
    (folder / "child.py").write_text(CHILD)

    def run(way: str) -> dict[str, float]:
        command = [sys.executable, str(folder / "child.py"), str(folder), way]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run("memory")  # computes, and caches
    for _ in range(ROUNDS):
        for way, results in found.items():
            results.append(run(way))
    assert (folder / "calls").read_text() == "called\n", "joblib.Memory had it from the second time on"
    assert len({round(one["sum"], 3) for results in found.values() for one in results}) == 1
    print(f"\nopening, looking up {N:,} keys and gathering {FEW:,} rows, in a new process:")
    for way, results in found.items():
        seconds = middle([one["seconds"] for one in results])
        megabytes = statistics.median(one["megabytes"] for one in results)
        print(f"  {way:<7} {seconds} s, {megabytes:.0f} MB")
    benchmark.extra_info["seconds"] = statistics.median(one["seconds"] for one in found["store"])
    benchmark.pedantic(lambda: None, rounds=1)


def benchmark_gathering(folder: Path, sequences: list[str], benchmark: BenchmarkFixture) -> None:
    store, expected = EmbeddingStore(folder / "store"), np.load(folder / "rows.npy")
    order = random.Random(0).sample(range(N), N)
    shuffled = [sequences[i] for i in order]
    assert np.array_equal(store.gather(SPEC, shuffled), expected[order])
    del expected
    plain, ours, mixed = [], [], []
    for _ in range(2 * ROUNDS + 1):
        plain.append(timed(lambda: np.load(folder / "rows.npy"))[0])
        ours.append(timed(lambda: store.gather(SPEC, sequences))[0])
        mixed.append(timed(lambda: store.gather(SPEC, shuffled))[0])
    for name, times in (("in stored order", ours), ("shuffled", mixed)):
        ratios = [one / other for one, other in zip(times, plain, strict=True)]
        print(f"\ngathering all, {name}: np.load {middle(plain)} s, store {middle(times)} s, ratio {middle(ratios)}")
    benchmark.pedantic(lambda: store.gather(SPEC, sequences), rounds=1)


def benchmark_a_million_keys(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    sequences = some_sequences(1_000_000, 60)
    store = EmbeddingStore(tmp_path)
    rows = np.zeros((50_000, 4), np.float32)
    for start in range(0, len(sequences), len(rows)):
        store.put(SPEC, sequences[start : start + len(rows)], rows)
    first, again = [], []
    for _ in range(ROUNDS):
        fresh = EmbeddingStore(tmp_path)
        first.append(timed(lambda fresh=fresh: fresh.contains(SPEC, sequences))[0])
        seconds, there = timed(lambda fresh=fresh: fresh.contains(SPEC, sequences))
        again.append(seconds)
        assert np.asarray(there).all()
    known = dict.fromkeys(sequences)
    plain = [timed(lambda: [sequence in known for sequence in sequences])[0] for _ in range(ROUNDS)]
    print(
        f"\na million keys: {middle(first)} s with opening, {middle(again)} s after that;"
        f" in a dict that is in memory {middle(plain)} s"
    )
    benchmark.pedantic(lambda: store.contains(SPEC, sequences), rounds=1)


def benchmark_storage(benchmark: BenchmarkFixture) -> None:
    data = load_dataset("boughter_flu_cdrs")
    exact = embed(data.sequences, "antiberty")
    print(f"\nstorage of {len(exact)} AntiBERTy rows (ten folds, logistic regression):")
    for storage in ("float32", "float16", "int8"):
        rows = rounded(exact, storage)
        spec = ExtractorSpec(model="antiberty", revision="0.1.3", storage=storage)
        auc = Trainer(spec).cross_validate(data).scores["roc_auc"].mean()
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(exact, axis=1)
        cosine = ((rows.astype(float) * exact).sum(axis=1) / norms).min()
        error = np.abs(rows - exact).max() / np.abs(exact).max()
        size = {"float32": 4 * DIM, "float16": 2 * DIM, "int8": DIM + 4}[storage]
        print(
            f"  {storage:<8} {size:>6,} bytes a row of {DIM}; largest error {error:.1e} of the largest number,"
            f" least cosine {cosine:.7f}, AUC {auc:.4f}"
        )
    benchmark.pedantic(lambda: rounded(exact, "int8"), rounds=3)
