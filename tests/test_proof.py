"""Every type of model ends in transformers' vectors or in a CheckpointError."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from antibody_esm import CheckpointError, Extractor, ExtractorSpec
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import max_length
from antibody_esm.plm.proof import forward_errors, prove
from antibody_esm.plm.vocabulary import vocabulary_of
from effort import STRESS
from test_other_families import write_tokenizer


class Embedding(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """States of width 32, changed by a function of tokens and states."""

    device = torch.device("cpu")

    def __init__(self, change: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, 32)
        self.change = change

    def forward(self, input_ids: torch.Tensor, output_hidden_states: bool = False) -> Any:
        states = self.change(input_ids, self.embedding(input_ids))
        hidden = (states, states) if output_hidden_states else None
        return SimpleNamespace(last_hidden_state=states, hidden_states=hidden)


def failing(*_: object) -> None:
    raise IndexError("index out of range in self")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, states: states[:, ::2], r"give states of shape \(4, 11, 32\) for tokens \(4, 22\)"),
        (lambda _, states: torch.cat([states, states], -1), "give states of shape .*, width 32"),
        (lambda _, states: None, "give no states"),
        (lambda _, states: states + torch.randn_like(states), "changes from pass to pass, or with the sequences"),
        (lambda _, states: states + states.mean(0), "changes from pass to pass, or with the sequences beside it"),
        (failing, "cannot run on 22 tokens alone: index out of range in self"),
    ],
)
def test_a_model_without_one_repeatable_state_a_token_is_refused(
    checkpoints: dict[str, Path], change: Callable[[Any, Any], Any], message: str
) -> None:
    checkpoint = locate(str(checkpoints["bert"]))
    vocabulary = vocabulary_of(checkpoint)
    assert prove(checkpoint, vocabulary, Embedding(lambda _, states: states), 510, inner=True) == 2
    assert prove(checkpoint, vocabulary, Embedding(lambda _, states: states), 3, inner=False) == 0
    with pytest.raises(CheckpointError, match=message):
        prove(checkpoint, vocabulary, Embedding(change), 510, inner=True)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), KeyboardInterrupt()])
def test_a_lack_of_memory_is_no_fault_of_the_files(checkpoints: dict[str, Path], error: BaseException) -> None:
    with pytest.raises(type(error)), forward_errors(locate(str(checkpoints["bert"])), torch.zeros(1, 9)):
        raise error


def saved(folder: Path, kind: str, **size: Any) -> Any:
    """A tiny model of a type, saved with a tokenizer."""
    letters = {} if kind == "canine" else {"vocab_size": 40}  # code points have no table
    config = transformers.CONFIG_MAPPING[kind](**letters, pad_token_id=0, **size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config).eval()
    model.save_pretrained(folder)
    write_tokenizer(folder, ends=True)
    return model


SIZE: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("bros", SIZE, "models of type bros cannot run on 21 tokens alone: You have to specify bbox"),
        ("dpr", SIZE, "models of type dpr give no states"),
        (
            "reformer",
            {
                **{"hidden_size": 32, "attn_layers": ["local", "local"], "num_attention_heads": 2},
                **{"attention_head_size": 16, "axial_pos_embds": False, "feed_forward_size": 64},
            },
            "give states of shape .4, 21, 64. for tokens .4, 21., width 32",
        ),
    ],
)
def test_types_that_need_more_than_tokens_or_give_other_states_say_so(
    tmp_path: Path, kind: str, size: dict[str, Any], message: str
) -> None:
    saved(tmp_path, kind, **size)
    with pytest.raises(CheckpointError, match=message):
        Extractor(tmp_path).embed(["EVQL"])


def test_inner_layers_are_refused_if_there_is_not_one_state_for_each(tmp_path: Path) -> None:
    size = {"num_hash_buckets": 64, "max_position_embeddings": 64, "local_transformer_stride": 16}
    model = saved(tmp_path, "canine", **SIZE, **size, downsampling_rate=2, upsampling_kernel_size=2)
    (row,) = Extractor(tmp_path).embed(["EVQLVESGG"])
    (tokens,) = vocabulary_of(locate(str(tmp_path))).encode(["EVQLVESGG"])
    with torch.inference_mode():
        states = model(input_ids=torch.from_numpy(tokens)[None]).last_hidden_state[0]
    np.testing.assert_allclose(row, states[:9].mean(0).numpy(), atol=1e-5, rtol=1e-4)
    for layer in (0, 1):
        with pytest.raises(CheckpointError, match="give no states of 2 layers, so that only the last layer can be"):
            Extractor(ExtractorSpec(model=str(tmp_path), layer=layer)).embed(["EVQLVESGG"])


def test_characters_are_their_own_tokens_without_a_vocabulary_file(tmp_path: Path) -> None:
    """CANINE's tokens are code points, those of ByT5 bytes; neither has a vocabulary file."""
    size = {"num_hash_buckets": 64, "max_position_embeddings": 64, "local_transformer_stride": 16}
    saved(tmp_path, "canine", **SIZE, **size, downsampling_rate=2, upsampling_kernel_size=2)
    (tmp_path / "tokenizer.json").unlink()
    transformers.CanineTokenizer().save_pretrained(tmp_path)
    vocabulary = vocabulary_of(locate(str(tmp_path)))
    assert vocabulary.encode(["AC"])[0].tolist() == [0xE000, ord("A"), ord("C"), 0xE001]
    assert Extractor(tmp_path).embed(["EVQL"]).shape == (1, 32)


KINDS = sorted(transformers.CONFIG_MAPPING)


@pytest.mark.parametrize("kind", KINDS if STRESS else KINDS[::16])
def test_a_configuration_of_any_type_beside_other_weights_is_a_checkpoint_error(
    checkpoints: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """Of any type that transformers has, also those of pictures, of sound, and of two models in one."""
    folder = Path(shutil.copytree(checkpoints["bert"], tmp_path / "mine"))
    if kind == "bert":
        return
    config = {"model_type": kind, **SIZE}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        Extractor(folder).embed(["EVQL"])


@pytest.mark.parametrize("positions", [1, 2])
def test_positions_that_leave_none_for_a_residue_are_an_error(
    checkpoints: dict[str, Path], tmp_path: Path, positions: int
) -> None:
    folder = Path(shutil.copytree(checkpoints["bert"], tmp_path / "mine"))
    config = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": positions}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="positions, which leave none for a residue"):
        max_length(locate(str(folder)))


def test_relative_positions_that_transformers_gave_up_are_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints["bert"], tmp_path / "mine"))
    config = json.loads((folder / "config.json").read_text()) | {"position_embedding_type": "relative_key_query"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="its positions are relative, which transformers does not compute in ber"):
        Extractor(folder).embed(["EVQL"])
