"""Fill the gaps of a folder, while others may be doing the same: few rows are computed twice, none is lost."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.quantisation import rounded
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store.claims import Claims
from antibody_esm.store.folder import Folder, Found
from antibody_esm.store.segments import Rows, as_bytes, keys_of
from antibody_esm.store.writer import writing

logger = logging.getLogger("antibody_esm")

Choose = Callable[[list[list[int]]], Iterable[list[int]]]
"""Given all batches, each a list of indices, gives those to compute now."""
Keep = Callable[[list[str], Rows], None]
"""Stores the rows of some sequences, from any thread, and from any process that can pickle it."""
Compute = Callable[[list[str], Choose, Keep], Iterable[tuple[list[int], Rows]]]
"""Computes rows of sequences, as `Extractor.stream` does: of the batches that are chosen, each kept when it is done."""

_AT_ONCE = 256
"""Batches that a writer claims together, at most."""
_CLAIM_SECONDS = 1.0
"""What a writer claims together should take about so long."""
_LONGEST_PAUSE = 1.0
_LONG_WAIT = 10.0
"""Seconds of waiting for other writers after which a line names them."""


def complete(
    folder: Folder,
    named: ExtractorSpec | ResolvedExtractorSpec,
    sequences: list[str],
    found: Found,
    compute: Compute,
) -> Rows:
    """Return the rows ``(n, dim)`` of distinct sequences, of which some are not there yet.

    Parameters
    ----------
    named
        The spec as the user gave it.
    found
        What `Folder.read` gave for them.
    """
    keys = keys_of(sequences)
    present, seen = found.present.copy(), found.segments
    rows = np.empty((len(sequences), found.rows.shape[1]), np.float32)
    rows[present] = found.rows

    def fill(places: NDArray[np.intp], new: Rows) -> None:
        nonlocal rows
        if len(places):
            if not present.any():
                rows = np.empty((len(sequences), new.shape[1]), np.float32)
            if new.shape[1] != rows.shape[1]:
                raise StoreError(f"has rows of {rows.shape[1]} numbers, and got {new.shape[1]}", folder.path)
            rows[places] = new
            present[places] = True

    pause, wait = 0.02, _Wait()
    with writing(folder, named) as writer:
        while True:
            missing = np.flatnonzero(~present)
            asked = [sequences[i] for i in missing]
            claims = Claims(folder.path)
            work = compute(asked, _unclaimed(folder, claims, as_bytes(keys[missing]), set(seen)), writer.put)
            folder.in_place(named, claims.open)
            try:
                for indices, new in work:
                    wait.end()
                    fill(missing[indices], rounded(new, folder.spec.storage))
            finally:
                claims.close()
            missing = np.flatnonzero(~present)
            if not len(missing):
                return rows
            there = folder.read(keys[missing])
            fill(missing[there.present], there.rows)
            seen = there.segments
            if present.all():
                return rows
            wait.go_on(len(missing) - int(there.present.sum()), claims.holders(as_bytes(keys[missing])))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


class _Wait:
    """A wait for other writers; if it is long, a line says so once, with their processes and machines."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._logged = False

    def end(self) -> None:
        """Note that there is work to do."""
        self._since = None

    def go_on(self, count: int, holders: list[str]) -> None:
        """Note that a number of sequences are still missing, and who computes them."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since > _LONG_WAIT and not self._logged:
            self._logged = True
            logger.warning("waiting for %d sequences that %s computes", count, ", ".join(holders) or "another writer")


def _unclaimed(folder: Folder, claims: Claims, keys: list[bytes], seen: set[Path]) -> Choose:
    """Return what chooses, of all batches, those whose rows nobody else computes or has stored meanwhile."""

    def choose(todo: list[list[int]]) -> Iterator[list[int]]:
        done: set[bytes] = set()
        start = random.randrange(len(todo))  # noqa: S311  several writers begin in several places
        todo = todo[start:] + todo[:start]
        at_once = 1
        while todo:
            began = time.monotonic()
            batches, todo = todo[:at_once], todo[at_once:]
            indices = list(dict.fromkeys(i for batch in batches for i in batch))
            try:
                mine = claims.take([keys[i] for i in indices])
                done |= folder.new_keys(seen)
            except (OSError, StoreError, Warning):  # claims only save work; what is wrong shows when rows are put
                mine = [True] * len(indices)
            free = {i for i, own in zip(indices, mine, strict=True) if own and keys[i] not in done}
            yield from filter(None, ([i for i in batch if i in free] for batch in batches))
            quick = time.monotonic() - began < _CLAIM_SECONDS
            at_once = min(2 * at_once, _AT_ONCE) if quick else max(at_once // 2, 1)

    return choose
