"""Germline V and J genes at IMGT positions, and those nearest to a domain.

The table holds aligned V and J genes that anarcism carries (IMGT/GENE-DB, doi:10.1093/nar/gki010, by IMGT, the
international ImMunoGeneTics information system, CC BY 4.0); ``benchmarks/copy_germline_genes.py`` makes it.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GAP = "-"
"""No residue of the gene stands at this position: the antibody has an insertion there."""
COMPARED = ("human", "mouse", "rat", "rabbit", "pig", "alpaca", "cow")
"""Species with which chains are compared; profiles and alignments of rhesus genes have a fault."""

_OF_CHAIN = {"H": "H", "K": "KL", "L": "KL"}
"""Chains with whose genes a domain is compared."""
_PLACE = {str(number): number - 1 for number in range(1, 129)}
_FRAMEWORKS = np.array([number < 27 or 38 < number < 56 or 65 < number < 105 for number in range(1, 129)])
"""True at the places of frameworks 1 to 3."""
_INSERTED = 128
"""Place of residues at inserted positions, where no gene has any."""


class Genes(NamedTuple):
    """Nearest germline genes of a domain, with identities from 0 to 1."""

    species: str
    v_gene: str
    v_identity: float
    j_gene: str | None
    j_identity: float | None
    nearest: bool
    """False if a V gene of another species, or of the other light chain, is nearer."""
    unlike: str | None
    """First IMGT position in frameworks 1 to 3 that either the domain or the V gene lacks; None if there is none."""


class _Genes(NamedTuple):
    """V or J genes of some chains, species after species."""

    names: list[str]
    species: list[str]
    has: NDArray[np.uint8]
    """``(129 * 26, n)``: 1 where a gene has the letter at the place."""
    counts: NDArray[np.float32]
    """Number of residues of each gene."""
    occupied: NDArray[np.bool_]
    """``(n, 128)``: places where a gene has a residue."""


def gene(species: str, name: str | None) -> str | None:
    """Return the 128 aligned residues of a gene, gaps as `GAP`; None if it is not known."""
    return _table().get(species, {}).get(name or "")


def nearest_genes(chain: str, positions: Sequence[str], residues: str, species: Sequence[str]) -> Genes | None:
    """Return the nearest V gene of these species, and the nearest J gene of the same; None if there are no V genes.

    Identity is the share of a gene's residues that the domain has at the same position, as in anarcism. Of equally
    near genes, the first of the table is taken.

    Parameters
    ----------
    chain
        H, K or L.
    positions, residues
        IMGT position of each residue.
    species
        Any of `COMPARED`.
    """
    letters = np.frombuffer(residues.encode("ascii"), np.uint8).astype(np.intp) - ord("A")
    places = np.array([_PLACE.get(position, _INSERTED) for position in positions], np.intp)
    rows = places * 26 + letters
    v_genes = _genes(_OF_CHAIN[chain], "V")
    own, other = _split(chain, tuple(species))
    if not len(own):
        return None
    identities = _identities(v_genes, rows)
    v_place = int(own[identities[own].argmax()])
    nearest = not len(other) or bool(identities[v_place] >= identities[other].max())
    name = v_genes.species[v_place]
    j_genes = _genes(chain, "J", name)
    j_gene, j_identity = None, None
    if j_genes.names:
        j_identities = _identities(j_genes, rows)
        j_place = int(j_identities.argmax())
        j_gene, j_identity = j_genes.names[j_place], float(j_identities[j_place])
    occupied = np.zeros(129, np.bool_)
    occupied[places] = True
    first = int(places[0])
    unlike = first + np.flatnonzero((occupied[:128] != v_genes.occupied[v_place])[first:] & _FRAMEWORKS[first:])
    return Genes(
        name,
        v_genes.names[v_place],
        float(identities[v_place]),
        j_gene,
        j_identity,
        nearest,
        str(unlike[0] + 1) if len(unlike) else None,
    )


def _identities(genes: _Genes, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the share of each gene's residues that a domain has too, in the precision of anarcism."""
    shared: NDArray[np.uint8] = np.add.reduce(genes.has[rows], axis=0, dtype=np.uint8)
    return shared.astype(np.float32) / genes.counts


@cache
def _split(chain: str, species: tuple[str, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the V genes of a chain in these species, and of all others with which it is compared."""
    genes = _genes(_OF_CHAIN[chain], "V")
    own = np.array([name[2] == chain and of in species for name, of in zip(genes.names, genes.species, strict=True)])
    return np.flatnonzero(own), np.flatnonzero(~own)


@cache
def _genes(chains: str, segment: str, *species_of: str) -> _Genes:
    selected = [
        (name, species, aligned)
        for species in species_of or COMPARED
        for name, aligned in _table()[species].items()
        if name[2] in chains and name[3] == segment
    ]
    names, of_species = [name for name, *_ in selected], [species for _, species, _ in selected]
    every = "".join(aligned for *_, aligned in selected)
    letters = np.frombuffer(every.encode("ascii"), np.uint8).reshape(-1, 128).T
    has = np.zeros((129, 26, len(names)), np.uint8)
    places, genes = np.nonzero(letters != ord(GAP))
    has[places, letters[places, genes] - ord("A"), genes] = 1
    occupied = letters != ord(GAP)
    return _Genes(names, of_species, has.reshape(-1, len(names)), occupied.sum(axis=0).astype(np.float32), occupied.T)


@cache
def _table() -> dict[str, dict[str, str]]:
    text = files("antibody_esm.numbering").joinpath("germline_genes.json").read_text()
    return {
        species: {name: aligned.ljust(128, GAP) for aligned, names in genes.items() for name in names.split()}
        for species, genes in json.loads(text).items()
    }
