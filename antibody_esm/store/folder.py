"""Folder of one spec in a store: its description, and its segments as one table of rows by key."""

import errno
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Rows
from antibody_esm.errors import StoreError
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import segments
from antibody_esm.store.arrays import opened
from antibody_esm.store.index import Index
from antibody_esm.store.permissions import make_folder, share
from antibody_esm.store.segments import DamagedError, Keys, Segment, as_bytes

FORMAT = 1
"""Layout of a store's folder. Raise it when an older reader would misread a newer folder."""

DESCRIPTION = "spec.json"

_LARGEST_DESCRIPTION = 2**20
_PATIENCE = 30
"""Number of attempts to read a folder that changes meanwhile, with growing pauses of some seconds in total."""
_LONGEST_PAUSE = 0.2

_READERS = 4
"""Most segments that are read concurrently."""
_WORTH_THREADS = 2**25
"""Fewest bytes of rows for concurrent reading."""

GONE = {errno.ENOENT, errno.ESTALE}
"""Error numbers of a file that another process has removed."""

T = TypeVar("T")


class Found(NamedTuple):
    """Result of reading the rows of ``n`` keys."""

    present: NDArray[np.bool_]
    """``(n,)``, True for keys with an undamaged row."""
    rows: Rows
    """``(present.sum(), dim)``, in the order of the keys; ``dim`` is 0 if there are none."""
    segments: frozenset[Path]
    """Segments that were searched."""


class _GoneError(Exception):
    """A segment was removed meanwhile."""


class _DescriptionError(StoreError):
    """A description is damaged; not raised for another spec or format."""


class Folder:
    """Rows of one resolved spec. Rows are only added; a damaged row causes a warning, and counts as absent.

    Parameters
    ----------
    root
        Folder of the store.
    spec
        Spec of the rows.
    named
        Spec by the user, with which a damaged description is rewritten.
    """

    def __init__(
        self, root: Path, spec: ResolvedExtractorSpec, named: ExtractorSpec | ResolvedExtractorSpec | None = None
    ) -> None:
        self.root = root
        self._named = spec if named is None else named
        self._mended = False
        self.path = root / spec.fingerprint
        self.spec = spec
        self.salt = int(spec.fingerprint[:16], 16)
        self._known = Index([])
        self._newest = 0
        self.damaged: set[Path] = set()
        """Segments, among those opened, that were cut off or changed since they were written."""
        self.holed: set[Path] = set()
        """Segments, among those read, with damaged rows."""

    def index(self, *, anew: bool = False) -> Index:
        """Return the index of the current segments.

        A segment is opened once, since it never changes. If a writer merges segments after they are listed and before
        they are opened, they are listed again, because a new segment holds their rows.

        Parameters
        ----------
        anew
            Open every segment again.
        """
        for pause in _pauses():
            if not self._exists():
                return Index([])
            paths = sorted(self.path.glob(f"*{segments.SUFFIX}"), reverse=True)  # newest first
            self._newest = max([self._newest, *map(segments.stamp, paths)])
            self.damaged &= set(paths)
            before = self._known
            if not anew and [segment.path for segment in before.segments] == [
                path for path in paths if path not in self.damaged
            ]:
                return before
            opened_before = {} if anew else {segment.path: segment for segment in before.segments}
            wanted = [path for path in paths if path not in self.damaged]
            try:
                segments_or_none = [opened_before.get(path) or self._open(path) for path in wanted]
            except _GoneError:
                time.sleep(pause)
                continue
            index = Index(
                self._of_one_width([segment for segment in segments_or_none if segment is not None]),
                None if anew else before,
            )
            self._known = index  # other threads may replace the attribute at any time
            return index
        raise StoreError(f"segments were removed {_PATIENCE} times while they were opened", self.path)

    def read(self, keys: Keys) -> Found:
        """Return the undamaged rows of keys ``(n, KEY_BYTES)``."""
        anew = False
        for pause in _pauses():
            try:
                return self._read(self.index(anew=anew), keys)
            except OSError as error:  # a writer has merged segments meanwhile; a new segment holds their rows
                if error.errno not in GONE:
                    raise StoreError(f"cannot be read: {error.strerror}", error.filename or self.path) from error
                anew = True
                time.sleep(pause)
        raise StoreError(f"segments were removed {_PATIENCE} times while they were read", self.path)

    def new_keys(self, seen: set[Path]) -> set[bytes]:
        """Return the keys of segments that are not in `seen`, and add these segments to `seen`."""
        new = [segment for segment in self.index().segments if segment.path not in seen]
        seen.update(segment.path for segment in new)
        return {key for segment in new for key in as_bytes(segment.keys)}

    def dim(self) -> int:
        """Return the length of the rows; 0 if there is no undamaged row."""
        return next((segment.dim for segment in self.index().segments if segment.read_all(self.salt)[1].any()), 0)

    def holds_newer(self, segment: Segment) -> bool:
        """Return True if newer segments hold an undamaged row for each key of a segment, which is then not needed."""
        newer = [other for other in self.index().segments if other.path.name > segment.path.name]
        index = Index(newer)
        return bool((index.find(segment.keys).segment >= 0).all()) and bool(
            self._read(index, segment.keys).present.all()
        )

    def sound_rows(self) -> Iterator[tuple[list[str], Rows, int]]:
        """Yield sequences, rows ``(k, dim)`` and number of damaged rows of each segment, newest first.

        Each sequence is yielded once. If writers merge segments meanwhile, the new segments are read.
        """
        yielded: set[bytes] = set()
        seen: set[Path] = set()
        while new := [segment for segment in self.index(anew=bool(seen)).segments if segment.path not in seen]:
            seen.update(segment.path for segment in new)
            for segment in new:
                try:
                    sequences = segment.sequences()
                    rows, sound = segment.read_all(self.salt)
                except OSError as error:
                    if error.errno not in GONE:
                        raise StoreError(f"cannot be read: {error.strerror}", segment.path) from error
                    continue
                named = np.array([sequence != "" for sequence in sequences])
                keys = as_bytes(segment.keys)
                keep = [i for i in np.flatnonzero(sound & named).tolist() if keys[i] not in yielded]
                yielded.update(keys[i] for i in keep)
                yield [sequences[i] for i in keep], rows[keep], int((~(sound & named)).sum())

    def in_place(self, named: ExtractorSpec | ResolvedExtractorSpec, act: Callable[[], T]) -> T:
        """Create the folder if necessary, and call a function that writes to it.

        If another process removes the folder meanwhile, it is created again.

        Raises
        ------
        StoreError
            If the folder is of another spec, or cannot be written.
        """
        with writable(self.path):
            for pause in _pauses():
                try:
                    if not self._exists():
                        self._make(named)
                    return act()
                except OSError as error:
                    if error.errno not in GONE:
                        raise
                    time.sleep(pause)
            raise FileNotFoundError(errno.ENOENT, "it was removed repeatedly")

    def _make(self, named: ExtractorSpec | ResolvedExtractorSpec) -> None:
        if not self.root.is_dir():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_folder(self.path)
        self._describe(named)

    def _describe(self, named: ExtractorSpec | ResolvedExtractorSpec) -> None:
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
            share(file.fileno(), self.path)
            os.fsync(file.fileno())
        unfinished.replace(self.path / DESCRIPTION)

    def _exists(self) -> bool:
        """Return True if the folder exists. Raises StoreError if it is of another spec."""
        if self.path.is_symlink():
            raise StoreError("is a symbolic link, which may point anywhere", self.path)
        try:
            description = described(self.path)
        except _DescriptionError as error:
            self._mend(error)
            return True
        if description is not None and description["spec"] != json.loads(self.spec.canonical_json):
            raise StoreError("the description of this folder does not match its name", self.path / DESCRIPTION)
        return description is not None

    def _mend(self, error: StoreError) -> None:
        """Rewrite a damaged description, since the folder's name is the fingerprint of the spec.

        Checksums of rows depend on the fingerprint, so rows of another spec are recognised.
        """
        if not self._mended:
            self._mended = True
            warnings.warn(f"{error}; it is rewritten from the requested spec", RuntimeWarning, stacklevel=2)
        with suppress(OSError):  # a folder that cannot be written can still be read
            self._describe(self._named)

    def _open(self, path: Path) -> Segment | None:
        """Return a segment; None, with one warning, if it is damaged."""
        try:
            segment = Segment(path, self.spec.storage)
        except DamagedError as error:
            self.say(path, f"{error}; its rows count as absent", self.damaged)
            return None
        except EOFError as error:  # the file has just become shorter; the next attempt reports it
            raise _GoneError from error
        except OSError as error:
            if error.errno in GONE:
                raise _GoneError from error
            raise StoreError(f"cannot be read: {error.strerror}", path) from error
        if not segment.intact:
            self.say(path, f"{path}: its keys are damaged; rows whose keys are lost count as absent", self.holed)
        return segment

    def _of_one_width(self, candidates: list[Segment]) -> list[Segment]:
        """Return the segments without those that were moved here from another folder."""
        if len({segment.dim for segment in candidates}) < 2:
            return candidates
        ours = [segment for segment in candidates if segment.read_all(self.salt)[1].any()]
        for segment in candidates:
            if segment not in ours:
                self.say(
                    segment.path,
                    f"{segment.path}: its rows belong to another folder; they count as absent",
                    self.damaged,
                )
        if len({segment.dim for segment in ours}) > 1:
            raise StoreError("holds rows of different lengths", self.path)
        return ours

    def _read(self, index: Index, keys: Keys) -> Found:
        holders, places = index.find(keys)
        asked = np.flatnonzero(holders >= 0)
        rows = np.empty((len(asked), index.segments[0].dim if len(asked) else 0), np.float32)
        sound = np.zeros(len(asked), bool)
        holders, places, left = holders[asked], places[asked], np.arange(len(asked))
        while len(left):
            parts = [(index.segments[number], left[holders[left] == number]) for number in np.unique(holders[left])]

            def read(part: tuple[Segment, NDArray[np.intp]], places: NDArray[np.int64] = places) -> NDArray[np.bool_]:
                segment, here = part
                return segment.read(places[here], self.salt, rows, here)

            with ThreadPoolExecutor(min(len(parts), _READERS)) as pool:
                sound_parts = list(pool.map(read, parts) if rows.nbytes > _WORTH_THREADS else map(read, parts))
            for (segment, here), good in zip(parts, sound_parts, strict=True):
                sound[here] = good
                if not good.all():
                    message = f"{segment.path}: {(~good).sum()} damaged rows were not used"
                    self.say(segment.path, message, self.holed)
            left = left[~sound[left]]  # damaged here; an older segment may hold them too
            holders[left], places[left] = index.find(keys[asked[left]], after=holders[left])
            left = left[holders[left] >= 0]
        present = np.zeros(len(keys), bool)
        present[asked[sound]] = True
        rows = rows if sound.all() else rows[sound]
        where = frozenset(segment.path for segment in index.segments)
        return Found(present, rows if len(rows) else np.empty((0, 0), np.float32), where)

    def say(self, path: Path, message: str, kind: set[Path]) -> None:
        """Warn once about a segment, and record its kind of damage."""
        new = path not in self.damaged | self.holed
        kind.add(path)
        if new:
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def write(self, sequences: list[str], rows: Rows) -> Segment:
        """Write a segment that is newer than all segments seen."""
        path = segments.write(self.path, sequences, rows, self.spec.storage, self.salt, self._newest)
        self._newest = segments.stamp(path)
        return Segment(path, self.spec.storage)


def described(path: Path) -> dict[str, Any] | None:
    """Return a folder's description; None if there is none."""
    path = path / DESCRIPTION
    try:
        with opened(path) as file:
            text = file.read(_LARGEST_DESCRIPTION)
        fields = json.loads(text)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise StoreError(f"cannot be read: {error.strerror}", path) from error
    except (ValueError, RecursionError) as error:
        raise _DescriptionError(f"not the description of an extractor: {error}", path) from error
    if not isinstance(fields, dict) or type(fields.get("format")) is not int:
        raise _DescriptionError("not the description of an extractor", path)
    if fields["format"] != FORMAT:
        raise StoreError(f"its format is not {FORMAT}", path)
    if not _is_spec(fields.get("spec")) or not isinstance(fields.get("written_as"), dict):
        raise _DescriptionError("not the description of an extractor: its fields are damaged", path)
    return fields


def _is_spec(fields: object) -> bool:
    if not isinstance(fields, dict):
        return False
    try:
        ResolvedExtractorSpec.model_validate({name: value for name, value in fields.items() if name != "type"})
    except ValueError:  # pydantic's
        return False
    return True


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Convert an OSError (disk full, read-only, forbidden) to a StoreError with the reason."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror or error}", path) from error


def _pauses() -> Iterator[float]:
    return (min(0.001 * 1.4**n, _LONGEST_PAUSE) for n in range(_PATIENCE))
