"""The result of a cross-validation or of a test, as text, table, JSON and page."""

import html
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.audit import Audit, repeats
from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.metrics import METRIC, score, score_continuous
from antibody_esm.presets import AnyExtractor
from antibody_esm.specs import DescriptorSpec, EnsembleSpec, Spec, TrainSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Report:
    """Scores and predictions on one data set. ``str(report)`` is a table.

    Attributes
    ----------
    spec
        What was trained.
    source
        Where the antibodies come from.
    scores
        Metric to its values: ``(repeats * n_folds,)`` from cross-validation, ``(1,)`` from a test.
    predictions
        One row an antibody: id, label, prediction, probability of class 1, and from cross-validation the fold in which
        it was tested. With several repeats, one row an antibody and repeat. Of continuous labels there is no
        probability, and the label's column is named ``target``.
    notes
        What a reader should know before the numbers.
    audit
        What `Dataset.audit` finds in the data without numbering or comparing them.
    """

    spec: TrainSpec
    source: str
    scores: dict[str, NDArray[np.float64]]
    predictions: "pd.DataFrame"
    notes: tuple[str, ...] = ()
    audit: Audit | None = None

    @property
    def is_cross_validation(self) -> bool:
        """Whether the scores come from folds."""
        return "fold" in self.predictions

    @property
    def out_of_fold(self) -> "pd.DataFrame":
        """The predictions, each by a classifier that had not seen the antibody."""
        if not self.is_cross_validation:
            raise AttributeError("a test on other data has no folds; see .predictions")
        return self.predictions

    def to_frame(self) -> "pd.DataFrame":
        """Return the scores with one row a metric: one column a fold, then ``mean`` and ``sd``; or ``score``."""
        import pandas as pd

        frame = pd.DataFrame(self.scores).T.rename_axis("metric")
        if not self.is_cross_validation:
            return frame.set_axis(["score"], axis=1)
        folds = frame.set_axis([f"fold {number}" for number in frame.columns], axis=1)
        return folds.assign(mean=folds.mean(axis=1), sd=folds.std(axis=1, ddof=1))

    def to_dict(self) -> dict[str, Any]:
        """Return scores, counts and notes as plain JSON values; an undefined score is None."""
        summary: dict[str, Any] = {}
        for metric, row in self.to_frame().iterrows():
            values = {str(name): _plain(value) for name, value in row.items()}
            folds = [values.pop(name) for name in list(values) if name.startswith("fold ")]
            summary[str(metric)] = values | ({"folds": folds} if folds else {})
        return {
            "source": self.source,
            "antibodies": self._number()[0],
            **({} if self.spec.is_regression else {"positives": self._number()[1]}),
            "scores": summary,
            "notes": list(self.notes),
            "audit": {one.check: one.count for one in self.audit.findings} if self.audit else {},
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        frame = self._summary()
        width = max(len(METRIC[name].title) for name in self.scores) + 2
        lines = [self._title(), self._counts(), "", "".join([" " * width, *(f"{name:>8}" for name in frame)])]
        for metric, row in frame.iterrows():
            lines.append("".join([f"{METRIC[str(metric)].title:<{width}}", *(f"{value:>8.3f}" for value in row)]))
        return "\n".join([*lines, *("\n" + textwrap.fill(note, 80) for note in self.notes)])

    def _repr_html_(self) -> str:
        frame = self._summary()
        head = "".join(f"<th>{name}</th>" for name in frame)
        body = "".join(
            f"<tr><th scope='row'>{METRIC[str(metric)].title}</th>"
            + "".join(f"<td>{value:.3f}</td>" for value in row)
            + "</tr>"
            for metric, row in frame.iterrows()
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return (
            f"<h3>{html.escape(self._title())}</h3><p>{html.escape(self._counts())}</p>"
            f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>{notes}{self._audit_html()}"
        )

    def _audit_html(self) -> str:
        if self.audit is None:
            return ""
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(one.check)}</th><td>{one.count:,}</td><td>{one.unit}</td></tr>"
            for one in self.audit.findings
        )
        return f"<h4>The data</h4><table><tbody>{rows}</tbody></table>"

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that loads nothing else, and return its path."""
        path = Path(path)
        path.write_text(_PAGE.format(title=html.escape(self._title()), body=self._repr_html_()), encoding="utf-8")
        return path

    def _summary(self) -> "pd.DataFrame":
        frame = self.to_frame()
        return frame[["mean", "sd"]] if self.is_cross_validation else frame

    def _title(self) -> str:
        what = "Cross-validation" if self.is_cross_validation else "Test"
        extractor = _model(self.spec.extractor)
        return f"{what} of {extractor} + {_named(self.spec.classifier.kind, self.spec.classifier, {'kind'})}"

    def _counts(self) -> str:
        n, positives = self._number()
        folds = f", {self._folds()}" if self.is_cross_validation else ""
        told = "" if self.spec.is_regression else f", {positives} positive ({positives / n:.0%})"
        return f"{n} antibodies{told}{folds}"

    def _number(self) -> tuple[int, int]:
        """Return how many antibodies there are, and how many positives, each counted once."""
        repeats = self.spec.split.repeats if self.is_cross_validation else 1
        positives = 0 if self.spec.is_regression else int(self.predictions["label"].sum())
        return len(self.predictions) // repeats, positives // repeats

    def _folds(self) -> str:
        split = self.spec.split
        number = len(next(iter(self.scores.values()))) // split.repeats
        told = {
            "antibody": f"{number} folds stratified by the median"
            if self.spec.is_regression
            else f"{number} stratified folds",
            "identity": f"{number} folds of clusters at {split.identity:.0%} identity",
            "group": f"{number} folds of groups",
            "family": f"{number} families, each left out once",
            "fold": f"{number} predefined folds",
        }[split.by]
        return told + (f", {split.repeats} times" if split.repeats > 1 else "")


def cross_validation_report(spec: TrainSpec, data: Dataset, found: CrossValidation) -> Report:
    """Return the report of a cross-validation."""
    import pandas as pd

    columns = {"fold": found.fold, "prediction": found.prediction}
    if found.probability is not None:
        columns["probability"] = found.probability
    n, repeats = len(data), found.repeats
    rows = {"id": np.tile(np.array(data.ids, object), repeats), **_labels(spec, data, repeats)}
    if repeats > 1:
        rows["repeat"] = np.repeat(np.arange(repeats), n)
    predictions = pd.DataFrame(rows | {name: values.T.ravel() for name, values in columns.items()})
    notes = (*_majority(data, spec), *_groups(data, spec), *_repeats(data, spec))
    return Report(spec, data.provenance.source, found.scores, predictions, notes, _audit(data))


def evaluation_report(
    spec: TrainSpec,
    data: Dataset,
    prediction: NDArray[Any],
    probability: NDArray[np.float64] | None,
    notes: tuple[str, ...] = (),
) -> Report:
    """Return the report of a test on data that had no part in training; a regressor gives no probability."""
    import pandas as pd

    columns = {"id": data.ids, **_labels(spec, data), "prediction": prediction}
    if probability is None:
        found = score_continuous(data.continuous_labels(), prediction)
    else:
        columns["probability"] = probability
        found = score(data.binary_labels(), prediction, probability)
    scores = {metric: np.array([value]) for metric, value in found.items()}
    return Report(
        spec, data.provenance.source, scores, pd.DataFrame(columns), _majority(data, spec) + notes, _audit(data)
    )


def _labels(spec: TrainSpec, data: Dataset, repeats: int = 1) -> dict[str, NDArray[Any]]:
    if spec.is_regression:
        return {"target": np.tile(data.continuous_labels(), repeats)}
    return {"label": np.tile(data.binary_labels(), repeats)}


def _audit(data: Dataset) -> Audit:
    return data.audit(identities=(), numbering=False)


def _named(name: str, spec: Spec, told: set[str]) -> str:
    """Return a name with the fields that differ from their defaults, but for those that are told by the name."""
    changed = ", ".join(f"{field}={value!r}" for field, value in spec.__repr_args__() if field not in told)
    return f"{name} ({changed})" if changed else name


def _model(spec: AnyExtractor) -> str:
    if isinstance(spec, EnsembleSpec):
        how = "mean of" if spec.combine == "mean" else "side by side:"
        return f"{how} {', '.join(_model(member) for member in spec.members)}"
    if isinstance(spec, DescriptorSpec):
        return _named(spec.kind, spec, {"kind"})
    return _named(spec.model, spec, {"model", "revision", "digest"})


def _groups(data: Dataset, spec: TrainSpec) -> list[str]:
    if data.groups is None or spec.split.by in ("group", "family"):
        return []
    return ["Groups were not kept together: antibodies of one group may stand in several folds."]


def _majority(data: Dataset, spec: TrainSpec) -> tuple[str, ...]:
    if spec.is_regression:
        return (f"Always naming the mean would have an RMSE of {np.std(data.continuous_labels()):.3f}.",)
    share = float(np.mean(data.binary_labels()))
    return (f"Always naming the larger class would have an accuracy of {max(share, 1 - share):.3f}.",)


_FLATTER = "where such a group is split between folds, scores flatter"


def _repeats(data: Dataset, spec: TrainSpec) -> list[str]:
    """Say how many sequences stand in more than one row, since folds may then test what they trained on."""
    repeated, label = repeats(data.sequences), np.asarray(data.label)
    if not repeated:
        return []
    contradictory = sum(len(set(label[rows].tolist())) > 1 for rows in repeated)
    flatter = "they are tested together" if spec.split.by == "identity" else _FLATTER
    return [
        f"{sum(map(len, repeated))} antibodies share their sequence with another one ({len(repeated)} sequences, "
        f"{contradictory} with {'different' if spec.is_regression else 'contradictory'} labels); {flatter}."
    ]


def _plain(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #8884; }}
th[scope=row] {{ text-align: left; font-weight: normal; }}
</style></head><body>{body}</body></html>
"""
