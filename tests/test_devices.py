"""Logic for devices that are not here, on stand-ins."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Extractor, ExtractorSpec, RuntimeSpec
from antibody_esm.plm import extractor as extractor_module
from antibody_esm.plm.devices import AHEAD, Copies, Fits, concurrent, devices, tokens_at_once
from effort import PATIENCE

SEQUENCES = ["ACDEFGHIKLMNPQRSTVWY"[: 5 + n % 16] + "AG" * (n % 5) for n in range(120)]


@pytest.mark.parametrize(
    ("name", "present", "expected"),
    [
        ("cpu", 2, ["cpu"]),
        ("auto", 0, ["cpu"]),
        ("auto", 2, ["cuda:0"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", 0, ["cuda:0"]),  # which torch then refuses, and says why
        ("cuda:1", 3, ["cuda:1"]),
        ("mps", 0, ["mps"]),
    ],
)
def test_a_name_stands_for_devices(
    name: str, present: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: present)
    assert devices(name) == expected


def limited(rows: int, error: Callable[[], RuntimeError], ran: list[list[int]]) -> Callable[[list[int]], list[int]]:
    def run(batch: list[int]) -> list[int]:
        if len(batch) > rows:
            raise error()
        ran.append(batch)
        return batch

    return run


@given(st.lists(st.integers(0, 99), min_size=1, max_size=40, unique=True), st.integers(1, 40))
def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_nothing_is_lost(batch: list[int], rows: int) -> None:
    ran: list[list[int]] = []
    parts = Fits().in_parts(batch, limited(rows, lambda: torch.OutOfMemoryError("CUDA out of memory."), ran))
    assert parts == ran
    assert [index for part in parts for index in part] == batch
    assert all(len(part) <= rows for part in parts)
    assert len(batch) > rows or len(parts) == 1


@pytest.mark.parametrize("batch", [[7], [7, 7]])
def test_one_sequence_that_does_not_fit_is_the_error_of_the_device(batch: list[int]) -> None:
    with pytest.raises(RuntimeError, match="MPS backend out of memory"):
        Fits().in_parts(batch, limited(0, lambda: RuntimeError("MPS backend out of memory"), []))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 40))
def test_a_size_that_did_not_fit_is_not_tried_again(sizes: list[int], rows: int) -> None:
    fits, tried = Fits(), [0]

    def run(batch: list[int]) -> list[int]:
        if len(batch) > rows:
            assert not any(len(batch) >= refused for refused in tried[1:])
            tried.append(len(batch))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return batch

    for size in sizes:
        batch = list(range(size))
        assert [index for part in fits.in_parts(batch, run) for index in part] == batch


def test_a_matrix_library_without_memory_is_no_other_error() -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    assert Fits().in_parts([1, 2, 3], limited(1, lambda: error, [])) == [[1], [2], [3]]


@given(st.integers(2**30, 2**38), st.sampled_from([320, 480, 512, 640, 1280, 2560, 5120]), st.sampled_from([2, 4]))
def test_a_batch_fills_a_card_and_leaves_memory(memory: int, dim: int, size: int) -> None:
    tokens = tokens_at_once(memory, dim, size)
    assert 1024 <= tokens <= max(1024, 2**26 // dim)
    assert tokens == 1024 or tokens * dim * size * 32 <= memory / 8
    assert tokens <= tokens_at_once(2 * memory, dim, size) <= 2 * tokens + 1


@pytest.mark.parametrize(
    ("names", "batches"), [(["cuda:0"], AHEAD), (["cuda:0", "cuda:1"], 2 * AHEAD), (["mps"], 1), (["cpu"] * 3, 3)]
)
def test_a_card_has_batches_ahead(names: list[str], batches: int) -> None:
    assert concurrent(names) == batches


def test_a_copy_serves_so_many_threads() -> None:
    copies = Copies(["first", "second"], at_once=2)
    with ExitStack() as stack:
        taken = [stack.enter_context(copies.borrowed()) for _ in range(4)]
        assert sorted(taken) == ["first", "first", "second", "second"]
        assert taken[:2] == ["first", "second"]  # both work before either has a second batch


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="device-side assert"):
        Fits().in_parts([1, 2, 3], limited(1, lambda: RuntimeError("device-side assert triggered"), []))


def test_what_a_failed_pass_had_allocated_is_free_before_the_halves_run() -> None:
    class Memory:
        alive = 0

        def __init__(self) -> None:
            Memory.alive += 1

        def __del__(self) -> None:
            Memory.alive -= 1

    def run(batch: list[int]) -> int:
        at_the_start, held = Memory.alive, Memory()
        if len(batch) > 1:
            raise torch.OutOfMemoryError(f"CUDA out of memory. {held}")
        return at_the_start

    assert Fits().in_parts([1, 2, 3, 4], run) == [0, 0, 0, 0]


def test_an_extractor_goes_on_with_halves_and_gives_the_same_vectors(
    tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = SEQUENCES + [one + other + "ACDEFG" for one in "ACDEFGHIKL" for other in "MNPQRSTVWY"]
    expected = Extractor(tiny, RuntimeSpec(device="cpu")).embed(sequences)
    extractor = Extractor(tiny, RuntimeSpec(device="cpu", batch_tokens=2000))
    whole, refused = extractor.models[0].module.forward, []

    def short_of_memory(input_ids: torch.Tensor, **further: Any) -> Any:
        if input_ids.numel() > 126:
            refused.append(len(input_ids))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(input_ids=input_ids, **further)

    monkeypatch.setattr(extractor.models[0].module, "forward", short_of_memory)
    assert np.array_equal(extractor.embed(sequences), expected)
    assert refused
    assert extractor.computed == len(set(sequences))
    states = list(extractor.residues(SEQUENCES[:30]))
    assert [len(one) for one in states] == [len(sequence) for sequence in SEQUENCES[:30]]


def test_every_device_has_a_copy_which_one_worker_at_a_time_runs(
    tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Extractor(tiny, RuntimeSpec(device="cpu")).embed(SEQUENCES)
    monkeypatch.setattr(extractor_module, "devices", lambda name: ["cpu", "cpu", "cpu"])
    extractor = Extractor(tiny, RuntimeSpec(device="cuda", batch_tokens=60))
    runs: dict[int, int] = {}
    threads = torch.get_num_threads()
    busy: set[int] = set()
    for number, model in enumerate(model.module for model in extractor.models):

        def before(*_: Any, number: int = number) -> None:
            assert number not in busy
            busy.add(number)
            time.sleep(0.001)
            runs[number] = runs.get(number, 0) + 1

        model.register_forward_pre_hook(before)
        model.register_forward_hook(lambda *_, number=number: busy.remove(number))
    torch.set_num_threads(1)  # as every worker of a CPU does, for the bits
    try:
        assert np.array_equal(extractor.embed(SEQUENCES), expected)
    finally:
        torch.set_num_threads(threads)
    assert sorted(runs) == [0, 1, 2]
    weights = [next(model.parameters()).data_ptr() for model in (model.module for model in extractor.models)]
    assert len(set(weights)) == 3


def test_inner_layers_of_every_copy_are_tapped(tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    views = [spec.resolve() for spec in tiny.views([0, 1, 2])]
    [(_, expected)] = Extractor(tiny, RuntimeSpec(device="cpu")).stream_views(["EVQL"], views)
    monkeypatch.setattr(extractor_module, "devices", lambda name: ["cpu", "cpu"])
    extractor = Extractor(tiny)
    for _ in range(4):  # whichever copy takes it
        for indices, rows in extractor.stream_views(["EVQL"], views):
            assert indices == [0]
            for one, other in zip(rows, expected, strict=True):
                np.testing.assert_allclose(one[0], other[0], atol=1e-6)


def test_a_single_model_is_for_all_threads_at_once() -> None:
    copies = Copies([object()])
    inside, both = threading.Barrier(2, timeout=PATIENCE), []

    def use() -> None:
        with copies.borrowed() as model:
            inside.wait()
            both.append(model)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both[0] is both[1]
