"""Notes that a reader needs before the numbers of an analysis."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from antibody_esm.data.column_reading import columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.duplicates import duplicates, repeats
from antibody_esm.evaluation.baselines import BASELINES
from antibody_esm.evaluation.effective_size import sample
from antibody_esm.evaluation.interval import compact
from antibody_esm.evaluation.intervals import CROSS_VALIDATION, SIMULATED, Interval, short
from antibody_esm.evaluation.metrics import METRIC, title
from antibody_esm.evaluation.overlap import RELATED, SecondScores, split_by_identity
from antibody_esm.presets import CAUSAL, TRAINED_ON_PAIRS
from antibody_esm.reports import names
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import Column, GridAnalysis, Row
from antibody_esm.specs import ChainSpec, EnsembleSpec, ExtractorSpec, SplitSpec, TrainSpec
from antibody_esm.specs.ensembles import language_models
from antibody_esm.specs.language_models import LANGUAGE_MODELS, OF_ONE_CHAIN
from antibody_esm.unknown import Unknown

JOINED = (
    "Heavy and light chain are joined to one sequence without a separator (chain='both'): the language model never saw "
    "such a sequence. chain='paired' embeds the chains one by one."
)
"""Note of reports on language models that read joined chains."""
UNCHECKED = "Sequences were not checked to be the chain that is read (check=False)."
"""Note of reports on data that were not checked."""
_SINGLE = frozenset(spec.model for spec in LANGUAGE_MODELS.values()) - TRAINED_ON_PAIRS
"""Language models that were trained on single chains or proteins."""
_SIMULATED = range(100, 401)
"""Numbers of antibodies for which coverage after cross-validation was simulated."""
_LISTED = 5
"""Most different warnings of columns that a note lists."""
_NAMED = 5
"""Largest number of duplicates whose ids are in a note."""
_OPTIMISTIC = "if identical sequences fall into different folds, scores are optimistic"


def remarks(report: Analysis) -> tuple[str, ...]:
    """Return all notes: the warnings, those that the analysis was made with, and those that follow from its numbers."""
    return (*warnings(report), *_after_warnings(report, graded(report)))


def of_model(report: Analysis) -> tuple[str, ...]:
    """Return the notes that are saved with a model, after the warnings: no other antibodies are predicted for them."""
    return _after_warnings(report, [])


def _after_warnings(report: Analysis, of_grade: list[str]) -> tuple[str, ...]:
    notes = [*([] if report.few else [constant(report)]), *report.notes]
    if report.threshold is not None:
        notes.append(f"The threshold is {compact(report.threshold)}.")
    notes += [*causal(report.spec), *fits(report), *flat(report), *of_grade, *_undefined(report), *_pooled(report)]
    note = coverage(report)
    if note:
        notes.append(note)
    else:
        notes += _clusters(report)
        notes += unclaimed({name: report.intervals[name] for name in report.shown}, report.data.higher_is_better)
    return (*notes, *_without_baselines(report))


def warnings(report: Analysis) -> tuple[str, ...]:
    """Return the notes for the first lines: overlap with the training, clones, few of a class, unfit chains."""
    return tuple(filter(None, (overlap(report), clones(report), report.few, joined(report), other_chain(report))))


def of_summary(report: Analysis) -> tuple[str, ...]:
    """Return the notes that need no baseline and no second cross-validation."""
    counted = str(report.clones) if report.clones is not None and report.clones.many else ""
    return (
        *filter(None, [overlap(report), counted, joined(report), other_chain(report)]),
        constant(report),
        *report.notes,
    )


def overlap(report: Analysis) -> str:
    """Return the sentence about training antibodies among the tested ones; empty if there are none."""
    if report.is_cross_validation:
        return ""
    if report.overlap is None:
        return f"Overlap with the training antibodies, and identity to them, are unknown: {report.unknown_training}."
    return str(report.overlap)


def joined(report: Analysis) -> str:
    """Return the note on language models that read two chains as one sequence; empty if there are none."""
    models = language_models(report.spec.extractor)
    if report.data.chain == "both" and models:
        return JOINED
    single = [model.model for model in models if model.pairs == "joined" and model.model in _SINGLE]
    if report.data.chain != "paired" or not single:
        return ""
    return (
        f"{', '.join(dict.fromkeys(single))} was trained on single chains: it never saw two chains as one sequence "
        "(pairs='joined')."
    )


def causal(spec: TrainSpec) -> list[str]:
    """Return the note on language models that read from left to right, among those with a name."""
    models = dict.fromkeys(member.model for member in language_models(spec.extractor) if member.model in CAUSAL)
    return [f"{model} is causal: a residue's vector depends on the residues before it only." for model in models]


def other_chain(report: Analysis) -> str:
    """Return the sentences on language models of one chain that read the other chain; empty if there are none."""
    reads: dict[tuple[str, str], None] = {}
    extractor, chain = report.spec.extractor, report.data.chain
    for member in extractor.members if isinstance(extractor, EnsembleSpec) else (extractor,):
        if isinstance(member, ChainSpec):
            models = {"heavy": member.heavy, "light": member.light}
        elif isinstance(member, ExtractorSpec) and not (member.pairs == "joined" and chain == "paired"):
            models = {"heavy": member, "light": member}
        else:
            continue
        reads |= {(model.model, name): None for name, model in models.items() if chain in (name, "paired")}
    return " ".join(
        f"{model} reads a single chain as a {own} chain, and reads {name} chains here."
        for model, name in reads
        if (own := OF_ONE_CHAIN.get(model, name)) != name
    )


def clones(report: Analysis) -> str:
    """Return the sentences about clonal relatives in other folds; empty if there are few."""
    if report.clones is None or report.second is None:
        return ""
    if isinstance(report.second, Unknown):
        return f"{report.clones} {without_second(report.second)}"
    split = report.spec.model_copy(update={"split": split_by_identity(report.spec.split)})
    design = names.folds(split, report.second.folds, report.data)
    score = f"{METRIC[report.metric].title} is {report.second.interval(report.metric)}"
    own = report.intervals[report.metric]
    return f"{report.clones} With clonal relatives in one fold ({design}), {score} instead of {own}."


def without_second(reason: Unknown) -> str:
    """Return the sentence of a report without a second cross-validation by identity."""
    words = reason.reason.rstrip(".")
    return f"A second cross-validation, with clonal relatives in one fold, was not computed: {words}."


def column_warnings(column: Column) -> tuple[str, ...]:
    """Return the notes of a column for the first lines, see `warnings`."""
    parts: dict[str, list[tuple[Row, Analysis]]] = {}
    for row, report in column.reports.items():
        parts.setdefault(row.fragment, []).append((row, report))
    overlaps, relatives, unseen = [], [], []
    for fragment, reports in parts.items():
        name = f"{fragment}: " if len(parts) > 1 else ""
        overlaps += [name + note for note in [overlap(reports[0][1])] if note]
        relatives += [name + note for note in [_clones_of_part(reports)] if note]
        unread = (note for _, report in reports for note in (joined(report), other_chain(report)))
        unseen += [name + note for note in dict.fromkeys(unread) if note]
    return (*overlaps, *relatives, *filter(None, [column.first.few]), *unseen)


def of_tests(column: Column) -> list[str]:
    """Return the notes that tests were made with, such as a recalibration; of several pipelines, with their names."""
    rows: dict[str, list[str]] = {}
    for row, report in column.reports.items():
        for note in [] if report.is_cross_validation else report.notes:
            rows.setdefault(note, []).append(row.name)
    every = len(column.reports)
    return [note if len(own) == every else f"{', '.join(own)}: {note}" for note, own in rows.items()]


def _clones_of_part(reports: list[tuple[Row, Analysis]]) -> str:
    """Return the sentences about clonal relatives in other folds, with the second score of each pipeline of a part."""
    first = reports[0][1]
    if len(reports) == 1:
        return clones(first)
    if first.second is None:
        return ""
    scores = [(row.name, report.second) for row, report in reports if isinstance(report.second, SecondScores)]
    reasons = dict.fromkeys(report.second for _, report in reports if isinstance(report.second, Unknown))
    sentences = [str(first.clones), *map(without_second, reasons)]
    if scores:
        title = METRIC[first.metric].title
        beside = "; ".join(f"{name}: {second.interval(first.metric)}" for name, second in scores)
        sentences.append(f"{title} with clonal relatives in one fold: {beside}.")
    return " ".join(sentences)


def sentences(grid: GridAnalysis, column: Column) -> list[str]:
    """Return the sentences on a column: each pipeline against the best baseline, and claims between pipelines."""
    pairs = zip(column.pairs, grid.comparisons[column.title], strict=True)
    among = [comparison for (_, other), comparison in pairs if not other.baseline]
    best = [each.comparison for each in grid.verdicts if each.column is column and each.comparison]
    decided = [str(comparison) for comparison in among if comparison.verdict != "undecided"]
    none = ["No pipeline is shown to be better than another."] if among and not decided else []
    return [*filter(None, [column.differs]), *map(str, best), *decided, *none]


def constant(report: Analysis) -> str:
    """Return the sentence on the score of a prediction that is the same for all antibodies.

    The RMSE of the mean is that of the baseline "mean value" in the tables: folds average it, and a test takes the mean
    of the training antibodies.
    """
    if report.spec.is_regression:
        rmse, label = report.scored.rmse_of_means, report.data.continuous_labels()
        of = "the mean"
        if rmse is None and report.training is not None and report.training.label is not None:
            rmse = float(np.sqrt(np.mean((label - report.training.continuous_labels().mean()) ** 2)))
            of = "the mean of the training antibodies"
        elif rmse is None:
            rmse, of = float(np.std(label)), "the mean of the tested antibodies"
        return f"Predicting {of} for every antibody has an RMSE of {short(rmse, 3)}."
    share = float(np.mean(report.data.binary_labels()))
    return f"Predicting the larger class for every antibody has an accuracy of {short(max(share, 1 - share), 3)}."


def coverage(report: Analysis) -> str | None:
    """Return the note on the intervals of a cross-validation; None for a test."""
    return nominal(report.data, report.spec) if report.is_cross_validation else None


def nominal(data: Dataset, spec: TrainSpec) -> str:
    """Return the note on intervals of a cross-validation; simulations are cited for simulated designs only."""
    return f"{CROSS_VALIDATION} {SIMULATED}" if _is_simulated(data, spec) else CROSS_VALIDATION


def _is_simulated(data: Dataset, spec: TrainSpec) -> bool:
    design = SplitSpec(folds=10, random_state=spec.split.random_state)
    if spec != TrainSpec(extractor=spec.extractor, split=design, use_columns=spec.use_columns):
        return False
    independent = data.groups is None and not repeats(data.sequences)
    return independent and len(data) in _SIMULATED and 0.4 <= float(np.mean(data.binary_labels())) <= 0.6


def unclaimed(intervals: Mapping[str, Interval], higher_is_better: bool | None = None) -> list[str]:
    """Return a note for each reason why intervals are not claimed to have their coverage."""
    metrics: dict[str, list[str]] = {}
    for name, interval in intervals.items():
        if not interval.claimed:
            metrics.setdefault(interval.unclaimed, []).append(title(name, higher_is_better))
    return [
        f"No coverage is claimed for {'the interval' if len(titles) == 1 else 'the intervals'} of {', '.join(titles)}: "
        f"{reason}."
        for reason, titles in metrics.items()
    ]


def graded(report: Analysis) -> list[str]:
    """Return the note on the correlation with the grade behind the labels, if there is one."""
    if not report.graded:
        return []
    (most, interval), *labelled = report.graded.items()
    text = f"Spearman's correlation of the probability with {report.data.grade} is {interval} over {most:,} antibodies"
    if labelled:
        ((number, of_labelled),) = labelled
        how = "predicted by the model of one fold" if report.is_cross_validation else "predicted"
        text += (
            f", of which {most - number:,} are between the classes and {how}, though never trained on; over the "
            f"{number:,} labelled ones it is {of_labelled}"
        )
    return [f"{text}{' (means of the folds)' if report.is_cross_validation else ''}."]


def unlike_training(warnings: Sequence[str]) -> list[str]:
    """Return the note on antibodies whose columns are unlike those of the training antibodies, if there are any."""
    unlike = Counter(filter(None, warnings))
    if not unlike:
        return []
    shown = "; ".join(f"{text} ({count:,})" for text, count in unlike.most_common(_LISTED))
    more = "; ..." if len(unlike) > _LISTED else ""
    return [f"Columns of {unlike.total():,} antibodies are unlike the training antibodies: {shown}{more}."]


def groups(data: Dataset, spec: TrainSpec) -> list[str]:
    """Return the note on groups that were divided between folds, if there are any."""
    if data.groups is None or spec.split.by in ("group", "family"):
        return []
    name = data.groups_name or "group"
    return [f"Groups were not kept together: antibodies of one {name} may be in several folds."]


def repeated(data: Dataset, spec: TrainSpec) -> list[str]:
    """Return the note on exact duplicates; folds may then test on training sequences."""
    columns = [data.columns[column.name] for column in columns_read(spec, data.columns)]
    rows, sequences, contradictory = duplicates(data.sequences, np.asarray(data.label), columns)
    if not rows:
        return []
    consequence = "they are tested together" if spec.split.by == "identity" else _OPTIMISTIC
    number = names.counted(len(rows), "exact duplicate")
    if len(rows) <= _NAMED:
        number += f" ({', '.join(data.ids[row] for row in rows)})"
    what = names.counted(sequences, "pair" if data.chain in ("both", "paired") else "sequence")
    return [
        f"{number} of {what} that {'occurs' if sequences == 1 else 'occur'} more than once, {len(contradictory)} with "
        f"{'different' if spec.is_regression else 'contradictory'} labels; {consequence}."
    ]


def fits(report: Analysis) -> list[str]:
    """Return the notes on fits that did not converge, and on penalties that were chosen."""
    notes = []
    if report.unconverged:
        fitted = report.repeats * (int(report.predictions["fold"].max()) + 1)
        notes.append(
            f"The solver did not converge in {report.unconverged} of {fitted} fits: scale the features "
            "(classifier.standardize=true), or allow more iterations (classifier.max_iter)."
        )
    if report.penalties:
        low, middle, high = (float(np.quantile(report.penalties, share)) for share in (0, 0.5, 1))
        spread = f"{low:,.4g}" if low == high else f"{low:,.4g} to {high:,.4g}, median {middle:,.4g}"
        notes.append(f"The penalty alpha was chosen on the training antibodies of each fold: {spread}.")
    return notes


def flat(report: Analysis) -> list[str]:
    """Return the note on models that put no antibody before another, because all have the same probability."""
    if report.spec.is_regression:
        return []
    by = [name for name in ("repeat", "fold") if name in report.predictions]
    groups = [part for _, part in report.predictions.groupby(by)] if by else [report.predictions]
    number = sum(len(part) > 1 and part["probability"].nunique() == 1 for part in groups)
    if not number:
        return []
    where = f"In {number} of {len(groups)} folds every antibody has" if by else "Every antibody has"
    why = ""
    if report.spec.decision.calibration is not None:
        why = " Out of fold, the classifier's outputs did not rise with the label, so the calibration is flat."
    return [f"{where} the same probability: the model ranks none above another.{why}"]


def _undefined(report: Analysis) -> list[str]:
    """Return a note for each metric that is not defined in all folds."""
    notes = []
    for name in report.shown:
        values = report.scores[name]
        if (undefined := int(np.isnan(values).sum())) and len(values) > 1:
            left = f"its mean is that of the other {len(values) - undefined}"
            notes.append(f"{report.metric_title(name)} is not defined in {undefined} of {len(values)} folds; {left}.")
    return notes


def _pooled(report: Analysis) -> list[str]:
    """Return the sentence on the correlation of all antibodies in one list, after a regressor's cross-validation."""
    pooled = report.scored.pooled
    if pooled is None:
        return []
    corrected, uncorrected, mean = (short(value, 3) for value in pooled)
    average = "" if report.spec.split.by == "leave_one_out" else "Spearman above is the average of the folds. "
    return [
        f"{average}Pooled, with all antibodies in one list and each prediction less the mean label of its training "
        f"antibodies, Spearman is {corrected}. Without this subtraction it is {uncorrected}, and that of the mean "
        f"labels alone is {mean}."
    ]


def _clusters(report: Analysis) -> list[str]:
    """Return the note on clusters of the tested antibodies, if there are any."""
    if report.scored.rows.independent:
        return []
    alike = sample(report.scored.rows.cluster)
    return [
        f"The {len(report.data):,} antibodies are {alike.clusters:,} clusters at {RELATED:.0%} "
        f"{names.identity(report.data)}; intervals count them as {alike.effective:,.1f} independent antibodies."
    ]


def _without_baselines(report: Analysis) -> list[str]:
    """Return a note for each reason why baselines are absent."""
    notes = []
    for reason in dict.fromkeys(report.baselines.absent.values()):
        absent = [name for name, why in report.baselines.absent.items() if why == reason]
        titles = ", ".join(map(report.baseline_title, absent))
        named = f"the baseline{'s' * (len(absent) > 1)} {titles}"
        notes.append(f"Without {'any baseline' if set(BASELINES) <= set(absent) else named}: {reason}.")
    return notes
