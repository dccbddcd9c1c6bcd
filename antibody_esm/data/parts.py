"""Named parts of an antibody: domains, loops and frameworks of one chain or of both."""

from typing import Literal, NamedTuple

from antibody_esm.errors import DatasetError
from antibody_esm.numbering import CDRS, FRAMEWORKS, REGIONS, ImgtRegion
from antibody_esm.sequences import Chain
from antibody_esm.spelling import did_you_mean

_ALL: tuple[ImgtRegion, ...] = tuple(REGIONS)


class Fragment(NamedTuple):
    """Regions of each chain, in the order of the sequence; empty for a chain that has no part in the fragment."""

    heavy: tuple[ImgtRegion, ...] = ()
    light: tuple[ImgtRegion, ...] = ()

    @property
    def chain(self) -> Chain:
        """Chain that the fragment is cut from."""
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


def chains_read(chain: Chain) -> tuple[Literal["heavy", "light"], ...]:
    """Return the chains that a choice of chain reads."""
    return ("heavy", "light") if chain in ("both", "paired") else (chain,)  # type: ignore[return-value]  # one of two


def part_of(chain: Chain, fragment: str | None) -> Fragment:
    """Return the regions of each chain that are read; all regions if `fragment` is None.

    A single chain takes its own regions of a fragment of both chains.

    Raises
    ------
    DatasetError
        If there is no such fragment, or the chain has no region of it.

    Examples
    --------
    >>> part_of("heavy", "All-CDRs") == part_of("heavy", "H-CDRs")
    True
    """
    if fragment is None:
        whole = dict.fromkeys(chains_read(chain), _ALL)
        return Fragment(**whole)
    if fragment not in FRAGMENTS:
        raise unknown_fragment(fragment)
    regions = {name: getattr(FRAGMENTS[fragment], name) for name in chains_read(chain)}
    empty = [name for name, of_chain in regions.items() if not of_chain]
    if empty:
        raise DatasetError(f"{fragment} has no region of the {empty[0]} chain, but that chain is read")
    return Fragment(**regions)


def fragment_name(chain: Chain, fragment: str | None) -> str | None:
    """Return the name of a chain's part of a fragment: ``H-CDRs`` for the heavy chain's part of ``All-CDRs``."""
    if fragment is None or FRAGMENTS[fragment] == part_of(chain, fragment):
        return fragment
    return next(name for name, part in FRAGMENTS.items() if part == part_of(chain, fragment))


def is_whole(part: Fragment) -> bool:
    """Return True if a part consists of complete variable domains."""
    return all(regions in ((), _ALL) for regions in part)


def unknown_fragment(name: object) -> DatasetError:
    """Return the error of a fragment that does not exist."""
    return DatasetError(
        f"unknown fragment {name!r}; choose one of {', '.join(FRAGMENTS)}{did_you_mean(name, FRAGMENTS)}"
    )
