"""Records of FASTA text, with the line on which each begins and an id that no other record has."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from antibody_esm.errors import DatasetError

BIOTRAINER = ("TARGET", "SET")
"""Attributes in the headers of biotrainer's FASTA: the label, and the part of the data (train, val or test)."""
_MOST = 2**23
"""Most digests of headers that are held in memory, of eight bytes each."""


class Record(NamedTuple):
    """One sequence with its header."""

    line: int
    """Line of the header, from 1."""
    header: str
    """Text behind ``>``, without white space around it."""
    sequence: str


def records(lines: Iterable[str]) -> Iterator[Record]:
    """Yield the records of FASTA text; empty lines and lines with ``#`` before the first record are skipped.

    Raises
    ------
    DatasetError
        If any other text precedes the first header.

    Examples
    --------
    >>> list(records(["# by hand", ">a first", "EVQ", "LVE", ">b", "QVQ"]))
    [Record(line=2, header='a first', sequence='EVQLVE'), Record(line=5, header='b', sequence='QVQ')]
    """
    begin, header = 0, ""
    parts: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line if begin else line.lstrip()
        if text.startswith(">"):
            if begin:
                yield Record(begin, header, "".join(parts))
            begin, header, parts = number, text[1:].strip(), []
        elif begin:
            parts += line.split()
        elif text and not text.startswith("#"):
            raise DatasetError("a FASTA file must begin with '>'")
    if begin:
        yield Record(begin, header, "".join(parts))


def headers(lines: Iterable[str]) -> Iterator[str]:
    """Yield only the headers of FASTA text, which is faster."""
    begun = False
    for line in lines:
        text = line if begun else line.lstrip()
        if text.startswith(">"):
            begun = True
            yield text[1:].strip()


def attributes(header: str) -> dict[str, str]:
    """Return the values in a header of biotrainer.

    Examples
    --------
    >>> attributes("Seq1 TARGET=0.5 SET=train VALIDATION=False")
    {'TARGET': '0.5', 'SET': 'train', 'VALIDATION': 'False'}
    """
    pairs = (word.partition("=") for word in header.split()[1:])
    return {name: value for name, mark, value in pairs if mark}


def first_word(header: str) -> str:
    """Return the first word of a header, which is the id of a record unless two records share it."""
    return (header.split(maxsplit=1) or [""])[0]


def namer(read: Callable[[], Iterable[str]], most: int = _MOST) -> Callable[[str], str]:
    """Return a function from a header to an id: its first word if first words are unique, else the whole header.

    Records without a header do not count. Memory is bounded: first words are compared by digests of 64 bits, ``most``
    of them at a time, and the headers are read again for each further part. If two different words have one digest,
    ids are whole headers, which are as distinct; that happens in one of 10^4 files of 60 million records.

    Parameters
    ----------
    read
        Function that returns all headers, from the beginning at each call.

    Examples
    --------
    >>> headers_of_a_file = ["antibody 1", "antibody 2"]
    >>> namer(lambda: headers_of_a_file)("antibody 2")
    'antibody 2'
    >>> namer(lambda: ["a first", "b second"])("b second")
    'b'
    """
    parts, part = 1, 0
    while part < parts:
        digests = array("Q")
        for word in filter(None, map(first_word, read())):
            digest = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
            if digest % parts != part:
                continue
            digests.append(digest)
            if len(digests) % most == 0:
                if _repeats(digests):
                    return str
                if part == 0:  # keep half of the digests, and read the others in another pass
                    parts *= 2
                    digests = array("Q", [kept for kept in digests if kept % parts == 0])
        if _repeats(digests):
            return str
        part += 1
    return first_word


def _repeats(digests: "array[int]") -> bool:
    values = np.sort(np.frombuffer(digests, np.uint64)) if len(digests) else np.empty(0, np.uint64)
    return bool((values[1:] == values[:-1]).any())
