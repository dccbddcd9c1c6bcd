"""Removal of unwanted specs, and of leftovers of crashes and damage, from a store."""

import errno
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from antibody_esm.errors import StoreError
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import claims, segments
from antibody_esm.store.folder import DESCRIPTION, writable
from antibody_esm.store.inspection import (
    UNFINISHED,
    leftovers,
    modified,
    readable,
    size_of,
    spec_folders,
    stored,
)
from antibody_esm.store.writer import DAMAGED

_REMOVED = ".removed"
_ABANDONED = timedelta(days=1)
"""Age of an unfinished file that counts as abandoned."""


@dataclass(frozen=True)
class Removal:
    """File or folder that `EmbeddingStore.gc` removes."""

    path: Path
    bytes: int
    reason: str


@dataclass(frozen=True)
class Removals:
    """Files and folders that `EmbeddingStore.gc` removed, or would remove; ``str()`` is a table."""

    items: tuple[Removal, ...]
    dry_run: bool

    @property
    def bytes(self) -> int:
        """Bytes of all items."""
        return sum(item.bytes for item in self.items)

    def __str__(self) -> str:
        width = max((len(_short(item.path)) for item in self.items), default=0)
        lines = [f"{readable(item.bytes):>9}  {_short(item.path):<{width}}  {item.reason}" for item in self.items]
        did = "would be removed" if self.dry_run else "removed"
        count = "1 item" if len(self.items) == 1 else f"{len(self.items)} items"
        return "\n".join([*lines, f"{count}, {readable(self.bytes)} {did}"])


def gc(
    root: Path,
    keep: Collection[ExtractorSpec | ResolvedExtractorSpec] | None,
    older_than: timedelta | None,
    dry_run: bool,
) -> Removals:
    """Remove unwanted specs, and leftovers of crashes and damage."""
    kept = None if keep is None else {spec.resolve().fingerprint for spec in keep}
    items = []
    specs = {folder.path for folder, _ in stored(root)}
    for path in spec_folders(root):
        reason = _unwanted(path, kept, older_than) if path in specs else _begun(path)
        if reason:
            items.append(_removal(path, reason))
            if not dry_run:
                with writable(path):
                    remove(path)
        elif path in specs:
            for left in leftovers(path, _ABANDONED):
                why = "found damaged" if left.suffix == DAMAGED else "never finished"
                items.append(Removal(left, size_of(left), why))
                if not dry_run:
                    with writable(left):
                        left.unlink(missing_ok=True)
    for path in sorted(root.glob(f"*{_REMOVED}")) if root.is_dir() else ():
        if len(path.name.split(".")[0]) == 64 and not path.is_symlink():
            items.append(_removal(path, "was being removed"))
            if not dry_run:
                with writable(path):
                    remove(path)
    return Removals(tuple(items), dry_run)


def remove(folder: Path) -> None:
    """Remove a folder of a store: first rename it, so that readers no longer see it, then remove file by file.

    Raises
    ------
    StoreError
        If the folder holds any file that is not of a store; nothing is removed then.
    """
    _, others = _contents(folder)
    if others:
        raise StoreError("is not a file of a store, so its folder is not removed", others[0])
    if folder.suffix != _REMOVED:
        folder = folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}{_REMOVED}"))
    for path in _contents(folder)[0]:
        path.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        (folder / claims.FOLDER).rmdir()
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def _removal(folder: Path, reason: str) -> Removal:
    return Removal(folder, sum(map(size_of, _contents(folder)[0])), reason)


def _unwanted(folder: Path, kept: Collection[str] | None, older_than: timedelta | None) -> str:
    """Return the reason why a spec's folder is removed; empty if it stays."""
    if (kept is None and older_than is None) or (kept is not None and folder.name in kept):
        return ""
    now = time.time()
    with suppress(OSError):  # a folder that cannot be written is not removed
        now = claims.clock(folder)
    if claims.writers(folder, now):
        return ""
    if older_than is None:
        return "not among those to keep"
    unused = now - max(map(modified, _segments(folder)), default=0.0)
    return f"nothing written for {unused / 86400:.0f} days" if unused >= older_than.total_seconds() else ""


def _begun(folder: Path) -> str:
    """Return the reason why a folder without a description is removed: it holds only old unfinished files."""
    if folder.is_symlink() or _segments(folder):
        return ""
    ours, others = _contents(folder)
    old = time.time() - _ABANDONED.total_seconds()
    return "never finished" if not others and all(modified(path) <= old for path in (folder, *ours)) else ""


def _segments(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{segments.SUFFIX}"))


def _contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of a store in a folder, and all other files; links are not of a store."""
    ours: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            others.append(path)
        elif path.name == claims.FOLDER and path.is_dir():
            for claim in sorted(path.iterdir()):
                (ours if claim.suffix == claims.SUFFIX and not claim.is_symlink() else others).append(claim)
        elif path.suffix in (segments.SUFFIX, DAMAGED, UNFINISHED) or path.name == DESCRIPTION:
            ours.append(path)
        else:
            others.append(path)
    return ours, others


def _short(path: Path) -> str:
    """Return the last two parts of a path, with long names shortened."""
    folder, name = path.parts[-2:]
    shown = name if len(name) < 20 else f"{name[:8]}{path.suffix}"
    return f"{folder if len(folder) < 20 else folder[:8]}/{shown}"
