"""Numbering by two programs, from an empty cache, beside each of them alone on the same chains.

The chains are those of three public sets where the data lie on disk, else human germline genes with one CDR3.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

import anarcism
import immunum
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import DatasetError, load_dataset, number
from antibody_esm.numbering import cache
from antibody_esm.numbering.genes import _table

ROUNDS = 3
FEW = 300
"""Chains that anarcism alone numbers in a round."""


def chains() -> list[str]:
    try:
        sets = [load_dataset(name) for name in ("boughter", "jain", "shehata")]
    except DatasetError:
        genes = [aligned for name, aligned in _table()["human"].items() if name.startswith("IGHV")]
        return [aligned.replace("-", "") + "ARDYGDSAMDYWGQGTLVTVSS" for aligned in genes]
    every = [chain for data in sets for side in (data.heavy, data.light) for chain in side or () if chain]
    return list(dict.fromkeys(every))


@contextmanager
def empty_cache() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, patch.object(cache, "cache_folder", lambda: Path(folder)):
        yield


def rates(work: Callable[[list[str]], object], sequences: list[str]) -> tuple[float, float]:
    """Return sequences a second, by the clock and by processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    work(sequences)
    return len(sequences) / (time.perf_counter() - wall), len(sequences) / (time.process_time() - processor)


def ours(sequences: list[str]) -> object:
    with empty_cache():
        return number(sequences)


def anarcism_alone(sequences: list[str]) -> object:
    with empty_cache():
        return number(sequences, engines="anarcism")


def anarcism_itself(sequences: list[str]) -> object:
    inputs = [("", sequence) for sequence in sequences]
    return anarcism.number_sequences(inputs, allowed_chains=["H", "K", "L"], allowed_species=["human", "mouse"])


def immunum_itself(sequences: list[str]) -> object:
    annotator = immunum.Annotator(["H", "K", "L"], "imgt")
    return [annotator.number_domains(sequence) for sequence in sequences]


@pytest.mark.benchmark(group="numbering")
def benchmark_numbering(benchmark: BenchmarkFixture) -> None:
    every = chains()
    few = every[:: max(1, len(every) // FEW)]
    ours(few)  # tables and programs are loaded
    measured: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, work, sequences in (
            ("number", ours, every),
            ("number, anarcism alone", anarcism_alone, few),
            ("anarcism itself", anarcism_itself, few),
            ("immunum itself", immunum_itself, every),
        ):
            measured.setdefault(name, []).append(rates(work, sequences))
    print(f"\n{len(every):,} chains, median of {ROUNDS} rounds (range)")
    for name, rows in measured.items():
        wall, processor = ([row[i] for row in rows] for i in (0, 1))
        ratio = median(mine[1] / other[1] for mine, other in zip(measured["number"], rows, strict=True))
        print(
            f"{name:24}{median(wall):8,.0f} ({min(wall):,.0f}-{max(wall):,.0f}) chains/s, "
            f"{median(processor):8,.0f} a second of CPU; number has {ratio:.2f} times this"
        )
        benchmark.extra_info[name] = {"chains/s": median(wall), "chains/s of CPU": median(processor)}
    benchmark.pedantic(ours, args=(every,), rounds=1)
