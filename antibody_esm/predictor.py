"""Fitted classifiers and regressors: prediction, uncertainty, evaluation, saving and loading."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import Inputs, read_antibodies
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.reading import Reading
from antibody_esm.embedding import as_store
from antibody_esm.evaluation.applicability import familiarity
from antibody_esm.evaluation.conformal import CONFIDENCE, Uncertainty
from antibody_esm.evaluation.test_set_log import Ledger, Opening
from antibody_esm.evaluation.thresholds import tuned_here
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.features.sources import AnyExtractor, load
from antibody_esm.model_files import NOT_FITTED, FittedModel, ledger_of, load_model, runtime_around, save_model
from antibody_esm.model_input import DROP, advice
from antibody_esm.recalibration import Recalibrates
from antibody_esm.reports.notes import UNCHECKED, unlike_training
from antibody_esm.reports.report import Report, evaluation_report
from antibody_esm.serialization import Training
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import without_columns
from antibody_esm.store.store import Store
from antibody_esm.targets import ClassifierMethod, target_of
from antibody_esm.trained_on import TrainedOn
from antibody_esm.untrained import Untrained

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.antibodies import Antibodies


class Predictor(Recalibrates):
    """A fitted classifier or regressor with the spec of its language model; `Trainer.fit` and `load` return it.

    Attributes
    ----------
    spec
        Spec of the training, with the language model pinned to its bytes.
    classifier
        The fitted scikit-learn pipeline: a classifier, whose class 1 is positive, or a regressor.
    data
        Description of the training data (`TrainedOn`).
    reading
        Chain, fragment, numbering and columns by which antibodies are read.
    metrics
        `Report.summary` of the cross-validation; None if none was run.
    training
        The training antibodies; after `load`, the sequences that the model reads and their labels. None if unknown.
    unknown
        Reason why training antibodies or their labels are unknown; empty otherwise.
    ledger
        Log of the test sets that this model was scored on; saved with the model.
    uncertainty
        Out-of-fold predictions for the training antibodies, or `Unknown` with the reason why there are none.
    applicability
        The training antibodies for comparison with others; None in a model that was saved without them.
    """

    def __init__(
        self,
        spec: TrainSpec,
        classifier: Any,
        data: TrainedOn,
        metrics: dict[str, Any] | None = None,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        extractor: AnyExtractor | None = None,
        reading: Reading | None = None,
        training: Training = NOT_FITTED,
        ledger: Ledger | None = None,
        digest: str | None = None,
    ) -> None:
        self.spec = spec
        source = extractor or load(without_columns(spec.extractor), runtime)
        super().__init__(reading or Reading(data.chain, data.fragment), source, as_store(store))
        self.classifier = classifier
        self.data = data
        self.metrics = metrics
        self.uncertainty, self.applicability, self.training, self.unknown = training
        self.ledger = ledger or Ledger()
        self._saved_digest = digest
        self._target = target_of(spec)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    def predict(
        self,
        sequences: "Antibodies",
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
    ) -> NDArray[Any]:
        """Return the class ``(n,)`` of each sequence, 0 or 1; for a regressor the value, float64 in the labels' unit.

        Parameters
        ----------
        sequences
            Single chains, or pairs of heavy and light; or a `Dataset`; or a DataFrame with columns ``heavy`` and
            ``light`` (or ``sequence``, if one chain is read) and optionally ``id``. The model reads the chain and the
            fragment that it was trained on, see `reading`. A model that reads columns needs a table or a `Dataset`
            that has them, or `with_columns`. A missing number is refused by row. A category that no training antibody
            has is none of the categories; a warning names it.
        threshold
            Lowest probability of class 1; None uses the model's own threshold.
        assay
            ``elisa`` or ``psr``: the threshold of earlier work, see `evaluation.thresholds.ASSAY_THRESHOLDS`. It is
            ignored if `threshold` is not None.
        check
            True if numbering checks that each antibody is the molecule that the model reads; None: as in training.

        Raises
        ------
        DatasetError
            If an antibody is another molecule, or lacks a part of the fragment. The message lists rows, and `reasons`
            has all of them.
        SequenceError
            If any sequence is not made of amino acids and X, or is too long; it is raised before any computation.
        CheckpointError
            If the language model is needed and its files are not those of the training.
        ValueError
            If there is no such assay, if a threshold is not a probability, or if the model is a regressor, which has no
            threshold.
        """
        return self._target.predict(
            self.classifier, self.vectors(sequences, check=check), self._target.threshold(threshold, assay)
        ).prediction

    @ClassifierMethod
    def predict_proba(self, sequences: "Antibodies", *, check: bool | None = None) -> NDArray[np.float64]:
        """Return the probability ``(n, 2)`` of class 0 and class 1 for each sequence.

        Raises as `predict` does. A regressor's predictor has no such method.
        """
        probabilities = self._target.predict(self.classifier, self.vectors(sequences, check=check), None).probabilities
        assert probabilities is not None  # noqa: S101  since it is a classifier
        return probabilities

    def score_table(
        self,
        sequences: "Antibodies",
        *,
        threshold: float | None = None,
        assay: str | None = None,
        confidence: float = CONFIDENCE,
        check: bool | None = None,
    ) -> "pd.DataFrame":
        """Return predictions with uncertainty and applicability, one row per antibody, in input order.

        A refused antibody has no prediction: its numbers are NaN, and its warning is the reason.

        Parameters
        ----------
        sequences
            As for `predict`.
        threshold, assay
            As for `predict`.
        confidence
            Confidence of conformal sets and intervals, above 0 and below 1.
        check
            As for `predict`.

        Returns
        -------
        ``id`` (or the row's number). A classifier has ``prediction``, ``probability``, ``calibrated`` with its
        Venn-Abers interval ``calibrated_low`` and ``calibrated_high``, and ``conformal_set`` (``0``, ``1``, ``0 or
        1``, ``neither``); a regressor ``prediction``, ``low`` and ``high``. Both have ``distance`` to the training
        antibodies (the share of them nearer to their own neighbours), ``identity`` to the nearest one (of heavy
        chains), ``warning``, and ``recalibrated`` after `recalibrate`. A warning has the reason of an unknown identity.

        Raises
        ------
        DatasetError
            If a table lacks the columns, or a `Dataset` is of another chain or fragment.
        SequenceError, CheckpointError, ValueError
            As `predict` does.
        """
        antibodies = read_antibodies(sequences, self.reading, check)
        ids, texts = antibodies.ids, antibodies.texts
        table = self.score_inputs(antibodies.inputs, threshold=threshold, assay=assay, confidence=confidence)
        if texts.reasons:
            table = table.set_axis(texts.rows).reindex(range(len(ids)))
            table["warning"] = [texts.reasons.get(row, text) for row, text in enumerate(table["warning"])]
            if "conformal_set" in table:
                table["conformal_set"] = table["conformal_set"].fillna("")
        table.insert(0, "id", ids)
        return table

    def score_inputs(
        self,
        inputs: Inputs,
        *,
        threshold: float | None = None,
        assay: str | None = None,
        confidence: float = CONFIDENCE,
    ) -> "pd.DataFrame":
        """Return `score_table` of accepted antibodies, without ids."""
        import pandas as pd

        X = self.features(inputs)
        predicted = self._target.predict(self.classifier, X, self._target.threshold(threshold, assay))
        uncertainty = self.uncertainty if isinstance(self.uncertainty, Uncertainty) else None
        columns = self._target.columns(predicted, uncertainty, confidence)
        vectors = X[:, : X.shape[1] - len(self.reading.columns)]
        familiar = familiarity(self.applicability, inputs.texts, vectors, self.unknown, inputs.warnings)
        return pd.DataFrame(columns | familiar | self.recalibration_column)

    def evaluate(
        self,
        data: Dataset,
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
        drop: bool = False,
        random_seeds: int = 1,
    ) -> Report:
        """Return the scores on held-out labelled data.

        `ledger` records that the data were opened, and the report states how often. The same model on the same data
        with the same threshold is one opening.

        Parameters
        ----------
        data
            Labelled antibodies.
        threshold, assay, check, random_seeds
            As for `predict` and `Trainer`.
        drop
            Leave out what the model does not read, with the reasons in the provenance, instead of raising an error.

        Raises
        ------
        DatasetError
            If a classifier's labels are not 0 and 1, both present; if a regressor's labels are all equal; or if an
            antibody is not what the model reads.
        """
        self._target.labels(data)  # before any work
        antibodies = read_antibodies(data, self.reading, check)
        if not drop:
            data.refuse(antibodies.texts, f"are not what the model reads ({self.reading})", advice(antibodies, DROP))
        data, inputs = data.as_read(self.reading, antibodies.texts), antibodies.inputs
        cut = self._target.threshold(threshold, assay)
        predicted = self._target.predict(self.classifier, self.features(inputs), cut)
        notes, openings = self._opened(data, cut, self.reading.check if check is None else check)
        facts: dict[str, Any] = {"openings": openings, "threshold": cut, "unknown": self.unknown, "model": self.data}
        untrained = Untrained(self.spec, self.store, self.extractor.runtime, random_seeds, self.extractor)
        return evaluation_report(
            self.spec,
            data,
            predicted.prediction,
            predicted.positive,
            (*notes, *self.data.notes, *unlike_training(inputs.warnings)),
            training=self.training,
            **facts,
            ungraded=self.ungraded(data),
            untrained=untrained.tested(self.training, data, self.reading.columns),
        )

    def ungraded(self, data: Dataset) -> Ungraded | None:
        """Return predictions for the antibodies between the classes of a test set; None if it has none."""
        if data.ungraded is None or self.reading.columns:
            return None
        return Ungraded(self.predict_read(data.ungraded.sequences))

    def _opened(self, data: Dataset, cut: float | None, checked: bool) -> tuple[tuple[str, ...], int]:
        """Record that these data were opened; return notes for the report, and the number of openings."""
        source = data.provenance.source
        fixed = self.reading.columns.fixed_text  # other values make another model
        model = hashlib.sha256((self.digest + fixed).encode()).hexdigest() if fixed else self.digest
        self.ledger.record(Opening(source, data.digest, model, cut))
        warning = tuned_here(cut, data)
        if warning is not None:
            warnings.warn(warning, UserWarning, stacklevel=3)
        notes = [*self.recalibration_notes(data), *filter(None, [warning]), *([] if checked else [UNCHECKED])]
        if data.digest == self.data.digest:
            notes.append("These are the data that the model was trained on; the scores do not apply to other data.")
        return (*notes, self.ledger.note(source)), self.ledger.count(source)

    def predict_read(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the probability of class 1, or a regressor's value, ``(n,)``, of texts as the model reads them.

        Texts, such as mutants of `reads`, are neither cut nor checked; see `features_read` for columns.
        """
        return self._target.predict(self.classifier, self.features_read(texts), None).score

    def features(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` of accepted antibodies; no model is loaded for none."""
        return super().features(inputs) if inputs.texts else np.empty((0, self.classifier.n_features_in_))

    def with_columns(self, values: Mapping[str, Any]) -> "Predictor":
        """Return the same model with fixed values of columns, such as an isotype and a pH, for all antibodies.

        They take the place of a table's columns. So the model reads lists of sequences, and explanations and scans
        hold the columns fixed. `save` does not write them.

        Raises
        ------
        DatasetError
            If the model reads no such column, or if a number is missing.
        """
        if not values:
            return self
        reading = replace(self.reading, columns=self.reading.columns.with_fixed(values))
        model = replace(self.fitted(), reading=reading)
        return self._of(model, store=self.store, extractor=self.extractor, ledger=self.ledger)

    @classmethod
    def _of(cls, model: FittedModel, **options: Any) -> "Predictor":
        return cls(
            model.spec,
            model.classifier,
            model.data,
            model.metrics,
            reading=model.reading,
            training=model.training,
            digest=model.saved_digest,
            **options,
        )

    def save(self, folder: str | Path, *, training: bool = True) -> Path:
        """Write the model to a folder, and return the folder.

        The folder holds ``manifest.json`` (spec, fingerprints, versions, digests, metrics), ``classifier.skops``,
        ``training.npz`` (out-of-fold scores of the training antibodies, their sequences, labels and vectors), and
        ``adapter.safetensors`` of a fine-tuned model. None can run code when it is loaded. The same training gives the
        same bytes. The log of opened test sets is ``openings.jsonl``. An earlier model in the folder is replaced; the
        log and foreign files are kept. A printed line states whether the training antibodies were saved.

        Parameters
        ----------
        folder
            Folder of the model; it is created if necessary.
        training
            False leaves out sequences, labels and vectors of the training antibodies. Identity and distance to these,
            baselines of a test and its overlap are then unknown. `uncertainty` keeps sorted scores of each class, or
            residuals, without antibodies. Nearest neighbours, SVR and Gaussian processes consist of training vectors.
        """
        print(f"Saved to {Path(folder)}, {self.write(folder, training=training)}.")  # noqa: T201
        return Path(folder)

    def write(self, folder: str | Path, *, training: bool = True) -> str:
        """Write the model like `save`, and return a description of the saved training data."""
        folder = Path(folder)
        saved = save_model(self.fitted(), folder, training=training)
        self.ledger.move(ledger_of(folder))
        return saved

    def fitted(self) -> FittedModel:
        """Return the model in the form in which it is saved."""
        facts = Training(self.uncertainty, self.applicability, self.training, self.unknown)
        parts = self.spec, self.classifier, self.data, self.reading, self.metrics, facts, self._saved_digest
        return FittedModel(*parts, self.extractor.runtime.checkpoints)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the spec and the bytes of the classifier, which determine all predictions."""
        return self.fitted().digest

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        checkpoint: str | Path | Sequence[str | Path] = (),
    ) -> "Predictor":
        """Read a saved model. The language model is loaded when a sequence needs it.

        Parameters
        ----------
        folder
            Folder of the model, see `save`.
        store, runtime
            As for `Trainer`.
        checkpoint
            Folders of the language model's files, or of several; they are also looked for beside the saved model.

        Raises
        ------
        StoreError
            If the folder is not a saved model, has another format, was changed, or holds types that no classifier of
            this package contains. No code of it runs.
        """
        folder, around = Path(folder), runtime_around(Path(folder), checkpoint, runtime)
        return cls._of(load_model(folder), store=store, runtime=around, ledger=Ledger(ledger_of(folder)))
