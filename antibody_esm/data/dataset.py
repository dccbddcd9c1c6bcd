"""Labelled antibodies, with where they come from."""

import hashlib
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.files import places
from antibody_esm.data.parts import Chain
from antibody_esm.data.reading import Chains, Reading
from antibody_esm.errors import DatasetError, SequenceError, listed
from antibody_esm.numbering import SPECIES
from antibody_esm.sequences import BETWEEN, normalise

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.audit import Audit


@dataclass(frozen=True)
class Provenance:
    """Where a data set comes from, and what was done to it.

    Printed, it is a small table.
    """

    source: str
    rule: str = ""
    """What made a label 0 or 1."""
    citation: str = ""
    licence: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    """Digest of each source file."""
    counts: dict[str, int] = field(default_factory=dict)
    """Rows after each step."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Id of each row that was left out, and why."""

    def __post_init__(self) -> None:
        for name in ("sha256", "counts", "dropped"):  # nobody else's
            object.__setattr__(self, name, dict(getattr(self, name)))

    def __str__(self) -> str:
        lines = {"source": self.source, "rule": self.rule, "citation": self.citation, "licence": self.licence}
        lines |= {name: f"{count:,}" for name, count in self.counts.items()}
        lines |= {f"dropped: {reason}": f"{count:,}" for reason, count in self.reasons().items()}
        lines |= {f"SHA-256 {name}": digest for name, digest in self.sha256.items()}
        width = min(max(map(len, lines)), 48)
        return "\n".join(
            textwrap.fill(
                text, max(80, width + 66), initial_indent=f"{name:<{width}}  ", subsequent_indent=" " * (width + 2)
            )
            for name, text in lines.items()
            if text
        )

    def reasons(self) -> dict[str, int]:
        """Return how many rows were left out for each reason, most first."""
        return dict(Counter(self.dropped.values()).most_common())


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Antibodies with a measured property.

    Sequences are brought into normal form (upper case, no outer white space) on construction.

    Parameters
    ----------
    ids
        ``n`` distinct names.
    heavy, light
        ``n`` amino acid sequences of each chain, or of the part of it that is to be embedded; None where a chain was
        not sequenced.
    label
        ``(n,)`` numbers; 0 and 1 for classification. None if nothing was measured.
    groups
        ``n`` names of what should stay together in a split (a study, a donor, a clone); None if there are none.
    chain
        Which chain `sequences` gives; ``paired`` is heavy and light with ``|`` between, which are embedded as a pair;
        ``both`` is one behind the other, as if it were one chain.
    provenance
        Where it comes from; part of the digest.
    measurements
        Further measured values ``(n,)`` by name, NaN where there is none.
    fragment
        Part of the chains that they are already, such as ``"H-CDRs"``; None for whole chains. `cut` fills it in.
    species
        Species whose profiles number the chains, wherever that is done on behalf of these data or of a model that is
        trained on them.

    Raises
    ------
    DatasetError
        If lengths differ, ids repeat, labels are not numbers or are missing, or the chain has no such fragment.
    SequenceError
        If a sequence is not made of amino acids and X.

    Examples
    --------
    >>> data = Dataset(ids=["a", "b"], heavy=["EVQLV", "qvqlq"], label=[0, 1])
    >>> data
    Dataset(2 antibodies, 1 positive)
    >>> data.sequences
    ['EVQLV', 'QVQLQ']
    """

    ids: Sequence[str]
    heavy: Sequence[str | None] | None = None
    light: Sequence[str | None] | None = None
    label: NDArray[np.float64] | Sequence[float] | None = None
    groups: Sequence[str] | None = None
    provenance: Provenance = Provenance("given in Python")
    chain: Chain = "heavy"
    measurements: Mapping[str, NDArray[np.float64] | Sequence[float]] = field(default_factory=dict)
    fragment: str | None = None
    species: tuple[str, ...] = SPECIES

    file: ClassVar[Path | None] = None
    """The file whose i-th row is antibody i; None if there is none."""

    def __post_init__(self) -> None:
        put = object.__setattr__  # frozen for everyone else
        put(self, "species", tuple(self.species))
        Reading(self.chain, self.fragment)  # refuses a chain or fragment that there is not
        put(self, "ids", tuple(str(one) for one in self.ids))
        taken = sorted({"id", "heavy", "light", "label", "groups"} & set(self.measurements))
        if taken:
            raise DatasetError(f"a measurement cannot be named {taken[0]!r}", column=taken[0])
        if self.heavy is None and self.light is None:
            raise DatasetError("a data set needs heavy or light chains")
        put(self, "heavy", _chains(self.heavy, self.ids))
        put(self, "light", _chains(self.light, self.ids))
        put(self, "groups", None if self.groups is None else tuple(str(one) for one in self.groups))
        put(self, "label", None if self.label is None else _numbers(self.label, self.ids))
        put(self, "measurements", {name: _measured(name, values) for name, values in self.measurements.items()})
        columns = {name: getattr(self, name) for name in ("heavy", "light", "label", "groups")} | {**self.measurements}
        for name, column in columns.items():
            if column is not None and len(column) != len(self.ids):
                raise DatasetError(f"{len(self.ids)} ids but {len(column)} values of {name}", column=name)
        if len(set(self.ids)) != len(self.ids):
            row = _first_repeat(self.ids)
            where = self.places([row])[row]
            raise DatasetError(f"the id of {where} was there before; ids must be distinct", row=row, column="id")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        parts = [f"{len(self)} antibodies"]
        if self.label is not None:
            label = np.asarray(self.label)
            binary = np.all((label == 0) | (label == 1))
            parts.append(f"{np.count_nonzero(label)} positive" if binary else "numeric labels")
        if self.groups is not None:
            parts.append(f"{len(set(self.groups))} groups")
        return f"Dataset({', '.join(parts)})"

    def places(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the names of the first ten of some rows in messages: the line of the file that was read, and the id.

        Where no file was read, or this is a part of what was, the number of the antibody from 1 and its index.
        """
        return places(self.file, rows, dict(enumerate(self.ids)))

    def of_file(self, path: Path) -> "Dataset":
        """Return the data, of which row i is the i-th row of a file; messages then name its lines."""
        data = replace(self)
        object.__setattr__(data, "file", path)
        return data

    @property
    def sequences(self) -> list[str]:
        """What is embedded: the sequences of `chain`.

        Raises
        ------
        DatasetError
            If any antibody lacks that chain.
        """
        if self.chain in ("both", "paired"):
            between = "" if self.chain == "both" else BETWEEN
            return [
                one + between + other for one, other in zip(self._every("heavy"), self._every("light"), strict=True)
            ]
        return self._every(self.chain)

    @property
    def identity_sequences(self) -> list[str]:
        """Sequences that identity compares: heavy chains where both chains are read, else `sequences`.

        Two antibodies with the same heavy chain are clonally related, whatever their light chains are. This is the only
        rule for folds by identity, clusters of a test set, near-duplicates and the identity to the training set.
        """
        return self._every("heavy") if self.chain in ("both", "paired") else self.sequences

    def _every(self, chain: str) -> list[str]:
        chains: Sequence[str | None] | None = getattr(self, chain)
        if chains is None:
            raise DatasetError(f"this data set has no {chain} chains", column=chain)
        absent = [i for i, one in enumerate(chains) if one is None]
        if absent:
            raise DatasetError(
                f"{len(absent)} antibodies have no {chain} chain: {listed(self.places(absent).values(), len(absent))}",
                self.file,
                column=chain,
                rows=absent,
            )
        return [one for one in chains if one is not None]

    @property
    def chains(self) -> list[Chains]:
        """Heavy and light chain of each antibody, None where there is none."""
        heavy, light = (chains or [None] * len(self) for chains in (self.heavy, self.light))
        return list(zip(heavy, light, strict=True))

    @property
    def reading(self) -> Reading:
        """Chain, fragment and species by which these antibodies are read."""
        return Reading(self.chain, self.fragment, self.species)

    @property
    def digest(self) -> str:
        """SHA-256 over ids, chains, labels, groups, measurements, chosen chain, fragment, species and provenance."""
        content = {
            "ids": self.ids,
            "heavy": self.heavy,
            "light": self.light,
            "label": None if self.label is None else [repr(float(one)) for one in self.label],
            "groups": self.groups,
            "chain": self.chain,
            "fragment": self.fragment,
            "measurements": {name: [repr(float(one)) for one in values] for name, values in self.measurements.items()},
            "provenance": self.provenance.__dict__,
            **({} if self.species == SPECIES else {"species": self.species}),  # so that earlier digests stay
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def binary_labels(self) -> NDArray[np.int64]:
        """Return the labels ``(n,)`` as 0 and 1.

        Raises
        ------
        DatasetError
            If there are none, if any is neither 0 nor 1, or if all are alike.
        """
        if self.label is None:
            raise DatasetError("this data set has no labels", column="label")
        label = np.asarray(self.label)
        values = np.unique(label)
        if set(values) - {0.0, 1.0}:
            shown = ", ".join(f"{value:g}" for value in values[:5]) + (", ..." if len(values) > 5 else "")
            raise DatasetError(f"a classifier needs the labels 0 and 1, these are {shown}", column="label")
        if len(values) < 2:
            raise DatasetError(f"a classifier needs both classes, every label here is {values[0]:g}", column="label")
        return label.astype(np.int64)

    def continuous_labels(self) -> NDArray[np.float64]:
        """Return the labels ``(n,)`` as numbers of any size.

        Raises
        ------
        DatasetError
            If there are none, or if all are alike.
        """
        if self.label is None:
            raise DatasetError("this data set has no labels", column="label")
        label = np.asarray(self.label)
        if len(np.unique(label)) < 2:
            raise DatasetError(f"every label here is {label[0]:g}, and nothing can be learnt from that", column="label")
        return label

    def subset(self, rows: Iterable[int] | NDArray[Any]) -> "Dataset":
        """Return the antibodies at these indices, or where a boolean mask is true, in that order."""
        chosen = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows))
        kept = np.arange(len(self))[chosen if chosen.size else chosen.astype(np.int64)]

        def pick(column: Sequence[Any] | None) -> list[Any] | None:
            return None if column is None else [column[i] for i in kept]

        return Dataset(
            ids=[self.ids[i] for i in kept],
            heavy=pick(self.heavy),
            light=pick(self.light),
            label=None if self.label is None else np.asarray(self.label)[kept],
            groups=pick(self.groups),
            provenance=self.provenance,
            chain=self.chain,
            measurements={name: np.asarray(values)[kept] for name, values in self.measurements.items()},
            fragment=self.fragment,
            species=self.species,
        )

    def cut(
        self,
        fragment: str,
        *,
        chain: Chain | None = None,
        species: Sequence[str] | None = None,
        drop: bool = False,
    ) -> "Dataset":
        """Return the data with each chain cut to its part of a fragment, by IMGT numbering.

        Parameters
        ----------
        fragment
            ``VH``, ``VL``, ``H-CDR1`` to ``L-CDR3``, ``H-CDRs``, ``L-CDRs``, ``H-FWRs``, ``L-FWRs``, ``VH+VL``,
            ``All-CDRs``, ``All-FWRs``, ``Full`` or ``VHH``; regions are joined in the order of the sequence.
        chain
            ``paired`` keeps both chains of a fragment such as ``All-CDRs`` apart, as a pair, which is the default for
            pairs; ``both`` joins them.
        species
            Species whose profiles the numbering compares with; None is those of the data set, and for VHH human, mouse
            and alpaca. For the loops of nanobodies, give ``numbering.NANOBODY_SPECIES``.
        drop
            Leave antibodies out that have not the whole fragment, with the reason in the provenance, instead of
            refusing.

        Raises
        ------
        DatasetError
            If antibodies have not the whole fragment, from its first residue to its last; the message lists them.

        Examples
        --------
        >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
        >>> Dataset(ids=["trastuzumab"], heavy=[vh + "SRWGGDGFYAMDYWGQGTLVTVSS"]).cut("H-CDR3").sequences
        ['SRWGGDGFYAMDY']
        """
        from antibody_esm.data.fragments import cut

        return cut(self, fragment, chain=chain, species=species, drop=drop)

    def audit(
        self, other: "Dataset | None" = None, *, identities: Sequence[float] = (0.95, 0.9, 0.8), numbering: bool = True
    ) -> "Audit":
        """Return what is wrong with the data, or doubtful; ``print`` shows a table.

        Raises DatasetError if the other data set is of another chain or fragment, which would share nothing by that.

        Parameters
        ----------
        other
            A test set, whose overlap with this one is looked for too.
        identities
            At which sequences are counted as near-duplicates; the largest but one, or the only one, for overlap. They
            compare `identity_sequences`.
        numbering
            Whether to number the chains, to find truncated domains and chains in the wrong column. That takes some 10
            ms a sequence the first time.
        """
        from antibody_esm.data.audit import audit

        return audit(self, other, identities, numbering)

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame with id, heavy, light, label, groups and the measurements, without what is absent.

        `load_dataset` reads it back.
        """
        import pandas as pd

        columns = {"id": self.ids, "heavy": self.heavy, "light": self.light, "label": self.label, "groups": self.groups}
        columns |= {**self.measurements}
        return pd.DataFrame({name: column for name, column in columns.items() if column is not None})


def _chains(chains: Sequence[str | None] | None, ids: Sequence[str]) -> tuple[str | None, ...] | None:
    if chains is None:
        return None
    # A stand-in keeps the row numbers of an error those of the input.
    try:
        normal = normalise("X" if one is None else one for one in chains)
    except SequenceError as error:
        where = places(None, (row.index for row in error.rows), dict(enumerate(ids)), "sequence")
        raise SequenceError(error.rows, error.reasons, where) from None
    return tuple(None if one is None else new for one, new in zip(chains, normal, strict=True))


def _numbers(label: Any, ids: Sequence[str]) -> NDArray[np.float64]:
    try:
        numbers = np.array([np.nan if one is None else float(one) for one in label], np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"labels must be numbers (0 and 1 for classification): {error}", column="label") from error
    absent = np.flatnonzero(np.isnan(numbers)).tolist()
    if absent:
        where = listed(places(None, absent, dict(enumerate(ids))).values(), len(absent))
        raise DatasetError(f"{len(absent)} labels are missing: {where}", column="label", rows=absent)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        where = places(None, [row], dict(enumerate(ids)))[row]
        raise DatasetError(f"the label in {where} is not finite", row=row, column="label")
    numbers.setflags(write=False)
    return numbers


def _measured(name: str, values: Any) -> NDArray[np.float64]:
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"measurements of {name} must be numbers: {error}", column=name) from error
    numbers.setflags(write=False)
    return numbers


def _first_repeat(ids: Sequence[str]) -> int:
    seen: set[str] = set()
    for row, one in enumerate(ids):
        if one in seen:
            return row
        seen.add(one)
    raise AssertionError("no id repeats")
