"""Vectors addressed by (resolved extractor spec, sequence), on disk or in memory."""

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Batch, Rows
from antibody_esm.errors import StoreError
from antibody_esm.notebook import card
from antibody_esm.sequences import normalise
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.storage_formats import rounded
from antibody_esm.store import cleaning, exchange, inspection
from antibody_esm.store.cleaning import Removals
from antibody_esm.store.folder import Folder
from antibody_esm.store.inspection import AnySpec, StoreStats, Verification, differences, stored, summary
from antibody_esm.store.segments import keys_of
from antibody_esm.store.session import Session, SharedSession, fill_by_callbacks
from antibody_esm.store.writer import writing


class Store(Protocol):
    """Storage of rows: an `EmbeddingStore` or a `MemoryStore`."""

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows of the sequences that are present."""
        ...

    def absent(self, spec: AnySpec, sequences: Sequence[str]) -> list[str]:
        """Return the sequences that have no row, without reading rows."""
        ...

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: Rows) -> None:
        """Add rows ``(n, dim)``."""
        ...

    def session(self, specs: Sequence[AnySpec], sequences: Sequence[str]) -> Session:
        """Return a session in which the rows of specs are read, computed, put and shared."""
        ...


class MemoryStore:
    """Rows in memory, for the life of this object."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, NDArray[np.float32]]] = {}

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows of the sequences that are present."""
        rows = self._rows.get(spec.resolve().fingerprint, {})
        return {sequence: rows[sequence].copy() for sequence in normalise(sequences, pairs=True) if sequence in rows}

    def absent(self, spec: AnySpec, sequences: Sequence[str]) -> list[str]:
        """Return the sequences that have no row."""
        rows = self._rows.get(spec.resolve().fingerprint, {})
        return [sequence for sequence in normalise(sequences, pairs=True) if sequence not in rows]

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: Rows) -> None:
        """Add rows ``(n, dim)``; raises ValueError as `EmbeddingStore.put` does."""
        resolved = spec.resolve()
        normal, rows = _one_row_each(normalise(sequences, pairs=True), rows)
        if not np.isfinite(rows).all():
            raise ValueError("rows must be finite")
        mine = self._rows.setdefault(resolved.fingerprint, {})
        for sequence, row in zip(normal, rounded(rows, resolved.storage), strict=True):
            mine[sequence] = row.copy()
            mine[sequence].setflags(write=False)

    def clear(self) -> None:
        """Remove all rows."""
        self._rows.clear()

    def session(self, specs: Sequence[AnySpec], sequences: Sequence[str]) -> Session:
        """Return a session whose rows are added here, without other writers."""
        return _MemorySession(self, [spec.resolve() for spec in specs], normalise(sequences, pairs=True))

    def fill(
        self, spec: AnySpec, sequences: Sequence[str], compute: Callable[..., Iterable[tuple[list[int], Rows]]]
    ) -> Rows:
        """Return the rows of all sequences; deprecated, `session` does it without callbacks."""
        warnings.warn("fill is deprecated: use session", DeprecationWarning, stacklevel=2)
        return fill_by_callbacks(self.session([spec], sequences), compute)


class _MemorySession(Session):
    def __init__(self, store: MemoryStore, specs: Sequence[ResolvedExtractorSpec], sequences: list[str]) -> None:
        super().__init__(specs, sequences)
        self._store = store
        for spec in self.specs:
            if there := store.get(spec, sequences):
                super().add(Batch(list(there), (spec,)), [np.stack(list(there.values()))])

    def add(self, batch: Batch, rows: list[Rows]) -> None:
        super().add(batch, rows)
        for spec, new in zip(batch.specs, rows, strict=True):
            self._store.put(spec, batch.sequences, new)


class EmbeddingStore:
    """A folder of vectors, addressed by (extractor spec, sequence), that many processes and machines may share.

    The address is the resolved spec, with the digest of the model's bytes, and a hash of the sequence. Another spec or
    another file of the model is another address. Rows are only added. A damaged row causes a warning and counts as
    absent, so that it is computed again. Readers never wait for writers.

    Parameters
    ----------
    root
        The store's folder; created with the first row, private to the user. The constructor does not access the disk.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from antibody_esm import ExtractorSpec
    >>> store = EmbeddingStore(mkdtemp())
    >>> spec = ExtractorSpec(model="any", digest="0" * 64, layer=6)
    >>> store.put(spec, ["EVQLV"], np.ones((1, 4), np.float32))
    >>> store.gather(spec, ["EVQLV"]).shape
    (1, 4)
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()
        self._folders: dict[str, Folder] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def _repr_html_(self) -> str:
        return card("EmbeddingStore", [("folder", self.root)], note="stats() counts its vectors")

    def __reduce__(self) -> tuple[type["EmbeddingStore"], tuple[Path]]:
        return type(self), (self.root,)  # another process reads the folder itself

    def get(self, spec: AnySpec, sequences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rows ``(dim,)`` of the sequences that are present.

        Raises
        ------
        StoreError
            If the folder of this spec holds rows of another spec, or a file that was never a segment.
        """
        normal = list(dict.fromkeys(normalise(sequences, pairs=True)))
        result = self._folder(spec).read(keys_of(normal))
        return {normal[i]: row for i, row in zip(np.flatnonzero(result.present).tolist(), result.rows, strict=True)}

    def gather(self, spec: AnySpec, sequences: Sequence[str]) -> Rows:
        """Return the rows ``(n, dim)`` of all sequences, in input order.

        Raises
        ------
        StoreError
            If any row is absent; the message has their number and the first sequence.
        """
        normal = normalise(sequences, pairs=True)
        result = self._folder(spec).read(keys_of(normal))
        if not result.present.all():
            missing = list(dict.fromkeys(normal[i] for i in np.flatnonzero(~result.present)))
            raise StoreError(self._absence(spec, missing), self.root)
        return result.rows

    def contains(self, spec: AnySpec, sequences: Sequence[str]) -> NDArray[np.bool_]:
        """Return True for each sequence ``(n,)`` with a row, damaged or not, without reading rows."""
        return self._folder(spec).index().find(keys_of(normalise(sequences, pairs=True))).segment >= 0

    def absent(self, spec: AnySpec, sequences: Sequence[str]) -> list[str]:
        """Return the sequences that have no row, by `contains`."""
        normal = normalise(sequences, pairs=True)
        return [normal[i] for i in np.flatnonzero(~self.contains(spec, normal))]

    def count(self, spec: AnySpec) -> int:
        """Return the number of sequences that have a row under this spec, damaged or not."""
        return self._folder(spec).index().count()

    def put(self, spec: AnySpec, sequences: Sequence[str], rows: Rows) -> None:
        """Add rows ``(n, dim)``; up to 256 MB of rows are stored together or not at all.

        Raises
        ------
        StoreError
            If the folder of this spec holds rows of another spec or length, or cannot be written.
        ValueError
            If there is not one finite row for each sequence, or if a sequence has two different rows.
        """
        normal, rows = _one_row_each(normalise(sequences, pairs=True), rows)
        if normal:
            with writing(self._folder(spec), spec) as writer:
                writer.put(normal, rows)

    def session(self, specs: Sequence[AnySpec], sequences: Sequence[str]) -> Session:
        """Return a session in which the rows of specs are read, computed, put and shared with other writers.

        Rows that another process computes are read when they are stored. If that process ends before, this session
        computes them.

        Parameters
        ----------
        specs
            One or more views of one model.
        sequences
            ``n`` sequences or pairs of chains; stored rows are read at once.

        Raises
        ------
        StoreError
            If the folder of a spec holds rows of another spec; later, if it cannot be written.

        Examples
        --------
        >>> from antibody_esm import ExtractorSpec
        >>> store, spec = EmbeddingStore("embeddings/"), ExtractorSpec(model="any", digest="0" * 64, layer=6)
        >>> with store.session([spec], ["EVQL", "QVQL", "EVQL"]) as session:
        ...     while session.missing:
        ...         for batch in session.claim([session.missing]):
        ...             session.put(batch, [np.ones((len(batch.sequences), 4), np.float32)])
        ...         session.wait()
        ...     [rows] = session.rows()
        >>> rows.shape
        (3, 4)
        """
        return SharedSession([self._folder(spec) for spec in specs], specs, normalise(sequences, pairs=True))

    def fill(
        self, spec: AnySpec, sequences: Sequence[str], compute: Callable[..., Iterable[tuple[list[int], Rows]]]
    ) -> Rows:
        """Return the rows of all sequences; deprecated, `session` does it without callbacks."""
        warnings.warn("fill is deprecated: use session", DeprecationWarning, stacklevel=2)
        return fill_by_callbacks(self.session([spec], sequences), compute)

    def explain(self, spec: AnySpec, other: AnySpec | None = None) -> list[str]:
        """Return the reasons why two specs have different rows: one line per field in which their addresses differ.

        Parameters
        ----------
        spec
            Requested spec.
        other
            Spec to compare with; None is the most similar spec with rows in this store.

        Returns
        -------
        Lines such as ``"model bytes changed"`` or ``"pooling mean -> max"``; empty if both have one address, or if the
        store is empty. Arrows point from ``spec`` to ``other``, or from the stored spec to ``spec``.

        Examples
        --------
        >>> from antibody_esm import ExtractorSpec
        >>> store = EmbeddingStore("embeddings/")
        >>> mean = ExtractorSpec(model="any", digest="0" * 64, layer=6)
        >>> store.explain(mean, mean.model_copy(update={"pooling": "max", "digest": "1" * 64}))
        ['model bytes changed', 'pooling mean -> max']
        """
        if other is not None:
            return differences(spec, other)
        nearest = self._nearest(spec)
        return [] if nearest is None else differences(nearest, spec)

    def stats(self) -> StoreStats:
        """Return rows, disk space, age and leftovers of each spec, without reading rows; ``print`` shows a table."""
        return inspection.stats(self.root)

    def verify(
        self,
        extractor: inspection.Embedder | Iterable[inspection.Embedder] = (),
        sample: int = 100,
        random_state: int = 0,
    ) -> Verification:
        """Compare every row of the store with its checksum; with an extractor, also compute a sample of rows again.

        Parameters
        ----------
        extractor
            One or more `Extractor`, which compute rows again. The largest absolute difference is 0 on the machine that
            wrote the rows, and about 1e-6 on another machine; a larger difference means that the software has changed.
        sample
            Number of rows per extractor that are computed again, drawn at random.
        random_state
            Seed of the draw.

        Returns
        -------
        One entry per spec, and the folders that could not be read. Nothing is repaired: damaged rows are computed again
        when they are requested.
        """
        several = list(extractor) if isinstance(extractor, Iterable) else [extractor]
        return inspection.verify(self.root, several, sample, random_state)

    def gc(
        self,
        *,
        keep: Collection[AnySpec] | None = None,
        older_than: timedelta | None = None,
        dry_run: bool = True,
    ) -> Removals:
        """Remove the rows of unwanted specs, and leftovers of crashes and damage.

        Without ``keep`` and ``older_than``, only leftovers are removed: unfinished files older than a day, and damaged
        files. A spec with a running writer stays.

        Parameters
        ----------
        keep
            Specs that stay; all others are removed.
        older_than
            Specs without new rows for this time are removed; together with ``keep``, only those that are not kept.
        dry_run
            True only lists what would be removed. Nothing is removed unless this is False.

        Raises
        ------
        StoreError
            If a folder to remove holds files that are not of a store.
        """
        return cleaning.gc(self.root, keep, older_than, dry_run)

    def merge(self, other: "str | Path | EmbeddingStore") -> dict[AnySpec, int]:
        """Add the undamaged rows of another store that this store lacks, and return their number for each spec."""
        return exchange.merge(self.root, EmbeddingStore(other).root if isinstance(other, str | Path) else other.root)

    def export(self, path: str | Path, spec: AnySpec | None = None) -> int:
        """Write the rows of one spec to one file, and return their number.

        Parameters
        ----------
        path
            ``.parquet`` (columns ``sequence``, ``embedding`` and ``checksum``, which pandas, polars and DuckDB read) or
            ``.safetensors`` (arrays ``embeddings`` ``(n, dim)``, ``sequences``, ``ends`` and ``checksums``; held in
            memory as a whole). Rows are float32 in both. An existing file is replaced.
        spec
            Spec of the rows; optional if the store holds only one spec.

        Raises
        ------
        StoreError
            If there are no rows, or if `spec` is None and the store holds several specs.
        ValueError
            If the path has another suffix.
        """
        folders = {folder.spec.fingerprint: (folder, named) for folder, named in stored(self.root)}
        if spec is None:
            if len(folders) != 1:
                raise StoreError(f"holds rows of {len(folders)} specs; name the spec to export", self.root)
            folder, named = next(iter(folders.values()))
        else:
            folder, named = folders.get(spec.resolve().fingerprint) or (self._folder(spec), spec)
        return exchange.export(folder, named, Path(path))

    def import_file(self, path: str | Path) -> tuple[AnySpec, int]:
        """Add the rows of a file that `export` wrote; return their spec and the number of added rows.

        Raises
        ------
        StoreError
            If `export` did not write the file, or if it is damaged. Rows before the damage are added.
        """
        return exchange.load(self.root, Path(path))

    def _absence(self, spec: AnySpec, missing: list[str]) -> str:
        message = f"{len(missing)} sequences have no row, first {missing[0]}"
        if self.count(spec):
            return message
        nearest = self._nearest(spec)
        if nearest is None:
            return f"{message}; the store is empty"
        return f"{message}; there are rows of {summary(nearest)}: {', '.join(differences(nearest, spec))}"

    def _nearest(self, spec: AnySpec) -> AnySpec | None:
        """Return the stored spec whose address differs in the fewest fields, if possible with the same model."""
        named = [entry.spec for entry in inspection.stats(self.root).specs if entry.rows]
        digest = spec.resolve().digest
        return min(
            named,
            key=lambda named_spec: (named_spec.resolve().digest != digest, len(differences(named_spec, spec))),
            default=None,
        )

    def _folder(self, spec: AnySpec) -> Folder:
        resolved = spec.resolve()
        return self._folders.setdefault(resolved.fingerprint, Folder(self.root, resolved, spec))


def _one_row_each(sequences: list[str], rows: Rows) -> tuple[list[str], Rows]:
    """Return distinct sequences with one row each ``(n, dim)``. Raises ValueError if rows do not match."""
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or len(rows) != len(sequences) or (len(rows) and not rows.shape[1]):
        raise ValueError(f"expected one row for each of {len(sequences)} sequences, got an array {rows.shape}")
    if len(set(sequences)) == len(sequences):
        return sequences, rows
    first: dict[str, int] = {}
    for i, sequence in enumerate(sequences):
        if not np.array_equal(rows[first.setdefault(sequence, i)], rows[i]):
            raise ValueError(f"the sequence {sequence} has two different rows")
    return list(first), rows[list(first.values())]
