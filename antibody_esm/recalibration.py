"""A fitted model for another laboratory or assay, from few of its antibodies."""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import Inputs, read_antibodies
from antibody_esm.data.dataset import Dataset
from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.recalibration_curve import RecalibrationCurve, recalibration_curve
from antibody_esm.evaluation.test_set_log import Ledger
from antibody_esm.evaluation.thresholds import chosen_threshold
from antibody_esm.model_files import FittedModel
from antibody_esm.model_input import DROP, ModelInput, advice
from antibody_esm.trained_on import Recalibration, TrainedOn, sequence_digest
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from antibody_esm.evaluation.scaling import Threshold
    from antibody_esm.specs import TrainSpec

_UNCERTAINTY = Unknown("the model was recalibrated, and its out-of-fold scores are of the assay of its training")


class Recalibrates(ModelInput):
    """The part of a fitted model that adapts it to another assay."""

    spec: "TrainSpec"
    classifier: Any
    data: TrainedOn
    training: Dataset | None
    ledger: Ledger
    origin: str

    def fitted(self) -> FittedModel:
        """Return the model in the form in which it is saved."""
        raise NotImplementedError

    @classmethod
    def _of(cls, model: FittedModel, **options: Any) -> Self:
        raise NotImplementedError

    @property
    def recalibration(self) -> Recalibration | None:
        """The antibodies that the model was recalibrated on; None if it is as it was trained."""
        return self.data.recalibration

    def recalibrate(
        self,
        data: Dataset,
        threshold: "Threshold" = "balanced_accuracy",
        *,
        assay: str | None = None,
        check: bool | None = None,
        drop: bool = False,
    ) -> Self:
        """Return the model for another laboratory or assay, from few of its antibodies; this one is unchanged.

        The fitted classifier stays, and so does the order of antibodies. Its log-odds are scaled by Platt's method with
        a strong prior at no change, see `antibody_esm.evaluation.scaling`; the values of a regressor are scaled
        by a line with such a prior. ``recalibration.curve`` states whether it helps other antibodies.
        A model that is recalibrated already is recalibrated anew, from the model as it was trained.

        Parameters
        ----------
        data
            Labelled antibodies of the other assay. Classes may all be equal.
        threshold
            Smallest recalibrated probability at which class 1 is predicted. ``balanced_accuracy``: the share of
            positives among the antibodies, with one more of each class. None: 0.5. A regressor ignores the default.
        assay
            ``elisa`` or ``psr``: threshold of earlier work, see `evaluation.thresholds`; in place of `threshold`.
        check, drop
            As for `Predictor.evaluate`.

        Returns
        -------
        A model that can be saved. Its manifest, reports and score tables name the antibodies, the commit of a model
        from the hub, and the values of columns that were fixed; other values later give a warning. It has no conformal
        sets, because out-of-fold scores are of the assay of the training.

        A warning counts antibodies that are training antibodies of the model, and those that repeat a sequence.

        Raises
        ------
        DatasetError
            If there are no labels, or they are of the other kind; or if an antibody is not what the model reads.
        ValueError
            If a threshold is not a probability, or there is no such assay; if a regressor is to have a threshold.
        """
        from antibody_esm.evaluation import recalibration as fits  # loads scikit-learn
        from antibody_esm.evaluation.scaling import fit_scaling, logit, threshold_of

        regression = self.spec.is_regression
        cut = _threshold(threshold, assay, regression=regression)
        label = _labels(data, regression=regression)
        antibodies = read_antibodies(data, self.reading, check)
        if not drop:
            data.refuse(antibodies.texts, f"are not what the model reads ({self.reading})", advice(antibodies, DROP))
        read = data.as_read(self.reading, antibodies.texts)
        label = label if len(read) == len(data) else _labels(read, regression=regression)
        trained = fits.as_trained(self.classifier)
        X = super().features(antibodies.inputs)  # those of an earlier recalibration do not count
        score = (
            np.asarray(trained.predict(X), np.float64)
            if regression
            else logit(np.asarray(trained.predict_proba(X), np.float64)[:, 1])
        )
        scaling = fit_scaling(score, label, continuous=regression)
        chosen = 0.5 if regression else threshold_of(label, cut)
        kind = fits.RecalibratedRegressor if regression else fits.RecalibratedClassifier
        facts = Recalibration(
            read.provenance.source,
            read.digest,
            len(read),
            scaling.slope,
            scaling.intercept,
            None if regression else chosen,
            None if regression else int(label.sum()),
            read.label_name,
            recalibration_curve(
                score,
                label,
                continuous=regression,
                threshold=cut,
                own_threshold=float(getattr(trained, "threshold_", 0.5)),
            ),
            self.reading.columns.fixed_values,
            self._shared(read),
            frozenset(map(sequence_digest, read.sequences)),
            self._origin,
        )
        for note in _notes(facts):
            warnings.warn(note, UserWarning, stacklevel=2)
        model = self.fitted()
        again = replace(
            model,
            classifier=kind(trained, scaling.slope, scaling.intercept, chosen),
            data=replace(model.data, recalibration=facts),
            training=model.training._replace(uncertainty=_UNCERTAINTY),
            saved_digest=None,
            origin="",  # the model at that commit gives other numbers
        )
        return self._of(again, store=self.store, extractor=self.extractor, ledger=self.ledger.copy())

    def features(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` of accepted antibodies; warn if columns are unlike the recalibration's."""
        other = self._other_columns(inputs.codes)
        if other:
            warnings.warn(other, UserWarning, stacklevel=4)
        return super().features(inputs)

    def _other_columns(self, codes: NDArray[np.float64]) -> str:
        """Return the note on columns with other values than those fixed in the recalibration; empty if there are none.

        Codes are ``(n, k)``.
        """
        facts = self.recalibration
        if facts is None or not (number := self.reading.columns.unlike(facts.fixed, codes)):
            return ""
        return (
            f"{number:,} of {len(codes):,} antibodies have other values of {', '.join(sorted(facts.fixed))} than the "
            f"recalibration: the model was {facts}."
        )

    @property
    def _origin(self) -> str:
        """Repository and commit of the model that is recalibrated, also if it was recalibrated here before."""
        before = self.recalibration
        return self.origin or ("" if before is None else before.origin)

    def _shared(self, data: Dataset) -> int | None:
        """Return the number of antibodies that are training antibodies; None if these are unknown."""
        if self.training is None:
            return None
        trained = set(self.training.sequences)
        return sum(sequence in trained for sequence in data.sequences)

    def recalibration_notes(self, data: Dataset) -> tuple[str, ...]:
        """Return the notes of a test: the antibodies that the model was recalibrated on; none if it was not."""
        facts = self.recalibration
        if facts is None:
            return ()
        tested = facts.tested(data)
        if data.digest == facts.digest:
            overlap = "These are the tested antibodies, so its scores here are optimistic."
        elif tested is None:
            overlap = "Scores are optimistic if these antibodies are among the tested ones, which is unknown."
        elif tested:
            overlap = f"{tested:,} of {len(data):,} test antibodies are among these: scores are optimistic."
        else:
            overlap = "None of these is among the tested antibodies."
        codes = self.reading.columns.read(data.columns, len(data)).codes
        notes = [f"The model was {facts}. {overlap}", *_notes(facts), *filter(None, [self._other_columns(codes)])]
        if isinstance(facts.curve, RecalibrationCurve):
            notes.append(facts.curve.sentence)
        return tuple(notes)

    @property
    def recalibration_column(self) -> dict[str, str]:
        """The column of a score table that names the recalibration; empty if there was none."""
        return {} if self.recalibration is None else {"recalibrated": str(self.recalibration)}


def _notes(facts: Recalibration) -> list[str]:
    """Return the notes on training antibodies, and on repeated ones, among those of a recalibration."""
    notes = []
    if facts.shared:
        notes.append(
            f"{facts.shared:,} of {facts.antibodies:,} antibodies of the recalibration "
            f"{'is a training antibody' if facts.shared == 1 else 'are training antibodies'} of the model, on which "
            "its scores are optimistic: so are the recalibration and its curve."
        )
    if facts.repeated:
        notes.append(
            f"{facts.repeated:,} of {facts.antibodies:,} antibodies of the recalibration "
            f"{'repeats the sequence of another' if facts.repeated == 1 else 'repeat the sequences of others'}: the "
            "curve may hold out antibodies that the model was recalibrated on, so it is optimistic."
        )
    return notes


def _threshold(threshold: "Threshold", assay: str | None, *, regression: bool) -> "Threshold":
    """Return the threshold, or that of the assay. Raises ValueError if there is none such."""
    number = threshold if isinstance(threshold, int | float) and not isinstance(threshold, bool) else None
    if threshold not in (None, "balanced_accuracy") and number is None:
        raise ValueError(f"a threshold is a probability, None or 'balanced_accuracy', not {threshold!r}")
    cut = chosen_threshold(number, assay)
    if regression and cut is not None:
        raise ValueError("a regressor has no threshold")
    return threshold if cut is None else cut


def _labels(data: Dataset, *, regression: bool) -> Any:
    """Return the labels; raise a DatasetError if there are none, or they are of the other kind."""
    if data.label is None:
        raise DatasetError(
            "a recalibration needs labels of the other assay, and this data set has none", column="label"
        )
    label = np.asarray(data.label, np.float64)
    if not len(label) or not np.isfinite(label).all():
        raise DatasetError("a recalibration needs a label of every antibody", column="label")
    if regression:
        return label
    if not np.isin(label, (0, 1)).all():
        raise DatasetError("a classifier is recalibrated on the labels 0 and 1", column="label")
    return label.astype(np.int64)
