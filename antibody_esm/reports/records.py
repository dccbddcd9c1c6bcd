"""Results as plain JSON values and as data frames."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.evaluation.intervals import Interval
from antibody_esm.evaluation.overlap import Clones, SecondScores
from antibody_esm.evaluation.paired import Comparison
from antibody_esm.evaluation.scored_predictions import Pooled
from antibody_esm.evaluation.slices import Slice
from antibody_esm.reports import finetuning_panel, learning_curve, notes, reproduction, tuning_panel, verdicts
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.reports.worst_errors import worst_errors
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd


def analysis(report: Analysis) -> dict[str, Any]:
    """Return all of an analysis but the predictions; undefined numbers are None."""
    spec, training = report.spec, report.training
    return summary(report) | {
        "verdict": verdict(report),
        "notes": list(notes.remarks(report)),
        "label": report.data.label_name,
        "higher_is_better": report.data.higher_is_better,
        "pipeline": report.pipeline,
        "design": report.design,
        **({"unconverged": report.unconverged} if report.unconverged else {}),
        **({"penalties": list(report.penalties)} if report.penalties else {}),
        **learning_curve.record(report),
        **_tuned(report),
        **finetuning_panel.record(report),
        "intervals": {name: interval(value) for name, value in report.intervals.items()},
        **({} if report.scored.pooled is None else {"pooled": _pooled(report.scored.pooled)}),
        "baselines": {
            name: {metric: interval(scored.intervals[metric]) for metric in report.scores}
            for name, scored in report.baselines.found.items()
        },
        "without_baselines": dict(report.baselines.absent),
        "comparisons": [comparison(each) for each in report.comparisons],
        "graded": {str(number): interval(value) for number, value in report.graded.items()},
        "by_family": {name: part(value) for name, value in report.by_family.items()},
        "by_identity": {name: part(value) for name, value in report.by_identity.items()},
        "worst_errors": errors(report),
        "overlap": None if report.overlap is None else report.overlap._asdict(),
        "clones": None if report.clones is None else clones(report.clones, report.second),
        "openings": report.openings,
        **_decided(report),
        "spec": json.loads(spec.model_dump_json()),
        "fingerprints": {
            "train": spec.fingerprint,
            **{name: getattr(spec, name).fingerprint for name in ("extractor", "classifier", "split", "decision")},
        },
        "data_digest": report.data.digest,
        "training_digest": None if training is None else training.digest,
        "versions": reproduction.versions(),
        "reproduce": {"command": reproduction.command_of(report), "python": reproduction.python(report)},
    }


def verdict(report: Analysis) -> dict[str, Any]:
    """Return the verdict against the best baseline: ``better``, ``worse`` or ``undecided``; None without a baseline."""
    compared = None if isinstance(report.verdict, Unknown) else report.verdict
    return {
        "claim": None if compared is None else compared.verdict,
        "baseline": None if compared is None else compared.other,
        "sentence": verdicts.sentence(report),
    }


def errors(report: Analysis) -> list[dict[str, Any]]:
    """Return the ten worst errors, one row each; see `Report.worst_errors`."""
    return [
        {str(name): value if isinstance(value, str | int) else number(value) for name, value in row.items()}
        for row in worst_errors(report).to_dict("records")
    ]


def summary(report: Analysis) -> dict[str, Any]:
    """Return scores, counts and notes of an analysis, without numbers that take time to compute."""
    if report.is_cross_validation:
        scores = {metric: _over_folds(values) for metric, values in report.scores.items()}
    else:
        scores = {metric: {"score": number(values[0])} for metric, values in report.scores.items()}
    return {
        "source": report.source,
        "antibodies": report.number[0],
        **({} if report.spec.is_regression else {"positives": report.number[1]}),
        "scores": scores,
        "notes": list(notes.of_summary(report)),
        "audit": {finding.check: finding.count for finding in report.audit.findings},
    }


def saved(report: Analysis) -> dict[str, Any]:
    """Return the scores that are saved with a model: the summary, with verdict, intervals, baselines and all notes.

    They hold neither ids nor sequences. Baselines are computed, if they are not yet.
    """
    return summary(report) | {
        "verdict": verdict(report),
        "pipeline": report.pipeline,
        "design": report.design,
        "shown": report.shown,
        "warnings": list(notes.warnings(report)),
        "notes": list(notes.of_model(report)),
        "intervals": {name: interval(value) for name, value in report.intervals.items()},
        "baselines": [
            {
                "name": name,
                "title": report.baseline_title(name),
                "intervals": {metric: interval(scored.intervals[metric]) for metric in report.shown},
            }
            for name, scored in report.ranked_baselines
        ],
        "without_baselines": dict(report.baselines.absent),
    }


def _tuned(report: Analysis) -> dict[str, Any]:
    """Return the choices of a tuned pipeline and the difference to the untuned one; empty if nothing was tuned."""
    if report.tuned is None:
        return {}
    against = report.against_untuned
    return {"tuned": tuning_panel.record(report) | {"comparison": None if against is None else comparison(against)}}


def _decided(report: Analysis) -> dict[str, Any]:
    """Return the threshold of class 1, None for that of the training, and the recalibration of the model, if any."""
    again = report.recalibration
    if again is None:
        return {"threshold": report.threshold}
    facts = {name: fact for name, fact in again.to_dict().items() if name != "curve"}
    return {"threshold": again.threshold if report.threshold is None else report.threshold, "recalibrated": facts}


def _over_folds(values: NDArray[np.float64]) -> dict[str, Any]:
    defined = values[~np.isnan(values)]
    mean = defined.mean() if len(defined) else np.nan
    sd = defined.std(ddof=1) if len(defined) > 1 else np.nan
    return {"mean": number(mean), "sd": number(sd), "folds": [number(value) for value in values]}


def _pooled(pooled: Pooled) -> dict[str, float | None]:
    return {name: number(value) for name, value in pooled._asdict().items()}


def frame(report: Analysis) -> "pd.DataFrame":
    """Return the scores with one row a metric.

    The columns are the folds, then ``mean`` and ``sd``; or ``score``, also if one antibody at a time was left out.

    The last two columns are the ends of the interval, ``low`` and ``high``.
    """
    import pandas as pd

    intervals = report.intervals
    ends = {end: [getattr(intervals[name], end) for name in report.scores] for end in ("low", "high")}
    scores = pd.DataFrame(report.scores).T.rename_axis("metric")
    if len(scores.columns) == 1:
        return scores.set_axis(["score"], axis=1).assign(**ends)
    folds = scores.set_axis([f"fold {fold}" for fold in scores.columns], axis=1)
    return folds.assign(mean=folds.mean(axis=1), sd=folds.std(axis=1, ddof=1), **ends)


def grid(table: GridAnalysis) -> dict[str, Any]:
    """Return the table, the comparisons and every analysis of a grid."""
    rows = [
        {name: number(value) if isinstance(value, float) else value for name, value in row.items()}
        for row in grid_frame(table).to_dict("records")
    ]
    comparisons = {title: [comparison(each) for each in column] for title, column in table.comparisons.items()}
    return {
        "verdict": verdicts.of_grid(table),
        "verdicts": verdict_rows(table),
        "table": rows,
        "comparisons": comparisons,
        "reports": [analysis(report) for report in table.reports],
    }


def predictions(table: GridAnalysis) -> "pd.DataFrame":
    """Return the predictions of all reports of a grid; the first column, ``target``, is the label."""
    import pandas as pd

    tables = []
    for report in table.reports:
        each = pd.DataFrame(report.predictions)
        each.insert(0, "target", report.data.label_name)
        tables.append(each)
    return pd.concat(tables, ignore_index=True)


def verdict_rows(table: GridAnalysis) -> list[dict[str, Any]]:
    """Return one row for each label and pipeline of a grid: score, best baseline and verdict."""
    return [
        {
            "label": each.label,
            "data": each.column.title,
            "pipeline": each.row.name,
            "fragment": each.row.fragment,
            "antibodies": each.column.first.number[0],
            "metric": each.column.first.metric,
            "interval": interval(each.scored.intervals[each.column.first.metric]),
            "baseline": None if each.baseline is None else each.baseline.name,
            "comparison": None if each.comparison is None else comparison(each.comparison),
        }
        for each in table.verdicts
    ]


def grid_frame(table: GridAnalysis) -> "pd.DataFrame":
    """Return one row for each pipeline or baseline, data set and metric of a grid."""
    import pandas as pd

    rows = []
    for column in table.columns:
        kind = "cross-validation" if column.first.is_cross_validation else "test"
        for row, scored in column.cells.items():
            for metric, value in scored.intervals.items():
                defined = scored.defined(metric)
                rows.append(
                    {
                        "pipeline": row.name,
                        "fragment": row.fragment,
                        "data": column.title,
                        "kind": kind,
                        "baseline": row.baseline,
                        "metric": metric,
                        "value": value.estimate,
                        "sd": defined.std(ddof=1) if len(defined) > 1 else np.nan,
                        "low": value.low,
                        "high": value.high,
                        "method": value.method,
                        "claimed": value.claimed,
                        "unclaimed": value.unclaimed,
                    }
                )
    return pd.DataFrame(rows)


def number(value: Any) -> float | None:
    """Return a number as JSON has it; NaN and infinity are None."""
    return float(value) if np.isfinite(value) else None


def interval(value: Interval) -> dict[str, Any]:
    """Return an interval; unknown ends are None, and so is the reason beside a claimed interval."""
    numbers = {name: number(getattr(value, name)) for name in ("estimate", "low", "high")}
    return {
        **numbers,
        "level": value.level,
        "method": value.method,
        "claimed": value.claimed,
        "unclaimed": value.unclaimed or None,
    }


def clones(counted: Clones, second: SecondScores | Unknown | None) -> Mapping[str, Any]:
    """Return the count of antibodies with a clonal relative in another fold, and the scores without such relatives."""
    counts: dict[str, Any] = counted._asdict()
    if isinstance(second, Unknown):
        return counts | {"without_second": second.reason}
    if second is None:
        return counts
    return counts | {"second": {metric: interval(second.interval(metric)) for metric in second.scores}}


def part(value: Slice) -> dict[str, Any]:
    """Return the score of a slice of the antibodies."""
    return {"antibodies": value.antibodies, "positives": value.positives, "interval": interval(value.interval)}


def comparison(value: Comparison) -> dict[str, Any]:
    """Return a comparison, with the sentence to publish."""
    return {
        "one": value.one,
        "other": value.other,
        "metric": value.metric,
        "scores": None if value.scores is None else [number(score) for score in value.scores],
        "difference": interval(value.difference),
        "p_value": number(value.p_value),
        "adjusted": number(value.adjusted),
        "family": value.family,
        "verdict": value.verdict,
        "sentence": str(value),
    }
