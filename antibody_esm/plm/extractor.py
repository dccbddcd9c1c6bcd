"""Run a language model over sequences."""

import logging
import random
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm import presets
from antibody_esm.errors import CheckpointError
from antibody_esm.plm import elsewhere
from antibody_esm.plm.batching import FEWEST, batches
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.devices import Copies, devices, in_parts, torch_threads_restored
from antibody_esm.plm.families import Vocabulary, family_of, max_length, shorten, vocabulary_of
from antibody_esm.plm.forecast import Forecast
from antibody_esm.plm.loading import read_weights
from antibody_esm.plm.pairs import chains, side_by_side
from antibody_esm.plm.pooling import gather, groups, pool, pool_groups
from antibody_esm.plm.progress import progress_bar, watched
from antibody_esm.plm.regions import places
from antibody_esm.plm.resolution import find
from antibody_esm.plm.taps import Taps
from antibody_esm.quantisation import rounded
from antibody_esm.sequences import UNKNOWN, normalise, refuse_longer
from antibody_esm.specs import ExtractorSpec, Region, ResolvedExtractorSpec, RuntimeSpec
from antibody_esm.threads import Finishing, closing, runs_elsewhere

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

logger = logging.getLogger("antibody_esm")

_RESIDUES_AT_ONCE = 256
"""Sequences whose residues' states are held in memory together."""


class Extractor:
    """A language model that turns sequences into vectors.

    On one CPU a sequence's vector is the same bit for bit whatever its batch, its place and the number of workers:
    batches hold sequences of one length, so there is no padding and no mask, and every worker uses one torch thread.

    Parameters
    ----------
    spec
        A preset's name, a local folder, or an `ExtractorSpec`.
    runtime
        Device, workers and progress bar, none of which changes a vector.

    Attributes
    ----------
    computed
        Sequences that went through the language model since this object was made.

    Examples
    --------
    >>> extractor = Extractor("antiberty")
    >>> extractor.embed(["EVQLVESGGGLVQPGG", "QVQLQQSGAELARPGA"]).shape
    (2, 512)
    """

    def __init__(self, spec: str | Path | ExtractorSpec, runtime: RuntimeSpec | None = None) -> None:
        self.spec = presets.one_model(spec)
        self.runtime = runtime or RuntimeSpec()
        self.computed = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r}, {self.runtime!r})"

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The model's files; found when first asked for."""
        return find(self.spec)

    @cached_property
    def resolved(self) -> ResolvedExtractorSpec:
        """The address of this extractor's rows in a store."""
        return self.spec.resolve()

    @property
    def pinned(self) -> ExtractorSpec:
        """The spec, pinned to the model that this extractor runs, whatever becomes of its files."""
        return self.spec.pinned_to(self.resolved)

    @property
    def device(self) -> str:
        """Where the model runs; of several devices, the first."""
        return self._devices[0]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.checkpoint.dim

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return how many distinct vectors these sequences or pairs are made of."""
        return len(set(chains(self.spec, normalise(sequences, pairs=True))))

    def unload(self) -> None:
        """Let the model leave memory; it is read again when it is next needed."""
        for name in ("_model", "_copies", "_taps"):
            self.__dict__.pop(name, None)

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> NDArray[np.float32]:
        """Return one vector per sequence, in input order.

        Parameters
        ----------
        sequences
            ``n`` amino acid sequences, or pairs of chains; X is an unknown residue.

        Returns
        -------
        ``(n, dim)``, float32, or ``(n, 2 * dim)`` of pairs whose chains are embedded apart. Nothing is stored; see
        `antibody_esm.embed` for that.

        Raises
        ------
        SequenceError
            If any sequence is not made of amino acids and X, or is longer than `max_length`; nothing has run by then.
        CheckpointError
            If the model cannot be found, read or trusted.
        """
        return side_by_side(self.spec, normalise(sequences, pairs=True), self._embed)

    def _embed(self, sequences: list[str]) -> NDArray[np.float32]:
        sequences = self.check(sequences)
        unique = list(dict.fromkeys(sequences))
        vectors = np.empty((len(unique), self.dim), np.float32)
        for indices, rows in self.stream(unique):
            vectors[indices] = rows
        place = {sequence: i for i, sequence in enumerate(unique)}
        return vectors[[place[sequence] for sequence in sequences]]

    @property
    def max_length(self) -> int:
        """Longest sequence in residues."""
        limit = max_length(self.checkpoint)
        return min(self.spec.max_length or limit, limit)

    @property
    def longest(self) -> int | None:
        """Longest sequence in residues that is taken, as far as is known where the model's files may not be here."""
        if self.spec.truncation:
            return None
        try:
            return self.max_length
        except CheckpointError:
            return self.spec.max_length

    def check(self, sequences: Iterable[str | tuple[str, str]]) -> list[str]:
        """Return the sequences in normal form, or raise a SequenceError that lists every bad row. Runs no model."""
        sequences = normalise(sequences, pairs=self.spec.pairs == "joined")
        if not self.spec.truncation:
            refuse_longer(sequences, self.max_length)
        if any(UNKNOWN in sequence for sequence in sequences):
            self._vocabulary.refuse_unread(sequences)
        if self.spec.region != "all":
            places([sequence[: self.max_length] for sequence in sequences], self.spec.region, self.spec.species)
        return sequences

    def residues(self, sequences: Iterable[str | tuple[str, str]]) -> Iterator[NDArray[np.float32]]:
        """Give the states of each sequence's residues, in input order.

        Parameters
        ----------
        sequences
            ``n`` amino acid sequences; X is an unknown residue. Pairs of chains, if the spec joins them.

        Yields
        ------
        ``(length, dim)``, float32: one row a residue, without the tokens that the tokenizer adds, of the spec's layer;
        of a pair, the heavy chain's first. Some hundred sequences are held in memory at a time, and nothing is stored.

        Raises
        ------
        SequenceError, CheckpointError
            As `embed` does, before the first is given.

        Examples
        --------
        >>> [states.shape for states in Extractor("antiberty").residues(["EVQLV", "QVQ"])]
        [(5, 512), (3, 512)]
        """
        checked = self.check(sequences)
        if checked:
            self.warm_up()
        return self._residues(checked)

    def _residues(self, sequences: list[str]) -> Iterator[NDArray[np.float32]]:
        prefix = len(self._vocabulary.prefix) if sequences else 0
        for start in range(0, len(sequences), _RESIDUES_AT_ONCE):
            part = sequences[start : start + _RESIDUES_AT_ONCE]
            cut = [sequence[: self.max_length] for sequence in dict.fromkeys(part)]
            found: dict[str, NDArray[np.float32]] = {}

            def run(batch: list[int], cut: list[str] = cut) -> list[tuple[int, NDArray[np.float32]]]:
                states = self._states(batch, cut).float().cpu().numpy()
                shown = places([cut[i] for i in batch], "all") or [np.arange(len(cut[i])) for i in batch]
                return [(i, states[row, prefix + shown[row]]) for row, i in enumerate(batch)]

            with torch_threads_restored():
                for states in self._parallel(run, self._batches(cut)):
                    found |= {cut[i]: rows for i, rows in states}
            self.computed += len(cut)
            yield from (found[sequence[: self.max_length]] for sequence in part)

    def stream(
        self,
        sequences: list[str],
        choose: Callable[[list[list[int]]], Iterable[list[int]]] = iter,
        keep: Callable[[list[str], NDArray[np.float32]], None] | None = None,
        forecast: Forecast | None = None,
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """Give vectors as batches finish, in any order.

        Batches are handed out by joblib: to threads, or to where `joblib.parallel_config` says, such as a Dask cluster.

        Parameters
        ----------
        sequences
            Distinct sequences in normal form, as `check` returns them.
        choose
            Given all batches, each a list of indices, gives those to run one after the other, in any order and with any
            index left out. It is asked for a batch when a worker is about to need one.
        keep
            Called with sequences and vectors by the worker that has computed them, before it begins another batch: one
            batch a worker is lost when the process ends. On a cluster it must be picklable.
        forecast
            Told what is to be done and what is done; None is one of this call alone.

        Yields
        ------
        Indices of ``b`` sequences, and their vectors ``(b, dim)``, float32.
        """
        kept = None if keep is None else _KeepFirst(keep)
        for indices, rows in self.stream_views(sequences, [self.resolved], choose, kept, forecast):
            yield indices, rows[0]

    def stream_views(
        self,
        sequences: list[str],
        views: Sequence[ResolvedExtractorSpec],
        choose: Callable[[list[list[int]]], Iterable[list[int]]] = iter,
        keep: Callable[[list[str], list[NDArray[np.float32]]], None] | None = None,
        forecast: Forecast | None = None,
    ) -> Iterator[tuple[list[int], list[NDArray[np.float32]]]]:
        """Give several vectors of each sequence from one pass of the model, as batches finish, in any order.

        Parameters
        ----------
        views
            Specs that differ from this extractor's in layer, pooling, region, special tokens and storage only, and ask
            for no layer above its own.
        sequences, choose, keep, forecast
            As for `stream`; `keep` is given one array a view.

        Yields
        ------
        Indices of ``b`` sequences, and for each view their vectors ``(b, dim)``, float32: the same bits as `stream`
        of that view alone gives.
        """
        if not sequences:
            return
        tqdm, somebody_looks = progress_bar(), watched(self.runtime.progress)
        if forecast is None:
            forecast = self.forecast()
            forecast.expect(map(len, sequences))
        with (
            torch_threads_restored(),
            tqdm(total=len(sequences), desc=self.spec.model, unit="seq", delay=1, disable=not somebody_looks) as bar,
        ):
            for done in self._done(sequences, views, choose, keep):
                self.computed += len(done.indices)
                bar.update(len(done.indices))
                forecast.add([len(sequences[i]) for i in done.indices], done.seconds)
                if news := forecast.news():
                    logger.info("%s", news)
                    if somebody_looks:
                        tqdm.write(news, file=sys.stderr)
                yield done.indices, done.rows
            bar.total = bar.n  # somebody else computes the others

    def batch(self, sequences: list[str], views: Sequence[ResolvedExtractorSpec]) -> list[NDArray[np.float32]]:
        """Return several vectors of each sequence, one array ``(n, dim)`` a view, computed in this thread."""
        cut = [sequence[: self.max_length] for sequence in sequences]
        residues = self._residues_of(cut, views)
        out = [np.empty((len(cut), self.dim), np.float32) for _ in views]
        for batch in self._batches(cut):
            for indices, rows in in_parts(batch, lambda part: self._run(_never_one(part), cut, views, residues)):
                for whole, some in zip(out, rows, strict=True):
                    whole[indices] = some
        return out

    def warm_up(self) -> None:
        """Read the model, copies and all, which is done with the first batch otherwise."""
        self._copies  # noqa: B018
        if family_of(self.checkpoint).layers is not None:
            self._taps  # noqa: B018

    def forecast(self) -> Forecast:
        """Return what tells how long a computation of this extractor takes."""
        return Forecast(self.spec.model, self.dim, self.spec.storage)

    def _done(
        self,
        sequences: list[str],
        views: Sequence[ResolvedExtractorSpec],
        choose: Callable[[list[list[int]]], Iterable[list[int]]],
        keep: Callable[[list[str], list[NDArray[np.float32]]], None] | None,
    ) -> Iterator[elsewhere.Done]:
        """Give batches as they are done, by threads of this process or elsewhere."""
        cut = [sequence[: self.max_length] for sequence in sequences]
        if runs_elsewhere():
            lengths = [len(sequence) + self._vocabulary.added for sequence in cut]
            todo = _shuffled(batches(lengths, self._budget))
            task = elsewhere.Task(self.pinned, self.runtime, views, keep)
            yield from closing(elsewhere.run(task, choose(todo), sequences))
            return
        self.warm_up()  # here, once, not by several workers at once
        residues = self._residues_of(cut, views)
        at_once = self.workers

        def run(batch: list[int]) -> elsewhere.Done:
            began = time.perf_counter()
            indices, rows = self._run(batch, cut, views, residues)
            if keep is not None:
                keep([sequences[i] for i in indices], rows)
            return elsewhere.Done(indices, rows, (time.perf_counter() - began) / at_once)

        with Finishing() as finishing:
            yield from self._parallel(finishing(run), choose(_shuffled(self._batches(cut))))

    def _residues_of(
        self, cut: list[str], views: Sequence[ResolvedExtractorSpec]
    ) -> dict[Region, list[NDArray[np.int64]] | None]:
        regions = dict.fromkeys(view.region for view in views)
        return {region: places(cut, region, self.spec.species) for region in regions}

    def _batches(self, sequences: list[str]) -> list[list[int]]:
        lengths = [len(sequence) + self._vocabulary.added for sequence in sequences]
        return batches(lengths, self._budget, self._must_run_alone)

    @property
    def _budget(self) -> int:
        """Tokens in a batch, at most."""
        return self.runtime.batch_tokens or (1024 if self._devices == ["cpu"] else 16_384)

    @property
    def workers(self) -> int:
        """Batches that run at a time."""
        import joblib

        return (self.runtime.workers or int(joblib.cpu_count())) if self._devices == ["cpu"] else len(self._devices)

    def _parallel(self, run: Callable[[list[int]], T], todo: Iterable[list[int]]) -> Generator[T]:
        """Give what each batch comes to, in any order, run by worker threads."""
        import joblib

        self.warm_up()
        work = joblib.Parallel(n_jobs=self.workers, prefer="threads", return_as="generator_unordered")

        def fitting(batch: list[int]) -> list[T]:
            return in_parts(batch, lambda part: run(_never_one(part)))

        for parts in closing(work(joblib.delayed(fitting)(batch) for batch in todo)):
            yield from parts

    def _must_run_alone(self, tokens: int) -> bool:
        """Return whether a row of so many tokens would depend on its place in a batch.

        Attention without a fused kernel multiplies matrices of ``(tokens, tokens)``, one a head, which lie one behind
        the other. Where those of a sequence do not fill a multiple of 16 bytes, the next sequence's are aligned
        otherwise, and the matrix library's choice by alignment moves the last bit. Alone, a sequence always lies in one
        place.
        """
        fused = self._model.config._attn_implementation != "eager"
        heads = getattr(self._model.config, "num_attention_heads", None)  # none in models without attention
        return heads is None or (not fused and heads * tokens * tokens % 4 != 0)

    def _forward(
        self,
        batch: list[int],
        sequences: list[str],
        layers: Collection[int],
        use: "Callable[[int, torch.Tensor], None]",
    ) -> None:
        """Run the model once, and use the states ``(b, tokens, dim)`` of some layers as they come."""
        import torch

        from antibody_esm.plm.fused import alone_as_in_company

        if self._devices == ["cpu"] and torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        tokens = torch.from_numpy(self._vocabulary.encode([sequences[i] for i in batch]))
        is_lone = batch[0] == batch[-1] and alone_as_in_company(self._model)
        if is_lone:
            tokens = tokens[:1]
        tokens = tokens.repeat(ceil(FEWEST / tokens.numel()), 1)

        def used(layer: int, states: "torch.Tensor") -> None:
            # Sums over one sequence alone may run in another order.
            use(layer, states[:1].repeat(2, 1, 1) if is_lone else states[: len(batch)])

        last = self.checkpoint.layers
        inner = [layer for layer in layers if layer != last]
        with self._copies.one() as model, torch.inference_mode():
            tokens = tokens.to(model.device)
            if not inner:
                used(last, model(input_ids=tokens).last_hidden_state)
            elif family_of(self.checkpoint).layers is None:
                states = model(input_ids=tokens, output_hidden_states=True).hidden_states
                for layer in layers:
                    used(layer, states[layer])
            else:  # none is kept for longer than it is used
                with self._taps.open(inner, used):
                    output = model(input_ids=tokens)
                if last in layers:
                    used(last, output.last_hidden_state)

    def _states(self, batch: list[int], sequences: list[str]) -> "torch.Tensor":
        """Return the states ``(b, tokens, dim)`` of the layer that is asked for."""
        found: list[torch.Tensor] = []
        self._forward(batch, sequences, [self.resolved.layer], lambda _, states: found.append(states))
        return found[0]

    @cached_property
    def _taps(self) -> Taps:
        return Taps(self._copies.models, family_of(self.checkpoint))

    @cached_property
    def _copies(self) -> Copies:
        return Copies(self._model, self._devices)

    def _run(
        self,
        batch: list[int],
        sequences: list[str],
        views: Sequence[ResolvedExtractorSpec],
        residues: dict[Region, list[NDArray[np.int64]] | None],
    ) -> tuple[list[int], list[NDArray[np.float32]]]:
        found: dict[ResolvedExtractorSpec, NDArray[np.float32]] = {}
        vocabulary = self._vocabulary
        prefix, suffix = len(vocabulary.prefix), len(vocabulary.suffix)
        grouped = {
            region: groups([every[i] for i in batch], prefix) for region, every in residues.items() if every is not None
        }

        def use(layer: int, states: "torch.Tensor") -> None:
            states = states.float()
            gathered = {region: gather(states, grouped[region]) for region in grouped}
            for view in views:
                if view.layer == layer:
                    if view.pooling == "cls" or view.special_tokens == "include":
                        rows = pool(states, view.pooling)
                    elif view.region in gathered:
                        rows = pool_groups(gathered[view.region], view.pooling, len(batch))
                    else:
                        rows = pool(states[:, prefix : states.shape[1] - suffix], view.pooling)
                    found[view] = self._finished(rows.cpu().numpy(), view)

        self._forward(batch, sequences, sorted({view.layer for view in views}), use)
        alone = batch[0] == batch[-1]  # a lone sequence ran as two copies
        return batch[:1] if alone else batch, [found[view][:1] if alone else found[view] for view in views]

    def _finished(self, rows: NDArray[np.float32], view: ResolvedExtractorSpec) -> NDArray[np.float32]:
        if not np.isfinite(rows).all():
            raise self.checkpoint.error(f"its vectors are not finite in {view.precision}; try precision='float32'")
        try:
            return rounded(rows, view.storage)
        except ValueError as error:
            raise self.checkpoint.error(f"its vectors cannot be kept in this storage: {error}") from error

    @cached_property
    def _devices(self) -> list[str]:
        return devices(self.runtime.device)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        vocabulary = vocabulary_of(self.checkpoint, self.spec.pairs)
        if self.spec.pooling == "cls" and not vocabulary.prefix:
            raise self.checkpoint.error("its tokenizer adds no start token, so there is no 'cls' pooling")
        return vocabulary

    @cached_property
    def _model(self) -> Any:
        import torch

        from antibody_esm.plm.fused import fuse
        from antibody_esm.plm.int8 import quantise

        self._vocabulary  # noqa: B018  proved before the weights are read
        family = family_of(self.checkpoint)
        dtype = torch.float32 if self.spec.precision == "int8" else getattr(torch, self.spec.precision)
        model, unfit = read_weights(self.checkpoint, family.model_class, dtype, **dict(family.model_options))
        unfit = {name for name in unfit if not name.startswith(family.recomputed)}
        if unfit:
            shown = ", ".join(sorted(unfit)[:5])
            raise self.checkpoint.error(f"its weights do not fit its config.json; they would be random in {shown}")
        if self.checkpoint.digest != self.resolved.digest:
            raise self.checkpoint.error("its files changed while they were in use")
        shorten(model, family, self.resolved.layer)
        model = model.to(self._devices[0]).eval()
        fuse(model)
        if self.spec.precision == "int8":
            try:
                quantise(model)
            except ValueError as error:
                raise self.checkpoint.error(f"it cannot run in int8: {error}") from error
        return model


class _KeepFirst:
    """Keeps the rows of the only view."""

    def __init__(self, keep: Callable[[list[str], NDArray[np.float32]], None]) -> None:
        self.keep = keep

    def __call__(self, sequences: list[str], rows: list[NDArray[np.float32]]) -> None:
        self.keep(sequences, rows[0])


def _shuffled(todo: list[list[int]]) -> list[list[int]]:
    """Return the longest batch, which needs the most memory, and then the others so that the first tell of them all."""
    rest = todo[1:]
    random.Random(0).shuffle(rest)  # noqa: S311  nothing secret
    return todo[:1] + rest


def _never_one(batch: list[int]) -> list[int]:
    return batch if len(batch) > 1 else batch * 2
