"""Predictions for labelled rows, with the fold of the model that made each."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.metrics import CONTINUOUS_METRICS, METRICS, Classified, Counts, Measured, Values


@dataclass(frozen=True, eq=False, kw_only=True)
class _Rows(ABC):
    """Common part of predictions of classes and of continuous labels."""

    fold: NDArray[np.int64] | None
    clusters: NDArray[np.int64] | None = None

    METRICS: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        names = [name for name in self._columns() if getattr(self, name) is not None]
        for name in names:
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        self._metrics(slice(None))  # raises if rows cannot be scored
        for name in ("fold", "clusters"):
            if name in names:
                column = getattr(self, name)
                if column.shape != (len(self),):
                    raise ValueError(f"{name} has one entry a row ({len(self)}), got shape {column.shape}")
                object.__setattr__(self, name, np.unique(column, return_inverse=True)[1])
        if self.fold is not None and self.folds < 2:
            raise ValueError("one fold is no cross-validation; use fold=None if one model predicted every row")

    @abstractmethod
    def __len__(self) -> int: ...

    def _columns(self) -> list[str]:
        """Return the names of the fields with one entry a row."""
        return [field.name for field in fields(self) if field.name != "higher_is_better"]

    @property
    def folds(self) -> int:
        """Number of models that predicted the rows."""
        return 1 if self.fold is None else int(self.fold.max()) + 1

    @property
    def independent(self) -> bool:
        """True if every row is a cluster of its own."""
        return self.clusters is None or int(self.clusters.max()) + 1 == len(self)

    @property
    def cluster(self) -> NDArray[np.int64]:
        """``(n,)``, the cluster of each row, from 0."""
        return np.arange(len(self)) if self.clusters is None else self.clusters

    def subset(self, rows: NDArray[Any], *, folds: bool = True) -> Self:
        """Return the predictions at these indices; without folds, as if one model had made them.

        Folds may be left out only for metrics that count rows or average errors, because these do not rank rows of
        different models.
        """
        columns = {name: getattr(self, name) for name in self._columns()}
        chosen = {name: None if column is None else column[rows] for name, column in columns.items()}
        several = folds and self.fold is not None and len(np.unique(self.fold[rows])) > 1
        return replace(self, **chosen if several else chosen | {"fold": None})

    def scores(self) -> dict[str, float]:
        """Return every metric: over all rows if one model predicted them, else the mean over folds."""
        values = self.scorer()(np.ones((1, len(self))))
        return {name: float(values[name][0]) for name in self.METRICS}

    def fold_scores(self) -> dict[str, NDArray[np.float64]]:
        """Return every metric on each fold, ``(folds,)``; NaN if it is not defined."""
        if self.fold is None:
            raise ValueError("one model predicted every row; there are no folds")
        return {name: scores.copy() for name, scores in self._fold_scores.items()}

    @cached_property
    def _fold_scores(self) -> dict[str, NDArray[np.float64]]:
        folds = [self._metrics(rows)(np.ones((1, len(rows)))) for rows in self._by_fold()]
        return {name: np.array([float(values[name][0]) for values in folds]) for name in self.METRICS}

    def scorer(self) -> Callable[[Counts], Values]:
        """Return the function from counts ``(samples, n)`` to every metric of these samples of the rows.

        With folds it is the mean over those folds in which the metric is defined: probabilities of two models are on
        two scales and are never ranked in one list.
        """
        if self.fold is None:
            return self._metrics(slice(None))
        parts = [(rows, self._metrics(rows)) for rows in self._by_fold()]

        def mean(counts: Counts) -> Values:
            folds = [metrics(counts[:, rows]) for rows, metrics in parts]
            return {name: _mean_of_defined(np.stack([values[name] for values in folds])) for name in folds[0]}

        return mean

    def _by_fold(self) -> list[NDArray[np.int64]]:
        return [np.flatnonzero(self.fold == number) for number in range(self.folds)]

    @abstractmethod
    def _metrics(self, rows: NDArray[np.int64] | slice) -> Classified | Measured: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions(_Rows):
    """Predicted classes and probabilities, beside the true classes.

    ``fold`` has no default, so that predictions of several models are not taken for those of one model.

    Attributes
    ----------
    label, prediction
        ``(n,)``, 0 or 1.
    probability
        ``(n,)`` of class 1, 0 to 1.
    fold
        None if one model, which was trained on none of the rows, predicted them all; after cross-validation
        ``(n,)``, the fold in which each row was tested.
    clusters
        ``(n,)``, the cluster of each row (a number or a name): clones of one parent, sequences of one identity
        cluster, antibodies of one donor. None if rows are independent.

    Raises
    ------
    ValueError
        If lengths differ, there is no row, or all rows are of one fold; if a class is not 0 or 1, or a probability is
        not from 0 to 1.

    Examples
    --------
    >>> held_out = Predictions(label=[0, 1, 1], prediction=[0, 1, 0], probability=[0.2, 0.9, 0.4], fold=None)
    >>> held_out.scores()["roc_auc"]
    1.0
    """

    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    probability: NDArray[np.float64]

    METRICS: ClassVar[tuple[str, ...]] = METRICS

    def __len__(self) -> int:
        return len(self.label)

    @property
    def truth(self) -> NDArray[np.int64]:
        """``(n,)``, the true classes."""
        return self.label

    @property
    def tied(self) -> bool:
        """True if rows of both classes have the same probability in the same fold."""
        fold = np.zeros(len(self), np.int64) if self.fold is None else self.fold
        negative, positive = (
            set(zip(fold[self.label == label].tolist(), self.probability[self.label == label].tolist(), strict=True))
            for label in (0, 1)
        )
        return not negative.isdisjoint(positive)

    def _metrics(self, rows: NDArray[np.int64] | slice) -> Classified:
        return Classified(self.label[rows], self.prediction[rows], self.probability[rows])


@dataclass(frozen=True, eq=False, kw_only=True)
class ContinuousPredictions(_Rows):
    """Predicted values, beside the measured ones.

    Attributes
    ----------
    target, prediction
        ``(n,)``.
    higher_is_better
        False if the lowest targets are the best, see `metrics.score_continuous`.
    fold, clusters
        As in `Predictions`.
    centre
        ``(n,)``, mean label of the training rows of the model that predicted each row, if rows of several models are
        ranked and correlated in one list (`pooled`); None otherwise.

    Raises
    ------
    ValueError
        If lengths differ, there is no row, a value is not finite, or all rows are of one fold.
    """

    target: NDArray[np.float64]
    prediction: NDArray[np.float64]
    higher_is_better: bool = True
    centre: NDArray[np.float64] | None = None

    METRICS: ClassVar[tuple[str, ...]] = CONTINUOUS_METRICS

    def __len__(self) -> int:
        return len(self.target)

    @property
    def truth(self) -> NDArray[np.float64]:
        """``(n,)``, the measured values."""
        return self.target

    def _metrics(self, rows: NDArray[np.int64] | slice) -> Measured:
        centre = None if self.centre is None else self.centre[rows]
        return Measured(self.target[rows], self.prediction[rows], centre, higher_is_better=self.higher_is_better)

    def pooled(self) -> "ContinuousPredictions":
        """Return the predictions of one repeat in one list, each less the mean label of its training rows.

        Without the subtraction, folds whose labels are high by chance get lower predictions, since their training rows
        have lower labels: the correlation of a model that only knows the mean is then -1 if each row is its own fold.
        """
        return replace(self, fold=None, centre=self.training_means())

    def training_means(self) -> NDArray[np.float64]:
        """Return the mean label of the training rows of the model that predicted each row, ``(n,)``."""
        if self.fold is None:
            raise ValueError("one model predicted every row; there are no folds")
        total, count = np.bincount(self.fold, self.target), np.bincount(self.fold)
        means: NDArray[np.float64] = (self.target.sum() - total) / (len(self) - count)
        return means[self.fold]


AnyPredictions = Predictions | ContinuousPredictions


def predictions_of(
    label: NDArray[Any],
    prediction: NDArray[Any],
    probability: NDArray[np.float64] | None,
    *,
    fold: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
    higher_is_better: bool = True,
) -> AnyPredictions:
    """Return predictions of classes, or of continuous labels if there is no probability."""
    if probability is None:
        return ContinuousPredictions(
            target=label, prediction=prediction, fold=fold, clusters=clusters, higher_is_better=higher_is_better
        )
    return Predictions(label=label, prediction=prediction, probability=probability, fold=fold, clusters=clusters)


def _mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis of values that are not NaN."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
