"""Causal models: what reads from left to right says so, and nothing assumes that it reads both ways."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING, AutoModel

import strategies
from antibody_esm import (
    CheckpointError,
    Dataset,
    Extractor,
    ExtractorSpec,
    RuntimeSpec,
    SplitSpec,
    Trainer,
    embed,
    embed_views,
)
from antibody_esm.explain import mutational_scan, residue_contributions
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import is_causal
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.reports import notes
from antibody_esm.specs import TrainSpec
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT
from effort import examples
from peers import one_thread

RUNTIME = RuntimeSpec(device="cpu")
TOKENS = torch.tensor([[3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 9]])
"""Two sequences that differ in their last token."""
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
N_EMBD = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40}
KINDS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("gpt2", "gpt_bigcode", "openai-gpt"), N_EMBD),
    "ctrl": N_EMBD | {"dff": 64},
    **{kind: N_EMBD | {"rotary_dim": 8} for kind in ("codegen", "gptj")},
    **dict.fromkeys(("gpt_neox", "llama", "bert", "roberta", "esm", "roformer", "bert-generation", "esmc"), SIZE),
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "opt": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 64},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "bert, as a decoder": SIZE | {"is_decoder": True},
    "roberta, as a decoder": SIZE | {"is_decoder": True},
    "gemma3_text": SIZE | {"head_dim": 16, "num_key_value_heads": 2},
    "gemma3_text, both ways": SIZE | {"head_dim": 16, "num_key_value_heads": 2, "use_bidirectional_attention": True},
}
"""Sizes of a tiny model of each type."""


@pytest.mark.parametrize("name", KINDS)
def test_a_model_is_called_causal_if_it_reads_nothing_behind_a_residue(name: str, tmp_path: Path) -> None:
    kind = name.split(",")[0]
    config = CONFIG_MAPPING[kind](vocab_size=32, pad_token_id=0, **KINDS[name])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = AutoModel.from_config(config)
    model.eval()
    with torch.no_grad(), one_thread():
        states = model(input_ids=TOKENS).last_hidden_state
    reads_behind = not torch.allclose(states[0, :5], states[1, :5], atol=1e-6)
    config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert is_causal(locate(str(tmp_path))) is not reads_behind


@pytest.fixture(scope="module")
def causal(checkpoints: dict[str, Path]) -> ExtractorSpec:
    return ExtractorSpec(model=str(checkpoints["gpt2"]), prefix="1", suffix="2")


@pytest.mark.parametrize("kind", ["esm", "bert", "roberta", "roformer", "prott5", "ankh3", "esmc"])
def test_encoders_are_not_causal(kind: str, checkpoints: dict[str, Path]) -> None:
    assert not Extractor(checkpoints[kind]).is_causal
    assert not Extractor("sapiens_vh").is_causal


def test_a_causal_model_says_so_in_the_log_and_in_a_report(
    causal: ExtractorSpec, caplog: pytest.LogCaptureFixture, checkpoints: dict[str, Path]
) -> None:
    with caplog.at_level(logging.INFO, "antibody_esm"):
        Extractor(causal, RUNTIME).embed(["EVQ"])
        Extractor(checkpoints["esm"], RUNTIME).embed(["EVQ"])
    said = [record.getMessage() for record in caplog.records if "causal" in record.getMessage()]
    assert said == [f"{causal.model} is causal: a residue's state depends on the residues before it only"]
    named = TrainSpec(extractor=ExtractorSpec(model="ollieturnbull/p-IgGen"))
    assert notes.causal(named) == [
        "ollieturnbull/p-IgGen is causal: a residue's vector depends on the residues before it only."
    ]
    assert notes.causal(TrainSpec(extractor=causal)) == [], "only names are known without the files"


def test_the_first_token_of_a_causal_model_is_no_vector_of_a_sequence(causal: ExtractorSpec, tmp_path: Path) -> None:
    spec = causal.model_copy(update={"pooling": "cls"})
    with pytest.raises(CheckpointError, match="it is causal, so its first token has the same vector"):
        Extractor(spec, RUNTIME).embed(["EVQ"])
    with pytest.raises(CheckpointError, match="it is causal, so its first token has the same vector"):
        embed(["EVQ"], spec, tmp_path, RUNTIME)
    with pytest.raises(CheckpointError, match="it is causal"):
        embed_views(["EVQ"], causal.views(poolings=["mean", "cls"]), runtime=RUNTIME)


@given(data=st.data())
@examples(15)
def test_the_last_residue_has_read_the_whole_sequence(data: st.DataObject, causal: ExtractorSpec) -> None:
    sequence = data.draw(strategies.sequences(2, 25))
    place = data.draw(st.integers(0, len(sequence) - 1))
    other = sequence[:place] + ("W" if sequence[place] != "W" else "Y") + sequence[place + 1 :]
    last = Extractor(causal.model_copy(update={"pooling": "last"}), RUNTIME)
    one, two = last.embed([sequence, strategies.protein(other)])
    assert not np.allclose(one, two, atol=1e-7)
    first, second = Extractor(causal, RUNTIME).residues([sequence, strategies.protein(other)])
    before = next(i for i, (a, b) in enumerate(zip(sequence, strategies.protein(other), strict=True)) if a != b)
    np.testing.assert_allclose(first[:before], second[:before], atol=1e-5)


def test_the_end_token_is_last_only_if_it_is_asked_for(causal: ExtractorSpec, checkpoints: dict[str, Path]) -> None:
    """`last` is the last residue; a suffix behind it changes nothing of a causal model's residues."""
    last = causal.model_copy(update={"pooling": "last"})
    bare = last.model_copy(update={"suffix": None})
    assert np.allclose(embed([HEAVY], last), embed([HEAVY], bare), atol=1e-6)
    ended = last.model_copy(update={"special_tokens": "include"})
    assert not np.allclose(embed([HEAVY], ended), embed([HEAVY], last), atol=1e-3)
    assert np.allclose(embed([HEAVY], ended.model_copy(update={"suffix": None})), embed([HEAVY], bare), atol=1e-6), (
        "without an end token, the last token is the last residue"
    )
    esm = ExtractorSpec(model=str(checkpoints["esm"]), pooling="last")
    (states,) = Extractor(esm, RUNTIME).residues([HEAVY])
    assert np.allclose(embed([HEAVY], esm)[0], states[-1], atol=1e-6)
    cdr3 = esm.model_copy(update={"region": "cdr3"})
    end = HEAVY.index("WGQG")
    assert np.allclose(embed([HEAVY], cdr3)[0], states[end - 1], atol=1e-6)


def test_masked_marginals_of_causal_models_are_refused(causal: ExtractorSpec, tmp_path: Path) -> None:
    with pytest.raises(NoHead, match="they are causal, and read nothing behind a residue"):
        masked_log_probabilities(Extractor(causal, RUNTIME), "EVQLV", [0])
    folder = tiny_checkpoint("bert", tmp_path, head=True)
    config = json.loads((folder / "config.json").read_text()) | {"is_decoder": True}
    (folder / "config.json").write_text(json.dumps(config))
    decoder = Extractor(folder, RUNTIME)
    assert decoder.is_causal
    with pytest.raises(NoHead, match="they are causal"):
        masked_log_probabilities(decoder, "EVQLV", [0])


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_layers_of_a_causal_model_have_the_same_bits_in_any_batch(
    layer: int, pooling: str, causal: ExtractorSpec
) -> None:
    fields = {"layer": layer, "pooling": pooling}
    extractor = Extractor(causal.model_copy(update=fields), RUNTIME)
    generator = np.random.default_rng(0)
    for length in (1, 2, 5, 16, 33, 64):
        group = ["D" + "".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), length - 1)) for _ in range(5)]
        together = extractor.embed(group)
        assert np.array_equal(extractor.embed(group[-1:])[0], together[-1]), length
        assert np.array_equal(extractor.embed(group[::-1]), together[::-1]), length


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_causal_model_is_trained_tuned_explained_and_scanned(
    pooling: str, causal: ExtractorSpec, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    heavy = ["".join(generator.choice(list("ACDEFGHIK"), 12)) for _ in range(16)]
    data = Dataset(ids=[str(i) for i in range(16)], heavy=heavy, label=[0, 1] * 8)
    trainer = Trainer(
        causal,
        split=SplitSpec(folds=2),
        store=tmp_path,
        runtime=RUNTIME,
        tune={"extractor.pooling": (pooling, "max"), "extractor.layer": (1, 2)},
        random_seeds=1,
    )
    report = trainer.cross_validate(data, check=False)
    assert "random_weights" in report.baselines.found
    chosen = causal.model_copy(update={"pooling": pooling})
    predictor = Trainer(chosen, store=tmp_path, runtime=RUNTIME).fit(data, check=False, uncertainty=False)
    explained = residue_contributions(predictor, heavy[0], check=False)
    assert explained.method == ("exact" if pooling == "mean" else "occlusion")
    scan = mutational_scan(predictor, heavy[0], check=False)
    assert len(scan.to_frame()) >= 12 * 19


def test_cls_in_a_grid_of_a_causal_model_is_the_same_error(causal: ExtractorSpec, tmp_path: Path) -> None:
    data = Dataset(ids=list("abcdefgh"), heavy=[f"{letter}VQLV" for letter in "ACDEFGHI"], label=[0, 1] * 4)
    trainer = Trainer(
        causal,
        split=SplitSpec(folds=2),
        store=tmp_path,
        runtime=RUNTIME,
        tune={"extractor.pooling": ("mean", "cls")},
        random_seeds=0,
    )
    with pytest.raises(CheckpointError, match="it is causal"):
        trainer.cross_validate(data, check=False)


def test_pairs_of_a_causal_model_end_in_the_light_chain(causal: ExtractorSpec) -> None:
    joined = causal.model_copy(update={"pairs": "joined", "separator": "", "pooling": "last"})
    (states,) = Extractor(joined, RUNTIME).residues([(HEAVY, LIGHT)])
    assert np.allclose(embed([(HEAVY, LIGHT)], joined)[0], states[-1], atol=1e-6)
    assert len(states) == len(HEAVY) + len(LIGHT)
