"""Two Dask workers beside two plain processes, each with one thread: vectors, numbering and predictions."""

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import (
    Dataset,
    EmbeddingStore,
    Extractor,
    ExtractorSpec,
    LogisticRegressionSpec,
    Predictor,
    RuntimeSpec,
    Trainer,
    TrainSpec,
    embed,
    number,
)
from antibody_esm.score_tables import score_file
from antibody_esm.testing import tiny_checkpoint

ROUNDS, EMBEDDED, NUMBERED = 3, 240, 4000
RUNTIME = RuntimeSpec(device="cpu", workers=1, progress=False)
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS"
)
_mine: dict[object, Extractor | Predictor] = {}


def chains(seed: int, count: int) -> list[str]:
    """Return relatives of a chain that no cache and no store holds."""
    generator = random.Random(seed)
    relatives = []
    for _ in range(count):
        residues = list(HEAVY)
        for place in generator.choices(range(len(residues)), k=8):
            residues[place] = generator.choice("ADEFGKLRSTVY")
        relatives.append("".join(residues))
    return relatives


def embedded(sequences: list[str], spec: ExtractorSpec, store: Path) -> int:
    extractor = _mine.setdefault(spec, Extractor(spec, RUNTIME))
    return len(embed(sequences, extractor, store))  # type: ignore[arg-type]


def numbered(sequences: list[str]) -> int:
    return len(number(sequences, workers=1))


def predicted(table: Path, model: Path, store: Path) -> int:
    if model not in _mine:
        _mine[model] = Predictor.load(model, store=store, runtime=RUNTIME)
    return sum(len(scores.table) for scores in score_file(table, _mine[model]))  # type: ignore[arg-type]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.mark.filterwarnings("ignore")
def benchmark_cluster(tmp_path: Path, benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers reach .8 of the rate of two processes that divide the same work by hand; about two minutes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plm = tiny_checkpoint("esm", tmp_path / "esm2_35m", layers=12, dim=480, heads=20)  # ESM-2 35M in its size
    spec, store, model = ExtractorSpec(model=str(plm)).pin(), tmp_path / "store", tmp_path / "model"
    trainer = Trainer.from_spec(
        TrainSpec(extractor=spec, classifier=LogisticRegressionSpec()), store=store, runtime=RUNTIME
    )
    training = chains(-1, 40)
    trainer.fit(Dataset([f"t{i}" for i in range(40)], training, label=[i % 2 for i in range(40)])).save(model)

    def table(sequences: list[str], name: str) -> Path:
        path = tmp_path / f"{name}.csv"
        pd.DataFrame({"id": range(len(sequences)), "heavy": sequences}).to_csv(path, index=False)
        return path

    shares: dict[str, list[float]] = {"embed": [], "number": [], "predict": []}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in shares}
    client_model = Predictor.load(model, store=store, runtime=RUNTIME)
    with (
        multiprocessing.get_context("spawn").Pool(2) as pool,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        for round_ in range(ROUNDS + 1):  # the first loads the models
            for name in shares:
                count = NUMBERED if name == "number" else EMBEDDED
                ours, theirs = (chains(100 * round_ + 10 * list(shares).index(name) + i, count) for i in range(2))
                halves, whole = [theirs[0::2], theirs[1::2]], table(ours, "whole")
                tables = [table(half, f"half{i}") for i, half in enumerate(halves)]

                def by_workers(name: str = name, ours: list[str] = ours, whole: Path = whole) -> None:
                    with joblib.parallel_config(backend="dask"):
                        if name == "embed":
                            embed(ours, Extractor(spec, RUNTIME), store)
                        elif name == "number":
                            number(ours)
                        else:
                            assert sum(len(scores.table) for scores in score_file(whole, client_model)) == EMBEDDED

                calls: dict[str, tuple[Callable[..., int], list[tuple[object, ...]]]] = {
                    "embed": (embedded, [(half, spec, store) for half in halves]),
                    "number": (numbered, [(half,) for half in halves]),
                    "predict": (predicted, [(path, model, store) for path in tables]),
                }
                function, arguments = calls[name]

                def by_processes(
                    function: Callable[..., int] = function, arguments: list[tuple[object, ...]] = arguments
                ) -> None:
                    assert sum(pool.starmap(function, arguments, chunksize=1)) >= EMBEDDED

                pair = timed(by_workers), timed(by_processes)
                if round_:
                    seconds[name].append(pair)
                    shares[name].append(pair[1] / pair[0])
        sample = chains(0, EMBEDDED)[:20]  # the first that were embedded
        assert np.array_equal(embed(sample, spec, EmbeddingStore(store)), embed(sample, spec))
    for name, ratios in shares.items():
        workers, processes = (statistics.median(times) for times in zip(*seconds[name], strict=True))
        middle = statistics.median(ratios)
        print(
            f"\n{name}: two plain processes {processes:.2f} s, two Dask workers {workers:.2f} s; "
            f"the workers reach {middle:.2f} of the processes' rate ({min(ratios):.2f}-{max(ratios):.2f})"
        )
        benchmark.extra_info[name] = middle
    benchmark.pedantic(lambda: None, rounds=1)
