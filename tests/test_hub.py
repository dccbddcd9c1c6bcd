"""Models of the hub: each reason why there are no files has its own advice, and one form of the weights is enough."""

import json
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from antibody_esm import CheckpointError, Extractor, ExtractorSpec
from antibody_esm.plm.checkpoints import locate

COMMIT = "b" * 40
ANSWERS = {
    "gated": (403, "GatedRepo"),
    "facebook/esm2_t6_8M_UR50": (401, "RepoNotFound"),
    "me/private": (404, "RepoNotFound"),
    "revision-2": (404, "RevisionNotFound"),
    "busy": (503, ""),
}


class _Hub(BaseHTTPRequestHandler):
    """Stand-in for the hub: the status and the error code that it has for each kind of request."""

    def do_GET(self) -> None:
        status, code = next(answer for name, answer in ANSWERS.items() if name in self.path)
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815  the name that http.server calls

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("model", "revision", "advice"),
    [
        ("me/gated", None, "Accept it on https://huggingface.co/me/gated, then log in with the same account: hf auth"),
        ("facebook/esm2_t6_8M_UR50", None, r"Did you mean facebook/esm2_t6_8M_UR50D\? If it is private, log in"),
        ("me/private", None, "no such model, or it is private. If it is private, log in with an account"),
        ("me/model", "revision-2", "it has no revision 'revision-2'; https://huggingface.co/me/model/commits/main"),
        ("me/busy", None, r"(?s)503.*fetch it where there is a network with: hf download me/busy\n"),
        ("a b", None, "it is no folder, and no name of the hub"),
    ],
)
def test_each_answer_of_the_hub_has_its_own_advice(model: str, revision: str | None, advice: str) -> None:
    with pytest.raises(CheckpointError, match=advice) as caught:
        locate(model, revision)
    assert str(caught.value).count("hf download") == ("busy" in model)
    assert (caught.value.checkpoint, caught.value.revision) == (model, revision)


def test_switched_off_downloads_are_the_reason_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"switched off \(HF_HUB_OFFLINE\)") as caught:
        locate("me/model", "v1")
    assert "hf download me/model --revision v1" in str(caught.value)


@pytest.fixture
def cached(checkpoints: dict[str, Path]) -> Iterator[Path]:
    """Folder of a model in the cache, of which the hub publishes both forms, and only the one of torch is there."""
    root = Path(os.environ["HF_HOME"]) / "hub" / "models--me--both"
    folder = root / "snapshots" / COMMIT
    shutil.copytree(checkpoints["esm"], folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    names = [path.name for path in folder.iterdir()]
    (folder / "model.safetensors").unlink()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    (root / "trees").mkdir()
    listed = {"format_version": 1, "files": {name: {"size": 1, "blob_id": "0" * 40} for name in names}}
    (root / "trees" / f"{COMMIT}.json").write_text(json.dumps(listed))
    yield folder
    shutil.rmtree(root)


@pytest.mark.parametrize("revision", [None, COMMIT])
@pytest.mark.parametrize("offline", [True, False], ids=["switched off", "no network"])
def test_the_one_form_of_the_weights_that_is_cached_is_enough(
    cached: Path, monkeypatch: pytest.MonkeyPatch, revision: str | None, offline: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    checkpoint = locate("me/both", revision)
    assert checkpoint.files["pytorch_model.bin"] == cached / "pytorch_model.bin"
    if offline:
        (cached / "pytorch_model.bin").unlink()
        with pytest.raises(CheckpointError, match="the cache lacks some of its files"):
            locate("me/both", revision)


def test_a_pickle_that_is_refused_comes_without_advice_to_read_it_all_the_same(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoints["esm"], folder)
    (folder / "model.safetensors").unlink()

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"weight": Evil()}, folder / "pytorch_model.bin", pickle_module=pickle)
    with pytest.raises(CheckpointError, match=r"cannot be loaded|cannot be read") as caught:
        Extractor(ExtractorSpec(model=str(folder))).embed(["EVQL"])
    assert not (tmp_path / "executed").exists()
    assert "weights_only" not in str(caught.value)
    assert "arbitrary code" not in str(caught.value)
