"""One spec's folder of a store: its description, and its segments as if they were one table of rows by key."""

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
"""How often a folder that changes while it is looked at is looked at again, with pauses that grow to some seconds."""
_LONGEST_PAUSE = 0.2

_READERS = 4
"""Segments that are read at the same time."""
_WORTH_THREADS = 2**25
"""Bytes of rows from which on several are."""

GONE = {errno.ENOENT, errno.ESTALE}
"""What the system says of a file that somebody else has removed."""

T = TypeVar("T")


class Found(NamedTuple):
    """What a folder has of ``n`` keys."""

    present: NDArray[np.bool_]
    """``(n,)``, which of them have a sound row."""
    rows: Rows
    """``(present.sum(), dim)``, in the order of the keys; ``dim`` is 0 if there are none."""
    segments: frozenset[Path]
    """Where was looked."""


class _GoneError(Exception):
    """A segment was there, and is not any more."""


class _DescriptionError(StoreError):
    """A description is damaged, which is not that of another spec or format."""


class Folder:
    """The rows of one resolved spec. Rows are only ever added; a damaged one is noticed, said, and counts as absent.

    Parameters
    ----------
    root
        Folder of the store.
    spec
        Whose rows.
    named
        The spec as the user gave it, with which a damaged description is written again.
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
        """Segments that were cut off or changed since they were written, as far as they were seen."""
        self.holed: set[Path] = set()
        """Segments of which some rows are damaged, as far as they were seen."""

    def index(self, *, anew: bool = False) -> Index:
        """Return the index of the segments that there are now.

        A segment is opened once, since it never changes. Where a writer merges segments between their being listed and
        opened, they are listed again: their rows are in another one by then.

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
            known = self._known
            if not anew and [one.path for one in known.segments] == [one for one in paths if one not in self.damaged]:
                return known
            opened_before = {} if anew else {one.path: one for one in known.segments}
            wanted = [path for path in paths if path not in self.damaged]
            try:
                found = [opened_before.get(path) or self._open(path) for path in wanted]
            except _GoneError:
                time.sleep(pause)
                continue
            index = Index(self._of_one_width([one for one in found if one is not None]), None if anew else known)
            self._known = index  # other threads may replace it at any time
            return index
        raise StoreError(f"segments went away {_PATIENCE} times while they were opened", self.path)

    def read(self, keys: Keys) -> Found:
        """Return which keys ``(n, KEY_BYTES)`` have a sound row, and these rows."""
        anew = False
        for pause in _pauses():
            try:
                return self._read(self.index(anew=anew), keys)
            except OSError as error:  # a writer has merged segments meanwhile; their rows are in another one now
                if error.errno not in GONE:
                    raise StoreError(f"cannot be read: {error.strerror}", error.filename or self.path) from error
                anew = True
                time.sleep(pause)
        raise StoreError(f"segments went away {_PATIENCE} times while they were read", self.path)

    def new_keys(self, seen: set[Path]) -> set[bytes]:
        """Return the keys of segments that are not among those seen, and add these to them."""
        new = [one for one in self.index().segments if one.path not in seen]
        seen.update(one.path for one in new)
        return {key for one in new for key in as_bytes(one.keys)}

    def dim(self) -> int:
        """Return the length of the rows that are here; 0 if there are none that are sound."""
        return next((one.dim for one in self.index().segments if one.read_all(self.salt)[1].any()), 0)

    def holds_newer(self, segment: Segment) -> bool:
        """Return whether newer segments hold a sound row for each key of a segment, which is then not needed."""
        newer = [one for one in self.index().segments if one.path.name > segment.path.name]
        index = Index(newer)
        return bool((index.find(segment.keys).segment >= 0).all()) and bool(
            self._read(index, segment.keys).present.all()
        )

    def sound_rows(self) -> Iterator[tuple[list[str], Rows, int]]:
        """Give, segment by segment and newest first, sequences and rows ``(k, dim)``, each sequence once.

        The third is how many rows of the segment, or sequences of it, are damaged. What writers merge meanwhile is
        followed to where it has gone.
        """
        given: set[bytes] = set()
        seen: set[Path] = set()
        while new := [one for one in self.index(anew=bool(seen)).segments if one.path not in seen]:
            seen.update(one.path for one in new)
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
                keep = [i for i in np.flatnonzero(sound & named).tolist() if keys[i] not in given]
                given.update(keys[i] for i in keep)
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
            for pause in _pauses():
                try:
                    if not self._exists():
                        self._make(named)
                    return act()
                except OSError as error:
                    if error.errno not in GONE:
                        raise
                    time.sleep(pause)
            raise FileNotFoundError(errno.ENOENT, "it was removed again and again")

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
        """Return whether the folder is there; one that is another spec's is a StoreError."""
        if self.path.is_symlink():
            raise StoreError("is a symbolic link, which may point anywhere", self.path)
        try:
            found = described(self.path)
        except _DescriptionError as error:
            self._mend(error)
            return True
        if found is not None and found["spec"] != json.loads(self.spec.canonical_json):
            raise StoreError(
                "the rows in this folder are of another extractor than its name says", self.path / DESCRIPTION
            )
        return found is not None

    def _mend(self, error: StoreError) -> None:
        """Write a damaged description again, since the folder's name is the fingerprint of the spec.

        Rows prove it once more, since their checksums depend on the fingerprint.
        """
        if not self._mended:
            self._mended = True
            warnings.warn(f"{error}; it is written again from the spec that is asked for", RuntimeWarning, stacklevel=2)
        with suppress(OSError):  # who may only read the folder reads it all the same
            self._describe(self._named)

    def _open(self, path: Path) -> Segment | None:
        """Return a segment; None if it is damaged, which is said once."""
        try:
            segment = Segment(path, self.spec.storage)
        except DamagedError as error:
            self.say(path, f"{error}; its rows count as absent", self.damaged)
            return None
        except EOFError as error:  # it has just become shorter, which will be seen the next time
            raise _GoneError from error
        except OSError as error:
            if error.errno in GONE:
                raise _GoneError from error
            raise StoreError(f"cannot be read: {error.strerror}", path) from error
        if not segment.intact:
            self.say(path, f"{path}: its keys are damaged; rows whose keys are lost count as absent", self.holed)
        return segment

    def _of_one_width(self, found: list[Segment]) -> list[Segment]:
        """Leave out segments of other rows; they were moved here from another folder."""
        if len({one.dim for one in found}) < 2:
            return found
        ours = [one for one in found if one.read_all(self.salt)[1].any()]
        for one in found:
            if one not in ours:
                self.say(one.path, f"{one.path}: its rows are of another folder; they count as absent", self.damaged)
        if len({one.dim for one in ours}) > 1:
            raise StoreError("it holds rows of several lengths", self.path)
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
                found = list(pool.map(read, parts) if rows.nbytes > _WORTH_THREADS else map(read, parts))
            for (segment, here), good in zip(parts, found, strict=True):
                sound[here] = good
                if not good.all():
                    message = f"{segment.path}: {(~good).sum()} damaged rows were not used"
                    self.say(segment.path, message, self.holed)
            left = left[~sound[left]]  # damaged here; perhaps an older segment has them too
            holders[left], places[left] = index.find(keys[asked[left]], after=holders[left])
            left = left[holders[left] >= 0]
        present = np.zeros(len(keys), bool)
        present[asked[sound]] = True
        rows = rows if sound.all() else rows[sound]
        where = frozenset(one.path for one in index.segments)
        return Found(present, rows if len(rows) else np.empty((0, 0), np.float32), where)

    def say(self, path: Path, message: str, kind: set[Path]) -> None:
        """Warn of a segment, once, and remember which kind it is."""
        new = path not in self.damaged | self.holed
        kind.add(path)
        if new:
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def write(self, sequences: list[str], rows: Rows) -> Segment:
        """Write one segment, newer than all that were seen here."""
        path = segments.write(self.path, sequences, rows, self.spec.storage, self.salt, self._newest)
        self._newest = segments.stamp(path)
        return Segment(path, self.spec.storage)


def described(path: Path) -> dict[str, Any] | None:
    """Return a folder's description, None where there is none."""
    path = path / DESCRIPTION
    try:
        with opened(path) as file:
            text = file.read(_LARGEST_DESCRIPTION)
        found = json.loads(text)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise StoreError(f"cannot be read: {error.strerror}", path) from error
    except (ValueError, RecursionError) as error:
        raise _DescriptionError(f"not the description of an extractor: {error}", path) from error
    if not isinstance(found, dict) or type(found.get("format")) is not int:
        raise _DescriptionError("not the description of an extractor", path)
    if found["format"] != FORMAT:
        raise StoreError(f"written in another format than {FORMAT}", path)
    if not _is_spec(found.get("spec")) or not isinstance(found.get("written_as"), dict):
        raise _DescriptionError("not the description of an extractor: its fields are damaged", path)
    return found


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
    """Make of an error of the disk (full, read-only, forbidden) a StoreError that says so."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror or error}", path) from error


def _pauses() -> Iterator[float]:
    return (min(0.001 * 1.4**n, _LONGEST_PAUSE) for n in range(_PATIENCE))
