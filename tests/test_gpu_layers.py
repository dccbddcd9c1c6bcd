"""Layers for a GPU give the states of transformers' layers; compared on a CPU, since no test has a GPU."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel

from antibody_esm.plm import gpu_layers
from antibody_esm.plm.gpu_layers import GpuLayer, rewrite

KINDS = ("esm", "esm1b", "esm1v", "bert", "roberta")
TOKENS = torch.arange(4, 4 + 3 * 19).view(3, 19) % 20 + 4


def of_transformers(checkpoint: Path, dtype: torch.dtype = torch.float32) -> Any:
    return AutoModel.from_pretrained(checkpoint, add_pooling_layer=False, dtype=dtype).eval()


def rewritten(model: Any) -> Any:
    model = copy.deepcopy(model)
    rewrite(model)
    return model


def states(model: Any, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=tokens).last_hidden_state.float()


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_transformers(kind: str, checkpoints: dict[str, Path]) -> None:
    model = of_transformers(checkpoints[kind])
    own = rewritten(model)
    assert all(isinstance(layer, GpuLayer) for layer in own.encoder.layer)
    for tokens in (TOKENS, TOKENS[:1], TOKENS[:, :2], TOKENS.repeat(2, 7)):
        expected = states(model, tokens)
        torch.testing.assert_close(states(own, tokens), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_as_near_to_float32_as_that_of_transformers(
    kind: str, dtype: torch.dtype, checkpoints: dict[str, Path]
) -> None:
    exact = states(of_transformers(checkpoints[kind]))
    model = of_transformers(checkpoints[kind], dtype)
    own = rewritten(model)
    assert all(isinstance(layer, GpuLayer) for layer in own.encoder.layer)
    assert {parameter.dtype for parameter in own.parameters()} == {dtype}

    def error(states: torch.Tensor) -> float:
        return float((states - exact).square().mean().sqrt())

    assert error(states(own)) < 1.2 * error(states(model))


def test_a_layer_that_differs_is_kept(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = of_transformers(checkpoints["esm"])
    expected = states(model)
    monkeypatch.setattr(gpu_layers, "_rotated", lambda states, *_: states)  # as if positions were forgotten
    own = rewritten(model)
    assert not any(isinstance(layer, GpuLayer) for layer in own.encoder.layer)
    assert torch.equal(states(own), expected)


def test_other_families_run_as_transformers_wrote_them(checkpoints: dict[str, Path]) -> None:
    model = AutoModel.from_pretrained(checkpoints["roformer"]).eval()
    assert str(rewritten(model)) == str(model)


def test_a_mask_is_refused(checkpoints: dict[str, Path]) -> None:
    own = rewritten(of_transformers(checkpoints["bert"]))
    mask = torch.tensor([[1] * 19, [1] * 18 + [0], [1] * 19])
    with pytest.raises(ValueError, match="have no mask"):
        own(input_ids=TOKENS, attention_mask=mask)
