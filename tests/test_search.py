"""Folders of language models by digest: no other files are ever taken, and no folder is harmful to look into."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import CheckpointError, ExtractorSpec, files
from antibody_esm.licences import PACKAGED
from antibody_esm.plm import checkpoints
from antibody_esm.plm import search as module
from antibody_esm.plm.checkpoints import in_folder
from antibody_esm.plm.packages import ELSEWHERE, PACKAGES
from antibody_esm.plm.resolution import find
from antibody_esm.plm.search import MOST, VARIABLE, remember, search, suggest
from antibody_esm.specs.local_models import folder_name, is_folder
from antibody_esm.testing import tiny_checkpoint

NAMES = ("mine", "final", "other")
KINDS = ("wanted", "unlike", "weightless", "fifo", "weights that are a fifo", "link", "files that are links", "locked")


pytestmark = pytest.mark.usefixtures("stranger")


def write_files(folder: Path, weights: bytes) -> Path:
    """Write a folder with the files of a checkpoint, which no test of this file loads."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "esm", "num_hidden_layers": 2}')
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "vocab.txt").write_text("A\nC\n")
    return folder


def lay_out(folder: Path, kind: str, elsewhere: Path) -> None:
    """Make a folder of a kind; the files of links lie elsewhere."""
    if kind == "link":
        folder.symlink_to(elsewhere)
        return
    write_files(folder, b"unlike" if kind == "unlike" else b"wanted")
    match kind:
        case "weightless":
            (folder / "model.safetensors").unlink()
        case "fifo" | "weights that are a fifo":
            name = "config.json" if kind == "fifo" else "model.safetensors"
            (folder / name).unlink()
            os.mkfifo(folder / name)
        case "files that are links":
            (folder / "model.safetensors").unlink()
            (folder / "model.safetensors").symlink_to(elsewhere / "model.safetensors")
        case "locked":
            folder.chmod(0)


@pytest.fixture
def unlocked(tmp_path: Path) -> Iterator[None]:
    yield
    for folder in tmp_path.rglob("*"):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


layouts = st.dictionaries(st.tuples(st.integers(0, 2), st.sampled_from(NAMES)), st.sampled_from(KINDS), max_size=6)


@pytest.mark.usefixtures("unlocked")
@given(
    layout=layouts, name=st.sampled_from(NAMES), remembered=st.none() | st.sampled_from(NAMES), thorough=st.booleans()
)
def test_only_files_with_the_digest_are_ever_taken_and_they_are_taken_if_they_can_be_read(
    tmp_path_factory: pytest.TempPathFactory,
    layout: dict[tuple[int, str], str],
    name: str,
    remembered: str | None,
    thorough: bool,
) -> None:
    root = tmp_path_factory.mktemp("layout")
    elsewhere = write_files(root / "elsewhere", b"wanted")
    digest = in_folder(elsewhere, "any").digest
    places = [root / str(number) for number in range(3)]
    for place in places[:2]:  # the third is not there
        place.mkdir()
    for (number, inner), kind in layout.items():
        if number < 2:
            lay_out(places[number] / inner, kind, elsewhere)
    if remembered is not None:
        suggest(digest, places[0] / remembered)
    readable = ["wanted", *(["locked"] if os.access("/root", os.R_OK) else [])]  # an administrator reads all
    there = {(number, inner) for (number, inner), kind in layout.items() if number < 2 and kind in readable}
    # A folder that was named itself is read as it is, with its links.
    itself = {(0, remembered)} if layout.get((0, remembered or "")) in ("link", "files that are links") else set()
    tried = there if thorough else {each for each in there if each[1] == name}
    problem = ""
    try:
        checkpoint = search(name, digest, [str(place) for place in places], weights=True, thorough=thorough)
    except CheckpointError as error:
        problem = str(error)
    finally:
        module._used.clear()
    if problem:
        assert not tried
        assert digest in problem
        assert all(str(place) in problem for place in places)
        return
    assert checkpoint.digest == digest
    assert checkpoint.folder is not None
    assert (int(checkpoint.folder.parent.name), checkpoint.folder.name) in there | itself


@given(st.text() | st.lists(st.sampled_from(["..", ".", "~", "a", "antiberty", "C:", "x y", ""])).map("/".join))
def test_the_name_of_a_folder_holds_no_path_and_is_that_of_no_packaged_model(model: str) -> None:
    name = folder_name(model)
    if is_folder(model):
        assert "/" not in name
        assert "\\" not in name
        assert not name.startswith("~")
        assert name.lower() not in PACKAGED
        assert name
    else:
        assert name == model
    assert folder_name(name) == name


def test_names_of_packaged_models_are_those_that_are_read_or_refused() -> None:
    assert {*PACKAGES, *ELSEWHERE} == PACKAGED


@pytest.mark.parametrize("model", ["facebook/esm2_t6_8M_UR50D", "antiberty", "sapiens_vh", "esm2"])
def test_names_of_the_hub_and_of_packages_stay_as_they_are(model: str) -> None:
    assert folder_name(model) == model


def test_a_folder_that_lies_where_a_name_of_the_hub_would_lead_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert folder_name("models/mine") == "mine"


def test_a_folder_of_the_name_with_other_files_is_named_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    other = write_files(tmp_path / "models" / "mine", b"unlike")
    digest = in_folder(other, "any").digest
    with pytest.raises(CheckpointError) as caught:
        search("mine", "0" * 64, [str(tmp_path / "models"), str(tmp_path / "absent")], weights=True)
    text = str(caught.value)
    assert f"the spec is pinned to {'0' * 64}" in text
    assert f"in {other} its files have digest {digest}" in text
    assert f"{tmp_path / 'absent'} cannot be read" in text
    assert all(
        words in text for words in ("checkpoint='path/to/mine'", "--checkpoint path/to/mine", VARIABLE, "beside")
    )
    assert set(caught.value.folders) >= {str(other), str(tmp_path / "models"), str(tmp_path / "absent")}


def test_large_folders_of_other_names_are_read_only_if_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = write_files(tmp_path / "models" / "renamed", b"wanted")
    digest = in_folder(renamed, "any").digest
    monkeypatch.setattr(module, "LARGEST", 10)
    with pytest.raises(CheckpointError, match=r"too large to compare without being named: .*renamed \(\d+ bytes\)"):
        search("mine", digest, [str(tmp_path / "models")], weights=True)
    assert search("mine", digest, [str(renamed)], weights=True).folder == renamed
    assert search("renamed", digest, [str(tmp_path / "models")], weights=True).folder == renamed


def test_a_folder_of_the_name_is_compared_before_any_other_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        write_files(tmp_path / f"a{number}", b"unlike")
    wanted = write_files(tmp_path / "mine", b"wanted")
    digest = in_folder(wanted, "any").digest
    read: list[Path] = []
    compute = files.digest

    def noted(path: Path) -> str:
        read.append(path.parent)
        return compute(path)

    monkeypatch.setattr(checkpoints, "digest", noted)
    assert search("mine", digest, [str(tmp_path)], weights=True).folder == wanted
    assert set(read) == {wanted}


def test_of_a_folder_with_many_entries_some_are_looked_at(tmp_path: Path) -> None:
    for number in range(MOST + 5):
        (tmp_path / str(number)).mkdir()
    with pytest.raises(CheckpointError, match="no folder with its files"):
        search("mine", "0" * 64, [str(tmp_path)], weights=True)


def test_a_folder_is_remembered_for_the_next_process_in_a_place_of_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = write_files(tmp_path / "mine", b"wanted")
    digest = in_folder(wanted, "any").digest
    remember(digest, wanted)
    monkeypatch.setattr(module, "_used", {})
    assert search("mine", digest, [], weights=True).folder == wanted
    note = module._note(digest)
    assert note.read_text() == str(wanted)
    assert note.parent.stat().st_mode & 0o077 == 0
    (wanted / "vocab.txt").write_text("C\nA\n")
    with pytest.raises(CheckpointError, match=f"in {wanted} its files have digest"):
        search("mine", digest, [], weights=True)
    note.unlink()
    os.mkfifo(note)  # which nobody writes to
    with pytest.raises(CheckpointError, match="no folder"):
        search("mine", digest, [], weights=True)


def test_a_snapshot_of_the_hubs_cache_is_read_though_its_files_are_links(tmp_path: Path) -> None:
    blobs = write_files(tmp_path / "models--me--mine" / "blobs", b"wanted")
    snapshot = tmp_path / "models--me--mine" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / file.name)
    digest = in_folder(snapshot, "any").digest
    assert search("mine", digest, [str(snapshot)], weights=True).folder == snapshot
    (snapshot / "vocab.txt").unlink()
    (snapshot / "vocab.txt").symlink_to(write_files(tmp_path / "out", b"wanted") / "vocab.txt")
    with pytest.raises(CheckpointError, match="no folder"):
        search("mine", digest, [str(snapshot)], weights=True)


def test_the_name_of_a_folder_is_never_sent_to_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[object] = []

    def snapshot(model: str, *, local_files_only: bool = False, **_: object) -> str:
        if not local_files_only:
            asked.append(model)
        raise huggingface_hub.errors.LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    for model in ("secret-project", str(Path("models/secret-project").absolute()), "models/secret/project", "./secret"):
        with pytest.raises(CheckpointError, match="no folder with its files is here"):
            find(ExtractorSpec(model=model, digest="0" * 64))
    assert not asked
    with pytest.raises(CheckpointError, match="nor can it be downloaded"):
        find(ExtractorSpec(model="me/model", digest="0" * 64))
    assert asked


def test_files_of_a_model_of_the_hub_are_taken_from_a_folder_with_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "renamed", layers=1, dim=16)
    digest = in_folder(folder, "any").digest
    spec = ExtractorSpec(model="me/model", digest=digest)
    assert find(spec, [str(folder)]).folder == folder
    monkeypatch.setattr(module, "_used", {})
    shutil.rmtree(tmp_path / "cache of another")
    monkeypatch.setenv(VARIABLE, os.pathsep.join(["", str(tmp_path / "absent"), str(folder)]))
    assert find(spec).folder == folder
