"""Places of residues by IMGT numbering, and the residues that a name selects."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from antibody_esm.choices import Engines
from antibody_esm.data.parts import part_of
from antibody_esm.data.reading import Reading
from antibody_esm.numbering import CDRS, FRAMEWORKS, REGIONS, SPECIES, best, number
from antibody_esm.sequences import ModelText

_SETS: dict[str, tuple[str, ...]] = {
    **{name.lower(): (name,) for name in REGIONS},
    "cdrs": CDRS,
    "frameworks": FRAMEWORKS,
}
_NAME = re.compile(r"(?:(?P<chain>[hl])[:-])?(?:(?P<set>[a-z]+\d?)|(?P<first>\d+[a-z]?)(?:-(?P<last>\d+))?)")


class Site(NamedTuple):
    """A residue of an antibody and its place."""

    chain: str
    """``H`` or ``L``; empty if it is unknown."""
    index: int  # type: ignore[assignment]  # the word for it hides tuple.index, which nobody needs
    """Index of the residue in its chain, from 0."""
    position: str
    """Position by IMGT numbering, insertions with a letter; empty outside of variable domains."""
    region: str
    """``FR1`` to ``FR4``, ``CDR1`` to ``CDR3``; empty outside of variable domains."""
    residue: str
    place: int
    """Index of the residue in the text of the antibody, from 0."""
    domain: int
    """Number of its variable domain, from 0; -1 outside of domains."""


def sites(text: str, species: Sequence[str] = SPECIES, engines: Engines = "auto") -> list[Site]:
    """Return the sites of a sequence or pair in normal form, in order, numbered as by `number`."""
    read = ModelText.of(text)
    every, domains_before = [], 0
    for side, start, chain, domains in zip(
        "HL" if read.is_pair else " ",
        read.starts,
        read.chains,
        number(read.chains, species=species, engines=engines),
        strict=True,
    ):
        numbered: dict[int, tuple[str, str, str, int]] = {}
        for domain_index, domain in enumerate(domains):
            letter = "H" if domain.chain == "H" else "L"
            for i, (position, bare) in enumerate(zip(domain.positions, domain.numbers, strict=True)):
                region = next(name for name, (first, last) in REGIONS.items() if first <= bare <= last)
                numbered[domain.start + i] = (letter, position, region, domains_before + domain_index)
        for i, residue in enumerate(chain):
            letter, place, part, domain_number = numbered.get(i, (side.strip(), "", "", -1))
            every.append(Site(letter, i, place, part, residue, start + i, domain_number))
        domains_before += len(domains)
    return every


def sites_read(antibody: str, text: str, reading: Reading) -> list[Site]:
    """Return the sites of the text that a model reads of an antibody, in order.

    Residues of loops and frameworks keep their positions in the chains from which they are cut.

    Parameters
    ----------
    antibody
        A chain or a pair, in normal form.
    text
        Its text as the reading gives it.
    reading
        Reading of the model.
    """
    if reading.fragment is None or reading.whole:
        return sites(text, reading.species, reading.engines)
    part, places = part_of(reading.chain, reading.fragment), _places(text)
    cut: list[Site] = []
    for number_of_chain, (name, chain) in enumerate(reading.given(antibody).chains.items()):
        domain = best(number([chain or "X"], species=reading.species, engines=reading.engines)[0], name)
        if domain is None:
            return sites(text, reading.species, reading.engines)
        for region in getattr(part, name):
            for i in range(*domain.span(region)):
                index, place = next(places, (0, 0))
                residue, position = domain.residues[i], domain.positions[i]
                cut.append(Site(name[0].upper(), index, position, region, residue, place, number_of_chain))
    same = "".join(site.residue for site in cut) == ModelText.of(text).residues
    return cut if same else sites(text, reading.species, reading.engines)


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Yield the index in its chain and the place in the text of each residue."""
    read = ModelText.of(text)
    for start, chain in zip(read.starts, read.chains, strict=True):
        yield from ((i, start + i) for i in range(len(chain)))


def named(every: list[Site], positions: str | Iterable[str | int]) -> list[Site]:
    """Return the sites that positions select, in order.

    Parameters
    ----------
    positions
        IMGT positions (``"27"``, ``"111A"``), ranges of them with both ends and insertions (``"105-117"``), or regions
        (``"CDR3"``, ``"FR1"``, ``"CDRs"``, ``"frameworks"``). The letter of a chain limits them to it (``"H:CDR3"``,
        ``"H-CDR3"``). Several are separated by commas, or a list. An integer is the index of a residue, from 0.

    Raises
    ------
    ValueError
        If a name is none of these, or the antibody has no such residue.
    """
    names = positions.split(",") if isinstance(positions, str) else positions
    selected = {site.place for name in names for site in _named(every, name)}
    return [site for site in every if site.place in selected]


def _named(every: list[Site], name: str | int) -> list[Site]:
    if isinstance(name, int):
        selected = every[name : name + 1] if 0 <= name < len(every) else []
    else:
        read = _NAME.fullmatch(name.strip().lower())
        if read is None or (read["set"] and read["set"] not in _SETS):
            raise ValueError(
                f"{name!r} names no residues; write an IMGT position (27, 111A), a range (105-117), a region (CDR3, "
                "FR1, CDRs, frameworks), and H: or L: before it for one chain"
            )
        here = [site for site in every if site.position and read["chain"] in (None, site.chain.lower())]
        if read["set"]:
            selected = [site for site in here if site.region in _SETS[read["set"]]]
        elif read["last"]:
            first, last = int(read["first"].rstrip("abcdefghijklmnopqrstuvwxyz")), int(read["last"])
            selected = [
                site for site in here if first <= int(site.position.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) <= last
            ]
        else:
            selected = [site for site in here if site.position.lower() == read["first"]]
    if not selected:
        reason = "" if any(site.position for site in every) else ", in which no variable domain was recognised"
        raise ValueError(f"there is no residue {name} in this antibody{reason}")
    return selected
