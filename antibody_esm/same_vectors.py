"""Vectors and labels of a data set, on which a pipeline is cross-validated with any split, tuned or not."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import build, one_blas_thread, refuse_inner_folds
from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.cross_validation import CrossValidation, cross_validate, fit
from antibody_esm.evaluation.overlap import SecondScores
from antibody_esm.evaluation.splits import Division
from antibody_esm.evaluation.tuned import Tuned, TunedCrossValidation
from antibody_esm.evaluation.tuning import Procedure, Tunable
from antibody_esm.finetuning_facts import step_of
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.schedule import progress_bar
from antibody_esm.result_cache import ResultFolder
from antibody_esm.specs import AnyExtractorSpec, DecisionSpec, SplitSpec, TrainSpec
from antibody_esm.specs.ensembles import columns_of, with_columns
from antibody_esm.specs.tuning import Choice, worded
from antibody_esm.store.store import EmbeddingStore, Store

if TYPE_CHECKING:
    from antibody_esm.fine_tuned import FineTuning


logger = logging.getLogger("antibody_esm")


class FittedPipeline(NamedTuple):
    """A pipeline that was fitted on all rows."""

    spec: TrainSpec
    """Spec of what predicts: without choices, and with the adapter of a fine-tuned language model."""
    classifier: Any
    vectors: NDArray[np.float64]
    """``(n, dim)``, of the training rows."""
    extractor: Extractor | None = None
    """Source of the vectors of a model that was fine-tuned; None if it is frozen."""
    finetuned: dict[str, Any] | None = None
    """Record of the fine-tuning."""


_SECOND = ResultFolder(None)
"""Cache of second cross-validations' scores, by digests of data and spec."""


def tuning_results(store: Store) -> ResultFolder:
    """Return the results of tuning that lie beside a store; those beside no folder are kept in memory."""
    if not isinstance(store, EmbeddingStore):
        return ResultFolder(None)
    return ResultFolder(tuning_folder(store.root), required=False)


def tuning_folder(root: Path) -> Path:
    """Return the folder of the results of tuning that lie beside the folder of a store."""
    named = root if root.name else root.resolve()  # a path such as . has no name
    return named.with_name(f"{named.name}.tuning")


@dataclass(frozen=True, eq=False, repr=False)
class SameVectors:
    """Vectors and labels of a data set, for cross-validation with any split.

    Attributes
    ----------
    spec
        Spec with the language model pinned, and with the columns of the data that are read.
    features
        ``(n, dim)``, the columns last.
    label
        ``(n,)``.
    columns
        The columns that are read.
    workers
        Number of concurrent folds; None is one per usable core.
    candidates
        Pinned spec of each combination that a tuned pipeline may choose, without `tune`; empty if nothing is tuned.
    views
        Features ``(n, dim)`` by pinned extractor, of the spec and of all candidates.
    results
        Results of tuning that are kept.
    progress
        As in `RuntimeSpec`.
    tuning
        Fine-tunings of the language model; `features` are then codes of residues. None if it is frozen.
    """

    spec: TrainSpec
    data: Dataset
    features: NDArray[np.float64]
    label: NDArray[Any]
    columns: ColumnReading
    workers: int | None
    candidates: Mapping[Choice, TrainSpec] = field(default_factory=dict)
    views: Mapping[AnyExtractorSpec, NDArray[np.float64]] = field(default_factory=dict)
    results: ResultFolder = field(default_factory=lambda: ResultFolder(None))
    progress: bool | None = None
    tuning: "FineTuning | None" = None

    @property
    def vectors(self) -> NDArray[np.float64]:
        """The features without columns."""
        return self.features[:, : self.features.shape[1] - len(self.columns)]

    @property
    def dim(self) -> int:
        """Number of features that the classifier reads."""
        own = self.features.shape[1]
        return own if self.tuning is None else self.tuning.dim(self.data.sequences[0]) + len(self.columns)

    def classifier(self, split: SplitSpec) -> Any:
        """Return the unfitted classifier, whose inner folds keep the units of a split together."""
        return classifier_of(self.spec.model_copy(update={"split": split}), self.dim, self.tuning)

    @property
    def undecided(self) -> "SameVectors":
        """The same without a decision, which reverses no order."""
        return replace(self, spec=self.spec.model_copy(update={"decision": DecisionSpec()}))

    def fitted(self) -> FittedPipeline:
        """Return the pipeline that is fitted on all rows; one that was fine-tuned reads the vectors of its adapter."""
        spec = self.spec
        # clusters of many sequences take minutes
        division = Division.of(spec.split, self.data) if spec.divides_again else Division(SplitSpec())
        with self.working(None), one_blas_thread():
            classifier = fit(self.classifier(spec.split), self.features, self.label, division)
        if getattr(classifier, "is_flat", False):
            logger.warning(
                "the model gives every antibody the same probability: out of fold in the training antibodies, outputs "
                "of %s do not rise with the label, so the calibration is flat",
                spec.classifier.kind,
            )
        if spec.finetune is None:
            return FittedPipeline(spec, classifier, self.vectors)
        from antibody_esm.fine_tuned import stripped  # loads scikit-learn

        step = step_of(classifier)
        extractor = with_columns(step.source_.pinned, self.columns.specs)
        spec = spec.model_copy(update={"extractor": extractor, "finetune": None})
        vectors = step.transform(self.features)[:, : self.dim - len(self.columns)]
        return FittedPipeline(spec, stripped(classifier), vectors, step.source_, step.facts_.record(self.spec.finetune))

    def validation(
        self, split: SplitSpec, others: Sequence[NDArray[np.float64]] = (), *, beside: bool = False
    ) -> CrossValidation:
        """Return the cross-validation of a split; that of a tuned pipeline chooses on the training rows of each fold.

        Parameters
        ----------
        split
            Any split of the data.
        others
            Features of other rows for each of `views`, ``(m, dim)``, which every fold predicts; or nothing.
        beside
            True adds the choices, the one on all rows, and the untuned pipeline, to those of a tuned pipeline.

        Raises
        ------
        DatasetError
            If the split does not fit the data, or training rows cannot be divided again.
        """
        division = Division.of(split, self.data)
        if self.spec.tune is not None:
            return self.tuned_validation(division, others, beside=beside)
        return replace(self, spec=self.spec.model_copy(update={"split": split})).divided_validation(division, others)

    def divided_validation(self, division: Division, others: Sequence[NDArray[np.float64]] = ()) -> CrossValidation:
        """Return the cross-validation of the pipeline that is not tuned, with any division; see `validation`.

        Its inner folds are those of the spec's split.
        """
        with self.working(division):
            return cross_validate(
                self.classifier(self.spec.split),
                self.features,
                self.label,
                division,
                self.workers,
                higher_is_better=self._best_is_high,
                others=others[0] if len(others) else None,
            )

    def working(self, division: Division | None) -> AbstractContextManager[object]:
        """Announce the fine-tunings of a cross-validation, or of a fit (None), and show their progress."""
        if self.tuning is None:
            return nullcontext()
        continuous = self.spec.is_regression
        n, sizes = len(self.label), []
        if division is not None:
            sizes = [len(train) for train, _ in division.folds(self.label, continuous=continuous)]
        return self.tuning.working(self.spec, sizes or [n], self.data.sequences)

    def tuned_validation(
        self, division: Division, others: Sequence[NDArray[np.float64]] = (), *, beside: bool = False
    ) -> TunedCrossValidation:
        """Return the cross-validation of a tuned pipeline with any division, see `validation`."""
        procedure, tune = self._procedure(division.spec), self.spec.tune
        assert tune is not None  # noqa: S101  as the caller knows
        folds = division.folds(self.label, continuous=self.spec.is_regression)
        selections = procedure.select([train for train, _ in folds], division)
        validation = procedure.predictions([each.chosen for each in selections], folds, division, others)
        tuned = None
        if beside:
            [final] = procedure.select([np.arange(len(self.label))], division)
            own = replace(procedure, candidates=[self._tunable(self.spec.untuned, division.spec)])
            untuned = own.predictions([0] * len(folds), folds, division)
            tuned = Tuned(tune, tuple(self.candidates), selections, final, untuned)
        return TunedCrossValidation(**vars(validation), tuned=tuned)

    def chosen(self) -> "tuple[SameVectors, Tuned | None]":
        """Return the vectors and the spec that are chosen on all rows, with the choice; itself if nothing is tuned.

        Raises DatasetError as `validation` does.
        """
        tune = self.spec.tune
        if tune is None:
            return self, None
        procedure = self._procedure(self.spec.split)
        [final] = procedure.select([np.arange(len(self.label))], Division.of(self.spec.split, self.data))
        tuned = Tuned(tune, tuple(self.candidates), (), final)
        spec = self.candidates[tuned.choice]
        return replace(self, spec=spec, features=self.views[spec.extractor], candidates={}, views={}), tuned

    def __call__(self, split: SplitSpec) -> SecondScores:
        """Return the scores of a split, computed once per data set and spec."""
        spec = self.spec.model_copy(update={"split": split})
        identity = {"data": self.data.digest, "spec": spec.fingerprint, "higher_is_better": self.data.higher_is_better}
        return SecondScores(**_SECOND.once(identity, lambda: asdict(SecondScores.of(self.validation(split)))))

    @property
    def _best_is_high(self) -> bool:
        return self.data.higher_is_better is not False

    def _procedure(self, split: SplitSpec) -> Procedure:
        assert self.spec.tune is not None  # noqa: S101  as the callers know
        return Procedure(
            self.spec.tune,
            [self._tunable(spec, split, choice) for choice, spec in self.candidates.items()],
            list(self.views.values()),
            self.label,
            self.spec.is_regression,
            self._best_is_high,
            self.results,
            self.workers,
            partial(_bar, self.progress),
        )

    def _tunable(self, spec: TrainSpec, split: SplitSpec, choice: Choice = ()) -> Tunable:
        view = list(self.views).index(spec.extractor)
        classifier = classifier_of(spec.model_copy(update={"split": split}), self.views[spec.extractor].shape[1])
        parts = {"classifier": spec.classifier.fingerprint, "decision": spec.decision.fingerprint, "pca": spec.pca}
        columns = [column.canonical_json for column in columns_of(spec.extractor)]
        identity = str(parts | {"columns": columns, "by": split.by, "identity": split.identity})
        return Tunable(view, classifier, identity, {key: worded(value) for key, value in choice})


def classifier_of(spec: TrainSpec, dim: int, tuning: "FineTuning | None" = None) -> Any:
    """Return the unfitted classifier of a spec for `dim` features, after the fine-tuning of their language model."""
    from antibody_esm.evaluation.calibration import decide  # loads scikit-learn

    columns = [column.values for column in columns_of(spec.extractor)]
    first = None
    if tuning is not None:
        from antibody_esm.fine_tuned import FineTuned

        refuse_inner_folds(spec.classifier)
        first = FineTuned(tuning, len(columns), spec.split.by, spec.is_regression)
    return decide(build(spec.classifier, dim, columns, spec.pca, first), spec.decision, spec.split)


def _bar(progress: bool | None, total: int) -> Any:
    return progress_bar(total, "tuning", "fit", progress)
