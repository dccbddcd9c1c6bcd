"""Analysis of the predictions for one data set: scores, intervals, baselines and differences, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.audit import Audit
from antibody_esm.data.column_reading import columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import cluster
from antibody_esm.deprecation import still_callable
from antibody_esm.errors import AntibodyESMError, ClusterError
from antibody_esm.evaluation.baselines import BASELINES, BaselineName, Results
from antibody_esm.evaluation.intervals import Interval, few_positives
from antibody_esm.evaluation.learning_curve import MeasuredCurve
from antibody_esm.evaluation.metrics import title
from antibody_esm.evaluation.overlap import (
    RELATED,
    Again,
    Clones,
    Overlap,
    SecondScores,
    clones,
    overlap,
    split_by_identity,
)
from antibody_esm.evaluation.paired import Comparison, adjust
from antibody_esm.evaluation.predictions import Predictions, predictions_of
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.evaluation.slices import Slice, slices
from antibody_esm.evaluation.tuned import Tuned
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.finetuning_facts import FineTuningFacts
from antibody_esm.reports import context, correlations, names
from antibody_esm.reports.embedding_map import EmbeddingMap, HasVectors, embedding_map
from antibody_esm.specs import TrainSpec
from antibody_esm.trained_on import Recalibration, TrainedOn
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

_STEPS = (0.6, 0.7, 0.8, 0.9, 1.0)
"""Bounds of the slices by identity to the training set."""


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """Numbers about the predictions for one data set; `antibody_esm.reports.report.Report` shows them.

    A number that is stored or cached and takes no argument is a property. A method takes an argument. Baselines,
    identities, families and all that follows from them are computed on first use.

    Attributes
    ----------
    spec
        Spec of the pipeline.
    data
        The antibodies that were scored.
    scores
        Metric to its values: ``(repeats * n_folds,)`` from cross-validation, ``(1,)`` from a test.
    predictions
        One row for each antibody and repeat: id, label, prediction, probability of class 1 (classifiers only), and
        from cross-validation the fold in which the antibody was tested.
    notes
        First notes for the reader.
    training
        Training set of a test; None if it is unknown, and without labels if only these are unknown.
    openings
        Number of times that the test set was opened; None if they were not counted.
    threshold
        Probability threshold of class 1; None for that of the model.
    again
        Cross-validates the same vectors with another split; None for a test, or without vectors.
    unknown
        Reason why training antibodies or their labels are unknown.
    ungraded
        Predictions for the antibodies between the classes; None if there are none.
    unconverged
        Number of folds in which the solver reached its largest number of iterations.
    penalties
        Penalty that each fold chose; empty if none was chosen.
    untrained
        Functions that compute the baselines of random weights, by name; each is called once, on first use.
    tuned
        Choices of a tuned pipeline in a cross-validation; None if nothing was tuned.
    finetuned
        Facts on the fine-tuning in each fold; empty if the language model is frozen.
    curve
        Learning curve on the same data, or the reason why it could not be computed, see `Report.with_curve`; None if
        none was wanted.
    model
        Training data and recalibration of the model that was tested; None if it was not kept.
    """

    spec: TrainSpec
    data: Dataset
    scores: dict[str, NDArray[np.float64]]
    predictions: "pd.DataFrame"
    notes: tuple[str, ...] = ()
    training: Dataset | None = None
    openings: int | None = None
    threshold: float | None = None
    again: Again | None = None
    unknown: str = ""
    ungraded: Ungraded | None = None
    unconverged: int = 0
    penalties: tuple[float, ...] = ()
    untrained: context.UntrainedBaselines = field(default_factory=dict)
    tuned: Tuned | None = None
    finetuned: tuple[FineTuningFacts, ...] = ()
    curve: MeasuredCurve | Unknown | None = None
    model: TrainedOn | None = None

    @property
    def source(self) -> str:
        """Source of the antibodies."""
        return self.data.provenance.source

    @property
    def is_cross_validation(self) -> bool:
        """True if the scores come from folds."""
        return "fold" in self.predictions

    @property
    def trained(self) -> TrainSpec:
        """Spec by which the model, or that of each fold, was trained: of a fine-tuned one without its adapter."""
        return self.spec if self.model is None else self.model.pipeline(self.spec)

    @property
    def recalibration(self) -> Recalibration | None:
        """The antibodies that the tested model was recalibrated on; None if it is as it was trained."""
        return None if self.model is None else self.model.recalibration

    @property
    def metric(self) -> str:
        """Name of the first metric: ROC AUC, or Spearman's correlation for continuous labels."""
        return "spearman" if self.spec.is_regression else "roc_auc"

    @property
    def best_is_high(self) -> bool:
        """False if the lowest labels are the best; the highest are, or are taken as such if that is not known."""
        return self.data.higher_is_better is not False

    def metric_title(self, name: str) -> str:
        """Return the name of a metric for people, see `antibody_esm.evaluation.metrics.title`."""
        return title(name, self.data.higher_is_better)

    @property
    def slice_metric(self) -> str:
        """Metric of families and identities, which ranks no antibodies that different models scored."""
        return "rmse" if self.spec.is_regression else "balanced_accuracy"

    @property
    def repeats(self) -> int:
        """Number of predictions for each antibody."""
        return self.spec.split.repeats if self.is_cross_validation else 1

    @property
    def pipeline(self) -> str:
        """Name of the pipeline: model and classifier, with the fields that differ from their defaults."""
        again = self.recalibration
        more = [] if again is None else [names.recalibrated(again.antibodies, again.source)]
        return ", ".join([names.pipeline(self.trained), *more])

    @property
    def design(self) -> str:
        """Folds of the cross-validation, in words; ``test`` for a test."""
        if not self.is_cross_validation:
            return "test"
        return names.folds(self.spec, len(self.scores[self.metric]) // self.repeats, self.data)

    @property
    def title(self) -> str:
        """Kind of the evaluation, with the name of the pipeline."""
        return f"{'Cross-validation' if self.is_cross_validation else 'Test'} of {self.pipeline}"

    @property
    def number(self) -> tuple[int, int]:
        """Number of antibodies, and of positives, each counted once."""
        positives = 0 if self.spec.is_regression else int(self.predictions["label"].sum())
        return len(self.predictions) // self.repeats, positives // self.repeats

    @property
    def counts(self) -> str:
        """Number of antibodies and of positives, with the design of a cross-validation."""
        n, positives = self.number
        classes = "" if self.spec.is_regression else f", {positives} positive ({positives / n:.0%})"
        left_out = names.left_out(self.data)
        return f"{n} antibodies{classes}{left_out}" + (f", {self.design}" if self.is_cross_validation else "")

    @cached_property
    def audit(self) -> Audit:
        """Findings of `Dataset.audit` that need neither numbering nor comparison of sequences."""
        return self.data_as_read.audit(identities=(), numbering=False)

    @property
    def data_as_read(self) -> Dataset:
        """The antibodies with the columns that the pipeline reads, and no others."""
        read = [column.name for column in columns_read(self.spec, self.data.columns)]
        return replace(self.data, columns={name: self.data.columns[name] for name in self.data.columns if name in read})

    @cached_property
    def scored(self) -> ScoredPredictions:
        """The predictions in the form that intervals, comparisons and figures read."""
        column = {name: values.to_numpy() for name, values in self.predictions.items()}
        fold = column.get("fold")
        if fold is not None and "repeat" in column:
            fold = fold + column["repeat"] * (fold.max() + 1)
        alone = self.spec.split.by == "leave_one_out" and self.is_cross_validation
        apart = self.is_cross_validation and not alone
        clusters = None if apart else cluster(self.data.identity_sequences, RELATED)
        rows = predictions_of(
            column["label"],
            column["prediction"],
            column.get("probability"),
            fold=fold,
            clusters=clusters,
            higher_is_better=self.best_is_high,
        )
        scored = ScoredPredictions(rows, self.scores, self.repeats)
        return scored.one_by_one() if alone else scored

    @property
    def intervals(self) -> dict[str, Interval]:
        """Interval of each metric, at 95 %.

        For a test, claimed intervals have that coverage; clusters at 90 % identity count by their effective size. If an
        interval is not claimed, as after every cross-validation, `Interval.unclaimed` gives the reason.
        """
        return still_callable(self.scored.intervals, "intervals")

    @cached_property
    def baselines(self) -> Results[ScoredPredictions]:
        """Scores of baselines on the same folds or fitted on the same training set.

        They need no language model; one has a language model with random weights, which is computed once.
        """
        clusters, best_is_high = self.scored.rows.clusters, self.best_is_high
        label = self.data.continuous_labels() if self.spec.is_regression else self.data.binary_labels()
        more = context.computed(self.untrained, label, clusters, best_is_high)
        if not self.is_cross_validation and (self.training is None or self.training.label is None):
            return Results(more.found, dict.fromkeys(BASELINES, self.unknown_training.reason) | more.absent)
        training = None if self.is_cross_validation else self.training
        shared = context.of_sequences(self.data, training, self.spec, label, clusters, best_is_high)
        return Results(shared.found | more.found, shared.absent | more.absent)

    @property
    def unknown_training(self) -> Unknown:
        """Reason why training antibodies or their labels are unknown."""
        return Unknown(self.unknown or "the training antibodies are unknown")

    @property
    def ranked_baselines(self) -> list[tuple[BaselineName, ScoredPredictions]]:
        """The baselines by falling score in `metric`; those without a score come last."""
        estimate = {name: scored.intervals[self.metric].estimate for name, scored in self.baselines.found.items()}
        order = sorted(estimate, key=lambda name: -estimate[name] if estimate[name] == estimate[name] else np.inf)
        return still_callable([(name, self.baselines.found[name]) for name in order], "ranked_baselines")

    def baseline_title(self, name: BaselineName) -> str:
        """Return the name of a baseline as people read it."""
        paired = self.data.chain == "paired"
        return names.baseline_title(name, continuous=self.spec.is_regression, paired=paired)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Differences to each baseline in `metric`, best baseline first; Holm's correction is for all of them."""
        return adjust(
            [
                self.scored.compare(scored, self.metric, (self.pipeline, self.baseline_title(name)))
                for name, scored in self.ranked_baselines
            ]
        )

    @property
    def verdict(self) -> Comparison | Unknown:
        """Comparison with the best baseline, which a report opens with; the reason if there is no baseline."""
        if self.comparisons:
            return self.comparisons[0]
        return Unknown("; ".join(dict.fromkeys(self.baselines.absent.values())) or "no baseline was computed")

    @cached_property
    def against_untuned(self) -> Comparison | None:
        """Difference to the untuned pipeline on the same folds, in the metric that chose; None if nothing was tuned."""
        if self.tuned is None or self.tuned.untuned is None:
            return None
        label = self.data.continuous_labels() if self.spec.is_regression else self.data.binary_labels()
        untuned = ScoredPredictions.of_folds(self.tuned.untuned, label, higher_is_better=self.best_is_high)
        names_of = "the tuned pipeline", f"the untuned pipeline ({names.pipeline(self.spec.untuned)})"
        metric = self.tuned.spec.metric or self.metric
        return self.scored.compare(untuned.clustered(self.scored.rows.clusters), metric, names_of)

    @cached_property
    def identity(self) -> NDArray[np.float64] | None:
        """Identity of each predicted antibody to the nearest training antibody, 0 to 1.

        One number for each row of `predictions`; the training set of a cross-validation is all other folds. For
        antibodies of two chains it is the identity of the heavy chains. None if the training set is unknown, or if the
        computation would take hours.
        """
        if self.is_cross_validation:
            of_a_repeat = self.predictions["fold"].to_numpy()  # only compared within a repeat
            return context.identity_to_other_folds(self.data, of_a_repeat, self.repeats)
        return None if self.training is None else context.nearest_identity(self.data, self.training)

    @cached_property
    def family(self) -> NDArray[np.object_] | None:
        """Family of each antibody of `data`: its group, else its V gene family; None if there is neither."""
        return context.family(self.data)

    @property
    def family_title(self) -> str:
        """Name of the families: that of the column of groups, else ``group``; ``V gene family`` without groups."""
        return "V gene family" if self.data.groups is None else self.data.groups_name or "group"

    @cached_property
    def embedding_map(self) -> EmbeddingMap | Unknown:
        """First two principal components of the vectors; the reason if the report was made without vectors."""
        if not isinstance(self.again, HasVectors):
            return Unknown("this report was made without vectors")
        return embedding_map(self.again.vectors)

    @cached_property
    def by_family(self) -> dict[str, Slice]:
        """Score of each family, the largest first; empty if families are unknown."""
        if self.family is None:
            return {}
        table = slices(self.scored.first, [str(name) for name in self.family], self.slice_metric)
        return dict(sorted(table.items(), key=lambda item: -item[1].antibodies))

    @cached_property
    def by_identity(self) -> dict[str, Slice]:
        """Score of antibodies by their `identity`, from far to near; empty if identities are unknown."""
        if self.identity is None:
            return {}
        step = np.searchsorted(_STEPS, self.identity[: len(self.data)], side="right")
        titles = [f"below {_STEPS[0]:.0%}", *(f"{a:.0%} to {b:.0%}" for a, b in pairwise(_STEPS)), "identical"]
        table = slices(self.scored.first, [titles[number] for number in step], self.slice_metric)
        return {title: table[title] for title in titles if title in table}

    @cached_property
    def overlap(self) -> Overlap | None:
        """Counts of tested antibodies that are training antibodies, or related to them; None if these are unknown."""
        return None if self.training is None else overlap(self.data, self.training)

    @cached_property
    def clones(self) -> Clones | None:
        """Count of antibodies with a clonal relative in another fold (of the first repeat); None for a test."""
        if not self.is_cross_validation:
            return None
        return clones(self.data, self.predictions["fold"].to_numpy()[: len(self.data)])

    @cached_property
    def second(self) -> SecondScores | Unknown | None:
        """Scores of a second cross-validation whose folds divide no clonal relatives, or the reason if there are none.

        It is computed on the same vectors if more than a twentieth of antibodies have a clonal relative in another
        fold; else it is None.
        """
        if self.clones is None or not self.clones.many:
            return None
        if self.again is None and self.spec.finetune is not None:
            return Unknown("it would fine-tune the language model again; see SplitSpec(by='identity')")
        if self.again is None:
            return Unknown("this report was made without vectors; see SplitSpec(by='identity')")
        try:
            return self.again(split_by_identity(self.spec.split))
        except ClusterError:
            raise
        except AntibodyESMError as error:
            return Unknown(str(error))

    @cached_property
    def few(self) -> str | None:
        """Warning for a class with few antibodies; None if both classes have enough."""
        rows = self.scored.first
        return few_positives(rows, self.intervals) if isinstance(rows, Predictions) else None

    @property
    def shown(self) -> list[str]:
        """Metrics to show: all, but not the accuracy if a class has few antibodies."""
        return [name for name in self.scores if not (self.few and name == "accuracy")]

    @cached_property
    def graded(self) -> Mapping[int, Interval]:
        """Spearman's correlation of the probability with `Dataset.grade`, by the number of antibodies; most first.

        It is that of all antibodies with a grade, and that of the labelled ones; empty without a grade that is finer
        than the classes. After a cross-validation it is the mean over folds, as for `correlation`.
        """
        return correlations.graded(self.data, self.scored, self.ungraded)

    def correlation(self, name: str) -> Interval:
        """Return Spearman's correlation of predictions with a measurement, for the antibodies that have it."""
        return correlations.correlation(self.data, self.scored, name)
