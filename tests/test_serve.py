"""The server as a process: many clients, slow clients, secrets, and its end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antibody_esm import Predictor, Trainer
from antibody_esm.cli import app
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, mutants
from effort import PATIENCE, STRESS
from serving import Served, fitted
from test_web import NOBODY, PROXIES, WATCHED

TOKEN = "a-token-of-the-environment-of-this-test"  # noqa: S105
CLIENTS = 50


class Process:
    """A server in a process of its own, which notes every address that it calls."""

    def __init__(
        self,
        model: Path,
        folder: Path,
        *options: str,
        command: list[str] | None = None,
        path: list[str] | None = None,
        **environment: str,
    ) -> None:
        self.folder, self.log = folder, folder / "log"
        (folder / "watched").mkdir()
        (folder / "watched" / "sitecustomize.py").write_text(WATCHED)
        here = os.pathsep.join([str(folder / "watched"), *(sys.path if path is None else path)])
        variables = os.environ | PROXIES | {"PYTHONPATH": here, "CALLED": str(folder / "called")} | environment
        plain = [sys.executable, "-m", "antibody_esm.cli.app", "serve", str(model), "--port", "0"]
        with self.log.open("w") as log:
            words = command or [*plain, *options]
            self.process = subprocess.Popen(words, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + PATIENCE
        while "Ctrl-C" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.05)
        address = next(line for line in self.log.read_text().splitlines() if "Ctrl-C" in line)
        self.port = int(address.split(" ")[0].rpartition(":")[2])

    def ask(self, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request("GET" if body is None else "POST", path, content, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    @property
    def workers(self) -> list[Path]:
        """The processes that the server has started, but for Python's own tracker of resources."""
        children = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(path.read_text().rpartition(")")[2].split()[1])
                command = (path.parent / "cmdline").read_bytes()
                if parent == self.process.pid and b"resource_tracker" not in command:
                    children.append(path.parent)
        return children

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def called(self) -> set[str]:
        """Return the addresses that the server called or looked up."""
        path = self.folder / "called"
        return set(path.read_text().splitlines()) if path.exists() else set()


@contextmanager
def serving(model: Path, folder: Path, *options: str, **environment: Any) -> Iterator[Process]:
    server = Process(model, folder, *options, **environment)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    trainer = Trainer(tiny_checkpoint("esm", folder / "esm", layers=1, head=True), "logreg")
    return fitted("heavy", trainer).save(folder / "model")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(model, tmp_path_factory.mktemp("server"), ANTIBODY_ESM_TOKEN=TOKEN) as server:
        yield server


def test_fifty_clients_at_once_have_the_answers_to_their_own_antibodies(
    server: Process, model: Path, tmp_path: Path
) -> None:
    """Each has the bytes that it would have alone, which are those of `predict`; ten times by ``make stress``."""
    rounds, alone = (10 if STRESS else 1), Served(tmp_path, model)
    chains = mutants(HEAVY, 2 * CLIENTS * rounds, 6, seed=5)
    named = [{"id": f"c{i}", "heavy": chain} for i, chain in enumerate(chains)]
    requests = [{"antibodies": named[i : i + 2]} for i in range(0, len(named), 2)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda request: server.ask("/score", request), requests))
    assert answers == [(200, alone.answer("score", request).body) for request in requests]
    (tmp_path / "in.csv").write_text("id,heavy\n" + "".join(f"{each['id']},{each['heavy']}\n" for each in named))
    expected = alone.predicted(tmp_path / "in.csv")
    rows = [row for _, body in answers for row in json.loads(body)["antibodies"]]
    assert [row["id"] for row in rows] == [row["id"] for row in expected["antibodies"]]
    # The last digit of a linear classifier depends on the number of antibodies that it predicts together.
    assert [row["probability"] for row in rows] == pytest.approx(
        [float(row["probability"]) for row in expected["antibodies"]], rel=1e-12
    )
    assert len({row["probability"] for row in rows}) == len(rows), "no answer is like another"


def test_one_process_has_the_language_model(server: Process) -> None:
    (worker,) = server.workers
    assert "libtorch" in (worker / "maps").read_text(), "so that the next line means something"
    assert "libtorch" not in Path(f"/proc/{server.process.pid}/maps").read_text()


def test_the_token_is_needed_and_stands_in_no_process_list_log_or_inherited_environment(server: Process) -> None:
    assert server.ask("/health", token="") == (200, b'{"status":"ok"}')
    for token in ("", TOKEN[:-1]):
        assert server.ask("/model", token=token)[0] == 401
        assert server.ask("/score", {"antibodies": [{"heavy": HEAVY}]}, token=token)[0] == 401
    (worker,) = server.workers
    assert TOKEN.encode() not in (worker / "cmdline").read_bytes() + (worker / "environ").read_bytes()
    assert TOKEN.encode() not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    assert TOKEN not in server.log.read_text()


def test_the_log_has_no_sequence_id_or_path_of_a_client(server: Process) -> None:
    secret = {"id": "project-x", "heavy": HEAVY, "note": "confidential"}
    assert server.ask("/score", {"antibodies": [secret, {**secret, "heavy": "EVQ1LV"}]})[0] == 200
    assert server.ask("/explain", {"antibody": {**secret, "heavy": "DIQMTQ"}})[0] == 422
    assert server.ask("/project-x")[0] == 404
    assert server.ask("/score?id=project-x", {"antibodies": [secret]})[0] == 422
    log = server.log.read_text()
    assert "POST /score 200" in log
    for text in (HEAVY, "EVQ1LV", "DIQMTQ", "project-x", "confidential", "Traceback"):
        assert text not in log


def test_the_end_waits_for_the_request_that_runs_and_takes_no_new_one(server: Process, model: Path) -> None:
    """This is the last test of this server; it was alone, and has called nobody."""
    antibody = {"antibody": {"id": "a", "heavy": HEAVY}, "plausibility": False}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.ask, "/scan", antibody)
        time.sleep(0.3)
        assert not running.done()
        os.killpg(os.getpgid(0), 0)  # the processes of this test are one group, as of a shell
        for worker in server.workers:
            os.kill(int(worker.name), signal.SIGTERM)  # as systemd does, and as Ctrl-C reaches all
        server.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                server.connected().close()
            except ConnectionRefusedError:
                break
            time.sleep(0.02)
        assert time.monotonic() < until
        assert not running.done(), "new requests are refused while the old one runs"
        status, body = running.result(PATIENCE)
    assert status == 200
    mutants_of = json.loads(body)["mutants"]
    assert len(mutants_of) == 19 * len(HEAVY)
    assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert Predictor.load(model).predict_proba([HEAVY])[0, 1] == pytest.approx(json.loads(body)["prediction"])
    assert "resource_tracker" not in server.log.read_text(), "nothing is left behind"
    assert server.called() <= {"127.0.0.1"}
    assert NOBODY not in server.log.read_text()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of descriptors with narrow limits."""
    folder = tmp_path_factory.mktemp("limits")
    limits = ["--client-limit", "1", "--time-limit", "3", "--stop-limit", "0.2", "--requests", "3"]
    with serving(fitted("heavy").save(folder / "model"), folder, *limits) as server:
        yield server


def closed_after(connection: socket.socket) -> float:
    """Return the seconds until the server closes a connection, whatever it sends before."""
    started = time.monotonic()
    with suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return time.monotonic() - started


HEAD = b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"


NEXT = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
LONG = GET + b"Content-Length: 100000\r\n\r\nx"
PIPELINED = GET + b"\r\n" + LONG
CHUNKED = GET + b"Transfer-Encoding: chunked\r\n\r\n186a0\r\nx"
POSTED = LONG.replace(b"GET", b"POST").replace(b"Host", b"Content-Type: application/json\r\nHost")


@pytest.mark.parametrize(
    "start",
    [b"", b"POST /sco", HEAD, HEAD + b"\r\n{", NEXT, LONG, PIPELINED, CHUNKED, POSTED, LONG.replace(b"GET", b"PUT")],
)
def test_a_client_that_sends_too_slowly_is_left(start: bytes, patient: Process) -> None:
    with patient.connected() as connection:
        connection.sendall(start)
        assert closed_after(connection) < PATIENCE / 2
    with patient.connected() as connection, ThreadPoolExecutor(1) as pool:
        ended = pool.submit(closed_after, connection)
        with suppress(OSError):
            for _ in range(int(PATIENCE / 0.2)):  # a byte at a time, for ever
                connection.sendall(b"x" if start else b"A")
                if ended.done():
                    break
                time.sleep(0.2)
        assert ended.result() < PATIENCE / 2
    assert patient.ask("/health")[0] == 200


def test_a_client_that_does_not_read_its_answer_is_left(patient: Process) -> None:
    body = json.dumps({"antibody": {"id": "a", "heavy": HEAVY}, "positions": "CDR3,CDR2"}).encode()
    head = HEAD.replace(b"/score", b"/scan").replace(b"1000", str(len(body)).encode())
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", patient.port))
        connection.sendall(b"".join([head, b"\r\n", body] * 40))  # many answers, of which none is read
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with suppress(OSError):
                if f":{connection.getsockname()[1]:04X} " not in _established(patient.port):
                    break
            time.sleep(0.1)
        assert time.monotonic() < until
    assert patient.ask("/health")[0] == 200


def _established(port: int) -> str:
    """Return the connections of the server's side, as Linux lists them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    states = [line.split()[1:4] for line in lines[1:]]
    return "".join(f"{theirs} " for mine, theirs, state in states if mine.endswith(f":{port:04X}") and state == "01")


def test_a_head_that_is_too_large_or_no_http_is_refused(patient: Process) -> None:
    for start in (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000, b"\x16\x03\x01\x02\x00\r\n\r\n"):
        with patient.connected() as connection:
            with suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(start)
            assert closed_after(connection) < PATIENCE / 2
    assert patient.ask("/health")[0] == 200


def test_a_request_that_takes_too_long_is_stopped_and_the_next_one_is_answered(patient: Process) -> None:
    whole = {"antibodies": [{"id": str(i), "heavy": chain} for i, chain in enumerate(mutants(HEAVY, 2000, 9, seed=9))]}
    status, body = patient.ask("/score", whole)
    assert (status, json.loads(body)["error"]) == (504, "stopped after 3 seconds; send fewer antibodies at a time")
    status, body = _asked_until_free(patient, {"antibodies": [{"id": "a", "heavy": HEAVY}]})
    assert status == 200, body
    assert [row["id"] for row in json.loads(body)["antibodies"]] == ["a"]


def _asked_until_free(server: Process, body: Any) -> tuple[int, bytes]:
    """Ask again as long as the server is busy, as it tells clients to do."""
    until = time.monotonic() + PATIENCE
    while True:
        status, answer = server.ask("/score", body)
        if status != 503 or time.monotonic() > until:
            return status, answer


def test_at_the_limit_of_the_end_the_rest_is_refused_and_the_server_has_ended(patient: Process) -> None:
    """This is the last test of this server."""
    whole = {"antibodies": [{"id": str(i), "heavy": chain} for i, chain in enumerate(mutants(HEAVY, 2000, 9, seed=8))]}
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(patient.ask, "/score", whole) for _ in range(2)]
        time.sleep(0.5)
        assert patient.end(signal.SIGINT) == 0
        answers = [each.result() for each in running]
    assert {status for status, _ in answers} <= {503, 504}
    assert b"the server is stopping" in answers[0][1] + answers[1][1]


def test_a_server_that_others_could_reach_does_not_start_without_a_token(tmp_path: Path) -> None:
    words = ["serve", str(tmp_path), "--host", "0.0.0.0"]  # noqa: S104
    done = CliRunner().invoke(app.app, words, env={"ANTIBODY_ESM_TOKEN": None})
    assert done.exit_code == 1
    assert done.stderr.startswith("error: other computers could reach 0.0.0.0: a token is needed")
    done = CliRunner().invoke(app.app, [*words, "--token", "a-token-on-the-command-line"])
    assert "a-token-on" not in done.output + done.stderr
    assert "the file of --token cannot be read" in done.stderr
    done = CliRunner().invoke(app.app, ["serve", str(tmp_path), "--port", "0"])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "manifest" in done.stderr
