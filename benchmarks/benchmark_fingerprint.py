"""A million specs that differ, many by one bit of one number, have a million fingerprints; and how many a second.

The peer is joblib's hash of the same fields, run on a part of the same specs in the same run.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import joblib
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm.specs import (
    ExtractorSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    ResolvedExtractorSpec,
    Spec,
    SplitSpec,
    TrainSpec,
    XGBoostSpec,
)

N_SPECS = 1_000_000
OF_THE_PEER = 5_000
"""Specs of each type that joblib hashes too; a million would take it over a minute."""

POOLINGS = ("mean", "max", "cls")
WEIGHTS = ("balanced", None)


def ulps(i: int) -> float:
    """Return the ``i``-th float after 1: neighbours differ in the last bit."""
    return 1.0 + i * 2.0**-52


# Each makes a spec from its number and four random bytes. One field differs for every number, by construction; the
# others vary at random. All are validated, as a user's are.
MAKERS: dict[type[Spec], Callable[[int, list[int]], Spec]] = {
    ExtractorSpec: lambda i, r: ExtractorSpec(
        model=f"model-{r[0]}", layer=r[1], pooling=POOLINGS[r[2] % 3], max_length=i + 1, truncation=r[3] % 2 == 0
    ),
    ResolvedExtractorSpec: lambda i, r: ResolvedExtractorSpec(
        digest=f"{i:064x}", layer=r[0], pooling=POOLINGS[r[1] % 3], truncate_to=r[2] or None
    ),
    LogisticRegressionSpec: lambda i, r: LogisticRegressionSpec(
        C=ulps(i), max_iter=r[0] + 1, class_weight=WEIGHTS[r[1] % 2], standardize=r[2] % 2 == 0, random_state=r[3]
    ),
    XGBoostSpec: lambda i, r: XGBoostSpec(
        reg_lambda=ulps(i), n_estimators=r[0] + 1, max_depth=r[1] + 1, subsample=(r[2] + 1) / 256, random_state=r[3]
    ),
    RandomForestSpec: lambda i, r: RandomForestSpec(
        n_estimators=r[0] + 1, max_depth=r[1] or None, max_features=(r[2] + 1) / 256, random_state=i
    ),
    GaussianProcessSpec: lambda i, r: GaussianProcessSpec(
        length_scale=ulps(i), n_restarts_optimizer=r[0], standardize=r[1] % 2 == 0, random_state=r[2]
    ),
    LinearSVMSpec: lambda i, r: LinearSVMSpec(
        C=(r[0] + 1) / 256, max_iter=i + 1, class_weight=WEIGHTS[r[1] % 2], calibration_folds=r[2] + 2
    ),
    KNeighborsSpec: lambda i, r: KNeighborsSpec(
        n_neighbors=i + 1, weights=("uniform", "distance")[r[0] % 2], standardize=r[1] % 2 == 0
    ),
    SplitSpec: lambda i, r: SplitSpec(folds=r[0] + 2, shuffle=r[1] % 2 == 0, random_state=i),
    TrainSpec: lambda i, r: TrainSpec(
        extractor=ExtractorSpec(model=f"model-{r[0]}"),
        classifier=LogisticRegressionSpec(C=ulps(i)),
        split=SplitSpec(random_state=r[1]),
    ),
}


class Row(NamedTuple):
    """One line of the table: specs per second."""

    spec: str
    built: float
    fingerprints: float
    joblib_hashes: float

    @property
    def ratio(self) -> float:
        """Fingerprints per joblib hash in the same time."""
        return self.fingerprints / self.joblib_hashes

    def __str__(self) -> str:
        rates = f"{self.built:>10,.0f} {self.fingerprints:>14,.0f} {self.joblib_hashes:>13,.0f}"
        return f"{self.spec:<24} {rates} {self.ratio:>7.1f}"


HEADER = f"{'specs per second':<24} {'built':>10} {'.fingerprint':>14} {'joblib.hash':>13} {'ratio':>7}"


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    print("", "", HEADER, *rows, sep="\n")


def benchmark_fingerprint(benchmark: BenchmarkFixture, table: list[Row]) -> None:
    rng = np.random.default_rng(0)
    each = N_SPECS // len(MAKERS)
    todo = iter(MAKERS.items())
    seen: set[str] = set()

    def built() -> tuple[tuple[list[Spec]], dict[str, Any]]:
        """Make the specs of the next type, and let the peer take its turn on them."""
        kind, make = next(todo)
        random = rng.integers(256, size=(each, 4)).tolist()
        start = time.perf_counter()
        specs = [make(i, numbers) for i, numbers in enumerate(random)]
        made = time.perf_counter() - start
        start = time.perf_counter()
        for spec in specs[:OF_THE_PEER]:
            joblib.hash(spec.model_dump())
        table.append(Row(kind.__name__, each / made, 0.0, OF_THE_PEER / (time.perf_counter() - start)))
        return (specs,), {}

    def fingerprints(specs: list[Spec]) -> None:
        start = time.perf_counter()
        found = [spec.fingerprint for spec in specs]
        table[-1] = table[-1]._replace(fingerprints=each / (time.perf_counter() - start))
        seen.update(found)

    benchmark.pedantic(fingerprints, setup=built, rounds=len(MAKERS), iterations=1)
    benchmark.extra_info.update({row.spec: {**row._asdict(), "ratio": row.ratio} for row in table})
    benchmark.extra_info["median_ratio"] = statistics.median(row.ratio for row in table)
    benchmark.extra_info["specs"] = each * len(table)
    assert len(seen) == each * len(table)  # no two alike; benchmark runs one type only under --benchmark-disable
