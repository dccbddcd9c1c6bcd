"""Continuation of domains whose alignment ended in CDR3, although framework 4 follows.

A long CDR3 that contains ``WG`` (D genes with ``DFWG``) can end the alignment there. The rule: search the following
residues for [WF]-G-x-G and the end of a J gene, T-x-[VL]-T-V-S-[SA] in heavy and T-x-[VL]-x-[IVL]-[KL] in light chains.
One residue of that end may differ, and the read may stop after the third. Then align again without the middle of the
longer CDR3. If framework 4 now begins at the same place, it is accepted, and CDR3 is numbered by IMGT's rule.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

from antibody_esm.numbering.domain import Domain
from antibody_esm.numbering.regions import REGIONS

_Chain = Literal["H", "K", "L"]
_J_END = {
    "H": (*("WF", "G", "", "G"), *("T", "", "VL", "T", "V", "S", "SA")),
    "K": (*("WF", "G", "", "G"), *("T", "", "VL", "", "IVL", "KL")),
    "L": (*("WF", "G", "", "G"), *("T", "", "VL", "", "IVL", "KL")),
}
"""Residues of framework 4 by chain; an empty text allows all."""
_LEAST = 7
"""Fewest residues of framework 4."""
_LONGEST = 60
"""Most residues of a CDR3."""
_KEPT = 5
"""Residues at each end of a CDR3 that are kept when it is aligned again."""


def continued(sequence: str, domain: Domain, until: int, align: Callable[[str, _Chain], tuple[Domain, ...]]) -> Domain:
    """Return a domain that ended in CDR3 with its whole CDR3 and framework 4, or unchanged if none follow.

    Parameters
    ----------
    until
        Index of the first residue that belongs to another domain.
    align
        Function that returns the domains of a sequence, aligned to the profiles of one chain.
    """
    if domain.numbers[-1] >= REGIONS["FR4"][0] or "104" not in domain.positions:
        return domain
    behind_v = domain.positions.index("104") + 1
    loop_at = domain.start + behind_v
    for end in _ends_of_loop(sequence, domain, loop_at, until):
        loop = sequence[loop_at:end]
        short = loop if len(loop) <= 2 * _KEPT else loop[:_KEPT] + loop[-_KEPT:]
        framework_4 = sequence[end : min(until, end + len(_J_END[domain.chain]))]
        v_part = domain.residues[domain.filled : behind_v]
        anew = align(v_part + short + framework_4, domain.chain)
        if len(anew) == 1 and anew[0].cdr3 == short and anew[0].region("FR4"):
            begin, last = anew[0].span("FR4")
            return replace(
                domain,
                residues=domain.residues[:behind_v] + loop + anew[0].residues[begin:last],
                positions=domain.positions[:behind_v] + loop_positions(len(loop)) + anew[0].positions[begin:last],
                score=anew[0].score,
                j_gene=anew[0].j_gene,
                j_identity=anew[0].j_identity,
                continued=True,
            )
    return domain


def loop_positions(length: int) -> tuple[str, ...]:
    """Return the IMGT positions of a CDR3 of this length: gaps and insertions are at its top.

    Examples
    --------
    >>> loop_positions(5), loop_positions(16)[6:10]
    (('105', '106', '107', '116', '117'), ('111', '111A', '112B', '112A'))
    """
    first, last = REGIONS["CDR3"]
    extra = max(0, length - (last - first + 1))
    left = 7 if extra else (length + 1) // 2
    right = 6 if extra else length // 2
    before = [str(first + place) for place in range(left)]
    before += [f"111{_letter(place)}" for place in range(extra // 2)]
    after = [f"112{_letter(place)}" for place in reversed(range(extra - extra // 2))]
    return (*before, *after, *(str(last - right + 1 + place) for place in range(right)))


def _ends_of_loop(sequence: str, domain: Domain, loop_at: int, until: int) -> Iterator[int]:
    """Yield the index of each residue behind the alignment's end that may be position 118."""
    pattern = _J_END[domain.chain]
    for end in range(domain.end, min(until - _LEAST, loop_at + _LONGEST) + 1):
        residues = sequence[end : min(until, end + len(pattern))]
        agrees = [not allowed or residue in allowed for residue, allowed in zip(residues, pattern, strict=False)]
        read_ends = end + len(residues) == len(sequence)
        if all(agrees[:4]) and sum(agrees) >= len(agrees) - 1 and (read_ends or len(residues) == len(pattern)):
            yield end


def _letter(place: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[place]
