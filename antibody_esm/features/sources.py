"""Sources of vectors: a language model, one for each chain, descriptors, or an ensemble."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from antibody_esm import presets
from antibody_esm.batch import Rows
from antibody_esm.errors import CheckpointError
from antibody_esm.features.chains import ChainExtractor
from antibody_esm.features.described import Described as Described
from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.pairs import chains
from antibody_esm.sequences import normalise
from antibody_esm.specs import (
    AnyExtractorSpec,
    ChainSpec,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    PluginExtractorSpec,
    RuntimeSpec,
)


class Source(Protocol):
    """Object that computes vectors of sequences, without storing them."""

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
        """Number of sequences that went through a language model since construction, counted once per model."""
        ...

    @property
    def longest(self) -> int | None:
        """Longest allowed sequence in residues, as far as the spec determines it; None if there is no limit."""
        ...

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return the number of distinct vectors of language models that these sequences or pairs need."""
        ...

    def unload(self) -> None:
        """Remove models from memory."""
        ...

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return one vector per sequence, in input order."""
        ...


Single = Extractor | ChainExtractor | Described | FromPlugin


class Ensemble:
    """Extractors of an `EnsembleSpec`, whose models are in memory one at a time.

    Parameters
    ----------
    spec
        A preset's name, or an `EnsembleSpec`.
    runtime
        Device, workers and progress bar, none of which changes a vector.

    Attributes
    ----------
    members
        One `Extractor` per language model, one `ChainExtractor` per `ChainSpec`, and one `Described` for descriptors.
    """

    def __init__(self, spec: str | EnsembleSpec, runtime: RuntimeSpec | None = None) -> None:
        chosen = presets.extractor(spec)
        if not isinstance(chosen, EnsembleSpec):
            raise ValueError(f"{chosen!r} is not an ensemble; use Extractor(...) or embed(...)")
        if chosen.columns:
            names = ", ".join(column.name for column in chosen.columns)
            raise ValueError(
                f"sequences alone have no columns ({names}); use a Trainer, or leave these members of the ensemble out"
            )
        self.spec = chosen
        self.runtime = runtime or RuntimeSpec()
        self.members = tuple(_single(member, self.runtime) for member in chosen.of_sequences)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r}, {self.runtime!r})"

    @property
    def computed(self) -> int:
        """Number of sequences that went through a language model since construction, counted once per model."""
        return sum(member.computed for member in self.members)

    @property
    def pinned(self) -> EnsembleSpec:
        """The spec, pinned to the models of the members."""
        return self.spec.model_copy(update={"members": tuple(member.pinned for member in self.members)})

    @property
    def passes(self) -> "list[dict[int, Single]]":
        """Members by their number, grouped by passes: views of one model are computed by one pass."""
        passes: dict[object, dict[int, Single]] = {}
        for number, member in enumerate(self.members):
            key = number if isinstance(member, Described | FromPlugin) else member.spec.of_one_pass
            passes.setdefault(key, {})[number] = member
        return list(passes.values())

    @property
    def longest(self) -> int | None:
        """Longest sequence in residues that every member accepts; None if every member cuts longer sequences."""
        return min((member.longest for member in self.members if member.longest is not None), default=None)

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return the number of distinct vectors, of all members, that these sequences or pairs need."""
        normal = normalise(sequences, pairs=True)
        return sum(member.needed(normal) for member in self.members)

    def unload(self) -> None:
        """Remove the models from memory; a model is loaded again when it is needed."""
        for member in self.members:
            member.unload()

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return one vector per sequence, in input order, without storing it; raises as `Extractor.embed` does."""
        normal, every = normalise(sequences, pairs=True), []
        self.check()
        for member in self.members:
            every.append(member.embed(normal))
            member.unload()
        return self.combined(every)

    def check(self) -> None:
        """Check that members have other files, and vectors of one length if their mean is computed.

        Raises
        ------
        CheckpointError
            If the lengths differ, or if two folders have the same files.
        """
        first: dict[object, tuple[str, ...]] = {}
        for member in self.members:
            own = member.readers if isinstance(member, ChainExtractor) else (member,)
            models = [reader for reader in own if isinstance(reader, Extractor)]
            named = tuple(model.spec.model for model in models)
            if models and (other := first.setdefault(tuple(model.resolved for model in models), named)) != named:
                titles = [" and ".join(map(repr, folders)) for folders in (other, named)]
                message = f"two members of the ensemble are the same model: {titles[0]}; {titles[1]}"
                raise CheckpointError(message, named[0], None, (*other, *named))
        if self.spec.combine == "mean" and len({_widths(member) for member in self.members}) > 1:
            lengths = ", ".join(f"{member.spec!r} {' and '.join(map(str, _widths(member)))}" for member in self.members)
            raise CheckpointError(f"combine='mean' requires vectors of one length; the lengths are: {lengths}")

    def combined(self, every: Sequence[Rows]) -> Rows:
        """Return the combined vectors of the members, ``(n, dim)``, float32."""
        return np.hstack(every) if self.spec.combine == "concat" else np.mean(every, axis=0, dtype=np.float32)


AnyExtractor = Single | Ensemble


def load(spec: str | Path | AnyExtractorSpec, runtime: RuntimeSpec | None = None) -> AnyExtractor:
    """Return the source of a spec, a preset or a local folder."""
    chosen = presets.extractor(spec)
    return Ensemble(chosen, runtime) if isinstance(chosen, EnsembleSpec) else _single(chosen, runtime)


def _single(
    spec: ExtractorSpec | ChainSpec | DescriptorSpec | PluginExtractorSpec, runtime: RuntimeSpec | None
) -> Single:
    if isinstance(spec, PluginExtractorSpec):
        return FromPlugin(spec, runtime)
    if isinstance(spec, DescriptorSpec):
        return Described(spec, runtime)
    return ChainExtractor(spec, runtime) if isinstance(spec, ChainSpec) else Extractor(spec, runtime)


def readers(source: AnyExtractor, normal: list[str]) -> Iterator[tuple[Extractor, list[str]]]:
    """Yield the language models of a source, each with the texts that it reads of sequences in normal form."""
    if isinstance(source, Ensemble):
        for member in source.members:
            yield from readers(member, normal)
    elif isinstance(source, ChainExtractor):
        yield from zip(source.readers, source.divided(normal).chains, strict=True)
    elif isinstance(source, Extractor):
        yield source, chains(source.spec, normal)


def refuse_swapped(source: AnyExtractor, normal: list[str]) -> None:
    """Raise a SequenceError for pairs in which a model of one chain would read the other one."""
    for member in of_two_chains(source):
        member.refuse_swapped(normal)


def of_two_chains(source: AnyExtractor) -> list[ChainExtractor]:
    """Return the members of a source that read each chain by its own model."""
    return [member for member in _members(source) if isinstance(member, ChainExtractor)]


def reads_pairs(source: AnyExtractor) -> bool:
    """Return True if a pair is more to any member than its two chains, each read by the same model."""
    joined = (isinstance(member, Extractor) and member.spec.pairs == "joined" for member in _members(source))
    return bool(of_two_chains(source)) or any(joined)


def _members(source: AnyExtractor) -> tuple[Single, ...]:
    return source.members if isinstance(source, Ensemble) else (source,)


def _widths(member: Single) -> tuple[int, ...]:
    """Return the length of a vector, or those of a heavy and of a light chain if they differ."""
    return member.widths if isinstance(member, ChainExtractor) else (member.dim,)
