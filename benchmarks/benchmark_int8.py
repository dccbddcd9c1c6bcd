"""`precision="int8"` beside float32 of the same weights: speed, cosine and what becomes of a cross-validated AUC.

AntiBERTy has its real weights, which are the only ones at hand whose AUC means something; ESM-2 has random ones.
"""

import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import Extractor, ExtractorSpec, RuntimeSpec, Trainer, load_dataset
from antibody_esm.data.dataset import Dataset
from antibody_esm.testing import tiny_checkpoint

PAIRS = 7
SIZES = {
    "esm2_8m": (96, {"layers": 6, "dim": 320, "heads": 20}),
    "esm2_150m": (16, {"layers": 30, "dim": 640, "heads": 20}),
}
RUNTIME = RuntimeSpec(device="cpu", progress=False)


@pytest.fixture(scope="module")
def data() -> Dataset:
    beside = Path(__file__).parents[2] / "shared" / "data"
    os.environ.setdefault("ANTIBODY_ESM_DATA", str(beside))
    if not Path(os.environ["ANTIBODY_ESM_DATA"]).is_dir():
        return load_dataset("boughter_flu_cdrs")
    return load_dataset("boughter")


@pytest.mark.parametrize("model", ["antiberty", *SIZES])
def benchmark_int8(model: str, benchmark: BenchmarkFixture, data: Dataset, tmp_path: Path) -> None:
    n, size = SIZES.get(model, (48, {}))
    name = model if model == "antiberty" else str(tiny_checkpoint("esm", tmp_path / model, **size))
    sequences = list(dict.fromkeys(data.sequences))[:n]
    spec = ExtractorSpec(model=name)
    full, low = (Extractor(spec.model_copy(update={"precision": p}), RUNTIME) for p in ("float32", "int8"))
    rows, other = full.embed(sequences), low.embed(sequences)
    cosines = (rows * other).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(other, axis=1)
    times: list[tuple[float, float]] = []

    def pair() -> None:
        start = time.perf_counter()
        full.embed(sequences)
        between = time.perf_counter()
        low.embed(sequences)
        times.append((between - start, time.perf_counter() - between))

    benchmark.pedantic(pair, rounds=PAIRS, iterations=1)
    ratios = [float32 / int8 for float32, int8 in times]
    print(
        f"\n{model}: int8 is {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) times as fast; "
        f"cosine to float32 {cosines.min():.4f} at least, {np.median(cosines):.4f} in the median"
    )


def benchmark_auc_of_int8(benchmark: BenchmarkFixture, data: Dataset, tmp_path: Path) -> None:
    def folds(precision: str) -> np.ndarray:
        spec = ExtractorSpec(model="antiberty", precision=precision)
        return np.asarray(
            Trainer(spec, "logreg", store=tmp_path, runtime=RUNTIME).cross_validate(data).scores["roc_auc"]
        )

    full, low = folds("float32"), benchmark.pedantic(folds, args=("int8",), rounds=1, iterations=1)
    difference = low - full
    print(
        f"\nAUC over {len(full)} folds: float32 {full.mean():.4f}, int8 {low.mean():.4f}; "
        f"differences of folds {difference.min():+.4f} to {difference.max():+.4f}"
    )
