"""Temporary folder of a page's uploads and tables, removed when the page ends, or at the next start."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "antibody_esm-app-"
TABLE = "table-"
"""Prefix of folders with tables to download."""
_LOCK = "page-is-open"
_YOUNG = 60.0
"""Seconds within which a starting page locks its folder."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Remove the folders of ended pages, and yield a new folder that only this user can read.

    A page holds a lock on its folder, which the system releases when the process ends.
    """
    remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            _locked(lock.fileno())
            yield folder


def remove_leftovers() -> None:
    """Remove the folders of this user's pages whose process has ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_left(folder):
                shutil.rmtree(folder)


def remove_old(folder: Path, seconds: float) -> None:
    """Remove the tables of a page that are older than a number of seconds."""
    for table in folder.glob(f"{TABLE}*"):
        if time.time() - table.stat().st_mtime > seconds:
            shutil.rmtree(table, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Return True for the folder of an ended page: not a link, not new, of this user, and not locked."""
    state = folder.lstat()
    mine = not hasattr(os, "getuid") or state.st_uid == os.getuid()
    if folder.is_symlink() or not folder.is_dir() or not mine or time.time() - state.st_mtime < _YOUNG:
        return False
    if not (folder / _LOCK).exists():
        return True
    with (folder / _LOCK).open("r+") as lock:
        return _locked(lock.fileno())


def _locked(number: int) -> bool:
    """Lock an open file; return False if another process holds the lock, or if the system has no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
