"""Correlations of predictions with the measurements of a data set."""

from collections.abc import Mapping

import numpy as np

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import cluster
from antibody_esm.evaluation.intervals import Interval
from antibody_esm.evaluation.overlap import RELATED
from antibody_esm.evaluation.predictions import ContinuousPredictions, Predictions
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.evaluation.ungraded import Ungraded


def correlation(data: Dataset, scored: ScoredPredictions, name: str) -> Interval:
    """Return Spearman's correlation of predictions with a measurement, for the antibodies that have it."""
    value = data.measurement(name)
    measured = np.flatnonzero(np.isfinite(value))
    rows = scored.first.subset(measured)
    predicted, centre = (rows.probability, None) if isinstance(rows, Predictions) else (rows.prediction, rows.centre)
    pairs = ContinuousPredictions(
        target=value[measured], prediction=predicted, fold=rows.fold, clusters=rows.clusters, centre=centre
    )
    return ScoredPredictions.of(pairs).intervals["spearman"]


def graded(data: Dataset, scored: ScoredPredictions, ungraded: Ungraded | None) -> Mapping[int, Interval]:
    """Return the correlations with the grade of the labels, see `Analysis.graded`."""
    rows, grade, others = scored.first, data.grade, data.ungraded
    if grade is None or not isinstance(rows, Predictions):
        return {}
    of_labelled = {len(rows): correlation(data, scored, grade)}
    if others is None or ungraded is None:
        return of_labelled
    parts = (data, others)
    pairs = ContinuousPredictions(
        target=np.concatenate([each.measurement(grade) for each in parts]),
        prediction=np.concatenate([rows.probability, ungraded.score]),
        fold=None if ungraded.fold is None else np.concatenate([rows.fold, ungraded.fold]),
        clusters=None
        if rows.clusters is None
        else cluster([text for each in parts for text in each.identity_sequences], RELATED),
    )
    return {len(pairs): ScoredPredictions.of(pairs).intervals["spearman"]} | of_labelled
