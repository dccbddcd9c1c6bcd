"""What is said before long work, and how true it is."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed, embed_stream
from antibody_esm.batch import Batch
from antibody_esm.plm.batching import batches, shuffled
from antibody_esm.plm.forecast import Forecast
from antibody_esm.testing import tiny_checkpoint
from effort import examples


@examples(100)
@given(
    seed=st.integers(0, 100),
    dim=st.sampled_from([320, 512, 1280]),
    overhead=st.floats(0, 0.3),
    short=st.floats(0.5, 2.0),
)
def test_after_a_fiftieth_of_the_work_the_forecast_is_within_a_fifth(
    seed: int, dim: int, overhead: float, short: float
) -> None:
    # The machine of this test has costs that the forecast does not know: one a batch, and one for short sequences.
    generator = random.Random(seed)
    mix = generator.choices([15, 120, 125, 245], [3, 4, 2, 1], k=20_000)
    lengths = [max(5, length + generator.randrange(-3, 4)) for length in mix]

    def took(batch: list[int]) -> float:
        tokens = [lengths[i] for i in batch]
        work = sum(n * (6 * dim + n) * (short if n < 30 else 1) for n in tokens) / (2048 * 6 * dim)
        return (overhead + work) * generator.uniform(0.9, 1.1)

    todo = shuffled(batches(lengths, 2048))
    times = [took(batch) for batch in todo]
    forecast = Forecast("model", dim, "float32")
    forecast.expect(lengths)
    for batch, seconds in zip(todo, times, strict=True):
        forecast.add([lengths[i] for i in batch], seconds / 2)
        if forecast.share >= 0.02:
            break
    assert forecast.seconds == pytest.approx(sum(times) / 2, rel=0.2)


def test_it_is_said_once_when_enough_is_known_and_only_of_long_work() -> None:
    forecast = Forecast("model", 100, "float16")
    forecast.expect([100] * 1000, stored=17)
    assert forecast.news() is None
    for _ in range(4):
        assert forecast.news() is None
        forecast.add([100] * 10, 0.6)
    assert forecast.news() == "model: 1,000 sequences to compute, 17 stored already; about 0:01:00 and 348 kB of disk"
    assert forecast.news() is None
    short = Forecast("model", 100, "float32")
    short.expect([100] * 50)
    for _ in range(4):
        short.add([100] * 10, 1.0)
    assert short.seconds == pytest.approx(5.0)
    assert short.news() is None


def test_it_counts_what_is_stored_and_what_it_took(
    tmp_path: Path, tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("antibody_esm.plm.forecast._ENOUGH_BATCHES", 2)
    monkeypatch.setattr("antibody_esm.plm.forecast._ENOUGH_SECONDS", 0.0)
    monkeypatch.setattr("antibody_esm.plm.forecast._LONG", 0.0)
    sequences = ["A" * n for n in range(1, 30)]
    embed(sequences[:9], tiny, tmp_path, RuntimeSpec(progress=True))
    capfd.readouterr()
    embed(sequences + sequences, tiny, tmp_path, RuntimeSpec(progress=True))
    said = capfd.readouterr().err
    assert "20 sequences to compute, 9 stored already; about 0:00:0" in said
    path = tmp_path / "all.fasta"
    path.write_text("".join(f">{n}\n{'C' * n}\n" for n in range(1, 30)) + ">again\nAAA\n")
    list(embed_stream(path, tiny, tmp_path, RuntimeSpec(progress=True), at_once=5))
    said = capfd.readouterr().err
    assert said.count("29 sequences to compute, 1 stored already") == 1, "of the whole file, and once"
    embed(["CWC" * n for n in range(20, 30)], tiny, tmp_path, RuntimeSpec(progress=False))
    assert "to compute" not in capfd.readouterr().err


def test_the_disk_that_is_forecast_is_the_disk_that_is_taken(tmp_path: Path) -> None:
    spec = ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path / "model", dim=256)))
    extractor = Extractor(spec)
    sequences = ["W" * (100 + n % 20) + "C" * (n // 20) for n in range(400)]
    forecast = extractor.forecast()
    forecast.expect(map(len, sequences))
    embed(sequences, extractor, tmp_path / "store")
    assert forecast.bytes == pytest.approx(EmbeddingStore(tmp_path / "store").stats().bytes, rel=0.05)


def test_an_interrupted_run_keeps_what_it_had_finished_and_the_next_goes_on(tmp_path: Path) -> None:
    model = tiny_checkpoint("esm", tmp_path / "model", layers=6, dim=256, heads=4)
    fasta = tmp_path / "in.fasta"
    sequences = ["W" * (200 + n % 50) + "C" * (n // 50) for n in range(1500)]  # some ten seconds
    fasta.write_text("".join(f">{n}\n{one}\n" for n, one in enumerate(sequences)))
    program = "import antibody_esm.cli.app as a; a.main()"
    command = [sys.executable, "-c", program, "embed", str(fasta), "--language-model", str(model), "-o", "out.parquet"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store, spec = EmbeddingStore(tmp_path / "embeddings"), ExtractorSpec(model=str(model))
    while store.count(spec) < 30 and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130
    last = "interrupted; finished vectors are in embeddings; the same command continues from there"
    assert said.strip().splitlines()[-1] == last
    kept = store.count(spec)
    assert 30 <= kept < 1500
    assert not (tmp_path / "out.parquet").exists()
    # Of those that were kept and those that were not, enough to see that the next run goes on.
    some = [*list(store.get(spec, sequences))[:20], *store.absent(spec, sequences)[:20]]
    absent, rest = len(store.absent(spec, some)), Extractor(spec)
    rows = embed(some, rest, store)
    assert rest.computed == absent == 20
    assert np.array_equal(rows[::5], Extractor(spec).embed(some[::5]))


def test_threads_are_waited_for_and_none_begins_after(tiny: ExtractorSpec) -> None:
    kept: list[Batch] = []

    def step(batch: Batch) -> list[np.ndarray]:
        time.sleep(0.2)
        kept.append(batch)
        return []

    todo = [Batch(["W" * n], ()) for n in range(2, 40)]
    extractor = Extractor(tiny, RuntimeSpec(workers=2))
    done = extractor.each(step, todo, len(todo), extractor.forecast())
    next(done)
    done.close()
    before = len(kept)
    assert 1 <= before <= 4
    time.sleep(0.5)
    assert len(kept) == before
