"""Variable domains by alignment to the consensus sequences of immunum, each with the reason to doubt it.

immunum aligns thirty times as many chains a second as anarcism, and knows no species. Its domain is beyond doubt if it
is the only one of the chain, is complete with all anchors, scores well, and has the lengths of its nearest germline V
gene, which must belong to the chosen species.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from string import ascii_uppercase
from typing import TYPE_CHECKING, NamedTuple

from antibody_esm.numbering.domain import Domain, fill
from antibody_esm.numbering.genes import COMPARED, Genes, gene, nearest_genes

if TYPE_CHECKING:
    from immunum import Annotator, NumberingResult

_LEAST_CONFIDENCE = 0.65
_LEAST_IDENTITY = 0.6
"""Least identity to a germline V gene; those of T-cell receptors have less."""
_FR3_END = re.compile("[YF][YFH]C")
_END = 20
"""Residues at each end; if one of them is unknown, residues of a primer or another frame may follow it."""
_LAST = {"H": 128, "K": 127, "L": 127}
"""Last position of a complete domain."""
_LEFT = 40
"""Most residues at one side of a domain that are too few for another one."""
_OTHER = 0.35
"""Least score of residues that may be of another domain. Constant domains of 1,325 reads have at most 0.2, and parts of
variable domains that anarcism recognises at least 0.57."""


def name() -> str:
    """Return the name and version of the program."""
    return f"immunum {version('immunum')}"


class Alignment(NamedTuple):
    """Domains of a sequence by immunum."""

    domains: tuple[Domain, ...]
    doubt: str
    """Reason why they may be wrong; an empty text if there is none."""
    slight: bool = False
    """True if the domain has no problem, so that agreement with one profile of anarcism removes the doubt."""


def aligned(sequence: str, species: Sequence[str]) -> Alignment:
    """Return the domains of a sequence, with germline genes of these species."""
    results = _annotator().number_domains(sequence.lstrip("X"))
    if results[0].error is not None:
        return Alignment((), "no domain")
    domains, genes = zip(*[_domain(sequence, result, species) for result in results], strict=True)
    if len(domains) > 1:
        return Alignment(domains, f"{len(domains)} domains")
    doubt = _doubt(sequence, domains[0], genes[0])
    slight = "" if doubt else _slight_doubt(sequence, domains[0], genes[0], results[0].confidence or 0.0)
    return Alignment(domains, doubt or slight, bool(slight))


def _doubt(sequence: str, domain: Domain, genes: Genes | None) -> str:
    begin, end = domain.start + domain.filled, domain.end
    if any(len(rest) > _LEFT and _may_hold_another(rest) for rest in (sequence[:begin], sequence[end:])):
        return "another domain may lie beside it"
    if end < len(sequence) and domain.numbers[-1] != _LAST[domain.chain]:
        return f"ends at position {domain.numbers[-1]}, with residues behind it"
    if genes is None or genes.v_identity < _LEAST_IDENTITY:
        return "no germline V gene is near"
    if not genes.nearest:
        return "a V gene of another species or chain is nearer"
    return next(iter(domain.problems), "")


def _slight_doubt(sequence: str, domain: Domain, genes: Genes | None, confidence: float) -> str:
    begin, end = domain.start + domain.filled, domain.end
    if "X" in sequence[begin : begin + _END] + sequence[end - _END :]:
        return "unknown residues at its ends"
    if sequence[: domain.start].strip("X") and not _begins_like_its_gene(domain):
        return "residues before it, which may be taken for its first"
    if _FR3_END.search(domain.cdr3):
        return "the end of framework 3 is in CDR3 once more"
    if genes is not None and genes.unlike:
        return f"position {genes.unlike} is in the domain or in {genes.v_gene}, and not in both"
    return next(iter(domain.remarks), "a low score" if confidence < _LEAST_CONFIDENCE else "")


def _may_hold_another(residues: str) -> bool:
    return _annotator(_OTHER).number_domains(residues)[0].error is None


def _begins_like_its_gene(domain: Domain) -> bool:
    first, residues = gene(domain.species, domain.v_gene), domain.residues
    return domain.positions[:3] == ("1", "2", "3") and first is not None and residues[:3] == first[:3]


def _domain(sequence: str, result: "NumberingResult", species: Sequence[str]) -> tuple[Domain, Genes | None]:
    """Return the domain, and its nearest germline genes."""
    before, chain = len(sequence) - len(sequence.lstrip("X")), result.chain or "H"
    first, end = before + (result.query_start or 0), before + (result.query_end or 0) + 1
    aligned = tuple(result.numbering or ())
    unknown = fill(sequence, first, int(aligned[0].rstrip(ascii_uppercase)), chain)
    positions, residues = (*unknown, *aligned), sequence[first - len(unknown) : end]
    genes = nearest_genes(chain, positions, residues, [name for name in species if name in COMPARED])
    return Domain(
        chain=chain,  # type: ignore[arg-type]  # of those that were allowed
        start=first - len(unknown),
        residues=residues,
        positions=positions,
        filled=len(unknown),
        score=None,
        species=genes.species if genes else "",
        v_gene=genes.v_gene if genes else None,
        v_identity=genes.v_identity if genes else None,
        j_gene=genes.j_gene if genes else None,
        j_identity=genes.j_identity if genes else None,
        engine="immunum",
    ), genes


@cache
def _annotator(least: float | None = None) -> "Annotator":
    from immunum import Annotator

    return Annotator(["H", "K", "L"], "imgt", least)
