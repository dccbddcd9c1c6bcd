"""How long a computation takes, told by what its first batches took."""

from collections.abc import Iterable
from datetime import timedelta

from antibody_esm.files import size
from antibody_esm.specs import Storage

_BYTES_OF_NUMBER: dict[Storage, int] = {"float32": 4, "float16": 2, "int8": 1}
_BYTES_BESIDE = 48
"""Key, checksum and place of a stored row."""
_ENOUGH_BATCHES = 4
_ENOUGH_SECONDS = 2.0
_LONG = 10.0
"""Seconds of work from which on somebody wants to know."""


class Forecast:
    """Expected time and disk of a computation.

    A sequence of ``length`` residues costs ``length * (6 * dim + length)``: the matrices of a layer, which have twelve
    times ``dim`` squared entries, and attention, which compares every two residues. How long a unit of that takes is
    measured.

    Parameters
    ----------
    model
        Name, for people.
    dim
        Length of a vector.
    storage
        Number format on disk.
    """

    def __init__(self, model: str, dim: int, storage: Storage) -> None:
        self._model = model
        self._dim = dim
        self._row = dim * _BYTES_OF_NUMBER[storage] + _BYTES_BESIDE
        self._expected = self._done = self._seconds = 0.0
        self._batches = 0
        self._told = False
        self.computing = 0
        """Sequences to compute."""
        self.stored = 0
        """Sequences that were stored before."""
        self.bytes = 0
        """Disk that the vectors take."""

    def expect(self, lengths: Iterable[int], stored: int = 0) -> None:
        """Add sequences, by their lengths in residues, and a number of others that are stored already."""
        for length in lengths:
            self._expected += self._cost(length)
            self.computing += 1
            self.bytes += self._row + length
        self.stored += stored

    def add(self, lengths: Iterable[int], seconds: float) -> None:
        """Add a batch that is done, and its share of the time: what it took by the number of workers."""
        self._done += sum(map(self._cost, lengths))
        self._seconds += seconds
        self._batches += 1

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 to 1."""
        return min(self._done / self._expected, 1.0) if self._expected else 1.0

    @property
    def seconds(self) -> float:
        """Expected duration of all of the work, in seconds; 0 before any is done."""
        return self._seconds * self._expected / self._done if self._done else 0.0

    def news(self) -> str | None:
        """Return what to say, once: when enough is known, and if the work is long."""
        known = self._batches >= _ENOUGH_BATCHES and self._seconds >= _ENOUGH_SECONDS
        if self._told or not known or self.seconds < _LONG:
            return None
        self._told = True
        return str(self)

    def __str__(self) -> str:
        time = timedelta(seconds=round(self.seconds))
        return (
            f"{self._model}: {self.computing:,} sequences to compute, {self.stored:,} stored already; "
            f"about {time} and {size(self.bytes)} of disk"
        )

    def _cost(self, length: int) -> float:
        return length * (6.0 * self._dim + length)
