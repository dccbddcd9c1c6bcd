"""Scores of parts of the antibodies, such as families."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from antibody_esm.data.audit import FEWEST
from antibody_esm.evaluation.effective_size import FOLDS
from antibody_esm.evaluation.intervals import Interval
from antibody_esm.evaluation.predictions import AnyPredictions, Predictions
from antibody_esm.evaluation.scored_predictions import held_out_intervals


class Slice(NamedTuple):
    """Score of a part of the antibodies."""

    antibodies: int
    positives: int | None
    """Number of antibodies of class 1; None for continuous labels."""
    interval: Interval

    @property
    def shown(self) -> bool:
        """True if the score is defined, and is that of `antibody_esm.data.audit.FEWEST` antibodies at least."""
        return self.defined and self.antibodies >= FEWEST

    @property
    def defined(self) -> bool:
        """True if the score is defined."""
        return not np.isnan(self.interval.estimate)


def slices(rows: AnyPredictions, labels: Sequence[str], metric: str) -> dict[str, Slice]:
    """Return the score of each slice of the rows, in order of first occurrence.

    Parameters
    ----------
    rows
        One row for each antibody.
    labels
        ``(n,)``, the slice of each row.
    metric
        A metric that counts rows or averages errors, because rows of several models are not ranked in one list.
    """
    table = {}
    every = np.array(labels, object)
    for label in dict.fromkeys(labels):
        chosen = rows.subset(np.flatnonzero(every == label), folds=False)
        interval = held_out_intervals(chosen)[metric]
        if rows.fold is not None:
            interval = replace(interval, unclaimed=FOLDS)
        positives = int(chosen.label.sum()) if isinstance(chosen, Predictions) else None
        table[label] = Slice(len(chosen), positives, interval)
    return table
