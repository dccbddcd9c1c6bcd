"""``antibody-esm predict`` of a thousand stored sequences, beside the script that anybody would write for it.

The script has a pipeline pickled by joblib and vectors in a NumPy file; it gives probabilities, and nothing of how sure
they are. Both run in processes of their own, of which the time beyond importing what they use is taken. Sequences are
heavy variable domains of Boughter et al. 2020 where the data lie on disk, else simulated ones; vectors are random
numbers in the size of AntiBERTy's, put into the store under its key, since the language model has no part in this.
"""

import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from benchmark_identity import heavy_chains
from pytest_benchmark.fixture import BenchmarkFixture

from antibody_esm import Dataset, EmbeddingStore, Predictor, Trainer

TRAINED, SCORED, ROUNDS = 660, 1_000, 7

COMMAND = """
import sys, time
import antibody_esm.cli.predict, antibody_esm.predictor, antibody_esm.score_tables, antibody_esm.store.exchange
import crepes, pandas, rapidfuzz.process, sklearn.linear_model, sklearn.neighbors, venn_abers
from antibody_esm.trusted_types import skops_io
skops_io()
from antibody_esm.cli.app import main
sys.argv = ["antibody-esm", "predict", "in.csv", "--model", "model", "-o", "out.csv", "--store", "store"]
began = time.perf_counter()
try:
    main()
except SystemExit as ended:
    assert not ended.code
print("seconds", time.perf_counter() - began)
"""
SCRIPT = """
import time
import joblib, numpy, pandas, sklearn.linear_model, sklearn.pipeline, sklearn.preprocessing
began = time.perf_counter()
table = pandas.read_csv("in.csv")
probability = joblib.load("classifier.joblib").predict_proba(numpy.load("vectors.npy"))[:, 1]
table.assign(probability=probability).to_csv("script.csv", index=False)
print("seconds", time.perf_counter() - began)
"""


def benchmark_a_thousand_stored_sequences(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    known = list(dict.fromkeys(heavy_chains()))
    generator = np.random.default_rng(0)
    drawn = [known[i] for i in generator.integers(0, len(known), TRAINED + SCORED)]
    label = generator.integers(0, 2, TRAINED)
    data = Dataset([str(i) for i in range(TRAINED)], drawn[:TRAINED], label=label).cut("VH", drop=True)
    scored = Dataset([str(i) for i in range(SCORED)], drawn[TRAINED:]).cut("VH", drop=True)
    store = EmbeddingStore(tmp_path / "store")
    trainer = Trainer("antiberty", "logreg", store=store)
    distinct = list(dict.fromkeys([*data.sequences, *scored.sequences]))
    rows = generator.normal(size=(len(distinct), trainer.extractor.dim)).astype(np.float32)
    store.put(trainer.spec.extractor, distinct, rows)
    predictor = trainer.fit(data)
    predictor.save(tmp_path / "model")
    pd.DataFrame({"id": scored.ids, "heavy": scored.heavy}).to_csv(tmp_path / "in.csv", index=False)
    X = predictor.vectors(scored.sequences)
    np.save(tmp_path / "vectors.npy", X)
    joblib.dump(Predictor.load(tmp_path / "model").classifier, tmp_path / "classifier.joblib")

    def seconds(code: str) -> float:
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(done.stdout.split("seconds")[-1])

    times = np.array([[seconds(COMMAND), seconds(SCRIPT)] for _ in range(ROUNDS)])
    ours, theirs = (pd.read_csv(tmp_path / name)["probability"] for name in ("out.csv", "script.csv"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    benchmark.pedantic(lambda: predictor._apply(X, None), rounds=ROUNDS, warmup_rounds=1)
    ratio = times[:, 0] / times[:, 1]
    print(
        f"\n{len(X):,} stored sequences, beyond imports: command {np.median(times[:, 0]):.2f} s "
        f"({times[:, 0].min():.2f}-{times[:, 0].max():.2f}), of which the classifier "
        f"{benchmark.stats.stats.median:.3f} s; script {np.median(times[:, 1]):.3f} s; "
        f"ratio {np.median(ratio):.0f} ({ratio.min():.0f}-{ratio.max():.0f})"
    )
