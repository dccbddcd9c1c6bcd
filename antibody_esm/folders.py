"""Folders of results that are replaced as a whole: at every moment the old or the new result is there.

A new result is written to a folder beside the old one, and the two change places in one step of the file system
(``renameat2`` of Linux), else in two renames that the next run completes if they are interrupted. Only files that a
result consists of are ever deleted; everything else in the folder is kept.
"""

import ctypes
import errno
import glob
import os
import shutil
import stat
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from antibody_esm.files import beside, flush, leftovers, resolved

_PARTIAL, _REPLACED = "partial", "replaced"
_MOST_OTHERS = 10_000
"""Files of others in a folder up to which it is swapped as a whole: each of them is linked once for that."""
_SWAP_SECONDS = 60.0
"""Seconds after which a swap in two renames, by whatever machine, was interrupted."""
_EXCHANGE = 2
"""``RENAME_EXCHANGE``."""
_HERE = -100
"""``AT_FDCWD``."""


@contextmanager
def replacing_folder(path: Path, ours: Collection[str]) -> Iterator[Path]:
    """Yield an empty folder, which takes the place of `path` when the block ends without an error.

    Parameters
    ----------
    path
        The folder; its parents are made where they are missing. A symbolic link stays, and leads to the new folder.
    ours
        Files that a result consists of, relative to the folder: those of an earlier result are replaced, or go if the
        new one has none. All other files are kept.

    Raises
    ------
    OSError
        If the folder cannot be made, or something else stands in its place.
    """
    target = resolved(path)
    missing = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    recover(target, ours)
    refuse_obstacles(target, ours)
    new = _new_folder(target)
    try:
        yield new
        for folder, _, files in os.walk(new):
            for name in files:
                flush(Path(folder, name))
        _install(new, target, ours)
        flush(target.parent)
    finally:
        if new.exists():
            _retire(new, target, ours)
        with suppress(OSError):  # those that hold something stay
            for parent in missing:
                parent.rmdir()


def recover(path: Path, ours: Collection[str]) -> None:
    """Complete what a killed process of this machine began with a folder, and remove what it left beside it."""
    for aside in path.parent.glob(f"{glob.escape(path.name)}.{_REPLACED}-*") if path.parent.is_dir() else ():
        with suppress(FileNotFoundError):
            if aside in leftovers(path, _REPLACED) or time.time() - aside.stat().st_ctime > _SWAP_SECONDS:
                if not os.path.lexists(path):
                    aside.rename(path)
                else:
                    _retire(aside, path, ours)
    for leftover in [*leftovers(path, _PARTIAL), *leftovers(path / path.name, _PARTIAL)]:
        if leftover.is_dir() and not leftover.is_symlink():
            _retire(leftover, path, ours)


def _new_folder(path: Path) -> Path:
    """Make an empty folder beside `path`, or inside where there is no other place."""
    inside = path.is_dir() and (path.is_mount() or _holds_current_folder(path))
    new = beside(path / path.name if inside else path, _PARTIAL)
    try:
        new.mkdir()
    except PermissionError:
        if inside or not path.is_dir():
            raise
        new = beside(path / path.name, _PARTIAL)
        new.mkdir()
    if path.is_dir():
        with suppress(OSError):
            before = path.stat()
            new.chmod(stat.S_IMODE(before.st_mode))
            os.chown(new, -1, before.st_gid)
    return new


def _holds_current_folder(path: Path) -> bool:
    try:
        return Path.cwd().is_relative_to(path)
    except OSError:  # the current folder was removed
        return False


def refuse_obstacles(path: Path, ours: Collection[str]) -> None:
    """Raise an OSError if something that is not of an earlier result stands in the place of a result."""
    if os.path.lexists(path) and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(path))
    for name in ours:
        place = path / name
        if place.is_dir() and not place.is_symlink():
            raise IsADirectoryError(errno.EISDIR, "is a folder, and a file of this name would be written", str(place))
        for parent in PurePosixPath(name).parents[:-1]:
            if os.path.lexists(path / parent) and (not (path / parent).is_dir() or (path / parent).is_symlink()):
                raise NotADirectoryError(errno.ENOTDIR, "is not a folder of its own", str(path / parent))


def _install(new: Path, path: Path, ours: Collection[str]) -> None:
    """Put a complete new folder in the place of an old one, of which `new` holds the rest afterwards."""
    if not os.path.lexists(path):
        try:
            new.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        else:
            return
    if new.parent == path or not _link_others(path, new, ours):
        _install_one_by_one(new, path, ours)
        return
    _swap(new, path)


def _install_one_by_one(new: Path, path: Path, ours: Collection[str]) -> None:
    """Put each file and folder of a new result in its place, where the folder as a whole cannot be replaced."""
    parts = [new / name for name in dict.fromkeys(PurePosixPath(name).parts[0] for name in ours)]
    for part in sorted(parts, key=lambda part: (not part.is_dir(), part.name)):
        place = path / part.name
        if part.is_dir() and place.is_dir():
            _link_others(place, part, _within(ours, part.name))
            _swap(part, place)
        elif part.exists():
            part.replace(place)
        elif part.name in ours:
            place.unlink(missing_ok=True)


def _swap(new: Path, path: Path) -> None:
    """Let two folders change places."""
    if _exchange(new, path):
        return
    aside = beside(path, _REPLACED)
    path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    aside.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system or the file system cannot."""
    rename = _renameat2()
    return bool(rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


@cache
def _renameat2() -> Any:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return function


def _link_others(old: Path, new: Path, ours: Collection[str]) -> bool:
    """Give all files of an old folder that are not ours a second name in a new one; False if that is not possible."""
    most = iter(range(_MOST_OTHERS))

    def link(old: Path, new: Path, ours: Collection[str]) -> None:
        for entry in sorted(old.iterdir()):
            place = new / entry.name
            if entry.is_dir() and not entry.is_symlink():
                if not place.is_dir():
                    place.mkdir()
                    shutil.copystat(entry, place)
                    owner = entry.stat()
                    with suppress(OSError):
                        os.chown(place, owner.st_uid, owner.st_gid)
                link(entry, place, _within(ours, entry.name))
            elif entry.name not in ours and not os.path.lexists(place):
                next(most)
                os.link(entry, place, follow_symlinks=False)

    try:
        link(old, new, ours)
    except (OSError, StopIteration, NotImplementedError):
        return False
    return True


def _retire(leftover: Path, path: Path, ours: Collection[str]) -> None:
    """Remove a folder of an old or unfinished result; files of others that `path` has not are moved there."""
    _empty(leftover, path, ours)
    if leftover.exists():
        warnings.warn(f"{leftover} holds files that are not part of a result; they are kept there", stacklevel=2)


def _empty(leftover: Path, path: Path, ours: Collection[str]) -> None:
    for entry in sorted(leftover.iterdir()):
        place, inner = path / entry.name, _within(ours, entry.name)
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and (inner or (place.is_dir() and not place.is_symlink())):
            _empty(entry, place, inner)
        elif not is_folder and (entry.name in ours or _same(entry, place)):
            entry.unlink()
        elif not os.path.lexists(place) and path.is_dir():
            entry.rename(place)
    with suppress(OSError):
        leftover.rmdir()


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def _within(ours: Collection[str], folder: str) -> list[str]:
    """Return those files that lie in a folder, relative to it."""
    paths = [PurePosixPath(name) for name in ours]
    return [str(path.relative_to(folder)) for path in paths if len(path.parts) > 1 and path.parts[0] == folder]
