"""Writers add rows to a folder, in small segments that are later merged into larger segments.

A merged segment is on the disk before the segments that it replaces are removed, so that no reader misses a row, even
if the writer is killed.
"""

import math
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from antibody_esm.batch import Batch, Rows
from antibody_esm.errors import StoreError
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store.folder import GONE, Folder
from antibody_esm.store.segments import Segment

DAMAGED = ".damaged"

_MERGED_AT_ONCE = 16
_LARGEST_MERGE = 256 * 2**20
"""Most bytes of rows, as float32, and of their sequences that are merged: about half of the memory that it needs."""
_TEXT = 256
"""Bytes of memory for a sequence of usual length during a merge."""
_FEW_SPECS = 4
"""Most specs whose rows are written batch by batch."""
_COLLECTING = 10.0
"""Time between two writes of more specs, divided by the duration of the last write."""
_MOST_COLLECTED = 2**27
"""Most bytes of collected rows."""
_MANY = 64
"""Number of small segments above which a writer also merges those of earlier writers."""


class Writers:
    """Writers of the folders of specs; they can be sent to other processes.

    Rows of up to four specs are on the disk when `put` returns. For more specs, each with its own file, writing may
    take longer than computing; rows of several batches are then collected, and writing takes about a tenth of the time.

    Parameters
    ----------
    writers
        One writer per spec.
    """

    def __init__(self, writers: Iterable["Writer"]) -> None:
        self._of = {writer.spec: writer for writer in writers}
        self._lock = Lock()
        self._collected: list[tuple[Batch, list[Rows]]] = []
        self._flushed, self._took = -math.inf, 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return _Others, (list(self._of.values()),)

    def put(self, batch: Batch, rows: list[Rows]) -> None:
        """Add one array of rows ``(b, dim)`` for each spec of a batch."""
        with self._lock:
            self._collected.append((batch, rows))
            size = sum(new.nbytes for _, every in self._collected for new in every)
            waited = time.monotonic() - self._flushed
        if len(self._of) <= _FEW_SPECS or waited >= _COLLECTING * self._took or size >= _MOST_COLLECTED:
            self.flush()

    def flush(self) -> None:
        """Write the collected rows."""
        with self._lock:
            collected, self._collected = self._collected, []
        began = time.monotonic()
        for spec, writer in self._of.items():
            parts = [
                (batch.sequences, rows[batch.specs.index(spec)]) for batch, rows in collected if spec in batch.specs
            ]
            if parts:
                writer.put(
                    [sequence for sequences, _ in parts for sequence in sequences],
                    np.concatenate([new for _, new in parts]),
                )
        with self._lock:
            self._flushed = time.monotonic()
            self._took = self._flushed - began

    def tidy(self) -> None:
        """Merge small segments, and ignore errors."""
        for writer in self._of.values():
            # Every row is on the disk by now; a later writer can merge the segments.
            with suppress(OSError, StoreError, Warning):
                writer.tidy()


class _Others(Writers):
    """Writers of another process, which does not know the last batch and hence flushes after each."""

    def put(self, batch: Batch, rows: list[Rows]) -> None:
        for writer in self._of.values():
            writer.check_shared()
        super().put(batch, rows)
        self.flush()


@contextmanager
def writing(folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec) -> Iterator["Writer"]:
    """Yield a writer of a folder; merge its small segments at the end, also after an error."""
    writer = Writer(folder, named)
    try:
        yield writer
    finally:
        Writers([writer]).tidy()


class Writer:
    """Writer that adds rows to a folder.

    Parameters
    ----------
    folder
        Folder of the rows.
    named
        Spec by the user, for the description of a new folder.
    """

    def __init__(self, folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec) -> None:
        there = folder.index().segments  # read first, so that new segments count as newer
        self._folder = folder
        self._named = named
        self._dim = there[0].dim if there else 0
        self._is_shared = False
        self._lock = Lock()
        self._levels: list[list[Segment]] = [[]]
        """Segments of this writer, by number of merges."""

    @property
    def spec(self) -> ResolvedExtractorSpec:
        """Spec of the folder."""
        return self._folder.spec

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_this_process, (self._folder.root.absolute(), self._folder.spec, self._named)

    def check_shared(self) -> None:
        """Raise a StoreError if this machine lacks the folder, which the sender of this writer has created."""
        if not self._is_shared and not self._folder.path.is_dir():
            raise StoreError("is not on this machine; a store of a cluster is on a shared disk", self._folder.path)
        self._is_shared = True

    def put(self, sequences: list[str], rows: Rows) -> None:
        """Add rows ``(n, dim)``; they are on the disk when this returns.

        Raises
        ------
        StoreError
            If stored rows have another length; nothing is written then.
        """
        if rows.shape[1] != self._dim:
            there = self._folder.dim()
            if there not in (0, rows.shape[1]):
                raise StoreError(f"has rows of {there} numbers, but got rows of {rows.shape[1]}", self._folder.path)
            self._dim = rows.shape[1]
        at_once = max(1, _LARGEST_MERGE // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), at_once):
            self._put(sequences[start : start + at_once], rows[start : start + at_once])

    def _put(self, sequences: list[str], rows: Rows) -> None:
        segment = self._folder.in_place(self._named, lambda: self._folder.write(sequences, rows))
        with self._lock:
            self._add(segment, 0)

    def _add(self, segment: Segment, level: int) -> None:
        if level == len(self._levels):
            self._levels.append([])
        mine = self._levels[level]
        mine.append(segment)
        if len(mine) % _MERGED_AT_ONCE == 0 and sum(map(_weight, mine)) < _LARGEST_MERGE:
            with suppress(OSError, StoreError):  # a disk that is too full for a merge may still have space for rows
                merged = merge(self._folder, mine)
                self._levels[level] = []
                if merged is not None:
                    self._add(merged, level + 1)

    def tidy(self) -> None:
        """Merge small segments, and set damaged segments aside, if this writer has written any row."""
        if not any(self._levels):
            return
        there = [segment for segment in self._folder.index().segments if _may_be_removed(segment.path)]
        small = [segment for segment in there if _is_small(segment)]
        mine = [segment for level in self._levels for segment in level if _is_small(segment)]
        self._merge(small if len(small) > _MANY else mine)
        for segment in [segment for segment in there if segment.path in self._folder.holed]:
            merge(self._folder, [segment])  # its damaged rows were computed again if they were needed
        for path in sorted(self._folder.damaged):
            with suppress(FileNotFoundError):
                path.rename(path.with_suffix(DAMAGED))
        for segment in self._folder.index().superseded():
            if _may_be_removed(segment.path) and self._folder.holds_newer(segment):
                segment.path.unlink(missing_ok=True)

    def _merge(self, small: list[Segment]) -> None:
        """Merge segments, limited by memory."""
        batch: list[Segment] = []
        for segment in small:
            if batch and sum(map(_weight, batch)) + _weight(segment) > _LARGEST_MERGE:
                merge(self._folder, batch)
                batch = []
            batch.append(segment)
        if len(batch) > 1:
            merge(self._folder, batch)


@lru_cache(maxsize=256)  # one model may have many views
def _of_this_process(root: Path, spec: ResolvedExtractorSpec, named: ExtractorSpec | ResolvedExtractorSpec) -> Writer:
    """Return the one writer of a folder in this process, so that segments of many batches are merged."""
    return Writer(Folder(root, spec), named)


def merge(folder: Folder, small: list[Segment]) -> Segment | None:
    """Replace segments by one segment with their undamaged rows, and return it; None if no row is left.

    If another writer merges the same segments at the same time, both write a segment, and `Writer.tidy` removes the
    older one.
    """
    place: dict[str, int] = {}
    rows = np.empty((sum(len(segment.keys) for segment in small), small[0].dim), np.float32)
    read, filled = [], 0
    for segment in sorted(small, key=lambda segment: segment.path.name):  # a newer row replaces an older row
        try:
            sequences = segment.sequences()
            vectors, sound = segment.read_all(folder.salt)
        except OSError as error:
            if error.errno not in GONE:
                raise
            continue
        kept = [i for i in np.flatnonzero(sound).tolist() if sequences[i]]
        if len(kept) < len(sequences):
            message = f"{segment.path}: {len(sequences) - len(kept)} damaged rows were left out"
            folder.say(segment.path, message, folder.holed)
        rows[filled : filled + len(kept)] = vectors[kept]
        place.update((sequences[i], filled + number) for number, i in enumerate(kept))
        filled += len(kept)
        read.append(segment)
    merged = None
    if place:
        newest = list(place.values())
        merged = folder.write(list(place), rows[:filled] if len(newest) == filled else rows[newest])
    for segment in read:
        segment.path.unlink(missing_ok=True)
    return merged


def _weight(segment: Segment) -> int:
    return len(segment.keys) * (segment.dim * 4 + _TEXT)


def _is_small(segment: Segment) -> bool:
    return _weight(segment) < _LARGEST_MERGE // _MERGED_AT_ONCE


def _may_be_removed(path: Path) -> bool:
    """Return True if this user may remove a file: not another user's file in a folder with the sticky bit."""
    if os.name != "posix":
        return True
    try:
        folder, file, user = path.parent.stat(), path.lstat(), os.geteuid()
    except OSError:
        return False
    return not folder.st_mode & stat.S_ISVTX or user in (0, folder.st_uid, file.st_uid)
