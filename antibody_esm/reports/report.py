"""The result of a cross-validation or of a test, as text, table, JSON and page."""

import html
import json
import textwrap
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.audit import Audit
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.identity import cluster
from antibody_esm.errors import AntibodyESMError, DatasetError
from antibody_esm.evaluation.baselines import BASELINES, BaselineName, Results
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.effective_size import sample
from antibody_esm.evaluation.intervals import Interval, few_positives, short
from antibody_esm.evaluation.metrics import METRIC, score, score_continuous
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
from antibody_esm.evaluation.predictions import AnyPredictions, ContinuousPredictions, Predictions
from antibody_esm.files import csv_text, write
from antibody_esm.reports import figures, plain, text
from antibody_esm.reports.beside import (
    cross_validated_baselines,
    family,
    identity_to_other_folds,
    nearest_identity,
    tested_baselines,
)
from antibody_esm.reports.scored import Scored, Slice, defined, part, predictions, slices
from antibody_esm.specs import TrainSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_STEPS = (0.6, 0.7, 0.8, 0.9, 1.0)
"""Identities to the training set at which antibodies are told apart."""
FAMILIES = 12
"""Families that a figure shows, at most."""
UNCHECKED = "Sequences were not checked to be the chain that is read (check=False)."
"""Note of reports on data that were not checked."""
_WIDTH = 10
"""Width of a column of numbers in the table."""


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """Scores and predictions on one data set. ``str(report)`` is a table.

    Baselines, intervals, identities and families are computed when they are first asked for, or printed.

    Attributes
    ----------
    spec
        What was trained.
    data
        The antibodies that were scored.
    scores
        Metric to its values: ``(repeats * n_folds,)`` from cross-validation, ``(1,)`` from a test.
    predictions
        One row an antibody: id, label, prediction, probability of class 1, and from cross-validation the fold in which
        it was tested. With several repeats, one row an antibody and repeat. Of continuous labels there is no
        probability, and the label's column is named ``target``.
    notes
        What a reader should know before the numbers.
    training
        Of a test: what the model was fitted on; None if it is unknown, and without labels if only these are.
    openings
        How often the test set was opened; None where nobody counted.
    threshold
        Probability from which on antibodies were predicted as 1; None where the model decided.
    again
        Of a cross-validation: what cross-validates the same vectors with another split; None without vectors.
    unknown
        Of a test: the reason why training antibodies or their labels are unknown.
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

    @property
    def source(self) -> str:
        """Where the antibodies come from."""
        return self.data.provenance.source

    @cached_property
    def audit(self) -> Audit:
        """What `Dataset.audit` finds in the data without numbering or comparing them."""
        return self.data.audit(identities=(), numbering=False)

    @property
    def is_cross_validation(self) -> bool:
        """Whether the scores come from folds."""
        return "fold" in self.predictions

    @property
    def metric(self) -> str:
        """The name of the metric that comes first: ROC AUC, or Spearman's correlation of continuous labels."""
        return "spearman" if self.spec.is_regression else "roc_auc"

    @property
    def pipeline(self) -> str:
        """The name of what was trained: model and classifier, with the fields that differ from their defaults."""
        return text.pipeline(self.spec)

    @property
    def design(self) -> str:
        """How the scores were found: the folds, or that it was a test."""
        if not self.is_cross_validation:
            return "test"
        return text.folds(self.spec, len(self.scores[self.metric]) // self._repeats, self.data)

    @property
    def out_of_fold(self) -> "pd.DataFrame":
        """The predictions, each by a classifier that had not seen the antibody."""
        if not self.is_cross_validation:
            raise AttributeError("a test on other data has no folds; see .predictions")
        return self.predictions

    @cached_property
    def scored(self) -> Scored:
        """The predictions, as intervals, comparisons and figures take them."""
        column = {name: values.to_numpy() for name, values in self.predictions.items()}
        fold = column.get("fold")
        if fold is not None and "repeat" in column:
            fold = fold + column["repeat"] * (fold.max() + 1)
        label = column["target" if self.spec.is_regression else "label"]
        clusters = None if self.is_cross_validation else cluster(self.data.identity_sequences, RELATED)
        rows = predictions(label, column["prediction"], column.get("probability"), fold=fold, clusters=clusters)
        return Scored(rows, self.scores, self._repeats)

    def intervals(self) -> dict[str, Interval]:
        """Return an interval for each metric, at 95 %.

        For a test, claimed intervals have that coverage; clusters at 90 % identity count by their effective size. If an
        interval is not claimed, as after every cross-validation, `Interval.unclaimed` gives the reason.
        """
        return self.scored.intervals

    @cached_property
    def baselines(self) -> Results[Scored]:
        """What baselines that need no language model score, on the same folds or fitted on the same training set."""
        if self.is_cross_validation:
            return cross_validated_baselines(self.data, self.spec.split, self.spec.is_regression)
        if self.training is None or self.training.label is None:
            return Results({}, dict.fromkeys(BASELINES, self.unknown or _UNKNOWN))
        try:
            found = tested_baselines(self.training, self.data, self.spec.is_regression)
        except DatasetError as error:
            return Results({}, dict.fromkeys(BASELINES, str(error)))
        clusters = self.scored.rows.clusters
        return replace(found, found={name: one.clustered(clusters) for name, one in found.found.items()})

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Differences to each baseline in `metric`, best baseline first; Holm's correction is for all of them."""
        return adjust(
            [
                self.scored.compare(one, self.metric, (self.pipeline, self.baseline_title(name)))
                for name, one in self.ranked_baselines()
            ]
        )

    def ranked_baselines(self) -> list[tuple[BaselineName, Scored]]:
        """Return the baselines, that with the highest score in `metric` first; undefined ones come last."""
        estimate = {name: one.intervals[self.metric].estimate for name, one in self.baselines.found.items()}
        order = sorted(estimate, key=lambda name: -estimate[name] if estimate[name] == estimate[name] else np.inf)
        return [(name, self.baselines.found[name]) for name in order]

    def baseline_title(self, name: BaselineName) -> str:
        """Return the name of a baseline for people."""
        paired = self.data.chain == "paired"
        return text.baseline_title(name, continuous=self.spec.is_regression, paired=paired)

    @cached_property
    def identity(self) -> NDArray[np.float64] | None:
        """Identity of each predicted antibody to the nearest one its model was trained on, 0 to 1.

        One number a row of `predictions`; the training set of a cross-validation is all other folds. Of antibodies of
        two chains it is the identity of the heavy chains. None where the training set is not known, or where there are
        so many antibodies that it would take hours.
        """
        fold = self.scored.rows.fold
        if fold is not None:
            return identity_to_other_folds(self.data, fold, self._repeats)
        return None if self.training is None else nearest_identity(self.data, self.training)

    @cached_property
    def family(self) -> NDArray[np.object_] | None:
        """Family of each antibody of `data`: its group, else its V gene family; None where neither is known."""
        return family(self.data)

    @property
    def slice_metric(self) -> str:
        """The metric of families and of identities, which ranks no antibodies that different models scored."""
        return "rmse" if self.spec.is_regression else "balanced_accuracy"

    @cached_property
    def by_family(self) -> dict[str, Slice]:
        """The score of each family, that with most antibodies first; empty where families are not known."""
        if self.family is None:
            return {}
        found = slices(self.scored.first, [str(name) for name in self.family], self.slice_metric)
        return dict(sorted(found.items(), key=lambda one: -one[1].antibodies))

    @cached_property
    def by_identity(self) -> dict[str, Slice]:
        """The score of antibodies by their `identity`, from far to near; empty where that is not known."""
        if self.identity is None:
            return {}
        step = np.searchsorted(_STEPS, self.identity[: len(self.data)], side="right")
        names = [f"below {_STEPS[0]:.0%}", *(f"{low:.0%} to {high:.0%}" for low, high in pairwise(_STEPS)), "identical"]
        found = slices(self.scored.first, [names[one] for one in step], self.slice_metric)
        return {name: found[name] for name in names if name in found}

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
    def second(self) -> SecondScores | str | None:
        """Scores of a second cross-validation whose folds divide no clonal relatives; the reason if there are none.

        It is computed on the same vectors if more than a twentieth of antibodies have a clonal relative in another
        fold; None if not.
        """
        if self.clones is None or not self.clones.many:
            return None
        if self.again is None:
            return "this report was made without vectors; see SplitSpec(by='identity')"
        try:
            return self.again(split_by_identity(self.spec.split))
        except AntibodyESMError as error:
            return str(error)

    @cached_property
    def few(self) -> str | None:
        """What has to be said where a class has few antibodies; None where both have enough."""
        rows = self.scored.first
        return few_positives(rows, self.intervals()) if isinstance(rows, Predictions) else None

    @property
    def nominal(self) -> str | None:
        """Note on the intervals of a cross-validation; None for a test."""
        return text.nominal(self.data, self.spec) if self.is_cross_validation else None

    @property
    def shown(self) -> list[str]:
        """The metrics that are shown; accuracy is not where a class has few antibodies, as it says nothing there."""
        return [name for name in self.scores if not (self.few and name == "accuracy")]

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """The first of `remarks`, for the first lines: overlap with the training, clones, few antibodies of a class."""
        return tuple(filter(None, (self.overlap_note, self.clones_note(), self.few)))

    @property
    def overlap_note(self) -> str:
        """Sentence about training antibodies among the tested ones; empty if there are none."""
        if self.is_cross_validation:
            return ""
        return text.unknown_overlap(self.unknown or _UNKNOWN) if self.overlap is None else str(self.overlap)

    def clones_note(self) -> str:
        """Return the sentences about clonal relatives in other folds; empty if there are few."""
        if self.clones is None or self.second is None:
            return ""
        if isinstance(self.second, str):
            return f"{self.clones} {text.no_second_scores(self.second)}"
        split = self.spec.model_copy(update={"split": split_by_identity(self.spec.split)})
        design = text.folds(split, self.second.folds, self.data)
        score = f"{METRIC[self.metric].title} is {self.second.interval(self.metric)}"
        own = self.intervals()[self.metric]
        return f"{self.clones} With clonal relatives in one fold ({design}), {score} instead of {own}."

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """All that a reader should know before the numbers: `notes`, and what follows from the numbers."""
        said = [*self.warnings, *([] if self.few else [text.constant(self.data, self.spec)]), *self.notes]
        if self.threshold is not None:
            said.append(f"The threshold is {plain.text(self.threshold)}.")
        for name in self.shown:
            values = self.scores[name]
            if (undefined := int(np.isnan(values).sum())) and len(values) > 1:
                left = f"its mean is that of the other {len(values) - undefined}"
                said.append(f"{METRIC[name].title} is not defined in {undefined} of {len(values)} folds; {left}.")
        if self.nominal:
            said.append(self.nominal)
        else:
            if not self.scored.rows.independent:
                alike = sample(self.scored.rows.cluster)
                what = text.identity(self.data)
                said.append(
                    f"The {len(self.data):,} antibodies are {alike.clusters:,} clusters at {RELATED:.0%} {what}; "
                    f"intervals count them as {alike.effective:,.1f} independent antibodies."
                )
            said += text.unclaimed({name: self.intervals()[name] for name in self.shown})
        for reason in dict.fromkeys(self.baselines.absent.values()):
            names = [self.baseline_title(name) for name, why in self.baselines.absent.items() if why == reason]
            every = "any baseline" if len(names) == len(BASELINES) else f"the baseline {', '.join(names)}"
            said.append(f"Without {every}: {reason}.")
        return tuple(said)

    def to_frame(self) -> "pd.DataFrame":
        """Return the scores with one row a metric: one column a fold, then ``mean`` and ``sd``; or ``score``.

        The last two columns are the ends of the interval, ``low`` and ``high``.
        """
        import pandas as pd

        found = self.intervals()
        ends = {end: [getattr(found[name], end) for name in self.scores] for end in ("low", "high")}
        frame = pd.DataFrame(self.scores).T.rename_axis("metric")
        if not self.is_cross_validation:
            return frame.set_axis(["score"], axis=1).assign(**ends)
        folds = frame.set_axis([f"fold {number}" for number in frame.columns], axis=1)
        return folds.assign(mean=folds.mean(axis=1), sd=folds.std(axis=1, ddof=1), **ends)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but predictions as plain JSON values; what is undefined is None."""
        spec, training = self.spec, self.training
        return self.summary() | {
            "notes": list(self.remarks),
            "pipeline": self.pipeline,
            "design": self.design,
            "intervals": {name: plain.interval(one) for name, one in self.intervals().items()},
            "baselines": {
                name: {metric: plain.interval(one.intervals[metric]) for metric in self.scores}
                for name, one in self.baselines.found.items()
            },
            "without_baselines": dict(self.baselines.absent),
            "comparisons": [plain.comparison(one) for one in self.comparisons],
            "by_family": {name: plain.part(one) for name, one in self.by_family.items()},
            "by_identity": {name: plain.part(one) for name, one in self.by_identity.items()},
            "overlap": None if self.overlap is None else self.overlap._asdict(),
            "clones": None if self.clones is None else plain.clones(self.clones, self.second),
            "openings": self.openings,
            "threshold": self.threshold,
            "spec": json.loads(spec.model_dump_json()),
            "fingerprints": {
                "train": spec.fingerprint,
                **{name: getattr(spec, name).fingerprint for name in ("extractor", "classifier", "split", "decision")},
            },
            "data_digest": self.data.digest,
            "training_digest": None if training is None else training.digest,
            "versions": text.versions(),
            "reproduce": {"command": self.command, "python": self.python},
        }

    def summary(self) -> dict[str, Any]:
        """Return scores, counts and notes as plain JSON values, without what takes time to compute."""
        scores: dict[str, Any] = {}
        for metric, values in self.scores.items():
            if self.is_cross_validation:
                known = values[~np.isnan(values)]
                mean = known.mean() if len(known) else np.nan
                sd = known.std(ddof=1) if len(known) > 1 else np.nan
                scores[metric] = {
                    "mean": plain.number(mean),
                    "sd": plain.number(sd),
                    "folds": [plain.number(value) for value in values],
                }
            else:
                scores[metric] = {"score": plain.number(values[0])}
        first = [self.overlap_note, str(self.clones) if self.clones is not None and self.clones.many else ""]
        return {
            "source": self.source,
            "antibodies": self.number[0],
            **({} if self.spec.is_regression else {"positives": self.number[1]}),
            "scores": scores,
            "notes": [*filter(None, first), text.constant(self.data, self.spec), *self.notes],
            "audit": {one.check: one.count for one in self.audit.findings},
        }

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, and return the path."""
        path = Path(path)
        write(path, json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False).encode())
        return path

    def to_csv(self, path: str | Path) -> Path:
        """Write the predictions, with columns ``identity`` and ``family`` where these are known; return the path."""
        path = Path(path)
        known = {} if self.identity is None else {"identity": self.identity}
        if self.family is not None:
            known["family"] = np.tile(self.family, self._repeats)
        write(path, csv_text(self.predictions.assign(**known)).encode())
        return path

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that loads nothing else, and return its path."""
        from antibody_esm.reports.grid import GridReport

        return GridReport([self]).to_html(path)

    def plot_roc(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the ROC curve; after cross-validation that of each fold, and their mean. Return the axes.

        Like every ``plot_`` method, on the axes given, else on new ones that a notebook shows.
        """
        return figures.drawn(ax, figures.roc, _classes(self.scored.rows), self.intervals().get("roc_auc"))

    def plot_precision_recall(self, ax: "Axes | None" = None) -> "Axes":
        """Draw precision over recall; after cross-validation for each fold, and the mean. Return the axes."""
        return figures.drawn(ax, figures.precision_recall, _classes(self.scored.rows), self.intervals().get("pr_auc"))

    def plot_calibration(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of positives over the predicted probability. Return the axes."""
        return figures.drawn(ax, figures.calibration, _classes(self.scored.first))

    def plot_confusion(self, ax: "Axes | None" = None) -> "Axes":
        """Draw how many of each class were predicted as which. Return the axes."""
        return figures.drawn(ax, figures.confusion, _classes(self.scored.first))

    def plot_values(self, name: str, ax: "Axes | None" = None) -> "Axes":
        """Draw the predicted probability over a measurement of the data, such as ``"psr"``. Return the axes."""
        rows, value = _classes(self.scored.first), np.asarray(self.data.measurements[name])
        given = value, rows.probability, rows.label, name, self.correlation(name)
        return figures.drawn(ax, figures.score_by_value, *given)

    def plot_predicted(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the predicted over the measured value of continuous labels. Return the axes."""
        return figures.drawn(ax, figures.predicted_by_measured, _values(self.scored.first))

    def plot_residuals(self, ax: "Axes | None" = None) -> "Axes":
        """Draw what was predicted too much, for continuous labels. Return the axes."""
        return figures.drawn(ax, figures.residuals, _values(self.scored.first))

    def plot_families(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score of each family that has one, of the twelve largest at most. Return the axes."""
        return figures.drawn(
            ax,
            figures.forest,
            _entries({name: self.by_family[name] for name in defined(self.by_family)[:FAMILIES]}),
            self.slice_metric,
        )

    def plot_identity(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score by identity to the training set. Return the axes."""
        return figures.drawn(ax, figures.forest, _entries(self.by_identity), self.slice_metric)

    def plot_baselines(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score and its interval, above those of the baselines. Return the axes."""
        entries = [figures.Entry(self.pipeline, self.intervals()[self.metric])] + [
            figures.Entry(self.baseline_title(name), one.intervals[self.metric], faint=True)
            for name, one in self.ranked_baselines()
        ]
        return figures.drawn(ax, figures.forest, entries, self.metric)

    def plot_comparisons(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the differences to the baselines. Return the axes."""
        return figures.drawn(ax, figures.matrix, self.comparisons)

    def correlation(self, name: str) -> Interval:
        """Return Spearman's correlation of the predicted probability with a measurement, where that was made."""
        value = np.asarray(self.data.measurements[name])
        known = np.flatnonzero(np.isfinite(value))
        rows = part(self.scored.first, known)
        said = rows.probability if isinstance(rows, Predictions) else rows.prediction
        measured = ContinuousPredictions(target=value[known], prediction=said, fold=rows.fold, clusters=rows.clusters)
        return Scored.of(measured).intervals["spearman"]

    @property
    def command(self) -> str | None:
        """The command that cross-validates the same pipeline, but for the data; None where there is none."""
        return text.command(self.spec)

    @property
    def python(self) -> str:
        """The lines of Python that give the same numbers again, given the data."""
        known = None if self.training is None else (self.training.provenance.source, self.training.digest)
        if self.is_cross_validation:
            return text.cross_validation_in_python(self.spec, self.source, self.data.digest)
        return text.test_in_python(self.spec, self.source, self.data.digest, known, self.threshold)

    @property
    def number(self) -> tuple[int, int]:
        """How many antibodies there are, and how many positives, each counted once."""
        positives = 0 if self.spec.is_regression else int(self.predictions["label"].sum())
        return len(self.predictions) // self._repeats, positives // self._repeats

    @property
    def counts(self) -> str:
        """How many antibodies there are, of which class, in which folds."""
        n, positives = self.number
        told = "" if self.spec.is_regression else f", {positives} positive ({positives / n:.0%})"
        return f"{n} antibodies{told}" + (f", {self.design}" if self.is_cross_validation else "")

    @property
    def title(self) -> str:
        """What was done."""
        return f"{'Cross-validation' if self.is_cross_validation else 'Test'} of {self.pipeline}"

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        columns = ["mean", "sd"] if self.is_cross_validation else ["score"]
        titles = {name: METRIC[name].title for name in self.shown}
        ranked = self.ranked_baselines()
        width = max(map(len, [*titles.values(), *(self.baseline_title(name) for name, _ in ranked)])) + 2
        head = "".join(f"{name:>{_WIDTH}}" for name in columns)
        lines = [*textwrap.wrap(self.title, 80), *textwrap.wrap(self.counts, 80)]
        lines += [line for warning in self.warnings for line in ("", *textwrap.wrap(warning, 80))]
        lines += ["", f"{'':<{width}}{head}   95 % interval"]
        lines += [_line(title, self.scored, name, width) for name, title in titles.items()]
        if ranked:
            lines += ["", f"{METRIC[self.metric].title} of baselines"]
            lines += [_line(self.baseline_title(name), one, self.metric, width) for name, one in ranked]
            lines += ["", *textwrap.wrap(self.comparisons[0].sentence(subject=False), 80)]
        rest = self.remarks[len(self.warnings) :]
        return "\n".join([*lines, *("\n" + textwrap.fill(remark, 80) for remark in rest)])

    def _repr_html_(self) -> str:
        ranked = [(self.baseline_title(name), one, self.metric) for name, one in self.ranked_baselines()]
        columns = ["mean", "sd"] if self.is_cross_validation else ["score"]
        head = "".join(f"<th>{name}</th>" for name in ["", *columns, "95 % interval"])
        metrics = "".join(_row(METRIC[name].title, self.scored, name) for name in self.shown)
        baselines = "".join(_row(*one) for one in ranked)
        between = f"<tr><th colspan='4'>{METRIC[self.metric].title} of baselines</th></tr>" if ranked else ""
        warnings = "".join(f"<p>{html.escape(warning)}</p>" for warning in self.warnings)
        first = [comparison.sentence(subject=False) for comparison in self.comparisons[:1]]
        said = [*first, *self.remarks[len(self.warnings) :]]
        return (
            f"<h3>{html.escape(self.title)}</h3><p>{html.escape(self.counts)}</p>{warnings}"
            f"<table><thead><tr>{head}</tr></thead><tbody>{metrics}{between}{baselines}</tbody></table>"
            + "".join(f"<p>{html.escape(one)}</p>" for one in said)
        )

    @property
    def _repeats(self) -> int:
        return self.spec.split.repeats if self.is_cross_validation else 1


_UNKNOWN = "the training antibodies are unknown"


def cross_validation_report(
    spec: TrainSpec,
    data: Dataset,
    found: CrossValidation,
    notes: tuple[str, ...] = (),
    *,
    again: Again | None = None,
) -> Report:
    """Return the report of a cross-validation.

    Parameters
    ----------
    spec, data, found
        Pipeline, antibodies and result.
    notes
        First notes for the reader.
    again
        Cross-validates the same vectors with another split.
    """
    import pandas as pd

    columns = {"fold": found.fold, "prediction": found.prediction}
    if found.probability is not None:
        columns["probability"] = found.probability
    n, repeats = len(data), found.repeats
    rows = {"id": np.tile(np.array(data.ids, object), repeats), **_labels(spec, data, repeats)}
    if repeats > 1:
        rows["repeat"] = np.repeat(np.arange(repeats), n)
    predicted = pd.DataFrame(rows | {name: values.T.ravel() for name, values in columns.items()})
    notes = (*notes, *text.groups(data, spec), *text.repeated(data, spec))
    return Report(spec, data, found.scores, predicted, notes, again=again)


def evaluation_report(
    spec: TrainSpec,
    data: Dataset,
    prediction: NDArray[Any],
    probability: NDArray[np.float64] | None,
    notes: tuple[str, ...] = (),
    *,
    training: Dataset | None = None,
    openings: int | None = None,
    threshold: float | None = None,
    unknown: str = "",
) -> Report:
    """Return the report of a test; a regressor gives no probability, and `unknown` says why training is None."""
    import pandas as pd

    columns = {"id": data.ids, **_labels(spec, data), "prediction": prediction}
    if probability is None:
        found = score_continuous(data.continuous_labels(), prediction)
    else:
        columns["probability"] = probability
        found = score(data.binary_labels(), prediction, probability)
    scores = {metric: np.array([value]) for metric, value in found.items()}
    predicted = pd.DataFrame(columns)
    return Report(spec, data, scores, predicted, notes, training, openings, threshold, unknown=unknown)


def _classes(rows: AnyPredictions) -> Predictions:
    if not isinstance(rows, Predictions):
        raise AttributeError("continuous labels have no classes; see plot_predicted and plot_residuals")
    return rows


def _values(rows: AnyPredictions) -> ContinuousPredictions:
    if not isinstance(rows, ContinuousPredictions):
        raise AttributeError("classes have no values; see plot_roc and plot_calibration")
    return rows


def _entries(found: dict[str, Slice]) -> list[figures.Entry]:
    def counted(one: Slice) -> str:
        return f"{one.antibodies:,}" + ("" if one.positives is None else f", {one.positives:,} positive")

    return [figures.Entry(name, one.interval, detail=counted(one)) for name, one in found.items()]


def _columns(one: Scored, metric: str) -> list[str]:
    """Return the score and, after cross-validation, the standard deviation over the folds where it is defined."""
    numbers = [short(one.intervals[metric].estimate, 3)]
    if one.rows.fold is not None:
        known = one.scores[metric][~np.isnan(one.scores[metric])]
        numbers.append(short(known.std(ddof=1), 3) if len(known) > 1 else "")
    return numbers


def _line(title: str, one: Scored, metric: str, width: int) -> str:
    numbers = "".join(f"{number:>{_WIDTH}}" for number in _columns(one, metric))
    return f"{title:<{width}}{numbers}   {one.intervals[metric].ends}"


def _row(title: str, one: Scored, metric: str) -> str:
    cells = [*_columns(one, metric), one.intervals[metric].ends]
    return f"<tr><th scope='row'>{html.escape(title)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _labels(spec: TrainSpec, data: Dataset, repeats: int = 1) -> dict[str, NDArray[Any]]:
    if spec.is_regression:
        return {"target": np.tile(data.continuous_labels(), repeats)}
    return {"label": np.tile(data.binary_labels(), repeats)}
