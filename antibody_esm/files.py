"""Files that are written completely or not at all.

All output files are written by `write` or `replacing`, and folders by `folders.replacing_folder`. Only `store` writes
segments and descriptions itself: the name of a segment holds its length and digest, which are computed while writing,
and files of a store inherit the permissions of its folder.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from csv import QUOTE_NONNUMERIC
from pathlib import Path
from typing import TYPE_CHECKING

from antibody_esm.errors import AntibodyESMError
from antibody_esm.processes import host, runs

if TYPE_CHECKING:
    import pandas as pd

_OWNER = re.compile(r"([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{8}")
_LONGEST = 40
"""Characters of a file's name at the beginning of its temporary name: names have at most 255 bytes."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk."""


def write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all; an earlier file is replaced."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file, which replaces `path` if the block ends without an error.

    The permissions of an earlier file stay. A symbolic link stays too: the file that it points to is replaced.

    Raises
    ------
    OSError
        If the file cannot be written; an earlier file is unchanged.
    """
    target = resolved(path)
    unfinished = beside(target, "tmp")
    try:
        _create(unfinished, target)
        yield unfinished
        flush(unfinished)
        unfinished.replace(target)
        flush(target.parent)
    except OSError as error:
        named = error.filename is not None and Path(str(error.filename)) == unfinished
        if isinstance(error, AntibodyESMError) or not (named or error.errno in _FULL):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def resolved(path: Path) -> Path:
    """Return a path without symbolic links; the last part need not exist."""
    try:
        return path.resolve()
    except RuntimeError as error:  # before Python 3.13, links in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error


def beside(path: Path, kind: str) -> Path:
    """Return a new name beside a path with the id of this process, so that leftovers of ended processes are known."""
    owner = f"{host()[:8]}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f"{path.name[:_LONGEST]}.{owner}.tmp" if kind == "tmp" else f"{path.name}.{kind}-{owner}")


def leftovers(path: Path, kind: str) -> list[Path]:
    """Return files `beside` a path that ended processes of this machine left."""
    start, end = (f"{path.name[:_LONGEST]}.", ".tmp") if kind == "tmp" else (f"{path.name}.{kind}-", "")
    paths = []
    with suppress(OSError):
        for sibling in path.parent.iterdir():
            if sibling.name.startswith(start) and sibling.name.endswith(end):
                owner = _OWNER.fullmatch(sibling.name[len(start) : len(sibling.name) - len(end)])
                if owner and owner[1] == host()[:8] and not runs(int(owner[2])):
                    paths.append(sibling)
    return sorted(paths)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that killed processes left."""
    for leftover in leftovers(resolved(path), "tmp"):
        with suppress(OSError):
            leftover.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk, if the system supports it."""
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def csv_text(table: "pd.DataFrame", *, separator: str = ",", header: bool = True) -> str:
    r"""Return a table as CSV that all readers divide into the same rows.

    Python before 3.13 does not quote a carriage return within a text, which readers take as the end of a row.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"id": ["a\rb", "c"], "score": [1, 2]}))
    '"id","score"\n"a\rb",1\n"c",2\n'
    """
    text = table.to_csv(sep=separator, index=False, header=header)
    return table.to_csv(sep=separator, index=False, header=header, quoting=QUOTE_NONNUMERIC) if "\r" in text else text


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(count: float) -> str:
    """Return a number of bytes with its unit.

    Examples
    --------
    >>> size(348_000)
    '348 kB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _create(unfinished: Path, target: Path) -> None:
    """Create an empty file with the permissions of an earlier one, which must be a writable file."""
    mode = None
    with suppress(FileNotFoundError):
        mode = target.stat().st_mode
    if mode is not None and not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, os.strerror(code), str(target))
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    number = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
    try:
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(number, stat.S_IMODE(mode))
    finally:
        os.close(number)
