"""Variable domains: residues with their IMGT positions, regions, and doubtful parts."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from antibody_esm.numbering.regions import CDRS, COUNTED, REGIONS, ImgtRegion, germline_lengths, occurs

Engine = Literal["immunum", "anarcism"]
"""Numbering programs."""

_CONSERVED = ((23, "C"), (41, "W"), (104, "C"), (118, "WF"), (119, "G"), (121, "G"))
_COMPLETE = 126
"""Lowest last position of a complete domain."""
_BESIDE: tuple[tuple[ImgtRegion, tuple[ImgtRegion, ...]], ...] = (("CDR1", ("FR1", "FR2")), ("CDR2", ("FR2", "FR3")))
"""Loops of the V gene with their neighbouring frameworks, whose lengths a misplaced residue would change."""


@dataclass(frozen=True)
class Domain:
    """A variable domain in a sequence.

    Examples
    --------
    >>> from antibody_esm.numbering import number
    >>> (trastuzumab,), = number([
    ...     "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    ...     "SRWGGDGFYAMDYWGQGTLVTVSS"
    ... ])
    >>> trastuzumab.chain, trastuzumab.cdr1, trastuzumab.cdr2, trastuzumab.cdr3
    ('H', 'GFNIKDTY', 'IYPTNGYT', 'SRWGGDGFYAMDY')
    >>> trastuzumab.v_gene, trastuzumab.problems
    ('IGHV3-66*01', ())
    """

    chain: Literal["H", "K", "L"]
    start: int
    """Index of the first residue in the sequence, from 0."""
    residues: str
    positions: tuple[str, ...]
    """IMGT position of each residue, insertions by a letter (``"111A"``), in the order of the sequence."""
    filled: int
    """Number of unaligned unknown residues (X) at the beginning, which complete framework 1."""
    score: float | None
    """Bits of anarcism's alignment; None if anarcism did not align the chain."""
    species: str
    """Species of the germline genes."""
    v_gene: str | None
    v_identity: float | None
    """Identity to the V gene, 0 to 1."""
    j_gene: str | None
    j_identity: float | None
    continued: bool = False
    """True if the alignment ended in CDR3 and the domain was continued to the end of a J gene."""
    engine: Engine = "anarcism"
    """Program whose numbering this is."""
    differing: str = ""
    """Loops by the other program if they differ (``"CDR2 ITSDDS"``); empty if they agree, or if it did not run."""
    undecided: bool = False
    """True if the programs differ in a loop, and no rule decides between them."""

    @property
    def end(self) -> int:
        """Index of the first residue after the domain."""
        return self.start + len(self.residues)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """IMGT position of each residue without the letter of an insertion, 1 to 128, in ascending order."""
        return tuple(map(bare, self.positions))

    def span(self, region: ImgtRegion) -> tuple[int, int]:
        """Return the first index of a region in `residues`, and the first index after it."""
        first, last = REGIONS[region]
        return bisect_left(self.numbers, first), bisect_right(self.numbers, last)

    def region(self, region: ImgtRegion) -> str:
        """Return the residues of a region; an empty text if it is missing."""
        begin, end = self.span(region)
        return self.residues[begin:end]

    @property
    def cdr1(self) -> str:
        """Positions 27 to 38."""
        return self.region("CDR1")

    @property
    def cdr2(self) -> str:
        """Positions 56 to 65."""
        return self.region("CDR2")

    @property
    def cdr3(self) -> str:
        """Positions 105 to 117, without the conserved cysteine and tryptophan at its ends."""
        return self.region("CDR3")

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """Descriptions of doubtful parts of the numbering.

        Both ends, the loops and the anchors (cysteines 23 and 104, tryptophan 41, [WF]-G-x-G at 118 to 121) are
        checked, and the lengths of CDR1 and CDR2 are compared with the nearest germline V gene. A length is doubtful if
        a neighbouring framework differs in length too, if no germline V gene has it, or if CDR2, which has no anchor
        nearby, is shorter than the germline's. `remarks` names all other differences.
        """
        first, last = self.numbers[self.filled], self.numbers[-1]
        problems = []
        if first > 2:
            problems.append(f"begins at position {first}")
        if last < REGIONS["FR4"][0]:
            problems.append("no FR4, so that the end of CDR3 is not known")
        elif last < _COMPLETE:
            problems.append(f"ends at position {last}")
        problems += [f"no {name}" for name in CDRS if not self.region(name)]
        problems += self._anchors()
        problems += [text for text, doubtful in self._lengths() if doubtful]
        if self.undecided:
            problems.append(self._disagreement())
        return tuple(problems)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """Descriptions of peculiarities that may be correct.

        They are lengths of regions that differ from the nearest germline V gene, for example after an insertion, a
        deletion or a graft of loops, a CDR3 whose own ``WG`` or ``FG`` had ended the alignment, and loops by the other
        program if they differ and a rule decided.
        """
        remarks = [text for text, doubtful in self._lengths() if not doubtful]
        if self.continued:
            remarks.append(f"the alignment ended in CDR3; it was continued to {self.region('FR4')[:4]} at 118 to 121")
        if self.differing and not self.undecided:
            remarks.append(self._disagreement())
        return tuple(remarks)

    @property
    def is_complete(self) -> bool:
        """True if the domain is aligned from position 1 or 2 to 126 or later."""
        return self.numbers[self.filled] <= 2 and self.numbers[-1] >= _COMPLETE

    @property
    def has_loops(self) -> bool:
        """True if all three loops are there, and hold no X."""
        loops = [self.region(name) for name in CDRS]
        return all(loops) and not any("X" in loop for loop in loops)

    def _disagreement(self) -> str:
        other = "anarcism" if self.engine == "immunum" else "immunum"
        return f"numbered by {self.engine}; {other} has {self.differing}"

    def _anchors(self) -> Iterator[str]:
        """Yield the conserved positions, from the first to the last that is aligned, with another residue or none."""
        residue_at = dict(zip(self.positions, self.residues, strict=True))
        for number, conserved in _CONSERVED:
            residue = residue_at.get(str(number))
            aligned = self.numbers[self.filled] <= number <= self.numbers[-1]
            if aligned and (residue is None or residue not in conserved + "X"):
                yield f"{residue or 'no residue'} at position {number}, where {' or '.join(conserved)} is conserved"

    def _lengths(self) -> Iterator[tuple[str, bool]]:
        """Yield differences in length from the nearest germline V gene, and whether they are doubtful."""
        germline = germline_lengths(self.species, self.v_gene)
        first, last = self.numbers[self.filled], self.numbers[-1]
        if germline is None:
            return
        length = {
            region: bisect_right(self.numbers, end) - bisect_left(self.numbers, begin)
            for region, (begin, end) in COUNTED.items()
            if first < begin and end < last
        }
        differing = [region for region in length if length[region] != germline[region]]
        named: set[ImgtRegion] = set()
        for loop, beside in _BESIDE:
            if loop not in differing or not length[loop]:
                continue
            shifted = [region for region in beside if region in differing]
            unusual = not occurs(self.chain, loop, length[loop])
            shorter = loop == "CDR2" and length[loop] < germline[loop]
            named |= {loop, *shifted}
            yield self._difference([loop, *shifted], length, germline), bool(shifted) or unusual or shorter
        for region in differing:
            if length[region] and region not in named:
                yield self._difference([region], length, germline), False

    def _difference(
        self, regions: Sequence[ImgtRegion], length: dict[ImgtRegion, int], germline: dict[ImgtRegion, int]
    ) -> str:
        named = [f"{region}{' from position 11 on' * (region == 'FR1')}" for region in regions]
        counts = [f"{length[region]} residue{'s' * (length[region] != 1)}" for region in regions[:1]]
        counts += [str(length[region]) for region in regions[1:]]
        ours = " and ".join(f"{name} has {count}" for name, count in zip(named, counts, strict=True))
        return f"{ours}, the germline {self.v_gene} has {' and '.join(str(germline[region]) for region in regions)}"


def fill(sequence: str, start: int, position: int, chain: str) -> list[str]:
    """Return the IMGT positions of the unknown residues (X) before the first aligned one, up to position 1.

    Parameters
    ----------
    start, position
        Index and IMGT position of the first aligned residue.
    chain
        H, K or L.
    """
    positions: list[str] = []
    while start > 0 and position > 1 and sequence[start - 1] == "X":
        position -= 1
        if not (position == 10 and chain == "H"):  # heavy chains have a gap there
            start -= 1
            positions.insert(0, str(position))
    return positions


@cache
def bare(position: str) -> int:
    """Return a position without the letter of an insertion."""
    return int(position.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def best(domains: Sequence[Domain], chain: Literal["heavy", "light"] | None = None) -> Domain | None:
    """Return the domain with the highest score, of one kind of chain or of both; None if there is none.

    Domains are those of one sequence. A domain without a score is the only one of its sequence.
    """
    wanted = {"heavy": ("H",), "light": ("K", "L"), None: ("H", "K", "L")}[chain]
    return max(
        (domain for domain in domains if domain.chain in wanted), key=lambda domain: domain.score or 0.0, default=None
    )
