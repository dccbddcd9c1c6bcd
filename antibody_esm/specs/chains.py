"""Spec of two language models, each of which reads one chain of an antibody."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from antibody_esm.choices import Pooling, Region
from antibody_esm.specs.base import Spec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.language_models import LANGUAGE_MODELS
from antibody_esm.spelling import did_you_mean


def _named(value: str) -> ExtractorSpec:
    """Return the spec of a preset's name, which reads a chain alone."""
    if value not in LANGUAGE_MODELS:
        names = ", ".join(LANGUAGE_MODELS)
        meant = did_you_mean(value, LANGUAGE_MODELS)
        raise ValueError(f"unknown language model {value!r}; choose one of {names}, or ExtractorSpec(model=...){meant}")
    return LANGUAGE_MODELS[value].model_copy(update={"pairs": "apart"})


if TYPE_CHECKING:
    OneModel = ExtractorSpec
else:  # a name is accepted, too
    OneModel = Annotated[
        Annotated[ExtractorSpec, Tag("by_spec")] | Annotated[str, AfterValidator(_named), Tag("by_name")],
        Discriminator(lambda value: "by_name" if isinstance(value, str) else "by_spec"),
    ]


class ChainSpec(Spec):
    """Two language models, one for heavy and one for light chains.

    Pairs have the vectors of both chains side by side, heavy first. Single chains have the vector of their own model:
    the chain is that of the data set, and numbering recognises the chains of a list. Vectors are stored under the spec
    of the model that computed them. Joined chains (``chain="both"``) are one text, and refused.

    Examples
    --------
    >>> ChainSpec(heavy="sapiens_vh", light="sapiens_vl").light
    ExtractorSpec(model='sapiens_vl', revision='1.0.2')
    """

    heavy: OneModel
    """Language model of heavy chains: an `ExtractorSpec`, or the name of a preset, which then reads chains apart."""
    light: OneModel
    """Language model of light chains."""

    if TYPE_CHECKING:  # names are accepted, and fields are specs

        def __init__(
            self,
            *,
            heavy: ExtractorSpec | str,
            light: ExtractorSpec | str,
            format: Literal[1] = 1,  # noqa: A002  the name of the field
        ) -> None: ...

    @model_validator(mode="after")
    def _chains_are_apart(self) -> Self:
        if "joined" in (self.heavy.pairs, self.light.pairs):
            raise ValueError("pairs='joined' reads both chains with one language model; a ChainSpec has one for each")
        return self

    @property
    def models(self) -> tuple[ExtractorSpec, ExtractorSpec]:
        """Language models of the heavy and of the light chain."""
        return self.heavy, self.light

    def numbered_by(self, species: Sequence[str]) -> "ChainSpec":
        """Return the spec with these species in both models; see `ExtractorSpec.numbered_by`."""
        return ChainSpec(heavy=self.heavy.numbered_by(species), light=self.light.numbered_by(species))

    def pin(self) -> "ChainSpec":
        """Return the spec with both models pinned; see `ExtractorSpec.pin`."""
        return ChainSpec(heavy=self.heavy.pin(), light=self.light.pin())

    @property
    def address(self) -> str:
        """Fingerprint of the pinned spec; reads the models' files."""
        return self.pin().fingerprint

    @property
    def of_one_pass(self) -> "ChainSpec":
        """The spec without the fields in which views of one pass of each model may differ."""
        return ChainSpec(heavy=self.heavy.of_one_pass, light=self.light.of_one_pass)

    def with_fields(self, fields: Mapping[str, Any]) -> "ChainSpec":
        """Return the spec with these fields in both models. Raises pydantic.ValidationError if they are not valid."""
        heavy, light = (ExtractorSpec.model_validate({**dict(model), **fields}) for model in self.models)
        return ChainSpec(heavy=heavy, light=light)

    def views(
        self,
        layers: Sequence[int | None] = (None,),
        poolings: Sequence[Pooling] = ("mean",),
        regions: Sequence[Region] = ("all",),
    ) -> "list[ChainSpec]":
        """Return the specs for every layer, pooling and region, the same in both models; see `ExtractorSpec.views`."""
        each = (model.views(layers, poolings, regions) for model in self.models)
        return [ChainSpec(heavy=heavy, light=light) for heavy, light in zip(*each, strict=True)]
