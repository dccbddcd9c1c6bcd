"""Fine-tuning beside a plain loop of peft: the same model, rank, rows, batches and epochs, in the same run.

The loop pads batches of sixteen, runs on torch's own threads, and has a linear head on the mean of the residues'
states. It trains on all rows; ours trains on 85 % and measures the loss of the others, and its time is given for as
many rows. Rows are the heavy variable domains of Boughter et al. 2020. Times are those of an epoch, in turns; CPU
seconds are the process's own, which a busy machine changes less.
"""

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from antibody_esm import ExtractorSpec, FineTuneSpec, RuntimeSpec, load_dataset
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.devices import torch_threads_restored
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.families import family_of
from antibody_esm.plm.finetuning import finetune
from antibody_esm.plm.weights import read_weights

ROWS = {"sapiens_vh": 669, "antiberty": 48}
"""Rows of an epoch; times are given for 669."""
ALL = 669
ROUNDS = 3
BATCH = 16
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Cost(NamedTuple):
    """Seconds of one epoch."""

    wall: float
    cpu: float


def measured(run: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


class Loop:
    """A loop as users of peft write it."""

    def __init__(self, model: str, sequences: list[str], label: NDArray[np.int64]) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        files = locate(model)
        family = family_of(files)
        module, _ = read_weights(files, family.model_class, torch.float32, **dict(family.model_options))
        config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"])
        self.module = inject_adapter_in_model(config, module.requires_grad_(False)).eval()
        self.head = torch.nn.Linear(files.dim, 1)
        parameters = [*(each for each in self.module.parameters() if each.requires_grad), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=5e-4)
        self.vocabulary = Extractor(model).vocabulary
        self.padding = int(files.config.get("pad_token_id", 0))
        self.sequences, self.label = sequences, torch.from_numpy(label).float()

    def epoch(self) -> None:
        """Take the steps of one epoch."""
        order = torch.randperm(len(self.sequences))
        for rows in order.split(BATCH):
            tokens = [torch.from_numpy(self.vocabulary.encode([self.sequences[row]])[0]) for row in rows]
            padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=self.padding)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(each)) for each in tokens], batch_first=True)
            states = self.module(input_ids=padded, attention_mask=mask.long()).last_hidden_state
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            logits = self.head(pooled)[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, self.label[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


@pytest.mark.parametrize("model", ROWS)
def benchmark_an_epoch_beside_a_loop_of_peft(model: str) -> None:
    data = load_dataset("boughter")
    order = np.random.default_rng(0).permutation(len(data))[: ROWS[model]]
    sequences = [str(data.sequences[row]).partition("|")[0] for row in order]
    label = np.asarray(data.label)[order].astype(np.int64)
    loop = Loop(model, sequences, label)
    settings: dict[str, dict[str, Any]] = {
        "ours": {},
        "recomputed": {"gradient_checkpointing": True},
        "last two layers": {"layers": 2},
    }
    costs: dict[str, list[Cost]] = {name: [] for name in ("loop", *settings)}
    for _ in range(ROUNDS):
        with torch_threads_restored():
            torch.set_num_threads(CORES)
            costs["loop"].append(measured(loop.epoch))
        for name, fields in settings.items():
            costs[name].append(_ours(model, sequences, label, **fields))
    print(f"\n{model}: {ALL} rows, from {len(sequences)}; seconds an epoch")
    print(f"{'':18}{'wall':>8}{'CPU':>8}{'to the loop (range)':>24}")
    scale = ALL / len(sequences)
    for name, each in costs.items():
        ratios = [beside.wall / own.wall for own, beside in zip(each, costs["loop"], strict=True)]
        wall, cpu = (scale * median(column) for column in zip(*each, strict=True))
        print(f"{name:18}{wall:8.1f}{cpu:8.1f}{median(ratios):10.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def _ours(
    model: str, sequences: list[str], label: NDArray[np.int64], layers: int | None = None, **runtime: Any
) -> Cost:
    """Return the cost of one epoch: that of two epochs less that of one, for as many rows as the loop has."""
    costs = []
    for epochs in (1, 2):
        spec = FineTuneSpec(epochs=epochs, patience=9, validation=0.15, batch=BATCH, layers=layers)
        extractor, settings = ExtractorSpec(model=model), RuntimeSpec(progress=False, **runtime)
        run = lambda: finetune(spec, extractor, sequences, label, continuous=False, runtime=settings)  # noqa: B023, E731
        costs.append(measured(run))
    return Cost(*((more - less) / 0.85 for less, more in zip(*costs, strict=True)))
