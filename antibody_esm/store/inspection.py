"""What a store holds, and whether it is sound."""

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
from antibody_esm.store import claims, segments
from antibody_esm.store.folder import Folder, described
from antibody_esm.store.writer import DAMAGED

UNFINISHED = ".tmp"

_FINGERPRINT = re.compile("[0-9a-f]{64}")

AnySpec = ExtractorSpec | ResolvedExtractorSpec


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
    left_out: tuple[str, ...] = ()
    """Folders that could not be looked at, and why."""

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
        lines += _said(self.left_out)
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
    set_aside: int = 0
    """Segments that were found damaged earlier; nothing reads them, and `EmbeddingStore.gc` removes them."""
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
    left_out: tuple[str, ...] = ()
    """Folders that could not be looked at, and why."""

    @property
    def sound(self) -> bool:
        """Whether every row of every spec could be read, and is what was written."""
        return not self.left_out and all(one.sound for one in self.specs)

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
            if one.set_aside:
                more.append(f"{one.set_aside} damaged files set aside; gc removes them")
            lines += [f"{'':<9}{line}" for line in more]
        lines += _said(self.left_out)
        if self.sound:
            lines.append("every row is what was written")
        elif any(not one.sound for one in self.specs):
            lines.append("damaged rows will be computed again when needed")
        return "\n".join(line.rstrip() for line in lines)


def spec_folders(root: Path) -> list[Path]:
    """Return the folders of a store that are named after a spec, in a fixed order."""
    return [path for path in (sorted(root.iterdir()) if root.is_dir() else ()) if _FINGERPRINT.fullmatch(path.name)]


def stored(root: Path, left_out: list[str] | None = None) -> list[tuple[Folder, ExtractorSpec | ResolvedExtractorSpec]]:
    """Return every spec's folder with the spec as it was written, in a fixed order.

    Parameters
    ----------
    left_out
        To which folders are added that hold something, and are no spec's; these are warned of too.
    """
    found = []
    for path in spec_folders(root):
        try:
            if path.is_symlink():
                raise StoreError("is a symbolic link, which may point anywhere", path)
            description = described(path)
            if description is None:
                if any(path.glob(f"*{segments.SUFFIX}")):
                    raise StoreError("holds rows, but not which spec they are of; asking for that spec mends it", path)
                continue
            resolved, named = read_specs(description)
            if resolved.fingerprint != path.name:
                raise StoreError("the rows in this folder are of another extractor than its name says", path)
        except (StoreError, ValidationError) as error:
            _leave_out(path, error, left_out)
            continue
        found.append((Folder(root, resolved), named))
    return found


def read_specs(
    description: dict[str, object],
) -> tuple[ResolvedExtractorSpec, ExtractorSpec | ResolvedExtractorSpec]:
    """Return the resolved spec of a description, and the one it was written as, which leads to the same address.

    No file of the model is looked for.

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
    named = ExtractorSpec.model_validate(written)
    if named.truncation == (resolved.truncate_to is not None):
        named = named.pinned_to(resolved)  # and so resolved without its files
        # Another version of what numbers residues is no contradiction: these rows are of that one.
        if named.resolve().model_copy(update={"numbering": resolved.numbering}) == resolved:
            return resolved, named
    raise StoreError("the spec was not written as it is said to have been")


def stats(root: Path) -> StoreStats:
    """Return what a store holds, reading no row."""
    left_out: list[str] = []
    found = []
    for folder, named in stored(root, left_out):
        try:
            index = folder.index()
        except StoreError as error:
            _leave_out(folder.path, error, left_out)
            continue
        files = index.segments
        newest = max((one.written for one in files), default=0)
        found.append(
            SpecStats(
                spec=named,
                rows=index.count(),
                dim=files[0].dim if files else 0,
                segments=len(files),
                bytes=sum(size_of(one.path) for one in files),
                leftovers=sum(size_of(path) for path in leftovers(folder.path, timedelta())),
                writers=claims.writers(folder.path),
                written=datetime.fromtimestamp(newest / 1e9, UTC) if newest else None,
            )
        )
    return StoreStats(tuple(found), tuple(left_out))


def verify(root: Path, extractors: Iterable[Embedder], sample: int, random_state: int) -> Verification:
    """Read every row, and compute some again."""
    left_out: list[str] = []
    found = []
    for folder, named in stored(root, left_out):
        extractor = next((one for one in extractors if one.resolved == folder.spec), None)
        try:
            found.append(_check(folder, named, extractor, sample, random_state))
        except StoreError as error:
            _leave_out(folder.path, error, left_out)
    return Verification(tuple(found), tuple(left_out))


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
        if extractor is not None:  # the smallest of random numbers, one a row, are a random sample in one pass
            drawn = zip(generator.random(len(sequences)).tolist(), sequences, block, strict=True)
            chosen = sorted([*chosen, *drawn], key=lambda one: one[0])[:sample]
            chosen = [(number, sequence, row.copy()) for number, sequence, row in chosen]
    difference = None
    if chosen and extractor is not None:
        again = extractor.embed([sequence for _, sequence, _ in chosen])
        difference = float(np.abs(again - np.stack([row for *_, row in chosen])).max())
    aside = len(list(folder.path.glob(f"*{DAMAGED}")))
    return SpecCheck(named, rows, damaged, len(folder.damaged), aside, len(chosen), difference)


def summary(spec: ExtractorSpec | ResolvedExtractorSpec) -> str:
    """Return what tells a spec from others, in a few words, fit for a terminal."""
    resolved = spec.resolve()
    model = spec.model if isinstance(spec, ExtractorSpec) else f"model {resolved.digest[:12]}"
    told = [model, f"layer {resolved.layer}", resolved.pooling]
    for field in type(resolved).model_fields.keys() - {"digest", "layer", "pooling", "numbering", "format"}:
        if getattr(resolved, field) != type(resolved).model_fields[field].default:
            told.append(f"{field} {getattr(resolved, field)}")
    return "".join(letter if letter.isprintable() else "?" for letter in ", ".join(told))


def differences(one: AnySpec, other: AnySpec) -> list[str]:
    """Return, one a line, each field in which the addresses of two specs differ; an empty list for one address.

    Fields that name a model are compared by the bytes they stand for: a folder under another name is no difference,
    another file under the same name is ``model bytes changed``.
    """
    a, b = one.resolve(), other.resolve()
    found = []
    if a.digest != b.digest:
        names = _model_name(one), _model_name(other)
        same = names[0] == names[1] or None in names
        found.append("model bytes changed" if same else f"model {names[0]} -> {names[1]}")
    for field in type(a).model_fields:
        before, after = getattr(a, field), getattr(b, field)
        if field != "digest" and before != after:
            found.append(f"{field} {before} -> {after}")
    return found


def _model_name(spec: AnySpec) -> str | None:
    if isinstance(spec, ResolvedExtractorSpec):
        return None
    return spec.model if spec.revision is None else f"{spec.model}@{spec.revision}"


def readable(size: float) -> str:
    """Return a number of bytes with a unit of a thousand of the one before."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def leftovers(folder: Path, age: timedelta) -> list[Path]:
    """Return unfinished files of some age, and damaged ones."""
    old = time.time() - age.total_seconds()
    unfinished = [path for path in sorted(folder.glob(f"*{UNFINISHED}")) if modified(path) <= old]
    return [*unfinished, *sorted(folder.glob(f"*{DAMAGED}"))]


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if it has gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def modified(path: Path) -> float:
    """Return when a file was written last; now, if it has gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _leave_out(path: Path, error: Exception, left_out: list[str] | None) -> None:
    said = f"{path.name}: left out: {error}"
    warnings.warn(said, RuntimeWarning, stacklevel=3)
    if left_out is not None:
        left_out.append(said)


def _fields(described: object) -> dict[str, object]:
    if not isinstance(described, dict):
        raise StoreError("its description has no spec")
    return {name: value for name, value in described.items() if name != "type"}


def _said(left_out: tuple[str, ...]) -> list[str]:
    return [line for one in left_out for line in textwrap.wrap(one, 80, subsequent_indent="  ")]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]
