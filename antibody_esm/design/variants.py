"""Antibodies from which variants are made, and variants by their substitutions."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from antibody_esm.explain.sites import Site, named, sites, sites_read
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import AMINO_ACIDS, ModelText, normalise


class Substitution(NamedTuple):
    """Another residue at a place of an antibody."""

    place: int
    """Index in the text of the antibody, from 0."""
    residue: str


Variant = tuple[Substitution, ...]
"""Substitutions of an antibody, in the order of their places."""


@dataclass(frozen=True)
class Parent:
    """An antibody from which variants are made: all its chains, of which a model may read a part.

    Parameters
    ----------
    text
        Chain, or pair of heavy and light, in normal form.
    read
        Text that the model reads of it.
    sites
        All residues, in order.
    read_sites
        The residues of variable domains that the model reads; of a text without a domain, all.
    """

    text: str
    read: str
    sites: tuple[Site, ...]
    read_sites: tuple[Site, ...]

    @classmethod
    def of(cls, antibody: str | tuple[str, str], predictor: Predictor, *, check: bool | None = None) -> "Parent":
        """Return an antibody as a model reads it.

        Raises
        ------
        SequenceError
            If it is not made of amino acids and X.
        DatasetError
            If the model does not read it.
        """
        (text,) = normalise([antibody], pairs=True)
        read = predictor.reads(text, check=check)
        reading = predictor.reading
        every = tuple(sites(text, reading.species, reading.engines))
        if text == read:
            inside = tuple(site for site in every if site.position)  # neither a leader nor a tag
            return cls(text, read, every, inside or every)
        part = sites_read(text, read, reading)
        numbered = {(site.chain, site.position) for site in part if site.position}
        return cls(text, read, every, tuple(site for site in every if (site.chain, site.position) in numbered))

    def chosen(self, positions: str | Iterable[str | int] | None, protect: str | Iterable[str | int]) -> list[Site]:
        """Return the sites that may be substituted: those that the model reads, or the positions.

        Raises
        ------
        ValueError
            If positions have no residue in this antibody.
        """
        every = list(self.sites)
        kept = {site.place for site in named(every, protect)}
        selected = self.read_sites if positions is None else named(every, positions)
        return [site for site in selected if site.place not in kept and site.residue in AMINO_ACIDS]

    def site(self, place: int) -> Site:
        """Return the residue at a place of the text."""
        return self._at[place]

    def substituted(self, variant: Variant) -> str:
        """Return the text with other residues."""
        residues = list(self.text)
        for place, residue in variant:
            residues[place] = residue
        return "".join(residues)

    def mutations(self, variant: Variant, *, linear: bool = False) -> str:
        """Return the substitutions by IMGT position, or by index in the chain from 1: ``H:R106K,L:S30A``.

        Residues outside of variable domains are counted in their chain, with a star before: ``G*121E``.
        """
        return ",".join(self._name(self._at[place], residue, linear) for place, residue in variant)

    def _name(self, site: Site, residue: str, linear: bool) -> str:
        pair = ModelText.of(self.text)
        chain = ("H:" if site.place < pair.starts[1] else "L:") if pair.is_pair else ""
        number = str(site.index + 1) if linear else site.position or f"{self._star}{site.index + 1}"
        return f"{chain}{site.residue}{number}{residue}"

    @cached_property
    def _star(self) -> str:
        """Mark of residues outside of domains; none if there is no domain, so that no number is an IMGT position."""
        return "*" if any(site.position for site in self.sites) else ""

    @cached_property
    def _at(self) -> dict[int, Site]:
        return {site.place: site for site in self.sites}
