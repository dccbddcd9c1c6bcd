"""Tiny checkpoints in the layouts of presets, by the keys and tokenizer files of their published repositories."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from antibody_esm import CheckpointError, Extractor, ExtractorSpec, RuntimeSpec, SequenceError
from antibody_esm.plm.int8 import exact
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.plm.vocabulary import vocabulary_of
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS
from chains import NANOBODY
from peers import one_thread

CPU = RuntimeSpec(device="cpu", workers=1)
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
ROBERTA = {
    **{"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "layer_norm_eps": 1e-12, "vocab_size": 25},
    **{"classifier_dropout": None, "position_embedding_type": "absolute", "use_cache": True},
}


def _saved(model: Any, folder: Path, **further: object) -> Path:
    """Save a model with random weights, and the keys of its published configuration."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | further))
    return folder


def vhhbert(folder: Path) -> Path:
    """RoBERTa with BERT's tokenizer: residues with spaces, X unknown."""
    config = transformers.RobertaConfig(**SIZE, **ROBERTA, max_position_embeddings=185, type_vocab_size=2)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *AMINO_ACIDS]
    _saved(transformers.RobertaForMaskedLM(config), folder, **ROBERTA, torch_dtype="float32")
    (folder / "vocab.txt").write_text("\n".join(tokens))
    names = {
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    settings = {"do_lower_case": False, "tokenizer_class": "BertTokenizer", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text(json.dumps(names))
    return folder


def nanobert(folder: Path) -> Path:
    """RoBERTa with pickled weights, an empty list of merges, no tokenizer_config.json, and no X."""
    config = transformers.RobertaConfig(**SIZE, **ROBERTA, max_position_embeddings=202, type_vocab_size=1)
    _saved(transformers.RobertaForMaskedLM(config), folder, **ROBERTA, torch_dtype="float32")
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *AMINO_ACIDS]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def antiberta2_cssp(folder: Path) -> Path:
    """RoFormer without a head."""
    further = {"embedding_size": 32, "max_position_embeddings": 256, "vocab_size": 30, "rotary_value": False}
    config = transformers.RoFormerConfig(**SIZE, **further, pad_token_id=0, type_vocab_size=2, layer_norm_eps=1e-12)
    _saved(transformers.RoFormerModel(config), folder, torch_dtype="float32", architectures=["RoFormerModel"])
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *AMINO_ACIDS, "X", "-", "Ḣ", "Ḷ", "*"]
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": False, "tokenizer_class": "RoFormerTokenizer", "model_max_length": 256})
    )
    return folder


def esmc(folder: Path) -> Path:
    """ESM-C with its head, and a key that names code of its own, which is not read."""
    config = transformers.EsmcConfig(**SIZE, vocab_size=64, max_position_embeddings=2048)
    own = {"AutoConfig": "configuration_esmc.ESMCConfig", "AutoModel": "modeling_esmc.ESMCModel"}
    _saved(transformers.EsmcForMaskedLM(config), folder, auto_map=own)
    transformers.EsmcTokenizer().save_pretrained(folder)
    return folder


LAYOUTS: dict[str, tuple[Callable[[Path], Path], str, int, bool, bool]] = {
    "vhhbert": (vhhbert, " ", 181, True, True),
    "nanobert": (nanobert, "", 198, True, True),
    "antiberta2_cssp": (antiberta2_cssp, " ", 254, False, False),
    "esmc": (esmc, "", 2046, True, False),
}
"""Function that writes it, text between residues, longest sequence; whether it has a head, and can run in int8."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: layout[0](tmp_path_factory.mktemp(name)) for name, layout in LAYOUTS.items()}


@pytest.fixture(params=LAYOUTS)
def name(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def extractor(name: str, written: dict[str, Path]) -> Extractor:
    return Extractor(written[name], CPU)


@pytest.fixture
def peer(name: str, written: dict[str, Path]) -> tuple[Any, Any]:
    """The model and the tokenizer, as transformers loads them."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(written[name])
    return transformers.AutoModel.from_pretrained(written[name]).eval(), tokenizer


def test_every_layer_is_that_of_transformers(name: str, extractor: Extractor, peer: tuple[Any, Any]) -> None:
    model, tokenizer = peer
    for sequence in (NANOBODY, "W", "EVQ"):
        tokens = torch.tensor([tokenizer(LAYOUTS[name][1].join(sequence))["input_ids"]])
        assert tokens.shape[1] == len(sequence) + 2
        assert vocabulary_of(extractor.checkpoint).encode([sequence]).tolist() == tokens.tolist()
        with torch.inference_mode(), one_thread():
            output = model(input_ids=tokens, output_hidden_states=True)
        for layer, states in enumerate((*output.hidden_states[:2], output.last_hidden_state)):
            inner = Extractor(extractor.spec.model_copy(update={"layer": layer}), CPU)
            expected = states[0, 1:-1].mean(0).numpy()
            np.testing.assert_allclose(inner.embed([sequence])[0], expected, atol=1e-5, rtol=1e-4)


def test_bits_are_the_same_alone_and_in_company_up_to_the_longest(name: str, extractor: Extractor) -> None:
    generator = np.random.default_rng(0)
    longest = LAYOUTS[name][2]
    assert extractor.max_length == longest
    for length in (1, 2, 9, 16, 33, 120, min(longest, 254)):
        group = ["".join(generator.choice(list(AMINO_ACIDS), length)) for _ in range(max(2, 70 // length))]
        together = extractor.embed(group)
        assert np.array_equal(extractor.embed(group[-1:])[0], together[-1]), length
        assert np.array_equal(extractor.embed(group[::-1]), together[::-1]), length
    with pytest.raises(SequenceError, match=f"{longest + 1} residues, at most {longest} are allowed"):
        extractor.embed(["W" * (longest + 1)])
    cut = Extractor(ExtractorSpec(model=extractor.spec.model, truncation=True, max_length=9), CPU)
    assert np.array_equal(cut.embed([NANOBODY]), extractor.embed([NANOBODY[:9]]))


def test_x_is_read_or_its_sequences_are_refused(name: str, extractor: Extractor) -> None:
    if name == "nanobert":
        with pytest.raises(SequenceError, match="'X', for which the model has no token"):
            extractor.embed([ALPHABET])
    else:
        assert extractor.embed([ALPHABET]).shape == (1, 32)


def test_vhhberts_list_of_tokens_is_read_without_the_name_of_its_class(
    written: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(written["vhhbert"], tmp_path / "mine"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["tokenizer_class"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    expected = Extractor(written["vhhbert"], CPU).embed([ALPHABET])
    assert np.array_equal(Extractor(folder, CPU).embed([ALPHABET]), expected)


def test_masked_marginals_need_a_head(name: str, extractor: Extractor, written: dict[str, Path]) -> None:
    if not LAYOUTS[name][3]:
        with pytest.raises(NoHead, match="holds no language-model head"):
            masked_log_probabilities(extractor, "EVQLV", [2])
        return
    model = transformers.AutoModelForMaskedLM.from_pretrained(written[name]).eval()
    vocabulary = vocabulary_of(extractor.checkpoint)
    assert vocabulary.mask is not None
    (tokens,) = torch.from_numpy(vocabulary.encode(["EVQLV"]))
    tokens[3] = vocabulary.mask
    with torch.inference_mode(), one_thread():
        expected = model(input_ids=tokens[None]).logits[0, 3].double().log_softmax(0)
    residues = vocabulary.ids[[ord(residue) for residue in AMINO_ACIDS]]
    found = masked_log_probabilities(extractor, "EVQLV", [2])[0]
    np.testing.assert_allclose(found, expected[residues].numpy(), atol=1e-5)


@pytest.mark.skipif(not exact(), reason="this machine does not multiply int8 exactly")
def test_int8_is_near_or_refused(name: str, extractor: Extractor) -> None:
    low = Extractor(extractor.spec.model_copy(update={"precision": "int8"}), CPU)
    if not LAYOUTS[name][4]:
        with pytest.raises(CheckpointError, match="cannot run in int8"):
            low.embed([NANOBODY])
        return
    rows, full = low.embed([NANOBODY]), extractor.embed([NANOBODY])
    assert float((rows * full).sum() / np.linalg.norm(rows) / np.linalg.norm(full)) > 0.995


def test_files_of_esm_c_before_its_port_are_refused(written: dict[str, Path], tmp_path: Path) -> None:
    """Its authors' own package names sizes otherwise, for which transformers would take those of its 6B model."""
    folder = Path(shutil.copytree(written["esmc"], tmp_path / "mine"))
    earlier = {"model_type": "esmc", "d_model": 32, "n_heads": 2, "n_layers": 2, "vocab_size": 64, "pad_token_id": 1}
    (folder / "config.json").write_text(json.dumps(earlier))
    for random_weights in (None, 0):  # either would fill the memory
        extractor = Extractor(ExtractorSpec(model=str(folder), random_weights=random_weights), CPU)
        with pytest.raises(CheckpointError, match="no hidden_size, for which transformers would take 2560; it has 32"):
            extractor.embed([NANOBODY])
    (folder / "config.json").write_text(json.dumps(earlier | {"hidden_size": 32}))
    with pytest.raises(CheckpointError, match="no num_hidden_layers, for which transformers would take 80; it has 2"):
        Extractor(folder, CPU).embed([NANOBODY])
