"""All baselines over three public data sets, with what numbering remembers and from nothing.

Cross-validated on Boughter et al. 2020 (ten stratified folds, then ten of clusters at 90 % identity), fitted on all of
it, and scored on Jain et al. 2017 and Shehata et al. 2019. The data must lie on disk (`ANTIBODY_ESM_DATA`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

CHILD = """
import json, time
began = time.perf_counter()
times = {}
def took(name):
    global began
    times[name] = time.perf_counter() - began
    began = time.perf_counter()
from antibody_esm import SplitSpec, load_dataset
from antibody_esm.evaluation.baselines import BASELINES, cross_validate_baselines, fit_baselines
took("import")
data, jain, shehata = map(load_dataset, ("boughter", "jain", "shehata"))
took("load")
scores = {}
for by in ("antibody", "identity"):
    for name in BASELINES:
        found = cross_validate_baselines(data, SplitSpec(by=by), [name]).found[name]
        scores[by, name] = float(found.scores["roc_auc"].mean())
        took(f"{by} {name}")
fitted = fit_baselines(data)
took("fit")
for test, other in (("jain", jain), ("shehata", shehata)):
    for name, one in fitted.score(other).found.items():
        scores[test, name] = one.scores["roc_auc"]
    took(test)
print(json.dumps([times, [[*place, value] for place, value in scores.items()]]))
"""


def run(cache: Path | None = None) -> tuple[dict[str, float], list[tuple[str, str, float]]]:
    """Run everything in a process of its own."""
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True)
    if done.returncode:
        if "DatasetError" in done.stderr:
            pytest.skip("the public data sets are not here")
        raise RuntimeError(done.stderr)
    times, scores = json.loads(done.stdout)
    return times, scores


def benchmark_all_baselines(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    cold, first = run(tmp_path)
    rounds = [run(tmp_path) for _ in range(3)]
    warm = min((times for times, _ in rounds), key=lambda times: sum(times.values()))
    assert all(scores == first for _, scores in rounds)
    where = list(dict.fromkeys(place for place, _, _ in first))
    names = list(dict.fromkeys(name for _, name, _ in first))
    table = {(place, name): value for place, name, value in first}
    print(f"\n{'ROC AUC':20s}" + "".join(f"{place:>10s}" for place in where) + f"{'CV, s':>10s}")
    for name in names:
        values = "".join(f"{table[place, name]:10.3f}" for place in where)
        print(f"{name:20s}{values}{warm[f'antibody {name}']:10.2f}")
    for title, times in (("warm", warm), ("cold", cold)):
        one_split = sum(taken for name, taken in times.items() if not name.startswith("identity"))
        rest = ", ".join(f"{name} {times[name]:.1f}" for name in ("import", "load", "fit", "jain", "shehata"))
        print(f"{title}: {one_split:.1f} s with ten stratified folds, {sum(times.values()):.1f} s with both; {rest}")
    benchmark.extra_info |= {"warm": sum(warm.values()), "cold": sum(cold.values())}
    benchmark.pedantic(lambda: None, rounds=1)
