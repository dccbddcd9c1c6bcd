"""Results of numbering that are remembered; a cache that cannot be used costs time, and nothing else."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

_DIGEST = 16


class Cache(Generic[Result]):
    """One result a sequence, as JSON, in the user's cache folder.

    Parameters
    ----------
    rules
        Text that names all that a result depends on but the sequence.
    write, read
        A result as plain values for JSON, and back.
    """

    def __init__(self, rules: str, write: Callable[[Result], Any], read: Callable[[Any], Result]) -> None:
        self._rules, self._write, self._read = rules, write, read
        self._database: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(folder / "domains.sqlite", timeout=1)
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS domains (key BLOB PRIMARY KEY, found TEXT) WITHOUT ROWID"
            )

    def get(self, sequences: Sequence[str]) -> dict[str, Result]:
        """Return the results of those sequences that are remembered."""
        results = {}
        for sequence, text in self._rows(sequences):
            with suppress(ValueError, TypeError, KeyError):  # not what `put` wrote: as if it were not there
                result = self._read(json.loads(text[_DIGEST:]))
                if text[:_DIGEST] == _digest(sequence, text[_DIGEST:]):
                    results[sequence] = result
        return results

    def put(self, results: dict[str, Result]) -> None:
        """Remember the results of some sequences."""
        texts = {sequence: json.dumps(self._write(result)) for sequence, result in results.items()}
        rows = [(self._key(sequence), _digest(sequence, text) + text) for sequence, text in texts.items()]
        if self._database is not None:
            try:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO domains VALUES (?, ?)", rows)
            except sqlite3.Error:  # another process holds it, or it is damaged: no more waiting for it
                self.close()

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _rows(self, sequences: Sequence[str]) -> Iterator[tuple[str, str]]:
        if self._database is None:
            return
        try:
            for sequence in sequences:
                row = self._database.execute(
                    "SELECT found FROM domains WHERE key = ?", (self._key(sequence),)
                ).fetchone()
                if row is not None:
                    yield sequence, row[0]
        except sqlite3.Error:
            self.close()

    def _key(self, sequence: str) -> bytes:
        return hashlib.sha256(f"{self._rules}\0{sequence}".encode()).digest()


def cache_folder() -> Path:
    """Return the folder of remembered results."""
    import platformdirs

    return platformdirs.user_cache_path("antibody_esm") / "numbering"


def _digest(sequence: str, text: str) -> str:
    """Return a digest by which a text is known to be that written for a sequence."""
    return hashlib.sha256(f"{sequence}\0{text}".encode()).hexdigest()[:_DIGEST]
