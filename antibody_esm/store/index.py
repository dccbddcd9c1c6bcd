"""Index from keys to rows of many segments.

Keys are sorted by their first eight bytes, in runs of one or more segments. A new segment is a new run, and runs of
similar size are merged, so that a growing folder of millions of rows is not sorted again with each segment.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.store.segments import KEY_BYTES, Keys, Segment, prefixes

_LARGEST = 2**21
"""Most keys that are sorted together, unless one segment has more: sorting needs about 50 bytes per key."""


class Places(NamedTuple):
    """Places of the rows of keys."""

    segment: NDArray[np.int64]
    """``(n,)``, number of the segment; -1 for a key in no segment."""
    place: NDArray[np.int64]
    """``(n,)``, row in the segment."""


class Index:
    """Keys of segments in an order for fast search.

    Parameters
    ----------
    segments
        Segments, newest first: if two rows have one key, `find` returns the one in the first segment.
    before
        An index of some of these segments, whose runs are reused.
    """

    def __init__(self, segments: Sequence[Segment], before: "Index | None" = None) -> None:
        self.segments = list(segments)
        self._runs: list[_Run] = list(_runs(self.segments, before._runs if before else []))
        number_of = {id(segment): number for number, segment in enumerate(self.segments)}
        self._numbers = [np.array([number_of[id(segment)] for segment in run.segments]) for run in self._runs]

    def find(self, keys: Keys, after: NDArray[np.int64] | None = None) -> Places:
        """Return, for each key ``(n, KEY_BYTES)``, the first segment that has it, and its row there.

        Parameters
        ----------
        after
            ``(n,)``, numbers of segments: only later segments are searched.
        """
        asked = prefixes(keys)
        order = np.argsort(asked)  # neighbours are found in one place of memory
        first = np.full(len(keys), len(self.segments))
        place = np.zeros(len(keys), np.int64)
        for run, numbers in zip(self._runs, self._numbers, strict=True):
            entries, left = np.searchsorted(run.prefixes, asked[order]), order
            while len(left):
                there = run.prefixes[np.minimum(entries, len(run.prefixes) - 1)] == asked[left]
                there &= entries < len(run.prefixes)
                entries, left = entries[there], left[there]
                numbers_found = numbers[run.holder[entries]]
                right = self._equal(numbers_found, run.place[entries], keys[left])
                if after is not None:
                    right &= numbers_found > after[left]
                better = right & (numbers_found < first[left])
                first[left[better]], place[left[better]] = numbers_found[better], run.place[entries[better]]
                entries, left = entries[~right] + 1, left[~right]
        return Places(np.where(first < len(self.segments), first, -1), place)

    def count(self) -> int:
        """Return the number of different keys, as far as their first eight bytes tell."""
        return len(np.unique(np.concatenate([run.prefixes for run in self._runs]))) if self._runs else 0

    def superseded(self) -> list[Segment]:
        """Return the segments whose keys are all in newer segments too."""
        return [segment for number, segment in enumerate(self.segments) if self._is_newer(segment.keys, number)]

    def _is_newer(self, keys: Keys, number: int) -> bool:
        some_then_all = (keys[:1], keys)  # the first key excludes nearly all segments
        return all((self.find(subset).segment < number).all() for subset in some_then_all)

    def _equal(self, segment_numbers: NDArray[np.int64], place: NDArray[np.uint32], keys: Keys) -> NDArray[np.bool_]:
        """Return True for each key that equals the key at its place."""
        equal = np.zeros(len(keys), bool)
        words = _words(keys)
        for number in np.unique(segment_numbers).tolist():
            here = np.flatnonzero(segment_numbers == number)
            theirs = np.take(_words(self.segments[number].keys), place[here], axis=0)
            equal[here] = (theirs == words[here]).all(axis=1)
        return equal


class _Run:
    """Sorted keys of segments.

    Attributes
    ----------
    prefixes, holder, place
        ``(entries,)``: first eight bytes of a key, number of its segment among these, and its row there. Entries of the
        same key are in the order of the segments.
    """

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        counts = [len(segment.keys) for segment in segments]
        unsorted = np.concatenate([prefixes(segment.keys) for segment in segments])
        order = np.argsort(unsorted, kind="stable")
        self.prefixes = np.take(unsorted, order)
        self.holder = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)[order]
        self.place = np.concatenate([np.arange(count, dtype=np.uint32) for count in counts])[order]


def _runs(segments: list[Segment], before: list[_Run]) -> Iterator[_Run]:
    """Yield the runs of segments; new segments and runs of similar size are sorted again."""
    there = {id(segment) for segment in segments}
    kept = [run for run in before if all(id(segment) in there for segment in run.segments)]
    sorted_already = {id(segment) for run in kept for segment in run.segments}
    new = {id(segment): len(segment.keys) for segment in segments if id(segment) not in sorted_already}
    for run in sorted(kept, key=lambda run: len(run.prefixes)):
        count = sum(new.values())
        if new and len(run.prefixes) <= 2 * count and len(run.prefixes) + count <= _LARGEST:
            new |= {id(segment): len(segment.keys) for segment in run.segments}
        else:
            yield run
    batch: list[Segment] = []
    for segment in segments:
        if id(segment) in new and len(segment.keys):
            if batch and sum(len(segment.keys) for segment in batch) + len(segment.keys) > _LARGEST:
                yield _Run(batch)
                batch = []
            batch.append(segment)
    if batch:
        yield _Run(batch)


def _words(keys: Keys) -> NDArray[np.uint64]:
    """Return keys as four numbers each ``(n, 4)``, which are faster to copy and to compare."""
    return np.ascontiguousarray(keys).view(np.uint64).reshape(-1, KEY_BYTES // 8)
