"""Resolution of a model's name to its digest, its layer, and the length that sequences are cut to."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from antibody_esm.errors import CheckpointError
from antibody_esm.licences import PACKAGED, WEIGHTS, refusal, state
from antibody_esm.plm.checkpoints import Checkpoint, cached, locate
from antibody_esm.plm.families import max_length
from antibody_esm.plm.search import remember, search, suggest
from antibody_esm.specs.local_models import folder_name, is_folder


class Weights(Protocol):
    """Fields of an `ExtractorSpec` that name a model's files and a place in the model."""

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


class Resolution(NamedTuple):
    """Facts of a `ResolvedExtractorSpec` that depend on a model's files."""

    digest: str
    layer: int
    truncate_to: int | None


def find(spec: Weights, places: Sequence[str] = ()) -> Checkpoint:
    """Return the files of a spec's model; without its weights if the spec has random ones.

    Parameters
    ----------
    spec
        Spec. If it is pinned, files with its digest are also taken from a folder of another name or place.
    places
        Folders of checkpoints, see `RuntimeSpec.checkpoints`.

    Raises
    ------
    CheckpointError
        If the files cannot be found, or are not those that the spec is pinned to.
    """
    weights = spec.random_weights is None
    if spec.digest is None:
        return locate(spec.model, spec.revision, weights=weights)
    checkpoint = _pinned(spec, spec.digest, places, weights)
    if checkpoint.folder is not None:
        remember(spec.digest, checkpoint.folder)
    return checkpoint


def _pinned(spec: Weights, digest: str, places: Sequence[str], weights: bool) -> Checkpoint:
    """Return the files with a digest, from a folder or by the model's name."""
    model, licence, folder = spec.model, WEIGHTS.get(spec.model), is_folder(spec.model)
    if licence is not None and (forbidden := refusal(model, licence)):
        raise CheckpointError(forbidden, model, spec.revision)
    elsewhere = on_hub(spec)
    if model in PACKAGED or (folder and spec.revision is not None):
        try:
            return _named(spec, digest, weights)
        except CheckpointError:
            with suppress(CheckpointError):
                return search(model, digest, places, weights=weights)
            raise
    if folder:
        suggest(digest, model)
    try:
        checkpoint = search(model, digest, places, weights=weights, thorough=not elsewhere)
    except CheckpointError:
        if elsewhere:
            return _named(spec, digest, weights)
        # perhaps an old name of the hub; the hub itself is never asked for a folder's name
        snapshot = None if folder else cached(model, weights=weights)
        if snapshot is None or snapshot.digest != digest:
            raise
        return snapshot
    state(folder_name(model), licence)
    return checkpoint


def on_hub(spec: Weights) -> bool:
    """Return True if a pinned spec's model is published under its name, on the hub or in a package."""
    return spec.model in PACKAGED or (not is_folder(spec.model) and ("/" in spec.model or spec.revision is not None))


def _named(spec: Weights, digest: str, weights: bool) -> Checkpoint:
    """Return the files of a model by its name. Raises CheckpointError if they have another digest."""
    checkpoint = locate(spec.model, spec.revision, weights=weights)
    if checkpoint.digest != digest:
        raise checkpoint.error(f"its files have digest {checkpoint.digest}, but the spec is pinned to {digest}")
    return checkpoint


def resolve(spec: Weights, places: Sequence[str] = ()) -> Resolution:
    """Return digest, layer and longest length of a spec. A pinned spec with its layer counted from 0 needs no files."""
    digest, layer, truncate_to = spec.digest, spec.layer, spec.max_length if spec.truncation else None
    if digest is None or layer is None or layer < 0 or (spec.truncation and truncate_to is None):
        checkpoint = find(spec, places)
        digest, layer = digest or checkpoint.digest, _layer(layer, checkpoint)
        if checkpoint.folder is not None:
            remember(digest, checkpoint.folder)
        if spec.truncation:
            limit = max_length(checkpoint)
            truncate_to = min(truncate_to or limit, limit)
    return Resolution(digest, layer, truncate_to)


def _layer(layer: int | None, checkpoint: Checkpoint) -> int:
    last = checkpoint.layers
    number = last if layer is None else layer if layer >= 0 else last + 1 + layer
    if not 0 <= number <= last:
        raise checkpoint.error(f"it has no layer {layer}; allowed are 0 (embeddings) to {last}, or -1 to {-last - 1}")
    return number
