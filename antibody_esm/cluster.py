"""Calls on the workers of a Dask cluster, with a clear end if the scheduler, a worker or the caller is lost."""

import asyncio
import logging
import re
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from antibody_esm.errors import CheckpointError, ClusterError, StoreError

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("antibody_esm")

ANSWER = 10.0
"""Seconds within which a scheduler must answer."""
WITHOUT_WORKERS = 600.0
"""Seconds without any worker after which a run ends, so that no job waits for ever."""
_LONG_WAIT = 10.0
"""Seconds without any worker after which a warning is logged."""
_LOOK = 2.0
"""Seconds between two looks at the number of workers."""
_AHEAD = 2
"""Calls for each thread of a worker that are handed out at a time, so that none waits for the next."""
_SMALL = 2**16
"""Largest function in bytes that is sent with every call; a larger one is sent once."""
_ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]):\d{1,5}")
_LOGS = ("distributed", "distributed.client", "tornado.application")


def address_of(text: str) -> str:
    """Return the address of a scheduler. Raises ValueError if it is none by TCP or TLS.

    Examples
    --------
    >>> address_of("tcp://10.0.0.7:8786")
    'tcp://10.0.0.7:8786'
    >>> address_of("http://10.0.0.7:8787")
    Traceback (most recent call last):
    ...
    ValueError: http://10.0.0.7:8787 is no address of a Dask scheduler; write tcp://HOST:PORT or tls://HOST:PORT
    """
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{text} is no address of a Dask scheduler; write tcp://HOST:PORT or tls://HOST:PORT")
    return text


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Let the workers of a scheduler compute, for the life of this context; None changes nothing.

    It is `joblib.parallel_config(backend="dask")` with a client of its own, which is closed at the end.

    Raises
    ------
    ValueError
        If the text is no address of a scheduler.
    ClusterError
        If Dask is not installed, or no scheduler answers within ten seconds.
    """
    if address is None:
        yield
        return
    address = address_of(address)
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError('a cluster needs Dask: pip install ".[cluster]" in a checkout of antibody_esm') from None
    from joblib import parallel_config

    connect: Any = Client
    with _quiet_dask():
        asyncio.run(_check_answer(address))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each call compares versions
            client = connect(address, timeout=ANSWER, set_as_default=False)
        try:
            with parallel_config("dask", client=client, wait_for_workers_timeout=0):
                yield
        finally:
            with suppress(OSError, TimeoutError, RuntimeError):
                client.close(timeout=_LOOK)


async def _check_answer(address: str) -> None:
    """Raise a ClusterError if no scheduler answers; a client itself would wait for ever for other servers."""
    from distributed.comm.core import connect
    from distributed.security import Security

    security: Any = Security
    open_: Any = connect
    try:
        certificates = security().get_connection_args("client")
        comm = await asyncio.wait_for(open_(address, timeout=ANSWER, **certificates), ANSWER + _LOOK)
        comm.abort()
    except (TimeoutError, OSError, TypeError, ValueError) as error:
        reason = "; check Dask's settings distributed.comm.tls" if address.startswith("tls:") else ""
        logger.debug("%s: %s", address, error)
        raise ClusterError(f"no Dask scheduler answers at {address} within {ANSWER:.0f} seconds{reason}") from None


def dask_client() -> Any | None:
    """Return Dask's client if `joblib.parallel_config` has chosen its backend; else None."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend(prefer="threads")
    return backend.client if type(backend).__name__ == "DaskDistributedBackend" else None


def threads_of(client: Any) -> int:
    """Return the number of threads of all workers of a Dask client, at least 1. Raises ClusterError if it is lost."""
    return max(1, _Workers(client).threads())


def on_workers(client: Any, run: Callable[[T], R], todo: Iterable[T]) -> Generator[tuple[int, R]]:
    """Yield the number of each item and the result of a function for it, in any order.

    A call is made again on another worker if its worker was lost. Within a call one thread computes, and nested calls
    stay in their worker.

    Parameters
    ----------
    client
        Dask's client.
    run
        Function; it is sent with all that it holds.
    todo
        Items, each taken just before a worker needs it, by this thread.

    Raises
    ------
    ClusterError
        If the scheduler is lost, if workers are lost repeatedly with the same call or are absent for ten minutes, or if
        a worker has another version of this package.
    """
    from cloudpickle import dumps

    arrived: SimpleQueue[Any] = SimpleQueue()
    running: dict[Any, int] = {}
    workers = _Workers(client)
    items, ended = enumerate(todo), False
    sent: Any = dumps(run)
    if len(sent) > _SMALL:
        sent = workers.submit(_itself, sent)
    try:
        while True:
            free = 0 if ended else _AHEAD * workers.threads() - len(running)
            for number, item in items if free > 0 else ():
                future = workers.submit(_call, sent, item, own_version())
                running[future] = number
                future.add_done_callback(arrived.put)
                if (free := free - 1) == 0:
                    break
            else:
                ended = ended or free > 0
            if ended and not running:
                return
            try:
                future = arrived.get(timeout=_LOOK)
            except Empty:
                workers.threads()
            else:
                yield running.pop(future), workers.result(future)
    finally:
        if running:
            workers.cancel([*running])


class _Workers:
    """Workers of a scheduler, as seen by a client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._address = _address(client)
        self._threads = 0
        self._looked = -float("inf")
        self._since: float | None = None
        self._logged = False

    def threads(self) -> int:
        """Return the number of threads of all workers, as of the last seconds; after a long wait, an error."""
        now = time.monotonic()
        if now - self._looked >= _LOOK or not self._threads:
            cores = self._asked(lambda: self._client.sync(self._client.scheduler.ncores, callback_timeout=6 * ANSWER))
            self._threads = sum(cores.values())
            self._looked = now
            self._wait(now)
        return self._threads

    def submit(self, run: Callable[..., Any], *arguments: Any) -> Any:
        """Hand out a call."""
        if self._client.status != "running":
            raise self._lost()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self._client.submit(run, *arguments, pure=False)

    def result(self, future: Any) -> Any:
        """Return the result of a call that has ended."""
        from distributed.scheduler import KilledWorker

        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                raise ClusterError(
                    f"{error.allowed_failures + 1} workers of {self._address} were lost during the same call, the last "
                    f"one {error.last_worker.address}; its log has the reason, often too little memory",
                    begun=True,
                ) from None
            if isinstance(error, ImportError) or "deserialization" in str(error):
                raise ClusterError(
                    f"a worker of {self._address} cannot read its work: {_first(error)}", begun=True
                ) from None
            raise error
        return self._asked(lambda: future.result(timeout=6 * ANSWER))

    def cancel(self, futures: list[Any]) -> None:
        """Take back calls; those that run end in their workers."""
        if self._client.status == "running":
            with suppress(ClusterError):
                self._asked(lambda: self._client.cancel(futures, force=True))

    def _asked(self, question: Callable[[], R]) -> R:
        """Return the scheduler's answer."""
        from asyncio import CancelledError
        from concurrent.futures import CancelledError as Cancelled

        if self._client.status != "running":
            raise self._lost()
        try:
            return question()
        except (CancelledError, Cancelled, OSError, TimeoutError, AttributeError):
            raise self._lost() from None

    def _lost(self) -> ClusterError:
        return ClusterError(f"the scheduler at {self._address} no longer answers", begun=True)

    def _wait(self, now: float) -> None:
        """Log a warning if there is no worker for a while, and raise a ClusterError after a long time."""
        if self._threads:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        waited = now - self._since
        if waited > WITHOUT_WORKERS:
            raise ClusterError(
                f"the scheduler at {self._address} has had no worker for {waited / 60:.0f} minutes", begun=True
            )
        if waited > _LONG_WAIT and not self._logged:
            self._logged = True
            logger.warning("the scheduler at %s has no worker; the run goes on when one begins", self._address)


def _itself(sent: bytes) -> bytes:
    """Return a large function, which each worker then has."""
    return sent


def _call(sent: bytes, item: Any, sender: str) -> Any:
    """Return the result of a function in a worker."""
    from pickle import loads

    from joblib import parallel_config
    from threadpoolctl import threadpool_limits

    if (here := own_version()) != sender:
        raise ClusterError(f"a worker has antibody_esm {here}, but the run is by {sender}{_on_worker()}")
    try:
        run = loads(sent)  # noqa: S301  a worker runs what its client sends, see docs/security.md
    except ImportError as error:
        raise ClusterError(f"a worker cannot read its work: {_first(error)}{_on_worker()}") from None
    try:
        with parallel_config("sequential"), threadpool_limits(limits=1, user_api="blas"):
            return run(item)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_on_worker()}", error.checkpoint, error.revision, error.folders) from error
    except StoreError as error:
        raise StoreError(f"{error}{_on_worker()}") from error


@cache
def own_version() -> str:
    """Return the version of this package."""
    return version("antibody_esm")


def _on_worker() -> str:
    from distributed import get_worker

    return f" (on worker {get_worker().address})"


def _address(client: Any) -> str:
    return str(client.scheduler.address if client.scheduler is not None else "the cluster")


def _first(error: BaseException) -> str:
    """Return the first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())


@contextmanager
def _quiet_dask() -> Iterator[None]:
    """Silence Dask's logs for a while: what they report is raised as one error."""
    levels = {name: logging.getLogger(name).level for name in _LOGS}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
