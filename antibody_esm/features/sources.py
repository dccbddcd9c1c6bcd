"""Sources of vectors: a language model, descriptors that need none, or several of these as one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from antibody_esm import presets
from antibody_esm.batch import Rows
from antibody_esm.descriptors import describe
from antibody_esm.errors import CheckpointError
from antibody_esm.plm.extractor import Extractor
from antibody_esm.sequences import normalise
from antibody_esm.specs import AnyExtractorSpec, DescriptorSpec, EnsembleSpec, ExtractorSpec, RuntimeSpec


class Source(Protocol):
    """An object that turns sequences into vectors; nothing of it is stored here."""

    runtime: RuntimeSpec

    @property
    def spec(self) -> AnyExtractorSpec:
        """The spec as the user gave it."""
        ...

    @property
    def pinned(self) -> AnyExtractorSpec:
        """The spec, pinned to the bytes of the models that run."""
        ...

    @property
    def computed(self) -> int:
        """Sequences that went through a language model since this object was made, each counted once a model."""
        ...

    @property
    def longest(self) -> int | None:
        """Longest sequence in residues, as far as is known without files; None if there is no limit."""
        ...

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return the number of distinct vectors of language models that these sequences or pairs consist of."""
        ...

    def unload(self) -> None:
        """Let models leave memory."""
        ...

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return one vector per sequence, in input order."""
        ...


class Described:
    """The descriptors of a `DescriptorSpec`.

    Parameters
    ----------
    spec
        Which descriptors.
    """

    computed = 0
    longest = None

    def __init__(self, spec: DescriptorSpec, runtime: RuntimeSpec | None = None) -> None:
        self.spec = spec
        self.runtime = runtime or RuntimeSpec()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    @property
    def pinned(self) -> DescriptorSpec:
        """The spec."""
        return self.spec

    @property
    def dim(self) -> int:
        """Number of descriptors."""
        return len(describe(["A"], self.spec).names)

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return 0: no vector of a language model is needed."""
        return 0

    def unload(self) -> None:
        """Do nothing: no model is in memory."""

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return the descriptors ``(n, dim)`` of each sequence, or ``(n, 2 * dim)`` of each pair, as float32.

        Raises
        ------
        SequenceError
            If a sequence is not made of amino acids and X, or of X alone, or if only some are pairs.
        """
        normal = normalise(sequences, pairs=True)
        if not normal:
            return np.empty((0, self.dim), np.float32)
        values = describe(normal, self.spec).values
        return np.asarray(values if isinstance(values, np.ndarray) else values.toarray(), np.float32)


Single = Extractor | Described


class Ensemble:
    """The extractors of an `EnsembleSpec`. Their models are in memory one at a time.

    Parameters
    ----------
    spec
        A preset's name, or an `EnsembleSpec`.
    runtime
        Device, workers and progress bar, none of which changes a vector.

    Attributes
    ----------
    members
        One `Extractor` a language model, one `Described` for descriptors.
    """

    def __init__(self, spec: str | EnsembleSpec, runtime: RuntimeSpec | None = None) -> None:
        chosen = presets.extractor(spec)
        if not isinstance(chosen, EnsembleSpec):
            raise ValueError(f"{chosen!r} is not of several: use Extractor(...) or embed(...)")
        self.spec = chosen
        self.runtime = runtime or RuntimeSpec()
        self.members = tuple(_single(member, self.runtime) for member in chosen.members)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r}, {self.runtime!r})"

    @property
    def computed(self) -> int:
        """Sequences that went through a language model since this object was made, each counted once a model."""
        return sum(member.computed for member in self.members)

    @property
    def pinned(self) -> EnsembleSpec:
        """The spec, pinned to the models that these extractors run."""
        return self.spec.model_copy(update={"members": tuple(member.pinned for member in self.members)})

    @property
    def longest(self) -> int | None:
        """Longest sequence in residues that every member takes, as far as is known; None if all cut what is longer."""
        return min((member.longest for member in self.members if member.longest is not None), default=None)

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return the number of distinct vectors, of all members, that these sequences or pairs consist of."""
        normal = normalise(sequences, pairs=True)
        return sum(member.needed(normal) for member in self.members)

    def unload(self) -> None:
        """Let the models leave memory; one is read again when it is next needed."""
        for member in self.members:
            member.unload()

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return one vector per sequence, in input order; raises as `Extractor.embed` does. Nothing is stored."""
        normal, every = normalise(sequences, pairs=True), []
        self.check()
        for member in self.members:
            every.append(member.embed(normal))
            member.unload()
        return self.combined(every)

    def check(self) -> None:
        """Compare the lengths of the members' vectors, of which a mean is taken.

        Raises
        ------
        CheckpointError
            If they differ.
        """
        if self.spec.combine == "mean" and len({member.dim for member in self.members}) > 1:
            lengths = ", ".join(f"{member.spec!r} {member.dim}" for member in self.members)
            raise CheckpointError(f"a mean needs vectors of one length, these are: {lengths}")

    def combined(self, every: Sequence[Rows]) -> Rows:
        """Return the members' vectors as one ``(n, dim)``, float32."""
        return np.hstack(every) if self.spec.combine == "concat" else np.mean(every, axis=0, dtype=np.float32)


AnyExtractor = Single | Ensemble


def load(spec: str | Path | AnyExtractorSpec, runtime: RuntimeSpec | None = None) -> AnyExtractor:
    """Return the source of a spec, a preset or a local folder."""
    chosen = presets.extractor(spec)
    return Ensemble(chosen, runtime) if isinstance(chosen, EnsembleSpec) else _single(chosen, runtime)


def _single(spec: ExtractorSpec | DescriptorSpec, runtime: RuntimeSpec | None) -> Single:
    return Described(spec, runtime) if isinstance(spec, DescriptorSpec) else Extractor(spec, runtime)
