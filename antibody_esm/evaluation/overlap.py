"""Training antibodies among test antibodies, and clonal relatives in other folds: both make scores optimistic.

Two antibodies are clonally related if their identity is at least 90 % (`antibody_esm.data.identity`); antibodies of two
chains, if that of their heavy chains is.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import has_similar
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.intervals import Interval, corrected_resampled_t
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.result_cache import ResultFolder
from antibody_esm.specs import OF_THE_DATA, SplitSpec

RELATED = 0.9
"""Smallest identity of clonally related antibodies."""
MANY_CLONES = 0.05
"""Largest share of antibodies with a clonal relative in another fold about which a report does not warn."""
_COUNTED = ResultFolder(None)
"""Counts by digests of data sets, which many pipelines share; it holds numbers only."""
_MANY = 10_000
_SAMPLE = 5_000
"""Antibodies that are compared if there are more than `_MANY`; drawn at random with a fixed seed."""


class Overlap(NamedTuple):
    """Counts of test antibodies that are training antibodies, or clonally related to them."""

    tested: int
    training: int
    """Test antibodies that are training antibodies: the same sequences."""
    related: int
    """Further test antibodies that are clonally related to training antibodies."""

    def __str__(self) -> str:
        related = "clonally related (90 % identity)"
        if not self.training and not self.related:
            return ""
        if not self.training:
            words = f"{_are(self.related)} {related} to training antibodies"
            return f"{self.related:,} of {self.tested:,} test antibodies {words}: scores are optimistic."
        words = "is a training antibody" if self.training == 1 else "are training antibodies"
        more = f", {self.related:,} more {_are(self.related)} {related}" if self.related else ""
        return f"{self.training:,} of {self.tested:,} test antibodies {words}{more}: scores are optimistic."


def overlap(tested: Dataset, training: Dataset) -> Overlap:
    """Return the counts of test antibodies that are training antibodies, or clonally related to them.

    All training antibodies are compared, however many there are.
    """
    key = {"tested": tested.digest, "training": training.digest}
    return Overlap(**_COUNTED.once(key, lambda: _overlap(tested, training)._asdict()))


def _overlap(tested: Dataset, training: Dataset) -> Overlap:
    trained = set(training.sequences)
    exact = np.array([sequence in trained for sequence in tested.sequences], np.bool_)
    rest = [sequence for sequence, same in zip(tested.identity_sequences, exact, strict=True) if not same]
    related = has_similar(rest, list(dict.fromkeys(training.identity_sequences)), RELATED)
    return Overlap(len(tested), int(exact.sum()), int(related.sum()))


class Clones(NamedTuple):
    """Count of antibodies that have a clonal relative in another fold."""

    antibodies: int
    looked_at: int
    """Antibodies that were compared with other folds: all, or a random sample of very many."""
    related: int

    @property
    def share(self) -> float:
        """Share of antibodies with a clonal relative in another fold, 0 to 1."""
        return self.related / self.looked_at if self.looked_at else 0.0

    @property
    def many(self) -> bool:
        """True if more than a twentieth of antibodies have a clonal relative in another fold."""
        return self.share > MANY_CLONES

    def __str__(self) -> str:
        percent = f"{100 * self.share:.0f} %"
        counted = f"{self.related:,} of {self.antibodies:,} antibodies ({percent}) {_have(self.related)}"
        if self.looked_at < self.antibodies:
            sample = f"{self.looked_at:,} drawn at random of {self.antibodies:,}"
            counted = f"About {percent} of antibodies ({self.related:,} of {sample}) have"
        return f"{counted} a clonal relative (90 % identity) in another fold: scores are optimistic."


def clones(data: Dataset, fold: NDArray[np.int64]) -> Clones:
    """Return the count of antibodies with a clonal relative in another fold.

    Parameters
    ----------
    fold
        ``(n,)``, the fold in which each antibody was tested.
    """
    key = {
        "data": data.digest,
        "limits": [_MANY, _SAMPLE],
        "fold": hashlib.sha256(fold.astype("<i8").tobytes()).hexdigest(),
    }
    return Clones(**_COUNTED.once(key, lambda: _clones(data, fold)._asdict()))


def _clones(data: Dataset, fold: NDArray[np.int64]) -> Clones:
    sequences, rows = data.identity_sequences, np.arange(len(data))
    if len(rows) > _MANY:
        rows = np.sort(np.random.default_rng(0).choice(rows, _SAMPLE, replace=False))
    related = has_similar([sequences[row] for row in rows.tolist()], sequences, RELATED, parts=(fold[rows], fold))
    return Clones(len(data), len(rows), int(related.sum()))


def split_by_identity(split: SplitSpec) -> SplitSpec:
    """Return the split of the second cross-validation: as many folds, which divide no clonal relatives."""
    if split.by in OF_THE_DATA:
        return SplitSpec(by="identity", identity=RELATED)
    return split.model_copy(update={"by": "identity", "identity": RELATED})


@dataclass(frozen=True)
class SecondScores:
    """Scores of a second cross-validation, whose folds keep clonal relatives together.

    Attributes
    ----------
    scores
        Metric to its value on each fold; None if it is not defined.
    tested
        Number of antibodies tested for each training antibody, mean over folds.
    folds
        Number of folds of each repeat.
    """

    scores: dict[str, list[float | None]]
    tested: float
    folds: int

    @classmethod
    def of(cls, validation: CrossValidation) -> "SecondScores":
        """Return the scores of a cross-validation as plain values."""
        scores = {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in validation.scores.items()
        }
        sizes = np.unique(validation.fold.reshape(len(validation.fold), -1)[:, 0], return_counts=True)[1]
        return cls(scores, float((sizes / (sizes.sum() - sizes)).mean()), len(sizes))

    def interval(self, metric: str) -> Interval:
        """Return the mean over folds of a metric with its interval at 95 %."""
        values = np.array([np.nan if value is None else value for value in self.scores[metric]])
        return corrected_resampled_t(values, self.tested, bounds=METRIC[metric].bounds)


Again = Callable[[SplitSpec], SecondScores]
"""Cross-validate the same vectors with another split; raises DatasetError if the split does not fit the data."""


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"
