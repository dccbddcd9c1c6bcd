"""Liabilities of variants: which ones a substitution clears, and which it adds."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from antibody_esm.choices import Engines
from antibody_esm.data.reading import ChainName
from antibody_esm.design.panel import SEVERITIES, LiabilityPanel, Severity
from antibody_esm.design.rules import Liability, LiabilitySearch
from antibody_esm.numbering import best, number
from antibody_esm.sequences import ModelText

COUNTED: tuple[Severity, ...] = ("high", "medium")
"""Severities that count: a variant may add none of them."""
_KINDS: tuple[ChainName, ...] = ("heavy", "light")


class Place(NamedTuple):
    """Residue and kind of a liability."""

    chain: int
    """0 for the heavy or only chain, 1 for the light one."""
    residue: int
    """Index in the chain, from 0."""
    kind: str


Liabilities = dict[Place, Liability]
"""Medium and high liabilities of one antibody."""


class Search:
    """Liabilities of many antibodies by one panel.

    Parameters
    ----------
    panel
        Rules, or a JSON file of them; None is the built-in panel.
    species, engines
        Profiles and programs that number the chains.
    """

    def __init__(self, panel: LiabilityPanel | str | Path | None, species: Sequence[str], engines: Engines) -> None:
        panel = LiabilityPanel.built_in() if panel is None else panel
        self._search = LiabilitySearch(panel if isinstance(panel, LiabilityPanel) else LiabilityPanel.read(panel))
        self._species, self._engines = tuple(species), engines

    def of(self, antibodies: Sequence[str]) -> list[Liabilities | None]:
        """Return the medium and high liabilities of each antibody; None if a chain has no variable domain."""
        chains = list(dict.fromkeys(chain for text in antibodies for chain in ModelText.of(text).chains))
        domains = dict(zip(chains, number(chains, species=self._species, engines=self._engines), strict=True))
        by_chain: dict[str, list[Liability] | None] = {}
        for chain, here in domains.items():
            both = [domain for name in _KINDS if (domain := best(here, name)) is not None]
            each = [liability for domain in both for liability in self._search.liabilities(chain, domain)]
            by_chain[chain] = each if both else None
        return [_counted([by_chain[chain] for chain in ModelText.of(text).chains]) for text in antibodies]


def added(before: Liabilities, after: Liabilities) -> list[Liability]:
    """Return the liabilities that an antibody has and its parent has not, or not as severe."""
    return [
        each
        for place, each in after.items()
        if place not in before or SEVERITIES.index(each.severity) > SEVERITIES.index(before[place].severity)
    ]


def _counted(chains: Sequence[list[Liability] | None]) -> Liabilities | None:
    counted: Liabilities = {}
    for number_of_chain, liabilities in enumerate(chains):
        if liabilities is None:
            return None
        for each in liabilities:
            if each.severity in COUNTED:
                counted[Place(number_of_chain, each.index, each.kind)] = each
    return counted
