"""Identity clusters beside aligning every pair, and beside mmseqs2 where it is installed.

The heavy chains are those of Boughter et al. 2020 where the data lie on disk, else simulated like the nanobodies: those
of Harvey et al. 2022 or one known nanobody as parents, loops exchanged and changed at random, and relatives of each.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from scipy.sparse.csgraph import connected_components

from antibody_esm import DatasetError, load_dataset
from antibody_esm.data.identity import cluster
from antibody_esm.sequences import AMINO_ACIDS

THRESHOLD = 0.9
MANY = 141_000

CHILD = """
import json, sys, time
from pathlib import Path
from antibody_esm.data.identity import cluster
sequences = Path(sys.argv[1]).read_text().split()
began = time.perf_counter()
found = cluster(sequences, float(sys.argv[2]))
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1e6
print(json.dumps({"seconds": time.perf_counter() - began, "gigabytes": peak, "clusters": int(found.max()) + 1}))
"""


def heavy_chains() -> list[str]:
    try:
        return load_dataset("boughter", labels="predecessor").sequences
    except DatasetError:
        return simulated(914)


def simulated(count: int) -> list[str]:
    """Nanobodies with the loops of others, changed at three places in ten (six in CDR3), and relatives of each."""
    generator = random.Random(0)
    data = load_dataset("harvey")
    regions = [
        [data.cut(part).sequences for part in ("H-CDR1", "H-CDR2", "H-CDR3")],
        data.sequences,
    ]
    loops, whole = regions[0], regions[1]

    def changed(text: str, share: float) -> str:
        return "".join(generator.choice(AMINO_ACIDS) if generator.random() < share else letter for letter in text)

    found: list[str] = []
    while len(found) < count:
        number = generator.randrange(len(whole))
        parent = whole[number]
        for loop, share in zip(loops, (0.3, 0.3, 0.6), strict=True):
            parent = parent.replace(loop[number], changed(generator.choice(loop), share), 1)
        found += [changed(parent, 0.02) for _ in range(1 + int(generator.expovariate(0.5)))]
    return found[:count]


def benchmark_a_training_set(benchmark: BenchmarkFixture) -> None:
    sequences = heavy_chains()

    def every_pair() -> np.ndarray:
        lengths = np.array([len(one) for one in sequences])
        distance = cdist(sequences, sequences, scorer=Levenshtein.distance, dtype=np.int32, workers=-1)
        near = distance <= np.floor((1 - THRESHOLD) * np.minimum.outer(lengths, lengths) + 1e-9)
        return connected_components(near)[1]

    ours, plain = [], []
    for _ in range(3):
        began = time.perf_counter()
        expected = every_pair()
        plain.append(time.perf_counter() - began)
        began = time.perf_counter()
        found = cluster(sequences, THRESHOLD)
        ours.append(time.perf_counter() - began)
        assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))
    print(f"\n{len(sequences)} heavy chains: {min(ours):.3f} s, every pair aligned {min(plain):.2f} s")
    benchmark.pedantic(lambda: cluster(sequences, THRESHOLD), rounds=3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory where Linux keeps it")
def benchmark_a_library(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    sequences = simulated(MANY)
    (tmp_path / "in.txt").write_text("\n".join(sequences))
    (tmp_path / "in.fasta").write_text("".join(f">{i}\n{one}\n" for i, one in enumerate(sequences)))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "in.txt"), str(THRESHOLD)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    print(
        f"\n{MANY:,} simulated nanobodies at {THRESHOLD:.0%}: {found['seconds']:.0f} s, {found['gigabytes']:.1f} GB,"
        f" {found['clusters']:,} clusters"
    )
    benchmark.extra_info |= found
    if shutil.which("mmseqs"):
        command = f"mmseqs easy-cluster in.fasta out tmp --cluster-mode 1 --min-seq-id {THRESHOLD} -c {THRESHOLD}"
        command += f" --cov-mode 0 --seq-id-mode 0 --alignment-mode 3 --threads {os.cpu_count()} -v 1"
        began = time.perf_counter()
        subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)
        groups = {line.split("\t")[0] for line in (tmp_path / "out_cluster.tsv").read_text().splitlines()}
        print(f"  mmseqs2, default sensitivity: {time.perf_counter() - began:.0f} s, {len(groups):,} clusters")
    benchmark.pedantic(lambda: None, rounds=1)
