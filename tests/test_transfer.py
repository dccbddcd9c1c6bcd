"""Batches of a device are launched ahead of the rows that are fetched; logic of a CUDA device, run on a CPU.

No test here has seen a card: `benchmarks/gpu.py` compares a card's rows with a CPU's.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed
from antibody_esm.errors import CheckpointError
from antibody_esm.plm import devices as devices_module
from antibody_esm.plm import extractor as extractor_module
from antibody_esm.plm import model as model_module
from antibody_esm.plm.devices import AHEAD, concurrent
from antibody_esm.plm.transfer import Fetched, Turns, to_device
from effort import PATIENCE

SEQUENCES = ["ACDEFGHIKLMNPQRSTVWY"[: 5 + n % 16] + "AG" * (n % 5) for n in range(80)]
"""Distinct."""


@pytest.fixture
def precision() -> Iterator[Callable[[], str]]:
    """Precision of products of float32 on CUDA devices, restored at the end."""
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    yield lambda: products.fp32_precision
    products.fp32_precision = before


@pytest.fixture
def as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extractors schedule a CPU as they schedule a CUDA device."""
    monkeypatch.setattr(model_module, "Turns", lambda _: Turns("cuda"))
    monkeypatch.setattr(devices_module, "_ahead", lambda _: AHEAD)
    monkeypatch.setattr(extractor_module, "devices", lambda name: ["cpu"] if name == "cpu" else ["cpu", "cpu"])
    monkeypatch.setattr(Extractor, "workers", property(lambda self: concurrent(self._devices)))


@pytest.mark.usefixtures("as_on_a_card")
def test_a_batch_is_launched_before_the_rows_of_the_one_before_are_fetched(
    tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = RuntimeSpec(device="cpu", batch_tokens=60)
    expected = Extractor(tiny, RuntimeSpec(device="cpu")).embed(SEQUENCES)
    extractor = Extractor(tiny, runtime)
    total = len(extractor.batches(SEQUENCES))
    launched, fetched = 0, 0
    changed = threading.Condition()

    class Slow(Fetched):
        """Rows that arrive only when another batch is launched behind them, as long as there is one."""

        def __init__(self, numbers: torch.Tensor) -> None:
            super().__init__(numbers)
            nonlocal launched
            with changed:
                launched += 1
                self.number = launched
                changed.notify_all()

        def wait(self) -> Any:
            nonlocal fetched
            with changed:
                assert changed.wait_for(lambda: launched > self.number or launched == total, PATIENCE)
                fetched += 1
            return super().wait()

    monkeypatch.setattr(model_module, "Fetched", Slow)
    busy = threading.Lock()
    module = extractor.models[0].module

    def begin(*_: Any) -> None:
        assert busy.acquire(blocking=False), "two passes at a time"

    module.register_forward_pre_hook(begin)
    module.register_forward_hook(lambda *_: busy.release())
    assert np.array_equal(extractor.embed(SEQUENCES), expected)
    assert launched == fetched == total > 10


@pytest.mark.usefixtures("as_on_a_card")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_rows_in_a_store_are_those_of_a_cpu_and_none_is_lost(tiny: ExtractorSpec, tmp_path: Any, device: str) -> None:
    expected = Extractor(tiny, RuntimeSpec(device="cpu")).embed(SEQUENCES)
    runtime = RuntimeSpec(device=device, batch_tokens=60)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two copies on "cuda" are no workers of a CPU, whose threads the schedule sets
    try:
        assert np.array_equal(embed(SEQUENCES, tiny, tmp_path, runtime), expected)
    finally:
        torch.set_num_threads(threads)
    assert EmbeddingStore(tmp_path).stats().rows == len(set(SEQUENCES))


@pytest.mark.usefixtures("as_on_a_card")
def test_a_pass_that_fails_gives_its_turn_back(tiny: ExtractorSpec) -> None:
    extractor = Extractor(tiny, RuntimeSpec(device="cpu", batch_tokens=60))
    fail = [True]

    def once(*_: Any) -> None:
        if fail.pop() if fail else False:
            raise RuntimeError("device-side assert triggered")

    extractor.models[0].module.register_forward_pre_hook(once)
    with pytest.raises(CheckpointError, match="device-side"):
        extractor.embed(SEQUENCES)
    assert extractor.embed(SEQUENCES).shape == (len(SEQUENCES), extractor.dim)


def test_threads_take_turns_on_a_card_and_share_a_cpu() -> None:
    inside = threading.Barrier(2, timeout=0.2)

    def together(turns: Turns) -> bool:
        met: list[bool] = []

        def take() -> None:
            with turns.taken():
                try:
                    inside.wait()
                    met.append(True)
                except threading.BrokenBarrierError:
                    met.append(False)

        threads = [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        inside.reset()
        return all(met)

    assert together(Turns("cpu"))
    assert not together(Turns("cuda"))


@pytest.mark.parametrize("before", ["tf32", "ieee", "none"])
def test_float32_is_exact_in_a_turn_on_a_card_and_as_before_after_the_last_one(
    before: str, precision: Callable[[], str]
) -> None:
    torch.backends.cuda.matmul.fp32_precision = before
    outside = precision()
    first, second = Turns("cuda"), Turns("cuda")
    with first.taken():
        assert precision() != "tf32"
        with second.taken():  # of another card
            assert precision() != "tf32"
        assert precision() != "tf32"
    assert precision() == outside
    with pytest.raises(KeyError), first.taken():
        raise KeyError
    assert precision() == outside
    with Turns("cpu").taken():
        assert precision() == outside


def test_numbers_arrive_as_they_were() -> None:
    tokens = np.arange(12).reshape(3, 4)
    assert np.array_equal(to_device(tokens, torch.device("cpu")).numpy(), tokens)
    assert to_device(tokens, torch.device("meta")).device.type == "meta"
    rows = torch.randn(3, 4)
    assert np.array_equal(Fetched(rows).wait(), rows.numpy())
