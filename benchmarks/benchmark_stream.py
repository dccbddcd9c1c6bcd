"""Ten million sequences through hashing, look-up and store, with a mock in the place of the language model."""

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, embed_stream
from antibody_esm.batch import Batch

COUNT = int(os.environ.get("ANTIBODY_ESM_STREAM", 10_000_000))
DIM = 16
SPEC = ExtractorSpec(model="mock", digest="0" * 64, layer=1, storage="float16")


class Mock(Extractor):
    """Gives vectors that cost nothing; all else is what the library does with a model's."""

    dim = DIM

    def check(self, sequences: Iterable[str | tuple[str, str]], regions: object = None) -> list[str]:
        """Find nothing wrong."""
        return list(sequences)  # type: ignore[arg-type]  # texts, here

    def batches(self, sequences: list[str]) -> list[list[str]]:
        """Return batches that are larger than a model's, so that files take little of the time."""
        return [sequences[i : i + 8192] for i in range(0, len(sequences), 8192)]

    def runner(self, sequences: list[str], views: object) -> "Mock":
        """Return this object."""
        return self

    def run(self, batch: Batch) -> list[np.ndarray]:
        """Return ones."""
        return [np.ones((len(batch.sequences), DIM), np.float32)]

    @property
    def workers(self) -> int:
        """One."""
        return 1


def antibodies(count: int) -> Iterator[str]:
    """Distinct sequences of the length of a heavy domain."""
    generator = random.Random(0)
    some = ["".join(generator.choices("ACDEFGHIKLMNPQRSTVWY", k=112)) for _ in range(1000)]
    letters = "ACDEFGHIKLMNPQRSTVWY"
    for number in range(count):
        tail, rest = [], number // 1000
        for _ in range(5):
            rest, letter = divmod(rest, 20)
            tail.append(letters[letter])
        yield some[number % 1000] + "".join(tail)


def run(root: str) -> None:
    """Fill a store, then read it again; print seconds of both, and the largest memory of this process."""
    mock = Mock(SPEC)
    for _ in range(2):
        began = time.perf_counter()
        count = sum(len(block.ids) for block in embed_stream(antibodies(COUNT), mock, root))
        assert count == COUNT == mock.computed
        print(time.perf_counter() - began)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def benchmark_stream(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    def whole() -> list[float]:
        command = [sys.executable, __file__, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [float(line) for line in done.stdout.split()]

    first, second, memory = benchmark.pedantic(whole, rounds=1)
    assert EmbeddingStore(tmp_path).count(SPEC) == COUNT
    began = time.perf_counter()
    made = sum(1 for _ in antibodies(COUNT))
    making = time.perf_counter() - began
    print(
        f"\n{made:,} sequences: hashed, looked up and stored in {first:.0f} s ({made / first:,.0f} a second), "
        f"looked up and read again in {second:.0f} s ({made / second:,.0f} a second), of which {making:.0f} s each "
        f"make the sequences; at most {memory:.2f} GB"
    )
    benchmark.extra_info.update(first=first, second=second, memory=memory)


if __name__ == "__main__":
    run(sys.argv[1])
