"""What a report sets beside its scores: baselines on the same rows, nearest training antibodies, families."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import identities
from antibody_esm.descriptors import UNKNOWN, germline_genes
from antibody_esm.evaluation.baselines import (
    BASELINES,
    BaselineName,
    Results,
    cross_validate_baselines,
    fit_baselines,
)
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.reports.scored import Scored, predictions
from antibody_esm.specs import SplitSpec

MANY = 5_000
"""Of more antibodies, what compares all with all or numbers them is left out; it would take hours."""
_SLOW: tuple[BaselineName, ...] = ("kmers", "germline", "nearest_neighbour")
_TOO_MANY = f"left out of reports on more than {MANY:,} antibodies, where it takes hours"


@lru_cache(maxsize=32)  # many pipelines are reported on one data set
def cross_validated_baselines(data: Dataset, split: SplitSpec, continuous: bool) -> Results[Scored]:
    """Return baselines on the folds of a split."""
    names = _quick(data)
    found = cross_validate_baselines(data, split, names, continuous=continuous)
    label = data.continuous_labels() if continuous else data.binary_labels()

    def scored(one: CrossValidation) -> Scored:
        folds = len(next(iter(one.scores.values()))) // one.repeats
        fold = one.fold.T.ravel() + np.repeat(np.arange(one.repeats), len(data)) * folds
        probability = None if one.probability is None else one.probability.T.ravel()
        rows = predictions(np.tile(label, one.repeats), one.prediction.T.ravel(), probability, fold=fold)
        return Scored(rows, one.scores, one.repeats)

    absent = found.absent | {name: _TOO_MANY for name in BASELINES if name not in names}
    return Results({name: scored(one) for name, one in found.found.items()}, absent)


@lru_cache(maxsize=32)
def tested_baselines(training: Dataset, data: Dataset, continuous: bool) -> Results[Scored]:
    """Return baselines that were fitted on a training set, on other data.

    Raises
    ------
    DatasetError
        If the two are of different chains or fragments.
    """
    names = [name for name in _quick(training) if name in _quick(data)]
    found = fit_baselines(training, names, continuous=continuous).score(data)
    label = data.continuous_labels() if continuous else data.binary_labels()
    scored = {
        name: Scored(
            predictions(label, one.prediction, one.probability),
            {metric: np.array([value]) for metric, value in one.scores.items()},
        )
        for name, one in found.found.items()
    }
    return Results(scored, found.absent | {name: _TOO_MANY for name in BASELINES if name not in names})


def _quick(data: Dataset) -> list[BaselineName]:
    return [name for name in BASELINES if len(data) <= MANY or name not in _SLOW]


def nearest_identity(data: Dataset, training: Dataset) -> NDArray[np.float64] | None:
    """Return the identity ``(n,)`` of each antibody to the nearest of a training set, 0 to 1; None of very many.

    Of antibodies of two chains it is the identity of the heavy chains, see `Dataset.identity_sequences`.
    """
    if max(len(data), len(training)) > MANY:
        return None
    theirs = training.identity_sequences
    return np.concatenate([same.max(axis=1) for _, same in identities(data.identity_sequences, theirs)])


def identity_to_other_folds(data: Dataset, fold: NDArray[np.int64], repeats: int) -> NDArray[np.float64] | None:
    """Return the identity of each antibody to the nearest of the other folds, 0 to 1; None of very many.

    Parameters
    ----------
    fold
        ``(repeats * n,)``, which is also the shape of what is returned.
    """
    if len(data) > MANY:
        return None
    of = fold.reshape(repeats, len(data))
    found = np.empty(of.shape)
    for rows, same in identities(data.identity_sequences, data.identity_sequences):
        for one in range(repeats):
            found[one, rows] = np.where(of[one, rows, None] != of[one], same, 0).max(axis=1)
    return found.ravel()


def family(data: Dataset) -> NDArray[np.object_] | None:
    """Return the family of each antibody: its group, else its V gene family; None where neither is known."""
    if data.groups is not None:
        return np.array(data.groups, object)
    if len(data) > MANY:
        return None
    heavy, light = germline_genes(data.sequences, species=data.species).T
    known = heavy if (heavy != UNKNOWN).any() else light
    return np.array([name.partition("-")[0] for name in known], object) if (known != UNKNOWN).any() else None
