"""The parts of an antibody that users embed by name: domains, loops and frameworks of either chain, or of both."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from antibody_esm.data.dataset import Chain, Dataset
from antibody_esm.errors import DatasetError, listed
from antibody_esm.numbering import CDRS, FRAMEWORKS, NANOBODY_SPECIES, REGIONS, SPECIES, Domain, Region, best, number

_FR4_TO = 125
"""Position that a whole domain reaches: light chains end at 127, and published ones may lack a residue or two."""

_ALL: tuple[Region, ...] = tuple(REGIONS)


class Fragment(NamedTuple):
    """Regions of each chain, in the order of the sequence; none of a chain that is no part of it."""

    heavy: tuple[Region, ...] = ()
    light: tuple[Region, ...] = ()

    @property
    def chain(self) -> Chain:
        """Which chain it is of."""
        return "both" if self.heavy and self.light else "heavy" if self.heavy else "light"


FRAGMENTS = {
    "VH": Fragment(heavy=_ALL),
    "VL": Fragment(light=_ALL),
    "VHH": Fragment(heavy=_ALL),
    **{f"H-{loop}": Fragment(heavy=(loop,)) for loop in CDRS},
    **{f"L-{loop}": Fragment(light=(loop,)) for loop in CDRS},
    "H-CDRs": Fragment(heavy=CDRS),
    "L-CDRs": Fragment(light=CDRS),
    "H-FWRs": Fragment(heavy=FRAMEWORKS),
    "L-FWRs": Fragment(light=FRAMEWORKS),
    "VH+VL": Fragment(heavy=_ALL, light=_ALL),
    "All-CDRs": Fragment(heavy=CDRS, light=CDRS),
    "All-FWRs": Fragment(heavy=FRAMEWORKS, light=FRAMEWORKS),
    "Full": Fragment(heavy=_ALL, light=_ALL),
}
"""Fragments by name. ``VHH`` is a nanobody's ``VH``, whose six fragments are VHH, H-CDR1 to H-CDR3, H-CDRs and H-FWRs;
``Full`` is another name of ``VH+VL``, as elsewhere in this field."""


def cut(
    data: Dataset,
    fragment: str,
    *,
    species: Sequence[str] | None = None,
    drop: bool = False,
    workers: int | None = None,
) -> Dataset:
    """Return the data with each chain cut to its part of a fragment; see `Dataset.cut`."""
    if fragment not in FRAGMENTS:
        raise DatasetError(f"unknown fragment {fragment!r}; choose one of {', '.join(FRAGMENTS)}")
    wanted = FRAGMENTS[fragment]
    species = species or (NANOBODY_SPECIES if fragment == "VHH" else SPECIES)
    parts: dict[str, list[str | None]] = {}
    problems: dict[int, str] = {}
    for chain, regions in (("heavy", wanted.heavy), ("light", wanted.light)):
        if not regions:
            continue
        sequences = getattr(data, chain)
        if sequences is None:
            raise DatasetError(f"{fragment} needs {chain} chains, which this data set has not", column=chain)
        given = [sequence for sequence in sequences if sequence is not None]
        domains = iter(number(given, species=species, workers=workers))
        parts[chain] = []
        for row, sequence in enumerate(sequences):
            domain = None if sequence is None else best(next(domains), "heavy" if chain == "heavy" else "light")
            part = None if domain is None else "".join(domain.region(region) for region in regions)
            parts[chain].append(part or None)
            problem = _problem(sequence, domain, chain, regions)
            if problem:
                problems.setdefault(row, problem)
    if problems and not drop:
        problems = dict(sorted(problems.items()))
        shown = listed(
            [f"{where}: {problems[row]}" for row, where in data.places(problems).items()], len(problems), "; "
        )
        raise DatasetError(
            f"{len(problems)} antibodies have no whole {fragment}: {shown}. They can be left out with drop=True",
            data.file,
            column=wanted.chain,
            rows=problems,
        )
    kept = [row for row in range(len(data)) if row not in problems]
    if not kept:
        raise DatasetError(f"no antibody has a whole {fragment}")
    left = data.subset(kept)
    return replace(
        left,
        heavy=[parts["heavy"][row] for row in kept] if "heavy" in parts else None,
        light=[parts["light"][row] for row in kept] if "light" in parts else None,
        chain=wanted.chain,
        fragment=fragment,
        provenance=replace(
            data.provenance,
            counts=data.provenance.counts | {f"with a whole {fragment}": len(kept)},
            dropped=data.provenance.dropped | {data.ids[row]: problem for row, problem in problems.items()},
        ),
    )


def _problem(sequence: str | None, domain: Domain | None, chain: str, regions: tuple[Region, ...]) -> str | None:
    """Return why a chain has not all of the regions; None if it has."""
    if sequence is None:
        return f"no {chain} chain"
    if domain is None:
        return f"no {chain} variable domain"
    absent = [region for region in regions if not domain.region(region)]
    if absent:
        return f"{chain} {', '.join(absent)} missing"
    if "FR1" in regions and domain.numbers[0] > 2:
        return f"{chain} domain begins at position {domain.numbers[0]}"
    if "CDR3" in regions and domain.numbers[-1] < REGIONS["FR4"][0]:
        return f"{chain} domain ends in CDR3"
    if "FR4" in regions and domain.numbers[-1] < _FR4_TO:
        return f"{chain} domain ends at position {domain.numbers[-1]}"
    return None
