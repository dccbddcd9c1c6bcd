"""The grade behind the labels of a data set: other labels than those it is the grade of have none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.label_rules import RuledLabels
from antibody_esm.errors import DatasetError
from antibody_esm.spelling import did_you_mean


def grade_of(
    grade: str | None,
    before: RuledLabels | None,
    measurements: Mapping[str, Any],
    ids: Sequence[str],
    label: NDArray[np.float64] | None,
) -> tuple[str | None, RuledLabels | None]:
    """Return the grade of these labels, and the labels that it is the grade of; None for each that there is not.

    The first labels of a data set with a grade are those that it is the grade of. Other labels have no grade. Nor have
    the same labels once the measurement is removed.

    Raises
    ------
    DatasetError
        If a grade is named that is no measurement.
    """
    if grade is None:
        return None, None
    own = before if before is not None and before.rule == grade else None
    if grade not in measurements:
        if own is not None:
            return None, None
        there = ", ".join(measurements) or "there are none"
        meant = did_you_mean(grade, measurements)
        raise DatasetError(f"the grade {grade!r} is no measurement; these are: {there}{meant}", column=grade)
    if label is None:
        return grade, own
    if own is None:
        return grade, RuledLabels(grade, tuple(ids), label.copy())
    return (grade, own) if own.hold(ids, label) else (None, None)


def between_classes(data: Any, others: Any) -> Any:
    """Return the antibodies between the classes of a data set, read as it is; None if its labels have no grade."""
    if others is None or data.grade is None:
        return None
    if data.grade not in others.measurements:
        raise DatasetError(f"the antibodies in ungraded have no measurement {data.grade!r}", column=data.grade)
    return replace(others, chain=data.chain, fragment=data.fragment, species=data.species)
