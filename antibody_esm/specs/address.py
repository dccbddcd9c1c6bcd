"""Address of rows in a store: an extractor spec in which names have become bytes."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from antibody_esm.choices import Pooling, Region
from antibody_esm.specs.base import Spec

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Storage = Literal["float32", "float16", "int8"]
Pairs = Literal["apart", "joined"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ResolvedExtractorSpec(Spec):
    """An `ExtractorSpec` in which names have become bytes: the address of rows in a store.

    `ExtractorSpec.resolve` makes it; users seldom do.
    """

    digest: Digest
    """SHA-256 over the names and bytes of the weight, config and tokenizer files."""
    layer: NonNegativeInt
    pooling: Pooling = "mean"
    region: Region = "all"
    numbering: str | None = None
    """What numbers the residues of a region, and its version; None for all residues."""
    special_tokens: Literal["exclude", "include"] = "exclude"
    precision: Precision = "float32"
    storage: Storage = "float32"
    truncate_to: PositiveInt | None = None
    """Residues a sequence is cut to; None where nothing is ever cut."""
    pairs: Pairs = "apart"

    def resolve(self) -> Self:
        """Return self."""
        return self
