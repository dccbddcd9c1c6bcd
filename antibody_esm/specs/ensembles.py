"""Spec of an ensemble of extractors."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from antibody_esm.specs.base import Spec
from antibody_esm.specs.descriptors import DescriptorSpec
from antibody_esm.specs.extractors import ExtractorSpec


def _kind_of_extractor(value: Any) -> str:
    if isinstance(value, Spec):
        return {"DescriptorSpec": "descriptors", "EnsembleSpec": "ensemble"}.get(type(value).__name__, "model")
    fields = value if isinstance(value, dict) else {}
    return "ensemble" if "members" in fields else "descriptors" if "kind" in fields else "model"


Member = Annotated[
    Annotated[ExtractorSpec, Tag("model")] | Annotated[DescriptorSpec, Tag("descriptors")],
    Discriminator(_kind_of_extractor),
]


class EnsembleSpec(Spec):
    """Ensemble of language models: the mean of their vectors, or their vectors (and descriptors) side by side.

    The vectors of each member are computed and stored under its own spec.

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
        if self.combine == "mean" and not all(isinstance(member, ExtractorSpec) for member in self.members):
            raise ValueError("combine='mean' does not allow descriptors; use combine='concat'")
        return self

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
