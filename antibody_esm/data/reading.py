"""The part of an antibody that a model reads, by one rule for all inputs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

from antibody_esm.choices import Engines
from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.parts import chains_read, fragment_name, is_whole, part_of
from antibody_esm.errors import DatasetError, listed, place
from antibody_esm.numbering import (
    CDRS,
    NO_DOMAIN,
    REGIONS,
    SPECIES,
    Domain,
    ImgtRegion,
    absent_reason,
    best,
    closest_species,
    engines_of,
    method,
    number,
)
from antibody_esm.sequences import BETWEEN, Chain, ModelText

_FR4_TO = 125
"""Last position of a complete domain, at least: light chains end at 127, and published chains may lack two residues."""
_SHORTEST_DOMAIN = 70
"""Fewest residues of loops in which a variable domain is searched."""

ChainName = Literal["heavy", "light"]
Chains = tuple[str | None, str | None]
"""Heavy and light chain of an antibody; None for a missing chain."""


class Texts(NamedTuple):
    """Result of reading antibodies."""

    parts: list[tuple[str, ...] | None]
    """Part of each chain that is read, one tuple per antibody; None for a refused antibody."""
    reasons: dict[int, str]
    """Reason of each refusal, by row from 0."""
    between: str = ""
    """Letter between the chains of a text."""

    @property
    def rows(self) -> list[int]:
        """Rows that are read."""
        return [row for row, parts in enumerate(self.parts) if parts is not None]

    @property
    def accepted(self) -> list[str]:
        """Texts of the rows that are read, as input of the language model; ``heavy|light`` for a pair."""
        return [self.between.join(parts) for parts in self.parts if parts is not None]

    def without(self, reasons: Mapping[int, str]) -> "Texts":
        """Return the texts without rows that are refused for other reasons, which follow the reasons of the texts."""
        if not reasons:
            return self
        parts = [None if row in reasons else parts for row, parts in enumerate(self.parts)]
        every = {
            row: "; ".join(each[row] for each in (self.reasons, reasons) if row in each)
            for row in sorted({*self.reasons, *reasons})
        }
        return Texts(parts, every, self.between)


class Given(NamedTuple):
    """Chains of one antibody that are read."""

    chains: dict[ChainName, str | None]
    joined: bool = False
    """True if both are the same text, in which one chain follows the other."""


class _Refused(Exception):  # noqa: N818  never leaves this module
    """Reason why a chain is refused; its text is part of the digest of a data set without the row."""


@dataclass(frozen=True)
class Reading:
    """Chain, fragment and numbering by which an antibody becomes the text that a model reads.

    A data set has a reading (`Dataset.reading`), and a fitted model keeps that of its training set. It applies to all
    inputs: lists, tables, files, data sets, explanations and the web page.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> Reading(fragment="H-CDR3").read([vh + "SRWGGDGFYAMDYWGQGTLVTVSS", "MKTAYIAKQR"])
    Texts(parts=[('SRWGGDGFYAMDY',), None], reasons={1: 'no heavy variable domain'}, between='')
    """

    chain: Chain = "heavy"
    fragment: str | None = None
    """Part that is cut out of the chains by numbering; None leaves each chain as it is."""
    species: tuple[str, ...] = SPECIES
    """Species whose profiles the numbering compares with."""
    lengths: tuple[tuple[int, int], ...] = ()
    """Fewest and most residues of the training set's texts, for each chain of a pair. A text without a recognised
    variable domain is read as the fragment itself if its length lies between them. If empty, such texts are refused."""
    check: bool = True
    """True if numbering checks that a chain is the molecule that is read."""
    engine: str = field(default_factory=method)
    """Names and versions of the numbering programs. A model that was saved when anarcism numbered alone is read by
    anarcism alone, so that it reads the same."""
    columns: ColumnReading = field(default_factory=ColumnReading)
    """Columns of a table that are read beside the chains."""

    def __post_init__(self) -> None:
        if self.chain not in get_args(Chain):
            raise DatasetError(f"chain must be one of {', '.join(get_args(Chain))}, not {self.chain!r}")
        part_of(self.chain, self.fragment)
        put = object.__setattr__  # frozen for everyone else
        put(self, "fragment", fragment_name(self.chain, self.fragment))
        put(self, "species", tuple(self.species))
        put(self, "lengths", tuple((int(low), int(high)) for low, high in self.lengths))

    def __str__(self) -> str:
        return " ".join(filter(None, ("joined" if self.chain == "both" else self.chain, self.fragment)))

    @property
    def title(self) -> str:
        """Name of the part in tables: ``joined All-CDRs`` if both chains are one text, ``paired All-CDRs`` if two."""
        return str(self) if self.chain in ("both", "paired") or self.fragment is None else self.fragment

    @property
    def chains(self) -> tuple[ChainName, ...]:
        """Chains that are read."""
        return chains_read(self.chain)

    @property
    def engines(self) -> Engines:
        """Choice of numbering programs that `engine` stands for; see `antibody_esm.numbering.number`."""
        return engines_of(self.engine)

    @property
    def whole(self) -> bool:
        """True if complete variable domains or chains are read, rather than loops or frameworks."""
        return is_whole(part_of(self.chain, self.fragment))

    def same_part(self, other: "Reading") -> bool:
        """Return True if texts of both are the same part of the same chain; whole chains are VH, VL or VHH."""
        mine, theirs = (part_of(each.chain, each.fragment) for each in (self, other))
        return (self.chain, mine) == (other.chain, theirs)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, and the name of the part in words."""
        plain = asdict(replace(self, columns=ColumnReading()))
        plain |= {"species": list(self.species), "lengths": [list(ends) for ends in self.lengths], "part": str(self)}
        del plain["columns"]
        return plain | ({"columns": self.columns.to_list()} if self.columns else {})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the reading with the fields of `to_dict`. Raises TypeError, ValueError or DatasetError for others."""
        values = {name: fields[name] for name in cls.__dataclass_fields__.keys() - {"columns"}}
        values["columns"] = ColumnReading.from_list(fields.get("columns", []))
        if not isinstance(values["check"], bool) or not all(isinstance(name, str) for name in values["species"]):
            raise TypeError("check must be true or false, and species must be names")
        if any(type(end) is not int or end < 0 for ends in values["lengths"] for end in ends):
            raise TypeError("lengths must be numbers of residues")
        return cls(**values | {"species": tuple(values["species"])})

    def read(self, antibodies: Sequence["str | Chains"], *, check: bool | None = None) -> Texts:
        """Return the text that is read of each antibody, or the reason why the antibody is refused.

        The result of a row depends only on that row.

        Parameters
        ----------
        antibodies
            In normal form: a chain, or text of a pair (``heavy|light``), or ``(heavy, light)``. Chains that are not
            read may be None.
        check
            True if numbering checks that a chain is the molecule that is read; None takes the reading's own `check`.
            If False, a fragment is still cut out of chains with a recognised variable domain.
        """
        check = self.check if check is None else check
        rows = [self.given(antibody) for antibody in antibodies]
        domains = self._domains(rows) if check or self.fragment is not None else {}
        every: list[tuple[str, ...] | None] = []
        reasons: dict[int, str] = {}
        for row, antibody in enumerate(rows):
            try:
                every.append(self._parts(antibody, domains, check))
            except _Refused as refused:
                every.append(None)
                reasons[row] = str(refused)
        return Texts(every, reasons, self._between)

    def verify(self, antibodies: Sequence["str | Chains"]) -> Texts:
        """Return the text of each antibody that already is this part, or the reason why it is not.

        For data sets, whose chains are cut or declared as a part. Loops with a recognised domain are refused;
        frameworks are not checked, because a program may recognise a domain in them.
        """
        if self.whole:
            return replace(self, fragment=None, check=True).read(antibodies)
        texts = replace(self, fragment=None, check=False).read(antibodies)
        loops = all(set(regions) <= set(CDRS) for regions in part_of(self.chain, self.fragment))
        long = [part for parts in texts.parts for part in parts or () if loops and len(part) >= _SHORTEST_DOMAIN]
        domains = dict(zip(long, number(long, species=self.species, engines=self.engines), strict=True))
        wrong = {
            row: f"holds a variable domain, though it is declared to be {self.fragment}"
            for row, parts in enumerate(texts.parts)
            if any(domains.get(part) for part in parts or ())
        }
        parts = [None if row in wrong else parts for row, parts in enumerate(texts.parts)]
        return Texts(parts, texts.reasons | wrong, self._between)

    def with_lengths(self, texts: Iterable[str]) -> "Reading":
        """Return the reading with the lengths of a training set's texts."""
        sizes = [[len(chain) for chain in ModelText.of(text).chains] for text in texts]
        lengths = tuple((min(column), max(column)) for column in zip(*sizes, strict=True))
        return replace(self, lengths=lengths)

    @property
    def _between(self) -> str:
        return BETWEEN if self.chain == "paired" else ""

    def given(self, antibody: "str | Chains") -> Given:
        """Return the chains that are read; one text that holds both if the chains are joined."""
        if isinstance(antibody, str) and not ModelText.of(antibody).is_pair:
            if self.chain == "both":
                return Given({"heavy": antibody, "light": antibody}, joined=True)
            antibody = (None, antibody) if self.chain == "light" else (antibody, None)
        heavy, light = ModelText.of(antibody).chains if isinstance(antibody, str) else antibody
        both: dict[ChainName, str | None] = {"heavy": heavy, "light": light}
        return Given({name: both[name] for name in self.chains})

    def _domains(self, rows: Sequence[Given]) -> dict[str, tuple[Domain, ...]]:
        texts = list(dict.fromkeys(chain for row in rows for chain in row.chains.values() if chain))
        return dict(zip(texts, number(texts, species=self.species, engines=self.engines), strict=True))

    def _parts(self, antibody: Given, domains: Mapping[str, tuple[Domain, ...]], check: bool) -> tuple[str, ...]:
        """Return the part of each chain that is read."""
        absent = [name for name, chain in antibody.chains.items() if not chain]
        if absent:
            raise _Refused(f"no {absent[0]} chain")
        chains = {name: chain for name, chain in antibody.chains.items() if chain}
        may_be_cut = self.fragment is not None and not (self.whole and check)
        if may_be_cut and not any(domains[chain] for chain in chains.values()):
            return self._as_fragment(tuple(chains.values())[: 1 if antibody.joined else None], check)
        parts = tuple(
            self._part(name, chain, domains.get(chain, ()), check, alone=not antibody.joined)
            for name, chain in chains.items()
        )
        return parts[:1] if antibody.joined and self.fragment is None else parts

    def _as_fragment(self, parts: tuple[str, ...], check: bool) -> tuple[str, ...]:
        """Return texts without a variable domain as the fragment itself, if the training set has such lengths."""
        if not check:
            return parts
        absent = f"no {self.chain} variable domain" if len(self.chains) == 1 else "no variable domain"
        sizes = [len(part) for part in parts] if self.chain == "paired" else [sum(map(len, parts))]
        if not self.lengths:
            raise _Refused(absent)
        for size, (low, high) in zip(sizes, self.lengths, strict=True):
            if not low <= size <= high:
                raise _Refused(
                    f"{absent}, and {size} residues are no {self.fragment}: the training set has {low} to {high}"
                )
        return parts

    def _part(self, name: ChainName, chain: str, domains: Sequence[Domain], check: bool, *, alone: bool) -> str:
        """Return the part of a chain that is read."""
        mine = [domain for domain in domains if (domain.chain == "H") == (name == "heavy")]
        other = "light" if name == "heavy" else "heavy"
        if (check or self.fragment is not None) and not mine:
            if not domains:
                raise _Refused(f"no {name} variable domain{_other_molecule(chain, self.species)}")
            swapped = "; are the columns swapped?" if len(self.chains) == 2 else ""
            raise _Refused(f"a {other} chain, where the {name} chain is read{swapped}")
        if check and len(mine) > 1:
            raise _Refused(f"{len(mine)} {name} variable domains in one sequence; give each in a row of its own")
        if self.fragment is None:
            if check and alone and len(mine) < len(domains):
                raise _Refused(f"a {other} variable domain beside the {name} one; give the {name} chain alone")
            return chain
        domain = best(mine)
        regions: tuple[ImgtRegion, ...] = getattr(part_of(self.chain, self.fragment), name)
        assert domain is not None  # noqa: S101  as `mine` is not empty
        problem = incomplete(domain, name, regions)
        if problem:
            raise _Refused(problem + _other_species(chain, self.species))
        return "".join(domain.region(region) for region in regions)


def incomplete(domain: Domain, name: str, regions: tuple[ImgtRegion, ...]) -> str | None:
    """Return the reason why a domain lacks a part of these regions; None if it has all of them."""
    absent = [region for region in regions if not domain.region(region)]
    if absent:
        return f"{name} {', '.join(absent)} missing"
    if "FR1" in regions and domain.numbers[0] > 2:
        return f"{name} domain begins at position {domain.numbers[0]}"
    if "CDR3" in regions and domain.numbers[-1] < REGIONS["FR4"][0]:
        return f"{name} domain ends in CDR3"
    if "FR4" in regions and domain.numbers[-1] < _FR4_TO:
        return f"{name} domain ends at position {domain.numbers[-1]}"
    return None


def _other_molecule(chain: str, species: Sequence[str]) -> str:
    """Return the name of the molecule that a chain without a domain is, for messages; empty if it is unknown."""
    reason = absent_reason(chain, species=species) if len(chain) >= _SHORTEST_DOMAIN else ""
    return "" if reason in ("", NO_DOMAIN) else f": {reason}"


def _other_species(chain: str, species: Sequence[str]) -> str:
    """Return advice if an incomplete domain is most similar to another species; else an empty text."""
    closest = closest_species(chain)
    return "" if closest is None or closest in species else f"; it looks like {closest}: give species=({closest!r},)"


def refuse(
    texts: Texts,
    what: str,
    hint: str = "",
    places: Callable[[Iterable[int]], Mapping[int, str]] | None = None,
    path: Path | None = None,
    column: str | None = None,
) -> None:
    """Raise a DatasetError that lists the refused rows; do nothing if there is none.

    Parameters
    ----------
    texts
        Result of reading.
    what
        Verb and object of the message, whose subject is ``3 of 40 antibodies``.
    hint
        Advice after the list.
    places
        Function that returns the names of the first of these rows; by default their numbers from 1.
    path, column
        The file and the column, if there are any.
    """
    if not texts.reasons:
        return
    named = places(texts.reasons) if places else {row: place(row, noun="antibody") for row in texts.reasons}
    shown = listed([f"{where}: {texts.reasons[row]}" for row, where in named.items()], len(texts.reasons), "; ")
    raise DatasetError(
        f"{len(texts.reasons):,} of {len(texts.parts):,} antibodies {what}: {shown}{hint}",
        path,
        column=column,
        reasons=texts.reasons,
    )
