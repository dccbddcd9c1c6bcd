"""Labelled antibodies and their origin."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.audit import Audit, audit
from antibody_esm.data.columns import (
    ColumnValues,
    check_alike,
    check_index,
    first_repeat,
    normal_chains,
    normal_column,
    normal_labels,
    normal_measurement,
    plain,
)
from antibody_esm.data.grades import between_classes, grade_of
from antibody_esm.data.label_rules import RuledLabels
from antibody_esm.data.labels import Labelled
from antibody_esm.data.parts import FRAGMENTS, unknown_fragment
from antibody_esm.data.provenance import Provenance
from antibody_esm.data.reading import Reading, Texts
from antibody_esm.data.recipes import Reproducible, stepped
from antibody_esm.data.selection import Selectable
from antibody_esm.data.summary import Summarised
from antibody_esm.errors import DatasetError
from antibody_esm.numbering import NANOBODY_SPECIES, SPECIES
from antibody_esm.sequences import Chain
from antibody_esm.spelling import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "Provenance"]

_IN_PYTHON = Provenance("given in Python")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Selectable, Summarised, Labelled, Reproducible):
    """Antibodies with a measured property.

    The constructor brings sequences into normal form (upper case, no outer white space).

    Parameters
    ----------
    ids
        ``n`` distinct names.
    heavy, light
        ``n`` amino acid sequences of each chain, or of the part to embed; None for a chain that was not sequenced.
    label
        ``(n,)`` numbers; 0 and 1 for classification. None if nothing was measured.
    groups
        ``n`` names of groups that a split keeps together (a study, a donor, a clone); None if there are none.
    chain
        Chain that `sequences` returns. ``paired`` is heavy and light with ``|`` between, which are embedded as a pair;
        ``both`` concatenates heavy and light, and embeds them as one chain.
    provenance
        Origin of the data; part of the digest. With other labels than those that its rule defines, it has no rule.
    measurements
        Further measured values ``(n,)`` by name; NaN is a missing value.
    fragment
        Part of the chains that the sequences already are, such as ``"H-CDRs"``; None for whole chains. `cut` sets it.
    species
        Species whose profiles number the chains of these data, and of antibodies that a model trained on them reads.
    targets
        Names of measurements that are labels, each with its own missing values; ``label`` is then None, and `target`
        returns the antibodies with one of them as the label.
    label_name
        Name of the measured property, such as ``"HIC"``. Like `directions`, it is no part of the digest.
    directions
        True by name of a label for which high values are better, False for which low values are. The names of known
        assays (`antibody_esm.data.assays`) need none.
    columns
        Columns that a model reads beside the sequences, ``(n,)`` by name: numbers, in which NaN is a missing value, or
        text, in which None is. A column with any text is text.

    Raises
    ------
    DatasetError
        If lengths differ, ids repeat, labels are missing or not numbers, or the chain has no such fragment; if a target
        or the grade is no measurement, or there is a label beside targets.
    SequenceError
        If a sequence is not made of amino acids and X.

    Examples
    --------
    >>> data = Dataset(ids=["a", "b"], heavy=["EVQLV", "qvqlq"], label=[0, 1])
    >>> data
    Dataset(2 antibodies, 1 positive)
    >>> data.sequences
    ['EVQLV', 'QVQLQ']
    >>> data[0].heavy, data[:1], [antibody.id for antibody in data]
    ('EVQLV', Dataset(1 antibodies, 0 positive), ['a', 'b'])
    """

    ids: Sequence[str]
    heavy: Sequence[str | None] | None = None
    light: Sequence[str | None] | None = None
    label: NDArray[np.float64] | Sequence[float] | None = None
    groups: Sequence[str] | None = None
    provenance: Provenance = _IN_PYTHON
    chain: Chain = "heavy"
    measurements: Mapping[str, NDArray[np.float64] | Sequence[float]] = field(default_factory=dict)
    fragment: str | None = None
    species: tuple[str, ...] = SPECIES

    targets: tuple[str, ...] = field(default=(), kw_only=True)
    label_name: str | None = field(default=None, kw_only=True)
    directions: Mapping[str, bool] = field(default_factory=dict, kw_only=True)
    columns: Mapping[str, ColumnValues] = field(default_factory=dict, kw_only=True)
    groups_name: str | None = field(default=None, kw_only=True)
    """Name of the groups, such as that of their column; no part of the digest. None if they have none."""
    file: Path | None = field(default=None, kw_only=True)
    """The file whose i-th row is antibody i; None if there is none."""
    not_kept: tuple[str, ...] = field(default=(), kw_only=True)
    """Names of the table's columns of text that were not read."""
    grade: str | None = field(default=None, kw_only=True)
    """Measurement of which the labels are a coarse form, such as the number of ligands that an antibody binds. It
    follows from the files in the provenance, and is not part of the digest. Other labels have no grade."""
    ungraded: "Dataset | None" = field(default=None, kw_only=True)
    """Antibodies between the classes: they have the grade, and no label. No model is trained on them. None if the
    labels have no grade."""
    graded: RuledLabels | None = field(default=None, kw_only=True)
    """Labels that `grade` is the grade of, which the data set sets."""

    def __post_init__(self) -> None:
        put = object.__setattr__  # frozen for everyone else
        check_alike({**self.__dict__, **self.measurements, **self.columns})
        put(self, "species", tuple(self.species))
        Reading(self.chain, self.fragment)  # raises an error if the chain or fragment does not exist
        put(self, "ids", tuple(str(name) for name in self.ids))
        self.check_names()
        if self.heavy is None and self.light is None:
            raise DatasetError("a data set needs heavy or light chains")
        put(self, "heavy", normal_chains(self.heavy, self.ids))
        put(self, "light", normal_chains(self.light, self.ids))
        put(self, "groups", None if self.groups is None else tuple(str(name) for name in self.groups))
        label = None if self.label is None else normal_labels(self.label, self.ids)
        put(self, "label", label)
        put(self, "provenance", self.provenance.of_labels(self.ids, label))
        put(
            self, "measurements", {name: normal_measurement(name, values) for name, values in self.measurements.items()}
        )
        put(self, "columns", {str(name): normal_column(values) for name, values in self.columns.items()})
        put(self, "targets", tuple(self.targets))
        put(self, "directions", dict(self.directions))
        self.check_targets()
        every = {name: getattr(self, name) for name in ("heavy", "light", "label", "groups")}
        for name, column in (every | {**self.measurements} | {**self.columns}).items():
            if column is not None and len(column) != len(self.ids):
                raise DatasetError(f"{len(self.ids)} ids but {len(column)} values of {name}", column=name)
        if len(set(self.ids)) != len(self.ids):
            row = first_repeat(self.ids)
            where = self.places([row])[row]
            raise DatasetError(
                f"the id of {where} occurs in an earlier row; ids must be distinct", row=row, column="id"
            )
        grade, labels = grade_of(self.grade, self.graded, self.measurements, self.ids, label)
        put(self, "grade", grade)
        put(self, "graded", labels)
        put(self, "ungraded", between_classes(self, self.ungraded))

    @property
    def digest(self) -> str:
        """SHA-256 over ids, chains, labels, groups, measurements, columns, chain, fragment, species and provenance.

        Names of targets count; the name of a single label and the side that is better do not, nor do `grade` and
        `ungraded`.
        """
        return _sha256(self._content | {"provenance": self.provenance.to_dict()})

    @property
    def content_digest(self) -> str:
        """SHA-256 over the same without provenance: equal for a DataFrame and for the file that holds its table."""
        return _sha256(self._content)

    @property
    def _content(self) -> dict[str, Any]:
        return {
            "ids": self.ids,
            "heavy": self.heavy,
            "light": self.light,
            "label": None if self.label is None else [repr(float(value)) for value in self.label],
            "groups": self.groups,
            "chain": self.chain,
            "fragment": self.fragment,
            "measurements": {
                name: [repr(float(value)) for value in values]
                for name, values in self.measurements.items()
                if name != self.grade
            },
            # Only if they differ from the default, so that earlier digests stay.
            **({} if self.species == SPECIES else {"species": self.species}),
            **({"columns": {name: plain(values) for name, values in self.columns.items()}} if self.columns else {}),
            **({"targets": self.targets} if self.targets else {}),
        }

    def target(self, name: str) -> "Dataset":
        """Return the antibodies that have one of the labels in `targets`, as a data set with this label.

        Antibodies without it are left out; the provenance counts and names them. Other measurements stay.

        Raises
        ------
        DatasetError
            If the label is not in `targets`, or no antibody has it.

        Examples
        --------
        >>> measured = {"HIC": [9.1, None, 11.2], "Tm2": [70.0, 81.5, None]}
        >>> data = Dataset(["a", "b", "c"], ["EVQLV", "QVQLQ", "QVQLV"], measurements=measured, targets=("HIC", "Tm2"))
        >>> data.target("HIC").ids, data.target("HIC").provenance.dropped
        (('a', 'c'), {'b': 'no HIC'})
        """
        if name not in self.targets:
            names = f"the labels are {', '.join(self.targets)}" if self.targets else "this data set has no targets"
            raise DatasetError(f"no label {name!r}; {names}{did_you_mean(name, self.targets)}", self.file, column=name)
        measurements = dict(self.measurements)
        values = measurements.pop(name)
        directions = {other: side for other, side in self.directions.items() if other == name}
        plain = replace(self, targets=(), measurements=measurements, directions=directions, grade=None)
        return stepped(self, plain.with_label(name, values), "target", name)

    def with_label(self, name: str, values: "NDArray[np.float64] | Sequence[float] | pd.Series[Any]") -> "Dataset":
        """Return the antibodies that have a value, with these values as their label of this name; see `target`.

        With other labels than before, the data have neither the rule nor the grade of the labels before.

        Parameters
        ----------
        name
            Name of the measured property.
        values
            ``(n,)``; NaN is a missing value. The index of a Series must be 0, 1, 2 ... or the ids.
        """
        check_index(values, self.ids, f"values of {name}")
        numbers = np.array(values, np.float64)
        measured = ~np.isnan(numbers)
        if not measured.any():
            raise DatasetError(f"no antibody has a {name}: every value is missing", self.file, column=name)
        grade = None if self.label is None else self.grade  # of other labels, which the constructor finds
        if measured.all():
            return replace(self, label=numbers, label_name=name, grade=grade)
        dropped = {self.ids[row]: f"no {name}" for row in np.flatnonzero(~measured).tolist()}
        provenance = replace(
            self.provenance,
            counts=self.provenance.counts | {f"with {name}": int(measured.sum())},
            dropped=self.provenance.dropped | dropped,
        )
        kept = self.subset(measured)
        return replace(kept, label=numbers[measured], label_name=name, provenance=provenance, grade=grade)

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
            ``paired`` keeps the two chains of a fragment such as ``All-CDRs`` apart, as a pair; ``both`` concatenates
            them. The default for pairs is ``paired``.
        species
            Species whose profiles the numbering compares with. None is those of the data set; for VHH, it is human,
            mouse and alpaca. For the loops of nanobodies, pass ``numbering.NANOBODY_SPECIES``.
        drop
            Leave out antibodies without the complete fragment, and record the reasons in the provenance, instead of
            raising an error.

        Raises
        ------
        DatasetError
            If antibodies lack a part of the fragment, from its first residue to its last; the message lists them.

        Examples
        --------
        >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
        >>> Dataset(ids=["trastuzumab"], heavy=[vh + "SRWGGDGFYAMDYWGQGTLVTVSS"]).cut("H-CDR3").sequences
        ['SRWGGDGFYAMDY']
        """
        if fragment not in FRAGMENTS:
            raise unknown_fragment(fragment)
        whole = FRAGMENTS[fragment].chain
        reading = Reading(
            chain or ("paired" if whole == "both" and self.chain == "paired" else whole),
            fragment,
            species=tuple(species or (NANOBODY_SPECIES if fragment == "VHH" else self.species)),
        )
        for name in reading.chains:
            if getattr(self, name) is None:
                raise DatasetError(f"{fragment} needs {name} chains; this data set has none", self.file, column=name)
        texts = reading.read(self.chains)
        if not drop:
            hint = ". drop=True leaves these antibodies out"
            self.refuse(texts, f"have no whole {fragment}", hint, column=reading.chain)
        return stepped(self, self.as_read(reading, texts), "cut", fragment, chain=chain, species=species, drop=drop)

    def as_read(self, reading: Reading, texts: Texts) -> "Dataset":
        """Return the rows that are not refused; their chains are the texts.

        Raises
        ------
        DatasetError
            If every row is refused.
        """
        if not texts.rows:
            self.refuse(texts, f"have no whole {reading.fragment or reading.chain}")
        if not texts.reasons and (self.chain, self.fragment) == (reading.chain, reading.fragment):
            return self  # already that part
        parts = [parts for parts in texts.parts if parts is not None]
        chains = dict(zip(reading.chains, map(list, zip(*parts, strict=True)), strict=True))
        counts = {} if reading.fragment is None else {f"with a whole {reading.fragment}": len(parts)}
        dropped = {self.ids[row]: reason for row, reason in texts.reasons.items()}
        return replace(
            self.subset(texts.rows),
            heavy=chains.get("heavy"),
            light=chains.get("light"),
            chain=reading.chain,
            fragment=reading.fragment,
            species=reading.species,
            ungraded=self._ungraded_as_read(reading),
            provenance=replace(
                self.provenance,
                counts=self.provenance.counts | counts,
                dropped=self.provenance.dropped | dropped,
            ),
        )

    def _ungraded_as_read(self, reading: Reading) -> "Dataset | None":
        if self.ungraded is None:
            return None
        cut = reading.chain != self.chain
        texts = reading.read(self.ungraded.chains) if cut else self.ungraded.read_by(reading)
        return self.ungraded.as_read(reading, texts) if texts.rows else None

    def audit(
        self,
        other: "Dataset | None" = None,
        *,
        identities: Sequence[float] = (0.95, 0.9, 0.8),
        numbering: bool = True,
        label: "NDArray[np.float64] | Sequence[float] | None" = None,
        every_chain: bool = False,
    ) -> Audit:
        """Return errors and doubtful rows of the data; ``print`` shows a table.

        Raises DatasetError if the other data set is of another chain or fragment, so that no overlap can be computed.

        Parameters
        ----------
        other
            A test set; its overlap with this data set is computed too.
        identities
            Thresholds of identity for near-duplicates. The second largest, or the only one, is the threshold for
            overlap. Identity compares `identity_sequences`.
        numbering
            True numbers the chains, about 10 ms each, to detect truncated domains and chains in the wrong column.
        label
            ``(n,)`` labels that are checked, in which NaN is a missing value; None takes those of the data.
        every_chain
            True also checks the chains that the data hold and do not read, but not for duplicates.
        """
        return audit(self, other, identities, numbering, label, every_chain)

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame: id, and heavy, light, label, groups, measurements and columns that have values.

        `load_dataset` reads it back, if it is called with the same `chain`, with ``part=`` the fragment, and with the
        names of `columns`. Columns of text are categories of pandas.
        """
        import pandas as pd

        columns: dict[str, Any] = {"id": self.ids, "heavy": self.heavy, "light": self.light, "label": self.label}
        columns |= {"groups": self.groups, **self.measurements}
        columns |= {
            name: pd.Categorical(values) if isinstance(values, tuple) else values
            for name, values in self.columns.items()
        }
        return pd.DataFrame({name: column for name, column in columns.items() if column is not None})


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
