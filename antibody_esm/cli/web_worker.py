"""Process that runs the jobs of the web page one by one, and is killed if a job takes too long."""

import logging
import multiprocessing
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any

from antibody_esm.cli.errors import reported
from antibody_esm.errors import AntibodyESMError, CheckpointError, DatasetError, in_one_line

EXPECTED = (AntibodyESMError, OSError, ValueError)
"""Errors whose message is for the user of the page."""
_END = 3.0
"""Seconds for an idle process to end by itself."""

logger = logging.getLogger("antibody_esm")


class JobTimeoutError(ValueError):
    """A job was stopped, with its process, since it took too long."""


class JobDiedError(ValueError):
    """The process of a job ended before the job did."""


class Worker:
    """Runner of jobs in its own process; a context manager, whose end ends the process.

    A process, unlike a thread, can be stopped at any time.

    Parameters
    ----------
    load
        Function that returns the model, called in the new process.
    seconds
        Time limit of a job.
    first
        Job that each new process runs before all others and without a time limit, such as reading a language model;
        None runs none.
    """

    def __init__(self, load: Callable[[], Any], seconds: float, first: Callable[[Any], object] | None = None) -> None:
        self._load = load
        self._seconds = seconds
        self._first = first
        self._is_new = True
        self._lock = Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``job(model, *arguments)``; if its process dies, the job is not repeated.

        Raises
        ------
        ValueError
            If the job raises an error of this package.
        JobTimeoutError, JobDiedError
            If it takes too long, or its process dies.
        """
        with self._lock:
            try:
                pipe = self._ready()
                pipe.send((job, arguments))
                if not pipe.poll(self._seconds):
                    self._end()
                    raise JobTimeoutError(
                        f"the job was stopped after {self._seconds:g} seconds; try fewer antibodies or predictions at "
                        "a time"
                    )
                done, value = pipe.recv()
            except (EOFError, OSError):
                status = self._end()
                logger.warning("the process of a job ended with status %s", status)
                raise JobDiedError(
                    f"the job ended abnormally (status {status}); try fewer antibodies or predictions at a time"
                ) from None
        if not done:
            raise ValueError(value)
        return value

    def __enter__(self) -> "Worker":
        self._started()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._pipe is not None:
            self._pipe.close()  # of which an idle process takes notice, and ends in order
            self._process.join(_END)
        self._end()

    @property
    def process(self) -> int | None:
        """Id of the process; None if there is none."""
        return None if self._process is None else self._process.pid

    def prepare(self) -> None:
        """Start the process if necessary, and run its first job; raises as a job does."""
        with self._lock:
            try:
                self._ready()
            except (EOFError, OSError):
                raise JobDiedError(f"the process ended with status {self._end()} before its first job did") from None

    def kill(self) -> None:
        """Kill the process, from any thread; a job that runs raises JobDiedError."""
        with suppress(AttributeError, ValueError):  # there is none, or it is closed already
            self._process.kill()  # type: ignore[union-attr]  # None is suppressed

    def _ready(self) -> Connection:
        """Return the connection to a running process that has done its first job."""
        pipe = self._started()
        if self._is_new and self._first is not None:
            pipe.send((self._first, ()))
            done, value = pipe.recv()
            if not done:
                self._end()
                raise ValueError(value)
        self._is_new = False
        return pipe

    def _started(self) -> Connection:
        """Return the connection to a running process, which is started if necessary."""
        if self._process is not None and not self._process.is_alive():
            self._end()
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(
                target=_work, args=(theirs, self._load), name="antibody_esm-jobs", daemon=True
            )
            self._process.start()
            self._is_new = True
            theirs.close()
        return self._pipe

    def _end(self) -> int | None:
        """End the process at once, and return its status."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is None or pipe is None:
            return None
        process.kill()
        process.join()
        status = process.exitcode
        process.close()
        pipe.close()
        return status


def _work(pipe: Connection, load: Callable[[], Any]) -> None:
    """Run jobs until the server ends."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # they may reach both; the server ends this process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with reported():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the server has loaded it too, and printed them
            model = load()
        while True:
            try:
                job, arguments = pipe.recv()
            except EOFError:
                return
            try:
                answer = True, job(model, *arguments)
            except EXPECTED as error:
                answer = False, reason(error)
            try:
                pipe.send(answer)
            except (BrokenPipeError, ConnectionResetError):  # the server was killed
                return


def reason(error: Exception) -> str:
    """Return the message of an error, without paths on the server: of the uploaded file, or of a language model."""
    if isinstance(error, CheckpointError):
        return in_one_line(error)
    path = getattr(error, "path", None)
    return str(error).removeprefix(f"{path}: ") if isinstance(error, DatasetError) else str(error)
