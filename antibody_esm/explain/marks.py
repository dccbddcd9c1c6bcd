"""Marks of residues in pictures: a symbol by severity, and the words for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from antibody_esm.reports.figures import COLOURS
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SYMBOLS = {"high": "◆", "medium": "◇", "low": "·"}
"""Symbols of severities in text."""
_HEIGHT = 0.95
"""Height of the marks in a figure, as a share of the axes."""


class Mark(NamedTuple):
    """Liability of a residue in a picture."""

    site: int
    """Index of the residue among the sites of the picture, from 0."""
    severity: str
    """``high``, ``medium`` or ``low``."""
    name: str
    """Motif and position, such as ``NG at H62``."""
    kind: str
    """Such as ``deamidation``."""

    @property
    def title(self) -> str:
        """Words beside the residue."""
        return f"{self.kind} ({self.severity})"


Marks = tuple[Mark, ...] | Unknown | None
"""Marks of a picture; why they are not known; or None if they were not asked for."""


def by_site(marks: Marks) -> dict[int, list[Mark]]:
    """Return the marks of each residue, the most severe first."""
    every: dict[int, list[Mark]] = {}
    if isinstance(marks, tuple):
        for mark in sorted(marks, key=lambda mark: (mark.site, list(SYMBOLS).index(mark.severity))):
            every.setdefault(mark.site, []).append(mark)
    return every


def in_words(marks: Marks) -> list[str]:
    """Return a line for each severity that occurs; the reason if marks are not known; nothing without marks."""
    if marks is None:
        return []
    if isinstance(marks, Unknown):
        return [f"no liabilities: {marks}"]
    lines = []
    for severity, symbol in SYMBOLS.items():
        names = [f"{mark.name} ({mark.kind})" for mark in marks if mark.severity == severity]
        if names:
            lines.append(f"{symbol} {severity} liability: {', '.join(names)}")
    return lines or ["no medium or high liability at these residues"]


def draw(ax: "Axes", sites: Sequence[int], severity: str, heights: Sequence[float] | None = None) -> None:
    """Draw the marks of one severity on axes that count residues: filled for high, else empty.

    Parameters
    ----------
    heights
        Height of each mark in the unit of the axis; None: all at the top of the axes.
    """
    if sites:
        ax.scatter(
            sites,
            [_HEIGHT] * len(sites) if heights is None else heights,
            marker="D",
            s=22 if heights is None else 14,
            facecolors=COLOURS["ink"] if severity == "high" else "none",
            edgecolors=COLOURS["ink"],
            linewidths=0.9,
            transform=ax.get_xaxis_transform() if heights is None else ax.transData,
            label=f"{severity} liability",
            zorder=3,
        )
