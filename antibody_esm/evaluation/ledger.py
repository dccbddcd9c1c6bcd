"""Which test sets were opened, with which models: what is tried again and again on a test set is tuned to it.

The ledger is a file of JSON lines beside a model and outside of its digest. It stays where another model is saved into
the same folder, since it is then that a second look at the same test set is no longer the first.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from antibody_esm.errors import StoreError


@dataclass(frozen=True)
class Opening:
    """One look at the labels of a test set."""

    source: str
    """Where the test set comes from, as its provenance says."""
    data: str
    """Digest of the test set."""
    model: str
    """Digest of the model."""
    threshold: float | None = None
    """What classes were predicted by; None: as the model has it."""

    @property
    def key(self) -> str:
        """What tells one opening from another, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Ledger:
    """Openings, each of them once, in the order in which they were made.

    Parameters
    ----------
    path
        File of JSON lines; None keeps them in memory. It need not exist.

    Raises
    ------
    StoreError
        When it is read, if a line is not an opening: then nobody knows how many there were.

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
        """Note an opening, unless the very same was noted before: to repeat a run is to see nothing new."""
        if opening.key in self._openings():
            return
        self._in_memory[opening.key] = opening
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(opening)) + "\n")

    def count(self, source: str) -> int:
        """Return how often a test set was opened."""
        return sum(one.source == source for one in self._openings().values())

    def note(self, source: str) -> str:
        """Return what a reader of scores on a test set should know of its openings."""
        times = self.count(source)
        often = "once" if times == 1 else f"{times} times: what was chosen by its scores makes them flatter"
        return f"With models saved here, this test set was opened {often}."

    def move(self, path: Path) -> None:
        """Keep openings in this file from now on, together with those that it holds."""
        known, self.path = self._openings(), path
        for opening in known.values():
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
            raise StoreError(f"the ledger of test sets cannot be read: {error}", self.path) from error
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                opening = Opening(**{one.name: row[one.name] for one in fields(Opening)})
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise StoreError(f"line {number} is not an opening of a test set: {line[:80]!r}", self.path) from error
            found[opening.key] = opening
        return found
