"""Folder of a page's uploads and tables, which is removed at its end, or at the next start if the page was killed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "antibody_esm-app-"
TABLE = "table-"
"""Beginning of the names of folders of tables to be downloaded."""
_LOCK = "page-is-open"
_YOUNG = 60.0
"""Seconds within which a page that starts has locked its folder."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Remove the folders of pages that have gone, and yield a new one that only this user can read.

    A page holds a lock on its folder, which the system gives up with the process, however it ends.
    """
    remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            _locked(lock.fileno())
            yield folder


def remove_leftovers() -> None:
    """Remove the folders of pages of this user whose process has gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_left(folder):
                shutil.rmtree(folder)


def remove_old(folder: Path, seconds: float) -> None:
    """Remove the tables of a page that are older than so many seconds."""
    for table in folder.glob(f"{TABLE}*"):
        if time.time() - table.stat().st_mtime > seconds:
            shutil.rmtree(table, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Return whether a folder is one of a page that has gone: not a link, not new, ours, and not locked."""
    state = folder.lstat()
    mine = not hasattr(os, "getuid") or state.st_uid == os.getuid()
    if folder.is_symlink() or not folder.is_dir() or not mine or time.time() - state.st_mtime < _YOUNG:
        return False
    if not (folder / _LOCK).exists():
        return True
    with (folder / _LOCK).open("r+") as lock:
        return _locked(lock.fileno())


def _locked(number: int) -> bool:
    """Lock an open file, and return whether nobody else holds it; False where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
