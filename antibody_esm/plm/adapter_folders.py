"""Places of adapters: folders in which a digest is looked for, and the folder that keeps trained ones."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from antibody_esm.errors import CheckpointError, StoreError, listed
from antibody_esm.files import write
from antibody_esm.limits import read_regular
from antibody_esm.plm.adapters import NAME, Adapter
from antibody_esm.plm.search import MOST, VARIABLE, earlier, named_places, remember

logger = logging.getLogger("antibody_esm")

_here: dict[str, Adapter] = {}
"""Adapters that are in no folder, by digest."""


def offer(adapter: Adapter, folder: Path | None = None) -> None:
    """Make an adapter available under its digest: the one in memory, or the file in a folder if it is there.

    Parameters
    ----------
    folder
        Folder with the file, named `NAME` or by its digest; None keeps the adapter in memory as long as the process
        runs.
    """
    if folder is None:
        _here[adapter.digest] = adapter
    else:
        remember(adapter.digest, folder.absolute())


def find_adapter(digest: str, places: Sequence[str], base: str) -> Adapter:
    """Return the adapter with a digest.

    Parameters
    ----------
    digest
        SHA-256 of its file.
    places
        Files of adapters, folders with some, or folders of models, see `RuntimeSpec.checkpoints`.
    base
        Digest of the files of the model that it updates.

    Raises
    ------
    CheckpointError
        If there is none, or if it was trained on another model.
    """
    adapter = _found(digest, places)
    if adapter.facts.base != base:
        raise CheckpointError(
            f"the adapter {digest} was trained on a model with digest {adapter.facts.base}, and this model has digest "
            f"{base}",
            NAME,
        )
    return adapter


def _found(digest: str, places: Sequence[str]) -> Adapter:
    if digest in _here:
        return _here[digest]
    tried: list[str] = []
    for file in _candidates(digest, places):
        with suppress(CheckpointError, OSError):
            adapter = Adapter.read(file)
            if adapter.digest == digest:
                remember(digest, file.parent.absolute())
                return adapter
            tried.append(f"{file} (digest {adapter.digest})")
    looked = f"; other adapters: {listed(tried, len(tried))}" if tried else ""
    raise CheckpointError(
        f"no adapter with digest {digest} is here{looked}; name its folder: RuntimeSpec(checkpoints=...), --checkpoint "
        f"or {VARIABLE}, or fine-tune again",
        NAME,
        None,
        [each.partition(" (")[0] for each in tried],
    )


def folder_of_adapter(digest: str, places: Sequence[str] = ()) -> Path | None:
    """Return the folder with the file of an adapter; None if there is none."""
    for file in _candidates(digest, places):
        with suppress(CheckpointError, OSError):
            if Adapter.read(file).digest == digest:
                return file.parent
    return None


def _candidates(digest: str, places: Sequence[str]) -> Iterator[Path]:
    """Yield files that may be an adapter: those named by the digest first."""
    names = (f"{digest}.safetensors", NAME)
    for place in dict.fromkeys((*earlier(digest), *named_places(places))):
        if place.is_file():
            yield place
            continue
        yield from (place / name for name in names if (place / name).is_file())
        with suppress(OSError), os.scandir(place) as entries:
            for entry in sorted(islice(entries, MOST), key=lambda each: each.name):
                if entry.is_dir(follow_symlinks=False):
                    yield from (place / entry.name / name for name in names if (place / entry.name / name).is_file())


class AdapterFolder:
    """Folder of adapters, by digest, and by the key of their training.

    Parameters
    ----------
    path
        Path of the folder; created by the first adapter.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def trained(self, key: str) -> Adapter | None:
        """Return the adapter of a training; None if it is absent or damaged."""
        with suppress(CheckpointError, OSError, ValueError):
            digest = read_regular(self.path / f"{key}.key", 64).decode("ascii")
            adapter = Adapter.read(self.path / f"{digest}.safetensors")
            if adapter.digest == digest:
                offer(adapter, self.path)
                return adapter
        return None

    def prepare(self) -> None:
        """Create the folder, which is private, before work whose result it will keep.

        Raises
        ------
        StoreError
            If it cannot be created or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"adapters cannot be kept here: {error.strerror}", self.path) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise StoreError("adapters cannot be kept here: the folder cannot be written", self.path)

    def keep(self, key: str, adapter: Adapter) -> None:
        """Write an adapter, and then the key of its training; if that fails, it stays in memory, with a warning."""
        try:
            self.prepare()
            adapter.save(self.path / f"{adapter.digest}.safetensors")
            write(self.path / f"{key}.key", adapter.digest.encode("ascii"))
        except (OSError, StoreError) as error:
            offer(adapter)
            logger.warning("the adapter %s is kept in memory alone: %s", adapter.digest, error)
        else:
            offer(adapter, self.path)
