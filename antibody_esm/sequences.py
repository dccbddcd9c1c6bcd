"""Alphabet of residues, and the normal form of sequences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from antibody_esm.errors import BadResidue, SequenceError
from antibody_esm.unknown import Unknown

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
UNKNOWN = "X"
"""An unknown residue."""
ALPHABET = AMINO_ACIDS + UNKNOWN

Chain = Literal["heavy", "light", "both", "paired"]
"""Chains that are read: one, or both; ``both`` joins them, ``paired`` keeps them apart."""

BETWEEN = "|"
"""Separator of the two chains in the text of a pair."""

NUCLEIC = "looks like"
"""Beginning of the reason why DNA or RNA is refused."""

_ALLOWED = frozenset(ALPHABET + ALPHABET.lower())
_NUCLEOTIDES = "ACGTUN"
_DNA_FROM = 30
"""Fewest letters of a sequence that is refused as DNA or RNA if all its letters are nucleotides. Fewer than one in
10^15 sequences with the residue frequencies of antibodies would be refused."""


class Antibody(NamedTuple):
    """The two chains of an antibody. ``str()`` is the text of the pair, ``"EVQLV...|DIQMT..."``.

    Examples
    --------
    >>> str(Antibody(heavy="EVQLV", light="DIQMT"))
    'EVQLV|DIQMT'
    """

    heavy: str
    light: str

    def __str__(self) -> str:
        return BETWEEN.join(self)


@dataclass(frozen=True)
class ModelText:
    """Text that a model reads of an antibody: one chain, or a heavy and a light chain.

    ``str()`` is the form for language models, stores and data sets, ``"EVQLV...|DIQMT..."`` for a pair.

    Examples
    --------
    >>> pair = ModelText.of("EVQ|DI")
    >>> pair.chains, pair.residues, pair.places, str(pair.mutated(4, "A"))
    (('EVQ', 'DI'), 'EVQDI', (0, 1, 2, 4, 5), 'EVQ|AI')
    """

    chains: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "ModelText":
        """Return the chains of a text in normal form."""
        return cls(tuple(text.split(BETWEEN)))

    def __str__(self) -> str:
        return BETWEEN.join(self.chains)

    @property
    def is_pair(self) -> bool:
        """True if there are two chains."""
        return len(self.chains) > 1

    @property
    def residues(self) -> str:
        """Residues of all chains, without the separator."""
        return "".join(self.chains)

    @property
    def starts(self) -> tuple[int, ...]:
        """Place in the text of the first residue of each chain."""
        return tuple(accumulate((len(chain) + 1 for chain in self.chains[:-1]), initial=0))

    @property
    def places(self) -> tuple[int, ...]:
        """Place in the text of each residue."""
        return tuple(
            start + i for start, chain in zip(self.starts, self.chains, strict=True) for i in range(len(chain))
        )

    def with_chain(self, number: int, chain: str) -> "ModelText":
        """Return the text with another chain at a place, 0 or 1."""
        return ModelText((*self.chains[:number], chain, *self.chains[number + 1 :]))

    def mutated(self, place: int, residue: str) -> "ModelText":
        """Return the text with another residue at a place of the text."""
        text = str(self)
        return ModelText.of(text[:place] + residue + text[place + 1 :])


def any_pair(texts: Iterable[str]) -> bool:
    """Return True if any of these texts has two chains."""
    return any(BETWEEN in text for text in texts)


def normalise(sequences: "Iterable[str | tuple[str, str]]", *, pairs: bool = False) -> list[str]:
    """Return the sequences upper-cased and without outer white space.

    Parameters
    ----------
    sequences
        Amino acid sequences; X is an unknown residue.
    pairs
        Accept pairs of chains too, as `Antibody`, as ``(heavy, light)`` or as text with ``|`` between; they become
        text.

    Raises
    ------
    SequenceError
        If any sequence is empty or not text, or holds other characters than the twenty amino acids and X (gaps, stops,
        digits, other letters), or is `Unknown` with a reason. The error lists every such character of every row by
        index and position in the input sequence, both from 0; the message counts from 1. DNA and RNA are refused too:
        30 or more letters, all of A, C, G, T, U and N.
    TypeError
        If the input is a string, a set, a mapping or a table instead of a list of strings.

    Examples
    --------
    >>> normalise([" evqlv ", "QVXL"])
    ['EVQLV', 'QVXL']
    >>> normalise([("evqlv", "diqmt")], pairs=True)
    ['EVQLV|DIQMT']
    >>> normalise(["EV-L"])
    Traceback (most recent call last):
    antibody_esm.errors.SequenceError: 1 sequence cannot be embedded (allowed: the 20 amino acids and X):
      sequence 1 (index 0), position 3: '-'
    """
    if isinstance(sequences, str | bytes):
        raise TypeError("expected a list of sequences, got one string; write [sequence]")
    if isinstance(sequences, Mapping | set | frozenset) or hasattr(sequences, "columns"):
        kind = type(sequences).__name__  # of which the keys, or the names of columns, could be read as sequences
        raise TypeError(f"expected a list of sequences, got a {kind}; give its sequences, in their order, as a list")
    items: list[Any] = list(sequences)
    if _all_normal(items):
        return items
    normal: list[str] = []
    bad: list[tuple[BadResidue, str]] = []
    for index, item in enumerate(items):
        chains = _chains(item) if pairs else [item]
        for chain, name in zip(chains, ("heavy", "light") if len(chains) == 2 else ("",), strict=True):
            bad += [
                (where, f"{reason} in the {name} chain" if name else reason)
                for where, reason in _offences(index, chain)
            ]
        if not bad:
            normal.append(BETWEEN.join(chain.strip().upper() for chain in chains))
    _refuse(bad)
    return normal


def chains_of(pairs: list[str]) -> tuple[list[str], list[str]]:
    """Return the heavy and the light chains of pairs in normal form.

    Raises
    ------
    SequenceError
        If pairs and single chains are mixed; the error lists every single chain.
    """
    _refuse(
        [
            (BadResidue(i, 0, pair[0]), "a single chain among pairs")
            for i, pair in enumerate(pairs)
            if BETWEEN not in pair
        ]
    )
    heavy, light = zip(*(pair.split(BETWEEN) for pair in pairs), strict=True)
    return list(heavy), list(light)


def _chains(antibody: Any) -> list[Any]:
    if isinstance(antibody, tuple) and len(antibody) == 2:
        return list(antibody)
    return antibody.split(BETWEEN, 1) if isinstance(antibody, str) and BETWEEN in antibody else [antibody]


def _all_normal(sequences: list[Any]) -> bool:
    """Return True if all sequences are in normal form; fast for a hundred thousand sequences."""
    try:
        joined = "".join(sequences).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return False
    if "" in sequences or joined.translate(None, ALPHABET.encode("ascii")):
        return False
    return not any(map(is_nucleic, sequences))


def is_nucleic(sequence: str) -> bool:
    """Return True if a sequence in upper case is DNA or RNA: 30 or more letters, all of A, C, G, T, U and N.

    Examples
    --------
    >>> is_nucleic("GAGGTGCAGCTGGTGGAGAGCGGCGGCGGC"), is_nucleic("EVQLVESGGGLVQPGGSLRLSCAASGFNIK")
    (True, False)
    """
    return len(sequence) >= _DNA_FROM and not sequence.strip(_NUCLEOTIDES)


def refuse_longer(sequences: list[str], limit: int) -> None:
    """Raise a SequenceError that lists every sequence of more than ``limit`` residues."""
    _refuse(
        [
            (BadResidue(i, limit, sequence[limit]), f"{len(sequence)} residues, at most {limit} are allowed")
            for i, sequence in enumerate(sequences)
            if len(sequence) > limit
        ]
    )


def refuse_unknown(sequences: Sequence[str]) -> None:
    """Raise a SequenceError that lists every X."""
    _refuse(
        [
            (BadResidue(i, position, UNKNOWN), f"{UNKNOWN!r}, for which the model has no token")
            for i, sequence in enumerate(sequences)
            for position, residue in enumerate(sequence)
            if residue == UNKNOWN
        ]
    )


def _refuse(bad: list[tuple[BadResidue, str]]) -> None:
    if bad:
        rows, reasons = zip(*bad, strict=True)
        raise SequenceError(rows, reasons)


def _offences(index: int, sequence: Any) -> list[tuple[BadResidue, str]]:
    # Letters are checked before they are upper-cased: "ß".upper() is "SS", which would pass.
    if isinstance(sequence, Unknown):
        return [(BadResidue(index, 0, ""), str(sequence))]
    if not isinstance(sequence, str):
        absent = sequence is None or (isinstance(sequence, float) and math.isnan(sequence))
        reason = "no sequence" if absent else f"{sequence!r} is not a sequence"
        return [(BadResidue(index, 0, repr(sequence)), reason)]
    core = sequence.strip()
    if not core:
        return [(BadResidue(index, 0, ""), "empty")]
    if is_nucleic(core.upper()):
        return [(BadResidue(index, 0, core[0]), _nucleic(core.upper()))]
    if _ALLOWED.issuperset(core):
        return []
    start = len(sequence) - len(sequence.lstrip())
    return [
        (BadResidue(index, start + i, residue), repr(residue))
        for i, residue in enumerate(core)
        if residue not in _ALLOWED
    ]


def _nucleic(sequence: str) -> str:
    letters = ", ".join(letter for letter in _NUCLEOTIDES if letter in sequence)
    return f"{NUCLEIC} {'RNA' if 'U' in sequence else 'DNA'} ({len(sequence)} letters, all of {letters})"
