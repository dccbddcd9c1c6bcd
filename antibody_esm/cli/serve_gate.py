"""Filter of the requests of ``antibody-esm serve``, by host, origin, token, type and size, before they are read."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from hashlib import sha256
from typing import Any

from antibody_esm.cli.errors import complain
from antibody_esm.cli.serve_jobs import JSON, MEDIA, refusal
from antibody_esm.cli.serve_turns import Refused, RequestTurns
from antibody_esm.cli.web_security import host_name, site

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

OPEN = "/health"
"""Path that is answered without a token."""
PATHS = (OPEN, "/model", "/openapi.json", "/score", "/explain", "/scan")
"""Paths that a log line names; others may hold anything."""
_SHOWN = 10_000
"""Most characters of a body in the log."""


class ServeGate:
    """ASGI application that refuses requests by their head, reads the body of the others, and logs a line of each.

    Parameters
    ----------
    app
        The application behind it.
    turns
        Requests at present.
    hosts
        Allowed names of the host, without a port and in lower case; empty allows any. They prevent DNS rebinding.
    token
        Secret that a request must have; None needs none.
    largest
        Most bytes of a body.
    seconds
        Most seconds for the arrival of a body.
    verbose
        True logs bodies too.
    """

    def __init__(
        self,
        app: _App,
        turns: RequestTurns,
        *,
        hosts: Collection[str],
        token: str | None,
        largest: int,
        seconds: float,
        verbose: bool = False,
    ) -> None:
        self._app = app
        self._turns = turns
        self._hosts = hosts
        self._token = None if token is None else sha256(token.encode()).digest()
        self._largest = largest
        self._seconds = seconds
        self._verbose = verbose

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        started, status, begun = time.monotonic(), 0, False
        last = dict(_CLOSE) if self._is_last(scope) else {}

        async def watched(message: _Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                headers = dict(message.get("headers", ()))
                message = {**message, "headers": list((headers | dict(_SAFE) | last).items())}
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  its message may hold a sequence
            complain(f"error: {type(error).__name__} in the server")
            if not begun:
                await _refuse(watched, Refused(refusal(500, "the server cannot answer this request")))
        finally:
            path = scope["path"] if scope["path"] in PATHS else "(another path)"
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "(another method)"
            complain(f"{method} {path} {status or 'not answered'}, {time.monotonic() - started:.2f} s")

    async def _answer(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        headers = dict(scope["headers"])
        refused = self._refusal(scope, headers)
        if refused is not None:
            await _refuse(send, refused)
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        with self._turns.place() as full:
            if full is not None:
                await _refuse(send, full)
                return
            try:
                async with asyncio.timeout(self._seconds):
                    body = await self._body(receive)
            except TimeoutError:
                await _refuse(send, Refused(refusal(408, f"the body did not arrive within {self._seconds:g} seconds")))
                return
            if body is None:
                await _refuse(send, self._too_large())
                return
            if self._verbose:
                complain(body[:_SHOWN].decode("utf-8", "backslashreplace"))
            await self._app(scope, _again(body, receive), send)

    def _refusal(self, scope: _Message, headers: dict[bytes, bytes]) -> Refused | None:
        """Return the refusal of a request by its head alone."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._hosts and host_name(host) not in self._hosts:
            return Refused(refusal(421, "this host name is not allowed"))
        origin = headers.get(b"origin")
        if origin is not None and site(origin) != host:
            return Refused(refusal(403, "pages of other sites may not call this server"))
        if self._token is not None and scope["path"] != OPEN and not self._has_token(headers):
            return Refused(refusal(401, "send the token of this server: Authorization: Bearer TOKEN"))
        if scope["method"] != "POST":
            return None
        if media_type(headers) not in (JSON, *MEDIA):
            return Refused(refusal(415, f"the content type of a body is {JSON}; of a table as text {', '.join(MEDIA)}"))
        length = headers.get(b"content-length", b"0")
        if len(length) > 18 or int(length) > self._largest:  # the server has checked that it is a number
            return self._too_large()
        return None

    def _is_last(self, scope: _Message) -> bool:
        """Return True if the connection ends with the answer: a body is not read, or the token that is needed lacks."""
        headers = dict(scope["headers"])
        has_body = headers.get(b"content-length", b"0").strip(b"0") != b"" or b"transfer-encoding" in headers
        unread = has_body and scope["method"] != "POST"
        return unread or (self._token is not None and not self._has_token(headers))

    def _too_large(self) -> Refused:
        return Refused(refusal(413, f"a body has at most {self._largest:,} bytes"))

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        """Return True if a request has the token; the time of the comparison does not depend on it."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        right = hmac.compare_digest(sha256(token.strip()).digest(), self._token or b"")
        return right and scheme.lower() == b"bearer"

    async def _body(self, receive: _Receive) -> bytes | None:
        """Return the body; None if it is too large, without reading the rest."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise TimeoutError
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._largest:
                return None
        return bytes(body)


_SAFE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers of every answer: no proxy keeps it, and no browser takes it for a page."""

_CLOSE = ((b"connection", b"close"),)
"""Header of the last answer of a connection."""


def media_type(headers: dict[bytes, bytes]) -> str:
    """Return the type of a body, without parameters and in lower case."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def _again(body: bytes, receive: _Receive) -> _Receive:
    """Return a function that gives the body, which was read, and then what `receive` gives."""
    first = True

    async def again() -> _Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def _refuse(send: _Send, refused: Refused) -> None:
    """Send a refusal, and close the connection, whose body may not have been read."""
    status, body = refused.answer
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode()), *_CLOSE]
    headers += [(b"retry-after", str(refused.retry).encode())] if refused.retry else []
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
