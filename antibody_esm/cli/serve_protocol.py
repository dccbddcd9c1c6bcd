"""Connections that end if their client sends or reads too slowly, which uvicorn's own wait for."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 400
"""Most connections at the same time, also of clients that send nothing; others are closed at once."""
_LARGEST_HEAD = 16_384
"""Most bytes of the head of a request."""


class PatientProtocol(H11Protocol):
    """Connection with a time limit for the head of a request and for the reading of an answer.

    A body that the application reads has the limit of `serve_gate.ServeGate`. An answer before the end of a body is the
    last one, so that a client cannot keep the connection by sending the rest.

    Parameters
    ----------
    seconds
        Most seconds for either.
    options
        As uvicorn passes them.
    """

    def __init__(self, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._seconds = seconds
        self._head: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for the first head."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._forget_head()
        self._forget_answer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head, and until the answer has left."""
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unread:
            self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch_answer()
        if not self.transport.is_closing():
            self._watch_head()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        """Stop waiting for a client that reads."""
        super().resume_writing()
        self._forget_answer()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head is None:
            self._head = self.loop.call_later(self._seconds, self.transport.abort)

    def _watch_answer(self) -> None:
        if self._answer is None:
            self._answer = self.loop.call_later(self._seconds, self._end_unread)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _forget_answer(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None

    def _end_unread(self) -> None:
        self._answer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def patient(seconds: float) -> type[PatientProtocol]:
    """Return the class of connections for uvicorn's option ``http``."""

    class Limited(PatientProtocol):
        def __init__(self, **options: Any) -> None:
            super().__init__(seconds, **options)

    return Limited


class Stoppable(uvicorn.Server):
    """uvicorn's server, run in a thread and stopped from another one.

    Parameters
    ----------
    app
        ASGI application.
    protocol
        Class of connections.
    """

    def __init__(self, app: Any, protocol: type[PatientProtocol]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                interface="asgi3",
                access_log=False,
                log_config=None,
                log_level="critical",  # its errors have tracebacks, whose messages may hold sequences
                proxy_headers=False,
                server_header=False,
                date_header=True,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def stop(self) -> None:
        """Stop listening, and end when the last request has its answer."""
        self.should_exit = True

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the thread of the server, from another one, if it runs."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(function)
