"""CPU time that commands take before and beside their own work, with plain programs beside them.

``--help`` and ``--cfg job`` have a peer that does nothing but load the library which reads the command line; training
and prediction with every vector stored have a script that imports the scikit-learn classes which they use. All run as
processes of their own, in turns. User and system time of the process count, so that other programs matter little.
Importing each public name is measured as well.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from benchmark_identity import heavy_chains
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import Dataset, EmbeddingStore, Trainer

TRAINED, SCORED, ROUNDS = 660, 900, 5

TYPER = """
import sys, typer
app = typer.Typer(add_completion=False, rich_markup_mode=None)
@app.command()
def command(words: list[str] | None = None) -> None: pass
sys.argv = ["command", "--help"]
app()
"""
GRAMMAR = "from hydra.core.override_parser.overrides_parser import OverridesParser; OverridesParser.create()"
LIBRARIES = "import numpy, pandas, sklearn.linear_model, sklearn.pipeline, sklearn.preprocessing"
FIGURES = f"{LIBRARIES}; import matplotlib.figure, matplotlib.backends.backend_svg"
STORED = ("predict", "in.csv", "--model", "model", "-o", "out.csv", "--store", "store")


def command(name: str, *words: str) -> list[str]:
    return ["-m", f"antibody_esm.cli.{name}", *words]


MEASURED: dict[str, tuple[list[str], list[str]]] = {
    "antibody-esm --help": (command("app", "--help"), ["-c", TYPER]),
    "antibody-esm predict --help": (command("app", "predict", "--help"), ["-c", TYPER]),
    "antibody-train --help": (command("train", "--help"), ["-c", TYPER]),
    "antibody-train --cfg job": (command("train", "--cfg", "job"), ["-c", GRAMMAR]),
    "second antibody-train": (command("train", "output=again"), ["-c", FIGURES]),
    f"antibody-esm predict of {SCORED}": (command("app", *STORED), ["-c", LIBRARIES]),
    "import Trainer, Predictor": (["-c", "from antibody_esm import Predictor, Trainer"], ["-c", "import numpy"]),
    "import load_dataset": (["-c", "from antibody_esm import load_dataset"], ["-c", "import numpy"]),
}
"""Name of what is measured; arguments of Python for it, and for the peer."""


def seconds(arguments: list[str], folder: Path) -> float:
    """Return user and system time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def prepare(folder: Path) -> None:
    """Make a model of AntiBERTy's size and a table of stored sequences, whose vectors are random numbers."""
    known = list(dict.fromkeys(heavy_chains()))
    generator = np.random.default_rng(0)
    drawn = [known[i] for i in generator.integers(0, len(known), TRAINED + SCORED)]
    label = generator.integers(0, 2, TRAINED)
    data = Dataset([str(i) for i in range(TRAINED)], drawn[:TRAINED], label=label).cut("VH", drop=True)
    scored = Dataset([str(i) for i in range(SCORED)], drawn[TRAINED:]).cut("VH", drop=True)
    store = EmbeddingStore(folder / "store")
    trainer = Trainer("antiberty", "logreg", store=store)
    distinct = list(dict.fromkeys([*data.sequences, *scored.sequences]))
    rows = generator.normal(size=(len(distinct), trainer.extractor.dim)).astype(np.float32)
    store.put(trainer.spec.extractor, distinct, rows)
    trainer.fit(data).save(folder / "model")
    pd.DataFrame({"id": scored.ids, "heavy": scored.heavy}).to_csv(folder / "in.csv", index=False)
    seconds(command("train", "output=first"), folder)  # stores the vectors of the data set


def benchmark_start_of_commands(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # threads that wait count as work
    prepare(tmp_path)
    print()
    for name, (ours, peer) in MEASURED.items():
        times = np.array([[seconds(ours, tmp_path), seconds(peer, tmp_path)] for _ in range(ROUNDS)])
        ratio = times[:, 0] / times[:, 1]
        print(
            f"{name}: {np.median(times[:, 0]):.2f} s ({times[:, 0].min():.2f}-{times[:, 0].max():.2f}), "
            f"peer {np.median(times[:, 1]):.2f} s, ratio {np.median(ratio):.1f} ({ratio.min():.1f}-{ratio.max():.1f})"
        )
    benchmark.pedantic(lambda: seconds(MEASURED["antibody-esm --help"][0], tmp_path), rounds=ROUNDS)
