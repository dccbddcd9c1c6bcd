"""The names in an extractor spec become bytes and numbers: the address of its rows."""

from antibody_esm.numbering import SPECIES, method
from antibody_esm.plm.checkpoints import Checkpoint, locate
from antibody_esm.plm.families import max_length
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec


def find(spec: ExtractorSpec) -> Checkpoint:
    """Return the files of a spec's model.

    Raises
    ------
    CheckpointError
        If they cannot be found, or are not the ones that the spec is pinned to.
    """
    checkpoint = locate(spec.model, spec.revision)
    if spec.digest not in (None, checkpoint.digest):
        raise checkpoint.error(f"its files have digest {checkpoint.digest}, but the spec is pinned to {spec.digest}")
    return checkpoint


def resolve(spec: ExtractorSpec) -> ResolvedExtractorSpec:
    """Return the address of a spec's rows. A pinned spec with its layer counted from 0 needs no files."""
    digest, layer, truncate_to = spec.digest, spec.layer, spec.max_length if spec.truncation else None
    if digest is None or layer is None or layer < 0 or (spec.truncation and truncate_to is None):
        checkpoint = find(spec)
        digest, layer = checkpoint.digest, _layer(layer, checkpoint)
        if spec.truncation:
            limit = max_length(checkpoint)
            truncate_to = min(truncate_to or limit, limit)
    return ResolvedExtractorSpec(
        digest=digest,
        layer=layer,
        pooling=spec.pooling,
        region=spec.region,
        numbering=None if spec.region == "all" else method(spec.species or SPECIES),
        special_tokens=spec.special_tokens,
        precision=spec.precision,
        storage=spec.storage,
        truncate_to=truncate_to,
        pairs=spec.pairs,
    )


def _layer(layer: int | None, checkpoint: Checkpoint) -> int:
    last = checkpoint.layers
    number = last if layer is None else layer if layer >= 0 else last + 1 + layer
    if not 0 <= number <= last:
        raise checkpoint.error(f"it has no layer {layer}; allowed are 0 (embeddings) to {last}, or -1 to {-last - 1}")
    return number
