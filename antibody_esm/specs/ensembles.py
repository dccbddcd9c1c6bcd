"""Spec of an ensemble of extractors."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from antibody_esm.specs.base import Spec
from antibody_esm.specs.columns import ColumnSpec
from antibody_esm.specs.descriptors import DescriptorSpec
from antibody_esm.specs.extractors import ExtractorSpec


def _kind_of_extractor(value: Any) -> str:
    if isinstance(value, Spec):
        kinds = {"ColumnSpec": "column", "DescriptorSpec": "descriptors", "EnsembleSpec": "ensemble"}
        return kinds.get(type(value).__name__, "model")
    fields = value if isinstance(value, dict) else {}
    if fields.get("kind") == "column":
        return "column"
    return "ensemble" if "members" in fields else "descriptors" if "kind" in fields else "model"


Member = Annotated[
    Annotated[ExtractorSpec, Tag("model")]
    | Annotated[DescriptorSpec, Tag("descriptors")]
    | Annotated[ColumnSpec, Tag("column")],
    Discriminator(_kind_of_extractor),
]


class EnsembleSpec(Spec):
    """Ensemble of language models: the mean of their vectors, or their vectors (and descriptors) side by side.

    The vectors of each member are computed and stored under its own spec. Columns of a table (`ColumnSpec`) are the
    last members, and stand beside the vectors. They belong to the rows of a data set, not to sequences, so that only a
    `Trainer` and a `Predictor` read them.

    Examples
    --------
    >>> members = tuple(ExtractorSpec(model=f"facebook/esm1v_t33_650M_UR90S_{seed}") for seed in (1, 2))
    >>> EnsembleSpec(members=members).combine
    'mean'
    """

    members: Annotated[tuple[Member, ...], Field(min_length=2)]
    combine: Literal["mean", "concat"] = "mean"
    """``mean`` requires language models with vectors of one length; ``concat`` puts vectors side by side, in order."""

    @model_validator(mode="after")
    def _members_differ(self) -> Self:
        if len(set(self.members)) < len(self.members):
            raise ValueError("members must be distinct")
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError("each column may be named only once")
        if not self.of_sequences or self.members[len(self.of_sequences) :] != self.columns:
            raise ValueError("columns are the last members, after at least one that reads sequences")
        if self.combine == "mean" and not all(isinstance(member, ExtractorSpec) for member in self.of_sequences):
            raise ValueError("combine='mean' does not allow descriptors; use combine='concat'")
        return self

    @property
    def of_sequences(self) -> tuple[ExtractorSpec | DescriptorSpec, ...]:
        """Members that read sequences."""
        return tuple(member for member in self.members if not isinstance(member, ColumnSpec))

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """Members that are columns of a table."""
        return tuple(member for member in self.members if isinstance(member, ColumnSpec))

    def numbered_by(self, species: Sequence[str]) -> "EnsembleSpec":
        """Return the spec with these species in every member; see `ExtractorSpec.numbered_by`."""
        return self.model_copy(update={"members": tuple(member.numbered_by(species) for member in self.members)})

    def pin(self) -> "EnsembleSpec":
        """Return the spec with every member pinned; see `ExtractorSpec.pin`."""
        return self.model_copy(update={"members": tuple(member.pin() for member in self.members)})

    @property
    def address(self) -> str:
        """Fingerprint of the pinned spec; reads the models' files."""
        return self.pin().fingerprint


AnyExtractorSpec = Annotated[
    Annotated[ExtractorSpec, Tag("model")]
    | Annotated[DescriptorSpec, Tag("descriptors")]
    | Annotated[EnsembleSpec, Tag("ensemble")],
    Discriminator(_kind_of_extractor),
]
"""Spec of one language model, of descriptors, or of an ensemble."""


def portable(spec: AnyExtractorSpec) -> AnyExtractorSpec:
    """Return a spec without paths of local folders, see `ExtractorSpec.portable`."""
    if isinstance(spec, EnsembleSpec):
        parts = tuple(each.portable() if isinstance(each, ExtractorSpec) else each for each in spec.members)
        return spec if parts == spec.members else spec.model_copy(update={"members": parts})
    return spec.portable() if isinstance(spec, ExtractorSpec) else spec


def models_of(spec: AnyExtractorSpec) -> tuple[str, ...]:
    """Return the names of the language models of a spec, each once."""
    return tuple(dict.fromkeys(each.model for each in language_models(spec)))


def language_models(spec: AnyExtractorSpec) -> tuple[ExtractorSpec, ...]:
    """Return the specs of the language models of a spec."""
    members = spec.members if isinstance(spec, EnsembleSpec) else (spec,)
    return tuple(member for member in members if isinstance(member, ExtractorSpec))


def columns_of(spec: AnyExtractorSpec) -> tuple[ColumnSpec, ...]:
    """Return the columns of a table that a spec names."""
    return spec.columns if isinstance(spec, EnsembleSpec) else ()


def without_columns(spec: AnyExtractorSpec) -> AnyExtractorSpec:
    """Return the part of a spec that reads sequences."""
    if not columns_of(spec) or not isinstance(spec, EnsembleSpec):
        return spec
    first, *others = spec.of_sequences
    return EnsembleSpec(members=(first, *others), combine=spec.combine) if others else first


def with_columns(spec: AnyExtractorSpec, columns: Sequence[ColumnSpec]) -> AnyExtractorSpec:
    """Return a spec with columns of a table beside its vectors, in place of those that it names."""
    spec = without_columns(spec)
    if not columns:
        return spec
    if isinstance(spec, EnsembleSpec):
        return EnsembleSpec(members=(*spec.members, *columns), combine=spec.combine)
    return EnsembleSpec(members=(spec, *columns), combine="concat")
