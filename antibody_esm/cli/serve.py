"""``antibody-esm serve``: a server that scores, explains and scans antibodies for programs."""

import ipaddress
import os
import re
import socket
import threading
from functools import partial
from importlib.metadata import version
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Annotated

import typer

from antibody_esm.cli.errors import complain, reported
from antibody_esm.cli.options import (
    CheckpointFolders,
    Device,
    HostName,
    OtherStore,
    PortNumber,
    TimeLimit,
    Workers,
    runtime,
)
from antibody_esm.cli.web_worker import Worker
from antibody_esm.progress import step

if TYPE_CHECKING:
    from antibody_esm.cli.serve_requests import ModelAnswer
    from antibody_esm.panel import Panel
    from antibody_esm.predictor import Predictor

VARIABLE = "ANTIBODY_ESM_TOKEN"
"""Environment variable with the token."""
_TOKEN = re.compile(r"[!-~]{16,1000}")
_LONGEST_TOKEN = 10_000
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_WAITING = 2048
"""Most connections that wait to be accepted, as in uvicorn."""
_MARGIN = 5.0
"""Seconds for the last answers to leave, after the last request has ended."""


def serve_command(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model or panel.")],
    host: HostName = "127.0.0.1",
    port: PortNumber = 8000,
    token: Annotated[
        Path | None,
        typer.Option(help=f"File with the token that requests must have; else the environment variable {VARIABLE}."),
    ] = None,
    requests: Annotated[
        int, typer.Option(min=1, max=300, help="Most requests at the same time; others are answered 503.")
    ] = 64,
    time_limit: TimeLimit = 60,
    client_limit: Annotated[
        float, typer.Option(min=0.1, help="Most seconds for a client to send a request, and to read the answer.")
    ] = 30,
    stop_limit: Annotated[
        float, typer.Option(min=0, help="Most seconds for requests to finish when the server is stopped.")
    ] = 30,
    checkpoint: CheckpointFolders = None,
    store: OtherStore = None,
    device: Device = "auto",
    workers: Workers = None,
    log_content: Annotated[
        bool, typer.Option("--log-content", help="Also log the content of requests, which may be confidential.")
    ] = False,
) -> None:
    r"""Answer programs by HTTP: scores, explanations and scans of antibodies; needs the extra \[serve].

    Ctrl-C or SIGTERM ends it, once the requests that are there have their answers. Other computers need a token. The
    time limit is that of a request's turn, and again that of its run. Without --store, no vector is kept.

    Examples
    --------
    antibody-esm serve model/
    antibody-esm serve model/ --host 0.0.0.0 --token token.txt --port 8000
    """
    with reported():
        try:
            import fastapi  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise ValueError(
                "the server needs FastAPI: pip install '.[serve]' in a checkout of antibody_esm"
            ) from error
        from antibody_esm.cli.serve_jobs import prepare

        secret = token_of(token)
        with listening(host, port, secure=secret is not None) as listener:
            load = partial(_load, model, store, workers, device, tuple(checkpoint or ()))
            facts = facts_of(load())
            with Worker(load, time_limit, partial(prepare, verbose=log_content)) as jobs:
                with step("reading the model"):
                    jobs.prepare()
                server = Server(
                    jobs,
                    facts,
                    listener,
                    secret,
                    most=requests,
                    seconds=time_limit,
                    patience=client_limit,
                    verbose=log_content,
                )
                with step("", announced=False):  # a server that waits has no lines
                    server.run(stop_limit)


def token_of(file: Path | None) -> str | None:
    """Return the token of a file, else that of the environment, which is removed from there; None if there is none.

    Raises
    ------
    ValueError
        If it is not of 16 to 1,000 visible ASCII characters, or the file cannot be read. No message has the token.
    """
    text = os.environ.pop(VARIABLE, "").strip()
    source = f"the environment variable {VARIABLE}"
    if file is not None:
        source = "the file of --token"  # whose name is perhaps a token that was typed by mistake
        try:
            with file.open("rb") as content:
                text = content.read(_LONGEST_TOKEN).decode("ascii", "replace").strip()
        except OSError as error:
            raise ValueError(f"{source} cannot be read ({error.strerror}); a token itself is never an option") from None
    elif not text:
        return None
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{source} must hold a token of 16 to 1,000 letters, digits and signs, and nothing else")
    return text


def listening(host: str, port: int, *, secure: bool) -> socket.socket:
    """Return a socket that listens on an address, on which nothing is accepted yet: clients wait for the server.

    Raises
    ------
    ValueError
        If other computers could reach it and there is no token, or if it cannot be bound.
    """
    name = host.strip("[]")
    try:
        addresses = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise ValueError(f"there is no address {host!r}; choose another --host") from None
    family, kind, protocol, _, address = min(addresses, key=lambda each: each[0] != socket.AF_INET)
    if not secure and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ValueError(
            f"other computers could reach {host}: a token is needed, in the environment variable {VARIABLE} or in the "
            "file that --token names"
        )
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_WAITING)  # two sockets may be bound to one port, but only one of them listens
    except OSError:
        bound.close()
        raise ValueError(
            f"cannot listen on {host}, port {port}: the port is in use, or the address is not of this computer; "
            "choose another --port or --host"
        ) from None
    return bound


def facts_of(loaded: "Predictor | Panel") -> "ModelAnswer":
    """Return the facts of a model or panel that a client needs."""
    from antibody_esm.cli.serve_requests import ModelAnswer
    from antibody_esm.cli.web_jobs import LARGEST, LONGEST, MOST
    from antibody_esm.predictor import Predictor

    models = {"": loaded} if isinstance(loaded, Predictor) else dict(loaded)
    reading = next(iter(models.values())).reading
    return ModelAnswer(
        reads=str(reading),
        chains=list(reading.chains),
        labels=[label for label in models if label],
        columns=list(dict.fromkeys(name for each in models.values() for name in each.reading.columns.names)),
        antibodies=MOST,
        residues=LONGEST,
        bytes=LARGEST,
        version=version("antibody_esm"),
    )


class Server:
    """The server in a thread of its own, so that the main thread takes signals.

    Parameters
    ----------
    jobs
        Process of the jobs.
    facts
        Facts of the model.
    listener
        Bound socket.
    token
        Secret of requests; None needs none.
    most, seconds, patience, verbose
        Most requests; limits of requests and of clients in seconds; True logs content.
    """

    def __init__(
        self,
        jobs: Worker,
        facts: "ModelAnswer",
        listener: socket.socket,
        token: str | None,
        *,
        most: int,
        seconds: float,
        patience: float,
        verbose: bool,
    ) -> None:
        from antibody_esm.cli.serve_app import application
        from antibody_esm.cli.serve_gate import ServeGate
        from antibody_esm.cli.serve_protocol import Stoppable, patient
        from antibody_esm.cli.serve_turns import RequestTurns

        self._listener = listener
        self._turns = RequestTurns(jobs, most, seconds, verbose)
        address = ipaddress.ip_address(listener.getsockname()[0])
        gate = ServeGate(
            application(self._turns, facts, secured=token is not None),
            self._turns,
            hosts=_LOOPBACK if address.is_loopback else (),
            token=token,
            largest=facts.bytes,
            seconds=patience,
            verbose=verbose,
        )
        self._server = Stoppable(gate, patient(patience))
        self._thread = threading.Thread(target=self._serve, name="antibody_esm-server", daemon=True)
        self._failure: BaseException | None = None
        # A signal within Thread.join would let Python before 3.13 take the thread for ended.
        self._ended = threading.Event()

    @property
    def address(self) -> str:
        """Address of the server."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self, stop_limit: float) -> None:
        """Serve until a signal, then let requests finish within a number of seconds."""
        address = self.address
        self._thread.start()
        try:
            while not self._server.started and not self._ended.wait(0.02):
                pass
            if self._server.started:
                print(f"{address} (Ctrl-C ends it)", flush=True)  # noqa: T201
            while not self._ended.wait(0.1):
                pass
        except KeyboardInterrupt as end:
            complain("the server is stopping; requests that are there are finished")
            self._stop(stop_limit)
            if getattr(end, "number", SIGINT) != SIGINT:
                raise
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            self._failure = error
        finally:
            self._ended.set()

    def _stop(self, limit: float) -> None:
        self._turns.stop()
        self._server.stop()
        if not self._ended.wait(limit):
            self._server.call(self._turns.end)
            self._ended.wait(_MARGIN)


def _load(
    model: Path, store: Path | None, workers: int | None, device: str, checkpoint: tuple[Path, ...]
) -> "Predictor | Panel":
    from antibody_esm.panel import Panel
    from antibody_esm.panel_files import is_panel
    from antibody_esm.predictor import Predictor

    loaded: type[Panel] | type[Predictor] = Panel if is_panel(model) else Predictor
    silent = runtime(workers, device).model_copy(update={"progress": False})
    return loaded.load(model, store=store, runtime=silent, checkpoint=checkpoint)
