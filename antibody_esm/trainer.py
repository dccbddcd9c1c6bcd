"""Training and cross-validation of a classifier or regressor on vectors of a language model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from antibody_esm import presets
from antibody_esm.data.column_reading import ColumnReading, columns_read, with_columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.reading import Texts
from antibody_esm.data.training_data import training_data
from antibody_esm.embedding import as_store
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.conformal import out_of_fold
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.features.sources import AnyExtractor
from antibody_esm.model_files import NOT_FITTED
from antibody_esm.model_input import with_widths
from antibody_esm.pipeline_curve import Curved
from antibody_esm.predictor import Predictor
from antibody_esm.reports.notes import UNCHECKED
from antibody_esm.reports.report import Report, cross_validation_report
from antibody_esm.same_vectors import SameVectors as SameVectors
from antibody_esm.same_vectors import tuning_results
from antibody_esm.serialization import Training
from antibody_esm.source_views import SourceViews
from antibody_esm.specs import (
    AnyExtractorSpec,
    ClassifierSpec,
    DecisionSpec,
    FineTuneSpec,
    RegressorSpec,
    RuntimeSpec,
    SplitSpec,
    TrainSpec,
    TuneSpec,
    default_split,
)
from antibody_esm.specs.ensembles import of_chain, with_columns, without_columns
from antibody_esm.store.store import Store
from antibody_esm.targets import target_of
from antibody_esm.trained_on import TrainedOn
from antibody_esm.untrained import Untrained

if TYPE_CHECKING:
    from antibody_esm.data.training_data import Labels, Trainable

_LACK = "lack what the model reads"
_DROP = ". load_dataset(..., drop=True) leaves them out; use_columns=False leaves the columns out"


class Trainer(Curved):
    """Train and cross-validate one classifier or regressor on the vectors of one language model.

    Parameters
    ----------
    extractor
        Language model: a preset's name, a local folder, an `ExtractorSpec`, a `ChainSpec` of one for each chain, an
        `EnsembleSpec` of several, or a `DescriptorSpec`, which needs none.
    classifier
        A preset's name or a spec; for continuous labels a regressor, such as ``"ridge"``. With descriptors, a preset
        that depends on the scale of features standardizes them; a spec is taken as it is.
    split
        Folds of the cross-validation; by default ten, stratified and shuffled; five, repeated twenty times, for fewer
        than 45 antibodies with continuous labels.
    decision
        Calibration of the probabilities and threshold of the classes, fitted within the training rows; by default the
        classifier's own.
    use_columns
        True adds the columns of the data (`Dataset.columns`) to the extractor, unless it names columns itself
        (`ColumnSpec`).
    pca
        Number of principal components of the training rows in place of the vectors; None for the vectors.
    tune
        Fields that are chosen inside the training folds: a `TuneSpec`, or its grid. Finished results are kept in a
        folder beside the store, such as ``embeddings.tuning/``, so that a run that was stopped continues from there.
    finetune
        Fine-tuning of the language model on the training rows of each fold: ``"lora"``, ``"head"``, or a
        `FineTuneSpec`. Finished adapters are kept in a folder beside the store, such as ``embeddings.adapters/``.
    store
        An `EmbeddingStore` or its folder, so that no vector is computed twice; None keeps vectors in memory for the
        life of this object.
    runtime
        Device, workers and progress bar, none of which changes a number.
    random_seeds
        Number of baselines in reports whose language model has random weights, 0 to 3, each with another seed. Their
        vectors take as long as those of the language model, once.

    Attributes
    ----------
    spec
        The specs in one; its fingerprint and the data identify the run.
    predictor_
        Result of the last `fit`.

    Examples
    --------
    >>> from antibody_esm import Trainer, load_dataset
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> trainer = Trainer(extractor="antiberty", classifier="logreg", store="embeddings/")
    >>> report = trainer.cross_validate(data)
    >>> predictor = trainer.fit(data)
    >>> predictor.predict_proba(["GFTFSSYAISGSGGSTAKDRGGYYFDY"]).shape
    (1, 2)
    """

    def __init__(
        self,
        extractor: str | Path | AnyExtractorSpec = presets.DEFAULT_EXTRACTOR,
        classifier: str | ClassifierSpec | RegressorSpec = presets.DEFAULT_CLASSIFIER,
        split: SplitSpec | None = None,
        *,
        decision: DecisionSpec | None = None,
        use_columns: bool = True,
        pca: int | None = None,
        tune: TuneSpec | Mapping[str, Sequence[Any]] | None = None,
        finetune: str | FineTuneSpec | None = None,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        random_seeds: int = 1,
    ) -> None:
        chosen = presets.extractor(extractor)
        self.spec = TrainSpec(
            extractor=chosen,
            classifier=presets.classifier(classifier, chosen),
            split=split or SplitSpec(),
            decision=decision or DecisionSpec(),
            use_columns=use_columns,
            pca=pca,
            tune=TuneSpec(grid=tune) if isinstance(tune, Mapping) else tune,
            finetune=presets.finetuning(finetune),
        )
        self.store = as_store(store)
        self._views = SourceViews.of(self.spec, runtime)
        self._results = tuning_results(self.store)
        self.random_seeds = random_seeds
        self._by_default = split is None
        self._target = target_of(self.spec)
        self._last: Report | None = None
        self._reports: WeakValueDictionary[str, Report] = WeakValueDictionary()  # by digest; those in use, and the last

    @classmethod
    def from_spec(
        cls,
        spec: TrainSpec,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        default_split: bool = False,
        random_seeds: int = 1,
    ) -> "Trainer":
        """Return the trainer of a `TrainSpec`, or of its parts but the split if the default one is to suit the data."""
        split = None if default_split else spec.split
        options: dict[str, Any] = {"decision": spec.decision, "use_columns": spec.use_columns}
        options["random_seeds"] = random_seeds
        options |= {"pca": spec.pca, "tune": spec.tune, "finetune": spec.finetune}
        return cls(spec.extractor, spec.classifier, split, **options, store=store, runtime=runtime)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    @property
    def extractor(self) -> AnyExtractor:
        """Source of the vectors of the spec."""
        return self._views.extractor

    @property
    def source(self) -> AnyExtractor:
        """Source of all vectors that are needed: `extractor`, or the views of a tuned language model, from one pass."""
        return self._views.source

    def cross_validate(self, data: "Trainable", labels: "Labels" = None, *, check: bool = True) -> Report:
        """Return scores on every fold and the out-of-fold predictions.

        Scores of a tuned pipeline are those of the procedure, which chooses on the training rows of each fold; see
        `Report.tuned`.

        Parameters
        ----------
        data, labels
            Labelled antibodies: a `Dataset`; a DataFrame, read as by `load_dataset`; or sequences and their labels.
        check
            True if numbering checks that each antibody is the chain, or part, that the data set declares. The first
            time, numbering takes about 5 ms an antibody.

        Raises
        ------
        DatasetError
            If an antibody is another molecule, or lacks a number of a column that is read; if a classifier's labels are
            not 0 and 1, or a regressor's are all equal; if a class has fewer antibodies than there are folds; if
            training rows of a tuned pipeline cannot be divided without dividing units.
        ImportError
            If a budget needs Optuna, which is not installed.
        SequenceError, CheckpointError, StoreError
            As `antibody_esm.embed` does.

        Examples
        --------
        >>> from antibody_esm import load_dataset
        >>> data = load_dataset("boughter_flu_cdrs")
        >>> report = Trainer("descriptors", split=SplitSpec(folds=5)).cross_validate(data)
        >>> round(report.summary["scores"]["roc_auc"]["mean"], 2)
        0.66
        """
        data = training_data(data, labels, extractor=self.spec.extractor)
        again = self.same_vectors(data, check=check)
        notes = () if check else (UNCHECKED,)
        spec = with_columns_read(self._for(data), data.columns)
        validation = again.validation(spec.split, self._ungraded(again), beside=True)
        ungraded = Ungraded.of_folds(data, spec.split, validation)
        run = self.extractor.runtime
        validate = partial(validated, store=self.store, runtime=run)
        untrained = Untrained(spec, self.store, run, self.random_seeds, self.extractor, validate)
        second = None if spec.finetune else again  # which would fine-tune again
        report = cross_validation_report(
            spec, data, validation, notes, again=second, ungraded=ungraded, untrained=untrained.cross_validated(data)
        )
        self._last = self._reports[data.digest] = report
        return report

    def embed(self, data: "Trainable", *, check: bool = True) -> NDArray[np.float64]:
        """Return the vectors ``(n, dim)`` of a data set, which needs no labels; they are kept in the store.

        So are all views of a tuned language model. Before it is fine-tuned, they are those of the frozen model. Raises
        DatasetError if an antibody is another molecule, and as `antibody_esm.embed` does.
        """
        data = training_data(data, extractor=self.spec.extractor, labelled=False)
        return self._suited(data, check).vectors(data, self.store)[0]

    def same_vectors(self, data: "Trainable", labels: "Labels" = None, *, check: bool = True) -> SameVectors:
        """Return the vectors and labels of a data set, for any split; input and errors are as in `cross_validate`."""
        data = training_data(data, labels, extractor=self.spec.extractor)
        label = self._target.labels(data)
        arrays = self._suited(data, check).read(data, self.store, fine_tuned=self.spec.finetune is not None)
        columns = ColumnReading.of(columns_read(self.spec, data.columns), data.columns)
        read = columns.read(data.columns, len(data))
        data.refuse(Texts([()] * len(data), {}).without(read.reasons), _LACK, _DROP)
        every = [np.hstack([vectors, read.codes]) if columns else vectors for vectors in arrays]
        pinned = [with_columns(spec, columns.specs) for spec in self._views.pinned]
        of_view = dict(zip(self._views.specs, pinned, strict=True))
        spec = self._for(data).model_copy(update={"extractor": pinned[0]})
        spec = with_widths(spec, data.sequences[0], self.extractor, self.store)
        candidates = {} if spec.tune is None else self.spec.candidates
        return SameVectors(
            spec,
            data,
            every[0],
            label,
            columns,
            self.extractor.runtime.workers,
            {
                choice: each.model_copy(
                    update={
                        "extractor": of_view[without_columns(each.extractor)],
                        "split": spec.split,
                        "classifier": with_widths(each, data.sequences[0], self.extractor, self.store).classifier,
                    }
                )
                for choice, each in candidates.items()
            },
            dict(zip(pinned, every, strict=True)),
            self._results,
            self.extractor.runtime.progress,
            self._views.tuning(self.spec.finetune, self.store),
        )

    def fit(
        self, data: "Trainable", labels: "Labels" = None, *, uncertainty: bool = True, check: bool = True
    ) -> Predictor:
        """Fit on all of the data, and return the predictor, which is also ``predictor_``.

        The predictor of a tuned pipeline is that of its choice on all of the data: `Predictor.spec` is the chosen one,
        and `Predictor.data` records the choice.

        If `cross_validate` was run on the same data, and its report is the last one or still in use, its scores are
        saved with the model. Raises as `cross_validate` does.

        Parameters
        ----------
        data, labels
            Labelled antibodies: a `Dataset`; a DataFrame, read as by `load_dataset`; or sequences and their labels.
        uncertainty
            True fits five more times, out of fold, for the uncertainty in `Predictor.score_table`; a tuned pipeline
            chooses again each time.
        check
            As for `cross_validate`; it also applies to the model's predictions.

        Examples
        --------
        >>> loops, labels = ["GFTFSSYAKKRG", "GYTFTDYEDDAG", "GFSLSTSGKRRK", "GDSISSYDEDYG"] * 3, [1, 0, 1, 0] * 3
        >>> Trainer("descriptors").fit(loops, labels, uncertainty=False, check=False).predict(loops[:2], check=False)
        array([1, 0])
        """
        data = training_data(data, labels, extractor=self.spec.extractor)
        training = self.same_vectors(data, check=check)
        chosen, tuned = training.chosen()
        fitted = chosen.fitted()
        report = self._reports.get(data.digest)
        sure = NOT_FITTED.uncertainty
        if uncertainty:
            # a choice has no part in the uncertainty
            again = chosen.divided_validation if tuned is None else training.tuned_validation
            unfitted = chosen.classifier(chosen.spec.split)
            sure = out_of_fold(unfitted, chosen.features, chosen.label, data, self.spec.split, again)
        extractor = fitted.extractor or next(
            each
            for each in self._views.members
            if fitted.spec.extractor == with_columns(each.pinned, training.columns.specs)
        )
        records = None if tuned is None else tuned.record(), fitted.finetuned
        self.predictor_ = Predictor(
            fitted.spec,
            fitted.classifier,
            TrainedOn.of(data, self._target.counts(chosen.label), *records),
            None if report is None else dict(report.summary),
            store=self.store,
            extractor=extractor,
            reading=replace(data.reading, check=check, columns=training.columns).with_lengths(data.sequences),
            training=Training(sure, Applicability.of(data.sequences, fitted.vectors), data),
        )
        return self.predictor_

    def evaluate(
        self,
        data: "Trainable",
        labels: "Labels" = None,
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
        drop: bool = False,
    ) -> Report:
        """Return the scores of the last `fit` on other data, see `Predictor.evaluate`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from antibody_esm import load_dataset
        >>> data = load_dataset("boughter_flu_cdrs")
        >>> trainer = Trainer("descriptors")
        >>> predictor = trainer.fit(data[::2], uncertainty=False)
        >>> round(trainer.evaluate(data[1::2]).summary["scores"]["roc_auc"]["score"], 2)
        0.67
        """
        if not hasattr(self, "predictor_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("this Trainer is not fitted yet; call fit(data) before evaluate(data)")
        options: dict[str, Any] = {"threshold": threshold, "assay": assay, "check": check, "drop": drop}
        return self.predictor_.evaluate(data, labels, **options, random_seeds=self.random_seeds)

    def _for(self, data: Dataset) -> TrainSpec:
        """Return the spec for these data: the models of their chain, and a split that suits if none was named."""
        split = default_split(len(data), continuous=self.spec.is_regression) if self._by_default else self.spec.split
        return self.spec.model_copy(update={"split": split, "extractor": of_chain(self.spec.extractor, data.chain)})

    def _suited(self, data: Dataset, check: bool) -> SourceViews:
        """Return the views for a data set; raise DatasetError for molecules other than it declares."""
        self._views = self._views.suited(data, check=check)
        return self._views

    def _ungraded(self, training: SameVectors) -> list[NDArray[np.float64]]:
        """Return the features of antibodies between the classes, by view; none if there are none."""
        others = training.data.ungraded
        fine_tuned = training.tuning is not None
        return [] if others is None or training.columns else self._views.read(others, self.store, fine_tuned=fine_tuned)


def validated(
    spec: TrainSpec, data: Dataset, store: str | Path | Store | None = None, runtime: RuntimeSpec | None = None
) -> CrossValidation:
    """Return the cross-validation of a pipeline on data that were checked before; raises as `Trainer` does."""
    return Trainer.from_spec(spec, store=store, runtime=runtime).same_vectors(data, check=False).validation(spec.split)
