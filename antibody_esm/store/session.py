"""Sessions complete the rows of a store: they claim batches, put their rows, and wait for rows of other writers.

    with store.session([spec], sequences) as session:
        while session.missing:
            for batch in session.claim(batches):
                session.put(batch, rows)
            session.wait()
        return session.rows()

Several writers may do so concurrently: few rows are computed twice, and none is lost.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Batch, Rows
from antibody_esm.errors import StoreError
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.storage_formats import rounded
from antibody_esm.store.claims import Claims, Heartbeat
from antibody_esm.store.folder import Folder
from antibody_esm.store.segments import as_bytes, keys_of
from antibody_esm.store.writer import Writer, Writers

logger = logging.getLogger("antibody_esm")

_AT_ONCE = 256
"""Most batches that a writer claims together."""
_CLAIM_SECONDS = 1.0
"""Target duration of one claim, in seconds."""
_LONGEST_PAUSE = 1.0
_LONG_WAIT = 10.0
"""Seconds of waiting for other writers after which a warning names them."""


class Put(Protocol):
    """Storage that a worker writes to; it can be sent to other processes."""

    def put(self, batch: Batch, rows: list[Rows]) -> None:
        """Add one array of rows ``(b, dim)`` for each spec of a batch."""
        ...


class Session:
    """Available rows of specs for sequences, in memory.

    Parameters
    ----------
    specs
        One or more views of one model.
    sequences
        Sequences in normal form.
    """

    def __init__(self, specs: Sequence[ResolvedExtractorSpec], sequences: list[str], path: Path | None = None) -> None:
        self.specs = tuple(dict.fromkeys(specs))
        self._wanted = specs
        self._asked = sequences
        self._sequences = list(dict.fromkeys(sequences))
        self._rows: list[Rows | None] = [None] * len(self.specs)
        self._present = np.zeros((len(self.specs), len(self._sequences)), bool)
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End the session."""

    @cached_property
    def _place(self) -> dict[str, int]:
        return {sequence: i for i, sequence in enumerate(self._sequences)}

    @property
    def missing(self) -> list[str]:
        """Sequences that lack a row of any spec."""
        return [self._sequences[i] for i in np.flatnonzero(~self._present.all(axis=0))]

    @property
    def writer(self) -> Put:
        """Storage for workers, in any thread or process."""
        return _NOWHERE

    def claim(self, batches: list[list[str]]) -> Iterator[Batch]:
        """Yield the batches that no other writer computes, each shortly before it is computed.

        Parameters
        ----------
        batches
            Sequences of `missing`; sequences that another writer has claimed or stored meanwhile are skipped.
        """
        return (batch for todo in batches for batch in self._lacking(todo))

    def put(self, batch: Batch, rows: list[Rows]) -> None:
        """Store the rows of a batch, one array ``(b, dim)`` per spec, and add them to the session."""
        self.writer.put(batch, rows)
        self.add(batch, rows)

    def add(self, batch: Batch, rows: list[Rows]) -> None:
        """Add rows that `writer` has stored to the session.

        Raises
        ------
        StoreError
            If rows of one spec differ in length.
        """
        places = np.array([self._place[sequence] for sequence in batch.sequences], np.intp)
        for spec, new in zip(batch.specs, rows, strict=True):
            self._fill(self.specs.index(spec), places, rounded(new, spec.storage))

    def wait(self) -> None:
        """Read the rows that other writers have stored; pause if rows are missing that another writer computes."""

    def rows(self) -> list[Rows]:
        """Return one array ``(n, dim)`` per spec, in the order of the sequences; no row may be missing."""
        of_specs = [np.empty((0, 0), np.float32) if rows is None else rows for rows in self._rows]
        every = [of_specs[self.specs.index(spec)] for spec in self._wanted]
        if len(self._asked) == len(self._sequences):
            return every
        order = [self._place[sequence] for sequence in self._asked]
        return [rows[order] for rows in every]

    def _lacking(self, sequences: list[str]) -> Iterator[Batch]:
        """Yield batches of sequences that lack rows of the same specs."""
        lacks = ~self._present[:, [self._place[sequence] for sequence in sequences]]
        if lacks.all():  # nearly always
            if sequences:
                yield Batch(sequences, self.specs)
            return
        for pattern in np.unique(lacks, axis=1).T:
            if pattern.any():
                alike = np.flatnonzero((lacks == pattern[:, None]).all(axis=0))
                specs = tuple(self.specs[k] for k in np.flatnonzero(pattern))
                yield Batch([sequences[i] for i in alike], specs)

    def _fill(self, number: int, places: NDArray[np.intp], new: Rows) -> None:
        if not len(places):
            return
        rows = self._rows[number]
        if rows is None:
            rows = self._rows[number] = np.empty((len(self._sequences), new.shape[1]), np.float32)
        if new.shape[1] != rows.shape[1]:
            raise StoreError(f"has rows of {rows.shape[1]} numbers, but got rows of {new.shape[1]}", self._path)
        rows[places] = new
        self._present[number, places] = True


class _Nowhere:
    """Storage of a session in memory, whose rows `Session.add` keeps."""

    def put(self, batch: Batch, rows: list[Rows]) -> None:
        """Do nothing."""


_NOWHERE = _Nowhere()


class SharedSession(Session):
    """Session on folders that other writers may fill concurrently.

    A sequence is claimed in the folder of the first spec that it lacks, so that only one of several writers of the same
    specs computes it. The claim is posted in the folders of the other specs, for writers of these specs alone.

    Parameters
    ----------
    folders
        One folder per spec; nothing is written before `claim`.
    named
        Specs by the user.
    sequences
        Sequences in normal form.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        named: Sequence[ExtractorSpec | ResolvedExtractorSpec],
        sequences: list[str],
    ) -> None:
        super().__init__([folder.spec for folder in folders], sequences, folders[0].path)
        distinct = {folder.spec: (folder, name) for folder, name in zip(folders, named, strict=True)}
        self._folders, self._named = zip(*distinct.values(), strict=True)
        self._keys = keys_of(self._sequences)
        self._seen: list[set[Path]] = [set() for _ in folders]
        self._claims: list[Claims] = []
        self._heartbeat: Heartbeat | None = None
        self._writers: Writers | None = None
        self._patience = _Patience()
        self._read()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Write finished rows, give up the claims, and merge small segments."""
        try:
            if self._writers is not None:
                # If two errors occur, the first is raised.
                with suppress(OSError, StoreError, Warning) if error is not None else nullcontext():
                    self._writers.flush()
        finally:
            self._release()
        if self._writers is not None:
            self._writers.tidy()

    @property
    def writer(self) -> Put:
        """Writers of the folders."""
        if self._writers is None:
            pairs = zip(self._folders, self._named, strict=True)
            self._writers = Writers(Writer(folder, named) for folder, named in pairs)
        return self._writers

    def claim(self, batches: list[list[str]]) -> Iterator[Batch]:
        """Yield the batches that no other writer computes; see `Session.claim`.

        Raises
        ------
        StoreError
            If a folder cannot be written; it is raised before any computation.
        """
        self._claims = [Claims(folder.path) for folder in self._folders]
        for folder, named, claims in zip(self._folders, self._named, self._claims, strict=True):
            folder.in_place(named, claims.open)
        self._heartbeat = Heartbeat(self._claims)
        self._heartbeat.start()
        return self._claimed(batches)

    def add(self, batch: Batch, rows: list[Rows]) -> None:
        """Add rows that `writer` has stored to the session; see `Session.add`."""
        super().add(batch, rows)
        self._patience.renew()

    def wait(self) -> None:
        """Give up the claims, read rows of other writers, and pause if rows are still missing."""
        if self._writers is not None:
            self._writers.flush()
        self._release()
        self._read()
        missing = np.flatnonzero(~self._present.all(axis=0))
        if len(missing):
            keys = [self._bytes[i] for i in missing]
            holders = sorted({holder for claims in self._claims for holder in claims.holders(keys)})
            self._patience.wait(len(missing), holders)

    @cached_property
    def _bytes(self) -> list[bytes]:
        return as_bytes(self._keys)

    def _read(self) -> None:
        for number, folder in enumerate(self._folders):
            absent = np.flatnonzero(~self._present[number])
            if len(absent):
                result = folder.read(self._keys[absent])
                self._seen[number] = set(result.segments)
                if len(result.rows) == len(self._sequences):  # all rows, without a copy
                    self._rows[number] = result.rows
                    self._present[number] = True
                else:
                    self._fill(number, absent[result.present], result.rows)

    def _release(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        for claims in self._claims:
            claims.close()

    def _claimed(self, todo: list[list[str]]) -> Iterator[Batch]:
        stored: list[set[bytes]] = [set() for _ in self._folders]
        start = random.randrange(max(1, len(todo)))  # noqa: S311  several writers begin in several places
        todo = todo[start:] + todo[:start]
        at_once = 1
        while todo:
            began = time.monotonic()
            batches, todo = todo[:at_once], todo[at_once:]
            places = np.array([self._place[sequence] for batch in batches for sequence in batch], np.intp)
            try:
                free = self._take(places, stored)
            except (OSError, StoreError, Warning):  # claims only save work; `put` raises the error again
                free = set(places.tolist())
            for batch in batches:
                yield from self._lacking([sequence for sequence in batch if self._place[sequence] in free])
            quick = time.monotonic() - began < _CLAIM_SECONDS
            at_once = min(2 * at_once, _AT_ONCE) if quick else max(at_once // 2, 1)

    def _take(self, places: NDArray[np.intp], stored: list[set[bytes]]) -> set[int]:
        """Claim sequences; return the places of those that this session computes."""
        lacks = ~self._present[:, places]
        first, free = lacks.argmax(axis=0), np.zeros(len(places), bool)
        for number in np.unique(first).tolist():
            here = np.flatnonzero(first == number)
            free[here] = self._claims[number].take([self._bytes[i] for i in places[here]])
        for number, (folder, claims) in enumerate(zip(self._folders, self._claims, strict=True)):
            if keys := [self._bytes[i] for i in places[free & lacks[number] & (first != number)]]:
                claims.post(keys)
            stored[number] |= folder.new_keys(self._seen[number])
        needed = [
            any(self._bytes[place] not in stored[number] for number in np.flatnonzero(lacks[:, i]))
            for i, place in enumerate(places)
        ]
        return set(places[free & np.array(needed, bool)].tolist())


def fill_by_callbacks(session: Session, compute: Callable[..., Iterable[tuple[list[int], Rows]]]) -> Rows:
    """Return the rows of a session of one spec, computed by a function with callbacks, for `EmbeddingStore.fill`."""
    with session:
        while missing := session.missing:
            place = {sequence: i for i, sequence in enumerate(missing)}

            def choose(todo: list[list[int]], missing: list[str] = missing) -> Iterator[list[int]]:
                for batch in session.claim([[missing[i] for i in indices] for indices in todo]):
                    yield [place[sequence] for sequence in batch.sequences]  # noqa: B023  used in this round

            def keep(sequences: list[str], rows: Rows) -> None:
                session.writer.put(Batch(sequences, session.specs), [rows])

            for indices, rows in compute(missing, choose, keep):
                session.add(Batch([missing[i] for i in indices], session.specs), [rows])
            session.wait()
        return session.rows()[0]


class _Patience:
    """Growing pauses while other writers compute; after a long wait, one warning names processes and machines."""

    def __init__(self) -> None:
        self._pause = 0.02
        self._since: float | None = None
        self._logged = False

    def renew(self) -> None:
        """Restart the wait, since there is work to do."""
        self._since = None

    def wait(self, count: int, holders: list[str]) -> None:
        """Pause while these writers compute `count` missing sequences."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since > _LONG_WAIT and not self._logged:
            self._logged = True
            logger.warning("waiting for %d sequences that %s computes", count, ", ".join(holders) or "another writer")
        time.sleep(random.uniform(0.5, 1) * self._pause)  # noqa: S311  writers that claimed at the same moment part
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
