"""A fitted classifier or regressor that scores antibodies."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import Inputs, read_antibodies
from antibody_esm.data.layouts import Columns
from antibody_esm.data.reading import Reading
from antibody_esm.embedding import as_store
from antibody_esm.evaluation.applicability import familiarity
from antibody_esm.evaluation.conformal import CONFIDENCE, Uncertainty
from antibody_esm.evaluation.test_set_log import Ledger
from antibody_esm.features.sources import AnyExtractor, load
from antibody_esm.model_files import NOT_FITTED, FittedModel
from antibody_esm.model_scores import ModelScores
from antibody_esm.recalibration import Recalibrates
from antibody_esm.serialization import Training
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import without_columns
from antibody_esm.store.store import Store
from antibody_esm.targets import ClassifierMethod, target_of
from antibody_esm.trained_on import TrainedOn

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.antibodies import Antibodies


class Scorer(Recalibrates):
    """The part of a fitted model that predicts; `Predictor` explains, tests and saves it too."""

    def __init__(
        self,
        spec: TrainSpec,
        classifier: Any,
        data: TrainedOn,
        metrics: dict[str, Any] | ModelScores | None = None,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        extractor: AnyExtractor | None = None,
        reading: Reading | None = None,
        training: Training = NOT_FITTED,
        ledger: Ledger | None = None,
        digest: str | None = None,
        origin: str = "",
    ) -> None:
        self.spec = spec
        source = extractor or load(without_columns(spec.extractor), runtime)
        super().__init__(reading or Reading(data.chain, data.fragment), source, as_store(store))
        self.classifier = classifier
        self.data = data
        self.scores = metrics if isinstance(metrics, ModelScores) else ModelScores.of(metrics)
        self.origin = origin
        self.uncertainty, self.applicability, self.training, self.unknown = training
        self.ledger = ledger or Ledger()
        self._saved_digest = digest
        self._target = target_of(spec)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    @property
    def metrics(self) -> dict[str, Any] | None:
        """Scores of the cross-validation, computed on first use; None if there are none, see `scores`."""
        return self.scores.metrics

    def predict(
        self,
        sequences: "Antibodies",
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
        heavy: str | None = None,
        light: str | None = None,
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
        heavy, light
            Names of a DataFrame's columns with the chains; by default they are recognised, as by `load_dataset`.

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
        TypeError
            If columns are named, and the antibodies are no DataFrame.

        Examples
        --------
        >>> from antibody_esm import Trainer, load_dataset
        >>> predictor = Trainer("descriptors").fit(load_dataset("boughter_flu_cdrs"), uncertainty=False)
        >>> predictor.predict(["GFTFSSYAISGSGGSTAKDRGGYYFDY"])
        array([0])
        >>> import pandas as pd
        >>> predictor.predict(pd.DataFrame({"vh loops": ["GFTFSSYAISGSGGSTAKDRGGYYFDY"]}), heavy="vh loops")
        array([0])
        """
        X = self.vectors(sequences, check=check, named=Columns(heavy=heavy, light=light))
        return self._target.predict(self.classifier, X, self._target.threshold(threshold, assay)).prediction

    @ClassifierMethod
    def predict_proba(
        self,
        sequences: "Antibodies",
        *,
        check: bool | None = None,
        heavy: str | None = None,
        light: str | None = None,
    ) -> NDArray[np.float64]:
        """Return the probability ``(n, 2)`` of class 0 and class 1 for each sequence.

        Parameters and errors are those of `predict`. A regressor's predictor has no such method.

        Examples
        --------
        >>> from antibody_esm import Trainer, load_dataset
        >>> predictor = Trainer("descriptors").fit(load_dataset("boughter_flu_cdrs"), uncertainty=False)
        >>> predictor.predict_proba(["GFTFSSYAISGSGGSTAKDRGGYYFDY"]).round(2)
        array([[0.74, 0.26]])
        """
        X = self.vectors(sequences, check=check, named=Columns(heavy=heavy, light=light))
        probabilities = self._target.predict(self.classifier, X, None).probabilities
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
        heavy: str | None = None,
        light: str | None = None,
        id: str | None = None,  # noqa: A002  the name of the column, as in `load_dataset`
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
        check, heavy, light
            As for `predict`.
        id
            Name of a DataFrame's column of ids; by default it is recognised.

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
        SequenceError, CheckpointError, ValueError, TypeError
            As `predict` does.

        Examples
        --------
        >>> from antibody_esm import Trainer, load_dataset
        >>> predictor = Trainer("descriptors").fit(load_dataset("boughter_flu_cdrs"))
        >>> table = predictor.score_table(["GFTFSSYAISGSGGSTAKDRGGYYFDY", "EVQ"])
        >>> list(table.columns[:6])
        ['id', 'prediction', 'probability', 'calibrated', 'calibrated_low', 'calibrated_high']
        >>> len(table)
        2
        """
        antibodies = read_antibodies(sequences, self.reading, check, Columns(id, heavy, light))
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

    def predict_read(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the probability of class 1, or a regressor's value, ``(n,)``, of texts as the model reads them.

        Texts, such as mutants of `reads`, are neither cut nor checked; see `features_read` for columns.
        """
        return self._target.predict(self.classifier, self.features_read(texts), None).score

    def features(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` of accepted antibodies; no model is loaded for none."""
        return super().features(inputs) if inputs.texts else np.empty((0, self.classifier.n_features_in_))

    def with_columns(self, values: Mapping[str, Any]) -> Self:
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
    def _of(cls, model: FittedModel, **options: Any) -> Self:
        return cls(
            model.spec,
            model.classifier,
            model.data,
            model.scores,
            reading=model.reading,
            training=model.training,
            digest=model.saved_digest,
            origin=model.origin,
            **options,
        )
