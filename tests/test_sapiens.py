"""Sapiens' own weights, from its package, beside a plain computation of what fairseq's layers do."""

import argparse
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from antibody_esm import (
    CheckpointError,
    Dataset,
    Extractor,
    ExtractorSpec,
    Predictor,
    RuntimeSpec,
    SequenceError,
    Trainer,
    embed,
    embed_views,
    load_dataset,
)
from antibody_esm.plm import checkpoints as checkpoints_module
from antibody_esm.plm import sapiens
from antibody_esm.plm.checkpoints import Checkpoint, locate
from antibody_esm.plm.int8 import exact
from antibody_esm.plm.masked import masked_log_probabilities
from antibody_esm.plm.vocabulary import vocabulary_of
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS
from chains import HEAVY, LIGHT, NANOBODY, mutants
from peers import one_thread

NAMES = ("sapiens_vh", "sapiens_vl")
CHAINS = {"sapiens_vh": HEAVY, "sapiens_vl": LIGHT}
LONGEST = {"sapiens_vh": 142, "sapiens_vl": 126}


@pytest.fixture(scope="module")
def extractors() -> dict[str, Extractor]:
    return {name: Extractor(name, RuntimeSpec(device="cpu")) for name in NAMES}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def stored(name: str) -> dict[str, Any]:
    """The content of a model's file of weights."""
    files = locate(name).files
    with torch.serialization.safe_globals([argparse.Namespace]):
        path = next(path for path in files.values() if path.suffix == ".pt")
        return torch.load(path, map_location="cpu", weights_only=True)


def plain(name: str, tokens: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """States ``(tokens, 128)`` and logits ``(tokens, 25)`` by fairseq's weights; no line of this package takes part."""
    weights = stored(name)["model"]

    def linear(states: torch.Tensor, part: str) -> torch.Tensor:
        return functional.linear(states, weights[f"{part}.weight"], weights[f"{part}.bias"])

    def norm(states: torch.Tensor, part: str) -> torch.Tensor:
        return functional.layer_norm(states, (128,), weights[f"{part}.weight"], weights[f"{part}.bias"])

    def heads(states: torch.Tensor) -> torch.Tensor:
        return states.view(len(tokens), 8, 16).transpose(0, 1)

    encoder = "decoder.sentence_encoder"
    letters = weights[f"{encoder}.embed_tokens.weight"]
    with torch.no_grad(), one_thread():
        states = letters[tokens] + weights[f"{encoder}.embed_positions.weight"][2 : 2 + len(tokens)]
        states = norm(states, f"{encoder}.emb_layer_norm")
        for number in range(4):
            layer = f"{encoder}.layers.{number}"
            query, key, value = (heads(linear(states, f"{layer}.self_attn.{part}_proj")) for part in "qkv")
            mixed = ((query @ key.transpose(1, 2) / math.sqrt(16)).softmax(-1) @ value).transpose(0, 1)
            states = norm(
                states + linear(mixed.reshape(len(tokens), 128), f"{layer}.self_attn.out_proj"),
                f"{layer}.self_attn_layer_norm",
            )
            wide = functional.gelu(linear(states, f"{layer}.fc1"))
            states = norm(states + linear(wide, f"{layer}.fc2"), f"{layer}.final_layer_norm")
        logits = norm(functional.gelu(linear(states, "decoder.lm_head.dense")), "decoder.lm_head.layer_norm")
        return states, linear(logits, "decoder.lm_head")


def tokens_of(sequence: str) -> list[int]:
    """The authors' tokens: start, residues by alphabet with X as the mask, end."""
    return [0, *(24 if residue == "X" else 4 + "ACDEFGHIKLMNPQRSTVWY".index(residue) for residue in sequence), 2]


def test_the_weights_lie_in_their_package_which_is_not_imported() -> None:
    # The wheel on the package index is immutable, and so are these, until the conversion changes.
    digests = {
        "sapiens_vh": "2dda621aed24ed0089509f96860b15df90fab41408b4937341a7d2ac06287beb",
        "sapiens_vl": "2ba6f58b0e208ca3430ff7055933a555f86f911b66f58cdc71d48b1040153427",
    }
    for name, digest in digests.items():
        checkpoint = locate(name, "1.0.2")
        assert checkpoint.files.keys() == {f"checkpoint_{name[-2:]}.pt", "dict.txt"}
        assert (checkpoint.layers, checkpoint.dim, checkpoint.digest) == (4, 128, digest)
    assert not {"sapiens", "fairseq"} & sys.modules.keys()


def test_the_version_of_the_conversion_is_part_of_the_digest(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = locate(name).digest
    monkeypatch.setattr(sapiens, "VERSION", 2)
    assert locate(name).digest != before


@pytest.mark.parametrize("sequence", ["A", "AXC", ALPHABET, HEAVY, LIGHT, "W" * 126])
def test_an_embedding_equals_a_plain_computation(extractors: dict[str, Extractor], name: str, sequence: str) -> None:
    states, _ = plain(name, tokens_of(sequence))
    (found,) = extractors[name].residues([sequence])
    np.testing.assert_allclose(found, states[1:-1].numpy(), atol=1e-5, rtol=1e-4)
    row = extractors[name].embed([sequence])[0]
    np.testing.assert_allclose(row, states[1:-1].mean(0).numpy(), atol=1e-5, rtol=1e-4)


def test_masked_marginals_equal_a_plain_computation(extractors: dict[str, Extractor], name: str) -> None:
    chain = CHAINS[name]
    places = [0, 21, 50, len(chain) - 1]
    found = masked_log_probabilities(extractors[name], chain, places)
    for row, place in zip(found, places, strict=True):
        hidden = chain[:place] + "X" + chain[place + 1 :]
        _, logits = plain(name, tokens_of(hidden))
        expected = logits[1 + place].double().log_softmax(0)[tokens_of(AMINO_ACIDS)[1:-1]]
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


def test_most_hidden_residues_of_a_clinical_antibody_are_recovered(
    extractors: dict[str, Extractor], published: Path, name: str
) -> None:
    """Of all 137 it is 82.6 % of heavy and 86.1 % of light chains' residues."""
    data = load_dataset("jain", chain="heavy" if name == "sapiens_vh" else "light")
    right = total = 0
    for sequence in data.sequences[:3]:
        chain = sequence[: LONGEST[name]]
        best = masked_log_probabilities(extractors[name], chain, range(len(chain))).argmax(1)
        right += sum(AMINO_ACIDS[i] == residue for i, residue in zip(best, chain, strict=True))
        total += len(chain)
    assert right / total > 0.75


def test_the_longest_sequence_runs_and_one_residue_more_is_refused(extractors: dict[str, Extractor], name: str) -> None:
    most = LONGEST[name]
    assert extractors[name].embed(["W" * most]).shape == (1, 128)
    with pytest.raises(SequenceError, match=f"{most + 1} residues, at most {most} are allowed"):
        extractors[name].embed(["W" * (most + 1)])


def test_every_length_has_the_same_bits_alone_and_in_company(extractors: dict[str, Extractor], name: str) -> None:
    generator = np.random.default_rng(0)
    groups = [
        ["".join(generator.choice(list(ALPHABET), length)) for _ in range(max(2, 80 // length))]
        for length in range(1, LONGEST[name] + 1)
    ]
    together = iter(extractors[name].embed([sequence for group in groups for sequence in group]))
    alone = extractors[name].embed([group[-1] for group in groups])
    last = [[next(together) for _ in group][-1] for group in groups]
    assert np.array_equal(np.stack(last), alone)
    workers = Extractor(name, RuntimeSpec(device="cpu", workers=3, batch_tokens=500))
    assert np.array_equal(workers.embed([group[-1] for group in groups[::-1]]), alone[::-1])


@pytest.mark.parametrize("layer", [0, 2])
def test_a_model_cut_at_a_layer_has_the_bits_of_the_whole_one(name: str, layer: int) -> None:
    spec = ExtractorSpec(model=name)
    inner, last = embed_views([CHAINS[name]], spec.views([layer, 4]))
    cut = Extractor(spec.model_copy(update={"layer": layer}), RuntimeSpec(device="cpu"))
    assert np.array_equal(cut.embed([CHAINS[name]]), inner)
    assert not np.allclose(inner, last, atol=1e-2)


@pytest.mark.skipif(not exact(), reason="this machine does not multiply int8 exactly")
def test_int8_is_near_which_needs_rewritten_layers(extractors: dict[str, Extractor], name: str) -> None:
    sequences = mutants(CHAINS[name], 4, 5)
    full = extractors[name].embed(sequences)
    low = Extractor(ExtractorSpec(model=name, precision="int8"), RuntimeSpec(device="cpu")).embed(sequences)
    cosines = (low * full).sum(1) / np.linalg.norm(low, axis=1) / np.linalg.norm(full, axis=1)
    assert cosines.min() > 0.995
    assert not np.array_equal(low, full)


def test_a_store_holds_rows_by_digest_and_answers_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pinned = ExtractorSpec(model=name, revision="1.0.2").pin()
    rows = embed([CHAINS[name]], name, tmp_path)
    monkeypatch.setattr(checkpoints_module.importlib.util, "find_spec", lambda _: None)
    assert np.array_equal(embed([CHAINS[name]], pinned, tmp_path), rows)
    with pytest.raises(CheckpointError, match="a package that is not installed"):
        embed([NANOBODY], pinned, tmp_path)


def test_a_model_trained_on_it_is_saved_by_its_digest_and_predicts_the_same(tmp_path: Path, name: str) -> None:
    chain, fragment = ("heavy", "VH") if name == "sapiens_vh" else ("light", "VL")
    sequences = mutants(CHAINS[name], 24, 8)
    data = Dataset(
        [f"m{i}" for i in range(24)],
        heavy=sequences if chain == "heavy" else None,
        light=sequences if chain == "light" else None,
        label=np.array([sequence.count("R") > CHAINS[name].count("R") for sequence in sequences], int),
        chain=chain,
        fragment=fragment,
    )
    trainer = Trainer(name, "logreg", store=tmp_path / "store", runtime=RuntimeSpec(workers=1))
    predictor = trainer.fit(data, check=False)
    predictor.save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model", store=tmp_path / "other")
    assert loaded.spec.extractor.digest == locate(name).digest
    assert np.array_equal(loaded.predict_proba(data.sequences), predictor.predict_proba(data.sequences))


def test_chains_of_a_pair_are_not_joined(name: str) -> None:
    with pytest.raises(CheckpointError, match="roberta, read one chain; embed each chain separately"):
        Extractor(ExtractorSpec(model=name, pairs="joined")).embed([("EVQL", "DIQM")])


# --- packages that are missing, others, damaged ---------------------------------------------------------------------


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(checkpoints_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match=r"run: pip install --no-deps sapiens==1\.0\.2$"):
        locate(name)


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, weights: bool) -> None:
    """Put a package of that name and version in front of the installed one."""
    package = folder / "sapiens"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('never imported')")
    if weights:
        shutil.copytree(locate("sapiens_vh").files["dict.txt"].parent, package / "models" / "v1")
    about = folder / f"sapiens-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sapiens\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(folder))


def test_a_later_version_without_weights_names_the_command_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    installed(tmp_path, monkeypatch, "1.1.0", weights=False)
    command = r"run: pip install --no-deps sapiens==1\.0\.2$"
    with pytest.raises(CheckpointError, match=rf"installed as 1\.1\.0, not 1\.0\.2; {command}"):
        locate(name, "1.0.2")
    with pytest.raises(
        CheckpointError, match=rf"sapiens 1\.1\.0 holds no models/v1/\S+, which '{name}' needs; {command}"
    ):
        locate(name)


def test_a_folder_that_only_has_the_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "sapiens").mkdir()
    (tmp_path / "sapiens" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def absent(package: str) -> str:
        raise checkpoints_module.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(checkpoints_module.importlib.metadata, "version", absent)
    with pytest.raises(CheckpointError, match="a package that is not installed"):
        locate(name)


@pytest.fixture
def mine(tmp_path: Path) -> Checkpoint:
    """A copy of the heavy chain's files that a test may damage."""
    checkpoint = locate("sapiens_vh")
    copies = {name: Path(shutil.copy(path, tmp_path / name)) for name, path in checkpoint.files.items()}
    return replace(checkpoint, files=copies)


def read(checkpoint: Checkpoint) -> None:
    with checkpoint.staged() as folder:
        assert json.loads((folder / "config.json").read_text()) == checkpoint.config


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def _without(content: dict[str, Any], path: Path) -> Any:
    del content["model"]["decoder.lm_head.bias"]


def _further(content: dict[str, Any], path: Path) -> Any:
    content["model"]["decoder.sentence_encoder.layers.4.fc1.bias"] = torch.zeros(256)


def _other_shape(content: dict[str, Any], path: Path) -> Any:
    content["model"]["decoder.sentence_encoder.embed_positions.weight"] = torch.zeros(130, 128)


def _half(content: dict[str, Any], path: Path) -> Any:
    content["model"]["decoder.lm_head.bias"] = torch.zeros(25, dtype=torch.float16)


def _no_tensor(content: dict[str, Any], path: Path) -> Any:
    content["model"]["decoder.lm_head.bias"] = [0.0] * 25


def _untied(content: dict[str, Any], path: Path) -> Any:
    content["model"]["decoder.lm_head.weight"] = content["model"]["decoder.lm_head.weight"] + 1


def _other_heads(content: dict[str, Any], path: Path) -> Any:
    content["args"].encoder_attention_heads = 4


def _other_activation(content: dict[str, Any], path: Path) -> Any:
    content["args"].activation_fn = "relu"


def _no_settings(content: dict[str, Any], path: Path) -> Any:
    content["args"] = None


def _code(content: dict[str, Any], path: Path) -> Any:
    content["extra_state"] = _Evil(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without, "holds other weights than Sapiens has"),
        (_further, "holds other weights than Sapiens has"),
        (_other_shape, r"embed_positions.weight is not float32 of shape \(146, 128\)"),
        (_half, "lm_head.bias is not float32"),
        (_no_tensor, "lm_head.bias is not float32"),
        (_untied, "does not share the weights of the embeddings"),
        (_other_heads, "encoder_attention_heads is 4, not 8"),
        (_other_activation, "activation_fn is 'relu', not 'gelu'"),
        (_no_settings, "holds no settings"),
        (_code, "its weights cannot be loaded"),
    ],
)
def test_other_weights_are_an_error_and_no_code_runs(
    mine: Checkpoint, tmp_path: Path, damage: Any, message: str
) -> None:
    read(mine)
    content = stored("sapiens_vh")
    damage(content, tmp_path / "ran")
    torch.save(content, mine.files["checkpoint_vh.pt"])
    with pytest.raises(CheckpointError, match=message):
        read(mine)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"PK\x03\x04" + b"\x00" * 100, b"\x80\x02}."])
def test_a_damaged_file_of_weights_is_an_error(mine: Checkpoint, content: bytes) -> None:
    mine.files["checkpoint_vh.pt"].write_bytes(content)
    with pytest.raises(CheckpointError, match="its weights cannot be loaded"):
        read(mine)


def test_a_file_of_weights_that_is_too_large_is_not_read(mine: Checkpoint) -> None:
    with mine.files["checkpoint_vh.pt"].open("r+b") as file:
        file.truncate(10**8)
    with pytest.raises(CheckpointError, match="is too large"):
        read(mine)


@pytest.mark.parametrize(
    "content", [b"", b"A 1\n", b"\xff", b"\n".join(f"{one} 1".encode() for one in f"{AMINO_ACIDS}A"), b"A" * 10**6]
)
def test_another_vocabulary_is_an_error(mine: Checkpoint, content: bytes) -> None:
    assert vocabulary_of(mine).encode(["AXY"])[0].tolist() == [0, 4, 24, 23, 2]
    mine.files["dict.txt"].write_bytes(content)
    with pytest.raises(CheckpointError, match="its vocabulary cannot be read"):
        vocabulary_of(mine)
