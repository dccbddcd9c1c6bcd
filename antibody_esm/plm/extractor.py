"""Extractor of vectors: schedules the batches of a language model on devices and workers."""

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antibody_esm import presets
from antibody_esm.batch import Batch, Done, Rows
from antibody_esm.errors import CheckpointError
from antibody_esm.plm.adapter_folders import find_adapter
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.batching import batches, shuffled
from antibody_esm.plm.checkpoints import Checkpoint
from antibody_esm.plm.devices import Copies, concurrent, devices, tokens_of_batch
from antibody_esm.plm.families import is_causal
from antibody_esm.plm.forecast import Forecast
from antibody_esm.plm.local import LocalModel
from antibody_esm.plm.model import Model
from antibody_esm.plm.pairs import beside, chains, rows_of_pairs
from antibody_esm.plm.regions import places, residues_of
from antibody_esm.plm.remote import RemoteModel
from antibody_esm.plm.resolution import find
from antibody_esm.plm.schedule import Runner, Timed, each, is_watched, progress_bar
from antibody_esm.plm.vocabulary import Vocabulary, longest, refuse_first_token, vocabulary_of
from antibody_esm.sequences import UNKNOWN, normalise, refuse_longer
from antibody_esm.specs import ExtractorSpec, Region, ResolvedExtractorSpec, RuntimeSpec
from antibody_esm.threads import concurrency, runs_elsewhere

logger = logging.getLogger("antibody_esm")


_RESIDUES_AT_ONCE = 256
"""Number of sequences whose residues' states are in memory together."""


class Extractor:
    """A language model that turns sequences into vectors.

    On one CPU a sequence's vector has the same bits in any batch, at any place and with any number of workers. Batches
    have sequences of one length, so there is no padding and no mask, and every worker uses one torch thread.

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
        self._pace: Forecast | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r}, {self.runtime!r})"

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The model's files, located on first use."""
        return find(self.spec, self.runtime.checkpoints)

    @cached_property
    def resolved(self) -> ResolvedExtractorSpec:
        """The address of this extractor's rows in a store."""
        return self.spec.resolve(self.runtime.checkpoints)

    @property
    def pinned(self) -> ExtractorSpec:
        """The spec, pinned to the model that this extractor runs, even if its files change later."""
        return self.spec.pinned_to(self.resolved)

    @property
    def device(self) -> str:
        """Device of the model; the first of several."""
        return self._devices[0]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.checkpoint.dim

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return the number of distinct vectors that these sequences or pairs need."""
        return len(set(chains(self.spec, normalise(sequences, pairs=True))))

    def unload(self) -> None:
        """Remove the model from memory; it is read again when it is next needed."""
        for name in ("models", "_copies"):
            self.__dict__.pop(name, None)

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> NDArray[np.float32]:
        """Return one vector per sequence, in input order.

        Parameters
        ----------
        sequences
            ``n`` amino acid sequences, or pairs of chains; X is an unknown residue.

        Returns
        -------
        ``(n, dim)``, float32, or ``(n, 2 * dim)`` for pairs whose chains are embedded apart. The vectors are not
        stored; `antibody_esm.embed` stores them.

        Raises
        ------
        SequenceError
            If any sequence is not made of amino acids and X, or is longer than `max_length`; no model has run then.
        CheckpointError
            If the model cannot be found, read or trusted.
        """
        normal = normalise(sequences, pairs=True)
        every = chains(self.spec, normal)
        with rows_of_pairs(every, len(normal)):
            self.check(every)
        distinct = list(dict.fromkeys(every))
        vectors = np.empty((len(distinct), self.dim), np.float32)
        for indices, rows in self.stream(distinct):
            vectors[indices] = rows
        place = {sequence: i for i, sequence in enumerate(distinct)}
        return beside(vectors[[place[sequence] for sequence in every]], len(normal))

    @cached_property
    def max_length(self) -> int:
        """Longest sequence in residues."""
        limit = longest(self.checkpoint, self.spec)
        return min(self.spec.max_length or limit, limit)

    @property
    def longest(self) -> int | None:
        """Longest accepted sequence in residues; None if unlimited, or if the model's files are absent."""
        if self.spec.truncation:
            return None
        try:
            return self.max_length
        except CheckpointError:
            return self.spec.max_length

    def check(self, sequences: Iterable[str | tuple[str, str]], regions: Collection[Region] | None = None) -> list[str]:
        """Return the sequences in normal form, or raise a SequenceError that lists every bad row. Runs no model.

        Parameters
        ----------
        regions
            Regions that every sequence must have; None is the spec's.
        """
        sequences = normalise(sequences, pairs=self.spec.pairs == "joined")
        if not self.spec.truncation:
            refuse_longer(sequences, self.max_length)
        if any(UNKNOWN in sequence for sequence in sequences):
            self.vocabulary.refuse_unread(sequences)
        for region in (self.spec.region,) if regions is None else dict.fromkeys(regions):
            if region != "all":
                cut = [sequence[: self.max_length] for sequence in sequences]
                places(cut, region, self.spec.species, self.spec.engines)
        return sequences

    def residues(
        self, sequences: Iterable[str | tuple[str, str]], special: bool = False
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the states of each sequence's residues, in input order.

        Parameters
        ----------
        sequences
            ``n`` amino acid sequences; X is an unknown residue. Pairs of chains, if the spec joins them.
        special
            True yields the states of all tokens.

        Yields
        ------
        ``(length, dim)``, float32: the states of the spec's layer, one row for each residue, without the tokens that
        the tokenizer adds. A pair has the heavy chain first. Some hundred sequences are in memory at a time, and none
        are stored.

        Raises
        ------
        SequenceError, CheckpointError
            As `embed`, before the first states are yielded.

        Examples
        --------
        >>> [states.shape for states in Extractor("antiberty").residues(["EVQLV", "QVQ"])]
        [(5, 512), (3, 512)]
        """
        checked = self.check(sequences)
        if checked:
            self.warm_up()
        return self._residues(checked, special)

    def _residues(self, sequences: list[str], special: bool) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(sequences), _RESIDUES_AT_ONCE):
            part = [sequence[: self.max_length] for sequence in sequences[start : start + _RESIDUES_AT_ONCE]]
            by_sequence: dict[str, NDArray[np.float32]] = {}
            for batch, states in each(
                partial(self._states, special), self.batches(list(dict.fromkeys(part))), self.workers
            ):
                by_sequence |= zip(batch, states, strict=True)
            self.computed += len(by_sequence)
            yield from (by_sequence[sequence] for sequence in part)

    def _states(self, special: bool, batch: list[str]) -> tuple[list[str], list[Rows]]:
        with self._copies.borrowed() as model:
            parts = self._copies.fits.in_parts(batch, lambda part: model.states(part, self.resolved.layer, special))
        return batch, [states for part in parts for states in part]

    def stream(
        self, sequences: list[str], forecast: Forecast | None = None
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """Yield vectors as batches finish, in any order.

        joblib runs the batches: in threads, or on the backend of `joblib.parallel_config`, such as a Dask cluster.

        Parameters
        ----------
        sequences
            Distinct sequences in normal form, as `check` returns them.
        forecast
            Expected and finished work are added to it; None uses a new forecast for this call.

        Yields
        ------
        Indices of ``b`` sequences, and their vectors ``(b, dim)``, float32.
        """
        for indices, rows in self.stream_views(sequences, [self.resolved], forecast):
            yield indices, rows[0]

    def stream_views(
        self, sequences: list[str], views: Sequence[ResolvedExtractorSpec], forecast: Forecast | None = None
    ) -> Iterator[tuple[list[int], list[NDArray[np.float32]]]]:
        """Yield several vectors of each sequence from one pass of the model, as batches finish, in any order.

        Parameters
        ----------
        views
            Specs that differ from this extractor's in layer, pooling, region, special tokens and storage only, and
            have no layer above its own.
        sequences, forecast
            As for `stream`.

        Yields
        ------
        Indices of ``b`` sequences, and for each view their vectors ``(b, dim)``, float32. The bits are
        those of `stream` for that view alone.
        """
        if not sequences:
            return
        if forecast is None:
            forecast = self.forecast()
            forecast.expect(map(len, sequences))
        place = {sequence: i for i, sequence in enumerate(sequences)}
        todo = [Batch(batch, tuple(views)) for batch in self.batches(sequences)]
        for done in self.each(self.runner(sequences, views).run, todo, len(sequences), forecast):
            yield [place[sequence] for sequence in done.batch.sequences], done.rows

    def batches(self, sequences: list[str]) -> list[list[str]]:
        """Return distinct sequences in batches of one length: the longest first, then a sample of the work."""
        lengths = [self.vocabulary.length(sequence[: self.max_length]) for sequence in sequences]
        return [[sequences[i] for i in batch] for batch in shuffled(batches(lengths, self._budget))]

    def runner(self, sequences: list[str], views: Sequence[ResolvedExtractorSpec]) -> Runner:
        """Return the runner of these sequences' batches: in this process, or on joblib's backend.

        Raises
        ------
        CheckpointError
            If the model or its adapter cannot be read, or no vector is pooled in this way.
        """
        if any(view.pooling == "cls" for view in views):
            refuse_first_token(self.checkpoint, self.vocabulary)
        if self.adapter is not None:
            self.adapter.refuse_other_layers(views)
        if not runs_elsewhere():
            return self._here(sequences, views)
        files = self.checkpoint
        spec = self.pinned.with_folders(files.folder, files.tokenizer)  # others look there first
        return RemoteModel.of(type(self), spec, self.runtime)

    def each(
        self,
        step: Callable[[Batch], list[Rows]],
        todo: Iterable[Batch],
        total: int,
        forecast: Forecast,
    ) -> Generator[Done]:
        """Run a step for each batch by a worker, and yield finished batches, in any order.

        Parameters
        ----------
        step
            `Runner.run`, or a function that also stores its rows. It is sent to other processes if they do the work.
        todo
            Batches; each is taken just before a worker needs it.
        total
            Largest number of sequences of all batches.
        forecast
            Finished work is added to it.
        """
        workers = None if runs_elsewhere() else self.workers
        concurrent = concurrency() if workers is None else workers
        self._pace = forecast
        model = Path(self.spec.model).name
        with progress_bar(total, self.spec.model, "seq", self.runtime.progress, f"embedding with {model}") as bar:
            for done in each(Timed(step), todo, workers):
                self.computed += len(done.batch.sequences)
                bar.update(len(done.batch.sequences))
                forecast.add(map(len, done.batch.sequences), done.seconds / concurrent)
                if news := forecast.news():
                    logger.info("%s", news)
                    if is_watched(self.runtime.progress):
                        bar.write(news)
                yield done
            bar.complete()

    def run(self, batch: Batch) -> list[NDArray[np.float32]]:
        """Return one array ``(b, dim)`` for each spec of a batch, computed in this thread."""
        return self._here(batch.sequences, batch.specs).run(batch)

    def warm_up(self) -> None:
        """Read the model and its copies; otherwise the first batch reads them."""
        self._copies  # noqa: B018

    def forecast(self) -> Forecast:
        """Return a forecast of the time and disk of a computation of this extractor."""
        return Forecast(self.spec.model, self.dim, self.spec.storage)

    def seconds_of(self, lengths: Iterable[int]) -> float | None:
        """Return the duration of sequences of these lengths at the pace so far; None before any was computed."""
        return None if self._pace is None else self._pace.seconds_of(lengths)

    def _here(self, sequences: list[str], views: Sequence[ResolvedExtractorSpec]) -> LocalModel:
        cut = [sequence[: self.max_length] for sequence in sequences]
        regions = dict.fromkeys(view.region for view in views)
        return LocalModel(
            self._copies, residues_of(cut, regions, self.spec.species, self.spec.engines), self.max_length
        )

    @property
    def _budget(self) -> int:
        """Largest number of tokens in a batch."""
        bytes_of_number = 4 if self.spec.precision == "float32" else 2
        return self.runtime.batch_tokens or tokens_of_batch(self._devices, self.dim, bytes_of_number)

    @property
    def workers(self) -> int:
        """Number of batches that run at a time."""
        import joblib

        if self._devices != ["cpu"]:
            return concurrent(self._devices)
        return self.runtime.workers or int(joblib.cpu_count())

    @cached_property
    def models(self) -> list[Model]:
        """The models, one for each device, read on first use."""
        if self.is_causal:
            logger.info("%s is causal: a residue's state depends on the residues before it only", self.spec.model)
        return Model.read(self.checkpoint, self.vocabulary, self.resolved, self._devices, self.adapter)

    @cached_property
    def adapter(self) -> Adapter | None:
        """The adapter of a fine-tuned model, read on first use; None of a frozen one."""
        digest = self.spec.adapter
        return None if digest is None else find_adapter(digest, self.runtime.checkpoints, self.resolved.digest)

    @cached_property
    def _copies(self) -> Copies[Model]:
        return Copies(self.models, concurrent(self._devices) // len(self._devices))

    @cached_property
    def _devices(self) -> list[str]:
        return devices(self.runtime.device)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Table of the model's tokenizer, with the control tokens of the spec."""
        return vocabulary_of(self.checkpoint, self.spec)

    @property
    def is_causal(self) -> bool:
        """True if a residue's state depends on the residues before it only, as in p-IgGen, ProGen2 and IgLM."""
        return is_causal(self.checkpoint)
