"""Where each residue of an antibody stands: chain, IMGT position, region."""

from collections.abc import Sequence
from dataclasses import dataclass

from antibody_esm.numbering import REGIONS, number
from antibody_esm.sequences import BETWEEN


@dataclass(frozen=True)
class Place:
    """A residue of an antibody.

    Attributes
    ----------
    index
        Of the sequence as it is embedded, from 0; in a pair, of ``heavy|light``.
    residue
        One letter.
    chain
        ``H`` or ``L``; empty where no variable domain is recognised.
    position
        IMGT position, as ``111A``; empty outside of a domain.
    region
        ``FR1`` to ``FR4``, ``CDR1`` to ``CDR3``; empty outside of a domain.
    """

    index: int
    residue: str
    chain: str = ""
    position: str = ""
    region: str = ""

    @property
    def name(self) -> str:
        """The IMGT position, or the index where there is none."""
        return self.position or str(self.index)


def places(sequence: str) -> list[Place]:
    """Return the residues of a sequence, or of a pair with ``|`` between, in order.

    Examples
    --------
    >>> [one.name for one in places("EVQ")]
    ['0', '1', '2']
    """
    found: list[Place] = []
    start = 0
    chains = sequence.split(BETWEEN)
    for residues, domains in zip(chains, number(chains), strict=True):
        here = [Place(start + i, residue) for i, residue in enumerate(residues)]
        for domain in domains:
            for i, (position, numbered) in enumerate(zip(domain.positions, domain.numbers, strict=True), domain.start):
                region = next(name for name, (first, last) in REGIONS.items() if first <= numbered <= last)
                chain = "H" if domain.chain == "H" else "L"
                here[i] = Place(start + i, residues[i], chain, position, region)
        found += here
        start += len(residues) + 1
    return found


def select(known: Sequence[Place], chosen: Sequence[str]) -> set[int]:
    """Return the indices of chosen residues.

    Parameters
    ----------
    known
        What `places` returns.
    chosen
        IMGT positions (``111A``), ranges of them (``27-38``, with insertions), regions (``CDR3``), ``CDRs``,
        ``frameworks``; each may begin with the chain: ``H:CDR3``, ``L:50``.

    Raises
    ------
    ValueError
        If one of them is no residue of this antibody.
    """
    found: set[int] = set()
    for text in chosen:
        chain, _, what = text.rpartition(":")
        here = {one.index for one in known if chain in ("", one.chain) and _is(one, what)}
        if not here:
            raise ValueError(
                f"{text!r} is no residue of this antibody; name IMGT positions (111A, 27-38), CDR1 to CDR3, "
                "FR1 to FR4, CDRs or frameworks, with H: or L: before them for one chain"
            )
        found |= here
    return found


def _is(place: Place, what: str) -> bool:
    if what in ("CDRs", "frameworks"):
        return place.region.startswith("CDR" if what == "CDRs" else "FR")
    first, _, last = what.partition("-")
    if last and first.isdigit() and last.isdigit():
        at = place.position.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return at.isdigit() and int(first) <= int(at) <= int(last)
    return what != "" and what in (place.position, place.region)
