"""Sections of a page on each single report.

`PARTS` is the order of what a report holds beside its result: a further part is a further line there.
"""

import html
from collections.abc import Callable, Sequence

from antibody_esm.reports import panels, results
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import GridAnalysis


def figures_of(report: Analysis, figures: panels.Figures) -> list[Part]:
    """Return the groups of figures of a report."""
    return [
        Part(heading, (f"<p>{caption}</p>" if caption else "") + figures.figures(group))
        for heading, caption, group in panels.of_report(report)
        if group
    ]


PARTS: tuple[Callable[[Analysis, panels.Figures], Sequence[Part]], ...] = (
    results.metrics,
    figures_of,
)
"""Functions of the parts of a report, in the order of the page; each returns no part if there is nothing to show."""


def details(grid: GridAnalysis, figures: panels.Figures) -> list[Part]:
    """Return a section for each report; those of several reports are folded."""
    if len(grid.reports) == 1:
        return [Part("In detail", "", _parts(grid.reports[0], figures))]
    return [Part(name, _folded(report, figures), folded=True) for name, report in grid.named]


def _folded(report: Analysis, figures: panels.Figures) -> str:
    """Return the notes and parts of one report among others."""
    parts = "".join(f"<h3>{html.escape(part.title)}</h3>{part.body}" for part in _parts(report, figures))
    return results.notes_of(report) + parts


def _parts(report: Analysis, figures: panels.Figures) -> tuple[Part, ...]:
    return tuple(part for make in PARTS for part in make(report, figures))
