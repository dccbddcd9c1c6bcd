import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from antibody_esm import CheckpointError
from antibody_esm.plm import checkpoints
from antibody_esm.plm.checkpoints import locate


@pytest.fixture
def mine(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "mine"))


def test_a_changed_byte_in_any_file_changes_the_digest(mine: Path) -> None:
    before = locate(str(mine))
    assert {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"} <= before.files.keys()
    seen = {before.digest}
    for name in before.files:
        content = bytearray((mine / name).read_bytes())
        content[-1] ^= 1
        (mine / name).write_bytes(content)
        seen.add(locate(str(mine)).digest)
        content[-1] ^= 1
        (mine / name).write_bytes(content)
    assert len(seen) == 1 + len(before.files)
    assert locate(str(mine)).digest == before.digest


def test_a_byte_changed_in_place_with_its_times_put_back_changes_the_digest(mine: Path) -> None:
    weights = mine / "model.safetensors"
    old = 1_600_000_000_000_000_000
    os.utime(weights, ns=(old, old))
    before = locate(str(mine)).digest
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x4d")
    os.utime(weights, ns=(old, old))
    assert locate(str(mine)).digest != before


def test_a_name_takes_part_in_the_digest(mine: Path) -> None:
    before = locate(str(mine)).digest
    (mine / "vocab.txt").rename(mine / "vocab.json")
    assert locate(str(mine)).digest != before


def test_moving_or_renaming_a_folder_does_not_change_the_digest(mine: Path, tmp_path: Path) -> None:
    before = locate(str(mine)).digest
    moved = mine.rename(tmp_path / "moved")
    assert locate(str(moved)).digest == before


def test_files_that_are_not_loaded_do_not_take_part(mine: Path) -> None:
    before = locate(str(mine))
    (mine / "README.md").write_text("about")
    (mine / "adapter_config.json").write_text("{}")
    after = locate(str(mine))
    assert after.digest == before.digest
    with after.staged() as folder:
        assert {path.name for path in folder.iterdir()} == after.files.keys()


def test_a_digest_is_remembered_only_once_the_file_has_settled(
    mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    checkpoint = locate(str(mine))
    checkpoint.digest  # noqa: B018
    assert not (tmp_path / "cache").exists(), "a file younger than two seconds may change without its times changing"
    monkeypatch.setattr(checkpoints.time, "time", lambda: 4e9)
    digest = checkpoint.digest
    notes = list((tmp_path / "cache").rglob("digests/*"))
    assert len(notes) == len(checkpoint.files)
    assert locate(str(mine)).digest == digest
    # Remembered: the files are not read again.
    monkeypatch.setattr(checkpoints.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert locate(str(mine)).digest == digest


def test_a_cache_folder_that_cannot_be_written_costs_only_time(
    mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    before = locate(str(mine)).digest
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(checkpoints.time, "time", lambda: 4e9)
    assert locate(str(mine)).digest == before


def test_weights_in_shards_are_found_through_their_index_and_all_needed(mine: Path) -> None:
    index = mine / "model.safetensors.index.json"
    (mine / "model.safetensors").rename(mine / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index.write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(CheckpointError, match="incomplete: model-00002-of-00002.safetensors"):
        locate(str(mine))
    shutil.copy(mine / "model-00001-of-00002.safetensors", mine / "model-00002-of-00002.safetensors")
    assert set(shards.values()) <= locate(str(mine)).files.keys()


def test_an_index_that_points_outside_of_its_folder_is_refused(mine: Path) -> None:
    (mine / "model.safetensors").unlink()
    (mine / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../secret"}}))
    with pytest.raises(CheckpointError, match="points outside"):
        locate(str(mine))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "there is no config.json"),
        ("model.safetensors", None, "there are no weights"),
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"[]", "not a JSON object"),
        ("config.json", b"{}", "names none of num_hidden_layers"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_an_error_that_says_why(
    mine: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (mine / name).unlink()
    else:
        (mine / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        locate(str(mine)).layers  # noqa: B018
    assert caught.value.checkpoint == str(mine)


def test_a_model_that_is_not_reachable_names_the_download_and_the_local_folder() -> None:
    with pytest.raises(CheckpointError, match=r"hf download facebook/esm2_t6_8M_UR50D --revision abc\n") as caught:
        locate("facebook/esm2_t6_8M_UR50D", "abc")
    assert "ExtractorSpec(model='path/to/folder')" in str(caught.value)
    assert (caught.value.checkpoint, caught.value.revision) == ("facebook/esm2_t6_8M_UR50D", "abc")


@pytest.mark.parametrize("name", ["no/such/folder/here", "a b c", "../x"])
def test_a_name_that_no_hub_can_have_is_a_checkpoint_error_too(name: str) -> None:
    with pytest.raises(CheckpointError, match="neither on disk nor can it be downloaded"):
        locate(name)


def test_a_commit_that_was_downloaded_before_needs_no_network(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "a" * 40
    cached = Path(os.environ["HF_HOME"]) / "hub" / "models--me--mine" / "snapshots" / commit
    shutil.copytree(checkpoints["esm"], cached)
    connect, connections = socket.socket.connect, []

    def connected(self: socket.socket, address: object) -> None:
        connections.append(address)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connected)
    assert locate("me/mine", commit).digest == locate(str(checkpoints["esm"])).digest
    assert connections == [], "it asked the hub"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 9))
    assert connections == [("127.0.0.1", 9)], "a connection is seen"


def test_a_local_folder_has_no_revision(mine: Path) -> None:
    with pytest.raises(CheckpointError, match="has no revision 'main'"):
        locate(str(mine), "main")


def test_antiberty_lies_in_its_package_which_is_not_imported() -> None:
    checkpoint = locate("antiberty", "0.1.3")
    assert checkpoint.files.keys() == {"config.json", "pytorch_model.bin", "vocab.txt"}
    assert (checkpoint.layers, checkpoint.dim) == (8, 512)
    assert "antiberty" not in sys.modules
    # The wheel on the package index is immutable, and so is this.
    assert checkpoint.digest == "18ec2fe45998f5ac5338972ca12722ab0a7e1e55db3af73526150fac5b3c1e8c"


def test_another_version_of_the_package_is_another_model() -> None:
    with pytest.raises(CheckpointError, match=r"installed as 0\.1\.3, not 0\.1\.2"):
        locate("antiberty", "0.1.2")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match=r'pip install "\.\[quickstart\]" in a checkout'):
        locate("antiberty")
