"""Process that runs the jobs of the web page one by one, and is killed if a job takes too long."""

import logging
import multiprocessing
import signal
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any

from antibody_esm.cli.errors import reported
from antibody_esm.errors import AntibodyESMError, CheckpointError, DatasetError, in_one_line

EXPECTED = (AntibodyESMError, OSError, ValueError)
"""Errors whose message is for the user of the page."""

logger = logging.getLogger("antibody_esm")


class Worker:
    """Runner of jobs in its own process; a context manager, whose end kills the process.

    A process, unlike a thread, can be stopped at any time.

    Parameters
    ----------
    load
        Function that returns the model, called in the new process.
    seconds
        Time limit of a job.
    """

    def __init__(self, load: Callable[[], Any], seconds: float) -> None:
        self._load = load
        self._seconds = seconds
        self._lock = Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``job(model, *arguments)``; if its process dies, the job is not repeated.

        Raises
        ------
        ValueError
            If the job raises an error of this package, takes too long, or its process dies.
        """
        with self._lock:
            pipe = self._started()
            try:
                pipe.send((job, arguments))
                if not pipe.poll(self._seconds):
                    self._end()
                    raise ValueError(
                        f"the job was stopped after {self._seconds:g} seconds; try fewer antibodies or predictions at "
                        "a time"
                    )
                done, value = pipe.recv()
            except (EOFError, OSError):
                status = self._end()
                logger.warning("the process of a job ended with status %s", status)
                raise ValueError(
                    f"the job ended abnormally (status {status}); try fewer antibodies or predictions at a time"
                ) from None
        if not done:
            raise ValueError(value)
        return value

    def __enter__(self) -> "Worker":
        self._started()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def process(self) -> int | None:
        """Id of the process; None if there is none."""
        return None if self._process is None else self._process.pid

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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the server ends this process
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
            pipe.send(answer)


def reason(error: Exception) -> str:
    """Return the message of an error, without paths on the server: of the uploaded file, or of a language model."""
    if isinstance(error, CheckpointError):
        return in_one_line(error)
    path = getattr(error, "path", None)
    return str(error).removeprefix(f"{path}: ") if isinstance(error, DatasetError) else str(error)
