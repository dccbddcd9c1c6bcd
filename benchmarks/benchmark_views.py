"""216 vectors a sequence (12 layers, 3 poolings, 6 regions) beside one (the last layer's mean), of the same model."""

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import DatasetError, Extractor, ExtractorSpec, load_dataset
from antibody_esm.plm.regions import places
from antibody_esm.testing import tiny_checkpoint

ROUNDS = 5
LAYERS, POOLINGS, REGIONS = range(1, 13), ("mean", "max", "std"), ("all", "cdr1", "cdr2", "cdr3", "cdrs", "frameworks")


def chains(count: int) -> list[str]:
    """Whole heavy domains; where the published data are not here, one nanobody with a residue changed."""
    try:
        return load_dataset("boughter", fragment="VH").sequences[:count]
    except DatasetError:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        from chains import NANOBODY

        return [NANOBODY[:place] + "A" + NANOBODY[place + 1 :] for place in range(count)]


def peak(which: str, model: Path) -> float:
    """Return the largest memory, in MB, of a process that computes one view, or all, and keeps none."""
    done = subprocess.run([sys.executable, __file__, which, str(model)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def benchmark_views(tmp_path: Path, benchmark: BenchmarkFixture) -> None:
    model = tiny_checkpoint("esm", tmp_path / "esm2_35m", layers=12, dim=480, heads=20)  # ESM-2 35M in its size
    spec = ExtractorSpec(model=str(model)).pin()
    views = [one.resolve() for one in spec.views(LAYERS, POOLINGS, REGIONS)]
    assert len(views) == 216
    sequences = list(dict.fromkeys(chains(96)))
    places(sequences, "cdr3")  # numbered once, and remembered
    extractor = Extractor(spec)
    list(extractor.stream(sequences[:8]))

    def one() -> dict[int, np.ndarray]:
        return {i: row for indices, rows in extractor.stream(sequences) for i, row in zip(indices, rows, strict=True)}

    def all_() -> dict[int, np.ndarray]:
        last = next(number for number, view in enumerate(views) if view == spec.resolve())
        found = {}
        for indices, rows in extractor.stream_views(sequences, views):
            found |= dict(zip(indices, rows[last], strict=True))
        return found

    single, several = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        expected = one()
        single.append(time.perf_counter() - began)
        began = time.perf_counter()
        found = all_()
        several.append(time.perf_counter() - began)
        assert all(np.array_equal(found[i], expected[i]) for i in expected)
    ratios = [b / a for a, b in zip(single, several, strict=True)]
    memory = [peak(which, model) for which in ("one", "all")]
    size = sum(4 * 480 for _ in views) * len(sequences) / 1e6
    middle = statistics.median
    print(
        f"\n{len(sequences)} chains: one view {middle(single):.2f} s, 216 views {middle(several):.2f} s,"
        f" ratio {middle(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}); {size:.0f} MB of vectors; "
        f"a process has at most {memory[0]:.0f} MB with one, {memory[1] - memory[0]:.0f} MB more with all"
    )
    benchmark.extra_info["more_memory"] = memory[1] - memory[0]
    benchmark.extra_info["ratio"] = statistics.median(ratios)
    benchmark.pedantic(one, rounds=1)


if __name__ == "__main__":
    one_view = ExtractorSpec(model=sys.argv[2]).pin()
    chosen = one_view.views(LAYERS, POOLINGS, REGIONS) if sys.argv[1] == "all" else [one_view]
    for _ in Extractor(one_view).stream_views(list(dict.fromkeys(chains(400))), [one.resolve() for one in chosen]):
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
