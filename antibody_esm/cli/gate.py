"""What may reach the web page: requests to its own name, of a bounded size, that make it fetch nothing."""

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


class Gate:
    """ASGI middleware that answers some requests with a refusal, and hands on all others.

    Parameters
    ----------
    app
        What it stands before.
    hosts
        Names by which the page may be called, without a port; empty is any. A page of another site whose name was made
        to point here (DNS rebinding) calls it by that name.
    largest
        Bytes of a body, at most.
    """

    def __init__(self, app: _App, hosts: Collection[str], largest: int) -> None:
        self.app = app
        self.hosts = hosts
        self.largest = largest

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self.hosts and headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0] not in self.hosts:
            await _refuse(send, 421, "this page is not called so")
            return
        if "://" in scope["path"]:  # Gradio would fetch it
            await _refuse(send, 404, "nothing is fetched from elsewhere")
            return
        body = await self._body(receive)
        if body is None:
            await _refuse(send, 413, f"at most {self.largest:,} bytes")
            return
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        if body and not is_form and _names_an_address(body):
            await _refuse(send, 400, "not JSON, or it names a file elsewhere")
            return
        given = False

        async def again() -> _Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    async def _body(self, receive: _Receive) -> bytes | None:
        """Return the body; None if it is too large, the rest of which is not read."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.largest:
                return None
        return bytes(body)


def _names_an_address(body: bytes) -> bool:
    """Return whether Gradio would take a file of this JSON from elsewhere, or it is no JSON."""
    found = False

    def look(one: dict[str, Any]) -> dict[str, Any]:
        nonlocal found
        found |= "://" in str(one.get("path", ""))
        return one

    try:
        json.loads(body, object_hook=look)
    except (ValueError, RecursionError):
        return True
    return found


async def _refuse(send: _Send, status: int, why: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": why.encode()})
