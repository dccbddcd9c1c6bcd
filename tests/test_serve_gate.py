"""What the server refuses before anything is read, and how requests take turns, in this process."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from antibody_esm.cli.serve import VARIABLE, facts_of, listening, token_of
from antibody_esm.cli.serve_app import application
from antibody_esm.cli.serve_gate import ServeGate
from antibody_esm.cli.serve_requests import Answer
from antibody_esm.cli.serve_turns import RequestTurns
from antibody_esm.cli.web_jobs import LARGEST
from antibody_esm.cli.web_worker import JobDiedError, JobTimeoutError
from effort import PATIENCE
from serving import frame_of, served

TOKEN = "a-token-of-24-characters"  # noqa: S105  of this test alone
BODY = json.dumps({"antibodies": frame_of("heavy")}).encode()


class Here:
    """Jobs in this process, in place of a process of their own."""

    def __init__(self, model: Any, job: Callable[..., Any] | None = None) -> None:
        self.model, self.job, self.ran, self.killed = model, job, 0, False

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> Any:
        self.ran += 1
        return self.job() if self.job else job(self.model, *arguments)

    def prepare(self) -> None:
        pass

    def kill(self) -> None:
        self.killed = True


class Response(tuple[Any, ...]):
    """Status, headers and JSON of an answer, and the bytes of the body that were read."""

    status = property(lambda self: self[0])
    headers = property(lambda self: self[1])
    error = property(lambda self: json.loads(self[2])["error"])
    read = property(lambda self: self[3])


async def ask(
    app: ServeGate,
    path: str = "/score",
    body: bytes | AsyncIterator[bytes] = BODY,
    method: str = "POST",
    **headers: Any,
) -> Response:
    """Call the application as uvicorn does."""
    chunks = body if not isinstance(body, bytes) else _whole(body)
    named = {"host": "127.0.0.1:8000", "content_type": "application/json"} | headers
    sent: list[dict[str, Any]] = []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        read += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in named.items() if text]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": raw, "root_path": ""}
    await app(scope, receive, send)  # type: ignore[arg-type]  # plain dictionaries
    content = b"".join(message.get("body", b"") for message in sent)
    return Response((sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, content, read))


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return served("heavy", tmp_path_factory.mktemp("gate")).loaded


@pytest.fixture
def make(
    model: Any, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[ServeGate, RequestTurns, Here]]]:
    def made(
        job: Callable[..., Any] | None = None, most: int = 8, wait: float = PATIENCE, **options: Any
    ) -> tuple[ServeGate, RequestTurns, Here]:
        jobs = Here(model, job)
        turns = RequestTurns(jobs, most, wait)  # type: ignore[arg-type]  # as a worker
        plain: dict[str, Any] = {"hosts": ("127.0.0.1", "localhost", "[::1]"), "token": None, "largest": LARGEST}
        plain |= {"seconds": PATIENCE} | options
        app = application(turns, facts_of(model), secured=plain["token"] is not None)
        return ServeGate(app, turns, **plain), turns, jobs

    yield made
    assert not [line for line in capsys.readouterr().err.splitlines() if "EVQ" in line]


def test_a_request_of_another_host_or_site_is_refused_before_its_body_is_read(make: Any) -> None:
    app, _, jobs = make()

    async def ends() -> None:
        for host in ("evil.example", "127.0.0.1.evil.example:8000", "", "[::2]:8000"):
            refused = await ask(app, host=host)
            assert (refused.status, refused.read) == (421, 0)
            assert refused.headers["connection"] == "close"
        others = ("http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1:8000.evil.example")
        for origin in (*others, "http://[", "http://[::1", "http://[x]"):
            refused = await ask(app, origin=origin)
            assert (refused.status, refused.read) == (403, 0)
            assert (await ask(app, path="/model", method="GET", origin=origin)).status == 403
        assert jobs.ran == 0
        for host in ("127.0.0.1:8000", "localhost", "LocalHost.:1", "[::1]:8000"):
            assert (await ask(app, host=host)).status == 200
        same = await ask(app, origin="http://127.0.0.1:8000")
        assert same.status == 200
        assert not [name for name in same.headers if name.startswith("access-control")], "no other site may read it"
        assert (same.headers["cache-control"], same.headers["x-content-type-options"]) == ("no-store", "nosniff")
        preflight = await ask(app, method="OPTIONS", origin="http://127.0.0.1:8000")
        assert preflight.status == 405

    asyncio.run(ends())


def test_the_connection_ends_with_an_answer_before_a_body_or_without_a_token(make: Any) -> None:
    async def ends() -> None:
        for token, authorization in ((None, ""), (TOKEN, f"Bearer {TOKEN}")):
            app, *_ = make(token=token)
            for extra in ({}, {"content_length": "0"}):
                answer = await ask(app, "/health", method="GET", authorization=authorization, **extra)
                assert (answer.status, answer.headers.get("connection")) == (200, None)
            for method in ("GET", "HEAD", "OPTIONS", "PUT"):
                for extra in ({"content_length": "10"}, {"transfer_encoding": "chunked"}):
                    answer = await ask(app, "/health", method=method, authorization=authorization, **extra)
                    assert (answer.headers["connection"], answer.read) == ("close", 0)
        answer = await ask(make(token=TOKEN)[0], "/health", method="GET")
        assert (answer.status, answer.headers["connection"]) == (200, "close")

    asyncio.run(ends())


def test_only_json_and_tables_as_text_are_read(make: Any) -> None:
    app, _, jobs = make()

    async def ends() -> None:
        forms = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
        for media in (*forms, "", "application/xml"):  # a page of another site can send forms
            refused = await ask(app, content_type=media)
            assert (refused.status, refused.read) == (415, 0)
        assert (await ask(app, path="/scan", content_type="text/csv")).status == 415
        assert jobs.ran == 0
        assert (await ask(app, content_type="Application/JSON; charset=utf-8")).status == 200
        assert (await ask(app, content_type="text/csv", body=b"id,heavy\na,EVQ1\n")).status == 200

    asyncio.run(ends())


def test_too_large_a_body_is_refused_while_it_arrives_and_not_read_to_its_end(make: Any) -> None:
    app, _, jobs = make(largest=10_000)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1000

    async def ends() -> None:
        refused = await ask(app, body=endless())
        assert (refused.status, refused.read) == (413, 11_000)
        assert refused.error == "a body has at most 10,000 bytes"
        for length in ("10001", "9" * 30):
            announced = await ask(app, content_length=length)
            assert (announced.status, announced.read) == (413, 0)
        assert (await ask(app, body=BODY.ljust(10_000))).status == 200
        assert jobs.ran == 1

    asyncio.run(ends())


def test_a_body_that_arrives_too_slowly_or_not_at_all_is_refused_and_leaves_its_place(make: Any) -> None:
    app, _, jobs = make(seconds=0.2, most=1)

    async def slow() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.05)
            yield b" "

    async def ends() -> None:
        started = time.monotonic()
        refused = await ask(app, body=slow())
        assert refused.status == 408
        assert refused.headers["connection"] == "close"
        assert time.monotonic() - started < PATIENCE
        assert jobs.ran == 0
        assert (await ask(app)).status == 200

    asyncio.run(ends())


@pytest.mark.parametrize("path", ["/score", "/explain", "/scan", "/model", "/openapi.json", "/nothing"])
def test_every_path_but_health_needs_the_token(path: str, make: Any) -> None:
    app, _, jobs = make(token=TOKEN)
    method = "POST" if path in ("/score", "/explain", "/scan") else "GET"

    async def ends() -> None:
        wrong = ["", "Bearer", "Bearer \xff", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}"]
        for authorization in [*wrong, f"Basic {TOKEN}", TOKEN]:
            refused = await ask(app, path, method=method, authorization=authorization)
            assert (refused.status, refused.read) == (401, 0)
            assert refused.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in str(refused)
        assert jobs.ran == 0
        for scheme in ("Bearer", "bearer"):
            assert (await ask(app, path, method=method, authorization=f"{scheme} {TOKEN}")).status in (200, 404, 422)
        assert (await ask(app, "/health", method="GET")).status == 200

    asyncio.run(ends())


def test_requests_beyond_the_limit_are_refused_with_the_time_to_try_again(make: Any) -> None:
    release = asyncio.Event()

    async def ends() -> None:
        app, turns, jobs = make(most=2)
        held = [asyncio.create_task(ask(app, body=_held(release))) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await ask(app)
        assert (refused.status, refused.read) == (503, 0)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await ask(app, "/health", method="GET")).status == 200
        release.set()
        assert [each.status for each in await asyncio.gather(*held)] == [200, 200]
        assert (await ask(app)).status == 200
        turns.stop()
        stopping = await ask(app)
        assert (stopping.status, stopping.error) == (503, "the server is stopping")
        assert (await ask(app, "/health", method="GET")).status == 503
        assert jobs.ran == 3

    asyncio.run(ends())


async def _held(release: asyncio.Event) -> AsyncIterator[bytes]:
    await release.wait()
    yield BODY


def _half_a_second() -> Answer:
    time.sleep(0.5)
    return Answer(200, b"{}")


def test_a_request_waits_for_its_turn_no_longer_than_the_limit(make: Any) -> None:
    async def ends() -> None:
        app, _, jobs = make(job=_half_a_second, wait=0.1)
        first, second = await asyncio.gather(ask(app), ask(app))
        assert [first.status, second.status] == [200, 503]
        assert second.error == "no turn within 0.1 seconds; try again later"
        assert "retry-after" in second.headers
        assert jobs.ran == 1

    asyncio.run(ends())


@pytest.mark.parametrize(
    ("error", "status"), [(JobTimeoutError("x"), 504), (JobDiedError("x"), 500), (OSError("/etc"), 500)]
)
def test_a_job_that_fails_is_an_answer_without_its_message_and_the_next_has_its_turn(
    error: Exception, status: int, make: Any
) -> None:
    def fail() -> None:
        raise error

    async def ends() -> None:
        app, _, jobs = make(job=fail)
        for _ in range(2):
            refused = await ask(app)
            assert refused.status == status
            assert "/etc" not in refused.error
        assert jobs.ran == 2

    asyncio.run(ends())


def test_at_the_end_the_job_is_ended_and_those_who_wait_are_refused(make: Any) -> None:
    async def ends() -> None:
        app, turns, jobs = make()
        jobs.job = lambda: _until(lambda: jobs.killed)
        waiting = [asyncio.create_task(ask(app)) for _ in range(3)]
        await asyncio.sleep(0.1)
        turns.stop()
        turns.end()
        answers = await asyncio.gather(*waiting)
        assert [each.status for each in answers] == [503] * 3
        assert {each.error for each in answers} == {"the server is stopping"}
        assert jobs.ran == 1

    asyncio.run(ends())


def _until(ended: Callable[[], bool]) -> None:
    while not ended():
        time.sleep(0.01)
    raise JobDiedError("killed")


def test_nobody_computes_for_a_client_that_has_gone(make: Any) -> None:
    async def ends() -> None:
        _, turns, jobs = make()

        async def gone() -> bool:
            return True

        assert (await turns.run(None, gone)).answer.status == 503
        assert jobs.ran == 0

    asyncio.run(ends())


def test_the_log_has_a_line_of_each_request_and_nothing_that_a_client_wrote_unless_asked(
    make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    app, *_ = make()
    asyncio.run(ask(app))
    asyncio.run(ask(app, "/EVQLVESGG", method="EVQL", host="127.0.0.1"))
    assert [line.rpartition(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "POST /score 200",
        "(another method) (another path) 404",
    ]
    app, *_ = make(verbose=True)
    asyncio.run(ask(app, body=b'{"content": 1}'))
    assert '{"content": 1}' in capsys.readouterr().err


def test_the_description_is_complete_and_its_pages_load_nothing_from_elsewhere(make: Any) -> None:
    for token in (None, TOKEN):
        app, *_ = make(token=token)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        description = json.loads(asyncio.run(ask(app, "/openapi.json", method="GET", **headers))[2])
        assert description["openapi"].startswith("3.")
        assert set(description["paths"]) == {"/health", "/model", "/score", "/explain", "/scan"}
        for reference in _references(description):
            place: Any = description
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]
        for path in ("/score", "/explain", "/scan"):
            operation = description["paths"][path]["post"]
            assert operation["security"] == ([{"token": []}] if token else [])
            assert {"200", "401", "413", "415", "422", "503", "504"} <= set(operation["responses"])
            assert "application/json" in operation["requestBody"]["content"]
        assert "https://" not in json.dumps(description)
        for path in ("/docs", "/redoc"):
            assert asyncio.run(ask(app, path, method="GET", **headers)).status == 404


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def test_a_token_comes_from_a_file_or_the_environment_and_stays_out_of_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_of(None) is None
    monkeypatch.setenv(VARIABLE, f" {TOKEN} ")
    assert token_of(None) == TOKEN
    assert VARIABLE not in os.environ, "the process of jobs does not inherit it"
    monkeypatch.setenv(VARIABLE, "another-token-of-the-environment")
    assert token_of(file) == TOKEN
    for wrong in ("", "short", "with a space in the middle", "ä" * 20, "x" * 1001):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="must hold a token of 16 to 1,000") as error:
            token_of(file)
        assert not wrong or wrong not in str(error.value)
    with pytest.raises(ValueError, match="cannot be read") as error:
        token_of(Path(TOKEN))
    assert TOKEN not in str(error.value), "of somebody who takes the option for the token itself"


def test_without_a_token_it_listens_on_loopback_only() -> None:
    for host in ("127.0.0.1", "localhost", "127.0.0.53"):
        with listening(host, 0, secure=False) as bound:
            assert bound.getsockname()[0].startswith("127.")
    for host in ("0.0.0.0", "::"):  # noqa: S104
        with pytest.raises(ValueError, match=f"other computers could reach {host}: a token is needed"):
            listening(host, 0, secure=False)
    with listening("0.0.0.0", 0, secure=True) as bound:  # noqa: S104
        assert bound.getsockname()[0] == "0.0.0.0"  # noqa: S104
        for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104
            with pytest.raises(ValueError, match="port .*: the port is in use.*choose another --port"):
                listening(host, bound.getsockname()[1], secure=True)
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(ValueError, match="choose another"):
            listening(host, 0, secure=True)
