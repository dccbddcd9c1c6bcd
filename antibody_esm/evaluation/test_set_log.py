"""Log of the test sets that models were scored on.

If models are chosen by their scores on a test set, these scores become optimistic; so the log counts how often a test
set was opened. It is a file of JSON lines beside a model and outside of its digest. The log stays if another model is
saved into the same folder: its scores are not the first look at the test set.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from antibody_esm.data.provenance import WITHOUT_NAME
from antibody_esm.errors import StoreError


@dataclass(frozen=True)
class Opening:
    """Scoring of one model on one test set."""

    source: str
    """Source in the provenance of the test set."""
    data: str
    """Digest of the test set."""
    model: str
    """Digest of the model."""
    threshold: float | None = None
    """Probability threshold of the classes; None: that of the model."""

    @property
    def key(self) -> str:
        """SHA-256 of all fields, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Ledger:
    """Log of openings, each of them once, in the order in which they were made.

    Parameters
    ----------
    path
        File of JSON lines; None keeps them in memory. It need not exist.

    Raises
    ------
    StoreError
        If a line is not an opening when the file is read, since the count is unknown then.

    Examples
    --------
    >>> ledger = Ledger()
    >>> for threshold in (None, None, 0.4):
    ...     ledger.record(Opening("jain", "d1", "m1", threshold))
    >>> ledger.count("jain")
    2
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._in_memory: dict[str, Opening] = {}

    def record(self, opening: Opening) -> None:
        """Add an opening; the same opening is added once, because a repeated run shows no new score."""
        if opening.key in self._openings():
            return
        self._in_memory[opening.key] = opening
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(opening)) + "\n")

    def count(self, source: str, data: str | None = None) -> int:
        """Return the number of times that a test set was opened.

        Test sets are counted by their source; those without a file or a name, by the digest `data` if it is passed.
        """
        digest = data if source in WITHOUT_NAME else None
        return sum(opening.source == source and digest in (None, opening.data) for opening in self._openings().values())

    def note(self, source: str, data: str | None = None) -> str:
        """Return the sentence of a report on how often a test set was opened; see `count`."""
        times = self.count(source, data)
        often = (
            "once" if times == 1 else f"{times} times: if models are chosen by these scores, the scores are optimistic"
        )
        return f"With models saved here, this test set was opened {often}."

    def copy(self) -> "Ledger":
        """Return a log in memory with the same openings, for a model that was made of this one."""
        log = Ledger()
        for opening in self._openings().values():
            log.record(opening)
        return log

    def move(self, path: Path) -> None:
        """Write openings to this file from now on, in addition to those that it holds."""
        openings, self.path = self._openings(), path
        for opening in openings.values():
            self._in_memory.pop(opening.key, None)
            self.record(opening)

    def _openings(self) -> dict[str, Opening]:
        return {**self._read(), **self._in_memory}

    def _read(self) -> dict[str, Opening]:
        if self.path is None:
            return {}
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"the log of test sets cannot be read: {error}", self.path) from error
        openings = {}
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                opening = Opening(**{field.name: row[field.name] for field in fields(Opening)})
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise StoreError(f"line {number} is not an opening of a test set: {line[:80]!r}", self.path) from error
            openings[opening.key] = opening
        return openings
