"""Address of rows in a store: an extractor spec with digests in place of names."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveInt

from antibody_esm.choices import Pooling, Precision, Region
from antibody_esm.specs.base import Seed, Spec

Storage = Literal["float32", "float16", "int8"]
Pairs = Literal["apart", "joined"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _is_text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(
        "a text is required; an override needs quotes of its own for the shell and for the text, as in "
        """'extractor.prefix="[NLU]"'"""
    )


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFC", text).strip()
    if not plain.isprintable():
        raise ValueError("a text of printable characters is required")
    return plain


ControlText = Annotated[str, Field(max_length=64), AfterValidator(_plain)]
"""Control tokens as text: printable, in Unicode's normal form NFC, without blanks at its ends."""
Around = Annotated[Annotated[ControlText, AfterValidator(lambda text: text or None)] | None, BeforeValidator(_is_text)]
"""Control tokens around a sequence; empty text is None."""
Between = Annotated[ControlText | None, BeforeValidator(_is_text)]
"""Control tokens between two chains; empty text is none at all, and None the model's own."""


class ResolvedExtractorSpec(Spec):
    """Address of rows in a store: an `ExtractorSpec` with a digest in place of the model's name.

    `ExtractorSpec.resolve` returns it; users seldom construct it.
    """

    later: ClassVar[frozenset[str]] = frozenset({"random_weights", "prefix", "suffix", "separator", "adapter"})

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
    prefix: Around = None
    """Control tokens before the first residue."""
    suffix: Around = None
    """Control tokens behind the last residue."""
    separator: Between = None
    """Control tokens between two chains that are joined; None for those of the model's family, or single chains."""
    adapter: Digest | None = None
    """SHA-256 of the adapter's file; None for the frozen model."""

    def resolve(self, checkpoints: Sequence[str] = ()) -> Self:
        """Return self."""
        return self
