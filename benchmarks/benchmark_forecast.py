"""What is forecast after a fiftieth of the work beside what it took."""

import random
import statistics
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import Extractor, RuntimeSpec
from antibody_esm.testing import tiny_checkpoint

SIZES = {"esm2_8m": {"layers": 6, "dim": 320, "heads": 20}, "esm2_35m": {"layers": 12, "dim": 480, "heads": 20}}
COUNT = {"esm2_8m": 6000, "esm2_35m": 2500}


@pytest.mark.parametrize("model", SIZES)
def benchmark_forecast(model: str, tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    generator = random.Random(0)
    lengths = generator.choices([15, 120, 124, 245], [3, 4, 2, 1], k=COUNT[model])  # third loops, domains, scFvs
    letters = "ACDEFGHIKLMNPQRSTVWY"
    sequences = ["".join(generator.choices(letters, k=length + generator.randrange(-4, 5))) for length in lengths]
    folder = tiny_checkpoint("esm", tmp_path, **SIZES[model])
    ratios = []
    for _ in range(3):
        extractor = Extractor(folder, RuntimeSpec(device="cpu", progress=False))
        extractor.warm_up()
        forecast, expected = extractor.forecast(), 0.0
        forecast.expect(map(len, sequences))
        began = time.perf_counter()
        for _ in extractor.stream(sequences, forecast=forecast):
            if not expected and forecast.share >= 0.02:
                expected = forecast.seconds
        ratios.append(expected / (time.perf_counter() - began))
    print(
        f"\n{model}, {len(sequences):,} sequences: forecast after 2 % is {statistics.median(ratios):.2f} of the truth "
        f"({min(ratios):.2f}-{max(ratios):.2f})"
    )
    benchmark.extra_info["ratio"] = statistics.median(ratios)
    benchmark.pedantic(lambda: None, rounds=1)
