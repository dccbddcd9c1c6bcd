"""Numbering schemes of Kabat, Chothia, Martin and AHo, which immunum derives from IMGT positions.

Each scheme defines its own CDRs: Chothia doi:10.1006/jmbi.1997.1354, Martin doi:10.1016/j.molimm.2008.05.022, AHo
doi:10.1006/jmbi.2001.4662.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from antibody_esm.choices import Scheme
from antibody_esm.numbering.domain import Domain, bare
from antibody_esm.numbering.regions import ImgtRegion
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from immunum import Annotator


@dataclass(frozen=True)
class SchemeDomain:
    """A variable domain in another scheme.

    Examples
    --------
    >>> from antibody_esm.numbering import number
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> (trastuzumab,), = number([vh + "SRWGGDGFYAMDYWGQGTLVTVSS"], scheme="kabat")
    >>> trastuzumab.cdr1, trastuzumab.cdr2, trastuzumab.cdr3
    ('DTYIH', 'RIYPTNGYTRYADSVKG', 'WGGDGFYAMDY')
    >>> trastuzumab.positions[51:54]
    ('52', '52A', '53')
    """

    domain: Domain
    """The domain with its IMGT positions, genes, problems and remarks."""
    scheme: Scheme
    positions: tuple[str, ...] | Unknown
    """Position of each residue, insertions by a letter; Unknown if immunum cannot reproduce the IMGT positions."""

    def region(self, region: ImgtRegion) -> str:
        """Return the residues of a region by the definition of this scheme; an empty text if it is missing."""
        if isinstance(self.positions, Unknown):
            return ""
        first, last = _regions(self.scheme, self.domain.chain)[region.lower()]
        pairs = zip(self.positions, self.domain.residues, strict=True)
        return "".join(residue for position, residue in pairs if first <= bare(position) <= last)

    @property
    def cdr1(self) -> str:
        """First loop."""
        return self.region("CDR1")

    @property
    def cdr2(self) -> str:
        """Second loop."""
        return self.region("CDR2")

    @property
    def cdr3(self) -> str:
        """Third loop."""
        return self.region("CDR3")


def in_scheme(domain: Domain, scheme: Scheme) -> SchemeDomain:
    """Return a domain in another scheme.

    immunum derives all schemes from its own IMGT alignment. If that is not the domain's, the positions are Unknown.
    """
    if _positions(domain, "imgt") != domain.positions:
        return SchemeDomain(domain, scheme, Unknown("immunum, which knows the scheme, aligns this domain differently"))
    return SchemeDomain(domain, scheme, _positions(domain, scheme))


def _positions(domain: Domain, scheme: Scheme) -> tuple[str, ...]:
    return tuple(_annotator(domain.chain, scheme).number(domain.residues).numbering or ())


@cache
def _annotator(chain: str, scheme: Scheme) -> "Annotator":
    from immunum import Annotator

    return Annotator([chain], scheme, 0.0)


@cache
def _regions(scheme: Scheme, chain: str) -> dict[str, tuple[int, int]]:
    from immunum import regions_for

    return regions_for(scheme, chain)
