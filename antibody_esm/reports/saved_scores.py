"""Scores that are saved with a model, from the report of its cross-validation."""

import logging
from collections.abc import Callable
from typing import Any

from antibody_esm.data.dataset import Dataset
from antibody_esm.errors import RECOVERABLE, in_one_line
from antibody_esm.reports import records
from antibody_esm.reports.analysis import Analysis
from antibody_esm.unknown import Unknown

logger = logging.getLogger("antibody_esm")


def report_key(data: Dataset, check: bool, random_seeds: int) -> tuple[Any, ...]:
    """Return all of a data set and of a call that the report of a pipeline depends on."""
    return data.digest, data.label_name, data.higher_is_better, data.groups_name, check, random_seeds


def saved_scores(report_of: Callable[[], Analysis]) -> dict[str, Any] | Unknown:
    """Return the scores of a report, or the reason why there are none.

    A cross-validation that fails keeps no model from being saved. Its message is logged and not saved, since it may
    name antibodies.
    """
    try:
        report = report_of()
    except RECOVERABLE as error:
        logger.warning("the model is saved without scores, because its cross-validation failed: %s", in_one_line(error))
        return Unknown("the antibodies do not allow the cross-validation of the split")
    try:
        return records.saved(report)
    except RECOVERABLE as error:
        logger.warning("the model is saved without the scores of baselines: %s", in_one_line(error))
        return records.summary(report)
