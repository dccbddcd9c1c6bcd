"""AbLang2 with tiny weights in its layout, beside its own package."""

import importlib.metadata
import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import needed
from antibody_esm import (
    CheckpointError,
    Dataset,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    Predictor,
    RuntimeSpec,
    Trainer,
    embed,
    mutational_scan,
    residue_contributions,
)
from antibody_esm.cli.app import app
from antibody_esm.cli.train import app as train_app
from antibody_esm.licences import VARIABLE, WEIGHTS
from antibody_esm.plm.ablang2 import PairedFiles
from antibody_esm.plm.checkpoints import Checkpoint, locate
from antibody_esm.plm.masked import masked_log_probabilities
from antibody_esm.plm.vocabulary import vocabulary_of
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, mutants
from peers import one_thread

CPU = RuntimeSpec(device="cpu", workers=1)
PAIR = (HEAVY, LIGHT)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not needed.ablang2():
        needed.leave("ablang2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint("ablang2", tmp_path_factory.mktemp("ablang2"), heads=4)


@pytest.fixture(scope="module")
def extractor(folder: Path) -> Extractor:
    return Extractor(ExtractorSpec(model=str(folder), pairs="joined"), CPU)


@pytest.fixture(scope="module")
def package(folder: Path) -> Any:
    """The authors' own object with these weights, made without its download."""
    from ablang2.models.ablang2.ablang import AbLang
    from ablang2.models.ablang2.tokenizers import ABtokenizer
    from ablang2.pretrained import pretrained

    read = Namespace(**json.loads((folder / "hparams.json").read_text()))
    sizes = (read.vocab_size, read.hidden_embed_size, read.n_attn_heads, read.n_encoder_blocks)
    network = AbLang(*sizes, read.pad_tkn, read.mask_tkn, read.layer_norm_eps, read.a_fn)
    network.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    whole = pretrained.__new__(pretrained)
    whole.AbLang, whole.AbRep, whole.tokenizer = network.eval(), network.AbRep, ABtokenizer()
    whole.used_device = torch.device("cpu")
    return whole


@pytest.fixture
def in_package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package in front of the installed one, with the weights where its own download puts them."""
    spec = find_spec("ablang2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    source = Path(spec.submodule_search_locations[0])
    shutil.copytree(source, tmp_path / "ablang2", ignore=shutil.ignore_patterns("model-weights-*", "__pycache__"))
    shutil.copytree(next(source.parent.glob("ablang2-*.dist-info")), tmp_path / "ablang2-0.2.1.dist-info")
    weights = tmp_path / "ablang2" / "model-weights-ablang2-paired"
    shutil.copytree(folder, weights)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ablang2", raising=False)
    return weights


def text(heavy: str, light: str) -> str:
    """A sequence or pair as the authors write it."""
    return f"<{heavy}>|<{light}>".replace("<>", "")


INPUTS: list[tuple[str | tuple[str, str], str]] = [
    (HEAVY, text(HEAVY, "")),
    ("EVXQLW", text("EVXQLW", "")),
    (PAIR, text(*PAIR)),
    (("EVXQ", "DX"), text("EVXQ", "DX")),
    (("A", LIGHT), text("A", LIGHT)),
]


@pytest.mark.parametrize(("sequence", "written"), INPUTS)
def test_vectors_are_those_of_the_package(extractor: Extractor, package: Any, sequence: Any, written: str) -> None:
    with one_thread():
        (states,) = package.rescoding([written])
        (coding,) = package.seqcoding([written])
    residues = [place for place, letter in enumerate(written) if letter not in "<>|"]
    (own,) = extractor.residues([sequence])
    np.testing.assert_allclose(own, states[residues], atol=1e-5)
    np.testing.assert_allclose(extractor.embed([sequence])[0], states[residues].mean(0), atol=1e-5)
    included = Extractor(extractor.spec.model_copy(update={"special_tokens": "include"}), CPU)
    np.testing.assert_allclose(included.embed([sequence])[0], coding, atol=1e-5)
    first = Extractor(extractor.spec.model_copy(update={"pooling": "cls"}), CPU)
    np.testing.assert_allclose(first.embed([sequence])[0], states[0], atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
def test_inner_layers_are_those_of_the_package(extractor: Extractor, package: Any, layer: int) -> None:
    tokens = package.tokenizer([text(*PAIR)], pad=True, w_extra_tkns=False)
    with torch.no_grad(), one_thread():
        states = package.AbRep(tokens, return_rep_layers=[layer]).many_hidden_states[layer][0].numpy()
    residues = [place for place, letter in enumerate(text(*PAIR)) if letter not in "<>|"]
    cut = Extractor(extractor.spec.model_copy(update={"layer": layer}), CPU)
    np.testing.assert_allclose(cut.embed([PAIR])[0], states[residues].mean(0), atol=1e-5)


def test_masked_marginals_are_those_of_the_package(extractor: Extractor, package: Any) -> None:
    written, places = text(*PAIR), [0, 50, len(HEAVY) + 1, len(HEAVY) + 20]
    found = masked_log_probabilities(extractor, "|".join(PAIR), places)
    letters = package.tokenizer([AMINO_ACIDS], w_extra_tkns=False)[0]
    for row, place in zip(found, places, strict=True):
        at = 1 + place + (2 if place > len(HEAVY) else 0)
        (logits,) = package.likelihood([f"{written[:at]}*{written[at + 1 :]}"])
        expected = torch.from_numpy(logits[at]).double().log_softmax(0)[letters]
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_a_region_of_a_pair_has_the_residues_of_both_chains(extractor: Extractor) -> None:
    (states,) = extractor.residues([PAIR])
    loops = [HEAVY.index("SRWGGDGFYAMDY"), len(HEAVY) + LIGHT.index("QQHYTTPPT")]
    of_loops = np.concatenate([states[start : start + length] for start, length in zip(loops, (13, 9), strict=True)])
    region = Extractor(extractor.spec.model_copy(update={"region": "cdr3"}), CPU).embed([PAIR])[0]
    np.testing.assert_allclose(region, of_loops.mean(0), atol=1e-5)


def test_bits_are_the_same_alone_in_company_and_beside_pairs(extractor: Extractor) -> None:
    generator = np.random.default_rng(0)

    def drawn(length: int) -> str:
        return "".join(generator.choice(list(ALPHABET), length))

    for length in (1, 2, 5, 9, 16, 17, 33, 64):
        # A pair of a total of `length` residues has two tokens more than a single chain of as many.
        group: list[Any] = [drawn(length + 2) for _ in range(max(2, 60 // length))]
        group += [(drawn(1 + i % length), drawn(length - i % length)) for i in range(3)] if length > 1 else []
        together = extractor.embed(group)
        assert np.array_equal(extractor.embed(group[-1:])[0], together[-1]), length
        assert np.array_equal(extractor.embed(group[::-1]), together[::-1]), length
    assert np.array_equal(
        Extractor(extractor.spec, RuntimeSpec(device="cpu", workers=3, batch_tokens=100)).embed(group), together
    )


def test_a_long_chain_runs_and_truncation_cuts_it(folder: Path, extractor: Extractor) -> None:
    assert extractor.embed(["W" * 600]).shape == (1, 32)
    cut = Extractor(ExtractorSpec(model=str(folder), max_length=20, truncation=True), CPU)
    assert np.array_equal(cut.embed([HEAVY]), extractor.embed([HEAVY[:20]]))


def test_random_weights_are_those_of_the_seed(folder: Path) -> None:
    rows = [
        Extractor(ExtractorSpec(model=str(folder), random_weights=seed), CPU).embed([HEAVY])[0] for seed in (0, 0, 1)
    ]
    assert np.array_equal(rows[0], rows[1])
    assert not np.allclose(rows[0], rows[2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "bfloat16"}, "computes positions in the format of the weights: precision='float32'"),
        ({"precision": "float16"}, "computes positions in the format of the weights"),
        ({"precision": "int8"}, "cannot run in int8"),
    ],
)
def test_other_precisions_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Extractor(ExtractorSpec(model=str(folder), **changes), CPU).embed([HEAVY])


def test_a_model_trained_on_it_predicts_the_same_after_loading_and_in_an_ensemble(
    folder: Path, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    heavy, light = mutants(HEAVY, 24, 8), mutants(LIGHT, 24, 8)
    labels = np.array([sequence.count("R") > HEAVY.count("R") for sequence in heavy], int)
    data = Dataset(
        [f"m{i}" for i in range(24)], heavy=heavy, light=light, label=labels, chain="paired", fragment="VH+VL"
    )
    joined = ExtractorSpec(model=str(folder), pairs="joined")
    both = EnsembleSpec(members=(joined, ExtractorSpec(model=str(checkpoints["bert"]))), combine="concat")
    for spec in (joined, both):
        trainer = Trainer(spec, "logreg", store=tmp_path / "store", runtime=CPU)
        predictor = trainer.fit(data, check=False)
        predictor.save(tmp_path / type(spec).__name__)
        loaded = Predictor.load(tmp_path / type(spec).__name__)
        assert np.array_equal(loaded.predict_proba(data), predictor.predict_proba(data))


def test_pairs_are_trained_explained_and_scanned_from_the_shell_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heavy, light = mutants(HEAVY, 20, 8), mutants(LIGHT, 20, 8)
    labels = [int(sequence.count("R") > HEAVY.count("R")) for sequence in heavy]
    names = [f"m{i}" for i in range(20)]
    pd.DataFrame({"id": names, "heavy": heavy, "light": light, "label": labels}).to_csv("ours.csv", index=False)
    model = [f"extractor.model={folder}", "extractor.pairs=joined", "classifier=logreg", "random_seeds=0"]
    done = CliRunner().invoke(train_app, ["data=ours.csv", "data.chain=paired", "split.folds=2", "output=out", *model])
    assert done.exit_code == 0, done.output
    predictor = Predictor.load("out/model")
    (probability,) = predictor.predict_proba([(heavy[0], light[0])])[:, 1]
    shares = residue_contributions(predictor, (heavy[0], light[0]))
    logit = np.log(probability / (1 - probability))
    assert len(shares.contributions) == len(heavy[0]) + len(light[0])
    assert shares.contributions.sum() + shares.intercept == pytest.approx(logit, abs=1e-4)
    scan = mutational_scan(predictor, (heavy[0], light[0]), "L:CDR3", check=False)
    assert len(scan.to_frame()) >= 19
    done = CliRunner().invoke(app, ["predict", "ours.csv", "-m", "out/model", "-o", "predicted.csv"])
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv("predicted.csv")) == 20


# --- weights: in the package, in a folder, missing, others ----------------------------------------------------------


def test_weights_in_the_package_have_the_vectors_of_the_folder(
    in_package: Path, extractor: Extractor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "commercial")
    named = locate("ablang2", "0.2.1")
    assert named.digest == locate(str(folder)).digest
    assert (named.layers, named.dim) == (2, 32)
    preset = Extractor("ablang2", CPU)
    assert preset.spec.pairs == "joined"
    assert np.array_equal(preset.embed([PAIR, HEAVY]), extractor.embed([PAIR, HEAVY]))
    assert WEIGHTS["ablang2"].commercial
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(CheckpointError, match="'AbLang2' is written 'ablang2'"):
        locate("AbLang2")


def test_a_light_chain_is_written_on_the_light_side(in_package: Path, package: Any) -> None:
    light = Extractor(ExtractorSpec(model="ablang2_vl", pairs="joined"), CPU)
    assert light.checkpoint.digest != locate("ablang2").digest
    (states,) = package.rescoding([text("", LIGHT)])
    np.testing.assert_allclose(light.embed([LIGHT])[0], states[2:-1].mean(0), atol=1e-5)
    assert np.array_equal(light.embed([PAIR]), Extractor("ablang2", CPU).embed([PAIR]))


def test_a_package_without_weights_says_where_they_belong_and_downloads_nothing(in_package: Path) -> None:
    shutil.rmtree(in_package)
    with pytest.raises(CheckpointError, match=r"holds no model-weights-ablang2-paired/.*unpack https://zenodo\.org.*"):
        locate("ablang2")
    assert not in_package.exists()


def test_a_missing_package_or_another_version_names_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = embed([HEAVY], ExtractorSpec(model=str(folder)), tmp_path)
    pinned = ExtractorSpec(model=str(folder)).pin()
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.3.0")
    with pytest.raises(CheckpointError, match=r"installed as 0\.3\.0, not 0\.2\.1.*\.\[ablang2\]"):
        locate("ablang2", "0.2.1")
    with pytest.raises(
        CheckpointError, match=r'as 0\.3\.0, not 0\.2\.1; run: pip install "\.\[ablang2\]" in a checkout'
    ):
        Extractor(folder).embed([HEAVY])
    assert np.array_equal(embed([HEAVY], pinned, tmp_path), rows), "stored rows need no package"


@pytest.fixture
def mine(folder: Path, tmp_path: Path) -> Checkpoint:
    """A copy of the files that a test may damage."""
    return locate(str(shutil.copytree(folder, tmp_path / "mine")))


def read(checkpoint: Checkpoint) -> None:
    with checkpoint.staged() as staged:
        assert json.loads((staged / "config.json").read_text()) == checkpoint.config


class _Touching:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path, ...]]:
        return Path.touch, (self.path,)


def damaged(content: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    name, head = "AbRep.encoder_blocks.0.final_layer_norm.bias", "AbHead.weights"
    yield {key: value for key, value in content.items() if key != name}, "holds other weights than hparams.json"
    yield content | {"further": torch.zeros(1)}, "holds other weights than hparams.json"
    yield content | {name: torch.zeros(33)}, "is not float32 of shape"
    yield content | {name: torch.zeros(32).half()}, "is not float32 of shape"
    yield content | {name: [0.0] * 32}, "is not float32 of shape"
    yield content | {head: content[head] + 1}, "does not share the weights of the embeddings"


def test_other_weights_are_an_error_and_no_code_runs(mine: Checkpoint, tmp_path: Path) -> None:
    read(mine)
    path = mine.files["model.pt"]
    content = torch.load(path, weights_only=True)
    for changed, message in damaged(content):
        torch.save(changed, path)
        with pytest.raises(CheckpointError, match=message):
            read(mine)
    torch.save(content | {"further": _Touching(tmp_path / "ran")}, path)
    with pytest.raises(CheckpointError, match="they hold objects other than tensors"):
        read(mine)
    assert not (tmp_path / "ran").exists()
    for junk in (b"", b"PK\x03\x04" + b"\x00" * 100):
        path.write_bytes(junk)
        with pytest.raises(CheckpointError, match="its weights cannot be loaded"):
            read(mine)


@pytest.mark.parametrize(
    "changes",
    [
        *({"hidden_embed_size": 0}, {"hidden_embed_size": 10**9}, {"n_attn_heads": 3}, {"n_encoder_blocks": "2"}),
        *({"vocab_size": 27}, {"pad_tkn": 0}, {"mask_tkn": 0}, {"a_fn": "relu"}, {"layer_norm_eps": 0}),
    ],
    ids=str,
)
def test_other_settings_are_an_error(mine: Checkpoint, changes: dict[str, Any]) -> None:
    path = mine.files["hparams.json"]
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match="its configuration cannot be read: hparams.json has"):
        locate(mine.model).config  # noqa: B018


def test_every_changed_byte_and_the_chain_change_the_digest(mine: Checkpoint) -> None:
    digests = {mine.digest, Checkpoint(mine.model, None, mine.files, PairedFiles(light=True)).digest}
    for path in mine.files.values():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        digests.add(locate(mine.model).digest)
    assert len(digests) == 4


def test_the_table_gives_the_tokens_of_the_package(mine: Checkpoint, package: Any) -> None:
    vocabulary = vocabulary_of(mine, ExtractorSpec(model=mine.model, pairs="joined"))
    for sequence, written in INPUTS:
        joined = sequence if isinstance(sequence, str) else "|".join(sequence)
        (tokens,) = vocabulary.encode([joined])
        assert tokens.tolist() == package.tokenizer([written], w_extra_tkns=False)[0].tolist()
        assert vocabulary.length(joined) == len(tokens)
