"""Results of a benchmark as plain JSON values, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.baselines import Prediction
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.finetuning_facts import FineTuningFacts


def plain(result: CrossValidation | Prediction) -> dict[str, Any]:
    """Return predictions and scores of a cross-validation or test, which `validation_of` and `prediction_of` read.

    Rows of several repeats follow each other.
    """
    columns: dict[str, NDArray[Any] | None] = {"prediction": result.prediction, "probability": result.probability}
    if isinstance(result, CrossValidation):
        columns["fold"] = result.fold
    rows = {name: values.T.ravel().tolist() for name, values in columns.items() if values is not None}
    scores = {name: np.atleast_1d(values) for name, values in result.scores.items()}
    return {"predictions": rows, "scores": plain_scores(scores)}


def plain_scores(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, list[float | None]]:
    """Return metrics with their values on each fold; undefined ones are None."""
    return {name: [None if np.isnan(value) else float(value) for value in values] for name, values in scores.items()}


def validation_of(values: Mapping[str, Any], n: int) -> CrossValidation:
    """Return the cross-validation of ``n`` antibodies."""
    columns = {name: np.array(rows).reshape(-1, n).T for name, rows in values["predictions"].items()}
    columns = {name: rows[:, 0] if rows.shape[1] == 1 else rows for name, rows in columns.items()}
    return CrossValidation(
        {name: _numbers(scores) for name, scores in values["scores"].items()},
        columns["fold"],
        columns["prediction"],
        columns.get("probability"),
        unconverged=values.get("unconverged", 0),
        penalties=tuple(values.get("penalties", ())),
        finetuned=tuple(map(FineTuningFacts.from_plain, values.get("finetuned", ()))),
    )


def prediction_of(values: Mapping[str, Any]) -> Prediction:
    """Return the predictions for a test set."""
    rows, scores = values["predictions"], {name: float(_numbers(each)[0]) for name, each in values["scores"].items()}
    probability = None if "probability" not in rows else np.array(rows["probability"])
    return Prediction(np.array(rows["prediction"]), probability, scores)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)
