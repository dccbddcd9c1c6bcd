"""Results that are computed once: JSON in a folder, each under the digest of all that it depends on."""

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antibody_esm.files import write

logger = logging.getLogger("antibody_esm")

_LIBRARIES = ("anarcism", "matplotlib", "numpy", "pandas", "scikit-learn", "scipy", "torch", "transformers", "xgboost")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and libraries, and the digest of this package's code: other code, other results."""
    code, root = hashlib.sha256(), Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        code.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries, "antibody_esm": code.hexdigest()}


class ResultFolder:
    """What was found, by what it depends on. A result that was damaged is computed again.

    Parameters
    ----------
    root
        The folder; it is made when the first result is kept. None remembers results for the life of this object.

    Examples
    --------
    >>> folder = ResultFolder(None)
    >>> folder.once({"n": 2}, lambda: {"square": 4}), folder.once({"n": 2}, lambda: {"square": 5})
    ({'square': 4}, {'square': 4})
    >>> folder.computed
    1
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.computed = 0
        """How many results had to be computed."""
        self._known: dict[str, Any] = {}

    def once(self, identity: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the result of this identity: the one that is known, else what `compute` returns, which is kept.

        Parameters
        ----------
        identity
            Plain JSON values: everything the result depends on, but for `versions`, which are always part of it.
        compute
            Returns plain JSON values; NaN and infinity are not among them.
        """
        key = digest(identity)
        if key not in self._known:
            path = None if self.root is None else self.root / f"{key}.json"
            found = None if path is None else _read(path)
            if found is None:
                found = json.dumps(compute(), allow_nan=False)
                self.computed += 1
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write(path, f"{_sha256(found)}\n{found}\n".encode())
            self._known[key] = json.loads(found)
        return self._known[key]


def digest(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an identity and the `versions`, 64 hexadecimal digits."""
    return _sha256(json.dumps([identity, versions()], sort_keys=True, allow_nan=False))


def _read(path: Path) -> str | None:
    """Return a result's JSON; None if there is none, or it is not what was written."""
    try:
        said, _, found = path.read_text(encoding="utf-8").removesuffix("\n").partition("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        said, found = "", ""
    if said != _sha256(found):
        logger.warning("%s is damaged; it is computed again", path)
        return None
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
