"""Rewritten layers beside those of transformers, on the same weights."""

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel

from antibody_esm import Extractor, ExtractorSpec, RuntimeSpec
from antibody_esm.plm.batching import FEWEST
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.fused import Layer, alone_as_in_company, fuse
from antibody_esm.plm.products import Packed, available
from effort import STRESS, examples
from peers import one_thread

KNOWN = ("esm", "esm1v", "esm1b", "bert", "roberta", "antiberty")


@pytest.fixture(scope="module", params=KNOWN)
def pair(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A model as transformers made it, and another that is rewritten."""
    original, rewritten = loaded(request.param, checkpoints), loaded(request.param, checkpoints)
    fuse(rewritten)
    return original, rewritten


def loaded(name: str, checkpoints: dict[str, Path]) -> torch.nn.Module:
    folder = locate("antiberty").files["config.json"].parent if name == "antiberty" else checkpoints[name]
    return AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()


@given(n=st.integers(1, 4), tokens=st.integers(1, 130), seed=st.integers(0, 99))
@examples(10)
def test_every_layer_gives_the_states_of_the_one_that_it_replaces(
    pair: tuple[torch.nn.Module, torch.nn.Module], n: int, tokens: int, seed: int
) -> None:
    original, rewritten = pair
    ids = torch.randint(4, 24, (n, tokens), generator=torch.Generator().manual_seed(seed))
    found: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, states: found.append(states)) for layer in rewritten.encoder.layer
    ]
    with torch.inference_mode(), one_thread():
        expected = original(input_ids=ids, output_hidden_states=True)
        last = rewritten(input_ids=ids).last_hidden_state
    for hook in hooks:
        hook.remove()
    assert all(isinstance(layer, Layer) for layer in rewritten.encoder.layer)
    torch.testing.assert_close(last, expected.last_hidden_state, atol=1e-5, rtol=1e-4)
    for states, one in zip(found[:-1], expected.hidden_states[1:-1], strict=True):
        torch.testing.assert_close(states, one, atol=1e-5 * max(1.0, float(one.abs().max())), rtol=1e-4)


def test_a_lone_sequence_of_enough_tokens_has_the_bits_that_it_has_in_company(
    pair: tuple[torch.nn.Module, torch.nn.Module],
) -> None:
    original, model = pair
    assert not alone_as_in_company(original)
    assert alone_as_in_company(model)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for tokens in (*range(FEWEST, FEWEST + 8), 122, 250):
                ids = torch.randint(4, 24, (5, tokens), generator=torch.Generator().manual_seed(tokens))
                together = model(input_ids=ids).last_hidden_state
                for row in range(5) if STRESS else (0, 4):
                    assert torch.equal(model(input_ids=ids[row : row + 1]).last_hidden_state[0], together[row])
    finally:
        torch.set_num_threads(threads)


def test_a_lone_sequence_runs_once_and_short_ones_with_copies(checkpoints: dict[str, Path]) -> None:
    extractor = Extractor(checkpoints["esm"], RuntimeSpec(device="cpu"))
    ran: list[int] = []
    extractor.models[0].module.register_forward_hook(lambda _, __, output: ran.append(len(output.last_hidden_state)))
    extractor.embed(["W" * (FEWEST - 2)])
    extractor.embed(["W" * (FEWEST - 3)])
    extractor.embed(["AAA", "ACC", "DDD"])
    assert ran == [1, 2, 3 * -(-FEWEST // 15)]


def test_a_layer_that_would_give_other_states_stays_as_it_is(checkpoints: dict[str, Path]) -> None:
    model = loaded("bert", checkpoints)
    model.encoder.layer[1].intermediate.intermediate_act_fn = torch.nn.ReLU()
    fuse(model)
    assert [isinstance(layer, Layer) for layer in model.encoder.layer] == [True, False]
    assert not alone_as_in_company(model)


@pytest.mark.parametrize("changed", [{"hidden_act": "gelu_new"}, {"is_decoder": True}, {"model_type": "megatron-bert"}])
def test_a_configuration_that_is_not_known_runs_as_before(
    changed: dict[str, object], checkpoints: dict[str, Path]
) -> None:
    model = loaded("bert", checkpoints)
    for key, value in changed.items():
        setattr(model.config, key, value)
    fuse(model)
    assert not any(isinstance(layer, Layer) for layer in model.encoder.layer)


@pytest.mark.parametrize("name", ["roformer", "esmc", "prott5", "ankh"])
def test_other_families_run_as_before(name: str, checkpoints: dict[str, Path]) -> None:
    model = Extractor(checkpoints[name], RuntimeSpec(device="cpu")).models[0].module
    assert not any(isinstance(part, Layer) for part in model.modules())
    assert not alone_as_in_company(model)


def test_lower_precision_runs_as_before(checkpoints: dict[str, Path]) -> None:
    spec = ExtractorSpec(model=str(checkpoints["esm"]), precision="bfloat16")
    model = Extractor(spec, RuntimeSpec(device="cpu")).models[0].module
    assert not any(isinstance(part, Layer) for part in model.modules())


def test_a_mask_is_an_error_and_not_ignored(checkpoints: dict[str, Path]) -> None:
    model = loaded("esm", checkpoints)
    fuse(model)
    ids = torch.tensor([[5, 6, 7, 1]])
    with pytest.raises(ValueError, match="equal lengths have no mask"):
        model(input_ids=ids, attention_mask=torch.tensor([[1, 1, 1, 0]]))


@pytest.mark.parametrize("packed", [True, False])
def test_the_original_weights_are_not_kept_beside_the_rewritten_ones(
    packed: bool, checkpoints: dict[str, Path]
) -> None:
    model = loaded("esm", checkpoints)

    def numbers() -> int:
        products = (part for part in model.modules() if isinstance(part, Packed))
        tensors = (*model.parameters(), *model.buffers(), *(product.weight for product in products))
        return sum(tensor.numel() for tensor in tensors)

    before, layer = numbers(), model.encoder.layer[0]
    queries = weakref.ref(layer.attention.self.query.weight)
    widening = weakref.ref(layer.intermediate.dense.weight)
    del layer
    fuse(model, packed=packed)
    assert numbers() == before
    assert queries() is None
    assert (widening() is None) == (packed and available())


def test_states_of_an_inner_layer_are_not_written_over_by_the_layers_behind_it(checkpoints: dict[str, Path]) -> None:
    model = loaded("esm", checkpoints)
    fuse(model)
    kept: list[tuple[torch.Tensor, np.ndarray]] = []
    for layer in model.encoder.layer:
        layer.register_forward_hook(lambda _, __, states: kept.append((states, states.clone().numpy())))
    with torch.inference_mode():
        model(input_ids=torch.randint(4, 24, (2, 30)))
    assert len(kept) == 2
    assert all(np.array_equal(states.numpy(), copy) for states, copy in kept)
