"""Integers of eight bits, beside exact sums and float32."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import CheckpointError, Extractor, ExtractorSpec, RuntimeSpec
from antibody_esm.plm import int8
from antibody_esm.plm.int8 import STATE, WEIGHT, Linear
from chains import HEAVY, LIGHT, NANOBODY
from effort import examples
from peers import one_thread
from variants import most, variant

KNOWN = ("esm", "esm1v", "esm1b", "bert", "roberta", "antiberty")
pytestmark = pytest.mark.skipif(not int8.exact(), reason="this machine does not multiply int8 exactly")


def extractor(name: str, checkpoints: dict[str, Path], precision: str = "int8") -> Extractor:
    model = name if name == "antiberty" else str(checkpoints[name])
    return Extractor(ExtractorSpec(model=model, precision=precision), RuntimeSpec(device="cpu"))


@given(rows=st.integers(1, 40), wide=st.sampled_from([16, 33, 640]), seed=st.integers(0, 99), extreme=st.booleans())
@examples(40)
def test_sums_are_those_of_exact_integers(rows: int, wide: int, seed: int, extreme: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    linear = torch.nn.Linear(wide, 24)
    states = torch.randn(rows, wide, generator=generator)
    if extreme:  # every product is the largest there is, and all have one sign
        states = states.sign()
        linear.weight.data = states[:1].repeat(24, 1)
    with torch.inference_mode(), one_thread():
        scales = linear.weight.abs().amax(1).double() / WEIGHT
        by_row = states.abs().amax(1, keepdim=True) / STATE
        weights, integers = (linear.weight / scales.float()[:, None]).round(), (states / by_row).round()
        expected = integers.double() @ weights.double().T * scales * by_row + linear.bias
        torch.testing.assert_close(Linear(linear)(states), expected.float(), atol=1e-5, rtol=1e-5)


def test_rows_of_zeros_and_weights_of_zero_are_no_division_by_zero() -> None:
    linear = torch.nn.Linear(16, 8)
    with torch.inference_mode():
        linear.weight.zero_()
        assert torch.equal(Linear(linear)(torch.zeros(3, 16)), linear.bias.expand(3, 8))


@pytest.mark.parametrize("name", KNOWN)
def test_vectors_are_near_those_in_float32(name: str, checkpoints: dict[str, Path]) -> None:
    rows = extractor(name, checkpoints).embed([HEAVY, LIGHT, NANOBODY])
    full = extractor(name, checkpoints, "float32").embed([HEAVY, LIGHT, NANOBODY])
    cosines = (rows * full).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(full, axis=1)
    assert cosines.min() > 0.995
    assert not np.array_equal(rows, full)


@pytest.mark.parametrize("name", KNOWN)
def test_a_vector_does_not_depend_on_its_batch_its_order_or_the_workers(
    name: str, checkpoints: dict[str, Path]
) -> None:
    one = extractor(name, checkpoints)

    @given(data=st.data())
    @examples(8)
    def check(data: st.DataObject) -> None:
        length = data.draw(st.integers(1, 130))
        same_length = strategies.sequences(length, length)
        sequences = data.draw(
            st.lists(same_length | strategies.sequences(max_size=20), min_size=2, max_size=most(one, length, 8))
        )
        together = one.embed(sequences)
        order = data.draw(st.permutations(range(len(sequences))))
        runtime = RuntimeSpec(device="cpu", workers=2, batch_tokens=data.draw(st.integers(1, 2000)))
        other = variant(one, runtime=runtime)
        assert np.array_equal(other.embed([sequences[i] for i in order]), together[list(order)])
        alone = data.draw(st.integers(0, len(sequences) - 1))
        assert np.array_equal(one.embed([sequences[alone]])[0], together[alone])

    check()


def test_float_weights_are_not_kept_beside_the_integers(checkpoints: dict[str, Path]) -> None:
    layer = extractor("esm", checkpoints).models[0].module.encoder.layer[0]
    assert {name for name, tensor in layer.named_parameters() if tensor.ndim > 1} == set()


@pytest.mark.parametrize("name", ["roformer", "esmc", "prott5"])
def test_other_families_are_refused_and_not_run_in_another_precision(name: str, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="cannot run in int8: int8 is for BERT, RoBERTa and ESM models on a CPU"):
        extractor(name, checkpoints).embed(["EVQL"])


def test_a_machine_that_does_not_add_exactly_is_refused(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "WEIGHT", 127)  # whose sums saturate, or are right where the processor has VNNI
    if int8.exact():
        monkeypatch.setattr(int8, "exact", lambda: False)
    with pytest.raises(CheckpointError, match="does not multiply int8 exactly"):
        extractor("esm", checkpoints).embed(["EVQL"])
