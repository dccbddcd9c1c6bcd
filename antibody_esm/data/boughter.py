"""Antibodies of Boughter et al. 2020, from the DNA of six studies, with the number of ligands that each bound.

Ligands are those of a polyreactivity ELISA (DNA, insulin, lipopolysaccharide and others; four to seven, depending on
the study). Two studies are published with Y (two or more) and N only. For mouse IgA, another file of the same authors
lists loops with counts, from which the counts are recovered. The other study, HIV of ``plos``, has no counts.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np

from antibody_esm.data.boughter_records import MANY, STUDIES, PublishedAntibody, provenance, read_records
from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.downloads import RawFile, fetch
from antibody_esm.data.predecessor import predecessor
from antibody_esm.data.translation import variable_domains
from antibody_esm.errors import DatasetError
from antibody_esm.numbering import Domain

Labels = Literal["graded", "count", "predecessor"]
Counted = tuple[PublishedAntibody, Domain, Domain, int]
"""An antibody, its variable domains, and its number of ligands."""
_GRADE = "ligands"


def boughter(labels: Labels = "graded") -> Dataset:
    """Return the antibodies with labels of one kind.

    Parameters
    ----------
    labels
        ``graded``: 0 for no ligand, 1 for four or more, the others left out. ``count``: the number of ligands.
        ``predecessor``: the 914 rows that this package's predecessor trained on, with its labels; for two studies
        these labels break its own rule.

    Returns
    -------
    Heavy and light variable domains; `groups` is the family of the study (influenza, HIV, mouse). The number of ligands
    is the measurement ``ligands``; `ungraded` are the antibodies with one to three.
    """
    if labels == "predecessor":
        return predecessor()
    if labels not in ("graded", "count"):
        raise DatasetError(f"unknown labels {labels!r} of 'boughter'; choose one of graded, count, predecessor")
    records, files = read_records()
    pairs = list(
        zip(*(variable_domains([getattr(record, c) for record in records]) for c in ("heavy", "light")), strict=True)
    )
    pairs = [_in_order(*pair) for pair in pairs]
    aims = fetch("boughter/aims/mouse_IgA.dat")
    files.append(aims)
    mice = MouseCounts(aims, (pair for record, pair in zip(records, pairs, strict=True) if record.study == "mouse"))

    counts: dict[str, int] = {"antibodies": len(records)}
    dropped: dict[str, str] = {}
    kept: list[Counted] = []
    others: list[Counted] = []
    for record, (heavy, light) in zip(records, pairs, strict=True):
        ligands = ligands_of(record, heavy, light, mice)
        reason = _unusable(heavy, "heavy") or _unusable(light, "light")
        if reason is None and isinstance(ligands, str):
            reason = ligands
        if reason is not None or heavy is None or light is None or isinstance(ligands, str):
            dropped[record.id] = reason or ""
        elif labels == "graded" and 0 < ligands < MANY:
            dropped[record.id] = f"1 to {MANY - 1} ligands"
            others.append((record, heavy, light, ligands))
        else:
            kept.append((record, heavy, light, ligands))
    reasons = Counter(dropped.values())
    between = reasons[f"1 to {MANY - 1} ligands"]
    ungraded = sum(count for reason, count in reasons.items() if reason in _UNGRADED)
    counts["with both variable domains whole"] = len(kept) + between + ungraded
    counts["with a number of ligands"] = len(kept) + between
    rule = "number of ligands bound"
    if labels == "graded":
        counts |= {
            "no ligand": sum(not ligands for *_, ligands in kept),
            f"{MANY} ligands or more": sum(ligands >= MANY for *_, ligands in kept),
        }
        rule = f"0: binds no ligand of the panel, 1: binds {MANY} or more; 1 to {MANY - 1} are left out"
    origin = provenance(
        f"{rule}. Mouse antibodies: counted by their loops in mouse_IgA.dat, and only where that agrees with the "
        "published Y (two or more) or N, and fits one antibody",
        files,
        counts,
        dropped,
    )
    data = _of_counted(kept, origin)
    if labels == "count":
        return replace(data, label=data.measurements[_GRADE], label_name=_GRADE)
    label = (np.asarray(data.measurements[_GRADE]) >= MANY).astype(np.float64)
    return replace(data, label=label, label_name="polyreactivity", ungraded=_of_counted(others, origin))


def _of_counted(rows: "list[Counted]", origin: Provenance) -> Dataset:
    """Return antibodies with their number of ligands."""
    return Dataset(
        ids=[record.id for record, *_ in rows],
        heavy=[heavy.residues for _, heavy, *_ in rows],
        light=[light.residues for _, _, light, _ in rows],
        groups=[STUDIES[record.study].family for record, *_ in rows],
        groups_name="study",
        measurements={_GRADE: [ligands for *_, ligands in rows]},
        grade=_GRADE,
        provenance=origin,
    )


_UNGRADED = (
    "published as Y or N only",
    "loops without a count",
    "loops of several antibodies, of which one was counted",
    "the count contradicts the published Y or N",
)


class MouseCounts:
    """Ligands of the mouse antibodies, recovered by their loops.

    The pair of CDR-H3 and CDR-L3 identifies a row. The other four loops must agree too, because some antibodies share
    only the third loops with a counted antibody. Their ends are ignored, since the file and IMGT cut them differently.
    A row that fits several different antibodies is not used.
    """

    def __init__(self, file: RawFile, antibodies: Iterable[tuple[Domain | None, Domain | None]]) -> None:
        self._rows: dict[tuple[str, str], tuple[list[str], int]] = {}
        for row, line in enumerate(file.path.read_text(encoding="ascii").splitlines()):
            *loops, count = line.split()
            if len(loops) != 6:
                values = len(loops) + 1
                raise DatasetError(
                    f"line {row + 1}: six loops and a count are expected, there are {values} values", file.path, row
                )
            l1, l2, l3, h1, h2, h3 = loops
            key = (_without_anchors(h3), _without_anchors(l3))
            if key in self._rows:
                raise DatasetError(f"line {row + 1}: these loops are on an earlier line", file.path, row)
            self._rows[key] = [l1, l2, h1, h2], int(float(count))
        different = {
            (heavy.cdr3, light.cdr3, heavy.residues, light.residues)
            for heavy, light in antibodies
            if heavy is not None and light is not None and self._row(heavy, light) is not None
        }
        self._fits = Counter((h3, l3) for h3, l3, *_ in different)

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, heavy: Domain | None, light: Domain | None) -> int | str:
        """Return the number of ligands, or the reason why there is none."""
        count = None if heavy is None or light is None else self._row(heavy, light)
        if heavy is None or light is None or count is None:
            return _UNGRADED[1]
        return count if self._fits[heavy.cdr3, light.cdr3] == 1 else _UNGRADED[2]

    def _row(self, heavy: Domain, light: Domain) -> int | None:
        loops, count = self._rows.get((heavy.cdr3, light.cdr3), ([], 0))
        mine = (light.cdr1, light.cdr2, heavy.cdr1, heavy.cdr2)
        if not loops or not all(loop in other or other in loop for loop, other in zip(mine, loops, strict=True)):
            return None
        return count


def ligands_of(record: PublishedAntibody, heavy: Domain | None, light: Domain | None, mice: MouseCounts) -> int | str:
    """Return the number of ligands, or the reason why there is none."""
    if record.label.isdigit():
        return int(record.label)
    if record.study != "mouse":
        return _UNGRADED[0]
    count = mice.of(heavy, light)
    return count if isinstance(count, str) or (count >= 2) == (record.label == "Y") else _UNGRADED[3]


def _without_anchors(loop: str) -> str:
    """Return a third loop from position 105 to 117, without the next residue and without a leading cysteine."""
    return re.sub("^[A-Z]?C(?=[A-Z]{4})", "", loop[:-1])


def _in_order(heavy: Domain | None, light: Domain | None) -> tuple[Domain | None, Domain | None]:
    """Return the heavy and the light domain; in two influenza records the files are swapped."""
    if heavy is not None and light is not None and heavy.chain != "H" and light.chain == "H":
        return light, heavy
    return heavy, light


def _unusable(domain: Domain | None, chain: str) -> str | None:
    if domain is None:
        return f"no {chain} variable domain"
    if (domain.chain == "H") != (chain == "heavy"):
        return f"another chain where the {chain} one should be"
    if not domain.is_complete:
        return f"{chain} variable domain not whole"
    return None if domain.has_loops else f"{chain} loop missing, or with X"
