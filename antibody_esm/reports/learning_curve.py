"""Learning curve as text, table, figure, JSON and section of a page."""

import html
import json
import textwrap
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.baselines import baseline_candidates
from antibody_esm.evaluation.interval import Interval, short
from antibody_esm.evaluation.learning_curve import LEVEL, Line, MeasuredCurve, learning_curve
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.evaluation.nested import Candidate
from antibody_esm.evaluation.splits import Division
from antibody_esm.files import write
from antibody_esm.reports import elements, figures, names, notes
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.context import quick_baselines
from antibody_esm.reports.elements import Part
from antibody_esm.reports.grid_analysis import GridAnalysis
from antibody_esm.reports.panels import Figures, PagePanel
from antibody_esm.same_vectors import SameVectors
from antibody_esm.specs import TrainSpec
from antibody_esm.specs.ensembles import columns_of
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE = 80
"""Width of a terminal."""
_GRID = 100
_BELOW = 0.0005
"""Smallest distance of a fit below the last measured score that a sentence names."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LearningCurve(MeasuredCurve):
    """Scores of a pipeline by the number of training antibodies. ``print(curve)`` shows a table, as does a notebook.

    `Trainer.learning_curve` returns it. Training sets are nested subsamples of whole units. A fifth of the antibodies
    is held out; families and predefined folds are held out one at a time. `gain` and `at` read the power law that is
    fitted to the scores, and `Report.with_curve` shows the curve in a report.

    Attributes
    ----------
    spec, data
        Pipeline and antibodies.

    Examples
    --------
    >>> from antibody_esm import LogisticRegressionSpec, SplitSpec, Trainer, load_dataset
    >>> trainer = Trainer("descriptors", LogisticRegressionSpec(standardize=True), SplitSpec(folds=3))
    >>> curve = trainer.learning_curve(load_dataset("boughter_flu_cdrs"), draws=3)
    >>> curve.sizes.tolist(), curve.scores.shape
    ([...], (6,))
    >>> curve.gain(96).level
    0.9
    """

    spec: TrainSpec
    data: Dataset

    @classmethod
    def of(cls, measured: MeasuredCurve, spec: TrainSpec, data: Dataset) -> "LearningCurve":
        """Return the learning curve of a pipeline."""
        numbers = {field.name: getattr(measured, field.name) for field in fields(MeasuredCurve)}
        return cls(**numbers, spec=spec, data=data)

    @property
    def title(self) -> str:
        """Kind of the evaluation, with the name of the pipeline."""
        return f"Learning curve of {names.pipeline(self.spec)}"

    @property
    def baseline_title(self) -> str:
        """Name of the best baseline; empty if there is none."""
        return "" if isinstance(self.baseline, Unknown) else self._title_of(self.baseline)

    @property
    def design(self) -> str:
        """Antibodies, draws and units, in words."""
        unit = {
            "antibody": "antibodies",
            "identity": f"whole clusters at {self.identity:.0%} {names.identity(self.data)}",
            "group": "whole groups",
            "family": "whole families",
            "fold": "antibodies of the other predefined folds",
            "leave_one_out": "antibodies, with a fifth held out",
        }[self.by]
        return f"{self.antibodies:,} antibodies, {self.draws} draws, nested subsamples of {unit}"

    @property
    def sentences(self) -> list[str]:
        """Gain of more antibodies, crossing and lead, in words."""
        metric, then = METRIC[self.metric].title, self.antibodies + self.more
        gain, score = self.gain(self.more), self.at(then)
        words = [
            f"{self.more:,} antibodies more ({then:,} instead of {self.antibodies:,}) are expected to add "
            f"{short(gain.estimate, 3)} {metric} {_ends(gain)}, to {score} ({LEVEL:.0%} intervals)."
        ]
        measured, fitted = float(self.scores[-1]), self.at(int(self.sizes[-1])).estimate
        if fitted < measured - _BELOW:
            words.append(
                f"The score of {then:,} antibodies is read from a fit to all sizes. At {self.sizes[-1]:,} antibodies "
                f"the fit has {short(fitted, 3)}, where {short(measured, 3)} was measured."
            )
        if isinstance(self.baseline, Unknown):
            return [*words, f"There is no baseline: {self.baseline}."]
        lead, title = self.lead(), self.baseline_title
        verdict = "ahead of" if lead.low > 0 else "behind" if lead.high < 0 else "neither ahead of nor behind"
        words.append(
            f"With all {self.antibodies:,} antibodies the model is {verdict} the best baseline, {title}: "
            f"difference {short(lead.estimate, 3)} {_ends(lead)}."
        )
        if isinstance(self.crossing, Unknown):
            words.append(f"The fitted curves do not cross: {self.crossing}.")
        else:
            beyond = ("the model", "the baseline") if self.overtakes else ("the baseline", "the model")
            words.append(
                f"The fitted curves cross at about {self.crossing:,} antibodies; beyond, {beyond[0]} is ahead of "
                f"{beyond[1]}."
            )
        return words

    @property
    def remarks(self) -> list[str]:
        """Facts that a reader of the curve needs."""
        words = [
            "Intervals hold if further antibodies are like these. They come from resamples of the held-out antibodies "
            "and from the shapes that the sizes leave open; their coverage was measured on one data set."
        ]
        words[:0] = notes.repeated(self.data, self.spec)
        if self.tried:
            words.append(
                f"The best of {len(self.tried)} baselines was chosen by the same held-out antibodies, at the largest "
                "size; its curve is optimistic, and the model's lead pessimistic."
            )
        if self.by == "fold":
            words.append(
                "The predefined folds are held out one at a time; antibodies of the others are added one by one."
            )
        if self.by == "leave_one_out":
            words.append("One antibody has no correlation: a fifth is held out instead.")
        if self.spec.decision.calibration is not None:
            words.append("Calibration is left out: it reverses no order, but may tie antibodies.")
        if self.unconverged:
            words.append(f"In {self.unconverged:,} fits the solver reached its largest number of iterations.")
        return words

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw scores and power laws over the number of antibodies, on the axes given or new ones. Return the axes."""
        return figures.drawn(ax, _draw, self)

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as plain JSON values; undefined numbers are None.

        ``sizes`` and ``scores`` have one entry a size, ``baseline`` has those of the best baseline, and ``gain`` has
        ``estimate``, ``low`` and ``high`` for ``more`` antibodies.
        """
        then = self.antibodies + self.more
        crossing = self.crossing
        best = self.baseline
        absent = isinstance(best, Unknown)
        return {
            "pipeline": names.pipeline(self.spec),
            "source": self.data.provenance.source,
            "label": self.data.label_name,
            "metric": self.metric,
            "antibodies": self.antibodies,
            "draws": self.draws,
            "unit": self.by,
            "level": LEVEL,
            "sizes": self.sizes.tolist(),
            **_numbers(self.line),
            "baseline": None if isinstance(best, Unknown) else {"name": best.name, **_numbers(best)},
            "without_baseline": str(best) if absent else "",
            "baselines": {name: _number(value) for name, value in self.tried.items()},
            "without_baselines": dict(self.absent),
            "gain": {"more": self.more, "size": then, **_interval(self.gain(self.more))},
            "score": {"size": then, **_interval(self.at(then))},
            "lead": None if absent else {"size": self.antibodies, **_interval(self.lead())},
            "crossing": None if isinstance(crossing, Unknown) else crossing,
            "without_crossing": str(crossing) if isinstance(crossing, Unknown) else "",
            "notes": [*self.sentences, *self.remarks],
            "spec": json.loads(self.spec.model_dump_json()),
            "fingerprint": self.spec.fingerprint,
            "data_digest": self.data.digest,
        }

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, and return the path."""
        path = Path(path)
        write(path, json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False).encode())
        return path

    def to_html(self, path: str | Path) -> Path:
        """Write the curve as one page that loads nothing else, and return its path."""
        path = Path(path)
        source = html.escape(self.data.provenance.source)
        header = (
            f"<header><p class='kind'>antibody_esm learning curve</p><h1>{html.escape(self.title)}</h1>"
            f"<p class='lead'>{html.escape(self.design)}</p><p>{source}</p></header>"
        )
        write(path, elements.document(self.title, [header, *elements.rendered([section(self, Figures())])]).encode())
        return path

    def __repr__(self) -> str:
        means = self.line.resampled[0]
        return (
            f"<{type(self).__name__}: {names.pipeline(self.spec)}, {self.sizes[0]:,} to {self.sizes[-1]:,} of "
            f"{self.antibodies:,} antibodies, {METRIC[self.metric].title} {short(float(means[0]), 3)} to "
            f"{short(float(means[-1]), 3)}; print(curve) shows all>"
        )

    def __str__(self) -> str:
        title = METRIC[self.metric].title
        lines = [*textwrap.wrap(self.title, _LINE), *textwrap.wrap(self.design, _LINE)]
        lines += ["", f"{'antibodies':>10}   {title:<20}{self.baseline_title}".rstrip()]
        lines += ["   ".join([f"{size:>10,}", f"{model:<17}", base]).rstrip() for size, model, base in self._rows()]
        for words in [*self.sentences, *self.remarks]:
            lines += ["", *textwrap.wrap(words, _LINE)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(title)}</th>" for title in self._heads())
        body = "".join(
            f"<tr><th scope='row'>{size:,}</th><td>{model}</td><td>{base}</td></tr>"
            for size, model, base in self._rows()
        )
        words = "".join(f"<p>{html.escape(text)}</p>" for text in [*self.sentences, *self.remarks])
        return (
            f"<h3>{html.escape(self.title)}</h3><p>{html.escape(self.design)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{words}"
        )

    def _heads(self) -> list[str]:
        return ["antibodies", METRIC[self.metric].title, self.baseline_title]

    def _rows(self) -> list[tuple[int, str, str]]:
        """Return size, score of the model and score of the baseline, with their intervals."""
        model = _cells(self.line)
        best = [""] * len(model) if isinstance(self.baseline, Unknown) else _cells(self.baseline)
        return list(zip(self.sizes.tolist(), model, best, strict=True))

    def _title_of(self, line: Line) -> str:
        assert line.name is not None  # noqa: S101  as that of every baseline
        paired = self.data.chain == "paired"
        return names.baseline_title(line.name, continuous=self.spec.is_regression, paired=paired)


def record(report: Analysis) -> dict[str, Any]:
    """Return the learning curve of a report as plain JSON values, or its reason; empty if none was wanted."""
    if isinstance(report.curve, Unknown):
        return {"learning_curve": None, "without_learning_curve": str(report.curve)}
    return {"learning_curve": report.curve.to_dict()} if isinstance(report.curve, LearningCurve) else {}


def sentences(report: Analysis) -> list[str]:
    """Return the sentences on the learning curve of a report, or its reason; none if none was wanted."""
    if isinstance(report.curve, Unknown):
        return [_absent(report.curve)]
    return report.curve.sentences if isinstance(report.curve, LearningCurve) else []


def sections(grid: GridAnalysis, drawn: Figures) -> list[Part]:
    """Return the section of each report of a page that has a learning curve, or the reason why it has none."""
    parts, named = [], len(grid.reports) > 1
    for report in grid.reports:
        if isinstance(report.curve, LearningCurve):
            parts.append(section(report.curve, drawn, named=named))
        elif isinstance(report.curve, Unknown):
            parts.append(
                Part(_heading(report.spec, report.data, named), f"<p>{html.escape(_absent(report.curve))}</p>")
            )
    return parts


def _absent(reason: Unknown) -> str:
    return f"There is no learning curve: {reason}."


def _heading(spec: TrainSpec, data: Dataset, named: bool) -> str:
    label = f", {data.label_name}" if data.label_name else ""
    return "Learning curve" + (f" of {names.pipeline(spec)}: {data.provenance.source}{label}" if named else "")


def section(curve: LearningCurve, drawn: Figures, *, named: bool = False) -> Part:
    """Return the section of a page with figure, table and sentences."""
    panel = PagePanel(
        f"{METRIC[curve.metric].title} by training antibodies",
        f"Points: mean over {curve.draws} draws with {LEVEL:.0%} intervals. Lines: fitted power laws; the band is the "
        f"{LEVEL:.0%} interval of the model's. Blue: the model. Grey: the best baseline. Dashed: all antibodies, and "
        f"{curve.more:,} more.",
        partial(_draw, curve=curve),
        (4.8, 3.6),
    )
    lines = [("", [f"{size:,}", model, best]) for size, model, best in curve._rows()]
    claim, *others = curve.sentences
    body = (
        f"<p class='lead'>{html.escape(curve.design)}</p><p class='claim'>{elements.sentence(claim)}</p>"
        f"{elements.bullets([*others, *curve.remarks])}{drawn.figures([panel], level=3)}"
        + elements.table(curve._heads(), lines, f"Scores with {LEVEL:.0%} intervals.")
    )
    return Part(_heading(curve.spec, curve.data, named), body)


def _draw(ax: "Axes", curve: LearningCurve) -> None:
    """Draw scores and power laws of the model and of the best baseline."""
    muted, blue = figures.COLOURS["muted"], figures.COLOURS["blue"]
    then = curve.antibodies + curve.more
    grid = np.geomspace(curve.sizes[0], max(then, curve.sizes[-1]) * 1.02, _GRID)
    best = [] if isinstance(curve.baseline, Unknown) else [(curve.baseline, muted, curve.baseline_title, "s")]
    for line, colour, title, marker in [*best, (curve.line, blue, "model", "o")]:
        laws = line.law(grid)
        if line is curve.line:
            low, high = np.quantile(laws[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
            ax.fill_between(grid, low, high, color=colour, alpha=0.12, linewidth=0)
        ends = line.ends(LEVEL)
        ax.plot(grid, laws[0], color=colour, linewidth=1.6)
        ax.vlines(curve.sizes, *ends, color=colour, linewidth=0.8)
        ax.plot(curve.sizes, line.scores, marker, color=colour, markersize=4, label=title)
    for size in (curve.antibodies, then):
        ax.axvline(size, color=muted, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set_xscale("log")
    ticks = [int(size) for size in curve.sizes[:-1]] + [then]
    ax.set_xticks(ticks, [f"{size:,}" for size in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("training antibodies")
    ax.set_ylabel(METRIC[curve.metric].title)
    ax.legend(loc="lower right")


def _cells(line: Line) -> list[str]:
    return [
        f"{short(float(score), 3)} [{short(float(low))}, {short(float(high))}]"
        for score, low, high in zip(line.scores, *line.ends(LEVEL), strict=True)
    ]


def _numbers(line: Line) -> dict[str, Any]:
    low, high = line.ends(LEVEL)
    a, b, c = line.law.parameters[0]
    return {
        "scores": [_number(value) for value in line.scores],
        "low": [_number(value) for value in low],
        "high": [_number(value) for value in high],
        "power_law": {"a": _number(a), "b": _number(b), "c": _number(c), "reference": line.law.reference},
    }


def _interval(value: Interval) -> dict[str, float | None]:
    return {"estimate": _number(value.estimate), "low": _number(value.low), "high": _number(value.high)}


def _ends(value: Interval) -> str:
    """Return the ends with three decimals, since gains are small."""
    return f"[{short(value.low, 3)}, {short(value.high, 3)}]"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def check_numbers(more: int, draws: int) -> None:
    """Raise ValueError for a negative number of further antibodies, or for no draw."""
    if more < 0:
        raise ValueError(f"more is a number of further antibodies, 0 or above, not {more}")
    if draws < 1:
        raise ValueError(f"draws is a number of draws, 1 or above, not {draws}")


def learning_curve_of(vectors: SameVectors, more: int, draws: int) -> LearningCurve:
    """Return the learning curve of a pipeline without its decision; see `Trainer.learning_curve`."""
    spec, data = vectors.spec, vectors.data
    baselines = baseline_candidates(
        data,
        [name for name in quick_baselines(data) if name != "majority"],  # which ranks nothing
        columns=columns_of(spec.extractor),
        continuous=spec.is_regression,
    )
    measured = learning_curve(
        Candidate(vectors.features, vectors.undecided.classifier(spec.split)),
        vectors.label,
        Division.of(spec.split, data),
        baselines.found,
        baselines.absent,
        more=more,
        number=draws,
        workers=vectors.workers,
    )
    return LearningCurve.of(measured, spec, data)
