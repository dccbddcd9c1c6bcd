"""Fine-tuning of a language model: an adapter from texts and labels."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.adapter_folders import AdapterFolder, offer
from antibody_esm.plm.adapters import POOLING, Adapter, AdapterFacts, Epoch
from antibody_esm.plm.devices import torch_threads_restored
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.families import family_of, shorten
from antibody_esm.plm.heads import first_head, losses
from antibody_esm.plm.lora import inject, targets
from antibody_esm.plm.regions import places
from antibody_esm.plm.training_passes import Passes, Text, parts, read
from antibody_esm.plm.training_rows import TrainingRows
from antibody_esm.plm.weights import read_weights
from antibody_esm.specs import ExtractorSpec, RuntimeSpec
from antibody_esm.specs.finetuning import FineTuneSpec, refuse_unsuited

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("antibody_esm")

_ONE_AT_A_TIME = RLock()
"""A training uses all cores, so that trainings of one process take turns."""


def adapted(extractor: ExtractorSpec, adapter: Adapter) -> ExtractorSpec:
    """Return the spec of the fine-tuned model: with the adapter, and its pooling.

    Examples
    --------
    >>> adapted(ExtractorSpec(model="antiberty"), adapter).pooling  # doctest: +SKIP
    'attention'
    """
    fields = {"adapter": adapter.digest, "pooling": adapter.facts.spec.pooling}
    return ExtractorSpec.model_validate(dict(extractor) | fields)


def finetune(
    spec: FineTuneSpec,
    extractor: ExtractorSpec,
    texts: Sequence[str],
    label: NDArray[np.generic],
    units: NDArray[np.generic] | None = None,
    *,
    continuous: bool,
    runtime: RuntimeSpec | None = None,
    folder: Path | str | None = None,
) -> Adapter:
    """Return the adapter of a language model that was fine-tuned on labelled texts.

    The same spec, rows and machine give the same bytes on a CPU, whatever the order of rows and the number of workers
    and of torch's threads. One training runs at a time in a process.

    Parameters
    ----------
    spec
        Settings of the training.
    extractor
        Model, layer and residues; its pooling is that of `spec`. Number formats of weights and vectors have no effect:
        a training computes in float32, on a GPU in bfloat16 with weights in float32.
    texts
        ``n`` inputs of the model in normal form; a pair has ``|`` between its chains.
    label
        ``(n,)``, 0 and 1 or, if `continuous`, numbers.
    units
        ``(n,)``, rows of one unit are held out for early stopping together; None has a unit for each row.
    continuous
        True for labels that are numbers, whose loss is the squared error; classes have the cross entropy.
    runtime
        Device, workers, progress, and places of the model's files.
    folder
        Folder that keeps adapters by the key of their training: one that is there is returned. None trains, and keeps
        the adapter in memory.

    Raises
    ------
    ValueError
        If the extractor or the labels do not suit, or the rows are of one unit.
    SequenceError, CheckpointError
        As `Extractor.embed`; or if the type of model has no linear maps that are known here.
    ImportError
        Without peft, for ``method="lora"``.
    """
    refuse_unsuited(spec, extractor)
    rows = _checked(texts, label, units, continuous)
    plain = extractor.model_copy(update={"precision": "float32", "storage": "float32"})
    frozen = Extractor(plain, runtime)
    key = rows.key(spec, frozen.resolved, continuous)
    kept = None if folder is None else AdapterFolder(folder)
    with _ONE_AT_A_TIME, torch_threads_restored():
        adapter = None if kept is None else kept.trained(key)
        if adapter is not None and adapter.facts.base == frozen.resolved.digest and adapter.facts.spec == spec:
            return adapter
        adapter = _Training(spec, frozen, rows, continuous).run()
        if kept is None:
            offer(adapter)
        else:
            kept.keep(key, adapter)
    return adapter


def _checked(
    texts: Sequence[str], label: NDArray[np.generic], units: NDArray[np.generic] | None, continuous: bool
) -> TrainingRows:
    """Return the rows of a training. Raises ValueError if lengths or labels do not suit."""
    values = np.asarray(label, np.float64)
    if values.shape != (len(texts),) or (units is not None and len(units) != len(texts)):
        raise ValueError(f"{len(texts)} texts need as many labels and units")
    if not np.isfinite(values).all() or (not continuous and not np.isin(values, (0, 1)).all()):
        raise ValueError("labels are finite numbers, and 0 and 1 for classes")
    if len(np.unique(values)) < 2:
        raise ValueError("fine-tuning needs two labels that differ")
    return TrainingRows.of(texts, values, units)


class _Training:
    """One training, from the frozen model to the adapter."""

    def __init__(self, spec: FineTuneSpec, frozen: Extractor, rows: TrainingRows, continuous: bool) -> None:
        self.spec = spec
        self.frozen = frozen
        self.rows = rows
        self.continuous = continuous
        self.inner, self.held_out = rows.divided(spec.validation, spec.seed)
        self.device = frozen.device
        self.texts = self._read()

    def _read(self) -> list[list[Text]]:
        """Return the tokens of each row."""
        frozen, spec = self.frozen, self.frozen.spec
        chains = self.rows.chains(spec.pairs == "joined")
        if len({len(row) for row in chains}) > 1:
            raise ValueError("some rows are pairs, and others single chains")
        every = list(dict.fromkeys(text for row in chains for text in row))
        frozen.check(every)
        cut = [text[: frozen.max_length] for text in every]
        shown = places(cut, spec.region, spec.species, spec.engines) or [np.arange(len(short)) for short in cut]
        special = spec.special_tokens == "include"
        by_text = {
            text: read(frozen.vocabulary, short, residues, special)
            for text, short, residues in zip(every, cut, shown, strict=True)
        }
        return [[by_text[text] for text in row] for row in chains]

    def run(self) -> Adapter:
        """Train, and return the adapter of the best epoch."""
        import torch

        from antibody_esm.plm.dropout import Noise

        self.noise = Noise(self.spec.dropout, self.spec.seed)

        began = time.perf_counter()
        workers = self.frozen.workers if self.device == "cpu" else 1
        with ThreadPoolExecutor(workers, "finetune", torch.set_num_threads, (1,)) as pool:
            torch.set_num_threads(1)
            self.map = pool.map
            adapter = self._trained()
        logger.info(
            "fine-tuned %s on %d rows in %.0f s: epoch %d of %d, validation loss %.3f (frozen: %.3f)",
            self.frozen.spec.model,
            len(self.rows),
            time.perf_counter() - began,
            adapter.facts.epochs,
            len(adapter.facts.history) - 1,
            adapter.facts.history[adapter.facts.epochs].validation,
            adapter.facts.history[0].validation,
        )
        return adapter

    def _trained(self) -> Adapter:
        import torch

        spec, checkpoint, layer = self.spec, self.frozen.checkpoint, self.frozen.resolved.layer
        family = family_of(checkpoint)
        module, _ = read_weights(checkpoint, family.model_class, torch.float32, **dict(family.model_options))
        shorten(module, family, layer)
        module = module.to(self.device).eval().requires_grad_(False)
        matrices: dict[str, Any] = {}
        if spec.method == "lora":
            names = targets(checkpoint, module, spec, layer)
            matrices = inject(module, names, spec, self.noise)
        self.passes = Passes(module, self.device)
        self._begin(matrices)
        history = [Epoch(training=self._loss(self.inner), validation=self._loss(self.held_out))]
        best, kept = 0, self._tensors()
        optimizer = torch.optim.AdamW(self.parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay)
        while len(history) <= spec.epochs and len(history) - best <= spec.patience:
            training = self._epoch(len(history), optimizer)
            history.append(Epoch(training=training, validation=self._loss(self.held_out)))
            if history[-1].validation < history[best].validation:
                best, kept = len(history) - 1, self._tensors()
        facts = AdapterFacts(
            base=self.frozen.resolved.digest,
            spec=spec,
            layer=layer,
            continuous=self.continuous,
            rows=len(self.rows),
            held_out=len(self.held_out),
            epochs=best,
            history=tuple(history),
        )
        return Adapter(kept, facts)

    def _begin(self, matrices: dict[str, Any]) -> None:
        """Set the parameters to those of the frozen model, with the best head on its vectors."""
        import torch

        with torch.no_grad():
            pooled = list(self.map(self._frozen_part, self._parts(np.arange(len(self.rows)))))
        vectors = torch.empty((len(self.rows), pooled[0][1].shape[1]), dtype=torch.float64)
        for part, rows, *_ in pooled:
            vectors[part] = rows
        label = torch.from_numpy(self.rows.label)
        if self.continuous:
            label = (label - label[self.inner].mean()) / label[self.inner].std(correction=0).clamp(min=1e-12)
        inner, held_out = vectors[self.inner], vectors[self.held_out]
        mean, deviation = inner.mean(0), inner.std(0, correction=0)
        deviation = torch.where(deviation > 1e-9 * (1 + mean.abs()), deviation, torch.ones_like(deviation))
        weights, intercept = first_head(
            (inner - mean) / deviation,
            label[self.inner],
            (held_out - mean) / deviation,
            label[self.held_out],
            self.continuous,
        )
        self.label = label.float().to(self.device)
        self.mean, self.deviation = mean.float().to(self.device), deviation.float().to(self.device)
        self.head = weights.float().to(self.device).requires_grad_()
        self.intercept = intercept.float().to(self.device).requires_grad_()
        self.matrices = matrices
        self.parameters = [*matrices.values(), self.head, self.intercept]
        self.pooling = None
        if self.spec.pooling == "attention":
            count = sum(each[2] for each in pooled)
            first = sum(each[3] for each in pooled) / count
            spread = (sum(each[4] for each in pooled) / count - first.square()).clamp(min=0).sqrt()
            self.spread = torch.where(spread > 1e-9, spread, torch.ones_like(spread)).float().to(self.device)
            self.pooling = torch.zeros_like(self.spread).requires_grad_()
            self.parameters.append(self.pooling)

    def _frozen_part(self, part: list[int]) -> "tuple[list[int], torch.Tensor, int, torch.Tensor, torch.Tensor]":
        """Return a part's vectors by their mean; number, sum and sum of squares of its pooled states, in float64."""
        import torch

        with torch.no_grad():
            vectors = self.passes.vectors([self.texts[row] for row in part], None)
            count, total, squares = 0, 0.0, 0.0
            if self.spec.pooling == "attention":
                for _, states, pooled in self.passes.states([text for row in part for text in self.texts[row]]):
                    shown = states[pooled].double()
                    count += len(shown)
                    total, squares = total + shown.sum(0), squares + shown.square().sum(0)
        return part, vectors.double().cpu(), count, total, squares

    def _parts(self, rows: NDArray[np.int64]) -> list[list[int]]:
        return parts(rows.tolist(), self.texts)

    @property
    def _attention(self) -> "torch.Tensor | None":
        return None if self.pooling is None else self.pooling / self.spread

    def _losses(self, part: list[int]) -> "torch.Tensor":
        """Return the loss of each row."""
        vectors = self.passes.vectors([self.texts[row] for row in part], self._attention)
        logits = ((vectors - self.mean) / self.deviation) @ self.head + self.intercept
        return losses(logits, self.label[part], self.continuous)

    def _loss(self, rows: NDArray[np.int64]) -> float:
        """Return the mean loss of rows, without dropout."""
        import torch

        def total(part: list[int]) -> float:
            with torch.no_grad():
                return float(self._losses(part).double().sum())

        return sum(self.map(total, self._parts(rows))) / len(rows)

    def _epoch(self, epoch: int, optimizer: "torch.optim.Optimizer") -> float:
        """Take the steps of one epoch, and return the mean loss of the rows."""
        order = np.random.Generator(np.random.PCG64([self.spec.seed, 3, epoch])).permutation(self.inner)
        steps = np.array_split(order, max(1, round(len(order) / self.spec.batch)))
        return sum(self._step(epoch, number, rows, optimizer) for number, rows in enumerate(steps)) / len(order)

    def _step(self, epoch: int, step: int, rows: NDArray[np.int64], optimizer: "torch.optim.Optimizer") -> float:
        """Take one step, and return the sum of the rows' losses."""
        import torch

        def gradients(numbered: tuple[int, list[int]]) -> "tuple[float, tuple[torch.Tensor, ...]]":
            number, part = numbered
            with self.noise.of(epoch, step, number) if self.spec.dropout else torch.enable_grad():
                loss = self._losses(part).sum()
                return float(loss.detach()), torch.autograd.grad(loss / len(rows), self.parameters)

        whole = 0.0
        summed: list[torch.Tensor] = []
        for loss, each in self.map(gradients, enumerate(self._parts(rows))):
            whole += loss
            summed = [total + gradient for total, gradient in zip(summed, each, strict=True)] if summed else list(each)
        for parameter, gradient in zip(self.parameters, summed, strict=True):
            parameter.grad = gradient
        optimizer.step()
        return whole

    def _tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return copies of the adapter's tensors as they are."""
        tensors = dict(self.matrices)
        if (weights := self._attention) is not None:
            tensors[POOLING] = weights
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
