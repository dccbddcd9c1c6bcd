"""Sections of a page on each single report.

`PARTS` is the order of what a report holds beside its result: a further part is a further line there.
"""

import html
from collections.abc import Callable, Sequence

import numpy as np

from antibody_esm.evaluation.interval import compact
from antibody_esm.reports import elements, finetuning_panel, panels, results, tuning_panel
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.reports.worst_errors import worst_errors


def figures_of(report: Analysis, figures: panels.Figures) -> list[Part]:
    """Return the groups of figures of a report."""
    return [
        Part(heading, (f"<p>{caption}</p>" if caption else "") + figures.figures(group))
        for heading, caption, group in panels.of_report(report)
        if group
    ]


def errors(report: Analysis, figures: panels.Figures) -> list[Part]:
    """Return the table of the worst errors, by name."""
    table = worst_errors(report)
    if table.empty:
        return []
    heads = ["", *(report.family_title if name == "family" else str(name) for name in table.columns[1:])]
    lines = [("", [html.escape(_cell(value)) for value in row]) for row in table.itertuples(index=False)]
    what = "largest differences" if report.spec.is_regression else "wrong predictions that are the most confident"
    caption = (
        f"The {len(lines)} {what}. A label may be wrong too: measure again before you blame the model. "
        "Report.worst_errors has more."
    )
    return [Part("Worst errors", elements.table(heads, lines, caption, last="errors"))]


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else compact(float(f"{value:.3g}"))
    return str(value)


def embedding_map(report: Analysis, figures: panels.Figures) -> list[Part]:
    """Return the map of the vectors, if these are at hand."""
    shown = panels.of_map(report)
    return [Part(shown[0].title, figures.bare(shown))] if shown else []


PARTS: tuple[Callable[[Analysis, panels.Figures], Sequence[Part]], ...] = (
    tuning_panel.parts,
    finetuning_panel.parts,
    results.metrics,
    figures_of,
    errors,
    embedding_map,
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
