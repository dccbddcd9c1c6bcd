"""Work that joblib hands to other processes: a Dask cluster, or this machine's."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed, embed_stream, embed_views
from antibody_esm.errors import CheckpointError
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SEQUENCES = ["W" * (20 + n % 37) + "C" * (n // 37) for n in range(300)] + ["A", "F" * 61]
RUNTIME = RuntimeSpec(batch_tokens=400)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as local,
        Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ExtractorSpec:
    return ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path_factory.mktemp("model"), dim=64)))


def models_here() -> int:
    from antibody_esm.plm import remote

    return len(remote._loaded)


def test_a_cluster_gives_the_bits_of_one_machine_and_its_workers_write_to_the_store(
    cluster: Client, model: ExtractorSpec, tmp_path: Path
) -> None:
    extractor, store = Extractor(model, RUNTIME), EmbeddingStore(tmp_path)
    with joblib.parallel_config(backend="dask"):
        rows = embed([*SEQUENCES, *SEQUENCES[:9]], extractor, store)
    assert "models" not in vars(extractor), "this process has only handed out"
    assert extractor.computed == len(SEQUENCES)
    assert store.count(model) == len(SEQUENCES)
    assert store.verify(Extractor(model)).sound
    assert np.array_equal(rows, embed([*SEQUENCES, *SEQUENCES[:9]], Extractor(model, RUNTIME)))
    with joblib.parallel_config(backend="dask"):
        again = Extractor(model, RUNTIME)
        assert np.array_equal(embed(SEQUENCES, again, store), rows[: len(SEQUENCES)])
    assert again.computed == 0
    assert set(cluster.run(models_here).values()) == {1}, "both workers took part, with one model each"


def test_without_a_store_and_of_a_stream_too(cluster: Client, model: ExtractorSpec, tmp_path: Path) -> None:
    expected = embed(SEQUENCES, Extractor(model, RUNTIME))
    with joblib.parallel_config(backend="dask"):
        assert np.array_equal(embed(SEQUENCES, model, runtime=RUNTIME), expected)
        blocks = list(embed_stream(iter(SEQUENCES), model, tmp_path, RUNTIME, at_once=100))
        assert np.array_equal(np.concatenate([block.vectors for block in blocks]), expected)
        (mean,) = embed_views(SEQUENCES[:5], [model])
    assert np.array_equal(mean, expected[:5])


def test_a_worker_that_is_killed_costs_nothing_but_its_batch(
    cluster: Client, model: ExtractorSpec, tmp_path: Path
) -> None:
    store, killed = EmbeddingStore(tmp_path), 0
    extractor = Extractor(model.model_copy(update={"pooling": "max"}), RuntimeSpec(batch_tokens=100))
    rows = np.empty((len(SEQUENCES), 64), np.float32)
    processes = cluster.run(os.getpid)
    unique = list(dict.fromkeys(SEQUENCES))
    with joblib.parallel_config(backend="dask"):
        for number, (indices, some) in enumerate(extractor.stream(unique)):
            rows[indices] = some
            if number == 5:
                killed = next(iter(processes.values()))
                os.kill(killed, signal.SIGKILL)
        embed(SEQUENCES, extractor, store)
    assert killed
    expected = Extractor(extractor.spec).embed(unique)
    assert np.array_equal(rows, expected)
    assert store.count(extractor.spec) == len(unique)
    for _ in range(100):  # the cluster starts another worker
        if len(cluster.scheduler_info()["workers"]) == 2:
            break
        time.sleep(0.1)
    assert killed not in cluster.run(os.getpid).values()


def test_a_model_that_a_worker_does_not_find_is_an_error_and_not_another_model(cluster: Client, tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "model", seed=21)  # files that are in no other folder
    pinned = Extractor(folder).pinned
    tiny_checkpoint("esm", folder, seed=22)
    extractor = Extractor(folder)
    extractor.__dict__["resolved"] = pinned.resolve()
    with joblib.parallel_config(backend="dask"), pytest.raises(CheckpointError, match="is pinned to"):
        extractor.embed(SEQUENCES[:5])


def test_processes_of_this_machine_take_part_by_the_same_words(model: ExtractorSpec, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    pairs = [(HEAVY, LIGHT)]
    with joblib.parallel_config(backend="loky", n_jobs=2):
        rows = embed(pairs, model, store)
    assert np.array_equal(rows, embed(pairs, model))
    assert store.count(model) == 2
