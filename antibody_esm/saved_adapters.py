"""The adapter of a fine-tuned language model in the folder of a saved model."""

import os
from pathlib import Path
from typing import Any

from antibody_esm.errors import StoreError
from antibody_esm.limits import LimitError, read_regular
from antibody_esm.plm.adapter_folders import find_adapter, offer
from antibody_esm.plm.adapters import NAME, Adapter
from antibody_esm.specs import TrainSpec
from antibody_esm.specs.ensembles import language_models

_MANIFEST_BYTES = 16 * 10**6


def adapter_of(spec: TrainSpec) -> tuple[str | None, str]:
    """Return the digests of the adapter of a fine-tuned language model, None if it is frozen, and of the model."""
    tuned = [model for model in language_models(spec.extractor) if model.adapter is not None]
    return (tuned[0].adapter, tuned[0].digest or "") if tuned else (None, "")


def adapter_bytes(spec: TrainSpec, places: tuple[str, ...]) -> dict[str, bytes]:
    """Return the file of a spec's adapter by its name, from folders in which it may be; empty if there is none."""
    digest, base = adapter_of(spec)
    return {} if digest is None else {NAME: find_adapter(digest, places, base).content}


def replaced_adapter(folder: Path, *, needed: bool) -> tuple[str, ...]:
    """Return the name of the adapter's file if a new model may replace or remove it; else nothing.

    It may if the model in the folder has an adapter, or if there is no such file.

    Parameters
    ----------
    needed
        True if the new model has an adapter.

    Raises
    ------
    StoreError
        If the file there is of no saved model, and the new model needs its name.
    """
    path = folder / NAME
    try:
        ours = b'"adapter_sha256"' in read_regular(folder / "manifest.json", _MANIFEST_BYTES)
    except (LimitError, OSError):
        ours = False
    if ours or not os.path.lexists(path):
        return (NAME,)
    if needed:
        raise StoreError("a file of no saved model, whose name the new one needs: choose another folder", path)
    return ()


def check_adapter(spec: TrainSpec, digest: Any, folder: Path, content: bytes, *, lasting: bool = True) -> None:
    """Raise StoreError if the adapter in the folder of a model is not the one of its spec; make it available.

    Parameters
    ----------
    digest
        Digest in the manifest; None if there is none.
    content
        Content of the file.
    lasting
        False if its folder will not be there later; the adapter is in memory.
    """
    named, base = adapter_of(spec)
    if digest != named:
        raise StoreError("its spec and its manifest name different adapters", folder)
    if digest is None:
        return
    try:
        adapter = Adapter.parse(content)
    except LimitError as error:
        raise StoreError(f"not the adapter that its manifest describes: {error}", folder / NAME) from error
    if adapter.digest != digest or adapter.facts.base != base:
        raise StoreError("not the adapter that its manifest describes", folder / NAME)
    offer(adapter)  # its file may be replaced while the model is in use
    if lasting:
        offer(adapter, folder)
