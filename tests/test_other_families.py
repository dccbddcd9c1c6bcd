"""Families without a kind in `testing`: embedded as transformers embeds them, or refused with the reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from antibody_esm import CheckpointError, Extractor, RuntimeSpec, SequenceError
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import max_length
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.plm.vocabulary import vocabulary_of
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS
from antibody_esm.testing import tiny_checkpoint
from effort import STRESS
from peers import one_thread

SPECIAL = ("<pad>", "</s>", "<unk>")


def write_tokenizer(folder: Path, *, ends: bool = False, letters: str = ALPHABET, unknown: bool = False) -> None:
    """Write a tokenizer of these residues, with an end token or none.

    Its model fails at any other letter, whether or not the configuration names an unknown token.
    """
    tokens = [*SPECIAL, *letters]
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<none>"))  # noqa: S106  no password
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens(list(SPECIAL))
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "</s>"}
    settings |= {"unk_token": "<unk>"} if unknown else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "gpt_bigcode": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "openai-gpt": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "ctrl": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40, "dff": 64},
    "codegen": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40, "rotary_dim": 8},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40, "rotary_dim": 8},
    "gpt_neox": {"max_position_embeddings": 40, "intermediate_size": 64},
    "llama": {"max_position_embeddings": 40, "intermediate_size": 64},
    "mamba": {"state_size": 4},
    "fnet": {"max_position_embeddings": 40, "intermediate_size": 64},
    "big_bird": {"max_position_embeddings": 40, "intermediate_size": 64, "attention_type": "original_full"},
    "mt5": {"d_model": 32, "d_kv": 20, "d_ff": 64, "num_layers": 2, "num_heads": 2},
    "umt5": {"d_model": 32, "d_kv": 20, "d_ff": 64, "num_layers": 2, "num_heads": 2},
}
"""Sizes of a tiny model by its type."""
LIMITED = {kind for kind, size in SIZES.items() if "n_positions" in size or "max_position_embeddings" in size}


def model_of(kind: str, **further: Any) -> Any:
    """A tiny model of a type, saved as its authors would: with a decoder where it has one."""
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2} | SIZES.get(kind, {}) | further
    if "n_embd" in size or "d_model" in size or kind == "mamba":
        size = {name: value for name, value in size.items() if name != "num_attention_heads"}
    if "n_embd" in size or "d_model" in size:
        size = {name: value for name, value in size.items() if name not in ("hidden_size", "num_hidden_layers")}
    config = transformers.CONFIG_MAPPING[kind](vocab_size=32, pad_token_id=0, **size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config)
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return model.eval()


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Path, Any]]:
    return {}


@pytest.fixture(params=SIZES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def both(
    kind: str, made: dict[str, tuple[Path, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Extractor, Any]:
    """An extractor, and the encoder that transformers makes of the same files."""
    if kind not in made:
        folder = tmp_path_factory.mktemp(kind)
        model = model_of(kind)
        model.save_pretrained(folder)
        write_tokenizer(folder, ends=kind in ("mt5", "umt5", "fnet"))
        made[kind] = folder, model.encoder if kind in ("mt5", "umt5") else model
    folder, model = made[kind]
    return Extractor(folder, RuntimeSpec(device="cpu")), model


def test_an_embedding_equals_a_plain_computation(both: tuple[Extractor, Any]) -> None:
    extractor, model = both
    vocabulary = vocabulary_of(extractor.checkpoint)
    sequences = ["EVQLVXSGG", "QVQ", "EVQLVESGG", "W"]
    for row, sequence in zip(extractor.embed(sequences), sequences, strict=True):
        (tokens,) = vocabulary.encode([sequence])
        with torch.no_grad(), one_thread():
            states = model(input_ids=torch.from_numpy(tokens)[None]).last_hidden_state[0]
        expected = states[: len(sequence)].mean(0).numpy()
        np.testing.assert_allclose(row, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_every_layer_equals_that_of_a_plain_computation(both: tuple[Extractor, Any], layer: int) -> None:
    extractor, model = both
    vocabulary = vocabulary_of(extractor.checkpoint)
    (tokens,) = vocabulary.encode(["EVQLVXSGG"])
    with torch.no_grad(), one_thread():
        states = model(input_ids=torch.from_numpy(tokens)[None], output_hidden_states=True).hidden_states[layer][0]
    other = Extractor(extractor.spec.model_copy(update={"layer": layer}), extractor.runtime)
    expected = states[:9].mean(0).numpy()
    np.testing.assert_allclose(other.embed(["EVQLVXSGG"])[0], expected, atol=1e-5, rtol=1e-4)


def test_bits_are_the_same_alone_and_in_company(both: tuple[Extractor, Any]) -> None:
    extractor, _ = both
    generator = np.random.default_rng(0)
    for length in range(1, 38) if STRESS else (*range(1, 6), 8, 9, 16, 17, 32, 37):
        group = ["".join(generator.choice(list(ALPHABET), length)) for _ in range(max(3, 80 // length))]
        together = extractor.embed(group)
        assert np.array_equal(extractor.embed(group[-1:])[0], together[-1]), length
        assert np.array_equal(extractor.embed(group[::-1]), together[::-1]), length


def test_the_longest_sequence_runs_and_one_residue_more_is_refused(both: tuple[Extractor, Any], kind: str) -> None:
    extractor, _ = both
    if kind not in LIMITED:
        assert extractor.embed(["W" * 300]).shape == (1, 32)
        return
    assert extractor.max_length == 38
    assert extractor.embed(["W" * 38]).shape == (1, 32)
    with pytest.raises(SequenceError, match="39 residues, at most 38 are allowed"):
        extractor.embed(["W" * 39])


def test_int8_is_refused(both: tuple[Extractor, Any]) -> None:
    extractor, _ = both
    with pytest.raises(CheckpointError, match="cannot run in int8"):
        Extractor(extractor.spec.model_copy(update={"precision": "int8"}), extractor.runtime).embed(["EVQL"])


def test_masked_marginals_are_refused_without_a_mask(both: tuple[Extractor, Any]) -> None:
    with pytest.raises(NoHead, match="are no masked language models"):
        masked_log_probabilities(both[0], "EVQLV", [0])


@pytest.mark.parametrize(("kind", "residues"), [("gpt2", 1022), ("bert", 510), ("mamba", 2**31 - 1)])
def test_a_configuration_without_a_limit_has_that_of_transformers(tmp_path: Path, kind: str, residues: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert max_length(locate(str(tmp_path))) == residues


# --- vocabularies without X, and without special tokens -------------------------------------------------------------


@pytest.mark.parametrize("unknown", [False, True])
def test_a_vocabulary_without_x_refuses_sequences_with_x_and_reads_the_others(tmp_path: Path, unknown: bool) -> None:
    model_of("gpt2").save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    expected = Extractor(tmp_path).embed(["EVQLV", "QVQ"])
    write_tokenizer(tmp_path, letters=AMINO_ACIDS, unknown=unknown)
    extractor = Extractor(tmp_path)
    assert np.array_equal(extractor.embed(["EVQLV", "QVQ"]), expected)
    for run in (extractor.embed, extractor.residues):
        with pytest.raises(SequenceError, match="'X', for which the model has no token") as caught:
            run(["EVQLV", "AXCX", "QVQ", "X"])
        assert [(row.index, row.position, row.residue) for row in caught.value.rows] == [
            (1, 1, "X"),
            (1, 3, "X"),
            (3, 0, "X"),
        ]


@pytest.mark.parametrize("unknown", [False, True])
def test_a_vocabulary_without_an_amino_acid_refuses_the_model(tmp_path: Path, unknown: bool) -> None:
    model_of("gpt2").save_pretrained(tmp_path)
    write_tokenizer(tmp_path, letters=ALPHABET.replace("W", ""), unknown=unknown)
    with pytest.raises(CheckpointError, match="its tokenizer does not read proteins: it has no token for W"):
        Extractor(tmp_path).embed(["EVQLV"])


def test_a_vocabulary_of_bytes_that_leaves_x_out_refuses_sequences_with_x(tmp_path: Path) -> None:
    """Without a word, transformers' tokenizer of such a vocabulary drops the residue."""
    folder = tiny_checkpoint("roberta", tmp_path, head=True)
    numbers = json.loads((folder / "vocab.json").read_text())
    numbers["Z"] = numbers.pop("X")
    (folder / "vocab.json").write_text(json.dumps(numbers))
    extractor = Extractor(folder)
    assert extractor.embed(["EVQLV"]).shape == (1, 32)
    with pytest.raises(SequenceError, match="sequence 2 .*'X', for which the model has no token"):
        extractor.embed(["EVQLV", "EVX"])
    assert masked_log_probabilities(extractor, "EVQLV", [0]).shape == (1, 20)
    with pytest.raises(SequenceError, match="'X', for which the model has no token"):
        masked_log_probabilities(extractor, "EVXLV", [0])


def test_a_tokenizer_that_adds_nothing_has_no_start_to_pool(tmp_path: Path) -> None:
    model_of("gpt_neox").save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    extractor = Extractor(tmp_path)
    assert extractor.vocabulary.added == 0
    included = Extractor(extractor.spec.model_copy(update={"special_tokens": "include"}))
    assert np.array_equal(included.embed(["EVQLV"]), extractor.embed(["EVQLV"]))
    with pytest.raises(CheckpointError, match="it is causal, so its first token has the same vector in every sequence"):
        Extractor(extractor.spec.model_copy(update={"pooling": "cls"})).embed(["EVQLV"])


# --- refused with the reason ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bart", "mbart"])
def test_a_decoders_states_are_no_embedding(tmp_path: Path, kind: str) -> None:
    layers = {"encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = transformers.CONFIG_MAPPING[kind](vocab_size=32, d_model=32, **layers, **heads)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match=f"models of type {kind} end in a decoder"):
        Extractor(tmp_path).embed(["EVQL"])


def test_a_model_that_reads_no_tokens_is_refused(tmp_path: Path) -> None:
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.ViTConfig(**size, image_size=16, patch_size=8)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match="models of type vit do not read tokens"):
        Extractor(tmp_path).embed(["EVQL"])


def test_big_bird_with_random_attention_is_refused(tmp_path: Path) -> None:
    """The first short sequence would change what becomes of a long one."""
    model_of("big_bird", attention_type="block_sparse").save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match='write "attention_type": "original_full" into its config.json'):
        Extractor(tmp_path).embed(["EVQL"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "names none of hidden_size"),
        ({"num_hidden_layers": 2, "hidden_size": 32}, "names no model_type"),
        ({"model_type": None, "num_hidden_layers": 2, "hidden_size": 32}, "names no model_type"),
    ],
)
def test_a_configuration_that_names_no_model_is_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    folder = tiny_checkpoint("bert", tmp_path)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        Extractor(folder).embed(["EVQL"])


def added(folder: Path, name: str, *shape: int) -> Path:
    """Put one more weight into a file."""
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {name: torch.zeros(shape)}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bert", "encoder.layer.0.attention.self.distance_embedding.weight"),  # relative_key positions
        ("bert", "bert.encoder.layer.1.attention.self.distance_embedding.weight"),
        ("bert", "embeddings.species_embeddings.weight"),
        ("roformer", "encoder.layer.0.crossattention.self.query.weight"),
        ("ankh", "encoder.block.0.layer.0.SelfAttention.q.bias"),
        ("esm", "encoder.layer.0.adapter.weight"),
    ],
)
@pytest.mark.parametrize("head", [False, True], ids=["encoder", "head"])
def test_weights_of_the_encoder_that_would_not_be_used_are_an_error(
    tmp_path: Path, kind: Any, name: str, head: bool
) -> None:
    if head and kind == "ankh":
        head = False  # saved whole anyhow
    folder = added(tiny_checkpoint(kind, tmp_path, head=head), name, 4, 4)
    with pytest.raises(CheckpointError, match="weights that transformers does not use in such a model: .*weight|bias"):
        Extractor(folder).embed(["EVQL"])


def test_a_third_layer_that_the_configuration_lacks_is_an_error_in_unknown_families(tmp_path: Path) -> None:
    model_of("gpt2", n_layer=3).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"n_layer": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"does not use in such a model: h\.2\."):
        Extractor(tmp_path).embed(["EVQL"])


def test_a_weight_that_is_missing_is_an_error_in_unknown_families(tmp_path: Path) -> None:
    model_of("gpt2").save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["h.0.ln_1.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"they would be random in h\.0\.ln_1\.weight"):
        Extractor(tmp_path).embed(["EVQL"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bert", "cls.seq_relationship.weight"),
        ("bert", "pooler.dense.weight"),
        ("bert", "embeddings.position_ids"),
        ("esm", "lm_head.dense.weight"),
        ("esm", "embeddings.position_embeddings.weight"),  # ESM-2's files hold them beside rotary ones
        ("esm", "encoder.layer.0.attention.self.rotary_embeddings.inv_freq"),
        ("prott5", "encoder.embed_tokens.weight"),
        ("roberta", "roberta.embeddings.token_type_ids"),
    ],
)
def test_weights_of_other_parts_and_buffers_are_none(tmp_path: Path, kind: Any, name: str) -> None:
    shape = (128, 32) if kind == "prott5" else (4, 4)
    folder = tiny_checkpoint(kind, tmp_path)
    before = Extractor(folder).embed(["EVQL"])
    held = load_file(folder / "model.safetensors")
    if name not in held:
        added(folder, name, *shape)
    if kind == "prott5":
        save_file(held | {name: held["shared.weight"].clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    assert np.array_equal(Extractor(folder).embed(["EVQL"]), before)
