"""Language model in memory, which turns sequences of one length into rows in the calling thread."""

import copy
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Rows
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.batching import FEWEST, in_company
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.families import family_of, max_length, shorten
from antibody_esm.plm.hidden_states import HiddenStates
from antibody_esm.plm.initialisation import initialised
from antibody_esm.plm.lora import merge
from antibody_esm.plm.pooling import gather, groups, pool, pool_groups
from antibody_esm.plm.proof import forward_errors, plain_numbers, prove
from antibody_esm.plm.regions import Residues, places
from antibody_esm.plm.transfer import Fetched, Turns, to_device
from antibody_esm.plm.vocabulary import Vocabulary
from antibody_esm.plm.weights import read_weights
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.storage_formats import rounded

if TYPE_CHECKING:
    import torch


class Model:
    """A language model on one device.

    On one CPU a row has the same bits with any neighbours and at any place in a batch. Five rules
    keep its bits (on a GPU last bits may differ, and rows of any length share a pass):

    - The sequences of a pass have one length, so there is no padding and no mask.
    - A pass uses one torch thread.
    - A pass has at least `FEWEST` tokens; shorter ones are repeated.
    - No row is alone in a pass, unless all layers give the same bits for a lone row (`alone_as_in_company`).
    - If rows of a length would depend on their place in memory, each pass has one sequence (`runs_apart`).

    Parameters
    ----------
    checkpoint
        Files from which the module was read.
    vocabulary
        Table of their tokenizer.
    module
        Module of torch, on its device and in evaluation.
    attention
        Weights ``(dim,)`` of ``pooling="attention"``; None without them.

    Raises
    ------
    CheckpointError
        If the module gives no state for each token, see `prove`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        vocabulary: Vocabulary,
        module: Any,
        attention: NDArray[np.float32] | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.vocabulary = vocabulary
        self.module = module
        self._attention = None if attention is None else to_device(attention.copy(), module.device)
        family = family_of(checkpoint)
        path = family.layers
        self._turns = Turns(module.device.type)
        self._apart = family.apart
        self._listed = prove(checkpoint, vocabulary, module, max_length(checkpoint) - vocabulary.further, path is None)
        self._hidden = None if path is None else HiddenStates(module.get_submodule(path))

    @classmethod
    def read(
        cls,
        checkpoint: Checkpoint,
        vocabulary: Vocabulary,
        spec: ResolvedExtractorSpec,
        devices: Sequence[str],
        adapter: Adapter | None = None,
    ) -> "list[Model]":
        """Return one model for each device, without the layers above the spec's, with the adapter's updates.

        Raises
        ------
        CheckpointError
            If the weights cannot be read, do not fit the configuration, changed since the spec was resolved, or cannot
            run in the spec's precision; or if the adapter is that of another model.
        """
        module = _module(checkpoint, spec, devices[0], adapter)
        modules = [module, *(copy.deepcopy(module).to(device) for device in devices[1:])]
        attention = None if adapter is None else adapter.pooling
        return [cls(checkpoint, vocabulary, copied, attention) for copied in modules]

    def run(self, sequences: list[str], specs: Sequence[ResolvedExtractorSpec], residues: Residues) -> list[Rows]:
        """Return one array ``(n, dim)`` for each spec, rounded as in the store.

        Parameters
        ----------
        sequences
            ``n`` sequences of one number of tokens, not above the model's longest.
        specs
            Views of this model, with no layer above its last.
        residues
            Residues of the specs' regions in each sequence.

        Raises
        ------
        CheckpointError
            If a number is not finite, or too large for the storage of its spec.
        """
        apart = self.runs_apart(self.vocabulary.length(sequences[0]))
        passes = [[sequence] for sequence in sequences] if apart else [sequences]
        with self._turns.taken():
            launched = [self._launch(batch, specs, residues) for batch in passes]
        parts = [self._fetch(rows, specs, len(batch)) for rows, batch in zip(launched, passes, strict=True)]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)] if len(parts) > 1 else parts[0]

    def states(self, sequences: list[str], layer: int, special: bool = False) -> list[Rows]:
        """Return the states ``(residues, dim)`` of one layer for each of ``n`` sequences with one number of tokens.

        With `special`, they are ``(tokens, dim)``.
        """
        if len(sequences) > 1 and self.runs_apart(self.vocabulary.length(sequences[0])):
            return [states for sequence in sequences for states in self.states([sequence], layer, special)]
        outputs: list[Fetched] = []
        with self._turns.taken():
            self._forward(sequences, [layer], lambda _, states: outputs.append(Fetched(states.float())))
        states = outputs[0].wait()
        if special:
            return list(states[: len(sequences)])
        shown = places(sequences, "all") or [np.arange(len(sequence)) for sequence in sequences]
        chosen = map(self.vocabulary.places, sequences, shown)
        return [states[row, tokens] for row, tokens in enumerate(chosen)]

    def runs_apart(self, tokens: int) -> bool:
        """Return True if sequences of so many tokens need a pass each.

        Attention without a fused kernel multiplies contiguous matrices of ``(tokens, tokens)``, one for each head. If
        the matrices of a sequence do not fill a multiple of 16 bytes, those of the next sequence have another
        alignment, by which the matrix library chooses its method; this changes the last bit. A sequence alone always
        has the same alignment. On a GPU no bits are promised, and all run together.
        """
        if self.module.device.type != "cpu":
            return False
        if self._apart:
            return True
        fused = self.module.config._attn_implementation != "eager"
        heads = getattr(self.module.config, "num_attention_heads", None)  # none in models without attention
        return heads is None or (not fused and heads * tokens * tokens % 4 != 0)

    @cached_property
    def _runs_lone_rows(self) -> bool:
        from antibody_esm.plm.fused import alone_as_in_company

        return alone_as_in_company(self.module)

    def _launch(
        self, sequences: list[str], specs: Sequence[ResolvedExtractorSpec], residues: Residues
    ) -> dict[ResolvedExtractorSpec, Fetched]:
        by_spec: dict[ResolvedExtractorSpec, Fetched] = {}
        batch = in_company(sequences)
        prefix, suffix = len(self.vocabulary.prefix), len(self.vocabulary.suffix)
        grouped = {
            region: groups([self.vocabulary.places(sequence, by_sequence[sequence]) for sequence in batch])
            for region, by_sequence in residues.items()
            if by_sequence is not None
        }

        def pool_layer(layer: int, states: "torch.Tensor") -> None:
            states = states.float()
            gathered = {region: gather(states, grouped[region]) for region in grouped}
            for spec in specs:
                if spec.layer == layer:
                    if spec.pooling == "cls" or spec.special_tokens == "include":
                        rows = pool(states, spec.pooling, self._attention)
                    elif spec.region in gathered:
                        rows = pool_groups(gathered[spec.region], spec.pooling, len(batch), self._attention)
                    else:
                        rows = pool(states[:, prefix : states.shape[1] - suffix], spec.pooling, self._attention)
                    by_spec[spec] = Fetched(rows)

        self._forward(sequences, sorted({spec.layer for spec in specs}), pool_layer)
        return by_spec

    def _fetch(
        self, launched: dict[ResolvedExtractorSpec, Fetched], specs: Sequence[ResolvedExtractorSpec], n: int
    ) -> list[Rows]:
        by_spec = {spec: self._stored(rows.wait(), spec) for spec, rows in launched.items()}
        return [by_spec[spec][:n] for spec in specs]

    def _forward(
        self, sequences: list[str], layers: Collection[int], use: "Callable[[int, torch.Tensor], None]"
    ) -> None:
        """Run one pass, and call `use` with the states ``(n, tokens, dim)`` of each layer; a lone row occurs twice."""
        import torch

        device = self.module.device
        if device.type == "cpu" and torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        runs_once = len(sequences) == 1 and self._runs_lone_rows
        encoded = self.vocabulary.encode(sequences if runs_once else in_company(sequences))
        tokens = to_device(np.tile(encoded, (ceil(FEWEST / encoded.size), 1)), device)

        def without_copies(layer: int, states: "torch.Tensor") -> None:
            # Sums over one sequence alone may run in another order.
            use(layer, states[:1].repeat(2, 1, 1) if runs_once else states[: max(2, len(sequences))])

        last = self.checkpoint.layers
        inner = [layer for layer in layers if layer != last]
        if inner and self._hidden is None and self._listed != last + 1:
            raise self.checkpoint.error(
                f"models of its type give {self._listed or 'no'} states of {last} layers, so that only the last layer "
                "can be read: layer=None"
            )
        with forward_errors(self.checkpoint, tokens), plain_numbers(device.type):
            if not inner:
                without_copies(last, self.module(input_ids=tokens).last_hidden_state)
            elif self._hidden is None:
                states = self.module(input_ids=tokens, output_hidden_states=True).hidden_states
                for layer in layers:
                    without_copies(layer, states[layer])
            else:  # states are freed after use
                with self._hidden.used(inner, without_copies):
                    output = self.module(input_ids=tokens)
                if last in layers:
                    without_copies(last, output.last_hidden_state)

    def _stored(self, rows: Rows, spec: ResolvedExtractorSpec) -> Rows:
        if not np.isfinite(rows).all():
            raise self.checkpoint.error(f"its vectors are not finite in {spec.precision}; try precision='float32'")
        try:
            return rounded(rows, spec.storage)
        except ValueError as error:
            raise self.checkpoint.error(f"its vectors cannot be kept in this storage: {error}") from error


def _module(checkpoint: Checkpoint, spec: ResolvedExtractorSpec, device: str, adapter: Adapter | None) -> Any:
    """Return the module of torch on its device: updated, shortened, with rewritten layers if its type allows it."""
    import torch

    from antibody_esm.plm.fused import fuse
    from antibody_esm.plm.gpu_layers import rewrite
    from antibody_esm.plm.int8 import quantise

    family = family_of(checkpoint)
    dtype = torch.float32 if spec.precision == "int8" else getattr(torch, spec.precision)
    options = dict(family.model_options)
    if spec.random_weights is None:
        module, unfit = read_weights(checkpoint, family.model_class, dtype, **options)
    else:
        module, unfit = initialised(checkpoint, family.model_class, dtype, spec.random_weights, **options), set()
    unfit = {name for name in unfit if not name.startswith(family.recomputed)}
    if unfit:
        shown = ", ".join(sorted(unfit)[:5])
        raise checkpoint.error(f"its weights do not fit its config.json; they would be random in {shown}")
    if checkpoint.digest != spec.digest:
        raise checkpoint.error("its files changed while they were in use")
    if adapter is not None:
        merge(checkpoint, module, adapter)
    shorten(module, family, spec.layer)
    module = module.to(device).eval()
    fuse(module, packed=spec.precision != "int8")
    if module.device.type == "cuda" and spec.precision != "int8":
        rewrite(module)
    if spec.precision == "int8":
        try:
            quantise(module)
        except ValueError as error:
            raise checkpoint.error(f"it cannot run in int8: {error}") from error
    return module
