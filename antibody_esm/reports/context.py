"""Context of the scores on one data set: baselines, nearest training antibodies and families.

Baselines are kept for the next pipelines on the same data, under a digest of all that they depend on. They hold arrays
of predictions and no data set, so a data set is freed with its last report.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import plain
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import identities
from antibody_esm.descriptors import UNKNOWN, germline_genes
from antibody_esm.errors import RECOVERABLE, DatasetError, in_one_line
from antibody_esm.evaluation.baselines import (
    BASELINES,
    BaselineName,
    Prediction,
    Results,
    cross_validate_baselines,
    fit_baselines,
)
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.specs import ColumnSpec, TrainSpec
from antibody_esm.specs.ensembles import columns_of

T = TypeVar("T")
UntrainedBaselines = Mapping[BaselineName, Callable[[], CrossValidation | Prediction]]
"""Functions that compute the baselines of random weights, by name."""
NONE: UntrainedBaselines = MappingProxyType({})
"""No such baselines."""

MANY = 5_000
"""Number of antibodies above which baselines that compare or number all antibodies are left out: they take hours."""
_SLOW: tuple[BaselineName, ...] = ("kmers", "germline", "germline_distance", "positions", "nearest_neighbour")
_TOO_MANY = f"left out of reports on more than {MANY:,} antibodies, where it takes hours"
_KEPT = 32
"""Baseline results that are kept, at most: many pipelines are reported on one data set."""


class _Recent(Generic[T]):
    """The results that were last used, by digest."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()

    def once(self, key: str, compute: Callable[[], T]) -> T:
        """Return the result of a digest; compute it if it is not kept."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
        result = compute()
        with self._lock:
            self._results[key] = result
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)
        return result


_CROSS_VALIDATED: _Recent[Results[CrossValidation]] = _Recent()
_TESTED: _Recent[Results[Prediction]] = _Recent()


def cross_validated_baselines(data: Dataset, spec: TrainSpec) -> Results[CrossValidation]:
    """Return baselines on the folds of a pipeline."""
    split, continuous, columns = spec.split, spec.is_regression, columns_of(spec.extractor)
    names = quick_baselines(data)

    def compute() -> Results[CrossValidation]:
        results = cross_validate_baselines(data, split, names, columns=columns, continuous=continuous)
        return Results(results.found, results.absent | _left_out(names))

    key = _digest(_content(data), split.fingerprint, continuous, names, _fingerprints(columns))
    return _CROSS_VALIDATED.once(key, compute)


def tested_baselines(training: Dataset, data: Dataset, spec: TrainSpec) -> Results[Prediction]:
    """Return baselines of a pipeline that were fitted on a training set, and their predictions for other data.

    Raises
    ------
    DatasetError
        If the two are of different chains or fragments.
    """
    continuous, columns = spec.is_regression, columns_of(spec.extractor)
    names = [name for name in quick_baselines(training) if name in quick_baselines(data)]

    def compute() -> Results[Prediction]:
        results = fit_baselines(training, names, columns=columns, continuous=continuous).score(data)
        return Results(results.found, results.absent | _left_out(names))

    key = _digest(_content(training), _content(data), continuous, names, _fingerprints(columns))
    return _TESTED.once(key, compute)


def of_sequences(
    data: Dataset,
    training: Dataset | None,
    spec: TrainSpec,
    label: NDArray[Any],
    clusters: NDArray[np.int64] | None,
    best_is_high: bool,
) -> Results[ScoredPredictions]:
    """Return the baselines that pipelines on the same data share, without a training set those on the same folds."""
    if training is None:
        folds = cross_validated_baselines(data, spec)
        of_folds = {
            name: ScoredPredictions.of_folds(each, label, higher_is_better=best_is_high).clustered(clusters)
            for name, each in folds.found.items()
        }
        return Results(of_folds, folds.absent)
    try:
        tests = tested_baselines(training, data, spec)
    except DatasetError as error:
        return Results({}, dict.fromkeys(BASELINES, str(error)))
    of_tests = {
        name: ScoredPredictions.of_test(each, label, clusters, higher_is_better=best_is_high)
        for name, each in tests.found.items()
    }
    return Results(of_tests, tests.absent)


def computed(
    untrained: UntrainedBaselines,
    label: NDArray[Any],
    clusters: NDArray[np.int64] | None,
    best_is_high: bool,
) -> Results[ScoredPredictions]:
    """Return the baselines of random weights; one that fails is absent, with the reason."""
    scored: dict[BaselineName, ScoredPredictions] = {}
    absent: dict[BaselineName, str] = {}
    for name, compute in untrained.items():
        try:
            result = compute()
        except RECOVERABLE as error:
            absent[name] = in_one_line(error)
            continue
        if isinstance(result, Prediction):
            scored[name] = ScoredPredictions.of_test(result, label, clusters, higher_is_better=best_is_high)
        else:
            of_folds = ScoredPredictions.of_folds(result, label, higher_is_better=best_is_high)
            scored[name] = of_folds.clustered(clusters)
    return Results(scored, absent)


def quick_baselines(data: Dataset) -> list[BaselineName]:
    """Return the names of the baselines that do not take hours on so many antibodies."""
    return [name for name in BASELINES if len(data) <= MANY or name not in _SLOW]


def _left_out(names: list[BaselineName]) -> dict[BaselineName, str]:
    return {name: _TOO_MANY for name in BASELINES if name not in names}


def _content(data: Dataset) -> list[object]:
    """Return all of a data set that baselines and folds read; `Dataset.digest` of a saved model is only a claim."""
    return [
        [data.chain, data.fragment, data.species],
        data.heavy,
        data.light,
        None if data.label is None else np.asarray(data.label).tolist(),
        data.groups,
        data.higher_is_better,
        {name: np.asarray(values).tolist() for name, values in data.measurements.items()},
        {name: plain(values) for name, values in data.columns.items()},
    ]


def _fingerprints(columns: Sequence[ColumnSpec]) -> list[str]:
    return [column.fingerprint for column in columns]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def nearest_identity(data: Dataset, training: Dataset) -> NDArray[np.float64] | None:
    """Return the identity ``(n,)`` of each antibody to the nearest training antibody, 0 to 1; None for very many.

    For antibodies of two chains it is the identity of the heavy chains, see `Dataset.identity_sequences`.
    """
    if max(len(data), len(training)) > MANY:
        return None
    theirs = training.identity_sequences
    return np.concatenate([same.max(axis=1) for _, same in identities(data.identity_sequences, theirs)])


def identity_to_other_folds(data: Dataset, fold: NDArray[np.int64], repeats: int) -> NDArray[np.float64] | None:
    """Return the identity of each antibody to the nearest one of the other folds, 0 to 1; None for very many.

    Parameters
    ----------
    fold
        ``(repeats * n,)``; the result has the same shape.
    """
    if len(data) > MANY:
        return None
    folds = fold.reshape(repeats, len(data))
    nearest = np.empty(folds.shape)
    for rows, same in identities(data.identity_sequences, data.identity_sequences):
        for repeat in range(repeats):
            nearest[repeat, rows] = np.where(folds[repeat, rows, None] != folds[repeat], same, 0).max(axis=1)
    return nearest.ravel()


def family(data: Dataset) -> NDArray[np.object_] | None:
    """Return the family of each antibody: its group, else its V gene family; None if there is neither."""
    if data.groups is not None:
        return np.array(data.groups, object)
    if len(data) > MANY:
        return None
    heavy, light = germline_genes(data.sequences, species=data.species).T
    genes = heavy if (heavy != UNKNOWN).any() else light
    return np.array([name.partition("-")[0] for name in genes], object) if (genes != UNKNOWN).any() else None
