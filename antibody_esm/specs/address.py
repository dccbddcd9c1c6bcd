"""Address of rows in a store: an extractor spec with digests in place of names."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from antibody_esm.choices import Pooling, Region
from antibody_esm.specs.base import Seed, Spec

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Storage = Literal["float32", "float16", "int8"]
Pairs = Literal["apart", "joined"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ResolvedExtractorSpec(Spec):
    """Address of rows in a store: an `ExtractorSpec` with a digest in place of the model's name.

    `ExtractorSpec.resolve` returns it; users seldom construct it.
    """

    later: ClassVar[frozenset[str]] = frozenset({"random_weights"})

    digest: Digest
    """SHA-256 over the names and bytes of the weight, config and tokenizer files; without weight files if these are
    not read."""
    layer: NonNegativeInt
    pooling: Pooling = "mean"
    region: Region = "all"
    numbering: str | None = None
    """Name and version of the program that numbers the residues of a region; None for all residues."""
    special_tokens: Literal["exclude", "include"] = "exclude"
    precision: Precision = "float32"
    storage: Storage = "float32"
    truncate_to: PositiveInt | None = None
    """Number of residues to which longer sequences are cut; None if sequences are never cut."""
    pairs: Pairs = "apart"
    random_weights: Seed | None = None
    """Seed of random weights; None for the trained ones."""

    def resolve(self, checkpoints: Sequence[str] = ()) -> Self:
        """Return self."""
        return self
