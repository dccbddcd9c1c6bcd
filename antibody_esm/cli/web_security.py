"""Filter of the web page's requests, by host name, origin, size, number and address."""

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

UPLOADS = 100
"""Most uploads of one address in `PERIOD`."""
UPLOADED = 100_000_000
"""Most bytes that one address may upload in `PERIOD`."""
PERIOD = 3600.0
"""Seconds."""

_READS = ("GET", "HEAD", "OPTIONS")
_POSTS = ("/queue/join", "/upload", "/cancel", "/reset")
"""Ends of the addresses to which the page posts; Gradio has many others."""
_API = ("/call/", "/run/", "/api/")
_PREFIX = "/gradio_api"
_ADDRESSES = 10_000
"""Most addresses whose uploads are counted; the oldest are dropped."""


class Gate:
    """ASGI middleware that refuses unsafe requests, and passes on all others.

    Parameters
    ----------
    app
        The application behind it.
    hosts
        Allowed names of the page's host, without a port and in lower case; empty allows any. They prevent DNS
        rebinding, in which the name of another site points to this host.
    largest
        Most bytes of a body.
    api
        True allows programs to call the functions of the page: without the header ``Origin``, and at addresses to which
        the page does not post.
    """

    def __init__(self, app: _App, hosts: Collection[str], largest: int, api: bool = False) -> None:
        self.app = app
        self.hosts = hosts
        self.largest = largest
        self.api = api
        self.uploads = Quota()

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        body = await self._body(receive)
        if body is None:
            await _refuse(send, 413, f"at most {self.largest:,} bytes are allowed")
            return
        headers = dict(scope["headers"])
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        if body and not is_form and _names_an_address(body):
            await _refuse(send, 400, "the body is not JSON, or names a file of another server")
            return
        if _end(scope) == "/upload" and not self.uploads.take((scope.get("client") or ("",))[0], len(body)):
            await _refuse(
                send, 429, f"at most {UPLOADS} uploads and {UPLOADED:,} bytes per hour are allowed; try again later"
            )
            return
        handed_on = False

        async def again() -> _Message:
            nonlocal handed_on
            if handed_on:
                return await receive()
            handed_on = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    def _refusal(self, scope: _Message) -> tuple[int, str] | None:
        """Return the status and the reason if a request is refused by its address and headers alone."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts and host_name(host) not in self.hosts:
            return 421, "this host name is not allowed"
        if "://" in scope["path"]:  # Gradio would fetch it
            return 404, "this page does not fetch files of other servers"
        if not self.api and _end(scope).startswith(_API):
            return 403, "programs may not call this page; start it with --api"
        if scope["method"] in _READS:
            return None
        origin = headers.get(b"origin")
        if origin is None and not self.api:
            return 403, "a request without Origin is not allowed; start the page with --api for programs"
        if origin is not None and site(origin) != host:
            return 403, "another site may not call this page"
        if not self.api and (scope["method"] != "POST" or _end(scope) not in _POSTS):
            return 403, "this address does not belong to the page"
        return None

    async def _body(self, receive: _Receive) -> bytes | None:
        """Return the body; None if it is too large, without reading the rest."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.largest:
                return None
        return bytes(body)


class Quota:
    """Number and bytes of the uploads of each address in the last `PERIOD`."""

    def __init__(
        self, uploads: int = UPLOADS, size: int = UPLOADED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.uploads = uploads
        self.size = size
        self._clock = clock
        self._taken: dict[str, deque[tuple[float, int]]] = {}

    def take(self, address: str, size: int) -> bool:
        """Count an upload and return True; return False if it exceeds the quota."""
        now = self._clock()
        taken = self._taken.setdefault(address, deque())
        while taken and taken[0][0] <= now - PERIOD:
            taken.popleft()
        if len(taken) >= self.uploads or sum(each for _, each in taken) + size > self.size:
            return False
        taken.append((now, size))
        while len(self._taken) > _ADDRESSES:
            del self._taken[next(iter(self._taken))]
        return True


def host_name(host: str) -> str:
    """Return a host without its port and final dot."""
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.rsplit(":", 1)[0]
    return name.rstrip(".")


def site(origin: bytes) -> str | None:
    """Return the host with the port of a header ``Origin``, in lower case; None if it is no address.

    Examples
    --------
    >>> site(b"http://LocalHost:8000"), site(b"http://[")
    ('localhost:8000', None)
    """
    try:
        return urlsplit(origin.decode("latin-1").lower()).netloc
    except ValueError:
        return None


def _end(scope: _Message) -> str:
    """Return the path of a request without Gradio's prefix and without a final slash."""
    path = str(scope["path"]).removeprefix(_PREFIX)
    return path if path.startswith(_API) else path.rstrip("/")


def _names_an_address(body: bytes) -> bool:
    """Return True if this JSON names a file of another server, or if it is not JSON."""
    elsewhere = False

    def look(fields: dict[str, Any]) -> dict[str, Any]:
        nonlocal elsewhere
        elsewhere |= "://" in str(fields.get("path", ""))
        return fields

    try:
        json.loads(body, object_hook=look)
    except (ValueError, RecursionError):
        return True
    return elsewhere


async def _refuse(send: _Send, status: int, reason: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": reason.encode()})
