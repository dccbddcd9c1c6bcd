"""IMGT numbering of antibody chains: variable domains, their regions, germline genes and species.

The work is done by anarcism, which aligns to the profiles of ANARCI (doi:10.1093/bioinformatics/btv552). Its rhesus
profiles put the second cysteine one position too far in every heavy and kappa chain that was tried, a fault of the
profiles themselves, so species are chosen here: human and mouse, and alpaca where nanobodies are expected.

Numbering takes some 5 ms a variable domain, and 20 ms a longer sequence or one in doubt. Results are kept in the user's
cache folder, and computed once.
"""

import hashlib
import json
import re
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from antibody_esm.sequences import normalise

if TYPE_CHECKING:
    from anarcism import DomainResult

Region = Literal["FR1", "CDR1", "FR2", "CDR2", "FR3", "CDR3", "FR4"]

REGIONS: dict[Region, tuple[int, int]] = {
    "FR1": (1, 26),
    "CDR1": (27, 38),
    "FR2": (39, 55),
    "CDR2": (56, 65),
    "FR3": (66, 104),
    "CDR3": (105, 117),
    "FR4": (118, 128),
}
"""First and last IMGT position of each region (doi:10.1016/S0145-305X(02)00039-3)."""

CDRS: tuple[Region, ...] = ("CDR1", "CDR2", "CDR3")
FRAMEWORKS: tuple[Region, ...] = ("FR1", "FR2", "FR3", "FR4")

SPECIES = ("human", "mouse")
"""Whose profiles a chain is compared with."""
NANOBODY_SPECIES = ("human", "mouse", "alpaca")
"""The same, where nanobodies are expected."""

LONGEST = 10_000
"""Residues of the longest sequence that is numbered."""

_Chains = tuple[Literal["H", "K", "L"], ...]
_CHAINS: _Chains = ("H", "K", "L")
_CONSERVED = ((23, "C"), (41, "W"), (104, "C"))
_FORMAT = 1
"""Raise it when what `number` gives for a sequence changes, so that nothing cached before is used."""
_BATCH = 256
_HEAVY_END, _LIGHT_END = _ENDS = re.compile("WG.G"), re.compile("FG.G")
"""What framework 4 begins with; a sequence that has one of them is probably of that chain."""
_ONE = 170
"""Residues of the longest sequence that is probably one domain and little else."""
_SURE = 100
_LEFT = 40


@dataclass(frozen=True)
class Domain:
    """A variable domain in a sequence.

    Examples
    --------
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
    """Where it begins in the sequence, from 0."""
    residues: str
    positions: tuple[str, ...]
    """IMGT position of each residue, insertions by a letter (``"111A"``), in the order of the sequence."""
    filled: int
    """Unknown residues (X) at its beginning that are not aligned, and fill framework 1 up."""
    score: float
    """Of the alignment, in bits."""
    species: str
    """Of the germline genes."""
    v_gene: str | None
    v_identity: float | None
    """To the V gene, 0 to 1."""
    j_gene: str | None
    j_identity: float | None

    @property
    def end(self) -> int:
        """First residue of the sequence behind the domain."""
        return self.start + len(self.residues)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """IMGT position of each residue without the letter of an insertion, 1 to 128; none is below the one before."""
        return tuple(int(one.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) for one in self.positions)

    def span(self, region: Region) -> tuple[int, int]:
        """Return where a region begins and ends, as indices into `residues`."""
        first, last = REGIONS[region]
        return bisect_left(self.numbers, first), bisect_right(self.numbers, last)

    def region(self, region: Region) -> str:
        """Return the residues of a region; none if it is missing."""
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
        """Positions 105 to 117; the conserved cysteine and tryptophan beside it are not part of it."""
        return self.region("CDR3")

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What makes a part of the numbering doubtful, in words."""
        found = []
        if self.numbers[self.filled] > 2:
            found.append(f"begins at position {self.numbers[self.filled]}")
        if self.numbers[-1] < REGIONS["FR4"][0]:
            found.append("no FR4, so that the end of CDR3 is not known")
        elif self.numbers[-1] < 126:
            found.append(f"ends at position {self.numbers[-1]}")
        found += [f"no {name}" for name in CDRS if not self.region(name)]
        at = dict(zip(self.positions, self.residues, strict=True))
        found += [
            f"{at[str(number)]} at position {number}, where {residue} is conserved"
            for number, residue in _CONSERVED
            if at.get(str(number), residue) not in (residue, "X")
        ]
        return tuple(found)

    @property
    def is_complete(self) -> bool:
        """Whether it is aligned from position 1 or 2 to 126 or later."""
        return self.numbers[self.filled] <= 2 and self.numbers[-1] >= 126

    @property
    def has_loops(self) -> bool:
        """Whether all three loops are there, and hold no X."""
        loops = [self.region(name) for name in CDRS]
        return all(loops) and not any("X" in loop for loop in loops)


def number(
    sequences: Iterable[str], *, species: Sequence[str] = SPECIES, workers: int | None = None
) -> list[tuple[Domain, ...]]:
    """Return the variable domains of each sequence, in the order of the sequence; none where there is no antibody.

    A sequence of more than 10,000 residues is no antibody, and is not looked at.

    Parameters
    ----------
    sequences
        ``n`` amino acid sequences; constant domains, leader peptides and linkers may be there.
    species
        Whose profiles and germline genes are compared with: any of alpaca, cow, human, mouse, pig, rabbit, rat.
    workers
        Threads; None is one per usable core.

    Raises
    ------
    SequenceError
        If a sequence is not made of amino acids and X; nothing has run by then.
    ValueError
        If there is no such species.
    """
    import joblib
    from anarcism import species as all_species

    unknown = set(species) - set(all_species())
    if unknown or not species:
        known = ", ".join(sorted(all_species()))
        raise ValueError(f"unknown species {', '.join(sorted(unknown)) or '(none)'}; choose from {known}")
    normal = normalise(sequences)
    unique = list(dict.fromkeys(normal))
    with closing(_Cache(species)) as cache:
        found = cache.get(unique)
        found |= {sequence: () for sequence in unique if len(sequence) > LONGEST}
        absent = [sequence for sequence in unique if sequence not in found]
        for start in range(0, len(absent), _BATCH):
            new = _numbered(absent[start : start + _BATCH], species, workers or joblib.cpu_count())
            cache.put(new)
            found |= new
    return [found[sequence] for sequence in normal]


def method(species: Sequence[str] = SPECIES) -> str:
    """Return the program that numbers, with its version, and the species it compares with where they are unusual."""
    unusual = "" if set(species) == set(SPECIES) else f", {' '.join(sorted(set(species)))}"
    return f"anarcism {version('anarcism')}, {_FORMAT}{unusual}"


def best(domains: Sequence[Domain], chain: Literal["heavy", "light"] | None = None) -> Domain | None:
    """Return the domain with the highest score, of one kind of chain or of both; None if there is none."""
    wanted = {"heavy": ("H",), "light": ("K", "L"), None: _CHAINS}[chain]
    return max((one for one in domains if one.chain in wanted), key=lambda one: one.score, default=None)


def _numbered(sequences: list[str], species: Sequence[str], workers: int) -> dict[str, tuple[Domain, ...]]:
    """Return the domains of each sequence; profiles of chains that it cannot be are tried only where there is doubt."""
    import anarcism

    def domains(some: list[str], chains: _Chains) -> dict[str, tuple[Domain, ...]]:
        results = anarcism.number_sequences(
            [("", sequence) for sequence in some],
            workers=workers,
            allowed_chains=list(chains),
            allowed_species=list(species),
            alternative_hit_count=0,
            assign_germline=True,
        )
        return {one: _domains(one, result.domains) for one, result in zip(some, results, strict=True)}

    found: dict[str, tuple[Domain, ...]] = {}
    guesses: list[tuple[_Chains, re.Pattern[str]]] = [(("H",), _HEAVY_END), (("K", "L"), _LIGHT_END)]
    for chains, end in guesses:
        likely = [
            one for one in sequences if len(one) <= _ONE and [end] == [each for each in _ENDS if each.search(one)]
        ]
        found |= {one: of for one, of in domains(likely, chains).items() if _beyond_doubt(one, of)}
    return found | domains([one for one in sequences if one not in found], _CHAINS)


def _beyond_doubt(sequence: str, found: tuple[Domain, ...]) -> bool:
    """Return whether these are all the domains there are, though some profiles were not tried.

    One domain that scores so high is of that chain: those of the other kind score nothing there. What is left of the
    sequence is too short for another domain, of which a residue scores some 1.6 bits and the least that counts is 80.
    """
    return len(found) == 1 and found[0].score >= _SURE and len(sequence) - len(found[0].residues) <= _LEFT


def _domains(sequence: str, found: "Sequence[DomainResult]") -> tuple[Domain, ...]:
    domains: list[Domain] = []
    for one in found:
        residues = [(residue.position, residue.insertion_code) for residue in one.numbering]
        start, end, chain = one.start, one.end, one.chain_type
        position = residues[0][0] - 1
        while start > 0 and position > 0 and sequence[start - 1] == "X":
            if not (position == 10 and chain == "H"):  # where heavy chains have a gap
                start -= 1
                residues.insert(0, (position, ""))
            position -= 1
        germline = one.germline
        domains.append(
            Domain(
                chain=chain,  # type: ignore[arg-type]  # of those that were allowed
                start=start,
                residues=sequence[start:end],
                positions=tuple(f"{number}{letter}" for number, letter in residues),
                filled=one.start - start,
                score=round(one.bit_score, 3),
                species=germline.species if germline else one.species,
                v_gene=germline.v_gene if germline else None,
                v_identity=germline.v_identity if germline else None,
                j_gene=germline.j_gene if germline else None,
                j_identity=germline.j_identity if germline else None,
            )
        )
    return tuple(domains)


class _Cache:
    """Domains of sequences that were numbered before; a cache that cannot be used costs time, and nothing else."""

    def __init__(self, species: Sequence[str]) -> None:
        self._rules = json.dumps([method(), sorted(set(species))])
        self._database: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            folder = _cache_folder()
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(folder / "domains.sqlite", timeout=1)
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS domains (key BLOB PRIMARY KEY, found TEXT) WITHOUT ROWID"
            )

    def get(self, sequences: Sequence[str]) -> dict[str, tuple[Domain, ...]]:
        """Return what is known of some sequences."""
        found = {}
        for sequence, text in self._rows(sequences):
            with suppress(ValueError, TypeError, KeyError):  # not what `put` wrote: as if it were not there
                domains = tuple(_domain(fields) for fields in json.loads(text[_DIGEST:]))
                if text[:_DIGEST] == _digest(sequence, text[_DIGEST:]):
                    found[sequence] = domains
        return found

    def put(self, found: dict[str, tuple[Domain, ...]]) -> None:
        """Remember the domains of some sequences."""
        texts = {one: json.dumps([asdict(domain) for domain in domains]) for one, domains in found.items()}
        rows = [(self._key(one), _digest(one, text) + text) for one, text in texts.items()]
        if self._database is not None:
            try:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO domains VALUES (?, ?)", rows)
            except sqlite3.Error:  # somebody else holds it, or it is damaged: no more waiting for it
                self.close()

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _rows(self, sequences: Sequence[str]) -> Iterator[tuple[str, str]]:
        if self._database is None:
            return
        try:
            for sequence in sequences:
                row = self._database.execute(
                    "SELECT found FROM domains WHERE key = ?", (self._key(sequence),)
                ).fetchone()
                if row is not None:
                    yield sequence, row[0]
        except sqlite3.Error:
            self.close()

    def _key(self, sequence: str) -> bytes:
        return hashlib.sha256(f"{self._rules}\0{sequence}".encode()).digest()


_DIGEST = 16


def _digest(sequence: str, text: str) -> str:
    """Return what tells that a text is the one that was written of a sequence."""
    return hashlib.sha256(f"{sequence}\0{text}".encode()).hexdigest()[:_DIGEST]


def _domain(fields: dict[str, Any]) -> Domain:
    return Domain(**{**fields, "positions": tuple(fields["positions"])})


def _cache_folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("antibody_esm") / "numbering"
