"""Checks of labelled antibodies for errors and doubtful rows, before training."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import ColumnValues
from antibody_esm.data.duplicates import duplicates
from antibody_esm.data.identity import cluster, similar_pairs
from antibody_esm.data.parts import chains_read
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


def audit(
    data: Audited,
    other: Audited | None,
    identities: Sequence[float],
    numbering: bool,
    labels: Sequence[float] | NDArray[np.float64] | None = None,
    every_chain: bool = False,
) -> Audit:
    """Return the findings on a data set, with its overlap with another; see `Dataset.audit`."""
    labels = data.label if labels is None else labels
    label = None if labels is None else np.asarray(labels, np.float64)
    if other is not None and not data.reading.same_part(other.reading):
        raise DatasetError(
            f"one data set holds {data.reading} sequences, the other {other.reading} sequences; "
            "overlap requires the same chain and fragment in both"
        )
    sequences = data.sequences
    if not sequences:
        return Audit(0, ())
    findings = [*_missing_labels(label), *_repeats(data, sequences, label), *_near(data, identities)]
    overlap = None
    if other is not None:
        at = sorted(identities, reverse=True)[min(1, len(identities) - 1)] if identities else 1.0
        shared, overlap = _overlap(data, sequences, other, at)
        findings += shared
    others = _other_chains(data) if every_chain else {}
    findings += [_unknown(sequences), *(_unknown(texts, name) for name, texts in others.items())]
    whole = data.reading.whole and np.median([_residues(sequence) for sequence in sequences]) >= _DOMAIN
    if numbering and whole:
        for chain in chains_read("both" if every_chain else data.chain):
            findings += _numbered(data, chain)
    findings += [_lengths(sequences), *(_lengths(texts, name) for name, texts in others.items())]
    findings += _balance(data, label)
    return Audit(len(data), tuple(findings), overlap)


def _are_classes(label: NDArray[np.float64]) -> bool:
    """Return True if every label that is there is 0 or 1."""
    return set(label[~np.isnan(label)].tolist()) <= {0.0, 1.0}


def _missing_labels(label: NDArray[np.float64] | None) -> list[Finding]:
    rows = () if label is None else tuple(np.flatnonzero(np.isnan(label)).tolist())
    return [Finding("no label", len(rows), "rows", rows, "checks of labels leave them out")] if rows else []


def _other_chains(data: Audited) -> dict[str, dict[int, str]]:
    """Return the sequences by row of each chain that the data hold and do not read."""
    columns = {name: getattr(data, name) for name in ("heavy", "light") if name not in chains_read(data.chain)}
    every = {name: _present(column) for name, column in columns.items()}
    return {name: texts for name, texts in every.items() if texts}


def _present(column: Sequence[str | None] | None) -> dict[int, str]:
    return {row: sequence for row, sequence in enumerate(column or ()) if sequence is not None}


def _repeats(data: Audited, sequences: list[str], label: NDArray[np.float64] | None) -> list[Finding]:
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
    if label is not None and _are_classes(label):
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


def _unknown(sequences: list[str] | dict[int, str], chain: str = "") -> Finding:
    texts = sequences if isinstance(sequences, dict) else dict(enumerate(sequences))
    rows = tuple(row for row, sequence in texts.items() if "X" in sequence)
    leading = sum(any(part.startswith("X") for part in ModelText.of(texts[row]).chains) for row in rows)
    check = f"unknown residues (X), {chain}" if chain else "unknown residues (X)"
    return Finding(check, len(rows), "rows", rows, f"{leading} begin with X")


def _numbered(data: Audited, chain: Literal["heavy", "light"]) -> list[Finding]:
    chains = _present(getattr(data, chain))
    if not chains:
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


def _lengths(sequences: list[str] | dict[int, str], chain: str = "") -> Finding:
    texts = sequences if isinstance(sequences, dict) else dict(enumerate(sequences))
    lengths = np.array([_residues(sequence) for sequence in texts.values()])
    low, middle, high = np.percentile(lengths, [25, 50, 75])
    fence = _FENCE * max(high - low, 1)
    rows = tuple(np.array(list(texts))[(lengths < low - fence) | (lengths > high + fence)].tolist())
    check = f"unusual lengths, {chain}" if chain else "unusual lengths"
    return Finding(check, len(rows), "rows", rows, f"median {middle:.0f} residues, {lengths.min()} to {lengths.max()}")


def _residues(text: str) -> int:
    return len(ModelText.of(text).residues)


def _balance(data: Audited, labels: NDArray[np.float64] | None) -> list[Finding]:
    rows = np.flatnonzero(~np.isnan(labels)) if labels is not None else np.empty(0, np.int64)
    label = np.empty(0) if labels is None else labels[rows]
    if not len(label) or not _are_classes(label):
        return []
    one_class = len(set(label.tolist())) == 1
    share = f"{label.mean():.0%} of all" + (": one class only" if one_class else "")
    findings = [Finding("positives", int(label.sum()), "rows", (), share)]
    if one_class:
        findings.append(Finding("classes", 1, "class", (), "a classifier cannot be trained", serious=True))
    if data.groups is not None:
        names, group = np.unique(np.array(data.groups)[rows], return_inverse=True)
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
