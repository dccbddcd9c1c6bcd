import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from antibody_esm import DatasetError, load_dataset
from antibody_esm.data import downloads
from antibody_esm.data.downloads import download, fetch, registry

CONTENT = b"as it was published\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A server on the loopback, and what it was asked for; and a cache folder of the test's own."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = self.path == "/file.csv"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(CONTENT) if found else 0))
            self.end_headers()
            self.wfile.write(CONTENT if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.delenv("ANTIBODY_ESM_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_downloaded_once_and_checked(source: tuple[str, list[str]]) -> None:
    address, asked = source
    for _ in range(2):
        file = download("set/file.csv", f"{address}/file.csv", DIGEST)
        assert file.path.read_bytes() == CONTENT
        assert file.sha256 == DIGEST
    assert asked == ["/file.csv"]
    file.path.write_bytes(b"damaged")
    assert download("set/file.csv", f"{address}/file.csv", DIGEST).path.read_bytes() == CONTENT
    assert len(asked) == 2


def test_a_file_that_is_another_one_or_not_there_is_an_error(source: tuple[str, list[str]]) -> None:
    address, _ = source
    for path, digest in (("file.csv", "0" * 64), ("none.csv", DIGEST)):
        place = f"put it at set/{path} in a folder of yours, and set ANTIBODY_ESM_DATA to that folder, which then holds"
        with pytest.raises(DatasetError, match=f"set/{path} cannot be downloaded from {address}.*{place} set/"):
            download(f"set/{path}", f"{address}/{path}", digest)
    assert not list(Path(downloads._downloaded.__globals__["__file__"]).parent.glob("*.tmp"))


def test_a_local_folder_is_taken_and_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIBODY_ESM_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match="jain_sd02.csv: cannot be read .*No such file.*, which must hold jain/"):
        load_dataset("jain")
    (tmp_path / "jain").mkdir()
    (tmp_path / "jain" / "jain_sd02.csv").write_bytes(CONTENT)
    with pytest.raises(DatasetError, match=f"is not the published file: its SHA-256 is {DIGEST}") as caught:
        load_dataset("jain")
    assert caught.value.path == tmp_path / "jain" / "jain_sd02.csv"


def test_every_file_has_a_digest_and_a_pinned_address(published: Path) -> None:
    assert len(registry()) == 24
    for name, (digest, url) in registry().items():
        assert len(digest) == 64
        assert url.startswith("https://raw.githubusercontent.com/")
        assert len(url.split("/")[5]) == 40, "a commit, which does not move"
        assert fetch(name).path.is_file()
