"""Training and cross-validation of a classifier or regressor on vectors of a language model."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from antibody_esm import presets
from antibody_esm.callbacks import announces
from antibody_esm.data.column_reading import with_columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.training_data import training_data
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.conformal import out_of_fold
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.model_files import NOT_FITTED
from antibody_esm.model_scores import NOT_WANTED, ModelScores
from antibody_esm.pipeline_curve import Curved
from antibody_esm.predictor import Predictor
from antibody_esm.reports.notes import UNCHECKED
from antibody_esm.reports.report import Report, cross_validation_report
from antibody_esm.reports.saved_scores import report_key, saved_scores
from antibody_esm.same_vectors import SameVectors as SameVectors
from antibody_esm.serialization import Training
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
)
from antibody_esm.specs.ensembles import with_columns
from antibody_esm.store.store import Store
from antibody_esm.trained_on import TrainedOn
from antibody_esm.untrained import Untrained

if TYPE_CHECKING:
    from antibody_esm.data.training_data import Labels, Trainable


@announces("cross_validate", "fit")
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
        spec = TrainSpec(
            extractor=chosen,
            classifier=presets.classifier(classifier, chosen),
            split=split or SplitSpec(),
            decision=decision or DecisionSpec(),
            use_columns=use_columns,
            pca=pca,
            tune=TuneSpec(grid=tune) if isinstance(tune, Mapping) else tune,
            finetune=presets.finetuning(finetune),
        )
        super().__init__(spec, store, runtime, default_split=split is None)
        self.random_seeds = random_seeds
        self._last: Report | None = None
        self._reports: WeakValueDictionary[Any, Report] = WeakValueDictionary()  # those in use, and the last

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
        report = self._cross_validated(data, check)
        self._last = self._reports[report_key(data, check, self.random_seeds)] = report
        return report

    def _cross_validated(self, data: Dataset, check: bool, *, between: bool = True) -> Report:
        """Return the report; `between` also predicts the antibodies between the classes."""
        again = self.same_vectors(data, check=check)
        notes = () if check else (UNCHECKED,)
        spec = with_columns_read(self._for(data), data.columns)
        validation = again.validation(spec.split, self._ungraded(again) if between else (), beside=True)
        ungraded = Ungraded.of_folds(data, spec.split, validation)
        run = self.extractor.runtime
        validate = partial(validated, store=self.store, runtime=run)
        untrained = Untrained(spec, self.store, run, self.random_seeds, self.extractor, validate)
        second = None if spec.finetune else again  # which would fine-tune again
        return cross_validation_report(
            spec, data, validation, notes, again=second, ungraded=ungraded, untrained=untrained.cross_validated(data)
        )

    def _scores(self, data: Dataset, check: bool) -> ModelScores:
        """Return the scores of a fit, which are computed on first use; of a report that exists, they are the same."""
        then, reports, key = copy(self), self._reports, report_key(data, check, self.random_seeds)
        report = reports.get(key)

        def report_of() -> Report:
            return report or reports.get(key) or then._cross_validated(data, check, between=False)

        return ModelScores(partial(saved_scores, report_of))

    def fit(
        self,
        data: "Trainable",
        labels: "Labels" = None,
        *,
        uncertainty: bool = True,
        scores: bool = True,
        check: bool = True,
    ) -> Predictor:
        """Fit on all of the data, and return the predictor, which is also ``predictor_``.

        The predictor of a tuned pipeline is that of its choice on all of the data: `Predictor.spec` is the chosen one,
        and `Predictor.data` records the choice.

        Raises as `cross_validate` does.

        Parameters
        ----------
        data, labels
            Labelled antibodies: a `Dataset`; a DataFrame, read as by `load_dataset`; or sequences and their labels.
        uncertainty
            True fits five more times, out of fold, for the uncertainty in `Predictor.score_table`; a tuned pipeline
            chooses again each time.
        scores
            True saves scores with the model: those of the cross-validation of the same pipeline and data, with the best
            baselines, for its card. They are computed when the model is saved, or on first use; if `cross_validate` was
            run, from its report. They do not depend on the order of calls. False saves none, and the card states that.
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
        sure = NOT_FITTED.uncertainty
        if uncertainty:
            again = chosen.divided_validation if tuned is None else training.tuned_validation  # without the choice
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
            self._scores(data, check) if scores else ModelScores.of(NOT_WANTED),
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


def validated(
    spec: TrainSpec, data: Dataset, store: str | Path | Store | None = None, runtime: RuntimeSpec | None = None
) -> CrossValidation:
    """Return the cross-validation of a pipeline on data that were checked before; raises as `Trainer` does."""
    return Trainer.from_spec(spec, store=store, runtime=runtime).same_vectors(data, check=False).validation(spec.split)
