"""What a store holds, whether it is sound, and what can go."""

import errno
import re
import time
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import ValidationError

from antibody_esm.errors import StoreError
from antibody_esm.sequences import normalise
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.store import claims, segments
from antibody_esm.store.folder import DAMAGED, DESCRIPTION, Folder, described, writable
from antibody_esm.store.segments import Rows

_FINGERPRINT = re.compile("[0-9a-f]{64}")
_REMOVED = ".removed"
_UNFINISHED = ".tmp"
_ABANDONED = timedelta(days=1)
"""Age at which an unfinished file is nobody's any more."""
_PUT_AT_ONCE = 4096


class Embedder(Protocol):
    """What computes rows again: an `Extractor`."""

    @property
    def resolved(self) -> ResolvedExtractorSpec:
        """The address of its rows."""
        ...

    def embed(self, sequences: Iterable[str]) -> Rows:
        """Return rows ``(n, dim)``."""
        ...


@dataclass(frozen=True)
class SpecStats:
    """What a store holds of one spec."""

    spec: ExtractorSpec | ResolvedExtractorSpec
    """As it was first written, pinned to its model's bytes."""
    rows: int
    """Different sequences."""
    dim: int
    """Length of a row; 0 without rows."""
    segments: int
    bytes: int
    """Of the segments."""
    leftovers: int
    """Bytes of files that were not finished, or were found damaged; `EmbeddingStore.gc` removes them."""
    writers: int
    """Processes that are writing now, as far as they can be seen."""
    written: datetime | None
    """When the newest segment was written."""

    @property
    def fingerprint(self) -> str:
        """Name of the folder."""
        return self.spec.resolve().fingerprint


@dataclass(frozen=True)
class StoreStats:
    """What a store holds; as text, a table of 80 columns."""

    specs: tuple[SpecStats, ...]

    @property
    def rows(self) -> int:
        """Rows of all specs."""
        return sum(one.rows for one in self.specs)

    @property
    def bytes(self) -> int:
        """Bytes of all segments and leftovers."""
        return sum(one.bytes + one.leftovers for one in self.specs)

    def __str__(self) -> str:
        lines = [f"{'spec':<9}{'model and settings':<35}{'rows':>9}{'dim':>6}{'disk':>9}  {'written':<10}"]
        for one in self.specs:
            first, *more = _wrapped(summary(one.spec), 34)
            day = f"{one.written:%Y-%m-%d}" if one.written else ""
            lines.append(
                f"{one.fingerprint[:8]:<9}{first:<35}{one.rows:>9,}{one.dim:>6}{readable(one.bytes):>9}  {day:<10}"
            )
            if one.leftovers:
                more.append(f"{readable(one.leftovers)} left over; gc removes it")
            if one.writers:
                more.append(f"{one.writers} writing now")
            lines += [f"{'':<9}{line}" for line in more]
        lines.append(f"{len(self.specs)} specs, {self.rows:,} rows, {readable(self.bytes)}")
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class SpecCheck:
    """What `EmbeddingStore.verify` found of one spec."""

    spec: ExtractorSpec | ResolvedExtractorSpec
    rows: int
    """Sound rows."""
    damaged_rows: int
    """Rows, or sequences beside them, that are not what was written."""
    damaged_files: int
    """Segments that cannot be read at all."""
    recomputed: int = 0
    """Rows that were computed again."""
    max_difference: float | None = None
    """Largest absolute difference of any number in them; None if nothing was computed."""

    @property
    def fingerprint(self) -> str:
        """Name of the folder."""
        return self.spec.resolve().fingerprint

    @property
    def sound(self) -> bool:
        """Whether every row is what was written."""
        return not self.damaged_rows and not self.damaged_files


@dataclass(frozen=True)
class Verification:
    """What `EmbeddingStore.verify` found; as text, a table of 80 columns."""

    specs: tuple[SpecCheck, ...]

    @property
    def sound(self) -> bool:
        """Whether every row of every spec is what was written."""
        return all(one.sound for one in self.specs)

    def __str__(self) -> str:
        lines = [f"{'spec':<9}{'model and settings':<35}{'sound':>9}{'damaged':>9}{'files':>6}{'drift':>11}"]
        for one in self.specs:
            first, *more = _wrapped(summary(one.spec), 34)
            drift = "" if one.max_difference is None else f"{one.max_difference:.1e}"
            lines.append(
                f"{one.fingerprint[:8]:<9}{first:<35}{one.rows:>9,}{one.damaged_rows:>9,}{one.damaged_files:>6}{drift:>11}"
            )
            if one.recomputed:
                more.append(f"{one.recomputed} rows computed again")
            lines += [f"{'':<9}{line}" for line in more]
        lines.append(
            "every row is what was written" if self.sound else "damaged rows will be computed again when needed"
        )
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Removal:
    """Something that `EmbeddingStore.gc` removes."""

    path: Path
    bytes: int
    reason: str


@dataclass(frozen=True)
class Removals:
    """What `EmbeddingStore.gc` removed, or would remove; as text, a table."""

    items: tuple[Removal, ...]
    dry_run: bool

    @property
    def bytes(self) -> int:
        """Bytes of all of them."""
        return sum(one.bytes for one in self.items)

    def __str__(self) -> str:
        lines = [f"{readable(one.bytes):>9}  {_short(one.path)}  {one.reason}" for one in self.items]
        did = "would be removed" if self.dry_run else "removed"
        return "\n".join([*lines, f"{len(self.items)} items, {readable(self.bytes)} {did}"])


def stored(root: Path) -> list[tuple[Folder, ExtractorSpec | ResolvedExtractorSpec]]:
    """Return every spec's folder with the spec as it was written, in a fixed order. What is no such folder is said."""
    found = []
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if not _FINGERPRINT.fullmatch(path.name):
            continue
        try:
            if path.is_symlink():
                raise StoreError("is a symbolic link, which may point anywhere", path)
            description = described(path)
            if description is None:
                continue
            resolved, named = read_specs(description)
            if resolved.fingerprint != path.name:
                raise StoreError("the rows in this folder are of another extractor than its name says", path)
        except (StoreError, ValidationError) as error:
            warnings.warn(f"{path.name}: left out: {error}", RuntimeWarning, stacklevel=2)
            continue
        found.append((Folder(root, resolved), named))
    return found


def read_specs(
    description: dict[str, object],
) -> tuple[ResolvedExtractorSpec, ExtractorSpec | ResolvedExtractorSpec]:
    """Return the resolved spec of a description, and the one it was written as, which leads to the same address.

    Raises
    ------
    pydantic.ValidationError
        If they are no specs.
    StoreError
        If they contradict each other.
    """
    resolved = ResolvedExtractorSpec.model_validate(_fields(description.get("spec")))
    written = _fields(description.get("written_as"))
    if set(written) <= set(ResolvedExtractorSpec.model_fields):
        return resolved, resolved
    named = ExtractorSpec.model_validate(written).pinned_to(resolved)
    if named.resolve() != resolved:
        raise StoreError("the spec was not written as it is said to have been")
    return resolved, named


def stats(root: Path) -> StoreStats:
    """Return what a store holds, reading no row."""
    found = []
    for folder, named in stored(root):
        index = folder.index()
        files = index.segments
        newest = max((one.written for one in files), default=0)
        found.append(
            SpecStats(
                spec=named,
                rows=index.count(),
                dim=files[0].dim if files else 0,
                segments=len(files),
                bytes=sum(_size(one.path) for one in files),
                leftovers=sum(_size(path) for path in _leftovers(folder.path, timedelta())),
                writers=claims.writers(folder.path),
                written=datetime.fromtimestamp(newest / 1e9, UTC) if newest else None,
            )
        )
    return StoreStats(tuple(found))


def verify(root: Path, extractors: Iterable[Embedder], sample: int, random_state: int) -> Verification:
    """Read every row, and compute some again."""
    found = []
    for folder, named in stored(root):
        chosen: list[tuple[float, str, Rows]] = []
        generator = np.random.default_rng(random_state)
        extractor = next((one for one in extractors if one.resolved == folder.spec), None)
        rows = damaged = 0
        for sequences, block, bad in folder.sound_rows():
            rows, damaged = rows + len(sequences), damaged + bad
            if extractor is not None:  # the smallest of random numbers, one a row, are a random sample in one pass
                drawn = zip(generator.random(len(sequences)).tolist(), sequences, block, strict=True)
                chosen = sorted([*chosen, *drawn], key=lambda one: one[0])[:sample]
                chosen = [(number, sequence, row.copy()) for number, sequence, row in chosen]
        difference = None
        if chosen and extractor is not None:
            again = extractor.embed([sequence for _, sequence, _ in chosen])
            difference = float(np.abs(again - np.stack([row for *_, row in chosen])).max())
        files = len(folder.damaged) + len(list(folder.path.glob(f"*{DAMAGED}")))
        found.append(SpecCheck(named, rows, damaged, files, len(chosen), difference))
    return Verification(tuple(found))


def gc(
    root: Path,
    keep: Collection[ExtractorSpec | ResolvedExtractorSpec] | None,
    older_than: timedelta | None,
    dry_run: bool,
) -> Removals:
    """Remove specs that nobody wants, and what crashes and damage left."""
    kept = None if keep is None else {spec.resolve().fingerprint for spec in keep}
    items = []
    for folder, _ in stored(root):
        reason = _unwanted(folder, kept, older_than)
        if reason:
            items.append(Removal(folder.path, sum(map(_size, _files(folder.path))), reason))
            if not dry_run:
                with writable(folder.path):
                    remove(folder.path)
            continue
        for path in _leftovers(folder.path, _ABANDONED):
            reason = "found damaged" if path.suffix == DAMAGED else "never finished"
            items.append(Removal(path, _size(path), reason))
            if not dry_run:
                with writable(path):
                    path.unlink(missing_ok=True)
    for path in sorted(root.glob(f"*{_REMOVED}")) if root.is_dir() else ():
        if _FINGERPRINT.fullmatch(path.name.split(".")[0]) and not path.is_symlink():
            items.append(Removal(path, sum(map(_size, _files(path))), "was being removed"))
            if not dry_run:
                with writable(path):
                    remove(path)
    return Removals(tuple(items), dry_run)


def merge(root: Path, other: Path) -> dict[ExtractorSpec | ResolvedExtractorSpec, int]:
    """Add the sound rows of another store that are absent here."""
    if other.resolve() == root.resolve():
        raise StoreError("cannot be merged with itself", root)
    if not other.is_dir():
        raise StoreError("is no store", other)
    added: dict[ExtractorSpec | ResolvedExtractorSpec, int] = {}
    for theirs, named in stored(other):
        blocks = ((sequences, rows) for sequences, rows, _ in theirs.sound_rows())
        added[named] = add(Folder(root, theirs.spec), named, blocks)
    return added


def add(folder: Folder, named: ExtractorSpec | ResolvedExtractorSpec, blocks: Iterable[tuple[list[str], Rows]]) -> int:
    """Add those rows of some blocks that are absent from a folder, and return how many there were."""
    count = 0
    with folder.writing(named) as writer:
        for sequences, rows in blocks:
            absent = np.flatnonzero(~folder.read(segments.keys_of(normalise(sequences)))[0])
            for start in range(0, len(absent), _PUT_AT_ONCE):
                part = absent[start : start + _PUT_AT_ONCE]
                writer.put([sequences[i] for i in part], rows[part])
            count += len(absent)
    return count


def remove(folder: Path) -> None:
    """Remove a folder of a store: at once for readers, then file by file. What is not a store's file stays.

    Raises
    ------
    StoreError
        If something else lies in it.
    """
    others = [path for path in _everything(folder) if path not in set(_files(folder))]
    if others:
        raise StoreError("is not a store's file, so its folder is not removed", others[0])
    if folder.suffix != _REMOVED:
        folder = folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}{_REMOVED}"))
    for path in _files(folder):
        path.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        (folder / claims.FOLDER).rmdir()
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def summary(spec: ExtractorSpec | ResolvedExtractorSpec) -> str:
    """Return what tells a spec from others, in a few words."""
    resolved = spec.resolve()
    model = spec.model if isinstance(spec, ExtractorSpec) else f"model {resolved.digest[:12]}"
    told = [model, f"layer {resolved.layer}", resolved.pooling]
    for field in type(resolved).model_fields.keys() - {"digest", "layer", "pooling", "format"}:
        if getattr(resolved, field) != type(resolved).model_fields[field].default:
            told.append(f"{field} {getattr(resolved, field)}")
    return ", ".join(told)


def readable(size: float) -> str:
    """Return a number of bytes with a unit of a thousand of the one before."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _unwanted(folder: Folder, kept: Collection[str] | None, older_than: timedelta | None) -> str:
    """Return why a spec's folder goes; nothing if it stays."""
    if kept is None and older_than is None:
        return ""
    if kept is not None and folder.spec.fingerprint in kept:
        return ""
    if claims.writers(folder.path):
        return ""
    if older_than is not None:
        newest = max((path.stat().st_mtime for path in _files(folder.path)), default=0.0)
        if time.time() - newest < older_than.total_seconds():
            return ""
        return f"nothing written for {(time.time() - newest) / 86400:.0f} days"
    return "not among those to keep"


def _leftovers(folder: Path, age: timedelta) -> list[Path]:
    """Return unfinished files of some age, and damaged ones."""
    old = time.time() - age.total_seconds()
    unfinished = [path for path in sorted(folder.glob(f"*{_UNFINISHED}")) if _modified(path) <= old]
    return [*unfinished, *sorted(folder.glob(f"*{DAMAGED}"))]


def _files(folder: Path) -> list[Path]:
    """Return the files of a store in a folder; links are none."""
    patterns = (
        f"*{segments.SUFFIX}",
        f"*{DAMAGED}",
        f"*{_UNFINISHED}",
        DESCRIPTION,
        f"{claims.FOLDER}/*{claims.SUFFIX}",
    )
    return [path for pattern in patterns for path in sorted(folder.glob(pattern)) if not path.is_symlink()]


def _everything(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name == claims.FOLDER and path.is_dir() and not path.is_symlink():
            yield from sorted(path.iterdir())
        else:
            yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _fields(described: object) -> dict[str, object]:
    if not isinstance(described, dict):
        raise StoreError("its description has no spec")
    return {name: value for name, value in described.items() if name != "type"}


def _short(path: Path) -> str:
    return "/".join(part if len(part) < 64 else part[:8] for part in path.parts[-2:])


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width) or [""]
