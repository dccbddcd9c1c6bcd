"""Profiles: the predictions of a panel for tables of antibodies, as a table and as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.data.antibody_tables import Table, read_tables, table_of
from antibody_esm.data.layouts import Columns
from antibody_esm.data.reading import Chains
from antibody_esm.errors import errors_of
from antibody_esm.evaluation.interval import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.panel import Panel, blocks
from antibody_esm.predictor import Predictor
from antibody_esm.reports import profile_page
from antibody_esm.reports.profile_page import ProfileColumn
from antibody_esm.score_tables import Scores, liabilities_of, score_rows

if TYPE_CHECKING:
    import pandas as pd


def profile_file(path: str | Path, panel: Panel, columns: Columns | None = None, **options: Any) -> Iterator[Scores]:
    """Yield a panel's predictions for the antibodies in a file, in batches of rows; see `profile_frame`."""
    first = 0
    for table in read_tables(Path(path), columns, species=panel.first.reading.species):
        with errors_of(path):
            scores = _profile(table, panel, first=first, **options)
        yield scores
        first += len(table.frame)


def profile_frame(
    frame: "pd.DataFrame",
    panel: Panel,
    columns: Columns | None = None,
    *,
    first: int = 0,
    liabilities: bool = False,
    **options: Any,
) -> Scores:
    """Return a panel's predictions for the antibodies in a table.

    Parameters
    ----------
    frame, columns, first, liabilities
        As for `antibody_esm.score_tables.score_frame`.
    panel
        Models of several labels.
    options
        Further options of `antibody_esm.score_tables.score_frame`, for every model.

    Returns
    -------
    The table has ``row`` and ``id``, and the columns of `Panel.predict`. A row that some models refuse has no numbers
    in their blocks, and the reason as a warning there; a row that all models refuse is rejected.
    """
    table = table_of(frame, columns, species=panel.first.reading.species)
    return _profile(table, panel, first=first, liabilities=liabilities, **options)


def _profile(rows_of: Table, panel: Panel, *, first: int, liabilities: bool = False, **options: Any) -> Scores:
    scores = {label: score_rows(rows_of, model, first=first, **options) for label, model in panel.items()}
    antibodies: dict[int, Chains] = {}
    names: dict[int, str] = {}
    for each in scores.values():
        antibodies |= dict(zip(each.table["row"], each.antibodies, strict=True))
        names |= dict(zip(each.table["row"], each.table["id"], strict=True))
    rows = sorted(antibodies)
    tables = {label: _of_rows(each, rows, names) for label, each in scores.items()}
    table = blocks(tables, ["row", "id"])
    chains = [antibodies[row] for row in rows]
    if liabilities:
        table[["liabilities", "liability_sites"]] = liabilities_of(chains, panel.first.reading)
    return Scores(table, _rejected(scores, set(rows)), chains)


def flagged(table: "pd.DataFrame", panel: Panel) -> int:
    """Return the number of antibodies with a warning of any model."""
    warned = np.zeros(len(table), bool)
    for label in panel:
        warned |= (table[f"{label} warning"] != "").to_numpy()
    return int(warned.sum())


def profile_html(table: "pd.DataFrame", panel: Panel, source: str, total: int | None = None) -> str:
    """Return the page of a profile: a heat map of antibodies by labels, and the facts of the models.

    Parameters
    ----------
    table
        Table of `profile_frame` or `Panel.predict`; the first 500 rows are shown.
    panel
        The models.
    source
        Name of the antibodies.
    total
        Number of antibodies, if the table has only the first of them.
    """
    first = panel.first
    details = f"Models of {first.data.source}, which read {first.reading} sequences."
    return profile_page.page(table, profile_columns(panel), source, len(table) if total is None else total, details)


def profile_columns(panel: Panel) -> list[ProfileColumn]:
    """Return the labels of a panel with the facts that a heat map needs."""
    return [
        ProfileColumn(
            label,
            model.spec.is_regression,
            model.data.higher_is_better,
            _reference(model),
            model.data.antibodies,
            _score(model),
        )
        for label, model in panel.items()
    ]


def _reference(model: Predictor) -> Any:
    """Return the labels of the training antibodies; None if they are unknown."""
    antibodies = model.training
    return None if antibodies is None or antibodies.label is None else np.asarray(antibodies.label, np.float64)


def _score(model: Predictor) -> str:
    """Return the first metric of the cross-validation in words; empty if there is none, or if it is not defined."""
    metric = "spearman" if model.spec.is_regression else "roc_auc"
    row = (model.metrics or {}).get("scores", {}).get(metric, {})
    mean = row.get("mean") if isinstance(row, dict) else None
    return f"{METRIC[metric].title} {short(mean, 3)}" if isinstance(mean, float) else ""


def _of_rows(scores: Scores, rows: list[int], names: dict[int, str]) -> "pd.DataFrame":
    """Return the table of one label for all rows of the panel."""
    reasons = dict(zip(scores.rejected["row"], scores.rejected["reason"], strict=True))
    table = scores.table.set_index("row").drop(columns="id").reindex(rows)
    table["warning"] = [reasons.get(row, text) for row, text in zip(rows, table["warning"], strict=True)]
    if "conformal_set" in table:
        table["conformal_set"] = table["conformal_set"].fillna("")
        table["prediction"] = table["prediction"].astype("Int64")  # so that batches with and without gaps are alike
    table = table.reset_index()
    table.insert(1, "id", [names[row] for row in rows])
    return table


def _rejected(scores: dict[str, Scores], scored: set[int]) -> "pd.DataFrame":
    """Return the rows that no model reads, with the reasons; labels are named if their reasons differ."""
    import pandas as pd

    ids: dict[int, str] = {}
    reasons: dict[int, dict[str, str]] = {}
    for label, each in scores.items():
        for row, name, reason in zip(each.rejected["row"], each.rejected["id"], each.rejected["reason"], strict=True):
            if row not in scored:
                ids[row] = name
                reasons.setdefault(row, {})[label] = reason
    texts = [
        next(iter(why.values())) if len(set(why.values())) == 1 else "; ".join(map(": ".join, why.items()))
        for why in (reasons[row] for row in sorted(reasons))
    ]
    rows = sorted(reasons)
    return pd.DataFrame({"row": rows, "id": [ids[row] for row in rows], "reason": texts})
