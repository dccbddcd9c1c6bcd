"""Who may read and write what a store makes: its user alone, or whom the folder around it is shared with."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from antibody_esm.errors import StoreError


def make_folder(path: Path) -> None:
    """Make a folder: private, or where the one around it may be written by a group, with the permissions of that.

    A symbolic link in its place is a StoreError. A folder that was there and is removed at the same moment is a
    FileNotFoundError, after which the caller tries again.
    """
    around = stat.S_IMODE(path.parent.stat().st_mode)
    mode = around if around & stat.S_IWGRP else 0o700
    try:
        path.mkdir(mode=mode & 0o777)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise StoreError("is not a folder of its own", path) from None
    else:
        with suppress(OSError):  # what the user's mask took, and the bits that hand a group on
            path.chmod(mode)


def share(file: int, folder: Path) -> None:
    """Give an open file to those with whom its folder is shared, whatever the user's mask says."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IWGRP and hasattr(os, "fchmod"):
        with suppress(OSError):
            os.fchmod(file, 0o600 | mode & 0o066)
