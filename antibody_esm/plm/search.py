"""Local folders of language models, found by the digest of their files.

A spec that is stored has a folder's last name and the digest of its files, and no path. The folder is looked for in
places that the caller names, in those of `VARIABLE`, and where this user read the same files before. Only a folder with
the same digest is taken, so a wrong place can never give wrong vectors.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from antibody_esm.errors import CheckpointError, listed
from antibody_esm.files import size, write
from antibody_esm.limits import LimitError, check_inside, read_regular
from antibody_esm.plm.checkpoints import Checkpoint, in_folder
from antibody_esm.specs.local_models import folder_name

VARIABLE = "ANTIBODY_ESM_CHECKPOINTS"
"""Environment variable with folders of checkpoints, separated like those of ``PATH``."""
MOST = 1_000
"""Most folders in one folder that are looked at."""
LARGEST = 2 * 10**9
"""Most bytes that one search reads from folders of other names, whose digests are not cached."""
_PATH_BYTES = 2**14

_used: dict[str, dict[str, None]] = {}
"""Folders in which this process read files, or a model names, by digest."""


def suggest(digest: str, folder: Path | str) -> None:
    """Remember a folder in this process: a search for the digest looks there too."""
    _used.setdefault(digest, {})[os.path.abspath(os.path.expanduser(folder))] = None  # noqa: PTH100, PTH111  no error


def remember(digest: str, folder: Path) -> None:
    """Remember the folder of a digest in this process, and in the user's cache folder for later ones."""
    if str(folder) in _used.get(digest, ()):
        return
    suggest(digest, folder)
    note = _note(digest)
    with suppress(OSError):  # without the note, the folder is to be named again
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write(note, os.fsencode(folder))


class OtherTokenizers(Protocol):
    """Tokenizers that lie in other folders than the weights, see `antibody_esm.plm.tokenizer_files.Tokenizers`."""

    name: str

    def variants(self, checkpoint: Checkpoint, /) -> Iterator[Checkpoint]:
        """Yield a model with its own tokenizer, and with each of the others."""
        ...


def search(
    name: str,
    digest: str,
    places: Sequence[str],
    *,
    weights: bool,
    thorough: bool = True,
    tokenizers: OtherTokenizers | None = None,
) -> Checkpoint:
    """Return the files with a digest.

    Parameters
    ----------
    name
        Name of the model. Folders of its last name are tried first.
    digest
        Digest of its files.
    places
        Folders that are checkpoints, or that hold some; those of `VARIABLE`, and earlier ones, are added.
    weights
        False if no weights are needed, which are then no part of the digest.
    thorough
        False tries no folder of another name unless it is named itself, or its digests are cached.
    tokenizers
        Tokenizers of which one is among the files with the digest; None if it is the folder's own.

    Raises
    ------
    CheckpointError
        If there is none. The message lists where it was looked for, and folders of the name with other files.
    """
    hint, tried = Path(folder_name(name)).name, _Tried(tokenizers)
    for folder in earlier(digest):
        tried.places.append(str(folder))
        if (checkpoint := tried.compared(folder, None, name, digest, weights)) is not None:
            return checkpoint
    others: list[tuple[Path, Path]] = []
    for place in named_places(places):
        tried.places.append(str(place))
        for folder, inside in tried.folders(place):
            if folder is not place and folder.name != hint:
                others.append((folder, inside))
            elif (checkpoint := tried.compared(folder, inside, name, digest, weights)) is not None:
                return checkpoint
    left = LARGEST if thorough else 0
    for folder, inside in others:
        candidate = _readable(folder, inside, name, weights)
        cost = 0 if candidate is None else candidate.unread
        if cost > left:
            tried.large.append(f"{folder} ({size(cost)})")
            continue
        left -= cost
        if (checkpoint := tried.compared(folder, inside, name, digest, weights)) is not None:
            return checkpoint
    raise tried.error(name, digest)


def named_places(places: Sequence[str]) -> list[Path]:
    """Return the folders to look in, each once: those that are named, and those of `VARIABLE`."""
    of_environment = [place for place in os.environ.get(VARIABLE, "").split(os.pathsep) if place]
    return list(dict.fromkeys(Path(os.path.expanduser(place)) for place in (*places, *of_environment)))  # noqa: PTH111


def folders_with(place: Path, files: Collection[str]) -> Iterator[tuple[Path, Path]]:
    """Yield a place if it has one of the files, else its folders that have, each with the folder that holds the files.

    Raises OSError if the place cannot be read.
    """
    if any((place / file).is_file() for file in files):
        # files of a snapshot of the hub's cache are links into the folder of the model
        yield place, place.parent.parent if place.parent.name == "snapshots" else place
        return
    with os.scandir(place) as entries:
        inner = [entry for _, entry in zip(range(MOST), entries, strict=False)]
    for entry in sorted(inner, key=lambda each: each.name):
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False) and any((place / entry.name / file).is_file() for file in files):
                yield place / entry.name, place


def advice(last: str) -> str:
    """Return how to name a folder that was not found."""
    return (
        f"name its folder: checkpoint='path/to/{last}', --checkpoint path/to/{last} or {VARIABLE}=path/to, "
        "or copy it beside the model"
    )


class _Tried:
    """Folders that were looked at, for the message."""

    def __init__(self, tokenizers: OtherTokenizers | None) -> None:
        self.tokenizers = tokenizers
        self.problem: OSError | None = None
        self.places: list[str] = []
        self.unlike: list[str] = []
        self.digests: list[str] = []
        self.large: list[str] = []
        self.absent: list[str] = []

    def folders(self, place: Path) -> Iterator[tuple[Path, Path]]:
        """Yield the checkpoints of a place, as `folders_with` does; a place that cannot be read has none."""
        try:
            yield from folders_with(place, ("config.json",))
        except OSError as error:
            self.absent.append(f"{place} cannot be read ({error.strerror})")

    def compared(self, folder: Path, inside: Path | None, name: str, digest: str, weights: bool) -> Checkpoint | None:
        """Return the files of a folder if they have the digest."""
        checkpoint = _readable(folder, inside, name, weights)
        if checkpoint is None:
            return None
        actual = ""
        try:
            for each in (checkpoint,) if self.tokenizers is None else self.tokenizers.variants(checkpoint):
                actual = each.digest
                if actual == digest:
                    return each
        except OSError as error:
            self.problem = self.problem or error
        if not actual:
            return None
        self.unlike.append(str(folder))
        self.digests.append(f"in {folder} its files have digest {actual}")
        return None

    def error(self, name: str, digest: str) -> CheckpointError:
        """Return the error of a search without a result."""
        shown = folder_name(name)
        last = Path(shown).name
        lines = [f"checkpoint {shown!r}: no folder with its files is here, but the spec is pinned to {digest}"]
        if self.digests:
            lines.append(f"other files: {listed(self.digests, len(self.digests), '; ')}")
        if self.places:
            lines.append(f"looked in: {listed(self.places, len(self.places))}")
        if self.absent:
            lines.append(listed(self.absent, len(self.absent), "; "))
        if self.large:
            lines.append(f"too large to compare without being named: {listed(self.large, len(self.large))}")
        hidden = [name, *self.places, *self.unlike]
        if self.tokenizers is not None:
            tokenizer = folder_name(self.tokenizers.name)
            lines.append(f"its tokenizer is {tokenizer!r}, of a folder of its own that was looked for there too")
            hidden.append(self.tokenizers.name)
            if isinstance(self.problem, CheckpointError):
                lines.append(str(self.problem))
                hidden += self.problem.folders
        lines.append(advice(last))
        named = [each.partition(" (")[0] for each in self.large] + [each.split(" cannot be")[0] for each in self.absent]
        return CheckpointError(";\n".join(lines), shown, None, [*hidden, *named])


def _readable(folder: Path, inside: Path | None, name: str, weights: bool) -> Checkpoint | None:
    """Return the files of a folder; None if some are missing or lead out of a folder."""
    try:
        checkpoint = in_folder(folder, name, weights=weights)
        for path in checkpoint.files.values():
            check_inside(path, inside)
    except (OSError, LimitError, ValueError):
        return None
    return checkpoint


def earlier(digest: str) -> list[Path]:
    """Return the folders that were remembered for a digest."""
    folders = list(_used.get(digest, ()))
    with suppress(OSError, ValueError):
        folders.append(os.fsdecode(read_regular(_note(digest), _PATH_BYTES)))
    return [Path(folder) for folder in dict.fromkeys(folders)]


def _note(digest: str) -> Path:
    import platformdirs

    return platformdirs.user_cache_path("antibody_esm") / "checkpoints" / digest
