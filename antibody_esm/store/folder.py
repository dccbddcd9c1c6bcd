"""One spec's folder of a store: its description, and its segments as if they were one table of rows by key."""

import errno
import json
import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import segments
from antibody_esm.store.arrays import opened
from antibody_esm.store.claims import make_folder
from antibody_esm.store.index import Index
from antibody_esm.store.segments import DamagedError, Keys, Rows, Segment, as_bytes

FORMAT = 1
"""Layout of a store's folder. Raise it when an older reader would misread a newer folder."""

DESCRIPTION = "spec.json"
DAMAGED = ".damaged"

_LARGEST_DESCRIPTION = 2**20
_MERGED_AT_ONCE = 16
_LARGEST_MERGE = 256 * 2**20
"""Bytes of a merged segment at most, and so of the memory that merging takes."""
_MANY = 64
"""Small segments of earlier writers from which on a writer merges them too."""
_PATIENCE = 100

_READERS = 4
"""Segments that are read at the same time."""
_WORTH_THREADS = 2**25
"""Bytes of rows from which on several are."""

_GONE = {errno.ENOENT, errno.ESTALE}

T = TypeVar("T")

Found = tuple[NDArray[np.bool_], Rows]
"""Which of ``n`` keys have a row ``(n,)``, and ``(n, dim)``, of which the rows that are absent mean nothing."""


class Folder:
    """The rows of one resolved spec. Rows are only ever added; a damaged one is noticed, said, and counts as absent.

    Parameters
    ----------
    root
        Folder of the store.
    spec
        Whose rows.
    """

    def __init__(self, root: Path, spec: ResolvedExtractorSpec) -> None:
        self.root = root
        self.path = root / spec.fingerprint
        self.spec = spec
        self.salt = int(spec.fingerprint[:16], 16)
        self._known = Index([])
        self._newest = 0
        self.damaged: set[Path] = set()
        """Segments that were cut off or changed since they were written, as far as they were seen."""
        self.holed: set[Path] = set()
        """Segments of which some rows are damaged, as far as they were seen."""

    def index(self) -> Index:
        """Return the index of the segments that there are now; a segment is opened once, since it never changes."""
        if not self._exists():
            return Index([])
        paths = sorted(self.path.glob(f"*{segments.SUFFIX}"), reverse=True)  # newest first
        self._newest = max([self._newest, *map(segments.stamp, paths)])
        self.damaged &= set(paths)
        if [one.path for one in self._known.segments] != [path for path in paths if path not in self.damaged]:
            opened_before = {one.path: one for one in self._known.segments}
            found = [opened_before.get(path) or self._open(path) for path in paths if path not in self.damaged]
            self._known = Index(self._of_one_width([one for one in found if one is not None]))
        return self._known

    def read(self, keys: Keys) -> Found:
        """Return which keys ``(n, KEY_BYTES)`` have a sound row, and the rows."""
        for _ in range(_PATIENCE):
            try:
                return self._read(self.index(), keys)
            except OSError as error:  # a writer has merged segments meanwhile; their rows are in another one now
                if error.errno not in _GONE:
                    raise StoreError(f"cannot be read: {error.strerror}", error.filename or self.path) from error
                self._known = Index([])
        raise StoreError(f"segments went away {_PATIENCE} times while they were read", self.path)

    @property
    def known(self) -> set[Path]:
        """The segments that were there when the folder was last looked at."""
        return {one.path for one in self._known.segments}

    def new_keys(self, seen: set[Path]) -> set[bytes]:
        """Return the keys of segments that are not among those seen, and add these to them."""
        new = [one for one in self.index().segments if one.path not in seen]
        seen.update(one.path for one in new)
        return {key for one in new for key in as_bytes(one.keys)}

    @contextmanager
    def writing(self, named: ExtractorSpec | ResolvedExtractorSpec) -> Iterator["Writer"]:
        """Give a writer, and merge its small segments at the end, come what may."""
        writer = Writer(self, named)
        try:
            yield writer
        finally:
            with suppress(OSError):  # every row is on the disk by now; what is not tidied up today will be another day
                writer.tidy()

    def sound_rows(self) -> Iterator[tuple[list[str], Rows, int]]:
        """Give, segment by segment and newest first, sequences and rows ``(k, dim)``, each sequence once.

        The third is how many rows of the segment, or sequences of it, are damaged.
        """
        done: set[bytes] = set()
        for segment in self.index().segments:
            try:
                sequences = segment.sequences()
                rows, sound = segment.read_all(self.salt)
            except FileNotFoundError:
                continue
            named = np.array([sequence != "" for sequence in sequences])
            keys = as_bytes(segment.keys)
            keep = [i for i in np.flatnonzero(sound & named).tolist() if keys[i] not in done]
            done.update(keys[i] for i in keep)
            yield [sequences[i] for i in keep], rows[keep], int((~(sound & named)).sum())

    def in_place(self, named: ExtractorSpec | ResolvedExtractorSpec, act: Callable[[], T]) -> T:
        """Make the folder where there is none, and do something that writes to it.

        Where somebody removes the folder meanwhile, it is made again.

        Raises
        ------
        StoreError
            If it is another spec's, or cannot be written.
        """
        with writable(self.path):
            for _ in range(_PATIENCE):
                with suppress(FileNotFoundError):
                    if not self._exists():
                        self._make(named)
                    return act()
            raise FileNotFoundError(errno.ENOENT, "it was removed again and again")

    def _make(self, named: ExtractorSpec | ResolvedExtractorSpec) -> None:
        if not self.root.is_dir():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_folder(self.path)
        text = json.dumps(
            {
                "format": FORMAT,
                "spec": json.loads(self.spec.canonical_json),
                "written_as": json.loads(named.canonical_json),
            },
            indent=2,
            sort_keys=True,
        )
        unfinished = self.path / f"{secrets.token_hex(8)}.tmp"
        with unfinished.open("x") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path / DESCRIPTION)

    def _exists(self) -> bool:
        """Return whether the folder is there; one that is another spec's is a StoreError."""
        if self.path.is_symlink():
            raise StoreError("is a symbolic link, which may point anywhere", self.path)
        found = described(self.path)
        if found is not None and found["spec"] != json.loads(self.spec.canonical_json):
            raise StoreError(
                "the rows in this folder are of another extractor than its name says", self.path / DESCRIPTION
            )
        return found is not None

    def _open(self, path: Path) -> Segment | None:
        """Return a segment; None if it has just been merged into another one, or is damaged, which is said once."""
        try:
            segment = Segment(path, self.spec.storage)
            if not segment.intact:
                self._say(path, f"{path}: its keys are damaged; rows whose keys are lost count as absent", self.holed)
        except DamagedError as error:
            self._say(path, f"{error}; its rows count as absent", self.damaged)
            return None
        except EOFError:  # it has just become shorter, which will be seen the next time
            return None
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise StoreError(f"cannot be read: {error.strerror}", path) from error
        return segment

    def _of_one_width(self, found: list[Segment]) -> list[Segment]:
        """Leave out segments of other rows; they were moved here from another folder."""
        if len({one.dim for one in found}) < 2:
            return found
        ours = [one for one in found if one.read_all(self.salt)[1].any()]
        for one in found:
            if one not in ours:
                self._say(one.path, f"{one.path}: its rows are of another folder; they count as absent", self.damaged)
        if len({one.dim for one in ours}) > 1:
            raise StoreError("it holds rows of several lengths", self.path)
        return ours

    def _read(self, index: Index, keys: Keys) -> Found:
        rows = np.empty((len(keys), index.segments[0].dim if index.segments else 0), np.float32)
        present = np.zeros(len(keys), bool)
        entries = index.find(keys)
        asked = np.flatnonzero(entries >= 0)
        while len(asked):
            holders = index.segment[entries[asked]]
            parts = [(index.segments[number], asked[holders == number]) for number in np.unique(holders)]

            def read(part: tuple[Segment, NDArray[np.intp]], entries: NDArray[np.int64] = entries) -> NDArray[np.bool_]:
                segment, here = part
                return segment.read(index.place[entries[here]], self.salt, rows, here)

            with ThreadPoolExecutor(min(len(parts), _READERS)) as pool:
                found = list(pool.map(read, parts) if rows.nbytes > _WORTH_THREADS else map(read, parts))
            for (segment, here), sound in zip(parts, found, strict=True):
                present[here] = sound
                if not sound.all():
                    message = f"{segment.path}: {(~sound).sum()} damaged rows were not used"
                    self._say(segment.path, message, self.holed)
            left = asked[~present[asked]]  # damaged here; perhaps an older segment has them too
            entries[left] = index.next(entries[left], keys[left])
            asked = left[entries[left] >= 0]
        return present, rows

    def _say(self, path: Path, message: str, kind: set[Path]) -> None:
        if path not in self.damaged | self.holed:
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        kind.add(path)

    def merge(self, small: list[Segment]) -> Segment | None:
        """Replace segments by one that holds their rows, without those that are damaged; None if none is left.

        The merged one is on the disk before the others go. Those that have gone already were merged by somebody else.
        """
        sequences: dict[str, NDArray[np.float32]] = {}
        read = []
        for segment in sorted(small, key=lambda one: one.path.name):  # a newer row takes the place of an older one
            try:
                text = segment.sequences()
                rows, sound = segment.read_all(self.salt)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                continue
            bad = int((~sound).sum()) + sum(1 for one in text if not one)
            if bad:
                self._say(segment.path, f"{segment.path}: {bad} damaged rows were left out", self.holed)
            sequences.update((text[i], rows[i]) for i in np.flatnonzero(sound) if text[i])
            read.append(segment)
        merged = None
        if sequences:
            merged = self.write(list(sequences), np.stack(list(sequences.values())))
        for segment in read:
            segment.path.unlink(missing_ok=True)
        return merged

    def write(self, sequences: list[str], rows: Rows) -> Segment:
        """Write one segment, newer than all that were seen here."""
        path = segments.write(self.path, sequences, rows, self.spec.storage, self.salt, self._newest)
        self._newest = segments.stamp(path)
        return Segment(path, self.spec.storage)


class Writer:
    """Adds rows to a folder. Its small segments are merged into larger ones by and by.

    A merged segment is on the disk before those that it replaces go, so that a reader, or a writer that is killed,
    never misses a row.
    """

    def __init__(self, folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec) -> None:
        folder.index()  # so that what is written counts as newer than all that is there
        self._folder = folder
        self._named = named
        self._lock = Lock()
        self._levels: list[list[Segment]] = [[]]
        """Segments of this writer, by how often they were merged."""

    def put(self, sequences: list[str], rows: Rows) -> None:
        """Add rows ``(n, dim)``; they are on the disk when this returns."""
        at_once = max(1, _LARGEST_MERGE // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), at_once):
            self._put(sequences[start : start + at_once], rows[start : start + at_once])

    def _put(self, sequences: list[str], rows: Rows) -> None:
        segment = self._folder.in_place(self._named, lambda: self._folder.write(sequences, rows))
        with self._lock:
            self._add(segment, 0)

    def tidy(self) -> None:
        """Merge what is small, and put damaged segments out of the way, where this writer has written at all."""
        if not any(self._levels):
            return
        everything = [one for one in self._folder.index().segments if _is_small(one)]
        mine = [one for level in self._levels for one in level if _is_small(one)]
        holed = [one for one in self._folder.index().segments if one.path in self._folder.holed]
        self._merge(everything if len(everything) > _MANY else mine)
        for segment in holed:  # what is missing in it has been computed again, if it was wanted
            self._folder.merge([segment])
        for path in self._folder.damaged:
            with suppress(FileNotFoundError):
                path.rename(path.with_suffix(DAMAGED))

    def _add(self, segment: Segment, level: int) -> None:
        if level == len(self._levels):
            self._levels.append([])
        mine = self._levels[level]
        mine.append(segment)
        if len(mine) == _MERGED_AT_ONCE and sum(one.size for one in mine) < _LARGEST_MERGE:
            with suppress(OSError):  # a disk that is too full to merge may still have room for rows
                merged = self._folder.merge(mine)
                self._levels[level] = []
                if merged is not None:
                    self._add(merged, level + 1)

    def _merge(self, small: list[Segment]) -> None:
        """Merge segments, as many at once as memory should hold."""
        batch: list[Segment] = []
        size = 0
        for segment in small:
            if batch and size + segment.size > _LARGEST_MERGE:
                self._folder.merge(batch)
                batch, size = [], 0
            batch.append(segment)
            size += segment.size
        if len(batch) > 1:
            self._folder.merge(batch)


def described(path: Path) -> dict[str, Any] | None:
    """Return a folder's description, None where there is none."""
    path = path / DESCRIPTION
    try:
        with opened(path) as file:
            text = file.read(_LARGEST_DESCRIPTION)
        found = json.loads(text)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise StoreError(f"cannot be read: {error.strerror}", path) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"not the description of an extractor: {error}", path) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("spec"), dict):
        raise StoreError(f"written in another format than {FORMAT}", path)
    return found


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Make of an error of the disk (full, read-only, forbidden) a StoreError that says so."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror or error}", path) from error


def _is_small(segment: Segment) -> bool:
    return segment.size < _LARGEST_MERGE // _MERGED_AT_ONCE
