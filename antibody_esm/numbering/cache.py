"""Cache of numbering results; without it, numbering is slower but gives the same results."""

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
    """One result per sequence, as JSON, in the user's cache folder.

    Parameters
    ----------
    rules
        Text that identifies all inputs of a result except the sequence.
    write, read
        Functions that convert a result to plain values for JSON, and back.
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
        """Return the cached results of sequences."""
        results = {}
        for sequence, text in self._rows(sequences):
            with suppress(ValueError, TypeError, KeyError):  # not written by `put`: counts as absent
                result = self._read(json.loads(text[_DIGEST:]))
                if text[:_DIGEST] == _digest(sequence, text[_DIGEST:]):
                    results[sequence] = result
        return results

    def put(self, results: dict[str, Result]) -> None:
        """Cache the results of sequences."""
        texts = {sequence: json.dumps(self._write(result)) for sequence, result in results.items()}
        rows = [(self._key(sequence), _digest(sequence, text) + text) for sequence, text in texts.items()]
        if self._database is not None:
            try:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO domains VALUES (?, ?)", rows)
            except sqlite3.Error:  # another process locks it, or it is damaged: it is not used again
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
    """Return the folder of the cache."""
    import platformdirs

    return platformdirs.user_cache_path("antibody_esm") / "numbering"


def _digest(sequence: str, text: str) -> str:
    """Return a digest that identifies a text as the one written for a sequence."""
    return hashlib.sha256(f"{sequence}\0{text}".encode()).hexdigest()[:_DIGEST]
