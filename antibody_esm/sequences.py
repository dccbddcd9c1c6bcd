"""The residue alphabet of the package, with the one normal form of a sequence."""

from collections.abc import Iterable
from typing import Any

from antibody_esm.errors import BadResidue, SequenceError

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
ALPHABET = AMINO_ACIDS + "X"

_ALLOWED = frozenset(ALPHABET + ALPHABET.lower())


def normalise(sequences: Iterable[str]) -> list[str]:
    """Return the sequences upper-cased and without outer white space.

    Parameters
    ----------
    sequences
        One amino acid sequence an item; X stands for an unknown residue.

    Raises
    ------
    SequenceError
        If any sequence is empty or not text, or holds anything but the twenty amino acids and X (gaps, stops, digits,
        other letters). Every such residue of every row is listed, by index, position in the sequence as it was given,
        and character.
    TypeError
        If one string is given where a list of strings is meant.

    Examples
    --------
    >>> normalise([" evqlv ", "QVXL"])
    ['EVQLV', 'QVXL']
    >>> normalise(["EV-L"])
    Traceback (most recent call last):
    antibody_esm.errors.SequenceError: 1 sequence cannot be embedded (allowed: the 20 amino acids and X):
      row 0, position 2: '-'
    """
    if isinstance(sequences, str | bytes):
        raise TypeError("expected a list of sequences, got one string; write [sequence]")
    sequences = list(sequences)
    if _all_normal(sequences):
        return sequences
    normal: list[str] = []
    bad: list[tuple[BadResidue, str]] = []
    for index, sequence in enumerate(sequences):
        offences = _offences(index, sequence)
        bad += offences
        if not offences:
            normal.append(sequence.strip().upper())
    _refuse(bad)
    return normal


def _all_normal(sequences: list[Any]) -> bool:
    """Return whether there is nothing to do, for a hundred thousand sequences in the time of one look."""
    try:
        joined = "".join(sequences).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return False
    return "" not in sequences and not joined.translate(None, ALPHABET.encode("ascii"))


def refuse_longer(sequences: list[str], limit: int) -> None:
    """Raise a SequenceError that lists every sequence of more than ``limit`` residues."""
    _refuse(
        [
            (BadResidue(i, limit, sequence[limit]), f"{len(sequence)} residues, {limit} are allowed")
            for i, sequence in enumerate(sequences)
            if len(sequence) > limit
        ]
    )


def _refuse(bad: list[tuple[BadResidue, str]]) -> None:
    if bad:
        raise SequenceError(*zip(*bad, strict=True))


def _offences(index: int, sequence: Any) -> list[tuple[BadResidue, str]]:
    # Letters are judged before they are upper-cased: "ß".upper() is "SS", which would pass.
    if not isinstance(sequence, str):
        return [(BadResidue(index, 0, repr(sequence)), f"{sequence!r} is not a sequence")]
    core = sequence.strip()
    if not core:
        return [(BadResidue(index, 0, ""), "empty")]
    if _ALLOWED.issuperset(core):
        return []
    start = len(sequence) - len(sequence.lstrip())
    return [
        (BadResidue(index, start + i, residue), repr(residue))
        for i, residue in enumerate(core)
        if residue not in _ALLOWED
    ]
