"""Cache of results: JSON files in a folder, each under the digest of its inputs."""

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antibody_esm.files import write

logger = logging.getLogger("antibody_esm")

_LIBRARIES = (
    *("anarcism", "immunum", "matplotlib", "numpy", "pandas"),
    *("scikit-learn", "scipy", "torch", "transformers", "xgboost"),
)


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and libraries, and the digest of this package's code."""
    code, root = hashlib.sha256(), Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        code.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries, "antibody_esm": code.hexdigest()}


class ResultFolder:
    """Results by their inputs. A damaged result is computed again.

    Parameters
    ----------
    root
        The folder, created with the first result. None keeps results in memory for the life of this object.
    required
        False: if the folder cannot be read or written, results are kept in memory after one warning. True raises the
        OSError.

    Examples
    --------
    >>> folder = ResultFolder(None)
    >>> folder.once({"n": 2}, lambda: {"square": 4}), folder.once({"n": 2}, lambda: {"square": 5})
    ({'square': 4}, {'square': 4})
    >>> folder.computed
    1
    """

    def __init__(self, root: Path | None, *, required: bool = True) -> None:
        self.root = root
        self.required = required
        self.computed = 0
        """Number of computed results."""
        self._results: dict[str, Any] = {}
        self._unsaid = [True]
        """Empty after the warning; `pop` lets one thread only print it."""

    def once(self, identity: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the cached result of this identity; if there is none, compute and cache it.

        Parameters
        ----------
        identity
            Inputs of the result as plain JSON values; `versions` are added.
        compute
            Function that returns plain JSON values, without NaN and infinity.
        """
        key = digest(identity)
        if key not in self._results:
            path = None if self.root is None else self.root / f"{key}.json"
            text = None
            if path is not None:
                with self._attempted():
                    text = _read(path)
            if text is None:
                text = json.dumps(compute(), allow_nan=False)
                self.computed += 1
                if path is not None and (self.required or self._unsaid):
                    with self._attempted():
                        path.parent.mkdir(parents=True, exist_ok=True)
                        write(path, f"{_sha256(text)}\n{text}\n".encode())
            self._results[key] = json.loads(text)
        return self._results[key]

    @contextmanager
    def _attempted(self) -> Iterator[None]:
        """Warn once of an OSError if the folder is not required."""
        try:
            yield
        except OSError as error:
            if self.required:
                raise
            with suppress(IndexError):
                self._unsaid.pop()
                reason = error.strerror or error
                logger.warning("finished results cannot be kept in %s, and the run goes on: %s", self.root, reason)


def digest(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an identity and the `versions`, 64 hexadecimal digits."""
    return _sha256(json.dumps([identity, versions()], sort_keys=True, allow_nan=False))


def _read(path: Path) -> str | None:
    """Return a result's JSON; None if the file is missing or damaged."""
    try:
        checksum, _, text = path.read_text(encoding="utf-8").removesuffix("\n").partition("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        checksum, text = "", ""
    if checksum != _sha256(text):
        logger.warning("%s is damaged; it is computed again", path)
        return None
    return text


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
