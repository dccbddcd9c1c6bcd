"""One HTML page of reports that loads nothing, has a light and a dark style, and can be printed.

It has no script, and a policy that forbids every load; figures are inline SVG. The same results give the same bytes. It
opens with the verdict; `SECTIONS` is the order of all that follows, and `details.PARTS` that of each report.
"""

from collections.abc import Callable, Sequence

from antibody_esm.reports import details, elements, learning_curve, opening, panels, results, sources
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import GridAnalysis

SECTIONS: tuple[Callable[[GridAnalysis, panels.Figures], Sequence[Part]], ...] = (
    results.overview,
    results.results,
    details.details,
    learning_curve.sections,
    sources.data,
    sources.provenance,
    sources.reproduce,
)
"""Functions of the sections of a page, in their order; each returns no section if there is nothing to show."""


def page(grid: GridAnalysis) -> str:
    """Return the page of a grid of reports, or of a single one."""
    figures = panels.Figures()
    title = grid.reports[0].title if len(grid.reports) == 1 else grid.title
    first = opening.opening(grid, figures)
    sections = [section for make in SECTIONS for section in make(grid, figures)]
    return elements.document(title, [first, elements.contents(sections), *elements.rendered(sections)])
