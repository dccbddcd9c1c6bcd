"""Columns of a table by role: as passed, by default, by the layout, or the only one with a usual name."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from antibody_esm.data.cells import is_missing_chain
from antibody_esm.data.layouts import PLAIN, Columns, Layout, Role
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import ALPHABET, Chain, is_nucleic

_CHAIN: tuple[str, ...] = (
    "",
    "chain",
    "sequence",
    "seq",
    "aa",
    "chainsequence",
    "chainseq",
    "chainaa",
    "sequenceaa",
    "aasequence",
)
_CHAIN += ("proteinsequence", "protein", "domain", "variable", "variabledomain", "variableregion", "fv", "fvsequence")
USUAL: Mapping[Role, frozenset[str]] = {
    "id": frozenset({
        *("id", "name", "antibody", "antibodyname", "antibodyid", "ab", "abname", "abid", "mab", "mabname", "mabid"),
        *("nanobody", "nanobodyname", "therapeutic", "molecule", "moleculename", "moleculeid", "variant"),
        *("variantname", "sequenceid", "sequencename", "seqid", "seqname", "identifier", "entry", "clonename"),
    }),
    "heavy": frozenset({
        *(f"{chain}{ending}" for chain in ("heavy", "vh", "hc") for ending in _CHAIN),
        *(f"h{ending}" for ending in _CHAIN if ending),
        *(f"{chain}{ending}" for chain in ("vhh", "nanobody") for ending in ("", "sequence", "seq", "aa")),
        *("sequenceheavy", "sequencealignmentaaheavy", "variableheavy", "fvheavy", "aaheavy"),
    } - {"nanobody"}),
    "light": frozenset({
        *(f"{chain}{ending}" for chain in ("light", "vl", "lc", "vk") for ending in _CHAIN),
        *(f"l{ending}" for ending in _CHAIN if ending),
        *("sequencelight", "sequencealignmentaalight", "variablelight", "fvlight", "aalight"),
    }),
    "label": frozenset({
        *("label", "labels", "target", "targets", "targetvalue", "y", "class", "fitness"),
        *("polyreactive", "polyreactivity", "polyspecific", "polyspecificity", "nonspecific", "nonspecificity"),
    }),
    "sequence": frozenset({"sequence", "sequenceaa", "aasequence", "proteinsequence", "aminoacidsequence", "seq"}),
}  # fmt: skip
"""Usual names of columns in small letters and digits, by role."""
_PARTNERS: tuple[tuple[Role, Role], ...] = (("heavy", "light"), ("light", "heavy"))
_SAMPLE = 100
"""Most cells by which a column is judged."""
_LONG = 20
"""Fewest letters of a chain by which a column of chains is recognised."""


@dataclass(frozen=True)
class Recognised:
    """Columns of a table by role."""

    layout: Layout
    columns: Columns
    """Names as passed, or recognised; None for a default name."""
    sequence: str | None = None
    """Column of chains of either kind that has no default name."""
    recognised: Mapping[Role, str] = field(default_factory=dict)
    """Columns that were not passed and have no default name, by role."""
    unclear: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    """Columns of which each may have a role that no column has."""

    def read_as(self, chain: Chain | None, names: Iterable[object]) -> Columns:
        """Return the columns for a model that reads a chain; None reads every chain there is.

        Raises
        ------
        DatasetError
            If several columns may hold it, or if the rows of the layout hold one chain and the model reads pairs.
        """
        there, columns = set(names), self.columns
        for name in ("heavy", "light") if chain in ("both", "paired") else (chain,) if chain else ():
            if getattr(columns, name) is not None or name in there:
                continue
            self.refuse_unclear(name)
            if self.sequence is not None and chain == name:
                columns = columns._replace(**{name: self.sequence})
            elif self.layout.one_chain_a_row and chain != name:
                raise DatasetError(
                    f"a row of {self.layout.title} has one chain, and pairs are read; pass a table with the two chains "
                    "of an antibody in a row, or read chain='heavy' or 'light'"
                )
        return columns

    def chains(self, names: Iterable[object]) -> list[str]:
        """Return the columns of heavy and light chains that a table with these columns has."""
        both = (self.columns.heavy or "heavy", self.columns.light or "light")
        return [name for name in both if name in set(names)]

    def several(self) -> str:
        """Return the part of a message that lists columns of which each may hold chains; empty if there is none."""
        names = next((names for role, names in self.unclear.items() if role not in ("id", "label")), ())
        return f"name one of {' and '.join(map(repr, names))}" if names else ""

    def are_labels(self, frame: Any, *, gaps: bool) -> bool:
        """Return True if no column of labels was recognised, or if its cells are numbers or, with `gaps`, missing."""
        name = self.recognised.get("label")
        return name is None or all(_is_number(cell) or (gaps and is_missing_chain(cell)) for cell in frame[name])

    def with_chain(self, name: Literal["heavy", "light"], column: str) -> "Recognised":
        """Return the columns with one for a chain instead of that of chains of either kind."""
        others: dict[Role, str] = {role: name for role, name in self.recognised.items() if role != "sequence"}
        columns = self.columns._replace(**{name: column})
        return replace(self, columns=columns, sequence=None, recognised={**others, name: column})

    def refuse_unclear(self, role: Role) -> None:
        """Raise a DatasetError if several columns may have a role that is needed."""
        if role in self.unclear:
            several = " and ".join(map(repr, self.unclear[role]))
            what = "labels" if role == "label" else f"{role} chains"
            raise DatasetError(f"{several} may each hold the {what}; name one of them with {role}=")

    def as_before(self, names: Iterable[object], chain: Chain | None) -> "Recognised":
        """Return the columns without those that are not needed to read a data set.

        A table that is read by default names, or by names as passed, keeps its digest: the chain beside the one that is
        read is not recognised, nor are ids if nothing else was.
        """
        there = set(names)
        for mine, other in _PARTNERS:
            named = mine not in self.recognised and (mine in there or getattr(self.columns, mine) is not None)
            if named and other in self.recognised and chain in (None, mine):
                return self.without(other).as_before(names, chain)
        default = self.columns._replace(id=None, layout=None) == Columns() and self.layout is PLAIN
        return self.without("id") if default and set(self.recognised) == {"id"} else self

    def without(self, role: Role) -> "Recognised":
        """Return the columns without one that was recognised."""
        others = {other: name for other, name in self.recognised.items() if other != role}
        return replace(self, columns=self.columns._replace(**{role: None}), recognised=others)

    def to_dict(self) -> dict[str, str]:
        """Return the recognised columns by role, and the layout; empty if none was recognised."""
        layout = {} if self.layout is PLAIN or not self.recognised else {"layout": self.layout.name}
        return {str(role): name for role, name in self.recognised.items()} | layout

    def __str__(self) -> str:
        columns = [f"{role} from {name!r}" for role, name in self.recognised.items()]
        columns += [f"no {role}, as {' and '.join(map(repr, names))} fit" for role, names in self.unclear.items()]
        return "; ".join(([] if self.layout is PLAIN else [f"layout {self.layout.title}"]) + columns)


def plain_name(name: object) -> str:
    """Return the letters and digits of a column's name, in small letters.

    Examples
    --------
    >>> plain_name("VH protein_sequence"), plain_name("#ID")
    ('vhproteinsequence', 'id')
    """
    return re.sub(r"[\W_]", "", str(name).casefold())


def candidates(frame: Any, role: Role) -> list[str]:
    """Return the columns of a table whose name and first cells fit a role."""
    named = [name for name in frame.columns if isinstance(name, str) and plain_name(name) in USUAL[role]]
    return [name for name in named if frame[name].ndim == 1 and _fits(frame[name].iloc[:_SAMPLE], role)]


def may_be_labels(frame: Any, name: str) -> bool:
    """Return True if most of the first cells of a column are numbers."""
    return frame[name].ndim == 1 and _fits(frame[name].iloc[:_SAMPLE], "label")


def _fits(cells: Iterable[Any], role: Role) -> bool:
    """Return True if the first cells of a column are chains or numbers, as their role needs."""
    present = [cell for cell in cells if not is_missing_chain(cell)]
    if role == "id":
        return not any(map(_is_chain, present))
    good = list(map(_is_number if role == "label" else _is_chain, present))
    return bool(good) and (sum(good) * 2 > len(good))


def _is_chain(cell: Any) -> bool:
    if not isinstance(cell, str):
        return False
    letters = re.sub(r"[\s.*|-]", "", cell).upper()
    return len(letters) >= _LONG and set(letters) <= set(ALPHABET) and not is_nucleic(letters)


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str) and cell.strip().lower() in ("true", "false"):
        return True
    try:
        return math.isfinite(float(cell))
    except (TypeError, ValueError):
        return False


def recognise(frame: Any, columns: Columns, layout: Layout, *, labelled: bool = False) -> Recognised:
    """Return the columns of a table that hold ids, chains and labels.

    A name that was passed is taken; else the default name if there is such a column; else that of the layout; else
    the only column with a usual name whose first cells are such values. Columns that are recognised are never those
    of another role.

    Parameters
    ----------
    frame
        The table, or its first rows.
    columns
        Names as passed.
    layout
        See `layout_of`.
    labelled
        True if labels are read too.
    """
    chosen: dict[Role, str] = {}
    unclear: dict[Role, tuple[str, ...]] = {}
    taken = {name for name in columns[:4] if name is not None}
    roles: Sequence[Role] = ("heavy", "light", "sequence", "id", *(("label",) if labelled else ()))
    for role in roles:
        of_layout = layout.columns.get(role)
        if getattr(columns, role, None) is not None or (role in frame.columns and of_layout in (None, role)):
            continue
        if role in frame.columns and role != "sequence":
            continue
        if of_layout in frame.columns:
            fitting = [str(of_layout)]
        elif role == "sequence" and {"heavy", "light"} & (chosen.keys() | set(frame.columns) | _passed(columns)):
            continue
        else:
            fitting = [name for name in candidates(frame, role) if name not in taken]
        if len(fitting) == 1:
            chosen[role] = fitting[0]
            taken.add(fitting[0])
        elif fitting:
            unclear[role] = tuple(fitting)
    names = {role: name for role, name in chosen.items() if role != "sequence"}
    return Recognised(layout, columns._replace(**names), chosen.get("sequence"), chosen, unclear)


def _passed(columns: Columns) -> set[str]:
    return {name for name in ("heavy", "light") if getattr(columns, name) is not None}
