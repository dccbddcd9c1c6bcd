"""Resolution of a model's name to its digest, its layer, and the length that sequences are cut to."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from antibody_esm.errors import CheckpointError
from antibody_esm.licences import PACKAGED, of_model, refusal, state
from antibody_esm.plm.adapter_folders import find_adapter
from antibody_esm.plm.checkpoints import Checkpoint, cached, locate
from antibody_esm.plm.controls import Controls
from antibody_esm.plm.search import advice, remember, search, suggest
from antibody_esm.plm.tokenizer_files import Tokenizers, key, with_tokenizer
from antibody_esm.plm.vocabulary import longest
from antibody_esm.specs.local_models import folder_name, is_folder, is_published


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
    @property
    def adapter(self) -> str | None: ...  # noqa: D102


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
        checkpoint = locate(spec.model, spec.revision, weights=weights)
        if spec.tokenizer is None:
            return checkpoint
        return with_tokenizer(checkpoint, spec.tokenizer, spec.tokenizer_revision)
    checkpoint = _pinned(spec, spec.digest, places, weights)
    if spec.tokenizer is not None:
        state(folder_name(spec.tokenizer), None if is_folder(spec.tokenizer) else of_model(spec.tokenizer))
    _remember(spec.digest, checkpoint)
    return checkpoint


def _remember(digest: str, checkpoint: Checkpoint) -> None:
    if checkpoint.folder is not None:
        remember(digest, checkpoint.folder)
    if checkpoint.tokenizer is not None:
        remember(key(digest), checkpoint.tokenizer)


def suggest_folders(spec: Weights) -> None:
    """Remember the paths that a pinned spec names: searches for its digest look there too."""
    if spec.digest is not None and is_folder(spec.model):
        suggest(spec.digest, spec.model)
    if spec.digest is not None and spec.tokenizer is not None and is_folder(spec.tokenizer):
        suggest(key(spec.digest), spec.tokenizer)


def _pinned(spec: Weights, digest: str, places: Sequence[str], weights: bool) -> Checkpoint:
    """Return the files with a digest, from a folder or by the model's name."""
    model, folder = spec.model, is_folder(spec.model)
    for name, revision in ((model, spec.revision), (spec.tokenizer, spec.tokenizer_revision)):
        licence = of_model(name or "")
        if name is None or (licence is None and not is_published(name, revision)):
            continue
        if forbidden := refusal(name, licence):
            raise CheckpointError(forbidden, name, revision)
    suggest_folders(spec)
    tokenizers = None
    if spec.tokenizer is not None:
        tokenizers = Tokenizers(spec.tokenizer, spec.tokenizer_revision, digest, places)
    elsewhere = is_published(model, spec.revision)
    if model in PACKAGED or (folder and spec.revision is not None):
        try:
            return _named(spec, digest, tokenizers, weights)
        except CheckpointError:
            with suppress(CheckpointError):
                return search(model, digest, places, weights=weights, tokenizers=tokenizers)
            raise
    try:
        checkpoint = search(model, digest, places, weights=weights, thorough=not elsewhere, tokenizers=tokenizers)
    except CheckpointError:
        if elsewhere:
            return _named(spec, digest, tokenizers, weights)
        # perhaps an old name of the hub; the hub itself is never asked for a folder's name
        snapshot = None if folder else cached(model, weights=weights)
        with suppress(CheckpointError):
            if snapshot is not None:
                return _with_digest(snapshot, digest, tokenizers)
        raise
    state(folder_name(model), of_model(model))
    return checkpoint


def _named(spec: Weights, digest: str, tokenizers: Tokenizers | None, weights: bool) -> Checkpoint:
    """Return the files of a model by its name. Raises CheckpointError if they have another digest."""
    return _with_digest(locate(spec.model, spec.revision, weights=weights), digest, tokenizers)


def _with_digest(checkpoint: Checkpoint, digest: str, tokenizers: Tokenizers | None) -> Checkpoint:
    """Return files, with the tokenizer that gives them a digest. Raises CheckpointError if none does."""
    for each in (checkpoint,) if tokenizers is None else tokenizers.variants(checkpoint):
        if each.digest == digest:
            return each
    pinned = f"the spec is pinned to {digest}"
    if tokenizers is None:
        raise checkpoint.error(f"its files have digest {checkpoint.digest}, but {pinned}")
    raise checkpoint.error(
        f"no tokenizer {folder_name(tokenizers.name)!r} is here with which its files have the right digest, but "
        f"{pinned}; {advice(folder_name(tokenizers.name))}"
    )


def resolve(spec: Weights, places: Sequence[str] = ()) -> Resolution:
    """Return digest, layer and longest length of a spec. A pinned spec with its layer counted from 0 needs no files."""
    digest, layer, truncate_to = spec.digest, spec.layer, spec.max_length if spec.truncation else None
    if digest is None or layer is None or layer < 0 or (spec.truncation and truncate_to is None):
        checkpoint = find(spec, places)
        digest, layer = digest or checkpoint.digest, _layer(layer, checkpoint)
        _remember(digest, checkpoint)
        if spec.adapter is not None:
            find_adapter(spec.adapter, places, digest)
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
