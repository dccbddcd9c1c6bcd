"""Local folders of language models, found by the digest of their files.

A spec that is stored has a folder's last name and the digest of its files, and no path. The folder is looked for in
places that the caller names, in those of `VARIABLE`, and where this user read the same files before. Only a folder with
the same digest is taken, so a wrong place can never give wrong vectors.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

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


def search(name: str, digest: str, places: Sequence[str], *, weights: bool, thorough: bool = True) -> Checkpoint:
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

    Raises
    ------
    CheckpointError
        If there is none. The message lists where it was looked for, and folders of the name with other files.
    """
    hint, tried = Path(folder_name(name)).name, _Tried()
    for folder in _earlier(digest):
        tried.places.append(str(folder))
        if (checkpoint := tried.compared(folder, None, name, digest, weights)) is not None:
            return checkpoint
    of_environment = [place for place in os.environ.get(VARIABLE, "").split(os.pathsep) if place]
    others: list[tuple[Path, Path]] = []
    for place in dict.fromkeys(Path(os.path.expanduser(place)) for place in (*places, *of_environment)):  # noqa: PTH111
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


class _Tried:
    """Folders that were looked at, for the message."""

    def __init__(self) -> None:
        self.places: list[str] = []
        self.unlike: list[str] = []
        self.digests: list[str] = []
        self.large: list[str] = []
        self.absent: list[str] = []

    def folders(self, place: Path) -> Iterator[tuple[Path, Path]]:
        """Yield a place if it is a checkpoint, else its folders that are, each with the folder that holds its files."""
        try:
            if (place / "config.json").is_file():
                # files of a snapshot of the hub's cache are links into the folder of the model
                yield place, place.parent.parent if place.parent.name == "snapshots" else place
                return
            with os.scandir(place) as entries:
                inner = [entry for _, entry in zip(range(MOST), entries, strict=False)]
        except OSError as error:
            self.absent.append(f"{place} cannot be read ({error.strerror})")
            return
        for entry in sorted(inner, key=lambda each: each.name):
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and (place / entry.name / "config.json").is_file():
                    yield place / entry.name, place

    def compared(self, folder: Path, inside: Path | None, name: str, digest: str, weights: bool) -> Checkpoint | None:
        """Return the files of a folder if they have the digest."""
        checkpoint = _readable(folder, inside, name, weights)
        if checkpoint is None:
            return None
        try:
            actual = checkpoint.digest
        except OSError:
            return None
        if actual == digest:
            return checkpoint
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
        lines.append(
            f"name its folder: checkpoint='path/to/{last}', --checkpoint path/to/{last} or {VARIABLE}=path/to, "
            "or copy it beside the model"
        )
        named = [each.partition(" (")[0] for each in self.large] + [each.split(" cannot be")[0] for each in self.absent]
        return CheckpointError(";\n".join(lines), shown, None, [name, *self.places, *self.unlike, *named])


def _readable(folder: Path, inside: Path | None, name: str, weights: bool) -> Checkpoint | None:
    """Return the files of a folder; None if some are missing or lead out of a folder."""
    try:
        checkpoint = in_folder(folder, name, weights=weights)
        for path in checkpoint.files.values():
            check_inside(path, inside)
    except (OSError, LimitError, ValueError):
        return None
    return checkpoint


def _earlier(digest: str) -> list[Path]:
    """Return the folders that were remembered for a digest."""
    folders = list(_used.get(digest, ()))
    with suppress(OSError, ValueError):
        folders.append(os.fsdecode(read_regular(_note(digest), _PATH_BYTES)))
    return [Path(folder) for folder in dict.fromkeys(folders)]


def _note(digest: str) -> Path:
    import platformdirs

    return platformdirs.user_cache_path("antibody_esm") / "checkpoints" / digest
