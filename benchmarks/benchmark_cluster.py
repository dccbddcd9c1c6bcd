"""Two Dask workers beside two plain processes and beside one, each with one thread, on one store."""

import multiprocessing
import random
import statistics
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed
from antibody_esm.testing import tiny_checkpoint

ROUNDS, COUNT = 5, 600
RUNTIME = RuntimeSpec(device="cpu", workers=1, progress=False)
_mine: dict[ExtractorSpec, Extractor] = {}


def plain(spec: ExtractorSpec, sequences: list[str], store: Path) -> int:
    """Embed, as each plain process does."""
    extractor = _mine.setdefault(spec, Extractor(spec, RUNTIME))
    return len(embed(sequences, extractor, store))


def chains(seed: int) -> list[str]:
    generator = random.Random(seed)
    return ["".join(generator.choices("ACDEFGHIKLMNPQRSTVWY", k=generator.randrange(112, 128))) for _ in range(COUNT)]


@pytest.mark.filterwarnings("ignore")
def benchmark_cluster(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    model = tiny_checkpoint("esm", tmp_path / "esm2_35m", layers=12, dim=480, heads=20)  # ESM-2 35M in its size
    spec = ExtractorSpec(model=str(model)).pin()
    store, dask, processes, one = EmbeddingStore(tmp_path / "store"), [], [], []
    with (
        multiprocessing.get_context("spawn").Pool(2) as pool,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        for number in range(ROUNDS + 1):  # the first loads the models
            several = [chains(3 * number + i) for i in range(3)]
            began = time.perf_counter()
            with joblib.parallel_config(backend="dask"):
                rows = embed(several[0], Extractor(spec, RUNTIME), store)
            dask.append(time.perf_counter() - began)
            began = time.perf_counter()
            pool.starmap(plain, [(spec, several[1][i::2], store.root) for i in range(2)], chunksize=1)
            processes.append(time.perf_counter() - began)
            began = time.perf_counter()
            pool.starmap(plain, [(spec, several[2], store.root)])
            one.append(time.perf_counter() - began)
        assert np.array_equal(rows, embed(several[0], spec))
    assert store.count(spec) == 3 * COUNT * (ROUNDS + 1)
    dask, processes, one = dask[1:], processes[1:], one[1:]
    shares = [theirs / ours for theirs, ours in zip(processes, dask, strict=True)]
    middle = statistics.median
    print(
        f"\n{COUNT} chains, ESM-2 35M: one process {middle(one):.2f} s, two plain processes {middle(processes):.2f} s, "
        f"two Dask workers {middle(dask):.2f} s; the workers reach {middle(shares):.2f} of the processes' rate "
        f"({min(shares):.2f}-{max(shares):.2f}), these gain {middle(one) / middle(processes):.2f} over one"
    )
    benchmark.extra_info["share"] = middle(shares)
    benchmark.pedantic(lambda: None, rounds=1)
