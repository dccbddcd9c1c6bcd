"""A stand-in for the Hugging Face hub, which speaks as much of its API as one commit and one download need."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants

LFS = (".skops", ".npz")
"""Ends of names of files that the hub takes as large ones."""


@dataclass
class Repository:
    """A repository: its commits, oldest first, each with all of its files."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Hub:
    """All that the stand-in has, and every byte that it received."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    received: list[tuple[str, bytes]] = field(default_factory=list)
    """Method and path with the headers of each request, and its body, as they came."""
    tokens: set[str] = field(default_factory=set)
    sizes: dict[str, Any] = field(default_factory=dict)
    """Sizes that the hub claims for files, whatever their content."""

    def put(self, name: str, files: dict[str, bytes], *, private: bool = True) -> str:
        """Make a repository of files, or add a commit to it, and return the commit."""
        repository = self.repositories.setdefault(name, Repository(private))
        content = json.dumps(
            [len(repository.commits), sorted((k, hashlib.sha256(v).hexdigest()) for k, v in files.items())]
        )
        commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        repository.commits.append((commit, files))
        return commit

    def everything(self) -> bytes:
        """Return all that was received: as it came, with base64 of files decoded."""
        texts = []
        for line, body in self.received:
            texts += [line.encode(), body]
            texts += [
                base64.b64decode(each) for each in re.findall(rb'"(?:content|sample)": ?"([A-Za-z0-9+/=]+)"', body)
            ]
        return b"\n".join(texts)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers of the hub."""

        protocol_version = "HTTP/1.1"

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _reply(self, status: int, value: Any = None, headers: dict[str, str] | None = None) -> None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in (headers or {}).items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _answer(self) -> None:
            body = self._body()
            hub.received.append((f"{self.command} {self.path} {self.headers}", body))
            hub.tokens |= {self.headers["Authorization"]} if "Authorization" in self.headers else set()
            address = urlsplit(self.path)
            path, query = unquote(address.path), parse_qs(address.query)
            if path == "/api/repos/create":
                return self._create(json.loads(body))
            if path == "/api/validate-yaml":
                return self._reply(200, {"errors": [], "warnings": []})
            if path.startswith("/lfs/"):
                hub.large[path.removeprefix("/lfs/")] = body
                return self._reply(200, {})
            name = next((name for name in hub.repositories if f"/{name}" in path), None)
            if name is None:
                return self._reply(404, {}, {"X-Error-Code": "RepoNotFound"})
            rest = path.partition(f"/{name}")[2]
            return self._of_repository(name, hub.repositories[name], rest, query, body)

        def _create(self, asked: dict[str, Any]) -> None:
            name = f"{asked['organization']}/{asked['name']}"
            if name in hub.repositories:
                return self._reply(409, {"url": f"{hub.url}/{name}"})
            hub.repositories[name] = Repository(asked.get("visibility") == "private" or asked.get("private") is True)
            hub.put(name, {".gitattributes": b"*.npz filter=lfs\n"})
            return self._reply(200, {"url": f"{hub.url}/{name}"})

        def _of_repository(
            self, name: str, repository: Repository, rest: str, query: dict[str, list[str]], body: bytes
        ) -> None:
            if rest == ".git/info/lfs/objects/batch":
                objects = [
                    {**each, "actions": {"upload": {"href": f"{hub.url}/lfs/{each['oid']}", "header": {}}}}
                    for each in json.loads(body)["objects"]
                ]
                return self._reply(200, {"transfer": "basic", "objects": objects})
            if match := re.fullmatch("/preupload/(.+)", rest):
                files = [
                    {
                        "path": each["path"],
                        "uploadMode": "lfs" if each["path"].endswith(LFS) else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for each in json.loads(body)["files"]
                ]
                return self._reply(200, {"files": files})
            if match := re.fullmatch("/commit/(.+)", rest):
                return self._commit(name, repository, body)
            if match := re.fullmatch("(?:/revision/(.+))?", rest):
                commit = repository.files(match[1] or "main")
                if commit is None:
                    return self._reply(404, {}, {"X-Error-Code": "RevisionNotFound"})
                siblings: list[dict[str, Any]] = [{"rfilename": each} for each in commit[1]]
                if "blobs" in query:
                    siblings = [
                        {"rfilename": each, "size": hub.sizes.get(each, len(content))}
                        for each, content in commit[1].items()
                    ]
                facts = {"id": name, "modelId": name, "sha": commit[0], "private": repository.private}
                return self._reply(200, facts | {"siblings": siblings, "tags": []})
            if match := re.fullmatch("/resolve/([^/]+)/(.+)", rest):
                commit = repository.files(match[1])
                if commit is None or match[2] not in commit[1]:
                    code = "RevisionNotFound" if commit is None else "EntryNotFound"
                    return self._reply(404, {}, {"X-Error-Code": code})
                content = commit[1][match[2]]
                etag = hashlib.sha256(content).hexdigest()
                return self._reply(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit[0]})
            return self._reply(404, {}, {"X-Error-Code": "EntryNotFound"})

        def _commit(self, name: str, repository: Repository, body: bytes) -> None:
            files = dict(repository.commits[-1][1])
            for line in body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                match entry["key"]:
                    case "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    case "lfsFile":
                        files[value["path"]] = hub.large[value["oid"]]
                    case "deletedFile":
                        del files[value["path"]]
            commit = hub.put(name, files)
            self._reply(200, {"commitUrl": f"{hub.url}/{name}/commit/{commit}", "commitOid": commit, "success": True})

        do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815  the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


@contextmanager
def standing_in() -> Iterator[Hub]:
    """Yield a stand-in on a free port of this computer."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def reached(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Yield a stand-in that huggingface_hub takes for the hub, with a cache of its own."""
    with standing_in() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub
