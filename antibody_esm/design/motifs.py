"""A language of motifs of fixed length, which no sequence and no motif can make slow.

It is a part of PROSITE's notation: elements with ``-`` between, each a residue (``N``), a choice (``[ST]``), an
exclusion (``{P}``) or any residue (``x``), perhaps repeated (``x(3)``); ``<`` at the beginning is the first residue of
a chain.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from antibody_esm.sequences import ALPHABET, AMINO_ACIDS

LONGEST = 30
"""Residues of the longest motif."""
_ELEMENT = re.compile(
    rf"(?:(?P<residue>[{AMINO_ACIDS}])|\[(?P<choice>[{AMINO_ACIDS}]{{1,20}})\]|\{{(?P<excluded>[{AMINO_ACIDS}]{{1,19}})\}}"
    r"|(?P<any>x))(?:\((?P<count>[1-9]\d?)\))?"
)
_LONGEST_TEXT = 300


@dataclass(frozen=True)
class Motif:
    """Residues that follow each other.

    An unknown residue (X) is matched by ``x`` alone.

    Examples
    --------
    >>> Motif("N-{P}-[ST]").starts("NNTSNPT")
    [0, 1]
    >>> Motif("<Q").starts("QVQLQ")
    [0]

    Raises
    ------
    ValueError
        If the text is no motif, or one of more than 30 residues or of nothing but ``x``.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text or len(self.text) > _LONGEST_TEXT:
            raise ValueError(f"a motif has 1 to {_LONGEST_TEXT} letters")
        elements = self.elements
        if len(elements) > LONGEST:
            raise ValueError(f"{self.text}: a motif of {len(elements)} residues, {LONGEST} are allowed")
        if set(elements) == {ALPHABET}:
            raise ValueError(f"{self.text} matches every residue")

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """Residues that are allowed at each place."""
        elements: list[str] = []
        for part in self.text.removeprefix("<").split("-"):
            element = _ELEMENT.fullmatch(part)
            if element is None:
                raise ValueError(
                    f"{self.text!r} is no motif at {part!r}; write residues with - between: N-G, N-{{P}}-[ST], "
                    "x for any, x(3) for three, <Q for the first residue of a chain"
                )
            allowed = element["residue"] or element["choice"] or (ALPHABET if element["any"] else "")
            if element["excluded"]:
                allowed = "".join(sorted(set(AMINO_ACIDS) - set(element["excluded"])))
            elements += [allowed] * int(element["count"] or 1)
        return tuple(elements)

    def __len__(self) -> int:
        return len(self.elements)

    def starts(self, sequence: str) -> list[int]:
        """Return the indices at which the motif begins in a sequence, from 0; occurrences may overlap."""
        return [match.start() for match in self._pattern.finditer(sequence)]

    def matches(self, residues: Sequence[str]) -> bool:
        """Return whether these residues, as many as the motif has, are the motif."""
        return all(residue in allowed for residue, allowed in zip(residues, self.elements, strict=True))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Classes of a fixed number: the time is at most that of comparing the motif at every residue.
        begin = r"\A" if self.text.startswith("<") else ""
        return re.compile(f"{begin}(?={''.join(f'[{allowed}]' for allowed in self.elements)})")
