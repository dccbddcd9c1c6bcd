"""Work that joblib hands to other processes: a Dask cluster, or this machine's."""

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import joblib
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security
from typer import Typer
from typer.testing import CliRunner, Result

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed, embed_stream, embed_views, number
from antibody_esm import cluster as of_clusters
from antibody_esm.batch import Batch
from antibody_esm.cli import app, benchmark
from antibody_esm.cluster import address_of, connected
from antibody_esm.errors import BadResidue, CheckpointError, ClusterError, SequenceError, StoreError, in_one_line
from antibody_esm.numbering import engines
from antibody_esm.store.folder import Folder
from antibody_esm.store.writer import Writer, Writers
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.threads import in_any_order, in_threads
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, mutants
from effort import PATIENCE, STRESS
from explaining import trained

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


def both_again(cluster: Client, before: dict[str, int]) -> None:
    """Wait until another worker runs in the place of a killed one; it starts in the folder that is current by then."""
    until = time.monotonic() + PATIENCE
    while len(now := cluster.run(os.getpid, on_error="ignore")) < 2 or now == before:
        assert time.monotonic() < until, "the cluster has started no other worker"
        time.sleep(0.1)
    assert len(set(now.values()) & set(before.values())) == 1


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
    both_again(cluster, processes)


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


CHAINS = [*mutants(HEAVY, 200, 8, seed=1), *mutants(LIGHT, 120, 8, seed=2), LYSOZYME, HEAVY + LINKER + LIGHT, HEAVY]
"""More than a batch of another process, of which some leave immunum in doubt."""


def without_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this process number what it has numbered before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.mark.parametrize("which", ["auto", "both"] if STRESS else ["auto"])
def test_domains_are_those_of_one_process_in_its_order(
    cluster: Client, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = engines.numbered(CHAINS, ("human", "mouse"), 1, which)  # type: ignore[arg-type]
    without_cache(monkeypatch, tmp_path)
    with joblib.parallel_config(backend="dask"):
        domains = number([*CHAINS, CHAINS[5]], engines=which)  # type: ignore[call-overload]
        monkeypatch.setattr("antibody_esm.numbering.recognition.numbered", None)
        assert number(CHAINS, engines=which) == domains[:-1], "what workers numbered is in this process's cache"  # type: ignore[call-overload]
    assert domains == [expected[chain] for chain in [*CHAINS, CHAINS[5]]]
    assert domains[320] == ()
    assert len(domains[321]) == 2


def test_a_worker_with_other_numbering_programs_is_refused_so_that_no_cache_holds_its_domains(
    cluster: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_cache(monkeypatch, tmp_path)
    monkeypatch.setattr(engines, "_FORMAT", 99)
    with joblib.parallel_config(backend="dask"), pytest.raises(ClusterError, match=r"a worker numbers by .* \(1\) and"):
        number(CHAINS)
    monkeypatch.undo()


def large(numbers: np.ndarray) -> Callable[[int, int], float]:
    def work(row: int, times: int) -> float:
        if row == 13:
            raise SequenceError([BadResidue(row, 2, "-")], ["'-'"])
        return float(numbers[row] * times)

    return work


def test_functions_with_arrays_are_sent_and_results_stand_in_the_order_of_the_calls(cluster: Client) -> None:
    numbers = np.arange(20_000.0)  # more than is sent with every call
    with joblib.parallel_config(backend="dask"):
        assert in_threads(large(numbers), [(i, 2) for i in range(9)]) == [2.0 * i for i in range(9)]
        assert in_threads(large(numbers), []) == []
        assert set(in_any_order(len, ["a", "bb"])) == {1, 2}


def test_errors_of_workers_are_those_of_one_process_with_their_rows(cluster: Client) -> None:
    with joblib.parallel_config(backend="dask"), pytest.raises(SequenceError) as refused:
        in_threads(large(np.arange(20.0)), [(i, 2) for i in range(20)])
    assert refused.value.rows == ((13, 2, "-"),)
    assert not isinstance(refused.value, ClusterError)


def without_files(path: str) -> None:
    raise CheckpointError(f"nothing in {path}", "model", None, [path])


def test_an_error_of_a_worker_has_the_folders_that_notes_leave_out(cluster: Client) -> None:
    with joblib.parallel_config(backend="dask"), pytest.raises(CheckpointError) as refused:
        in_threads(without_files, [("/secret/model",)] * 2)
    assert refused.value.folders == ("/secret/model",)
    assert "secret" not in in_one_line(refused.value)


def inner(count: int) -> tuple[int, int, list[int]]:
    from antibody_esm.threads import runs_elsewhere, usable_threads

    return usable_threads(), int(runs_elsewhere()), in_threads(abs, [(-i,) for i in range(count)])


def test_calls_within_calls_stay_in_their_worker_on_one_thread(cluster: Client) -> None:
    with joblib.parallel_config(backend="dask"):
        assert list(in_any_order(inner, [3, 3])) == [(1, 0, [0, 1, 2])] * 2


def set_version(text: str) -> None:
    vars(of_clusters)["own_version"] = lambda: text


def test_a_worker_with_another_version_is_refused(cluster: Client) -> None:
    here = of_clusters.own_version()
    cluster.run(set_version, "0.0.1")
    try:
        with (
            joblib.parallel_config(backend="dask"),
            pytest.raises(ClusterError, match="a worker has antibody_esm 0.0.1"),
        ):
            in_threads(abs, [(1,)])
    finally:
        cluster.run(set_version, here)


def die(_: int) -> None:
    os._exit(1)


def test_a_call_that_ends_its_workers_ends_the_run_with_the_reason(cluster: Client) -> None:
    assert cluster.cluster is not None
    scheduler = cluster.cluster.scheduler
    scheduler.allowed_failures, allowed = 0, scheduler.allowed_failures
    processes = cluster.run(os.getpid)
    try:
        with joblib.parallel_config(backend="dask"), pytest.raises(ClusterError, match="too little memory") as lost:
            in_threads(die, [(1,)])
        assert lost.value.begun
    finally:
        scheduler.allowed_failures = allowed
        both_again(cluster, processes)


def test_a_worker_that_does_not_see_the_store_is_an_error_and_keeps_no_rows_for_itself(tmp_path: Path) -> None:
    spec = ExtractorSpec(model="m", digest="0" * 64, layer=1, max_length=50).resolve()
    sent = pickle.dumps(Writers([Writer(Folder(tmp_path / "store", spec), spec)]))
    with pytest.raises(StoreError, match="is not on this machine"):
        pickle.loads(sent).put(Batch(["EVQL"], (spec,)), [np.zeros((1, 4), np.float32)])  # noqa: S301
    assert not list(tmp_path.iterdir())


def invoked(command: Typer, *words: object, status: int = 0) -> Result:
    done = CliRunner().invoke(command, [str(word) for word in words], terminal_width=200)
    assert done.exit_code == status, (done.output, done.exception)
    return done


@pytest.fixture(scope="module")
def scheduler(cluster: Client) -> str:
    assert cluster.scheduler is not None
    return str(cluster.scheduler.address)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with a table of antibodies; workers have another one."""
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"id": [f"a{i}" for i in range(len(CHAINS) - 3)], "heavy": CHAINS[:-3]})
    table.iloc[:200].assign(label=[i % 2 for i in range(200)]).to_csv("in.csv", index=False)
    return tmp_path


def test_commands_write_the_bytes_of_one_process(
    cluster: Client, scheduler: str, folder: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """embed, predict, scan and antibody-benchmark, with the store and the model under relative paths."""
    shutil.copytree(checkpoints["esmc"], "plm")
    trained(ExtractorSpec(model="plm"), "logreg").save("model")
    pd.read_csv("in.csv").iloc[:40].to_csv("small.csv", index=False)
    grid = ["model=descriptors,plm", "data=small.csv", "split.folds=2", "random_seeds=0"]
    commands: dict[str, tuple[Any, ...]] = {
        "vectors.npz": (app.app, "embed", "in.csv", "--language-model", "plm", "-o"),
        "scores.csv": (app.app, "predict", "in.csv", "--model", "model", "-o"),
        "mutants.csv": (app.app, "scan", HEAVY, "--model", "model", "--positions", "105-107", "-o"),
    }
    for name, (command, *words) in commands.items():
        for place in ("here", "there"):
            without_cache(monkeypatch, folder / place)
            Path(place).mkdir(exist_ok=True)
            more = ["--scheduler", scheduler] if place == "there" else []
            invoked(command, *words, f"{place}/{name}", "--store", f"{place}/store", *more)
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes(), name
    for place in ("here", "there"):
        more = ["--scheduler", scheduler] if place == "there" else []
        grid_of = ["extractor.model=plm" if word.startswith("model=") else word for word in grid]
        invoked(benchmark.app, *grid_of, f"store={place}/store", f"output={place}/grid", *more)
    assert Path("here/grid/scores.csv").read_bytes() == Path("there/grid/scores.csv").read_bytes()
    stores = [EmbeddingStore(f"{place}/store") for place in ("here", "there")]
    assert stores[0].count(ExtractorSpec(model="plm")) == stores[1].count(ExtractorSpec(model="plm")) > 200
    assert stores[1].verify(Extractor("plm")).sound
    assert not any(cluster.run(lambda place: Path(place).exists(), "there").values()), "their current folder is another"


def test_number_writes_the_bytes_of_one_process(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [*CHAINS, "EVQ-L", ""]
    Path("in.fasta").write_text("".join(f">a{i}\n{chain}\n" for i, chain in enumerate(rows[:-1])))
    done = []
    for place, more in (("here", []), ("there", ["--scheduler", scheduler])):
        without_cache(monkeypatch, tmp_path / place)
        done.append(invoked(app.app, "data", "number", "in.fasta", "-o", f"{place}.csv", *more))
    assert Path("here.csv").read_bytes() == Path("there.csv").read_bytes()
    assert done[0].output.replace("here", "") == done[1].output.replace("there", "")


@pytest.mark.parametrize(
    "text", ["http://a:1", "inproc://a:1", "tcp://a", "ws://a:8786", "tcp://a:1 b", "", "tcp://a:1/x"]
)
def test_what_is_no_address_of_a_scheduler_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address of a Dask scheduler"), connected(text):
        pass


@pytest.mark.parametrize("text", ["tcp://10.0.0.7:8786", "tls://node-1.site:8786", "node_1:8786", "tcp://[::1]:8786"])
def test_addresses_by_tcp_and_tls_are_taken(text: str) -> None:
    assert address_of(text) == text


def test_a_server_that_is_no_scheduler_or_does_not_answer_ends_the_command_in_one_line(
    folder: Path, model: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_clusters, "ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        done = invoked(
            app.app, "embed", "in.csv", "--language-model", model.model, "-o", "v.npz", "--scheduler", there, status=1
        )
    assert done.output == f"error: no Dask scheduler answers at {there} within 0 seconds\n"
    done = invoked(
        app.app, "embed", "in.csv", "--language-model", model.model, "-o", "v.npz", "--scheduler", there, status=1
    )
    assert done.output == f"error: no Dask scheduler answers at {there} within 0 seconds\n"
    assert [path.name for path in folder.iterdir()] == ["in.csv"]


def test_without_dask_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r'pip install "\.\[cluster\]" in a checkout'), connected("tcp://a:1"):
        pass


def test_a_scheduler_by_tls_wants_certificates(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout"
    subprocess.run(["openssl", *words.split(), str(key), "-out", str(certificate)], check=True, capture_output=True)
    roles = ("scheduler", "worker", "client")
    files = {f"tls_{role}_{kind}": str(path) for role in roles for kind, path in (("key", key), ("cert", certificate))}
    security = Security(require_encryption=True, tls_ca_file=str(certificate), **files)
    with LocalCluster(
        n_workers=1, processes=False, protocol="tls://", security=security, dashboard_address="127.0.0.1:0"
    ) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with pytest.raises(ClusterError, match=r"distributed\.comm\.tls"), connected(address):
            pass
        client = {"key": str(key), "cert": str(certificate)}
        settings = {"distributed.comm.tls.ca-file": str(certificate), "distributed.comm.tls.client": client}
        with dask.config.set(settings), connected(address):
            assert in_threads(pow, [(3, 2), (2, 3)]) == [9, 8]


LONG = ExtractorSpec(model="long")


@pytest.fixture
def long_run(folder: Path) -> Path:
    """A run of some seconds: a store that fills slowly."""
    tiny_checkpoint("esm", folder / "long", layers=6, dim=320, heads=20)
    pd.read_csv("in.csv").iloc[:96].to_csv("in.csv", index=False)
    return folder


def at_the_first_row(store: Path, act: Callable[[], object]) -> threading.Thread:
    def watch() -> None:
        until = time.monotonic() + PATIENCE
        while not list(store.glob("*/*.joblib")) and time.monotonic() < until:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def goes_on(done: Result, status: int) -> int:
    """Check the end of an interrupted run and its store, complete the run in this process, and return its rows then."""
    assert done.exit_code == status, (done.output, done.exception)
    assert done.output.endswith("finished vectors are in store; the same command continues from there\n")
    assert len(done.output.splitlines()) == 1
    assert not Path("v.npz").exists()
    time.sleep(0.5)  # a worker may put its last batch
    store, extractor = EmbeddingStore("store"), Extractor(LONG)
    assert store.verify(Extractor(LONG)).sound
    rows = store.count(LONG)
    assert 0 < rows < 96
    chains = list(pd.read_csv("in.csv")["heavy"])
    unique = len(set(chains))
    vectors = embed(chains, extractor, store)
    assert extractor.computed == unique - rows, "the next run goes on with what was stored"
    assert np.array_equal(vectors[:5], Extractor(LONG).embed(chains[:5]))
    return rows


def test_ctrl_c_ends_the_command_leaves_the_store_whole_and_the_cluster_free(
    cluster: Client, scheduler: str, long_run: Path
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a script runs in the background
    watching = at_the_first_row(Path("store"), lambda: signal.raise_signal(signal.SIGINT))
    words = ["embed", "in.csv", "--language-model", "long", "-o", "v.npz", "--store", "store", "--scheduler", scheduler]
    done = CliRunner().invoke(app.app, words)
    watching.join()
    goes_on(done, 130)
    with joblib.parallel_config(backend="dask"):
        assert in_threads(pow, [(3, 2)]) == [9]
    processing = {key for keys in cluster.processing().values() for key in keys}
    assert not processing, "nothing of the ended client runs"


def test_a_scheduler_that_is_killed_ends_the_command_and_leaves_the_store_whole(long_run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    dask_ = [sys.executable, "-m"]
    address = f"tcp://127.0.0.1:{port}"
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": long_run}
    first = [*dask_, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    second = [*dask_, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with subprocess.Popen(first, **options) as killed, subprocess.Popen(second, **options) as worker:  # type: ignore[call-overload]
        try:
            watching = at_the_first_row(Path("store"), killed.kill)
            words = [
                "embed",
                "in.csv",
                "--language-model",
                "long",
                "-o",
                "v.npz",
                "--store",
                "store",
                "--scheduler",
                address,
            ]
            done = CliRunner().invoke(app.app, words)
            watching.join()
        finally:
            killed.kill()
            worker.kill()
    assert f"error: the scheduler at {address} no longer answers; " in done.output
    goes_on(done, 1)


def test_an_interrupted_client_process_ends_with_its_status_and_without_a_traceback(
    scheduler: str, folder: Path
) -> None:
    pd.DataFrame({"heavy": mutants(HEAVY, 6000, 12, seed=5)}).to_csv("many.csv", index=False)
    words = ["data", "number", "many.csv", "-o", "n.csv", "--engines", "both", "--scheduler", scheduler]
    cache = folder / "cache"
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    program = [sys.executable, "-m", "antibody_esm.cli.app", *words]
    for ending in (signal.SIGINT, signal.SIGTERM) if STRESS else (signal.SIGINT,):
        running = subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + PATIENCE
        while not list(cache.glob("**/domains.sqlite")) and running.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1)
        running.send_signal(ending)
        printed, text = running.communicate(timeout=PATIENCE)
        assert running.returncode == 128 + ending, (printed, text)
        last = text.replace("\r", "\n").splitlines()[-1]
        assert last == "interrupted; numbered sequences are cached; the same command continues from there"
        assert "Traceback" not in text
        assert not Path("n.csv").exists()
