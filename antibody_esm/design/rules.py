"""Rules of a panel applied to a variable domain."""

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from antibody_esm.design.motifs import Motif
from antibody_esm.design.panel import (
    SEVERITIES,
    ChargeRule,
    ConservedRule,
    CysteineRule,
    LengthRule,
    LiabilityPanel,
    LiabilityRule,
    MotifRule,
    PatchRule,
    Severity,
    severity_at,
)
from antibody_esm.numbering import REGIONS, Domain, ImgtRegion
from antibody_esm.numbering.germline import germline_of

_REGION_AT: dict[int, ImgtRegion] = {
    number: region for region, (first, last) in REGIONS.items() for number in range(first, last + 1)
}


class Liability(NamedTuple):
    """A liability of a domain."""

    motif: str
    """Residues that are the liability, or a length or charge in words."""
    kind: str
    index: int  # type: ignore[assignment]  # the word for it hides tuple.index, which nobody needs
    """Residue of the chain, from 0."""
    position: str
    region: ImgtRegion
    severity: Severity
    germline: bool | None
    """True if the germline gene has it at the same positions too; None if that is not known."""
    source: str


class _Match(NamedTuple):
    """Residue at which a rule applies."""

    index: int  # type: ignore[assignment]  # the word for it hides tuple.index, which nobody needs
    motif: str
    germline: bool | None
    severity: Severity


class NumberedChain:
    """A chain and one of its variable domains."""

    def __init__(self, chain: str, domain: Domain) -> None:
        self.chain, self.domain = chain, domain

    @cached_property
    def germline(self) -> tuple[str | None, ...]:
        """Germline residue at each residue of the domain."""
        return germline_of(self.domain)

    def index_of(self, position: str) -> int | None:
        """Return the index in the chain of an IMGT position; None if no residue has it."""
        return self._indices.get(position)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {position: self.domain.start + i for i, position in enumerate(self.domain.positions)}

    def position(self, index: int) -> str:
        """Return the IMGT position of a residue of the domain."""
        return self.domain.positions[index - self.domain.start]

    def region(self, index: int) -> ImgtRegion:
        """Return the region of a residue of the domain."""
        return _REGION_AT[self.domain.numbers[index - self.domain.start]]

    def severity(self, severity: dict[str, Severity], index: int) -> Severity:
        """Return the severity at a residue of the domain."""
        return severity_at(severity, self.position(index), self.region(index))

    def own(self, first: int, length: int, has: Callable[[list[str]], bool]) -> bool | None:
        """Return whether the germline residues at some residues have a property; None if some are not known."""
        residues = self.germline_residues(first, length)
        return None if residues is None else has(residues)

    def germline_residues(self, first: int, length: int) -> list[str] | None:
        """Return the germline residues at some residues; None if some are not known."""
        begin = first - self.domain.start
        residues = [residue for residue in self.germline[begin : begin + length] if residue is not None]
        return residues if len(residues) == length else None


class LiabilitySearch:
    """A panel made ready: its motifs are compiled once."""

    def __init__(self, panel: LiabilityPanel) -> None:
        self._rules = [(rule, Motif(rule.motif) if isinstance(rule, MotifRule) else None) for rule in panel.rules]

    def liabilities(self, chain: str, domain: Domain) -> list[Liability]:
        """Return the liabilities of a domain of a chain, in the order of the chain, then of the panel.

        Of rules of one kind that apply at one residue, the most severe is taken, and of these the first.
        """
        numbered = NumberedChain(chain, domain)
        letter = "H" if domain.chain == "H" else "L"
        worst: dict[tuple[int, str], tuple[_Match, str]] = {}
        for rule, motif in self._rules:
            if letter in rule.chains:
                for match in _matches(rule, motif, numbered):
                    if match.severity == "none":
                        continue
                    before = worst.get((match.index, rule.kind))
                    if before is None or _rank(before[0].severity) < _rank(match.severity):
                        worst[match.index, rule.kind] = match, rule.source
        return [
            Liability(
                match.motif,
                kind,
                index,
                numbered.position(index),
                numbered.region(index),
                match.severity,
                match.germline,
                source,
            )
            for (index, kind), (match, source) in sorted(worst.items(), key=lambda item: item[0][0])
        ]


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def _matches(rule: LiabilityRule, motif: Motif | None, numbered: NumberedChain) -> Iterator[_Match]:
    if isinstance(rule, MotifRule):
        assert motif is not None  # noqa: S101  every rule of motifs has its own
        return _motif(rule, motif, numbered)
    functions: dict[type, Callable[[Any, NumberedChain], Iterator[_Match]]] = {
        CysteineRule: _cysteines,
        ConservedRule: _conserved,
        LengthRule: _length,
        ChargeRule: _charge,
        PatchRule: _patches,
    }
    return functions[type(rule)](rule, numbered)


def _motif(rule: MotifRule, motif: Motif, numbered: NumberedChain) -> Iterator[_Match]:
    """Give the places of a motif whose modified residue is in the domain; the motif may end behind it."""
    domain = numbered.domain
    for start in motif.starts(numbered.chain):
        index = start + rule.at - 1
        if not domain.start <= index < domain.end:
            continue
        severity = numbered.severity(rule.severity, index)
        if severity != "none":
            germline = numbered.own(start, len(motif), motif.matches) if start >= domain.start else None
            yield _Match(index, numbered.chain[start : start + len(motif)], germline, severity)


def _cysteines(rule: CysteineRule, numbered: NumberedChain) -> Iterator[_Match]:
    domain = numbered.domain
    others = [
        domain.start + i
        for i, (residue, position) in enumerate(zip(domain.residues, domain.positions, strict=True))
        if residue == "C" and position not in rule.paired
    ]
    severity = rule.odd if len(others) % 2 else rule.even
    for index in others:
        germline = numbered.own(index, 1, lambda residues: residues == ["C"])
        yield _Match(index, "C", germline, numbered.severity(severity, index))


def _conserved(rule: ConservedRule, numbered: NumberedChain) -> Iterator[_Match]:
    for position, allowed in rule.residues.items():
        index = numbered.index_of(position)
        if index is not None and numbered.chain[index] not in allowed + "X":
            own = numbered.germline_residues(index, 1)
            germline = None if own is None else own[0] not in allowed
            yield _Match(index, numbered.chain[index], germline, numbered.severity(rule.severity, index))


def _length(rule: LengthRule, numbered: NumberedChain) -> Iterator[_Match]:
    begin, end = numbered.domain.span(rule.region)
    if begin < end < len(numbered.domain.residues) and not rule.fewest <= end - begin <= rule.most:
        text = f"{rule.region} of {end - begin} residues"
        yield _Match(numbered.domain.start + begin, text, None, rule.severity)


def _charge(rule: ChargeRule, numbered: NumberedChain) -> Iterator[_Match]:
    residues = "".join(numbered.domain.region(region) for region in rule.regions)
    charge = sum(map(residues.count, "KR")) - sum(map(residues.count, "DE"))
    first = next((numbered.domain.span(region)[0] for region in rule.regions if numbered.domain.region(region)), None)
    if first is not None and not rule.lowest <= charge <= rule.highest:
        yield _Match(numbered.domain.start + first, f"net charge {charge:+d}", None, rule.severity)


def _patches(rule: PatchRule, numbered: NumberedChain) -> Iterator[_Match]:
    domain = numbered.domain
    kind = [residue in rule.residues for residue in domain.residues]
    for region in REGIONS:
        begin, end = domain.span(region)
        starts = range(begin, end - rule.window + 1)
        covered = sorted(
            {
                i
                for start in starts
                if sum(kind[start : start + rule.window]) >= rule.least
                for i in range(start, start + rule.window)
            }
        )
        for _, run in groupby(enumerate(covered), key=lambda item: item[1] - item[0]):
            places = [i for _, i in run if kind[i]]
            first, last = domain.start + places[0], domain.start + places[-1]
            residues = numbered.chain[first : last + 1]
            own = numbered.germline_residues(first, len(residues))
            germline = None if own is None else "".join(own) == residues
            yield _Match(first, residues, germline, numbered.severity(rule.severity, first))
