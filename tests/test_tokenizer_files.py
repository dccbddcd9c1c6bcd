"""Tokenizers of another repository or folder than the weights."""

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import (
    CheckpointError,
    Dataset,
    EmbeddingStore,
    Extractor,
    ExtractorSpec,
    Predictor,
    SplitSpec,
    Trainer,
    TrainSpec,
    embed,
    licences,
)
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.tokenizer_files import with_tokenizer
from antibody_esm.reports.reproduction import overrides
from antibody_esm.testing import tiny_checkpoint
from effort import examples
from parted import parted

SEQUENCES = ["EVQLVESGG", "QVQLQ"]


@pytest.mark.parametrize("kind", ["esm", "bert", "prostt5", "ankh3", "gpt2"])
def test_weights_and_tokenizer_of_two_folders_are_those_of_one(
    kind: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    weights, tokenizer = parted(checkpoints[kind], tmp_path)
    with pytest.raises(CheckpointError, match="it has no tokenizer"):
        embed(SEQUENCES, ExtractorSpec(model=str(weights)))
    whole = ExtractorSpec(model=str(checkpoints[kind]))
    spec = ExtractorSpec(model=str(weights), tokenizer=str(tokenizer))
    assert spec.address == whole.address, "the digest is that of a folder in which they lie together"
    assert spec.fingerprint != ExtractorSpec(model=str(weights)).fingerprint
    store = EmbeddingStore(tmp_path / "store")
    rows = embed(SEQUENCES, spec, store)
    assert np.array_equal(rows, embed(SEQUENCES, whole))
    assert store.count(whole) == 2
    random = [embed(SEQUENCES, each.model_copy(update={"random_weights": 0})) for each in (spec, whole)]
    assert np.array_equal(random[0], random[1])
    pinned = spec.pin()
    for folder in (weights, tokenizer):
        shutil.rmtree(folder)
    assert np.array_equal(embed(SEQUENCES, pinned, store), rows), "a pinned spec needs no files"


@pytest.mark.usefixtures("stranger")
@given(st.sampled_from(["vocab.txt", "tokenizer_config.json"]), st.integers(0, 2**16))
@examples(10)
def test_one_changed_byte_of_a_tokenizer_is_another_address(
    tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path], file: str, place: int
) -> None:
    weights, tokenizer = parted(checkpoints["bert"], tmp_path_factory.mktemp("parted"))
    spec = ExtractorSpec(model=str(weights), tokenizer=str(tokenizer))
    before = spec.pin()
    content = bytearray((tokenizer / file).read_bytes())
    content[place % len(content)] ^= 1
    (tokenizer / file).write_bytes(content)
    assert spec.address != before.address
    with pytest.raises(CheckpointError, match="but the spec is pinned to"):
        Extractor(before).embed(SEQUENCES)


def test_another_tokenizer_takes_the_place_of_a_models_own(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Also the files that only one of them has: none of the model's own may be left over."""
    _, tokenizer = parted(checkpoints["bert"], tmp_path)
    lines = (tokenizer / "vocab.txt").read_text().split("\n")
    lines[5], lines[6] = lines[6], lines[5]
    (tokenizer / "vocab.txt").write_text("\n".join(lines))
    own = tmp_path / "own"
    shutil.copytree(checkpoints["bert"], own)
    (own / "added_tokens.json").write_text("{}")
    spec = ExtractorSpec(model=str(own), tokenizer=str(tokenizer))
    assert "added_tokens.json" not in Extractor(spec).checkpoint.files
    first, second = "".join(lines[5:7]), "".join(lines[6:4:-1])
    assert np.array_equal(embed([first], spec), embed([second], ExtractorSpec(model=str(checkpoints["bert"]))))


def test_the_tokenizer_of_a_package_is_read(tmp_path: Path) -> None:
    files = with_tokenizer(locate("antiberty"), "antiberty").files
    assert files == locate("antiberty").files
    with pytest.raises(CheckpointError, match="is part of its package"):
        ExtractorSpec(model="sapiens_vh", tokenizer="antiberty").resolve()


def test_what_is_no_tokenizer_is_an_error_that_names_it(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model = str(checkpoints["esm"])
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "empty": ({"tokenizer": str(tmp_path / "empty")}, "has no tokenizer; expected one of .*vocab.txt"),
        "revision": (
            {"tokenizer": str(checkpoints["esm"]), "tokenizer_revision": "v1"},
            "is a local folder and has no revision",
        ),
        "no name": ({"tokenizer": "no such folder!"}, "is no folder, and no name of the hub"),
    }
    for fields, message in cases.values():
        with pytest.raises(CheckpointError, match=message):
            embed(SEQUENCES, ExtractorSpec(model=model, **fields))
    with pytest.raises(ValueError, match="tokenizer_revision requires tokenizer"):
        ExtractorSpec(model=model, tokenizer_revision="v1")


class _Hub(BaseHTTPRequestHandler):
    """Stand-in for a hub that has no repository."""

    asked: list[str] = []  # noqa: RUF012  reset by the fixture

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815  the name that http.server calls

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(_Hub, "asked", [])
    yield _Hub.asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_tokenizer_of_the_hub_has_the_advice_of_models(
    asked: list[str], checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ExtractorSpec(model=str(checkpoints["esm"]), tokenizer="facebook/esm2_t6_8M_UR50")
    with pytest.raises(CheckpointError, match="tokenizer 'facebook/.*the hub has no such model, or it is private") as e:
        spec.resolve()
    assert "Did you mean facebook/esm2_t6_8M_UR50D?" in str(e.value)
    assert asked
    asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"switched off.*[\s\S]*ExtractorSpec\(tokenizer='path/to/folder'\)"):
        spec.resolve()
    assert not asked
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv(licences.VARIABLE, "commercial")
    with pytest.raises(CheckpointError, match="ANTIBODY_ESM_LICENCE=commercial refuses 'someone/tokenizer'"):
        ExtractorSpec(model=str(checkpoints["esm"]), tokenizer="someone/tokenizer").resolve()
    assert not asked, "before a byte is fetched"


def test_a_tokenizer_in_the_cache_is_read_offline(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "c" * 40
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    root = tmp_path / "cache" / "models--someone--tokenizer"
    _, tokenizer = parted(checkpoints["esm"], tmp_path)
    shutil.copytree(tokenizer, root / "snapshots" / commit)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    spec = ExtractorSpec(model=str(checkpoints["esm"]), tokenizer="someone/tokenizer")
    assert spec.address == ExtractorSpec(model=str(checkpoints["esm"])).address
    named = spec.model_copy(update={"tokenizer_revision": commit})
    assert named.address == spec.address


def test_code_beside_a_tokenizer_is_never_run(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    weights, tokenizer = parted(checkpoints["esm"], tmp_path)
    config = json.loads((tokenizer / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(config))
    (tokenizer / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    spec = ExtractorSpec(model=str(weights), tokenizer=str(tokenizer))
    assert "own.py" not in Extractor(spec).checkpoint.files
    with contextlib.suppress(CheckpointError):  # a version of transformers may refuse the class, or leave it out
        Extractor(spec).embed(SEQUENCES)
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("stranger")
def test_a_model_with_another_tokenizer_is_trained_saved_and_reproduced(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    weights, tokenizer = parted(checkpoints["gpt2"], tmp_path)
    spec = ExtractorSpec(model=str(weights), tokenizer=str(tokenizer), prefix="1", pooling="last")
    sequences = ["EVQLVESGG"[: 3 + row % 6] + "ACDEFGHIKLMN"[row] for row in range(12)]
    data = Dataset(ids=[str(row) for row in range(12)], heavy=sequences, label=[0, 1] * 6)
    trainer = Trainer(spec, split=SplitSpec(folds=2), store=tmp_path / "store")
    predictor = trainer.fit(data, check=False, uncertainty=False)
    expected = predictor.predict_proba(data)
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=EmbeddingStore(tmp_path / "new"))
    assert np.array_equal(loaded.predict_proba(data), expected)
    (tokenizer / "added_tokens.json").write_text("{}")
    stale = Predictor.load(tmp_path / "model", store=EmbeddingStore(tmp_path / "newer"))
    with pytest.raises(CheckpointError, match="pinned to"):
        stale.predict_proba(data)
    words = overrides(trainer.spec)
    assert words is not None
    assert TrainSpec.compose(words) == trainer.spec


# --- SaProt ---------------------------------------------------------------------------------------------------------


def test_a_vocabulary_of_residues_with_their_structure_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path)
    residues, structures = "ACDEFGHIKLMNPQRSTVWY#", "pynwrqhgdlvtmfsaeikc#"
    tokens = ["<cls>", "<pad>", "<eos>", "<unk>", "<mask>", *(a + b for a in residues for b in structures)]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(CheckpointError, match="reads a residue together with a letter of its structure"):
        Extractor(folder).embed(SEQUENCES)


@pytest.mark.parametrize("model", ["westlake-repl/SaProt_650M_AF2", "westlake-repl/SaProt_1.3B_AF2", "me/saprot"])
def test_saprot_is_refused_before_it_is_fetched(model: str, asked: list[str]) -> None:
    with pytest.raises(CheckpointError, match="there are only sequences here"):
        locate(model)
    assert not asked


def test_a_tokenizer_whose_tokens_have_no_number_is_an_error(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="it has no number for a token of"):
        Extractor(ExtractorSpec(model=str(checkpoints["esm"]), tokenizer="antiberty")).embed(SEQUENCES)


@pytest.mark.parametrize("name", ["~nobody-4711/x", "~nobody-4711", "a" * 5_000, "x/" + "a" * 5_000, "a\0b"])
@pytest.mark.parametrize("field", ["model", "tokenizer"])
@pytest.mark.parametrize("digest", [None, "0" * 64])
def test_a_name_that_no_folder_can_have_is_an_error_of_one_kind(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str, field: str, digest: str | None
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    spec = ExtractorSpec.model_validate({"model": str(checkpoints["esm"]), "digest": digest, field: name})
    with pytest.raises(CheckpointError):
        Extractor(spec).embed(SEQUENCES)
