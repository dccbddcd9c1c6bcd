"""Spec of one language model, and of the vector that it makes of a sequence."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from antibody_esm.choices import Pooling, Region
from antibody_esm.specs.address import Digest, Pairs, Precision, ResolvedExtractorSpec, Storage
from antibody_esm.specs.base import Spec


class ExtractorSpec(Spec):
    """Language model, and the vector that it makes of a sequence.

    Examples
    --------
    >>> ExtractorSpec(model="facebook/esm2_t6_8M_UR50D", layer=4)
    ExtractorSpec(model='facebook/esm2_t6_8M_UR50D', layer=4)
    """

    later: ClassVar[frozenset[str]] = frozenset({"species"})

    model: Annotated[str, Field(min_length=1)]
    """Name on the Hugging Face hub, a local folder, ``"antiberty"`` (weights from the ``[quickstart]`` extra), or
    ``"sapiens_vh"`` or ``"sapiens_vl"`` (weights from ``pip install --no-deps sapiens==1.0.2``)."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None is its main branch. Local folders have none."""
    digest: Digest | None = None
    """Pin the files to these bytes: any others are a CheckpointError. `pin` fills it in."""
    layer: int | None = None
    """Hidden state, counted as transformers does: 0 the embeddings, 1 after the first layer, None or -1 the last."""
    pooling: Pooling = "mean"
    """How residue vectors become one: their mean, maximum or standard deviation (of a population) per dimension, or the
    first special token's vector."""
    region: Region = "all"
    """Which residues take part, by IMGT numbering of every variable domain in the sequence. The model reads the whole
    sequence all the same. A sequence without such a region is a SequenceError."""
    special_tokens: Literal["exclude", "include"] = "exclude"
    """Whether mean and max run over the tokens which the tokenizer added (start, end) as well."""
    precision: Precision = "float32"
    """Number format of weights and arithmetic; vectors are returned as float32 always. int8 is for BERT, RoBERTa
    and ESM models on a CPU: weights are scaled by output and states by token, so a row does not depend on its batch."""
    storage: Storage = "float32"
    """Number format of a vector once it is computed: float16 takes half the disk, int8 (with a scale for each vector) a
    quarter. The vector is rounded whether or not it is stored, so a store never changes a result."""
    max_length: PositiveInt | None = None
    """Longest sequence in residues; None is what the model was built for."""
    truncation: bool = False
    """Cut longer sequences to `max_length` instead of refusing them."""
    pairs: Pairs = "apart"
    """How the two chains of an antibody are embedded: ``apart``, one by one, with their vectors side by side, heavy
    first; or ``joined`` in one sequence by the separator of the model's family, for models that were trained on pairs.
    A single chain has the same vector either way."""
    species: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Species whose profiles number the residues of a region. None: those of the data set where a `Trainer` runs, else
    human and mouse."""

    @model_validator(mode="after")
    def _region_has_residues(self) -> Self:
        if self.region != "all" and (self.pooling == "cls" or self.special_tokens == "include"):
            raise ValueError("a region consists of residues: it goes with mean, max and std, without special tokens")
        return self

    @model_validator(mode="after")
    def _no_pair_is_cut(self) -> Self:
        if self.pairs == "joined" and self.truncation:
            raise ValueError("a joined pair is never cut: it would lose its light chain; set truncation=False")
        return self

    def resolve(self) -> ResolvedExtractorSpec:
        """Return the address of this spec's rows, reading the model's files.

        Raises
        ------
        CheckpointError
            If the files cannot be found or read, are not the pinned ones, or have no such layer.
        """
        from antibody_esm.numbering import SPECIES, method
        from antibody_esm.plm.resolution import resolve

        files = resolve(self)
        return ResolvedExtractorSpec(
            digest=files.digest,
            layer=files.layer,
            pooling=self.pooling,
            region=self.region,
            numbering=None if self.region == "all" else method(self.species or SPECIES),
            special_tokens=self.special_tokens,
            precision=self.precision,
            storage=self.storage,
            truncate_to=files.truncate_to,
            pairs=self.pairs,
        )

    @property
    def address(self) -> str:
        """Fingerprint under which a store keeps this spec's rows, reading the model's files."""
        return self.resolve().fingerprint

    def views(
        self,
        layers: Sequence[int | None] = (None,),
        poolings: Sequence[Pooling] = ("mean",),
        regions: Sequence[Region] = ("all",),
    ) -> "list[ExtractorSpec]":
        """Return the same model's specs of every layer, pooling and region; ``cls`` stands for all residues only.

        Examples
        --------
        >>> len(ExtractorSpec(model="m").views([11, 12], ["mean", "cls"], ["all", "cdr3"]))
        6
        """
        return [
            self.model_validate({**dict(self), "layer": layer, "pooling": pooling, "region": region})
            for layer in layers
            for pooling in poolings
            for region in regions
            if pooling != "cls" or region == "all"
        ]

    def pin(self) -> "ExtractorSpec":
        """Return the same spec with digest and layer filled in, so that a store answers even where no weights are."""
        return self.pinned_to(self.resolve())

    def numbered_by(self, species: Sequence[str]) -> "ExtractorSpec":
        """Return the spec whose region, if it has one, is numbered by the profiles of these species.

        Raises
        ------
        ValueError
            If the spec names other species.
        """
        from antibody_esm.numbering import SPECIES

        if self.region == "all" or (tuple(species) == SPECIES and self.species is None):
            return self
        if self.species is not None and set(self.species) != set(species):
            ours, theirs = (", ".join(sorted(names)) for names in (self.species, species))
            raise ValueError(f"extractor.species is {ours}, and the data are numbered by {theirs}; leave it out")
        return self.model_copy(update={"species": tuple(species)})

    def pinned_to(self, resolved: ResolvedExtractorSpec) -> "ExtractorSpec":
        """Return the same spec with digest and layer as they were resolved."""
        limit = resolved.truncate_to or self.max_length
        return self.model_copy(update={"digest": resolved.digest, "layer": resolved.layer, "max_length": limit})
