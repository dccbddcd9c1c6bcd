"""Report of a cross-validation or of a test: an analysis that is shown as text, figures, files and a page."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.dataset import Dataset
from antibody_esm.deprecation import still_callable
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.interval import short
from antibody_esm.evaluation.metrics import METRIC, score, score_continuous
from antibody_esm.evaluation.overlap import Again
from antibody_esm.evaluation.tuned import TunedCrossValidation
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.files import csv_text, write
from antibody_esm.reports import names, notes, page, plots, records, reproduction, tables
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.context import NONE, UntrainedBaselines
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.reports.learning_curve import LearningCurve
from antibody_esm.reports.worst_errors import worst_errors
from antibody_esm.specs import TrainSpec
from antibody_esm.trained_on import TrainedOn
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Report(Analysis):
    """Scores and predictions on one data set. ``print(report)`` shows a table, and so does a notebook.

    A report is an `Analysis`, whose numbers are its properties, with methods that show them. ``repr(report)`` is one
    line from stored values. Baselines, intervals, identities and families are computed on first use: by ``print``, a
    page, a file, or the property that holds them.

    Every number is a property: it is stored, or computed once, and takes no argument. A method takes an argument, draws
    (``plot_``), or converts and writes (``to_``).

    Examples
    --------
    >>> from antibody_esm import DescriptorSpec, SplitSpec, Trainer, load_dataset
    >>> trainer = Trainer(DescriptorSpec(descriptors=("net_charge",)), "logreg", SplitSpec(folds=3))
    >>> report = trainer.cross_validate(load_dataset("boughter_flu_cdrs"))
    >>> report
    <Report: cross-validation of descriptors (descriptors=('net_charge',)) + logreg (standardize=True),
    classification of 358 antibodies, ROC AUC ... (mean of 3 folds); print(report) shows all>
    >>> report.intervals["roc_auc"].claimed
    False
    """

    @property
    def out_of_fold(self) -> "pd.DataFrame":
        """The predictions of a cross-validation, each by a model that was not trained on the antibody."""
        if not self.is_cross_validation:
            raise AttributeError("a test on other data has no folds; see .predictions")
        return self.predictions

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """The first of `remarks`, for the first lines: overlap with the training, clones, few antibodies of a class."""
        return notes.warnings(self)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """Notes that a reader needs before the numbers: `notes`, and those that follow from the numbers."""
        return notes.remarks(self)

    @property
    def overlap_note(self) -> str:
        """Sentence about training antibodies among the tested ones; empty if there are none."""
        return notes.overlap(self)

    @property
    def clones_note(self) -> str:
        """Sentences about clonal relatives in other folds; empty if there are few."""
        return still_callable(notes.clones(self), "clones_note")

    @property
    def nominal(self) -> str | None:
        """Note on the intervals of a cross-validation; None for a test."""
        return notes.coverage(self)

    @property
    def summary(self) -> dict[str, Any]:
        """Scores, counts and notes as plain JSON values, without numbers that take time to compute."""
        return still_callable(records.summary(self), "summary")

    @property
    def command(self) -> str | None:
        """Command that gives the same numbers; None for a test, or if overrides cannot express the pipeline.

        It loads the data too. If these were changed after `load_dataset`, or are a DataFrame, it has ``data=...``,
        which ``antibody-train`` refuses until it is completed. `python` has the lines of a test.
        """
        return reproduction.command_of(self)

    @property
    def python(self) -> str:
        """Lines of Python that reproduce the numbers from the data."""
        return reproduction.python(self)

    def with_curve(self, curve: LearningCurve | Unknown) -> "Report":
        """Return the report with a learning curve, or the reason why there is none; text, JSON and page then show it.

        Raises
        ------
        ValueError
            If the curve is of other data, of another pipeline, or of another unit of the split.
        """
        if isinstance(curve, Unknown):
            return replace(self, curve=curve)
        if curve.data.digest != self.data.digest:
            raise ValueError("the learning curve is of other data than the report")
        mine, other = self.spec.split, curve.spec.split
        if (mine.by, mine.identity) != (other.by, other.identity):
            at = f" at {mine.identity:g} and {other.identity:g}" if mine.by == other.by else ""
            raise ValueError(f"the learning curve keeps units by {other.by}, the report by {mine.by}{at}")
        if (
            curve.spec.pca != self.spec.pca
            or curve.spec.classifier != self.spec.classifier
            or curve.spec.finetune != self.spec.finetune
            or curve.spec.tune != self.spec.tune
            or not names.agree(curve.spec.extractor, self.spec.extractor)
        ):
            raise ValueError(f"the learning curve is of {names.pipeline(curve.spec)}, the report of {self.pipeline}")
        return replace(self, curve=curve)

    def worst_errors(self, n: int = 10) -> "pd.DataFrame":
        """Return the antibodies with the largest errors, at most `n`, largest first.

        For classes, these are wrong predictions by falling distance of the probability from the label, 0 or 1; for
        values, all predictions by falling size of the difference. Repeats are averaged.

        Columns: id, label, prediction, probability (classes only), error, identity to the nearest training antibody,
        family, and three measurements at most, the grade of the labels first.

        Raises
        ------
        ValueError
            If `n` is less than 1.
        """
        return worst_errors(self, n)

    def to_frame(self) -> "pd.DataFrame":
        """Return the scores with one row a metric: one column a fold, then ``mean`` and ``sd``; or ``score``.

        The last two columns are the ends of the interval, ``low`` and ``high``.
        """
        return records.frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but predictions as plain JSON values; undefined numbers are None."""
        return records.analysis(self)

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, and return the path."""
        path = Path(path)
        write(path, json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False).encode())
        return path

    def to_csv(self, path: str | Path) -> Path:
        """Write the predictions, with columns ``identity`` and ``family`` if there are any; return the path."""
        path = Path(path)
        columns = {} if self.identity is None else {"identity": self.identity}
        if self.family is not None:
            columns["family"] = np.tile(self.family, self.repeats)
        write(path, csv_text(self.predictions.assign(**columns)).encode())
        return path

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that loads nothing else, and return its path."""
        path = Path(path)
        write(path, page.page(GridAnalysis([self])).encode())
        return path

    def plot_roc(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the ROC curve; after cross-validation that of each fold, and their mean. Return the axes.

        Like every ``plot_`` method, it draws on the axes given, else on new axes that a notebook shows.
        """
        return plots.roc(self, ax)

    def plot_precision_recall(self, ax: "Axes | None" = None) -> "Axes":
        """Draw precision over recall; after cross-validation for each fold, and the mean. Return the axes."""
        return plots.precision_recall(self, ax)

    def plot_calibration(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of positives over the predicted probability. Return the axes."""
        return plots.calibration(self, ax)

    def plot_confusion(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the number of antibodies of each class by predicted class. Return the axes."""
        return plots.confusion(self, ax)

    def plot_scores(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the number of antibodies of each class by predicted probability, with the threshold. Return the axes."""
        return plots.scores(self, ax)

    def plot_map(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the first two principal components of the vectors, see `embedding_map`. Return the axes."""
        return plots.embedding_map(self, ax)

    def plot_values(self, name: str, ax: "Axes | None" = None) -> "Axes":
        """Draw the predicted probability over a measurement of the data, such as ``"psr"``. Return the axes."""
        return plots.values(self, name, ax)

    def plot_predicted(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the predicted over the measured value of continuous labels. Return the axes."""
        return plots.predicted(self, ax)

    def plot_residuals(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the predicted less the measured value of continuous labels. Return the axes."""
        return plots.residuals(self, ax)

    def plot_families(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score of each family of ten antibodies or more, of the twelve largest at most. Return the axes."""
        return plots.families(self, ax)

    def plot_identity(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score by identity to the training set, for ten antibodies or more. Return the axes."""
        return plots.identity(self, ax)

    def plot_verdict(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score and its interval, above that of the best baseline. Return the axes."""
        return plots.verdict(self, ax)

    def plot_baselines(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score and its interval, above those of the baselines. Return the axes."""
        return plots.baselines(self, ax)

    def plot_comparisons(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the differences to the baselines. Return the axes."""
        return plots.comparisons(self, ax)

    def __repr__(self) -> str:
        values = self.scores[self.metric]
        defined = values[~np.isnan(values)]
        mean = short(float(defined.mean()) if len(defined) else np.nan, 3)
        folds = f" (mean of {len(values)} folds)" if len(values) > 1 else ""
        kind = "cross-validation" if self.is_cross_validation else "test"
        task = "regression" if self.spec.is_regression else "classification"
        return (
            f"<{type(self).__name__}: {kind} of {self.pipeline}, {task} of {len(self.data):,} antibodies, "
            f"{METRIC[self.metric].title} {mean}{folds}; print(report) shows all>"
        )

    def __str__(self) -> str:
        return tables.text(self)

    def _repr_html_(self) -> str:
        return tables.notebook(self)


def cross_validation_report(
    spec: TrainSpec,
    data: Dataset,
    validation: CrossValidation,
    first_notes: tuple[str, ...] = (),
    *,
    again: Again | None = None,
    ungraded: Ungraded | None = None,
    untrained: UntrainedBaselines = NONE,
) -> Report:
    """Return the report of a cross-validation.

    Parameters
    ----------
    spec, data, validation
        Pipeline, antibodies and result.
    first_notes
        First notes for the reader.
    again
        Cross-validates the same vectors with another split.
    ungraded
        Predictions for `Dataset.ungraded`.
    untrained
        Functions that compute the baselines of random weights.
    """
    spec = spec.portable()  # reports are given away
    n, repeats = len(data), validation.repeats
    columns: dict[str, Any] = {"id": np.tile(np.array(data.ids, object), repeats)}
    columns["label"] = np.tile(_labels(spec, data), repeats)
    if repeats > 1:
        columns["repeat"] = np.repeat(np.arange(repeats), n)
    columns |= {"fold": validation.fold.T.ravel(), "prediction": validation.prediction.T.ravel()}
    if validation.probability is not None:
        columns["probability"] = validation.probability.T.ravel()
    every = (*first_notes, *notes.groups(data, spec), *notes.repeated(data, spec))
    return Report(
        spec,
        data,
        _read_only(validation.scores),
        _table(spec, columns),
        every,
        again=again,
        ungraded=ungraded,
        untrained=untrained,
        unconverged=validation.unconverged,
        penalties=validation.penalties,
        finetuned=validation.finetuned,
        tuned=validation.tuned if isinstance(validation, TunedCrossValidation) else None,
    )


def evaluation_report(
    spec: TrainSpec,
    data: Dataset,
    prediction: NDArray[Any],
    probability: NDArray[np.float64] | None,
    first_notes: tuple[str, ...] = (),
    *,
    training: Dataset | None = None,
    openings: int | None = None,
    threshold: float | None = None,
    unknown: str = "",
    ungraded: Ungraded | None = None,
    untrained: UntrainedBaselines = NONE,
    model: TrainedOn | None = None,
) -> Report:
    """Return the report of a test; a regressor has no probability, and `unknown` is the reason if training is None."""
    spec = spec.portable()
    columns = {"id": data.ids, "label": _labels(spec, data), "prediction": prediction}
    if probability is None:
        values = score_continuous(
            data.continuous_labels(), prediction, higher_is_better=data.higher_is_better is not False
        )
    else:
        columns["probability"] = probability
        values = score(data.binary_labels(), prediction, probability)
    scores = _read_only({metric: np.array([value]) for metric, value in values.items()})
    table = _table(spec, columns)
    facts: dict[str, Any] = {"unknown": unknown, "ungraded": ungraded, "untrained": untrained, "model": model}
    return Report(spec, data, scores, table, first_notes, training, openings, threshold, **facts)


def _read_only(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return copies that cannot be changed: the scores that are saved with a model are those of its report."""
    copies = {metric: np.array(values) for metric, values in scores.items()}
    for values in copies.values():
        values.setflags(write=False)
    return copies


def _labels(spec: TrainSpec, data: Dataset) -> NDArray[Any]:
    return data.continuous_labels() if spec.is_regression else data.binary_labels()


def _table(spec: TrainSpec, columns: dict[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    if spec.is_regression:
        from antibody_esm.reports.prediction_table import PredictionTable

        return PredictionTable(columns)
    return pd.DataFrame(columns)
