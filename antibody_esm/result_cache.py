"""Cache of results: JSON files in a folder, each under the digest of its inputs."""

import hashlib
import json
import logging
import platform
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antibody_esm.files import write
from antibody_esm.limits import LimitError, parse_json, read_regular

logger = logging.getLogger("antibody_esm")

_LIBRARIES = (
    *("anarcism", "immunum", "matplotlib", "numpy", "pandas"),
    *("scikit-learn", "scipy", "torch", "transformers", "xgboost"),
)


_BYTES = 256 * 10**6
"""Largest result that is kept."""
_VALUES = 20_000_000
"""Most values of a result that is read."""
_ABSENT = object()
Valid = Callable[[Any], bool]
"""Function that returns True for a value that a computation could have returned."""


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

    def once(self, identity: Mapping[str, Any], compute: Callable[[], Any], valid: Valid | None = None) -> Any:
        """Return the cached result of this identity; if there is none, compute and cache it.

        Parameters
        ----------
        identity
            Inputs of the result as plain JSON values; `versions` are added.
        compute
            Function that returns plain JSON values, without NaN and infinity.
        valid
            Function that a kept value must pass; another one is damaged. None accepts every value.
        """
        key = digest(identity)
        if key not in self._results:
            path = None if self.root is None else self.root / f"{key}.json"
            value = _ABSENT
            if path is not None:
                with self._attempted():
                    value = _read(path, valid)
            if value is _ABSENT:
                text = json.dumps(compute(), allow_nan=False)
                self.computed += 1
                value = json.loads(text)
                if path is not None and (self.required or self._unsaid):
                    with self._attempted():
                        _keep(path, text)
            self._results[key] = value
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


def _read(path: Path, valid: Valid | None) -> Any:
    """Return a result's value; `_ABSENT` if the file is missing or damaged. No link is followed."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise LimitError("not a regular file")
        checksum, _, content = read_regular(path, _BYTES).removesuffix(b"\n").partition(b"\n")
        if checksum.decode("ascii", "replace") != hashlib.sha256(content).hexdigest():
            raise LimitError("not the content that was kept")
        value = parse_json(content, _VALUES)
        json.dumps(value, allow_nan=False)  # raises ValueError for NaN and infinity
        if valid is not None and not valid(value):
            raise LimitError("not a result of this computation")
    except FileNotFoundError:
        return _ABSENT
    except ValueError:
        logger.warning("%s is damaged; it is computed again", path)
        return _ABSENT
    return value


def _keep(path: Path, text: str) -> None:
    """Write a result, in place of whatever has its name; the target of a link stays as it is."""
    content = f"{_sha256(text)}\n{text}\n".encode()
    if len(content) > _BYTES:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        return
    if path.is_symlink() or (path.exists() and not path.is_file()):  # a link would be followed, a FIFO waited for
        path.unlink()
    write(path, content)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
