"""Raw files of public data sets, from their source or a local folder, each checked by its digest."""

import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from antibody_esm.errors import DatasetError
from antibody_esm.files import digest

VARIABLE = "ANTIBODY_ESM_DATA"
"""Environment variable with the path of a local folder that holds the files, in the layout of ``registry.txt``."""


class RawFile(NamedTuple):
    """A file and the digest of its content."""

    path: Path
    sha256: str


def fetch(name: str) -> RawFile:
    """Return a raw file of ``registry.txt``; see `download`."""
    sha256, url = registry()[name]
    return download(name, url, sha256)


def download(name: str, url: str, sha256: str) -> RawFile:
    """Return a raw file from the folder that ``ANTIBODY_ESM_DATA`` names, or from its source.

    Downloads are kept in the user's cache folder.

    Raises
    ------
    DatasetError
        If the file cannot be read or downloaded, or has another digest.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return RawFile(_downloaded(name, url, sha256), sha256)
    path = Path(folder).expanduser() / name
    try:
        actual = digest(path)
    except OSError as error:
        raise DatasetError(
            f"cannot be read ({error.strerror}); {VARIABLE} is {folder}, which must hold {_first_folder(name)}", path
        ) from error
    if actual != sha256:
        raise DatasetError(f"is not the published file: its SHA-256 is {actual}, not {sha256}", path)
    return RawFile(path, sha256)


@cache
def registry() -> dict[str, tuple[str, str]]:
    """Return the SHA-256 and the address of each file of ``registry.txt``, which is in pooch's format."""
    lines = (files("antibody_esm.data") / "registry.txt").read_text(encoding="ascii").splitlines()
    rows = (line.split() for line in lines)
    return {name: (sha256.removeprefix("sha256:"), url) for name, sha256, url in rows}


def _downloaded(name: str, url: str, sha256: str) -> Path:
    import platformdirs
    import pooch

    pooch.get_logger().setLevel("WARNING")
    path = platformdirs.user_cache_path("antibody_esm") / "data" / name
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", path.name, path.parent))
    except (OSError, ValueError) as error:  # the network's and the disk's errors; a wrong digest is a ValueError
        raise DatasetError(
            f"{name} cannot be downloaded from {url} ({_first_reason(error)}); "
            f"if you have the file, put it at {name} in a folder of yours, and set {VARIABLE} to that folder, "
            f"which then holds {_first_folder(name)}"
        ) from error


def _first_folder(name: str) -> str:
    """Return the folder of a data set, in which a raw file lies."""
    return f"{name.split('/', maxsplit=1)[0]}/"


def _first_reason(error: BaseException) -> str:
    """Return the first line of the message of the innermost error."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]
