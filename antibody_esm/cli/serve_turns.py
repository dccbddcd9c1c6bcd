"""Turns of requests on one process of jobs, with limits on their number and on the time that they wait."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from antibody_esm.cli.errors import complain
from antibody_esm.cli.serve_jobs import answer, refusal
from antibody_esm.cli.serve_requests import Answer, Call
from antibody_esm.cli.web_worker import JobDiedError, JobTimeoutError, Worker

_LONGEST_RETRY = 60
"""Largest value of the header Retry-After, in seconds."""


class Refused(NamedTuple):
    """A refusal, with the seconds after which a client may try again."""

    answer: Answer
    retry: int | None = None


class RequestTurns:
    """Requests that wait for their turn, and the one that runs.

    Parameters
    ----------
    jobs
        Process of the jobs.
    most
        Most requests at the same time, from their head to their answer.
    seconds
        Most seconds that a request waits for its turn.
    verbose
        True logs content of requests, see `serve_jobs.answer`.
    """

    def __init__(self, jobs: Worker, most: int, seconds: float, verbose: bool = False) -> None:
        self.stopping = False
        self._jobs = jobs
        self._most = most
        self._seconds = seconds
        self._answer = partial(answer, verbose=verbose)
        self._pool = ThreadPoolExecutor(1, "antibody_esm-serve")
        self._turn = asyncio.Lock()
        self._present = 0
        self._timeouts: set[asyncio.Timeout] = set()
        self._last = 1.0
        self._restart: asyncio.Task[None] | None = None
        self._ended = False

    @contextmanager
    def place(self) -> Iterator[Refused | None]:
        """Yield a refusal if there is no place for another request, else None; the block holds the place."""
        if self.stopping:
            yield Refused(refusal(503, "the server is stopping"), 1)
            return
        if self._present >= self._most:
            text = f"the server is busy with {self._present} requests; try again later"
            yield Refused(refusal(503, text), self._retry())
            return
        self._present += 1
        try:
            yield None
        finally:
            self._present -= 1

    async def run(self, call: Call, gone: Callable[[], Awaitable[bool]]) -> Refused:
        """Return the answer to a request, once it has had its turn, or the refusal.

        Parameters
        ----------
        call
            The request.
        gone
            Function that returns True if nobody waits for the answer any more.
        """
        try:
            async with asyncio.timeout(0 if self._ended else self._seconds) as timeout:
                self._timeouts.add(timeout)
                try:
                    await self._turn.acquire()
                finally:
                    self._timeouts.discard(timeout)
        except TimeoutError:
            return self._too_late()
        if self._ended or await gone():
            self._turn.release()
            return self._too_late()
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return Refused(await loop.run_in_executor(self._pool, self._jobs, self._answer, call))
        except JobTimeoutError:
            return Refused(refusal(504, f"stopped after {self._seconds:g} seconds; send fewer antibodies at a time"))
        except JobDiedError:
            if self._ended:
                return self._too_late()
            return Refused(refusal(500, "the process of this request ended; send fewer antibodies at a time"))
        finally:
            self._last = time.monotonic() - started
            if self._ended:
                self._turn.release()
            else:  # a new process reads the language model before the next turn, and no time limit counts that
                self._restart = asyncio.create_task(self._next())

    def stop(self) -> None:
        """Refuse new requests."""
        self.stopping = True

    def end(self) -> None:
        """End the request that runs, and refuse those that wait."""
        self._ended = True
        for timeout in list(self._timeouts):
            timeout.reschedule(asyncio.get_running_loop().time())
        self._jobs.kill()

    async def _next(self) -> None:
        """Give the turn to the next request when the process of jobs is ready."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._jobs.prepare)
        except ValueError as error:  # it is tried again by the next request
            if not self._ended:
                complain(f"error: the process of jobs does not start: {type(error).__name__}")
        finally:
            self._turn.release()

    def _too_late(self) -> Refused:
        if self._ended or self.stopping:
            return Refused(refusal(503, "the server is stopping"), 1)
        return Refused(refusal(503, f"no turn within {self._seconds:g} seconds; try again later"), self._retry())

    def _retry(self) -> int:
        """Return the seconds that the requests at present take, if each takes as long as the last one."""
        return max(1, min(_LONGEST_RETRY, math.ceil(self._present * self._last)))
