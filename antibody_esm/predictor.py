"""Fitted classifiers and regressors: prediction, explanation, evaluation, saving and loading."""

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from antibody_esm.callbacks import announces
from antibody_esm.data.antibodies import read_antibodies
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.selection import LabelledAntibody
from antibody_esm.data.training_data import training_data
from antibody_esm.evaluation.test_set_log import Ledger, Opening
from antibody_esm.evaluation.thresholds import tuned_here
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.explain.contributions import Contributions, residue_contributions
from antibody_esm.explain.scan import Scan, mutational_scan
from antibody_esm.model_files import FittedModel, ledger_of, load_model, runtime_around
from antibody_esm.model_input import DROP, advice
from antibody_esm.notebook import card
from antibody_esm.pipeline_card import pipeline_facts, store_fact
from antibody_esm.reports.notes import UNCHECKED, unlike_training
from antibody_esm.reports.report import Report, evaluation_report
from antibody_esm.saving import Saves
from antibody_esm.scorer import Scorer
from antibody_esm.serialization import Training
from antibody_esm.specs import RuntimeSpec
from antibody_esm.store.store import Store
from antibody_esm.untrained import Untrained

if TYPE_CHECKING:
    from antibody_esm.data.training_data import Labels, Trainable


@announces("evaluate")
class Predictor(Scorer, Saves):
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
    scores
        Scores of the cross-validation, or the reason why there are none; `metrics` are the same, or None.
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

    def _repr_html_(self) -> str:
        data = self.data
        classes = "" if data.positives is None else f", {data.positives:,} positive"
        metrics = self.scores.ready
        scores = metrics.get("scores", {}) if metrics else {}
        first = next(iter(scores.items()), None)
        mean = first[1].get("mean") if first is not None and isinstance(first[1], dict) else None
        facts = [
            *pipeline_facts(self.spec),
            ("trained on", f"{data.antibodies:,} antibodies of {data.source}{classes}"),
            ("reads", str(self.reading)),
            ("cross-validation", f"{first[0]} {mean:.3f}" if first and isinstance(mean, float) else "not computed"),
            store_fact(self.store),
        ]
        return card("Predictor", facts, note="score_table(...), evaluate(...), explain(...), scan(...), save(folder)")

    def explain(
        self,
        antibody: str | tuple[str, str] | LabelledAntibody,
        *,
        method: Literal["auto", "exact", "occlusion"] = "auto",
        check: bool | None = None,
    ) -> Contributions:
        """Return the contribution of each residue to the score of an antibody; see `residue_contributions`.

        Parameters
        ----------
        antibody
            A chain, a pair of heavy and light, or a row of a `Dataset`, such as ``data[0]``.
        method, check
            As for `residue_contributions`, which also lists the errors.

        Examples
        --------
        >>> from antibody_esm import Trainer, load_dataset
        >>> data = load_dataset("boughter_flu_cdrs")
        >>> predictor = Trainer("descriptors").fit(data, uncertainty=False)
        >>> predictor.explain(data[0]).method
        'occlusion'
        """
        text = antibody.text if isinstance(antibody, LabelledAntibody) else antibody
        return residue_contributions(self, text, method=method, check=check)

    def scan(
        self,
        antibody: str | tuple[str, str] | LabelledAntibody,
        positions: str | Iterable[str | int] | None = None,
        *,
        protect: str | Iterable[str | int] = (),
        plausibility: bool = True,
        check: bool | None = None,
    ) -> Scan:
        """Return the predictions for every single mutant of an antibody; see `mutational_scan`.

        Parameters
        ----------
        antibody
            As for `explain`.
        positions, protect, plausibility, check
            As for `mutational_scan`, which also lists the errors.

        Examples
        --------
        >>> from antibody_esm import Trainer, load_dataset
        >>> data = load_dataset("boughter_flu_cdrs")
        >>> predictor = Trainer("descriptors").fit(data, uncertainty=False)
        >>> len(predictor.scan(data[0], positions=[0, 1]).to_frame())
        38
        """
        options: dict[str, Any] = {"protect": protect, "plausibility": plausibility, "check": check}
        text = antibody.text if isinstance(antibody, LabelledAntibody) else antibody
        return mutational_scan(self, text, positions, **options)

    def evaluate(
        self,
        data: "Trainable",
        labels: "Labels" = None,
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
        data, labels
            Labelled antibodies: a `Dataset`; a DataFrame, whose chain and columns are read that the model reads; or
            sequences and their labels.
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
        names = self.reading.columns.names
        data = training_data(data, labels, chain=self.reading.chain, columns=names, drop=drop)
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
            warnings.warn(warning, UserWarning, stacklevel=4)
        notes = [*self.recalibration_notes(data), *filter(None, [warning]), *([] if checked else [UNCHECKED])]
        if data.digest == self.data.digest:
            notes.append("These are the data that the model was trained on; the scores do not apply to other data.")
        notes += [f"The model is {self.origin} of the Hugging Face hub."] if self.origin else []
        return (*notes, self.ledger.note(source, data.digest)), self.ledger.count(source, data.digest)

    def fitted(self) -> FittedModel:
        """Return the model in the form in which it is saved."""
        facts = Training(self.uncertainty, self.applicability, self.training, self.unknown)
        parts = self.spec, self.classifier, self.data, self.reading, self.scores, facts, self._saved_digest
        return FittedModel(*parts, self.extractor.runtime.checkpoints, self.origin)

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
        plugins: Sequence[str] = (),
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

        plugins
            Packages whose code the model may run, if it uses a plugin; ``ANTIBODY_ESM_PLUGINS`` names them for all.

        Raises
        ------
        PluginError
            If the model uses a plugin that was not named, or that is not installed in the same version.
        StoreError
            If the folder is not a saved model, has another format, was changed, or holds types that no classifier of
            this package contains. No code of it runs.
        """
        folder, around = Path(folder), runtime_around(Path(folder), checkpoint, runtime)
        return cls._of(load_model(folder, plugins), store=store, runtime=around, ledger=Ledger(ledger_of(folder)))
