"""Where the row of a key lies among many segments.

Keys are sorted by their first eight bytes. Two different keys that share these (about one in 10^19) hide each other,
which costs computing a row again and nothing else, since whole keys are compared before a row is used.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.store.segments import KEY_BYTES, Keys, Segment, prefixes


class Index:
    """The keys of some segments, in an order that makes them quick to find.

    Parameters
    ----------
    segments
        Newest first: of two rows with one key, the one in the first segment is found first.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = list(segments)
        keys = np.concatenate([segment.keys for segment in self.segments] or [np.empty((0, KEY_BYTES), np.uint8)])
        counts = [len(segment.keys) for segment in self.segments]
        unsorted = prefixes(keys)
        order = np.argsort(unsorted, kind="stable")
        self._keys = np.take(_words(keys), order, axis=0)
        self._prefixes = np.take(unsorted, order)
        self.segment = np.repeat(np.arange(len(counts)), counts)[order]
        """``(entries,)``, number of the segment that holds an entry."""
        self.place = np.concatenate([np.arange(count) for count in counts] or [np.empty(0, np.int64)])[order]
        """``(entries,)``, row of the segment that is an entry."""

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Return the first entry ``(n,)`` of each key, -1 where there is none."""
        asked = prefixes(keys)
        order = np.argsort(asked)  # neighbours are found in one place of memory
        entries = np.empty(len(keys), np.int64)
        entries[order] = np.searchsorted(self._prefixes, np.take(asked, order))
        return self._checked(entries, keys)

    def next(self, entries: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
        """Return the entry after each of these that has the same key, -1 where there is none."""
        return self._checked(entries + 1, keys)

    def count(self) -> int:
        """Return the number of different keys."""
        return len(np.unique(self._prefixes))

    def superseded(self) -> list[Segment]:
        """Return the segments of which every key is in a newer one too, as far as the first eight bytes tell."""
        first = np.ones(len(self._prefixes), bool)
        first[1:] = self._prefixes[1:] != self._prefixes[:-1]
        needed = set(np.unique(self.segment[first]).tolist())
        return [segment for number, segment in enumerate(self.segments) if number not in needed]

    def _checked(self, entries: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
        if not len(self._keys):
            return np.full(len(entries), -1)
        mine = np.take(self._keys, entries, axis=0, mode="clip")
        equal = (mine == _words(keys)).view(np.uint32).ravel() == _ALL_FOUR
        return np.where(equal & (entries < len(self._keys)), entries, -1)


_ALL_FOUR = np.ones(4, bool).view(np.uint32)[0]


def _words(keys: Keys) -> NDArray[np.uint64]:
    """Return keys as four numbers each ``(n, 4)``, which are quicker to move and to compare."""
    return np.ascontiguousarray(keys).view(np.uint64)
