"""A fitted classifier or regressor with all that is needed to trust it: saved, loaded, applied."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import read_antibodies
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.reading import Reading, Texts, refuse
from antibody_esm.embedding import as_store, embed
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.applicability import familiarity
from antibody_esm.evaluation.conformal import CONFIDENCE, Uncertainty
from antibody_esm.evaluation.test_set_log import Ledger, Opening
from antibody_esm.evaluation.thresholds import tuned_here
from antibody_esm.features.sources import AnyExtractor, load
from antibody_esm.model_files import NOT_FITTED, FittedModel, ledger_of, load_model, save_model
from antibody_esm.reports.notes import UNCHECKED
from antibody_esm.reports.report import Report, evaluation_report
from antibody_esm.serialization import Training
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.store.store import Store
from antibody_esm.targets import ClassifierMethod, target_of
from antibody_esm.trained_on import TrainedOn

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.antibodies import Antibodies

_HINT = ". `score_table` scores the others; check=False reads what numbering does not recognise"


class Predictor:
    """A fitted classifier or regressor with the spec of its language model; `Trainer.fit` and `load` return it.

    Attributes
    ----------
    spec
        Spec of the training, with the language model pinned to its bytes.
    classifier
        The fitted scikit-learn pipeline; class 1 is positive. A regressor's, where labels are continuous.
    data
        Facts of the training data (`TrainedOn`).
    reading
        Chain, fragment and numbering by which antibodies are read.
    metrics
        `Report.summary` of the cross-validation; None if none was run.
    training
        The training antibodies; after `load`, the sequences that the model reads and their labels. None if unknown.
    unknown
        Reason why training antibodies or their labels are unknown; empty if they are known.
    ledger
        Log of the test sets that this model was scored on; beside the model once it is saved.
    uncertainty
        Out-of-fold predictions for the training antibodies, or `Unknown` with the reason why there are none.
    applicability
        The training antibodies, to which others are compared; None in a model that was saved without them.
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
        self.reading = reading or Reading(data.chain, data.fragment)
        self.classifier = classifier
        self.data = data
        self.metrics = metrics
        self.store = as_store(store)
        self.extractor = extractor or load(spec.extractor, runtime)
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
        """Return the class ``(n,)`` of each sequence, 0 or 1; of a regressor its value, float64 in the labels' unit.

        Parameters
        ----------
        sequences
            Single chains, or pairs of heavy and light; or a `Dataset`; or a DataFrame with columns ``heavy`` and
            ``light`` (``sequence``, where one chain is read) and maybe ``id``. The chain and the fragment that the
            model was trained on are read of each, see `reading`.
        threshold
            Probability from which on the class is 1; None: as the model decides.
        assay
            ``elisa`` or ``psr``: the threshold that earlier work used, see `evaluation.thresholds.ASSAY_THRESHOLDS`;
            `threshold` wins.
        check
            Whether numbering decides if each antibody is the molecule that the model reads; None: as in training.

        Raises
        ------
        DatasetError
            If an antibody is not what the model reads, or has not the whole fragment: its message lists the rows, its
            `reasons` has all of them.
        SequenceError
            If any sequence is not made of amino acids and X, or is too long; nothing has run by then.
        CheckpointError
            If the language model is needed and its files are not the ones of the training.
        ValueError
            If there is no such assay, or a threshold is not a probability, or is given to a regressor.
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
        """Return predictions of antibodies with all that tells how far to trust them, one row each, in input order.

        An antibody that is not what the model reads has no prediction: its numbers are NaN, and its warning is the
        reason.

        Parameters
        ----------
        sequences
            As for `predict`.
        threshold, assay
            As for `predict`.
        confidence
            Of conformal sets and intervals, above 0 and below 1.
        check
            As for `predict`.

        Returns
        -------
        ``id`` (else rows are numbered); of a classifier ``prediction``, ``probability``, ``calibrated`` with the ends
        of its Venn-Abers interval ``calibrated_low`` and ``calibrated_high``, and ``conformal_set`` (``0``, ``1``, ``0
        or 1``, ``neither``); of a regressor ``prediction``, ``low`` and ``high``; then ``distance`` to the training
        antibodies (the share of them that are nearer to their own neighbours), ``identity`` to the nearest one (of
        pairs, that of the heavy chains), and ``warning``, empty where there is nothing to say. What the model does not
        know is missing; if that is the identity, the warning has the reason.

        Raises
        ------
        DatasetError
            If a table has not the columns, or a `Dataset` is of another chain or fragment.
        SequenceError, CheckpointError, ValueError
            As `predict` does.
        """
        ids, texts = self.read(sequences, check=check)
        table = self.score_read(texts.accepted, threshold=threshold, assay=assay, confidence=confidence)
        if texts.reasons:
            table = table.set_axis(texts.rows).reindex(range(len(ids)))
            table["warning"] = [texts.reasons.get(row, text) for row, text in enumerate(table["warning"])]
            if "conformal_set" in table:
                table["conformal_set"] = table["conformal_set"].fillna("")
        table.insert(0, "id", ids)
        return table

    def score_read(
        self,
        texts: list[str],
        *,
        threshold: float | None = None,
        assay: str | None = None,
        confidence: float = CONFIDENCE,
    ) -> "pd.DataFrame":
        """Return `score_table` of texts as the model reads them, without ids; they are neither cut nor checked."""
        import pandas as pd

        X = self._features(texts)
        predicted = self._target.predict(self.classifier, X, self._target.threshold(threshold, assay))
        uncertainty = self.uncertainty if isinstance(self.uncertainty, Uncertainty) else None
        columns = self._target.columns(predicted, uncertainty, confidence)
        known = familiarity(self.applicability, texts, X, self.unknown)
        return pd.DataFrame(columns | known)

    def read(self, sequences: "Antibodies", *, check: bool | None = None) -> tuple[list[str], Texts]:
        """Return the id of each antibody, and the text that the model reads of it or the reason why it is refused.

        Takes what `predict` does; raises DatasetError or SequenceError where no row can be named that is refused.
        """
        found = read_antibodies(sequences, self.reading, check)
        return found.ids, found.texts

    def evaluate(
        self,
        data: Dataset,
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
        drop: bool = False,
    ) -> Report:
        """Return the scores on labelled data that had no part in training.

        That the data were opened is noted in `ledger`, and the report says how often they were. The same model on the
        same data with the same threshold is the same opening.

        Parameters
        ----------
        data
            Labelled antibodies.
        threshold, assay, check
            As for `predict`.
        drop
            Leave antibodies out that the model does not read, with the reason in the provenance, instead of refusing.

        Raises
        ------
        DatasetError
            If the labels are not 0 and 1, both present; of a regressor, if they are all alike; or if an antibody is not
            what the model reads.
        """
        self._target.labels(data)  # before any work
        texts = data.read_by(self.reading, check)
        if not drop:
            data.refuse(texts, f"are not what the model reads ({self.reading})", _HINT)
        data = data.as_read(self.reading, texts)
        cut = self._target.threshold(threshold, assay)
        predicted = self._target.predict(self.classifier, self._features(data.sequences), cut)
        notes, openings = self._opened(data, cut, self.reading.check if check is None else check)
        return evaluation_report(
            self.spec,
            data,
            predicted.prediction,
            predicted.positive,
            notes,
            training=self.training,
            openings=openings,
            threshold=cut,
            unknown=self.unknown,
        )

    def _opened(self, data: Dataset, cut: float | None, checked: bool) -> tuple[tuple[str, ...], int]:
        """Note that these data were opened; return what a reader of scores should know of that, and how often."""
        source = data.provenance.source
        self.ledger.record(Opening(source, data.digest, self.digest, cut))
        warning = tuned_here(cut, data)
        if warning is not None:
            warnings.warn(warning, UserWarning, stacklevel=3)
        notes = [warning] if warning else []
        if not checked:
            notes.append(UNCHECKED)
        if data.digest == self.data.digest:
            notes.append("These are the data that the model was trained on; scores say nothing of others.")
        return (*notes, self.ledger.note(source)), self.ledger.count(source)

    def vectors(self, sequences: "Antibodies", *, check: bool | None = None) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` that the classifier reads; takes and raises what `predict` does."""
        found = read_antibodies(sequences, self.reading, check)
        refuse(found.texts, f"are not what the model reads ({self.reading})", _HINT, found.places)
        return self._features(found.texts.accepted)

    def predict_read(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the probability of class 1, or a regressor's value, ``(n,)``, of texts as the model reads them.

        For mutants of what `reads` gives, which are neither cut nor checked again.
        """
        return self._target.predict(self.classifier, self._features(texts), None).score

    def reads(self, antibody: str | tuple[str, str], *, check: bool | None = None) -> str:
        """Return the text that the model reads of an antibody, in normal form.

        Raises
        ------
        SequenceError
            If it is not made of amino acids and X.
        DatasetError
            If it is not what the model reads, or has not the whole fragment.
        """
        texts = self.read([antibody], check=check)[1]
        if texts.reasons:
            raise DatasetError(f"not what the model reads ({self.reading}): {texts.reasons[0]}", reasons=texts.reasons)
        return texts.accepted[0]

    def _features(self, texts: list[str]) -> NDArray[np.float64]:
        return features(texts, self.extractor, self.store) if texts else np.empty((0, self.classifier.n_features_in_))

    def save(self, folder: str | Path, *, training: bool = True) -> Path:
        """Write the model to a folder, and return it.

        The folder holds ``manifest.json`` (format number, spec, fingerprints, versions, digests of the data and of the
        other files, metrics), ``classifier.skops`` and ``training.npz`` (scores of the training antibodies out of fold,
        their sequences, labels and vectors). None of them can run code when it is loaded. The same training gives the
        same bytes. A ledger of opened test sets, ``openings.jsonl``, lies beside them. An earlier model in the folder
        is replaced as a whole when the new one is written; the ledger, and files that are no model's, are kept. A line
        is printed that says whether the training antibodies were saved.

        Parameters
        ----------
        folder
            Is made where it is not there.
        training
            False leaves sequences, labels and vectors of the training antibodies out. Identity and distance to these,
            baselines of a test and its overlap with the training are then unknown. Of `uncertainty`, sorted scores of
            each class stay, or sorted residuals, which belong to no antibody. Some classifiers consist of vectors and
            labels of the training (nearest neighbours, support vectors, Gaussian processes); a printed line says so.
        """
        folder = Path(folder)
        print(f"Saved to {folder}, {self.write(folder, training=training)}.")  # noqa: T201
        return folder

    def write(self, folder: str | Path, *, training: bool = True) -> str:
        """Write the model as `save` does, and return in words which facts of the training antibodies are saved."""
        folder = Path(folder)
        saved = save_model(self._model(), folder, training=training)
        self.ledger.move(ledger_of(folder))
        return saved

    def _model(self) -> FittedModel:
        facts = Training(self.uncertainty, self.applicability, self.training, self.unknown)
        return FittedModel(self.spec, self.classifier, self.data, self.reading, self.metrics, facts, self._saved_digest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the spec and the bytes of the classifier: predictions depend on no more."""
        return self._model().digest

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
    ) -> "Predictor":
        """Read a saved model. The language model is not loaded before a sequence needs it.

        Parameters
        ----------
        folder
            What `save` was given.
        store
            Where vectors are looked up and kept; None keeps them in memory.
        runtime
            Device, workers and progress bar.

        Raises
        ------
        StoreError
            If the folder is not a saved model, is of another format, was changed, or holds types that no classifier
            of this package consists of. Nothing in it is executed.
        """
        folder = Path(folder)
        model = load_model(folder)
        return cls(
            model.spec,
            model.classifier,
            model.data,
            model.metrics,
            store=store,
            runtime=runtime,
            reading=model.reading,
            training=model.training,
            ledger=Ledger(ledger_of(folder)),
            digest=model.digest,
        )


def features(sequences: list[str], extractor: AnyExtractor, store: Store) -> NDArray[np.float64]:
    """Return what a classifier reads ``(n, dim)``: vectors in float64, in which solvers converge as they should."""
    return embed(sequences, extractor, store).astype(np.float64)
