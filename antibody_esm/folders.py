"""Folders of results that are replaced as a whole: at every moment either the old or the new result exists.

A new result is written to a folder beside the old one. Then the two folders are exchanged in one step of the file
system (``renameat2`` of Linux), or in two renames, which the next run completes if they are interrupted. Only files of
a result are deleted; other files in the folder are kept.
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
"""Most foreign files in a folder that is exchanged as a whole: each of them is linked once."""
_SWAP_SECONDS = 60.0
"""Seconds after which an exchange by two renames, of any machine, counts as interrupted."""
_EXCHANGE = 2
"""``RENAME_EXCHANGE``."""
_HERE = -100
"""``AT_FDCWD``."""


@contextmanager
def replacing_folder(path: Path, ours: Collection[str]) -> Iterator[Path]:
    """Yield an empty folder, which replaces `path` if the block ends without an error.

    Parameters
    ----------
    path
        The folder; missing parents are created. A symbolic link stays, and points to the new folder.
    ours
        Files of a result, relative to the folder: those of an earlier result are replaced, or removed if the new result
        lacks them. All other files are kept.

    Raises
    ------
    OSError
        If the folder cannot be created, or a file of another kind has its name.
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
    """Complete the replacement of a folder by a killed process of this machine, and remove its leftovers."""
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
    """Create an empty folder beside `path`, or inside if it cannot be beside."""
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
    """Raise an OSError if a folder or link has the name of a file of the result."""
    if os.path.lexists(path) and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(path))
    for name in ours:
        place = path / name
        if place.is_dir() and not place.is_symlink():
            raise IsADirectoryError(errno.EISDIR, "is a folder, but the result has a file of this name", str(place))
        for parent in PurePosixPath(name).parents[:-1]:
            if os.path.lexists(path / parent) and (not (path / parent).is_dir() or (path / parent).is_symlink()):
                raise NotADirectoryError(errno.ENOTDIR, "is not a folder of its own", str(path / parent))


def _install(new: Path, path: Path, ours: Collection[str]) -> None:
    """Put a complete new folder in the place of an old one; `new` then holds the old one."""
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
    """Put each file and folder of a new result in its place, if the folder cannot be replaced as a whole."""
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
    """Exchange two folders."""
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


def _exchange(path: Path, other: Path) -> bool:
    """Exchange two names in one step; return False if the system or the file system cannot."""
    rename = _renameat2()
    return bool(rename is not None and rename(_HERE, os.fsencode(path), _HERE, os.fsencode(other), _EXCHANGE) == 0)


@cache
def _renameat2() -> Any:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return function


def _link_others(old: Path, new: Path, ours: Collection[str]) -> bool:
    """Link all foreign files of an old folder into a new one; return False if that is not possible."""
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
                if any(entry.iterdir()) and not any(place.iterdir()):
                    place.rmdir()  # it held files of the old result only
            elif entry.name not in ours and not os.path.lexists(place):
                next(most)
                os.link(entry, place, follow_symlinks=False)

    try:
        link(old, new, ours)
    except (OSError, StopIteration, NotImplementedError):  # systems without hard links raise the last one
        return False
    return True


def _retire(leftover: Path, path: Path, ours: Collection[str]) -> None:
    """Remove a folder of an old or unfinished result; foreign files that `path` lacks are moved there."""
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


def _same(path: Path, other: Path) -> bool:
    try:
        return os.path.samestat(path.lstat(), other.lstat())
    except OSError:
        return False


def _within(ours: Collection[str], folder: str) -> list[str]:
    """Return the files in a folder, relative to it."""
    paths = [PurePosixPath(name) for name in ours]
    return [str(path.relative_to(folder)) for path in paths if len(path.parts) > 1 and path.parts[0] == folder]
