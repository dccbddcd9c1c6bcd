"""Antibodies that a report predicts worst, by name."""

from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.reports.analysis import Analysis

if TYPE_CHECKING:
    import pandas as pd

_MEASUREMENTS = 3
"""Most measurements in the table."""


def worst_errors(report: Analysis, n: int = 10) -> "pd.DataFrame":
    """Return the antibodies with the largest errors, at most `n`, largest first; see `Report.worst_errors`."""
    import pandas as pd

    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    size = len(report.data)
    each = {
        name: report.predictions[name].to_numpy(np.float64).reshape(report.repeats, size)
        for name in ("label", "prediction", "probability")
        if name in report.predictions
    }
    label, mean = each["label"][0], {name: values.mean(axis=0) for name, values in each.items()}
    if report.spec.is_regression:
        error = mean["prediction"] - label
        order = np.argsort(-np.abs(error), kind="stable")[:n]
        columns: dict[str, Any] = {"label": label, "prediction": mean["prediction"], "error": error}
    else:
        wrong = np.flatnonzero((each["prediction"] != label).mean(axis=0) >= 0.5)
        error = np.abs(mean["probability"] - label)
        order = wrong[np.argsort(-error[wrong], kind="stable")][:n]
        classes = {"label": label.astype(int), "prediction": 1 - label.astype(int)}
        columns = {**classes, "probability": mean["probability"], "error": error}
    columns = {"id": np.array(report.data.ids, object)} | columns
    if report.identity is not None:
        columns["identity"] = report.identity[:size]
    if report.family is not None:
        columns["family"] = report.family
    for name in _measurements(report):
        columns.setdefault(name, report.data.measurement(name))
    return pd.DataFrame({name: values[order] for name, values in columns.items()})


def _measurements(report: Analysis) -> list[str]:
    """Return the measurements of the table: the grade of the labels first, then others that have a value."""
    names = [name for name in (report.data.grade,) if name is not None]
    names += [name for name in report.data.measurements if name not in ("fold", *names)]
    return [name for name in names if np.isfinite(report.data.measurement(name)).any()][:_MEASUREMENTS]
