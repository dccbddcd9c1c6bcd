"""Training of an adapter, from the frozen model to the epoch with the lowest validation loss."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.adapters import POOLING, Adapter, AdapterFacts, Epoch
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.families import family_of, shorten
from antibody_esm.plm.heads import Head
from antibody_esm.plm.lora import inject, numbers_of, recompute, targets
from antibody_esm.plm.regions import places
from antibody_esm.plm.schedule import progress_bar
from antibody_esm.plm.training_passes import AT_ONCE, FrozenStates, Map, Passes, States, Text, parts, read, vectors
from antibody_esm.plm.training_rows import TrainingRows
from antibody_esm.plm.weights import read_weights
from antibody_esm.specs.finetuning import FineTuneSpec

if TYPE_CHECKING:
    import torch

    from antibody_esm.plm.dropout import Noise

logger = logging.getLogger("antibody_esm")

_KEPT = 2 * 10**9
"""Most bytes of states below the first updated layer; with more, these layers run in every pass."""


class AdapterTraining:
    """One training.

    On a CPU, a batch is divided into parts of four rows. Each part runs in a thread of Python with one torch thread,
    and gradients are summed in the order of the parts. So neither the number of threads nor their pace changes a bit.

    Parameters
    ----------
    spec
        Settings.
    frozen
        The model, in float32.
    rows
        Rows in their own order.
    continuous
        True for labels that are numbers.

    Raises
    ------
    ValueError, SequenceError, CheckpointError
        As `finetuning.finetune`.
    """

    def __init__(self, spec: FineTuneSpec, frozen: Extractor, rows: TrainingRows, continuous: bool) -> None:
        self.spec = spec
        self.frozen = frozen
        self.rows = rows
        self.continuous = continuous
        divided = rows.divided(spec.validation, spec.seed, continuous=continuous)
        self.inner, self.held_out, self.whole = divided.inner, divided.held_out, divided.whole
        self.texts = self._read()
        self._device = frozen.device
        self._most = AT_ONCE if self._device == "cpu" else spec.batch

    def _read(self) -> list[list[Text]]:
        """Return the inputs of each row."""
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

        began = time.perf_counter()
        workers = self.frozen.workers if self._device == "cpu" else 1
        pool = ThreadPoolExecutor(workers, "finetune", torch.set_num_threads, (1,))
        with torch.inference_mode(False), torch.enable_grad(), pool:
            torch.set_num_threads(1)
            adapter = self._trained(pool.map)
        facts = adapter.facts
        logger.info(
            "%s is fine-tuned on %d rows in %.0f s: epoch %d of %d, validation loss %.4f (frozen: %.4f)",
            self.frozen.spec.model,
            len(self.rows),
            time.perf_counter() - began,
            facts.epochs,
            len(facts.history) - 1,
            facts.history[facts.epochs].validation,
            facts.history[0].validation,
        )
        return adapter

    def _trained(self, run: Map) -> Adapter:
        import torch

        from antibody_esm.plm.dropout import Noise

        spec, noise = self.spec, Noise(self.spec.dropout, self.spec.seed)
        states, matrices = self._states(noise, run)
        head = self._head(states, run)
        steps = _Steps(self, states, head, [*matrices.values(), *head.parameters], noise, run)

        def tensors() -> dict[str, NDArray[np.float32]]:
            weights = head.attention
            every = matrices if weights is None else {**matrices, POOLING: weights}
            return {name: tensor.detach().cpu().numpy().copy() for name, tensor in every.items()}

        optimizer = torch.optim.AdamW(steps.parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay)
        before = steps.loss(self.inner), steps.loss(self.held_out)
        if not np.isfinite(before).all():
            raise ValueError("the loss of the frozen model is not finite: labels are too large, or its states are")
        history = [Epoch(training=before[0], validation=before[1])]
        best, kept = 0, tensors()
        with progress_bar(spec.epochs * len(self.inner), "fine-tuning", "row", self.frozen.runtime.progress) as bar:
            while len(history) <= spec.epochs and len(history) - best <= spec.patience:
                losses = steps.epoch(len(history), optimizer, bar.update), steps.loss(self.held_out)
                if not np.isfinite(losses).all():
                    logger.warning(
                        "epoch %d: the loss is not finite, and training ends; choose a lower learning_rate",
                        len(history),
                    )
                    break
                history.append(Epoch(training=losses[0], validation=losses[1]))
                if history[-1].validation < history[best].validation:
                    best, kept = len(history) - 1, tensors()
                logger.info("epoch %d: training loss %.4f, validation loss %.4f", len(history) - 1, *_of(history[-1]))
            bar.complete()
        facts = AdapterFacts(
            base=self.frozen.resolved.digest,
            spec=spec,
            layer=self.frozen.resolved.layer,
            continuous=self.continuous,
            rows=len(self.rows),
            held_out=len(self.held_out),
            divided="units" if self.whole else "rows",
            epochs=best,
            history=tuple(history),
        )
        return Adapter(kept, facts)

    def _states(self, noise: "Noise", run: Map) -> tuple[States, dict[str, Any]]:
        """Return the states to pool, and the matrices of updates by the names of an adapter's tensors."""
        import torch

        spec, checkpoint, layer = self.spec, self.frozen.checkpoint, self.frozen.resolved.layer
        if spec.method == "head":
            return self._frozen_states(), {}
        family = family_of(checkpoint)
        module, _ = read_weights(checkpoint, family.model_class, torch.float32, **dict(family.model_options))
        names = targets(checkpoint, module, spec, layer)
        shorten(module, family, layer)
        module = module.to(self._device).eval().requires_grad_(False)
        matrices = inject(module, names, spec, noise)
        path, below = str(family.layers), numbers_of(checkpoint, spec, layer)[0] - 1
        passes = Passes(module, self._device)
        texts = list(dict.fromkeys(text for row in self.texts for text in row))
        if below and 4 * checkpoint.dim * sum(len(text.tokens) for text in texts) <= _KEPT:
            passes.keep(texts, path, below, run)
        if self.frozen.runtime.gradient_checkpointing:
            recompute(module, path)
        return passes, matrices

    def _frozen_states(self) -> FrozenStates:
        every = list(dict.fromkeys(text for row in self.texts for text in row))
        special = self.frozen.spec.special_tokens == "include"
        states = self.frozen.residues([text.text for text in every], special)
        return FrozenStates({text: rows[text.rows] for text, rows in zip(every, states, strict=True)}, self._device)

    def _head(self, states: States, run: Map) -> Head:
        """Return the best head of the frozen model."""
        import torch

        attends = self.spec.pooling == "attention"

        def frozen(part: list[int]) -> "tuple[torch.Tensor, list[torch.Tensor]]":
            chains = [self.texts[row] for row in part]
            sums = []
            with torch.no_grad():
                rows = vectors(states, chains, None)
                for _, of_texts, pooled in states.of([text for row in chains for text in row]) if attends else ():
                    shown = of_texts[pooled].double()
                    sums.append(
                        torch.stack([torch.ones_like(shown[0]) * len(shown), shown.sum(0), shown.square().sum(0)])
                    )
            return rows.double().cpu(), sums

        every = self.parts(np.arange(len(self.rows)))
        results = list(run(frozen, every))
        rows = torch.cat([rows for rows, _ in results])
        order = torch.tensor([row for part in every for row in part])
        in_order = torch.empty_like(rows)
        in_order[order] = rows
        spread = None
        if attends:
            count, total, squares = sum(sums for _, of_part in results for sums in of_part)
            spread = (squares / count - (total / count).square()).clamp(min=0).sqrt()
        label = torch.from_numpy(self.rows.label)
        return Head(in_order, label, self.inner, self.held_out, self.continuous, spread, self._device)

    def parts(self, rows: NDArray[np.int64]) -> list[list[int]]:
        """Return rows in parts that run one by one, whatever their order."""
        return parts(rows.tolist(), self.texts, self._most)


@dataclass(frozen=True)
class _Steps:
    """Steps of a training, and losses."""

    training: AdapterTraining
    states: States
    head: Head
    parameters: "list[torch.Tensor]"
    noise: "Noise"
    run: Map

    def _losses(self, part: list[int]) -> "torch.Tensor":
        chains = [self.training.texts[row] for row in part]
        return self.head.losses(part, vectors(self.states, chains, self.head.attention))

    def loss(self, rows: NDArray[np.int64]) -> float:
        """Return the mean loss of rows, without dropout."""
        import torch

        def total(part: list[int]) -> float:
            with torch.no_grad():
                return float(self._losses(part).double().sum())

        return sum(self.run(total, self.training.parts(rows))) / len(rows)

    def epoch(self, epoch: int, optimizer: "torch.optim.Optimizer", done: Callable[[int], object]) -> float:
        """Take the steps of one epoch, and return the mean loss of the rows."""
        spec, inner = self.training.spec, self.training.inner
        order = np.random.Generator(np.random.PCG64([spec.seed, 3, epoch])).permutation(inner)
        whole = 0.0
        for number, rows in enumerate(np.array_split(order, max(1, round(len(order) / spec.batch)))):
            whole += self._step(epoch, number, rows)
            optimizer.step()
            done(len(rows))
        return whole / len(order)

    def _step(self, epoch: int, step: int, rows: NDArray[np.int64]) -> float:
        """Set the gradients of a batch, and return the sum of its rows' losses."""
        import torch

        def gradients(number: int, part: list[int]) -> "tuple[float, tuple[torch.Tensor, ...]]":
            with self.noise.of(epoch, step, number), torch.enable_grad():
                loss = self._losses(part).sum()
                return float(loss.detach()), torch.autograd.grad(loss / len(rows), self.parameters)

        parts = self.training.parts(rows)
        whole, summed = 0.0, [torch.zeros_like(parameter) for parameter in self.parameters]
        for loss, of_part in self.run(gradients, range(len(parts)), parts):
            whole += loss
            for total, gradient in zip(summed, of_part, strict=True):
                total += gradient
        for parameter, gradient in zip(self.parameters, summed, strict=True):
            parameter.grad = gradient
        return whole


def _of(epoch: Epoch) -> tuple[float, float]:
    return epoch.training, epoch.validation
