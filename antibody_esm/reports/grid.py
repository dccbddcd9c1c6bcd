"""Report of several pipelines on several data sets, side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.files import csv_text, write
from antibody_esm.reports import notes, page, plots, records, tables
from antibody_esm.reports.grid_analysis import Column, GridAnalysis
from antibody_esm.reports.report import Report

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class GridReport(GridAnalysis):
    """Pipelines on data sets, with intervals, baselines and comparisons. ``print(grid)`` shows a table.

    Like a `Report`, it is an analysis (`GridAnalysis`) with methods that show it; ``repr(grid)`` computes nothing.

    Parameters
    ----------
    reports
        One report or several, of classes or continuous labels. Those of the same antibodies and folds share a column;
        pipelines that were scored on different rows are not ranked together.

    Raises
    ------
    ValueError
        If there is no report.
    """

    reports: tuple[Report, ...]

    def __init__(self, reports: Sequence[Report]) -> None:
        super().__init__(reports)

    def sentences(self, column: Column) -> list[str]:
        """Return the sentences on a column: each pipeline against the best baseline, and claims between pipelines."""
        return notes.sentences(self, column)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row for each pipeline or baseline, data set and metric.

        Columns: pipeline, fragment, data, kind (``cross-validation`` or ``test``), baseline, metric, value (a mean over
        folds, or the score), sd over folds, low, high, method, claimed, unclaimed (the reason).
        """
        return records.grid_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the table, the comparisons and every report as plain JSON values."""
        return records.grid(self)

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, and return the path."""
        path = Path(path)
        write(path, json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False).encode())
        return path

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_frame` as CSV, and return the path."""
        path = Path(path)
        write(path, csv_text(self.to_frame()).encode())
        return path

    def predictions_to_csv(self, path: str | Path) -> Path:
        """Write the predictions of all reports as CSV, whose column ``target`` is the label; return the path."""
        path = Path(path)
        write(path, csv_text(records.predictions(self)).encode())
        return path

    def to_html(self, path: str | Path) -> Path:
        """Write one page that loads nothing else, and return its path."""
        path = Path(path)
        write(path, page.page(self).encode())
        return path

    def plot_scores(self, data: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the scores and intervals of a data set, of the first by default. Return the axes."""
        return plots.grid_scores(self, data, ax)

    def plot_comparisons(self, data: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the differences between the pipelines and baselines of a data set. Return the axes."""
        return plots.grid_comparisons(self, data, ax)

    def __repr__(self) -> str:
        number, sources = len(self.reports), len({report.data.provenance.source for report in self.reports})
        reports, sets = (f"{n} {noun}{'s' * (n != 1)}" for n, noun in ((number, "report"), (sources, "data set")))
        return f"<{type(self).__name__}: {reports} on {sets}; print(grid) shows all>"

    def __str__(self) -> str:
        return tables.grid_text(self)
