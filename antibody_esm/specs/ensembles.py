"""Spec of an ensemble of extractors."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from antibody_esm.errors import DatasetError
from antibody_esm.sequences import Chain
from antibody_esm.specs.base import Spec
from antibody_esm.specs.chains import ChainSpec
from antibody_esm.specs.columns import ColumnSpec
from antibody_esm.specs.descriptors import DescriptorSpec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.plugins import PluginExtractorSpec


def _kind_of_extractor(value: Any) -> str:
    if isinstance(value, Spec):
        kinds = {"ColumnSpec": "column", "DescriptorSpec": "descriptors", "EnsembleSpec": "ensemble"}
        kinds |= {"PluginExtractorSpec": "plugin"}
        return (kinds | {"ChainSpec": "chains"}).get(type(value).__name__, "model")
    fields = value if isinstance(value, dict) else {}
    if fields.get("kind") in ("column", "plugin_extractor"):
        return "column" if fields["kind"] == "column" else "plugin"
    if "heavy" in fields or "light" in fields:
        return "chains"
    return "ensemble" if "members" in fields else "descriptors" if "kind" in fields else "model"


Member = Annotated[
    Annotated[ExtractorSpec, Tag("model")]
    | Annotated[ChainSpec, Tag("chains")]
    | Annotated[DescriptorSpec, Tag("descriptors")]
    | Annotated[PluginExtractorSpec, Tag("plugin")]
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
        if self.combine == "mean" and any(
            isinstance(member, DescriptorSpec | PluginExtractorSpec) for member in self.members
        ):
            raise ValueError("combine='mean' does not allow descriptors or plugins; use combine='concat'")
        return self

    @property
    def of_sequences(self) -> tuple[ExtractorSpec | ChainSpec | DescriptorSpec | PluginExtractorSpec, ...]:
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
    | Annotated[ChainSpec, Tag("chains")]
    | Annotated[DescriptorSpec, Tag("descriptors")]
    | Annotated[PluginExtractorSpec, Tag("plugin")]
    | Annotated[EnsembleSpec, Tag("ensemble")],
    Discriminator(_kind_of_extractor),
]
"""Spec of one language model, of one for each chain, of descriptors, or of an ensemble."""


def language_models(spec: AnyExtractorSpec) -> tuple[ExtractorSpec, ...]:
    """Return the specs of the language models of a spec; of a `ChainSpec` those of both chains."""
    models: list[ExtractorSpec] = []
    for member in spec.members if isinstance(spec, EnsembleSpec) else (spec,):
        if isinstance(member, ExtractorSpec | ChainSpec):
            models += member.models if isinstance(member, ChainSpec) else (member,)
    return tuple(models)


def portable(spec: AnyExtractorSpec) -> AnyExtractorSpec:
    """Return a spec without paths of local folders, see `ExtractorSpec.portable`."""
    return _with_models(spec, ExtractorSpec.portable)  # type: ignore[no-any-return]  # of the kind of the spec


def _with_models(spec: Any, change: Callable[[ExtractorSpec], ExtractorSpec]) -> Any:
    """Return a spec with a change of each of its language models; itself if none changes."""
    if isinstance(spec, EnsembleSpec):
        members = tuple(_with_models(member, change) for member in spec.members)
        return spec if members == spec.members else spec.model_copy(update={"members": members})
    if isinstance(spec, ChainSpec):
        return spec.model_copy(update={name: change(getattr(spec, name)) for name in ("heavy", "light")})
    return change(spec) if isinstance(spec, ExtractorSpec) else spec


def models_of(spec: AnyExtractorSpec) -> tuple[str, ...]:
    """Return the names of the language models of a spec and of tokenizers from elsewhere, each once."""
    names = [name for model in language_models(spec) for name in (model.model, model.tokenizer)]
    return tuple(dict.fromkeys(name for name in names if name is not None))


def of_chain(spec: AnyExtractorSpec, chain: Chain) -> AnyExtractorSpec:
    """Return the part of a spec that reads a chain: of a `ChainSpec` the language model of that chain.

    Raises
    ------
    DatasetError
        If both chains are joined to one text, which no model of one chain reads; or if two members of an ensemble are
        the same model for this chain.

    Examples
    --------
    >>> of_chain(ChainSpec(heavy="sapiens_vh", light="sapiens_vl"), "light")
    ExtractorSpec(model='sapiens_vl', revision='1.0.2')
    """
    if isinstance(spec, EnsembleSpec):
        members = (*(of_chain(member, chain) for member in spec.of_sequences), *spec.columns)
        if len(set(members)) < len(members):
            raise DatasetError(f"two members of the ensemble are the same model for {chain} chains")
        return spec.model_copy(update={"members": members})
    if not isinstance(spec, ChainSpec) or chain == "paired":
        return spec
    if chain == "both":
        raise DatasetError("one language model a chain does not read joined chains (chain='both'); use chain='paired'")
    return spec.heavy if chain == "heavy" else spec.light


def columns_of(spec: AnyExtractorSpec) -> tuple[ColumnSpec, ...]:
    """Return the columns of a table that a spec names."""
    return spec.columns if isinstance(spec, EnsembleSpec) else ()


def without_columns(spec: AnyExtractorSpec) -> AnyExtractorSpec:
    """Return the part of a spec that reads sequences."""
    if not columns_of(spec) or not isinstance(spec, EnsembleSpec):
        return spec
    first, *others = spec.of_sequences
    return EnsembleSpec(members=(first, *others), combine=spec.combine) if others else first


def without_adapter(spec: AnyExtractorSpec) -> AnyExtractorSpec:
    """Return a spec with the frozen models in place of fine-tuned ones."""
    return _with_models(spec, _frozen)  # type: ignore[no-any-return]  # of the kind of the spec


def _frozen(spec: ExtractorSpec) -> ExtractorSpec:
    pooling = "mean" if spec.pooling == "attention" else spec.pooling
    return spec if spec.adapter is None else spec.model_copy(update={"adapter": None, "pooling": pooling})


def with_columns(spec: AnyExtractorSpec, columns: Sequence[ColumnSpec]) -> AnyExtractorSpec:
    """Return a spec with columns of a table beside its vectors, in place of those that it names."""
    spec = without_columns(spec)
    if not columns:
        return spec
    if isinstance(spec, EnsembleSpec):
        return EnsembleSpec(members=(*spec.members, *columns), combine=spec.combine)
    return EnsembleSpec(members=(spec, *columns), combine="concat")
