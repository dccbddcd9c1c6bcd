"""Forecast of the duration of a computation from that of its first batches."""

from collections.abc import Iterable
from datetime import timedelta

from antibody_esm.files import size
from antibody_esm.specs import Storage

_BYTES_OF_NUMBER: dict[Storage, int] = {"float32": 4, "float16": 2, "int8": 1}
_BYTES_BESIDE = 48
"""Bytes of key, checksum and place of a stored row."""
_ENOUGH_BATCHES = 4
_ENOUGH_SECONDS = 2.0
_LONG = 10.0
"""Smallest duration of work for which a forecast is shown, in seconds."""


class Forecast:
    """Expected time and disk of a computation.

    A sequence of ``length`` residues costs ``length * (6 * dim + length)``: the matrices of a layer, which have twelve
    times ``dim`` squared entries, and attention, which compares every two residues. The duration of a unit of cost is
    measured.

    Parameters
    ----------
    model
        Name in the sentence.
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
        self._shown = False
        self.computing = 0
        """Sequences to compute."""
        self.stored = 0
        """Sequences that were stored before."""
        self.bytes = 0
        """Bytes of the vectors on disk."""

    def expect(self, lengths: Iterable[int], stored: int = 0) -> None:
        """Add sequences, by their lengths in residues, and a number of others that are stored already."""
        for length in lengths:
            self._expected += self._cost(length)
            self.computing += 1
            self.bytes += self._row + length
        self.stored += stored

    def add(self, lengths: Iterable[int], seconds: float) -> None:
        """Add a finished batch, and its wall time divided by the number of concurrent batches."""
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

    def seconds_of(self, lengths: Iterable[int]) -> float | None:
        """Return the duration of other sequences at the measured pace, in seconds; None before any was computed."""
        return self._seconds * sum(map(self._cost, lengths)) / self._done if self._done else None

    def news(self) -> str | None:
        """Return the sentence once, if the work is long and enough batches are done; otherwise None."""
        measured = self._batches >= _ENOUGH_BATCHES and self._seconds >= _ENOUGH_SECONDS
        if self._shown or not measured or self.seconds < _LONG:
            return None
        self._shown = True
        return str(self)

    def __str__(self) -> str:
        time = timedelta(seconds=round(self.seconds))
        return (
            f"{self._model}: {self.computing:,} sequences to compute, {self.stored:,} stored already; "
            f"about {time} and {size(self.bytes)} of disk"
        )

    def _cost(self, length: int) -> float:
        return length * (6.0 * self._dim + length)
