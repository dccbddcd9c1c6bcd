"""Choice of a pipeline inside the training folds, for classes and values, with results that are kept.

Candidates are compared on folds of the training rows only, which keep the units of the split together. The best of many
scores on one set of folds is optimistic, since it was chosen for its luck as well (doi:10.1186/1471-2105-7-91); so only
scores on rows without a part in the choice are reported. Each result is kept under a digest of the numbers that it
depends on, so that none is computed twice, and none is used for other numbers.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread, workers_of
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation import kept
from antibody_esm.evaluation.budget import optuna_version, tried_within
from antibody_esm.evaluation.cross_validation import CrossValidation, FoldPredictions, collect, fit, has_converged
from antibody_esm.evaluation.metrics import METRIC, score, score_continuous
from antibody_esm.evaluation.splits import Division, Fold
from antibody_esm.evaluation.tuned import Selection
from antibody_esm.result_cache import ResultFolder
from antibody_esm.specs import SplitSpec, TuneSpec
from antibody_esm.threads import concurrency, in_threads, runs_elsewhere

Indices = NDArray[np.int64]
InnerScores = dict[int, float]
"""Number of a candidate to its mean score on the inner folds, in the order in which they were tried."""


class Tunable(NamedTuple):
    """Pipeline that may be chosen."""

    view: int
    """Number of the features that it reads, see `Procedure.views`."""
    classifier: Any
    """Unfitted scikit-learn classifier or regressor."""
    identity: str
    """Text that is different for classifiers that give other numbers."""
    choice: Mapping[str, str] = MappingProxyType({})
    """Value of each key as text, from which Optuna learns."""


@dataclass(frozen=True, eq=False)
class Procedure:
    """Cross-validation on training rows of all candidates, and the fit of the best one.

    Attributes
    ----------
    spec
        Budget, metric and folds; its grid is not read.
    candidates
        The pipelines in the order in which the first of equals is chosen.
    views
        Features of all rows, each ``(n, dim)``.
    label
        ``(n,)``, 0 or 1; numbers if `continuous`.
    continuous
        True if labels are numbers.
    higher_is_better
        False if the lowest numbers are the best.
    results
        Results that are kept.
    workers
        Fits at a time; None is one per usable core. It changes no number.
    bar
        Function from a number of tasks to a context with a progress bar, or None.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, label = np.arange(40.0)[:, None] % 9, np.arange(40) % 9 // 5
    >>> candidates = [Tunable(0, LogisticRegression(C=C), f"C={C}") for C in (0.001, 1)]
    >>> tune = TuneSpec(grid={"classifier.C": (0.001, 1)}, folds=3, metric="accuracy")
    >>> procedure = Procedure(tune, candidates, [X], label)
    >>> [choice.chosen for choice in procedure.select([np.arange(40)], Division(SplitSpec()))]
    [1]
    """

    spec: TuneSpec
    candidates: Sequence[Tunable]
    views: Sequence[NDArray[Any]]
    label: NDArray[Any]
    continuous: bool = False
    higher_is_better: bool = True
    results: ResultFolder = field(default_factory=lambda: ResultFolder(None))
    workers: int | None = None
    bar: Callable[[int], Any] | None = None

    @property
    def metric(self) -> str:
        """Metric that chooses."""
        return self.spec.metric or ("spearman" if self.continuous else "roc_auc")

    def select(self, parts: Sequence[Indices], division: Division) -> list[Selection]:
        """Return the choice on each of several sets of training rows.

        Parameters
        ----------
        parts
            Indices of training rows. No other row is read.
        division
            Division of all rows.

        Raises
        ------
        DatasetError
            If training rows have too few units to be divided, or the metric is defined on no inner fold.
        ImportError
            If a budget needs Optuna, which is not installed.
        """
        every = [_Part.of(self, rows, division) for rows in parts]
        n, minutes = len(self.candidates), self.spec.minutes
        trials = min(self.spec.trials or n, n)
        with self._working(len(every) * trials) as done:
            if trials < n or minutes is not None:
                at_once = min(concurrency(self._workers or -1), len(every))
                seconds = None if minutes is None else 60 * minutes * at_once / len(every)
                jobs = [(part, number, done, seconds) for number, part in enumerate(every)]
                scores_of_parts = in_threads(self._within_budget, jobs, self._workers)
            else:
                scores = in_threads(self._mean, [(part, i, done) for part in every for i in range(n)], self._workers)
                scores_of_parts = [dict(enumerate(scores[i : i + n])) for i in range(0, len(scores), n)]
        return [
            Selection(self.best(each), each, len(part.inner)) for each, part in zip(scores_of_parts, every, strict=True)
        ]

    def predictions(
        self, numbers: Sequence[int], folds: Sequence[Fold], division: Division, others: Sequence[Any] = ()
    ) -> CrossValidation:
        """Return the cross-validation in which each fold has a candidate of its own.

        Parameters
        ----------
        numbers
            Number of the candidate of each fold.
        folds
            Training and test rows, one repeat after the other.
        division
            Division of all rows.
        others
            Features of rows without a label for each view, ``(m, dim)``, which every fold predicts; or nothing.
        """
        with self._working(len(folds)) as done:
            jobs = [(number, fold, division, others, done) for number, fold in zip(numbers, folds, strict=True)]
            results = in_threads(self._tested, jobs, self._workers)
        kind = np.float64 if self.continuous else np.int64
        tested: list[FoldPredictions] = [
            (np.array(each["prediction"], kind), None if self.continuous else np.array(each["probability"], np.float64))
            for each in results
        ]
        validation = collect(self.label, division.spec, list(folds), tested, higher_is_better=self.higher_is_better)
        of_others = [each["others"] for each in results if each["others"] is not None]
        return replace(
            validation,
            others=np.array(of_others, np.float64) if of_others else None,
            unconverged=sum(not each["converged"] for each in results),
            penalties=tuple(each["penalty"] for each in results if each["penalty"] is not None),
        )

    @property
    def _workers(self) -> int | None:
        workers = self.workers
        for candidate in self.candidates:
            workers = workers_of(candidate.classifier, workers)
        return workers

    @contextmanager
    def _working(self, total: int) -> Iterator[Callable[[], object]]:
        """Show a progress bar, and leave warnings about inner fits out: the fit of the choice has its own."""
        from sklearn.exceptions import ConvergenceWarning

        with one_blas_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if self.bar is None or runs_elsewhere():  # a bar cannot be sent to other processes
                yield _nothing
            else:
                with self.bar(total) as bar:
                    yield bar.update

    def _within_budget(
        self, part: "_Part", number: int, done: Callable[[], object], seconds: float | None
    ) -> InnerScores:
        """Return the scores of the candidates that Optuna tries, in its order."""
        seed = int(np.random.SeedSequence((self.spec.random_state, number)).generate_state(1)[0])
        choices = [candidate.choice for candidate in self.candidates]
        sign = 1 if METRIC[self.metric].higher_is_better else -1
        scores: InnerScores = {}

        def goodness(candidate: int) -> float:
            scores[candidate] = self._mean(part, candidate, done)
            return sign * scores[candidate]

        if seconds is None:
            tried_within(goodness, choices, self.spec.trials, None, seed)
            return scores

        def compute() -> list[tuple[int, float]]:
            tried_within(goodness, choices, self.spec.trials, seconds, seed)
            return list(scores.items())

        # Time ends the same search elsewhere, so what was chosen once stays so.
        views = {candidate.view for candidate in self.candidates}
        identity = {
            "parts": [part.digest(view) for view in sorted(views)],
            "candidates": [candidate.identity for candidate in self.candidates],
            "tune": self.spec.canonical_json,
            "higher_is_better": self.higher_is_better,
            "optuna": optuna_version(),
            "number": number,
        }
        return {
            int(candidate): score for candidate, score in self.results.once(identity, compute, kept.tried(len(choices)))
        }

    def _mean(self, part: "_Part", number: int, done: Callable[[], object]) -> float:
        """Return the mean score of a candidate on the inner folds where it is defined."""
        candidate = self.candidates[number]
        identity = {"part": part.digest(candidate.view), "candidate": candidate.identity, "metric": self.metric}
        identity["higher_is_better"] = str(self.higher_is_better)
        values = self.results.once(identity, partial(self._inner, part, candidate), kept.fold_scores(len(part.inner)))
        done()
        defined = [value for value in values if value is not None]
        if not defined:
            what = "one class" if not self.continuous else "one value"
            raise DatasetError(f"{self.metric} is defined on no inner fold: each holds {what} only", column="label")
        return float(np.mean(defined))

    def _inner(self, part: "_Part", candidate: Tunable) -> list[float | None]:
        """Return the score of a candidate on each inner fold; None where labels leave the metric undefined."""
        scores: list[float | None] = []
        for train, test in part.inner:
            fitted, _ = self._fit(candidate, train, part.division.part(part.place[train]))
            scores.append(self._score(fitted, self.views[candidate.view][test], self.label[test]))
        return scores

    def _fit(self, candidate: Tunable, rows: Indices, division: Division) -> tuple[Any, float | None]:
        """Return the fitted pipeline, and the penalty that it chose, if any."""
        from sklearn.base import clone

        unfitted = clone(candidate.classifier)
        fitted = fit(unfitted, self.views[candidate.view][rows], self.label[rows], division)
        return fitted, getattr(unfitted, "chosen_", None)

    def _score(self, fitted: Any, X: NDArray[Any], label: NDArray[Any]) -> float | None:
        predicted = fitted.predict(X)
        if self.continuous:
            value = score_continuous(label, predicted, higher_is_better=self.higher_is_better)[self.metric]
        else:
            value = score(label, predicted, fitted.predict_proba(X)[:, 1])[self.metric]
        if not np.isnan(value):
            return float(value)
        # A model that predicts one value for all antibodies ranks none of them, and is not to be left out for that.
        return None if len(np.unique(label)) < 2 else 0.0

    def _tested(
        self, number: int, fold: Fold, division: Division, others: Sequence[NDArray[Any]], done: Callable[[], object]
    ) -> dict[str, Any]:
        """Return the predictions of a candidate that is fitted on the training rows of a fold."""
        candidate, (train, test) = self.candidates[number], fold
        X = self.views[candidate.view]
        of_others = others[candidate.view] if len(others) else None
        identity = {
            "trained": digest_of(X[train], self.label[train], units_of(division, train)),
            "split": division.spec.canonical_json,
            "tested": digest_of(X[test], *([] if of_others is None else [of_others])),
            "candidate": candidate.identity,
        }

        def compute() -> dict[str, Any]:
            fitted, penalty = self._fit(candidate, train, division.part(train))
            return {
                "prediction": fitted.predict(X[test]).tolist(),
                "probability": None if self.continuous else fitted.predict_proba(X[test])[:, 1].tolist(),
                "others": None if of_others is None else self._numbers(fitted, of_others),
                "converged": has_converged(fitted),
                "penalty": penalty,
            }

        of_test = kept.predictions(len(test), None if of_others is None else len(of_others), continuous=self.continuous)
        result: dict[str, Any] = self.results.once(identity, compute, of_test)
        done()
        return result

    def _numbers(self, fitted: Any, X: NDArray[Any]) -> list[float]:
        values = fitted.predict(X) if self.continuous else fitted.predict_proba(X)[:, 1]
        return [float(value) for value in values]

    def best(self, scores: InnerScores) -> int:
        """Return the number of the candidate with the best score; of equals the one that is listed first."""
        sign = 1 if METRIC[self.metric].higher_is_better else -1
        return min(scores, key=lambda number: (-sign * scores[number], number))


def _nothing() -> None:
    """Show no progress."""


@dataclass(frozen=True, eq=False)
class _Part:
    """Training rows with their inner folds."""

    rows: Indices
    division: Division
    """Division of these rows by the outer split."""
    inner: list[Fold]
    """Indices among all rows."""
    place: Indices
    """Place of each row of the data set among these rows; -1 for other rows."""
    digests: dict[int, str]
    views: Sequence[NDArray[Any]]
    label: NDArray[Any]

    @classmethod
    def of(cls, procedure: Procedure, rows: Indices, division: Division) -> "_Part":
        own = division.part(rows)
        folds = inner_folds(own, procedure.label[rows], procedure.spec, continuous=procedure.continuous)
        place = np.full(len(procedure.label), -1)
        place[rows] = np.arange(len(rows))
        inner = [(rows[train], rows[test]) for train, test in folds]
        return cls(rows, own, inner, place, {}, procedure.views, procedure.label)

    def digest(self, view: int) -> str:
        """Return the digest of all that a candidate's inner scores depend on, but the candidate."""
        if view not in self.digests:
            folds = [self.place[rows] for fold in self.inner for rows in fold]
            X, units = self.views[view][self.rows], units_of(self.division, np.arange(len(self.rows)))
            content = digest_of(X, self.label[self.rows], units, *folds)
            self.digests[view] = f"{content} {self.division.spec.canonical_json}"
        return self.digests[view]


def inner_folds(division: Division, label: NDArray[Any], spec: TuneSpec, *, continuous: bool) -> list[Fold]:
    """Return the folds of training rows on which candidates are compared.

    Parameters
    ----------
    division
        Division of the training rows by the outer split, whose units stay together.
    label
        ``(m,)``, of the training rows.
    spec
        Number of folds and seed; there are fewer folds if there are too few units.
    continuous
        True for numbers.

    Raises
    ------
    DatasetError
        If the rows cannot be divided at all.
    """
    by = division.spec.by
    if by in ("family", "fold"):
        return division.folds(label, continuous=continuous)
    problem: DatasetError | None = None
    for folds in range(spec.folds, 1, -1):
        split = SplitSpec(folds=folds, random_state=spec.random_state)
        if by in ("identity", "group"):
            again = division.again(split.model_copy(update={"by": by, "identity": division.spec.identity}))
        else:
            again = Division(split)
        try:
            return again.folds(label, continuous=continuous)
        except DatasetError as error:
            problem = error
    raise DatasetError(f"nothing can be chosen inside of the training antibodies: {problem}", column="label")


def digest_of(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of the types, shapes and values of arrays."""
    content = hashlib.sha256()
    for array in arrays:
        if array.dtype.hasobject:
            array = array.astype(str)
        content.update(f"{array.dtype.str} {array.shape};".encode() + np.ascontiguousarray(array).tobytes())
    return content.hexdigest()


def units_of(division: Division, rows: Indices) -> NDArray[Any]:
    """Return the unit of each of some rows by number, from 0 in order; rows alone are their own."""
    if division.unit is None:
        return np.arange(len(rows))
    return np.unique(division.unit[rows], return_inverse=True)[1]
