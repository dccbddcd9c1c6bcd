"""Claims of writers on sequences of a folder, so that few sequences are computed twice.

Each writer appends the keys that it claims to its own file, and reads the files of the others. There is no lock, so
nothing can block or be left locked: a claim decides only who computes a row, never whether a row is right. If two
writers claim a sequence at the same moment, both leave it for their next round; if a network folder shows a claim late,
both compute it.
"""

import errno
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from antibody_esm.processes import host, runs
from antibody_esm.store.arrays import opened
from antibody_esm.store.permissions import make_folder, share
from antibody_esm.store.segments import KEY_BYTES

FOLDER = "claims"
SUFFIX = ".claim"

_NAME = re.compile(r"[0-9a-f]{16}-\d{1,10}-[0-9a-f]{16}\.claim")

_BEAT = 10.0
"""Seconds between two heartbeats."""
_STALE = 60.0
"""Seconds after a writer's last heartbeat, by the file server's clock, after which its claims are void.

The same limit applies to a heartbeat in the future, after a change of the clock or a copy of the file.
"""

_HOST = b"\0host\0"
"""Beginning of an entry with the name of the writer's machine, which is as long as a key but of no sequence."""

_MOST = 2**25
"""Most bytes of a claim that are read at once."""


class Claims:
    """A writer's claims on one folder, from `open` to `close`.

    Parameters
    ----------
    folder
        Folder of the spec; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._process = os.getpid()
        self._path = self._folder / f"{host()}-{self._process}-{secrets.token_hex(8)}{SUFFIX}"
        self._others: dict[str, _Other] = {}

    def open(self) -> None:
        """Create the file of the claims, which other writers see.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        self._append([_named_host()])

    def close(self) -> None:
        """Give up all claims."""
        if os.getpid() != self._process:  # in a forked child: the claims belong to its parent
            return
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def renew(self) -> None:
        """Write a heartbeat."""
        with suppress(OSError):
            os.utime(self._path)

    def take(self, keys: Sequence[bytes]) -> list[bool]:
        """Claim the keys that no other writer has claimed; return True for each claimed key."""
        mine = _free(keys, self._look().values())
        wanted = [key for key, own in zip(keys, mine, strict=True) if own]
        if not wanted:
            return mine
        self._append(wanted)
        # A writer that claimed the same key meanwhile may have looked before this claim was there, and compute it.
        return [own and free for own, free in zip(mine, _free(keys, self._look().values()), strict=True)]

    def post(self, keys: Sequence[bytes]) -> None:
        """Claim keys even if another writer has claimed them, so that further writers skip them."""
        self._append(keys)

    def holders(self, keys: Sequence[bytes]) -> list[str]:
        """Return process and machine of the writers that had claimed any of the keys at the last `take`."""
        wanted = set(keys)
        return [other.name for _, other in sorted(self._others.items()) if not wanted.isdisjoint(other.keys)]

    def _append(self, keys: Sequence[bytes]) -> None:
        make_folder(self._folder)
        with self._path.open("ab") as file:  # closed each time, because a network folder shows it only then
            share(file.fileno(), self._folder)
            file.write(b"".join(keys))

    def _look(self) -> "dict[str, _Other]":
        """Return the other running writers with their current claims."""
        now = self._now()
        alive = {}
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path.name == self._path.name or not _NAME.fullmatch(path.name):
                continue
            other = self._others.get(path.name) or _Other(path)
            try:
                if _is_alive(path, now):
                    other.read()
                    alive[path.name] = other
                else:
                    path.unlink()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ESTALE):
                    raise
        self._others = alive
        return alive

    def _now(self) -> float:
        """Return the file server's time: that of this writer's last heartbeat."""
        try:
            return self._path.stat().st_mtime
        except FileNotFoundError:  # another writer removed the file, because the heartbeats were late
            self._append([_named_host()])
            return self._path.stat().st_mtime


class Heartbeat:
    """Thread that renews claims, from `start` to `stop`.

    Parameters
    ----------
    claims
        Open claims, on one or more folders.
    """

    def __init__(self, claims: Sequence[Claims]) -> None:
        self._claims = claims
        self._process = os.getpid()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="antibody_esm-claims", daemon=True)

    def start(self) -> None:
        """Begin to renew the claims."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; return when it has ended."""
        if os.getpid() == self._process:  # a forked child has no such thread
            self._ended.set()
            self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            for claims in self._claims:
                claims.renew()


class _Other:
    """Another writer's claims."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: set[bytes] = set()
        self._read = 0
        self._host = ""

    @property
    def name(self) -> str:
        """Process and machine, for messages."""
        machine, process, _ = self.path.name.split("-")
        here = "this machine" if machine == host() else self._host or f"another machine ({machine})"
        return f"process {process} on {here}"

    def read(self) -> None:
        with opened(self.path) as file:
            file.seek(self._read)
            new = file.read(_MOST)
        whole = len(new) // KEY_BYTES * KEY_BYTES
        self._read += whole
        for key in (new[i : i + KEY_BYTES] for i in range(0, whole, KEY_BYTES)):
            if key.startswith(_HOST):
                self._host = re.sub("[^A-Za-z0-9._-]", "", key[len(_HOST) :].decode("ascii", "ignore"))
            else:
                self.keys.add(key)


def writers(folder: Path, now: float | None = None) -> int:
    """Return the number of running writers of a spec's folder, as far as visible.

    Parameters
    ----------
    now
        Time by the clock of the folder's files, from `clock`; None is this machine's time.
    """
    now, count = time.time() if now is None else now, 0
    for path in (folder / FOLDER).glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            count += bool(_NAME.fullmatch(path.name)) and _is_alive(path, now)
    return count


def clock(folder: Path) -> float:
    """Return the time by the clock of a folder's files, which is the server's for a network folder.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    probe = folder / f"{secrets.token_hex(8)}.tmp"
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _is_alive(path: Path, now: float) -> bool:
    machine, process, _ = path.name.split("-")
    if machine == host() and not runs(int(process)):
        return False
    return abs(now - path.lstat().st_mtime) < _STALE


def _free(keys: Sequence[bytes], others: Iterable[_Other]) -> list[bool]:
    claimed = [other.keys for other in others if other.keys]
    return [not any(key in claimed_keys for claimed_keys in claimed) for key in keys]


def _named_host() -> bytes:
    """Return this machine's name in the form of a key, which earlier versions read as the key of no sequence."""
    return (_HOST + socket.gethostname().encode("ascii", "ignore"))[:KEY_BYTES].ljust(KEY_BYTES, b"\0")
