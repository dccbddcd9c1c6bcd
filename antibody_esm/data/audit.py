"""Checks of labelled antibodies for errors and doubtful rows, before training."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.column_reading import category
from antibody_esm.data.columns import ColumnValues
from antibody_esm.data.identity import cluster, similar_pairs
from antibody_esm.data.reading import Reading
from antibody_esm.errors import DatasetError
from antibody_esm.numbering import best, number
from antibody_esm.sequences import Chain, ModelText

if TYPE_CHECKING:
    import pandas as pd

_DOMAIN = 80
"""Fewest residues of a sequence that is expected to be a complete variable domain."""
_GROUPS = 30
"""Most groups that are listed individually."""
FEWEST = 10
"""Fewest antibodies of a group that is listed or drawn: numbers of fewer are mostly chance."""
_FENCE = 3.0
"""Interquartile ranges beyond the quartiles at which a length is an outlier (Tukey's outer fence)."""


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    """Name of the check."""
    count: int
    """Number of rows, sequences, pairs or groups concerned, as `unit` states."""
    unit: str
    rows: tuple[int, ...] = ()
    """Rows concerned, from 0."""
    detail: str = ""
    serious: bool = False
    """True if scores are wrong or optimistic unless the problem is removed."""

    @property
    def units(self) -> str:
        """The unit, in the singular for one."""
        single = self.unit if self.unit == "class" else self.unit.removesuffix("s")
        return single if self.count == 1 else self.unit


@dataclass(frozen=True)
class Audit:
    """Findings of `Dataset.audit`; ``str()`` is a table of 80 columns.

    Attributes
    ----------
    findings
        One for each check, including checks without a problem.
    overlap
        Pairs of a row of this data set and a row of the other, at or above the requested identity.
    """

    antibodies: int
    findings: tuple[Finding, ...]
    overlap: "pd.DataFrame | None" = field(default=None, repr=False)

    def __getitem__(self, check: str) -> Finding:
        finding_of = {finding.check: finding for finding in self.findings}
        return finding_of[check]

    @property
    def serious(self) -> tuple[Finding, ...]:
        """Findings that make scores wrong or optimistic."""
        return tuple(finding for finding in self.findings if finding.serious and finding.count)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per check: check, count, unit, rows, detail, serious."""
        import pandas as pd

        return pd.DataFrame([finding.__dict__ | {"rows": list(finding.rows)} for finding in self.findings])

    def __str__(self) -> str:
        lines = [f"{self.antibodies:,} {'antibody' if self.antibodies == 1 else 'antibodies'}"]
        for finding in self.findings:
            mark = "!" if finding.serious and finding.count else " "
            text = f"{finding.count:,} {finding.units}" + (
                f": {finding.detail}" if finding.detail and finding.count else ""
            )
            lines += textwrap.wrap(text, 80, initial_indent=f"{mark} {finding.check:<29} ", subsequent_indent=" " * 32)
        if self.serious:
            lines.append("! makes scores wrong or optimistic unless the problem is removed")
        return "\n".join(lines)


class Audited(Protocol):
    """Attributes of a `Dataset` that an audit checks."""

    @property
    def ids(self) -> Sequence[str]: ...  # noqa: D102  see `Dataset`, also below
    @property
    def heavy(self) -> Sequence[str | None] | None: ...  # noqa: D102
    @property
    def light(self) -> Sequence[str | None] | None: ...  # noqa: D102
    @property
    def label(self) -> NDArray[np.float64] | Sequence[float] | None: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, ColumnValues]: ...  # noqa: D102
    @property
    def groups(self) -> Sequence[str] | None: ...  # noqa: D102
    @property
    def chain(self) -> Chain: ...  # noqa: D102
    @property
    def species(self) -> tuple[str, ...]: ...  # noqa: D102
    def __len__(self) -> int: ...
    @property
    def reading(self) -> Reading: ...  # noqa: D102
    @property
    def sequences(self) -> list[str]: ...  # noqa: D102
    @property
    def identity_sequences(self) -> list[str]: ...  # noqa: D102


def audit(data: Audited, other: Audited | None, identities: Sequence[float], numbering: bool) -> Audit:
    """Return the findings on a data set, with its overlap with another; see `Dataset.audit`."""
    if other is not None and not data.reading.same_part(other.reading):
        raise DatasetError(
            f"one data set holds {data.reading} sequences, the other {other.reading} sequences; "
            "overlap requires the same chain and fragment in both"
        )
    sequences = data.sequences
    if not sequences:
        return Audit(0, ())
    findings = [*_repeats(data, sequences), *_near(data, identities)]
    overlap = None
    if other is not None:
        at = sorted(identities, reverse=True)[min(1, len(identities) - 1)] if identities else 1.0
        shared, overlap = _overlap(data, sequences, other, at)
        findings += shared
    findings.append(_unknown(sequences))
    whole = data.reading.whole and np.median([_residues(sequence) for sequence in sequences]) >= _DOMAIN
    if numbering and whole:
        for chain in ("heavy", "light"):
            findings += _numbered(data, chain)
    findings += [_lengths(sequences), *_balance(data)]
    return Audit(len(data), tuple(findings), overlap)


def repeats(sequences: Sequence[str]) -> list[list[int]]:
    """Return the rows of each sequence that occurs more than once."""
    rows_of: dict[str, list[int]] = {}
    for row, sequence in enumerate(sequences):
        rows_of.setdefault(sequence, []).append(row)
    return [rows for rows in rows_of.values() if len(rows) > 1]


def contradictions(
    repeated: Sequence[Sequence[int]], label: NDArray[np.float64], columns: Iterable[ColumnValues]
) -> list[list[int]]:
    """Return the rows of each repeated sequence that have different labels, though equal values of all columns.

    Parameters
    ----------
    repeated
        Rows of each sequence, see `repeats`.
    label
        ``(n,)``.
    columns
        Columns that are read beside the sequences, ``(n,)`` each.
    """
    read = list(columns)
    every = []
    for rows in repeated:
        alike: dict[tuple[str | None, ...], list[int]] = {}
        for row in rows:
            alike.setdefault(tuple(category(values[row]) for values in read), []).append(row)
        unlike = [row for same in alike.values() if len(set(label[same].tolist())) > 1 for row in same]
        every += [unlike] if unlike else []
    return every


class Duplicates(NamedTuple):
    """Rows that repeat the sequence of an earlier row; audit, report and page all have this count."""

    rows: tuple[int, ...]
    sequences: int
    """Number of sequences that occur more than once."""
    contradictory: list[list[int]]
    """Rows of each repeated sequence with different labels, see `contradictions`; empty without labels."""


def duplicates(
    sequences: Sequence[str], label: NDArray[np.float64] | None, columns: Iterable[ColumnValues]
) -> Duplicates:
    """Return the rows that repeat the sequence of an earlier row.

    Parameters
    ----------
    sequences
        ``n`` sequences that are read.
    label
        ``(n,)``; None without labels.
    columns
        Columns that are read beside the sequences, ``(n,)`` each.
    """
    repeated = repeats(sequences)
    further = tuple(row for rows in repeated for row in rows[1:])
    contradictory = [] if label is None else contradictions(repeated, label, columns)
    return Duplicates(further, len(repeated), contradictory)


def _repeats(data: Audited, sequences: list[str]) -> list[Finding]:
    label = None if data.label is None else np.asarray(data.label)
    rows, number, contradictory = duplicates(sequences, label, data.columns.values())
    findings = [
        Finding(
            "exact duplicates",
            len(rows),
            "rows",
            rows,
            f"of {number} sequences that occur more than once",
            serious=True,
        )
    ]
    if label is not None and set(label.tolist()) <= {0.0, 1.0}:
        concerned = tuple(row for rows in contradictory for row in rows)
        findings.append(
            Finding(
                "contradictory labels",
                len(contradictory),
                "sequences",
                concerned,
                f"in {len(concerned)} rows",
                serious=True,
            )
        )
    return findings


def _near(data: Audited, identities: Sequence[float]) -> list[Finding]:
    findings = []
    sequences, of_heavy = data.identity_sequences, _of_heavy(data)
    for threshold in sorted(identities, reverse=True):
        cluster_of = cluster(sequences, threshold)
        sizes = np.bincount(cluster_of)
        together = np.flatnonzero(sizes[cluster_of] > 1)
        findings.append(
            Finding(
                f"near-duplicates at {100 * threshold:g}%",
                len(together),
                "rows",
                tuple(together.tolist()),
                f"in {(sizes > 1).sum()} of {len(sizes)} clusters{of_heavy}, the largest of {sizes.max()}",
            )
        )
    return findings


def _of_heavy(data: Audited) -> str:
    """Return a note that identity compares heavy chains; empty unless both chains are read."""
    return " by heavy chain" if data.chain in ("both", "paired") else ""


def _overlap(
    data: Audited, sequences: list[str], other: Audited, threshold: float
) -> tuple[list[Finding], "pd.DataFrame"]:
    import pandas as pd

    theirs = other.sequences
    both = set(sequences) & set(theirs)
    exact = tuple(row for row, sequence in enumerate(sequences) if sequence in both)
    pairs = similar_pairs(data.identity_sequences, other.identity_sequences, threshold)
    table = pd.DataFrame(
        {
            "id": [data.ids[row] for row in pairs.query.tolist()],
            "other_id": [other.ids[row] for row in pairs.target.tolist()],
            "identity": pairs.identity,
        }
    )
    near = Counter(pairs.target.tolist())
    return [
        Finding("sequences of both sets", len(both), "sequences", exact, serious=True),
        Finding(
            f"pairs of both at {100 * threshold:g}%",
            len(table),
            "pairs",
            tuple(sorted(set(pairs.query.tolist()))),
            f"{len(near)} of the other set's {len(other)} antibodies{_of_heavy(data)}",
            serious=True,
        ),
    ], table


def _unknown(sequences: list[str]) -> Finding:
    rows = tuple(row for row, sequence in enumerate(sequences) if "X" in sequence)
    leading = sum(any(chain.startswith("X") for chain in ModelText.of(sequences[row]).chains) for row in rows)
    return Finding("unknown residues (X)", len(rows), "rows", rows, f"{leading} begin with X")


def _numbered(data: Audited, chain: Literal["heavy", "light"]) -> list[Finding]:
    column = getattr(data, chain)
    chains = {} if column is None else {row: sequence for row, sequence in enumerate(column) if sequence is not None}
    if not chains or data.chain not in (chain, "both", "paired"):
        return []
    wrong: list[int] = []
    absent: list[int] = []
    cut: dict[int, str] = {}
    unlike: list[int] = []
    for row, domains in zip(chains, number(chains.values(), species=data.species), strict=True):
        domain = best(domains, chain)
        if domain is None:
            (wrong if domains else absent).append(row)
        elif domain.problems:
            cut[row] = domain.problems[0]
        elif domain.remarks:
            unlike.append(row)
    kinds = Counter(_kind(problem) for problem in cut.values())
    return [
        Finding(f"no variable domain, {chain}", len(absent), "rows", tuple(absent), serious=True),
        Finding(f"wrong chain, {chain}", len(wrong), "rows", tuple(wrong), serious=True),
        Finding(
            f"doubtful domain, {chain}",
            len(cut),
            "rows",
            tuple(cut),
            "; ".join(f"{count} {kind}" for kind, count in kinds.most_common(4)),
        ),
        Finding(
            f"length unlike germline, {chain}",
            len(unlike),
            "rows",
            tuple(unlike),
            "an insertion, a deletion or grafted loops; Domain.remarks names the region",
        ),
    ]


def _kind(problem: str) -> str:
    """Return the kind of a problem, without details of one antibody."""
    if problem.startswith("begins"):
        return "begin late"
    region, has, _ = problem.partition(" has ")
    return f"{region} of doubtful length" if has else problem


def _lengths(sequences: list[str]) -> Finding:
    lengths = np.array([_residues(sequence) for sequence in sequences])
    low, middle, high = np.percentile(lengths, [25, 50, 75])
    fence = _FENCE * max(high - low, 1)
    rows = tuple(np.flatnonzero((lengths < low - fence) | (lengths > high + fence)).tolist())
    return Finding(
        "unusual lengths", len(rows), "rows", rows, f"median {middle:.0f} residues, {lengths.min()} to {lengths.max()}"
    )


def _residues(text: str) -> int:
    return len(ModelText.of(text).residues)


def _balance(data: Audited) -> list[Finding]:
    label = np.asarray(data.label if data.label is not None else ())
    if not len(label) or not set(label.tolist()) <= {0.0, 1.0}:
        return []
    one_class = len(set(label.tolist())) == 1
    share = f"{label.mean():.0%} of all" + (": one class only" if one_class else "")
    findings = [Finding("positives", int(label.sum()), "rows", (), share)]
    if one_class:
        findings.append(Finding("classes", 1, "class", (), "a classifier cannot be trained", serious=True))
    if data.groups is not None:
        names, group = np.unique(np.array(data.groups), return_inverse=True)
        sizes, positives = np.bincount(group), np.bincount(group, weights=label)
        large = np.flatnonzero(sizes >= FEWEST)
        for number in large[np.argsort(-sizes[large], kind="stable")][:_GROUPS] if len(large) > _GROUPS else large:
            share = f"{positives[number] / sizes[number]:.0%} of {sizes[number]}"
            findings.append(Finding(f"positives in {names[number][:15]}", int(positives[number]), "rows", (), share))
        if len(large) > _GROUPS:
            findings.append(Finding("further groups", len(large) - _GROUPS, "groups"))
        if len(large) < len(names):
            held = f"hold {sizes[sizes < FEWEST].sum()} rows together"
            findings.append(Finding(f"groups of fewer than {FEWEST}", len(names) - len(large), "groups", (), held))
    return findings
