"""Permissions of a store's files: private, or those of a shared parent folder."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from antibody_esm.errors import StoreError


def make_folder(path: Path) -> None:
    """Create a folder: private, or with the permissions of its parent if a group may write to the parent.

    Raises StoreError for a symbolic link in its place. Raises FileNotFoundError if another process removes the folder
    at the same moment; the caller then tries again.
    """
    around = stat.S_IMODE(path.parent.stat().st_mode)
    mode = around if around & stat.S_IWGRP else 0o700
    try:
        path.mkdir(mode=mode & 0o777)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise StoreError("is not a folder of its own", path) from None
    else:
        with suppress(OSError):  # restores bits removed by the umask, and sets those that inherit the group
            path.chmod(mode)


def share(file: int, folder: Path) -> None:
    """Give an open file the group permissions of its folder, whatever the umask."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IWGRP and hasattr(os, "fchmod"):
        with suppress(OSError):
            os.fchmod(file, 0o600 | mode & 0o066)
