"""Resolution of a model's name to its digest, its layer, and the length that sequences are cut to."""

from typing import NamedTuple, Protocol

from antibody_esm.plm.checkpoints import Checkpoint, locate
from antibody_esm.plm.controls import Controls
from antibody_esm.plm.tokenizer_files import with_tokenizer
from antibody_esm.plm.vocabulary import longest


class Weights(Controls, Protocol):
    """Fields of an `ExtractorSpec` that name a model's files, its input and a place in the model."""

    @property
    def model(self) -> str: ...  # noqa: D102  see `ExtractorSpec`, also below
    @property
    def revision(self) -> str | None: ...  # noqa: D102
    @property
    def digest(self) -> str | None: ...  # noqa: D102
    @property
    def layer(self) -> int | None: ...  # noqa: D102
    @property
    def max_length(self) -> int | None: ...  # noqa: D102
    @property
    def truncation(self) -> bool: ...  # noqa: D102
    @property
    def random_weights(self) -> int | None: ...  # noqa: D102
    @property
    def tokenizer(self) -> str | None: ...  # noqa: D102
    @property
    def tokenizer_revision(self) -> str | None: ...  # noqa: D102


class Resolution(NamedTuple):
    """Facts of a `ResolvedExtractorSpec` that depend on a model's files."""

    digest: str
    layer: int
    truncate_to: int | None


def find(spec: Weights) -> Checkpoint:
    """Return the files of a spec's model; without its weights if the spec has random ones.

    Raises
    ------
    CheckpointError
        If the files cannot be found, or are not those that the spec is pinned to.
    """
    checkpoint = locate(spec.model, spec.revision, weights=spec.random_weights is None)
    if spec.tokenizer is not None:
        checkpoint = with_tokenizer(checkpoint, spec.tokenizer, spec.tokenizer_revision)
    if spec.digest not in (None, checkpoint.digest):
        raise checkpoint.error(f"its files have digest {checkpoint.digest}, but the spec is pinned to {spec.digest}")
    return checkpoint


def resolve(spec: Weights) -> Resolution:
    """Return digest, layer and longest length of a spec. A pinned spec with its layer counted from 0 needs no files."""
    digest, layer, truncate_to = spec.digest, spec.layer, spec.max_length if spec.truncation else None
    if digest is None or layer is None or layer < 0 or (spec.truncation and truncate_to is None):
        checkpoint = find(spec)
        digest, layer = checkpoint.digest, _layer(layer, checkpoint)
        if spec.truncation:
            limit = longest(checkpoint, spec)
            truncate_to = min(truncate_to or limit, limit)
    return Resolution(digest, layer, truncate_to)


def _layer(layer: int | None, checkpoint: Checkpoint) -> int:
    last = checkpoint.layers
    number = last if layer is None else layer if layer >= 0 else last + 1 + layer
    if not 0 <= number <= last:
        raise checkpoint.error(f"it has no layer {layer}; allowed are 0 (embeddings) to {last}, or -1 to {-last - 1}")
    return number
