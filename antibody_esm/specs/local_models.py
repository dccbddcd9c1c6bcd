"""Names of models that are local folders: what is stored has the last name of the folder, and never its path."""

import os
import re
from pathlib import Path

from antibody_esm.licences import PACKAGED

_PATH = re.compile(r"[/~]|\.{1,2}(/|$)|.*\\|[A-Za-z]:/|[^/]*/[^/]*/|.*/$", re.DOTALL)
"""Beginning of texts that are paths, also where no such folder exists; a name of the hub is ``name/name``."""
_NAMELESS = "checkpoint"


def is_folder(model: str) -> bool:
    """Return True if a model's name is a folder, or a path of one that is not here.

    Examples
    --------
    >>> is_folder("/data/models/mine"), is_folder("facebook/esm2_t6_8M_UR50D"), is_folder("antiberty")
    (True, False, False)
    """
    if model in PACKAGED:
        return False
    return _PATH.match(model) is not None or os.path.isdir(model)  # noqa: PTH112  which takes names of any length


def is_published(name: str, revision: str | None) -> bool:
    """Return True if a pinned spec's name is one of the hub or of a package; a bare name may be that of a folder."""
    return name in PACKAGED or (not is_folder(name) and ("/" in name or revision is not None))


def folder_name(model: str) -> str:
    """Return the last name of a folder; any other name of a model as it is.

    A folder that has the name of a packaged model gets another one, since such a name has a licence and files.

    Examples
    --------
    >>> folder_name("/data/models/mine"), folder_name("facebook/esm2_t6_8M_UR50D"), folder_name("~/models/antiberty")
    ('mine', 'facebook/esm2_t6_8M_UR50D', 'local_antiberty')
    """
    if not is_folder(model):
        return model
    last = Path(os.path.abspath(os.path.expanduser(model))).name  # noqa: PTH100, PTH111  which raise no error
    name = re.split(r"[\\/]", last)[-1].lstrip("~") or _NAMELESS
    return f"local_{name}" if name.lower() in PACKAGED else name
