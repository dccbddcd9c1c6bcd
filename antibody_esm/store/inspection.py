"""Statistics and verification of a store."""

import re
import textwrap
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import ValidationError

from antibody_esm.batch import Rows
from antibody_esm.errors import StoreError
from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
from antibody_esm.specs.local_models import folder_name
from antibody_esm.store import claims, segments
from antibody_esm.store.folder import Folder, described
from antibody_esm.store.writer import DAMAGED

UNFINISHED = ".tmp"

_FINGERPRINT = re.compile("[0-9a-f]{64}")

AnySpec = ExtractorSpec | ResolvedExtractorSpec


class Embedder(Protocol):
    """Object that computes rows again, such as an `Extractor`."""

    @property
    def resolved(self) -> ResolvedExtractorSpec:
        """Address of the rows."""
        ...

    def embed(self, sequences: Iterable[str]) -> Rows:
        """Return rows ``(n, dim)``."""
        ...


@dataclass(frozen=True)
class SpecStats:
    """Statistics of one spec in a store."""

    spec: ExtractorSpec | ResolvedExtractorSpec
    """Spec as first written, pinned to its model's bytes."""
    rows: int
    """Number of distinct sequences."""
    dim: int
    """Length of a row; 0 without rows."""
    segments: int
    bytes: int
    """Bytes of the segments."""
    leftovers: int
    """Bytes of unfinished or damaged files, which `EmbeddingStore.gc` removes."""
    writers: int
    """Number of processes that are writing now, as far as visible."""
    written: datetime | None
    """Time of the newest segment."""

    @property
    def fingerprint(self) -> str:
        """Name of the folder."""
        return self.spec.resolve().fingerprint


@dataclass(frozen=True)
class StoreStats:
    """Statistics of a store; ``str()`` is a table of 80 columns."""

    specs: tuple[SpecStats, ...]
    left_out: tuple[str, ...] = ()
    """Folders that could not be read, with the reasons."""

    @property
    def rows(self) -> int:
        """Rows of all specs."""
        return sum(entry.rows for entry in self.specs)

    @property
    def bytes(self) -> int:
        """Bytes of all segments and leftovers."""
        return sum(entry.bytes + entry.leftovers for entry in self.specs)

    def __str__(self) -> str:
        lines = [f"{'spec':<9}{'model and settings':<35}{'rows':>9}{'dim':>6}{'disk':>9}  {'written':<10}"]
        for entry in self.specs:
            first, *more = _wrapped(summary(entry.spec), 34)
            day = f"{entry.written:%Y-%m-%d}" if entry.written else ""
            name, disk = entry.fingerprint[:8], readable(entry.bytes)
            lines.append(f"{name:<9}{first:<35}{entry.rows:>9,}{entry.dim:>6}{disk:>9}  {day:<10}")
            if entry.leftovers:
                more.append(f"{readable(entry.leftovers)} left over; gc removes it")
            if entry.writers:
                more.append(f"{entry.writers} writing now")
            lines += [f"{'':<9}{line}" for line in more]
        lines += _said(self.left_out)
        lines.append(f"{len(self.specs)} specs, {self.rows:,} rows, {readable(self.bytes)}")
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class SpecCheck:
    """Result of `EmbeddingStore.verify` for one spec."""

    spec: ExtractorSpec | ResolvedExtractorSpec
    rows: int
    """Number of undamaged rows."""
    damaged_rows: int
    """Number of rows whose bytes, or sequences, have changed."""
    damaged_files: int
    """Number of segments that cannot be read."""
    set_aside: int = 0
    """Number of segments set aside as damaged earlier; `EmbeddingStore.gc` removes them."""
    recomputed: int = 0
    """Number of rows that were computed again."""
    max_difference: float | None = None
    """Largest absolute difference of any number in these rows; None if no row was computed again."""

    @property
    def fingerprint(self) -> str:
        """Name of the folder."""
        return self.spec.resolve().fingerprint

    @property
    def sound(self) -> bool:
        """True if no row is damaged."""
        return not self.damaged_rows and not self.damaged_files


@dataclass(frozen=True)
class Verification:
    """Result of `EmbeddingStore.verify`; ``str()`` is a table of 80 columns."""

    specs: tuple[SpecCheck, ...]
    left_out: tuple[str, ...] = ()
    """Folders that could not be read, with the reasons."""

    @property
    def sound(self) -> bool:
        """True if every row of every spec was read and is undamaged."""
        return not self.left_out and all(entry.sound for entry in self.specs)

    def __str__(self) -> str:
        lines = [f"{'spec':<9}{'model and settings':<35}{'sound':>9}{'damaged':>9}{'files':>6}{'drift':>11}"]
        for entry in self.specs:
            first, *more = _wrapped(summary(entry.spec), 34)
            drift = "" if entry.max_difference is None else f"{entry.max_difference:.1e}"
            lines.append(
                f"{entry.fingerprint[:8]:<9}{first:<35}{entry.rows:>9,}{entry.damaged_rows:>9,}{entry.damaged_files:>6}{drift:>11}"
            )
            if entry.recomputed:
                more.append(f"{entry.recomputed} rows computed again")
            if entry.set_aside:
                more.append(f"{entry.set_aside} damaged files set aside; gc removes them")
            lines += [f"{'':<9}{line}" for line in more]
        lines += _said(self.left_out)
        if self.sound:
            lines.append("every row is what was written")
        elif any(not entry.sound for entry in self.specs):
            lines.append("damaged rows will be computed again when needed")
        return "\n".join(line.rstrip() for line in lines)


def spec_folders(root: Path) -> list[Path]:
    """Return the folders of a store that are named after a spec, in a fixed order."""
    return [path for path in (sorted(root.iterdir()) if root.is_dir() else ()) if _FINGERPRINT.fullmatch(path.name)]


def stored(root: Path, left_out: list[str] | None = None) -> list[tuple[Folder, ExtractorSpec | ResolvedExtractorSpec]]:
    """Return the folder of every spec with the spec as written, in a fixed order.

    Parameters
    ----------
    left_out
        List to which a message is added for each folder with rows that cannot be read; a warning is raised too.
    """
    specs = []
    for path in spec_folders(root):
        try:
            if path.is_symlink():
                raise StoreError("is a symbolic link, which may point anywhere", path)
            description = described(path)
            if description is None:
                if any(path.glob(f"*{segments.SUFFIX}")):
                    raise StoreError("has rows but no description; a request for rows of its spec restores it", path)
                continue
            resolved, named = read_specs(description)
            if resolved.fingerprint != path.name:
                raise StoreError("the description of this folder does not match its name", path)
        except (StoreError, ValidationError) as error:
            _leave_out(path, error, left_out)
            continue
        specs.append((Folder(root, resolved), named))
    return specs


def read_specs(
    description: dict[str, object],
) -> tuple[ResolvedExtractorSpec, ExtractorSpec | ResolvedExtractorSpec]:
    """Return the resolved spec of a description, and the user's spec, which has the same address.

    No file of the model is read.

    Raises
    ------
    pydantic.ValidationError
        If they are not specs.
    StoreError
        If they contradict each other.
    """
    resolved = ResolvedExtractorSpec.model_validate(_fields(description.get("spec")))
    written = _fields(description.get("written_as"))
    if set(written) <= set(ResolvedExtractorSpec.model_fields):
        return resolved, resolved
    named = ExtractorSpec.model_validate(written)
    if named.truncation == (resolved.truncate_to is not None):
        named = named.pinned_to(resolved)  # so that it resolves without the model's files
        # Another version of the numbering program is no contradiction: these rows belong to that version.
        if named.resolve().model_copy(update={"numbering": resolved.numbering}) == resolved:
            return resolved, named
    raise StoreError("the two specs of the description contradict each other")


def stats(root: Path) -> StoreStats:
    """Return the statistics of a store, without reading a row."""
    left_out: list[str] = []
    entries = []
    for folder, named in stored(root, left_out):
        try:
            index = folder.index()
        except StoreError as error:
            _leave_out(folder.path, error, left_out)
            continue
        files = index.segments
        newest = max((segment.written for segment in files), default=0)
        entries.append(
            SpecStats(
                spec=named,
                rows=index.count(),
                dim=files[0].dim if files else 0,
                segments=len(files),
                bytes=sum(size_of(segment.path) for segment in files),
                leftovers=sum(size_of(path) for path in leftovers(folder.path, timedelta())),
                writers=claims.writers(folder.path),
                written=datetime.fromtimestamp(newest / 1e9, UTC) if newest else None,
            )
        )
    return StoreStats(tuple(entries), tuple(left_out))


def verify(root: Path, extractors: Iterable[Embedder], sample: int, random_state: int) -> Verification:
    """Check every row, and compute a sample of rows again."""
    left_out: list[str] = []
    checks = []
    for folder, named in stored(root, left_out):
        extractor = next((candidate for candidate in extractors if candidate.resolved == folder.spec), None)
        try:
            checks.append(_check(folder, named, extractor, sample, random_state))
        except StoreError as error:
            _leave_out(folder.path, error, left_out)
    return Verification(tuple(checks), tuple(left_out))


def _check(
    folder: Folder,
    named: ExtractorSpec | ResolvedExtractorSpec,
    extractor: Embedder | None,
    sample: int,
    random_state: int,
) -> SpecCheck:
    chosen: list[tuple[float, str, Rows]] = []
    generator = np.random.default_rng(random_state)
    rows = damaged = 0
    for sequences, block, bad in folder.sound_rows():
        rows, damaged = rows + len(sequences), damaged + bad
        if extractor is not None:  # rows with the smallest random numbers are a random sample in one pass
            drawn = zip(generator.random(len(sequences)).tolist(), sequences, block, strict=True)
            chosen = sorted([*chosen, *drawn], key=lambda entry: entry[0])[:sample]
            chosen = [(number, sequence, row.copy()) for number, sequence, row in chosen]
    difference = None
    if chosen and extractor is not None:
        again = extractor.embed([sequence for _, sequence, _ in chosen])
        difference = float(np.abs(again - np.stack([row for *_, row in chosen])).max())
    aside = len(list(folder.path.glob(f"*{DAMAGED}")))
    return SpecCheck(named, rows, damaged, len(folder.damaged), aside, len(chosen), difference)


def summary(spec: ExtractorSpec | ResolvedExtractorSpec) -> str:
    """Return a short description of a spec for a terminal."""
    resolved = spec.resolve()
    model = spec.model if isinstance(spec, ExtractorSpec) else f"model {resolved.digest[:12]}"
    words = [model, f"layer {resolved.layer}", resolved.pooling]
    for field in type(resolved).model_fields.keys() - {"digest", "layer", "pooling", "numbering", "format"}:
        if getattr(resolved, field) != type(resolved).model_fields[field].default:
            words.append(f"{field} {getattr(resolved, field)}")
    return "".join(letter if letter.isprintable() else "?" for letter in ", ".join(words))


def differences(spec: AnySpec, other: AnySpec) -> list[str]:
    """Return a line for each field in which the addresses of two specs differ; empty for the same address.

    Models are compared by their bytes: the same files under another name are no difference, and other files under the
    same name are ``model bytes changed``.
    """
    a, b = spec.resolve(), other.resolve()
    changes = []
    if a.digest != b.digest and (a.random_weights is None) == (b.random_weights is None):
        names = _model_name(spec), _model_name(other)
        same = names[0] == names[1] or None in names
        changes.append("model bytes changed" if same else f"model {names[0]} -> {names[1]}")
    for field in type(a).model_fields:
        before, after = getattr(a, field), getattr(b, field)
        if field != "digest" and before != after:
            changes.append(f"{field} {before} -> {after}")
    return changes


def _model_name(spec: AnySpec) -> str | None:
    if isinstance(spec, ResolvedExtractorSpec):
        return None
    name = folder_name(spec.model)  # a pinned spec has no more of a folder
    return name if spec.revision is None else f"{name}@{spec.revision}"


def readable(size: float) -> str:
    """Return a number of bytes with a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def leftovers(folder: Path, age: timedelta) -> list[Path]:
    """Return unfinished files of at least this age, and damaged files."""
    old = time.time() - age.total_seconds()
    unfinished = [path for path in sorted(folder.glob(f"*{UNFINISHED}")) if modified(path) <= old]
    return [*unfinished, *sorted(folder.glob(f"*{DAMAGED}"))]


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def modified(path: Path) -> float:
    """Return the time of a file's last change; now if it does not exist."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _leave_out(path: Path, error: Exception, left_out: list[str] | None) -> None:
    message = f"{path.name}: left out: {error}"
    warnings.warn(message, RuntimeWarning, stacklevel=3)
    if left_out is not None:
        left_out.append(message)


def _fields(described: object) -> dict[str, object]:
    if not isinstance(described, dict):
        raise StoreError("its description has no spec")
    return {name: value for name, value in described.items() if name != "type"}


def _said(left_out: tuple[str, ...]) -> list[str]:
    return [line for note in left_out for line in textwrap.wrap(note, 80, subsequent_indent="  ")]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]
