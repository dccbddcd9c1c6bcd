"""Models on the hub: what leaves this computer, and what is refused that comes from there."""

import getpass
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from antibody_esm import Dataset, Panel, Predictor, RuntimeSpec, SplitSpec, StoreError, Trainer, retrain
from antibody_esm.cards.markdown import prose
from antibody_esm.model_files import PANEL, manifest_digest
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.specs.finetuning import FINE_TUNINGS
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.trained_on import sequence_digest
from chains import HEAVY, mutants
from hub_stand_in import Hub, reached
from reporting import CHARGES, LOGREG, antibodies

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the hub's client
NAME = "our-lab/model"
THREE = SplitSpec(folds=3)
VH = mutants(HEAVY, 30, 40)
DATA = Dataset([f"secret-{i}" for i in range(30)], VH, label=[(each.count("K") + each.count("R")) % 2 for each in VH])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with reached(monkeypatch, tmp_path / "cache") as hub:
        yield hub


def model(classifier: Any = LOGREG, **options: Any) -> Predictor:
    return Trainer(CHARGES, classifier, THREE).fit(DATA, **{"scores": False} | options)


def panel() -> Panel:
    values = np.asarray(antibodies(30, continuous=True).label)
    targets = {"HIC": values, "Tm2": np.where(np.arange(30) < 20, -values, np.nan)}
    data = Dataset(antibodies(30).ids, antibodies(30).heavy, measurements=targets, targets=tuple(targets))
    return Panel.fit(Trainer(CHARGES, "ridge", THREE), data, scores=False, check=False)


def unpacked(content: bytes) -> bytes:
    """Return bytes with those of each archive in them unpacked, and text of any width as ASCII."""
    packed = io.BytesIO(content)
    if not zipfile.is_zipfile(packed):
        return content.replace(b"\0", b"")
    with zipfile.ZipFile(packed) as archive:
        return b"\n".join(archive.read(name).replace(b"\0", b"") for name in archive.namelist())


def received(hub: Hub) -> bytes:
    """Return all that the hub received, and all files that it has, unpacked."""
    files = [content for each in hub.repositories.values() for _, files in each.commits for content in files.values()]
    return b"\n".join([hub.everything().replace(b"\0", b""), *map(unpacked, [*files, *hub.large.values()])])


def pieces(sequences: list[str], length: int = 12) -> set[str]:
    return {each[i : i + length] for each in sequences for i in range(0, len(each) - length, length)}


def test_no_training_sequence_id_label_path_or_user_leaves_unless_asked(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "secret-folder").mkdir()
    predictor = Trainer(CHARGES, LOGREG, THREE, store=tmp_path / "secret-folder" / "store").fit(DATA)
    predictor.evaluate(DATA)  # writes into the log of test sets
    predictor.push_to_hub(NAME, token="hf_secret")  # noqa: S106  no token of anybody
    sent = received(hub)
    assert b"manifest" in sent
    assert not [text for text in [*DATA.ids, *pieces(VH), *map(sequence_digest, VH)] if text.encode() in sent]
    private = [str(tmp_path), str(Path.home()), "secret-folder", getpass.getuser() + "@", os.uname().nodename]
    assert not [text for text in private if text.encode() in sent]
    assert hub.tokens == {"Bearer hf_secret"}
    files = hub.repositories[NAME].commits[-1][1]
    assert sorted(files) == [".gitattributes", "README.md", "classifier.skops", "manifest.json", "training.npz"]
    assert b"hf_secret" not in b"".join(files.values())
    assert hub.repositories[NAME].private
    with np.load(io.BytesIO(files["training.npz"])) as arrays:
        assert set(arrays) == {"score", "label", "by", "task"}
        assert (np.diff(arrays["label"]) >= 0).all()  # sorted, so of no antibody


def test_the_test_of_what_leaves_can_fail(hub: Hub) -> None:
    model().push_to_hub(NAME, training=True)
    sent = received(hub)
    assert all(text.encode() in sent for text in VH)
    assert not [name for name in DATA.ids if name.encode() in sent]


@pytest.mark.filterwarnings("ignore::UserWarning")  # training antibodies in the recalibration
def test_digests_of_a_recalibration_stay_here(hub: Hub) -> None:
    adapted = model().recalibrate(DATA.subset(range(12)))
    adapted.push_to_hub(NAME)
    assert not [each for each in map(sequence_digest, VH) if each.encode() in received(hub)]


def test_a_classifier_of_training_vectors_is_sent_only_if_that_is_asked_for(hub: Hub) -> None:
    predictor = model("knn", uncertainty=False)
    with pytest.raises(ValueError, match="knn consists, or may consist, of vectors and labels of training antibodies"):
        predictor.push_to_hub(NAME)
    with pytest.raises(ValueError, match="consists, or may consist, of vectors and labels"):
        Panel({"label": predictor}).push_to_hub(NAME)
    assert hub.received == []
    predictor.push_to_hub(NAME, training=True)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_from_the_hub_predicts_the_same_and_names_its_commit(
    hub: Hub, training: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = model()
    commit = predictor.push_to_hub(NAME, training=training)
    assert (
        f"Pushed to {NAME} (private) at commit {commit}, with{'' if training else 'out'} its" in capsys.readouterr().out
    )
    for revision in (None, "main", commit):
        loaded = Predictor.from_hub(NAME, revision)
        np.testing.assert_array_equal(loaded.predict_proba(VH), predictor.predict_proba(VH))
        assert loaded.origin == f"{NAME} at {commit}"
    assert loaded.digest == predictor.digest
    notes = loaded.evaluate(DATA).notes
    assert f"The model is {NAME} at {commit} of the Hugging Face hub." in notes
    folder = loaded.save(tmp_path / "model")
    again = Predictor.load(folder)
    assert again.origin == loaded.origin
    assert commit in (folder / "README.md").read_text()
    assert loaded.with_columns({}).origin == loaded.origin
    assert hub.repositories[NAME].files(commit) is not None


def test_a_recalibrated_model_is_not_that_of_the_commit_it_was_recalibrated_from(hub: Hub, tmp_path: Path) -> None:
    commit = model().push_to_hub(NAME)
    loaded = Predictor.from_hub(NAME, commit)
    few = Dataset([f"b{row}" for row in range(12)], mutants(HEAVY, 12, 25), label=[0, 1] * 6)
    words = f"recalibrated from {NAME} at {commit} of the Hugging Face hub on 12 antibodies"
    adapted = loaded.recalibrate(few)
    folder = adapted.save(tmp_path / "model")
    for each in (adapted, adapted.recalibrate(few), Predictor.load(folder)):
        assert each.origin == ""
        assert str(each.recalibration).startswith(words)
        notes = each.evaluate(DATA).notes
        assert [note[: len(words) + 14] for note in notes if NAME in note] == [f"The model was {words}"]
    card = (folder / "README.md").read_text()
    assert prose(words) in card
    assert "| from |" not in card
    assert loaded.origin == f"{NAME} at {commit}"
    pushed = Predictor.from_hub("our-lab/adapted", adapted.push_to_hub("our-lab/adapted"))
    assert pushed.origin.startswith("our-lab/adapted at ")
    assert str(pushed.recalibration).startswith(words)
    assert str(pushed.recalibrate(few).recalibration).startswith(f"recalibrated from {pushed.origin} of")
    whole = Predictor.from_hub(NAME, model().push_to_hub(NAME, training=True))
    assert retrain(whole, [few]).predictor.origin == ""


@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_fine_tuned_model_from_the_hub_has_its_adapter_and_predicts_the_same(
    method: str, hub: Hub, tmp_path: Path
) -> None:
    base = tiny_checkpoint("esm", tmp_path / "esm", layers=1, dim=16)
    spec = FINE_TUNINGS[method].model_copy(update={"epochs": 2, "learning_rate": 0.05, "validation": 0.25})
    runtime = RuntimeSpec(workers=1)
    trainer = Trainer(base, LOGREG, THREE, finetune=spec, runtime=runtime)
    predictor = trainer.fit(DATA, scores=False, uncertainty=False, check=False)
    commit = predictor.push_to_hub(NAME)
    files = hub.repositories[NAME].commits[-1][1]
    adapter = files[ADAPTER]
    assert json.loads(files["manifest.json"])["adapter_sha256"] == hashlib.sha256(adapter).hexdigest()
    assert prose(f"fine-tuned on 30 antibodies by {spec.words}") in files["README.md"].decode()
    sent = received(hub)
    assert not [text for text in [*DATA.ids, *pieces(VH), str(tmp_path)] if text.encode() in sent]
    loaded = Predictor.from_hub(NAME, commit, checkpoint=base, runtime=runtime)
    np.testing.assert_array_equal(loaded.predict_proba(VH), predictor.predict_proba(VH))
    assert loaded.digest == predictor.digest
    others = adapter[:-1] + bytes([adapter[-1] ^ 1])
    for wrong in (files | {ADAPTER: others}, {name: content for name, content in files.items() if name != ADAPTER}):
        hub.put(NAME, wrong)
        with pytest.raises(StoreError, match=ADAPTER):
            Predictor.from_hub(NAME, checkpoint=base, runtime=runtime)


def test_a_panel_from_the_hub_predicts_the_same(hub: Hub) -> None:
    models = panel()
    commit = models.push_to_hub(NAME)
    loaded = Panel.from_hub(NAME)
    assert (
        loaded.predict(VH[:3], check=False)
        .drop(columns=loaded_only())
        .equals(models.predict(VH[:3], check=False).drop(columns=loaded_only()))
    )
    assert {each.origin for each in loaded.values()} == {f"{NAME} at {commit}"}
    with pytest.raises(StoreError, match="a panel of models"):
        Predictor.from_hub(NAME)
    model().push_to_hub("our-lab/other")
    with pytest.raises(StoreError, match="a model of one label"):
        Panel.from_hub("our-lab/other")


def loaded_only() -> list[str]:
    """Return the columns that a panel lacks without its training antibodies."""
    return [f"{label} {name}" for label in ("HIC", "Tm2") for name in ("distance", "identity", "warning")]


def test_a_commit_in_the_cache_needs_no_request(hub: Hub) -> None:
    commit = model().push_to_hub(NAME)
    Predictor.from_hub(NAME, commit)
    before = len(hub.received)
    assert Predictor.from_hub(NAME, commit).origin.endswith(commit)
    assert len(hub.received) == before


def test_a_push_replaces_an_earlier_model_and_keeps_files_of_others(hub: Hub) -> None:
    panel().push_to_hub(NAME)
    ours = hub.repositories[NAME].commits[-1][1]
    hub.put(NAME, ours | {"notes.txt": b"mine", "HIC/notes.txt": b"mine"})
    model().push_to_hub(NAME)
    files = hub.repositories[NAME].commits[-1][1]
    assert sorted(files) == [
        ".gitattributes",
        "HIC/notes.txt",
        "README.md",
        "classifier.skops",
        "manifest.json",
        "notes.txt",
        "training.npz",
    ]
    panel().push_to_hub(NAME)
    files = hub.repositories[NAME].commits[-1][1]
    assert "manifest.json" not in files
    assert {"HIC/notes.txt", "HIC/manifest.json", "Tm2/README.md", "panel.json"} <= files.keys()
    assert len(Panel.from_hub(NAME)) == 2


OTHERS = {
    "README.md": b"# My repository",
    "docs/README.md": b"mine",
    "ad/adapter.safetensors": b"mine",
    "other_model/manifest.json": b"{}",
    "adapter.safetensors": b"mine",
    "HIC/README.md": b"mine",
}


@pytest.mark.parametrize("make", [model, panel])
def test_a_push_deletes_and_overwrites_no_file_that_is_of_no_earlier_model(
    make: Any, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of the names of a model, in any folder, were deleted, and every README was replaced."""
    hub.put(NAME, OTHERS)
    for _ in range(2):
        make().push_to_hub(NAME)
        files = hub.repositories[NAME].commits[-1][1]
        assert OTHERS.items() <= files.items()
        assert "README.md" in capsys.readouterr().out.partition("; ")[2]
    panel().push_to_hub(NAME)
    model().push_to_hub(NAME)
    files = hub.repositories[NAME].commits[-1][1]
    assert set(files) == {*OTHERS, "classifier.skops", "manifest.json", "training.npz"}


@pytest.mark.parametrize("content", [b"{}", b"[]", b"no JSON", b"[" * 10_000])
def test_a_push_over_a_manifest_of_another_program_is_refused(content: bytes, hub: Hub) -> None:
    for name, each in (("manifest.json", model()), (PANEL, panel()), ("HIC/manifest.json", panel())):
        hub.put(f"our-lab/{name.replace('/', '-')}", {name: content})
        with pytest.raises(ValueError, match=f"has a file {name} that is of no earlier model"):
            each.push_to_hub(f"our-lab/{name.replace('/', '-')}")
    assert not [line for line, _ in hub.received if "preupload" in line or "commit/" in line]


@pytest.mark.parametrize("size", ["12", None, -1, 1.5, True, []])
def test_a_size_that_is_no_number_is_refused_before_a_file_is_fetched(size: Any, hub: Hub) -> None:
    model().push_to_hub(NAME)
    hub.sizes["classifier.skops"] = size
    before = len(hub.received)
    with pytest.raises(StoreError, match=r"names no size of the file 'classifier.skops'"):
        Predictor.from_hub(NAME)
    with pytest.raises(StoreError, match=r"names no size of the file 'classifier.skops'"):
        model().push_to_hub(NAME)
    assert not [line for line, _ in hub.received[before:] if "/resolve/" in line]


def test_a_public_repository_is_written_only_if_that_is_asked_for(hub: Hub) -> None:
    hub.put(NAME, {}, private=False)
    with pytest.raises(ValueError, match="is public: pass private=False"):
        model().push_to_hub(NAME)
    assert len(hub.repositories[NAME].commits) == 1
    assert not [line for line, _ in hub.received if "preupload" in line or "commit/" in line]
    model().push_to_hub(NAME, private=False)
    model().push_to_hub("our-lab/new", private=False)
    assert not hub.repositories["our-lab/new"].private


def crafted(files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    manifest = json.loads(files["manifest.json"]) | changes
    manifest |= {"sha256": manifest_digest(manifest)}
    return files | {"manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files | {"classifier.skops": b"\x80\x04cos\nsystem\n."}, "not the classifier"),
        (lambda files: {name: files[name] for name in files if name != "training.npz"}, "it has no training.npz"),
        (lambda files: {"README.md": b"# A language model", "model.safetensors": b""}, "it has no panel.json"),
        (lambda files: crafted(files, spec={}), "not the manifest"),
        (lambda files: crafted(files, metrics=3), "not the manifest"),
        (lambda files: crafted(files, origin=["x"]), "not the manifest"),
        (lambda files: crafted(files, without_scores={}), "not the manifest"),
        (lambda files: {PANEL: b"{}"}, "not the manifest of a panel"),
        (lambda files: {PANEL: b"[" * 10_000}, "not the manifest of a panel"),
        (lambda files: {PANEL: paneled("../..")}, "is not the name of a folder of a panel"),
        (lambda files: {PANEL: paneled("/etc")}, "is not the name of a folder of a panel"),
        (lambda files: {PANEL: paneled("HIC")}, "it has no HIC/manifest.json"),
    ],
)
def test_files_of_bad_intent_are_refused(hub: Hub, change: Any, message: str) -> None:
    model().push_to_hub("our-lab/good")
    hub.put(NAME, change(hub.repositories["our-lab/good"].commits[-1][1]))
    reader = (
        Panel if message.startswith(("not the manifest of a panel", "is not the name", "it has no HIC")) else Predictor
    )
    with pytest.raises(StoreError, match=message) as error:
        reader.from_hub(NAME)
    assert NAME in str(error.value)
    assert tempfile.gettempdir() not in str(error.value)


def paneled(folder: str) -> bytes:
    manifest: dict[str, Any] = {"format": 1, "models": [{"label": "x", "folder": folder, "sha256": "0"}]}
    return json.dumps(manifest | {"sha256": manifest_digest(manifest)}).encode()


def test_other_files_of_a_repository_are_never_fetched(hub: Hub) -> None:
    model().push_to_hub("our-lab/good")
    files = hub.repositories["our-lab/good"].commits[-1][1]
    hub.put(NAME, files | {"evil.pkl": b"x", "../../outside": b"x", "modeling.py": b"x", "config.json": b"{}"})
    hub.put(NAME, hub.repositories[NAME].commits[-1][1] | {"adapter.safetensors": b"of another model"})
    Predictor.from_hub(NAME)
    fetched = {line.split()[1].rpartition("/")[2] for line, _ in hub.received if f"{NAME}/resolve" in line}
    assert fetched == {"manifest.json", "classifier.skops", "training.npz"}


def test_a_file_that_is_too_large_is_refused_before_it_is_fetched(hub: Hub) -> None:
    model().push_to_hub(NAME)
    hub.sizes["classifier.skops"] = 10**15
    with pytest.raises(StoreError, match=r"classifier.skops has .*more than"):
        Predictor.from_hub(NAME)
    assert not [line for line, _ in hub.received if "resolve" in line and "classifier.skops" in line]


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("our-lab/absent", None, "no such repository, or it is private"),
        (NAME, "v2", "it has no revision 'v2'"),
        ("no name of the hub", None, "no name of a repository"),
        ("../etc/passwd", None, "no name of a repository"),
    ],
)
def test_what_is_not_there_is_one_error_with_the_reason(
    hub: Hub, name: str, revision: str | None, message: str
) -> None:
    model().push_to_hub(NAME)
    with pytest.raises(StoreError, match=message):
        Predictor.from_hub(name, revision)


def test_without_a_hub_the_error_is_of_one_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(StoreError, match="HF_HUB_OFFLINE"):
        Predictor.from_hub(NAME)
    with pytest.raises(StoreError, match="HF_HUB_OFFLINE"):
        model().push_to_hub(NAME)
    assert hub.received == []
