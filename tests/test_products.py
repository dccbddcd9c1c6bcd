"""Products of packed weights beside those of torch, alone and in layers."""

import copy
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import CheckpointError, Extractor, ExtractorSpec, RuntimeSpec
from antibody_esm.plm import products
from antibody_esm.plm.batching import FEWEST
from antibody_esm.plm.fused import Layer, fuse
from antibody_esm.plm.int8 import quantise
from antibody_esm.plm.products import Packed, Plain, Product, available, keeps_bits, product_of
from chains import HEAVY, LIGHT, NANOBODY
from effort import examples
from peers import one_thread
from test_fused import loaded

SHAPES = ((16, 48), (32, 64), (64, 16), (128, 384), (128, 256), (256, 128), (480, 33), (33, 480))
METHODS = ("forward", "activated", "added")

packing = pytest.mark.skipif(not available(), reason="oneDNN has no packed products for this processor")


def linear(inner: int, outer: int, seed: int = 0) -> torch.nn.Linear:
    made = torch.nn.Linear(inner, outer)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.weight.copy_(torch.randn(outer, inner, generator=generator))
        made.bias.copy_(torch.randn(outer, generator=generator))
    return made


def result(product: Product, name: str, states: torch.Tensor, further: torch.Tensor) -> torch.Tensor:
    rows: torch.Tensor = getattr(product, name)(*((states, further) if name == "added" else (states,)))
    return rows


@packing
@given(
    shape=st.sampled_from(SHAPES),
    rows=st.integers(FEWEST, 700),
    start=st.integers(0, 130),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
)
@examples(60)
def test_a_row_has_the_same_bits_among_any_rows_and_those_of_exact_sums_up_to_rounding(
    shape: tuple[int, int], rows: int, start: int, seed: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    states, further = (torch.randn(rows + start, size, generator=generator) * scale for size in shape)
    weights = linear(*shape, seed)
    packed = Packed(weights)
    kept = states.clone(), further.clone()
    with torch.inference_mode(), one_thread():
        exact = states.double() @ weights.weight.double().T + weights.bias
        expected = {"forward": exact, "activated": torch.nn.functional.gelu(exact), "added": exact + further}
        for name in METHODS:
            among = result(packed, name, states, further)
            alone = result(packed, name, states[start:], further[start:])
            assert torch.equal(alone, among[start:])
            largest = float(expected[name].abs().max())
            assert float((among - expected[name]).abs().max()) < 1e-5 * largest + 1e-6
    assert torch.equal(states, kept[0])
    assert torch.equal(further, kept[1])


@pytest.mark.parametrize("make", [pytest.param(Packed, marks=packing), Plain])
def test_no_result_shares_memory_with_another_or_with_what_it_was_computed_from(make: type[Product]) -> None:
    product = make(linear(32, 32))
    states, further = torch.randn(80, 32), torch.randn(80, 32)
    with torch.inference_mode():
        results = [result(product, name, states, further) for name in METHODS * 3]
        copies = [rows.clone() for rows in results]
        for name in METHODS * 3:
            result(product, name, torch.randn(80, 32), torch.randn(80, 32))
    assert all(map(torch.equal, results, copies))
    assert len({rows.untyped_storage().data_ptr() for rows in (*results, states, further)}) == len(results) + 2


@packing
def test_layers_are_packed_if_and_only_if_bits_are_kept(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(keeps_bits(*shape) for shape in SHAPES)
    assert isinstance(product_of(linear(32, 64)), Packed)
    monkeypatch.setattr(products, "keeps_bits", lambda *_: False)
    assert isinstance(product_of(linear(32, 64)), Plain)


@packing
@pytest.mark.parametrize("method", METHODS)
def test_the_comparison_of_bits_detects_a_product_whose_rows_depend_on_their_number(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(Packed, method)

    def by_number(self: Packed, states: torch.Tensor, *further: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = right(self, states, *further)
        return rows.nextafter(rows + 1) if len(states) == FEWEST else rows

    assert keeps_bits.__wrapped__(32, 48)
    monkeypatch.setattr(Packed, method, by_number)
    assert not keeps_bits.__wrapped__(32, 48)
    monkeypatch.setattr(Packed, method, lambda *arguments: right(*arguments) * 1.01)
    assert not keeps_bits.__wrapped__(32, 48)


def test_the_comparison_of_bits_leaves_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        if available():
            keeps_bits.__wrapped__(32, 48)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["esm", "esm1b", "bert", "roberta", "sapiens_vh"])
def test_vectors_without_onednn_are_equal_up_to_rounding(
    name: str, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ExtractorSpec(model=name if name.startswith("sapiens") else str(checkpoints[name]))
    sequences = [HEAVY, NANOBODY, HEAVY[:20], HEAVY[:21]]
    packed = Extractor(spec, RuntimeSpec(device="cpu"))
    rows, kinds = packed.embed(sequences), {type(part) for part in packed.models[0].module.modules()}
    assert (Packed in kinds, Plain in kinds) == (available(), not available())
    monkeypatch.setattr(products, "available", lambda: False)
    plain = Extractor(spec, RuntimeSpec(device="cpu"))
    np.testing.assert_allclose(plain.embed(sequences), rows, atol=1e-5, rtol=1e-4)
    assert plain.resolved.fingerprint == packed.resolved.fingerprint
    assert not any(isinstance(part, Packed) for part in plain.models[0].module.modules())


@packing
def test_a_layer_that_would_give_other_states_with_packed_weights_is_rewritten_without(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded("esm", checkpoints)
    right = Packed.activated
    monkeypatch.setattr(Packed, "activated", lambda self, states: right(self, states) + 1)
    monkeypatch.setattr(products, "keeps_bits", lambda *_: True)
    fuse(model)
    assert all(isinstance(layer, Layer) and isinstance(layer.up, Plain) for layer in model.encoder.layer)


@packing
def test_copies_of_a_packed_model_share_weights_and_give_the_same_bits(checkpoints: dict[str, Path]) -> None:
    model = loaded("esm", checkpoints)
    fuse(model)
    copied = copy.deepcopy(model)
    ids = torch.randint(4, 24, (3, 40))
    with torch.inference_mode(), one_thread():
        assert torch.equal(model(input_ids=ids).last_hidden_state, copied(input_ids=ids).last_hidden_state)
    assert copied.encoder.layer[0].up.weight is model.encoder.layer[0].up.weight
    assert copied.encoder.layer[0].norms[0].weight is not model.encoder.layer[0].norms[0].weight


@packing
def test_packed_weights_are_not_rounded_to_integers_silently(checkpoints: dict[str, Path]) -> None:
    model = loaded("esm", checkpoints)
    fuse(model)
    with pytest.raises(ValueError, match="packed already"):
        quantise(model)


@packing
def test_few_numbers_of_rows_are_multiplied_since_onednn_keeps_a_kernel_for_each(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = Extractor(checkpoints["esm"], RuntimeSpec(device="cpu", workers=1))
    numbers: set[int] = set()

    def counted(method: str) -> None:
        right = getattr(Packed, method)

        def count(self: Packed, states: torch.Tensor, *further: torch.Tensor) -> torch.Tensor:
            numbers.add(len(states))
            rows: torch.Tensor = right(self, states, *further)
            return rows

        monkeypatch.setattr(Packed, method, count)

    for method in METHODS:
        counted(method)
    extractor.warm_up()
    extractor.embed([HEAVY[start:end] for end in range(20, len(HEAVY)) for start in range(end % 9)])
    assert len(numbers) > 20
    assert all(rows % Packed.multiple == 0 and rows <= 1024 + 128 for rows in numbers)


def test_two_models_at_once_have_the_rows_of_each_alone(checkpoints: dict[str, Path]) -> None:
    runtime = RuntimeSpec(device="cpu", workers=2, batch_tokens=150)
    extractors = [Extractor(checkpoints[name], runtime) for name in ("esm", "bert")]
    sequences = [chain[:length] for chain in (HEAVY, LIGHT) for length in range(60, 100, 4)]
    alone = [extractor.embed(sequences) for extractor in extractors]
    with ThreadPoolExecutor(2) as threads:
        together = [list(threads.map(lambda each: each.embed(sequences), extractors)) for _ in range(3)]
    assert all(np.array_equal(rows, expected) for pair in together for rows, expected in zip(pair, alone, strict=True))
    for rows, expected in zip(alone, together[0], strict=True):
        assert not np.shares_memory(rows, expected)


def test_a_pass_that_fails_halfway_changes_no_later_row(checkpoints: dict[str, Path]) -> None:
    extractor = Extractor(checkpoints["esm"], RuntimeSpec(device="cpu", workers=1))
    expected = extractor.embed([HEAVY, LIGHT])
    layer = extractor.models[0].module.encoder.layer[1]

    def fail(*_: object) -> None:
        raise RuntimeError("halfway")

    right, layer.up.activated = layer.up.activated, fail
    with pytest.raises((RuntimeError, CheckpointError), match="halfway"):
        extractor.embed([NANOBODY])
    layer.up.activated = right
    assert np.array_equal(extractor.embed([HEAVY, LIGHT]), expected)


SCRIPT = """
import hashlib, sys
import torch
from antibody_esm import CheckpointError, Extractor, RuntimeSpec
from antibody_esm.plm.products import Packed
extractor = Extractor(sys.argv[1], RuntimeSpec(device="cpu", workers=int(sys.argv[2]), batch_tokens=int(sys.argv[3])))
chain = sys.argv[4]
sequences = [chain[start:start + length] for length in (10, 64, 65, 100) for start in range(4)]
rows = extractor.embed(sequences)
alone = [extractor.embed([sequence])[0] for sequence in sequences]
assert all((row == other).all() for row, other in zip(alone, rows))
print(sum(isinstance(part, Packed) for part in extractor.models[0].module.modules()))
print(hashlib.sha256(rows.tobytes()).hexdigest())
"""


def run(folder: Path, workers: int, batch_tokens: int, **variables: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, str(folder), str(workers), str(batch_tokens), HEAVY]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    return done.stdout.split()


@packing
def test_another_process_has_the_same_bits_and_another_instruction_set_keeps_the_rules(
    checkpoints: dict[str, Path],
) -> None:
    extractor = Extractor(checkpoints["esm"], RuntimeSpec(device="cpu"))
    sequences = [HEAVY[start : start + length] for length in (10, 64, 65, 100) for start in range(4)]
    digest = hashlib.sha256(extractor.embed(sequences).tobytes()).hexdigest()
    assert run(checkpoints["esm"], 1, 5000) == ["8", digest]
    assert run(checkpoints["esm"], 2, 200, ONEDNN_MAX_CPU_ISA="AVX2")[0] == "8"


@packing
def test_the_comparison_of_bits_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    keeps_bits.__wrapped__(32, 64)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("kind", "precision"),
    [("esm", "float32"), ("esm", "int8"), ("esm", "bfloat16"), ("bert", "float32"), ("gpt2", "float32")],
)
def test_autocast_and_another_default_format_of_the_caller_change_no_bit(
    checkpoints: dict[str, Path], kind: str, precision: str
) -> None:
    spec = ExtractorSpec.model_validate({"model": str(checkpoints[kind]), "precision": precision})
    expected = Extractor(spec).embed([HEAVY, NANOBODY])
    keeps_bits.cache_clear()
    with torch.autocast("cpu"):
        assert np.array_equal(Extractor(spec).embed([HEAVY, NANOBODY]), expected)
    keeps_bits.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(Extractor(spec).embed([HEAVY, NANOBODY]), expected)
    finally:
        torch.set_default_dtype(torch.float32)
