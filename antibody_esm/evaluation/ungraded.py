"""Antibodies between the classes, each predicted by the model of one fold, which no model was trained on.

Rule: an antibody belongs to the fold of its relatives. By group, family or predefined fold, it is the fold of that
name; by identity, the fold of the most similar labelled antibody, if that is at or above the threshold. Antibodies
without a relative, and all of them if each antibody is its own unit, go to the folds in turn. The model of a fold was
trained without that fold. So each antibody of a data set, labelled or not, is predicted by one model that was not
trained on it, nor on its nearest relatives if the split keeps these together. If the split needs groups or predefined
folds that the other antibodies lack, none is predicted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import identities
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.splits import Division
from antibody_esm.specs import SplitSpec

_NAMED = ("group", "family", "fold")
"""Splits by a name or number in the data."""


@dataclass(frozen=True, eq=False)
class Ungraded:
    """Predictions for the antibodies in `Dataset.ungraded`."""

    score: NDArray[np.float64]
    """``(m,)``, probability of class 1, or the value."""
    fold: NDArray[np.int64] | None = None
    """``(m,)``, fold whose model predicted each antibody; None for a test, where one model predicted all."""

    @classmethod
    def of_folds(cls, data: Dataset, split: SplitSpec, validation: CrossValidation) -> "Ungraded | None":
        """Return the prediction of each antibody by the model of its fold, in the first repeat; None if there is none.

        There is none either if the antibodies lack the groups or folds of the split.

        Parameters
        ----------
        data
            With `Dataset.ungraded`.
        split, validation
            Split and cross-validation of the labelled antibodies.
        """
        if data.ungraded is None or validation.others is None or not _has_units(data.ungraded, split):
            return None
        scores = validation.others[: len(validation.others) // validation.repeats]
        own = _folds(data, data.ungraded, split, validation.fold.reshape(len(data), -1)[:, 0], len(scores))
        return cls(scores[own, np.arange(len(own))], own)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {"score": self.score.tolist(), "fold": None if self.fold is None else self.fold.tolist()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any] | None) -> "Ungraded | None":
        """Return the predictions with the fields of `to_dict`; None for None."""
        if fields is None:
            return None
        fold = fields["fold"]
        return cls(np.array(fields["score"], np.float64), None if fold is None else np.array(fold, np.int64))


def _has_units(others: Dataset, split: SplitSpec) -> bool:
    """Return False if the split needs groups or predefined folds that other antibodies lack."""
    if split.by not in _NAMED:
        return True
    try:
        Division.of(split, others)
    except DatasetError:
        return False
    return True


def _folds(
    data: Dataset, others: Dataset, split: SplitSpec, fold: NDArray[np.int64], n_folds: int
) -> NDArray[np.int64]:
    """Return the fold of each other antibody, ``(m,)``, by the rule above; `fold` ``(n,)`` is that of the labelled."""
    own = np.arange(len(others)) % n_folds
    if split.by == "identity":
        sequences = data.identity_sequences
        for rows, same in identities(others.identity_sequences, sequences):
            related = same.max(axis=1) >= split.identity
            own[rows] = np.where(related, fold[same.argmax(axis=1)], own[rows])
    elif split.by in _NAMED:
        mine, theirs = (Division.of(split, each).unit for each in (data, others))
        assert mine is not None  # noqa: S101  such a split has units
        assert theirs is not None  # noqa: S101
        of_unit = dict(zip(mine.tolist(), fold.tolist(), strict=True))
        own = np.array([of_unit.get(unit, place) for unit, place in zip(theirs.tolist(), own.tolist(), strict=True)])
    return own
