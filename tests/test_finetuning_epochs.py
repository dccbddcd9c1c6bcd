"""Epochs of a fine-tuning: losses fall, and the best epoch is kept."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from antibody_esm import Extractor, ExtractorSpec, FineTuneSpec
from antibody_esm.plm.finetuning import adapted
from antibody_esm.plm.heads import Head
from trainings import FAST, LABEL, TEXTS, checkpoint, texts, tuned


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    spec = FAST.model_copy(update={"epochs": 6, "patience": 6, "learning_rate": 0.05})
    adapter = tuned(spec)
    losses = [epoch.validation for epoch in adapter.facts.history]
    assert adapter.facts.epochs == int(np.argmin(losses))
    assert len(losses) == 7
    shorter = tuned(spec.model_copy(update={"epochs": max(1, adapter.facts.epochs)}))
    assert {name: tensor.tobytes() for name, tensor in shorter.tensors.items()} == {
        name: tensor.tobytes() for name, tensor in adapter.tensors.items()
    }
    assert shorter.facts.history == adapter.facts.history[: len(shorter.facts.history)]


def test_a_loss_that_is_not_finite_ends_the_training_at_the_best_epoch_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    adapter = tuned(FAST.model_copy(update={"epochs": 6, "patience": 6, "learning_rate": 1e30}))
    assert "is not finite, and training ends" in caplog.text
    assert len(adapter.facts.history) < 7
    assert adapter.facts.epochs == int(np.argmin([epoch.validation for epoch in adapter.facts.history]))
    assert all(np.isfinite(tensor).all() for tensor in adapter.tensors.values())


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 + 0.1, -1e8])
def test_equal_labels_of_the_rows_that_are_trained_on_have_finite_losses(value: float) -> None:
    inner, held_out = np.arange(20), np.arange(20, 24)
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 4)))
    label = torch.full((24,), value, dtype=torch.float64)
    label[20:] += 1
    head = Head(rows, label, inner, held_out, True, None, "cpu")
    with torch.no_grad():
        losses = head.losses(list(range(24)), rows.float())
    assert float(losses.max()) < 10


def test_training_ends_when_patience_does() -> None:
    spec = FAST.model_copy(update={"epochs": 50, "patience": 2, "learning_rate": 0.5})
    facts = tuned(spec).facts
    assert len(facts.history) - 1 == facts.epochs + 2 < 50


def test_an_adapter_of_epoch_0_gives_the_frozen_vectors() -> None:
    adapter = tuned(FAST.model_copy(update={"epochs": 1, "learning_rate": 100.0}))
    assert adapter.facts.epochs == 0
    extractor = ExtractorSpec(model=checkpoint("esm"))
    assert np.array_equal(Extractor(adapted(extractor, adapter)).embed(TEXTS), Extractor(extractor).embed(TEXTS))


@pytest.mark.parametrize(
    "spec", [FAST, FineTuneSpec(method="head", pooling="attention", learning_rate=0.05, epochs=20)]
)
@pytest.mark.parametrize("continuous", [False, True])
def test_the_training_loss_falls(spec: FineTuneSpec, continuous: bool) -> None:
    rows = texts(60)
    number = np.array([text.count("W") + text.count("Y") for text in rows])
    label = number if continuous else (number > 1).astype(int)
    spec = spec.model_copy(update={"epochs": 10, "patience": 10})
    history = tuned(spec, rows=rows, label=label, continuous=continuous).facts.history
    assert history[-1].training < history[0].training


@pytest.mark.parametrize("learning_rate", [1e3, 1e20, 1e30])
@pytest.mark.parametrize("continuous", [False, True])
def test_the_best_finite_epoch_is_kept(learning_rate: float, continuous: bool) -> None:
    spec = FAST.model_copy(update={"learning_rate": learning_rate, "epochs": 6})
    facts = tuned(spec, continuous=continuous).facts
    losses = [epoch.validation for epoch in facts.history]
    assert np.isfinite(losses).all()
    assert facts.epochs == int(np.argmin(losses))


@pytest.mark.parametrize(
    "label", [1e8 + 1e-7 * LABEL, 1e200 * LABEL, -1.7e308 * LABEL, np.where(LABEL, 1e8, 1e-8), 1e-200 * LABEL]
)
def test_numbers_of_any_size_are_learnt(label: NDArray[np.float64]) -> None:
    history = tuned(label=label, continuous=True).facts.history
    assert all(0 <= epoch.validation < 1e30 for epoch in history)


def test_inner_labels_that_hardly_differ_are_scaled_by_all() -> None:
    values = np.r_[np.full(22, 1e8), 1e8 + 1e-6, 0]
    assert np.isfinite([epoch.validation for epoch in tuned(label=values, continuous=True).facts.history]).all()
