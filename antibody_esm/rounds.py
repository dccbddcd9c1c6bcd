"""Rounds of design: plates that were measured are added to the training antibodies, and the model is fitted again.

Each plate is first predicted by the model of before, which has not seen it. These are the only scores of a campaign
that are prospective, and they are kept in a log.
"""

import hashlib
import json
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from antibody_esm.data.column_reading import category
from antibody_esm.data.columns import number_in
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.provenance import Provenance
from antibody_esm.data.public import load_dataset
from antibody_esm.errors import DatasetError, StoreError, listed
from antibody_esm.files import write
from antibody_esm.limits import read_regular
from antibody_esm.model_files import FILES, PANEL
from antibody_esm.predictor import Predictor
from antibody_esm.specs import SplitSpec, TrainSpec
from antibody_esm.specs.splits import OF_THE_DATA
from antibody_esm.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd

FILE = "rounds.jsonl"
"""Name of the log in the folder of a model."""
ORDER_SHEET = (
    *("rank", "prediction", "low", "high", "probability", "plausibility", "liabilities", "substitutions", "charge"),
    *("distance", "pareto"),
)
"""Columns of numbers in the table of `Proposals`, none of which was measured."""
_LARGEST = 16 * 10**6


@dataclass(frozen=True)
class Round:
    """A measured plate, and how well the model of before predicted it."""

    source: str
    """Name of the file, or the source in the provenance."""
    data: str
    """Digest of what the model reads of the plate and of its labels, in any order and under any name."""
    antibodies: int
    """Number of distinct antibodies."""
    replicates: int
    """Number of further rows with the same antibody and columns: the label is the mean, or the class of all."""
    wanted: int | None
    """Number of antibodies of the wanted class (that of label 0, unless high labels are better); None for numbers."""
    metric: str
    """``roc_auc``, or ``spearman`` for numbers."""
    scored: int
    """Number of antibodies that are no training antibodies of the model before, at any value of columns."""
    score: float | None
    """Score of the model before this plate on these; None if there are none, or if they have one class or value."""
    measured_again: int
    """Antibodies that were measured before, with the same columns; the newest label is taken."""

    def __str__(self) -> str:
        name = {"roc_auc": "ROC AUC", "spearman": "Spearman"}[self.metric]
        hits = "antibody" if self.antibodies == 1 else "antibodies"
        hits += "" if self.wanted is None else f", {self.wanted} as wanted"
        ranked = "not defined" if self.score is None else f"{self.score:.2f}"
        scored = f"{name} before they were known: {ranked} (of {self.scored} new)"
        replicates = f"; {self.replicates} replicates" if self.replicates else ""
        again = f"; {self.measured_again} measured again" if self.measured_again else ""
        return f"{self.source}: {self.antibodies} {hits}; {scored}{replicates}{again}"


class Retrained(NamedTuple):
    """A model that was fitted again, with the log of its rounds."""

    predictor: Predictor
    rounds: tuple[Round, ...]


class _Plate(NamedTuple):
    """A plate as the model reads it."""

    data: Dataset
    digest: str
    replicates: int

    @property
    def source(self) -> str:
        return Path(self.data.provenance.source).name


def retrain(
    predictor: Predictor,
    plates: "Iterable[Dataset | pd.DataFrame | str | Path]",
    *,
    label: str | None = None,
    higher_is_better: bool | None = None,
) -> Retrained:
    """Return the model fitted on its training antibodies and on measured plates, in their order.

    Parameters
    ----------
    predictor
        A fitted model with its training antibodies.
    plates
        Data sets, tables or files with a column of labels, such as that of `Proposals.save` once it was measured.
    label
        Column of the labels in tables; None is that of the training set, or ``"label"``.
    higher_is_better
        True if class 1 is wanted, for `Round.wanted`; None: the direction of the model's label, else class 0.

    Returns
    -------
    The model, and one `Round` for each plate. Its split is by identity, since variants are siblings of each other and
    a saved model does not hold groups; a warning states if there are too few clusters. The choice of a tuned pipeline
    is kept, and not made again.

    Raises
    ------
    DatasetError
        If the model was saved without its training antibodies or was recalibrated; if a plate has no labels, labels of
        the other kind, both classes for one antibody, or other antibodies than the model reads; if its label is a
        column of the order sheet that was not measured; if a plate is named twice.
    """
    if predictor.recalibration is not None:
        raise DatasetError("a recalibrated model has labels of two assays; retrain the model that was recalibrated")
    training = predictor.training
    if training is None or training.label is None:
        reason = predictor.unknown or "their labels are unknown"
        raise DatasetError(f"a model is fitted again with its training antibodies, but it is {reason}")
    better = predictor.data.higher_is_better if higher_is_better is None else higher_is_better
    predictor = _like(predictor, tuned=predictor.data.tuned)
    every: dict[str, _Plate] = {}
    for each in plates:  # before any fit
        plate = _as_read(predictor, each, label)
        if plate.digest in every:
            raise DatasetError(f"{plate.source} is the same plate as {every[plate.digest].source}; name it once")
        every[plate.digest] = plate
    rounds: list[Round] = []
    for plate in every.values():
        rounds.append(_round(predictor, plate, training, wanted=1 if better else 0))
        training = _joined(training, plate.data, predictor)
        predictor = _fitted(training, predictor)
    return Retrained(predictor, tuple(rounds))


def read_log(folder: str | Path) -> tuple[Round, ...]:
    """Return the rounds in the folder of a model. Raises StoreError if a line is no round."""
    path = Path(folder) / FILE
    try:
        lines = read_regular(path, _LARGEST).decode("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise StoreError(f"the log of rounds cannot be read: {error}", path) from error
    return tuple(_of_line(line, number, path) for number, line in enumerate(lines, 1))


def with_log(folder: str | Path, rounds: Iterable[Round]) -> tuple[Round, ...]:
    """Return the log in the folder of a model and further rounds: the first look at each plate."""
    every: dict[str, Round] = {}
    for each in (*read_log(folder), *rounds):
        every.setdefault(each.data, each)
    return tuple(every.values())


def write_log(folder: str | Path, rounds: Iterable[Round]) -> None:
    """Write the log in the folder of a model; an earlier log is replaced."""
    text = "".join(json.dumps(asdict(each)) + "\n" for each in rounds)
    write(Path(folder) / FILE, text.encode())


def refuse_other_model(folder: str | Path, rounds: Sequence[Round] | None = None) -> None:
    """Raise a DatasetError if a folder holds a panel, or a model with another log than these rounds.

    None: a model without a log.
    """
    folder = Path(folder)
    if (folder / PANEL).exists():
        raise DatasetError("holds a panel of models; name another folder", folder)
    if (folder / FILES[0]).exists():
        log = read_log(folder)
        if not log or (rounds is not None and log != tuple(rounds)):
            raise DatasetError("holds another model; name another folder", folder)


def _of_line(line: str, number: int, path: Path) -> Round:
    try:
        row = json.loads(line)
        values = {field.name: row[field.name] for field in fields(Round)}
        if not all(isinstance(values[name], str) for name in ("source", "data", "metric")):
            raise TypeError("a text has another type")
        counts = [values[name] for name in ("antibodies", "replicates", "scored", "measured_again")]
        counts += [] if values["wanted"] is None else [values["wanted"]]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise TypeError("a count is no number from 0")
        if max(values["scored"], values["measured_again"], values["wanted"] or 0) > values["antibodies"]:
            raise ValueError("a part is larger than the plate")
        lowest = {"roc_auc": 0, "spearman": -1}[values["metric"]]
        score = values["score"]
        if score is not None and not (type(score) in (int, float) and math.isfinite(score) and lowest <= score <= 1):
            raise ValueError("the score is out of range")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"line {number} is not a round: {line[:80]!r}", path) from error
    return Round(**values)


def _as_read(predictor: Predictor, plate: "Dataset | pd.DataFrame | str | Path", label: str | None) -> _Plate:
    """Return a plate as the model reads it, each antibody once."""
    reading = predictor.reading
    name = label or predictor.data.label or "label"
    if not isinstance(plate, Dataset):
        better = predictor.data.higher_is_better
        plate = load_dataset(
            plate,
            label=name,
            chain=reading.chain,
            species=reading.species,
            columns=reading.columns.names or None,
            higher_is_better=better if predictor.spec.is_regression else None,
        )
    _refuse_labels(plate, plate.label_name or name, classes=not predictor.spec.is_regression)
    _, texts = predictor.read(plate)
    plate.refuse(texts, f"are not what the model reads ({reading})")
    data = plate.as_read(reading, texts)
    keys = _keys(data, predictor)
    lines = sorted(json.dumps([*key, float(value)]) for key, value in zip(keys, np.asarray(data.label), strict=True))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    distinct = _distinct(data, keys, classes=not predictor.spec.is_regression)
    return _Plate(distinct, digest, len(data) - len(distinct))


def _refuse_labels(plate: Dataset, name: str, *, classes: bool) -> None:
    """Raise a DatasetError if labels were not measured, or are of another kind than the model's."""
    label, source = plate.only_label(), Path(plate.provenance.source).name
    of_order = "mutations_linear" in plate.not_kept and ("rank" in plate.measurements or name == "rank")
    if of_order and name in ORDER_SHEET:
        raise DatasetError(
            f"{source}: {name!r} is a column of the order sheet, not measured; name one with measured labels by label=",
            column=name,
        )
    values = np.unique(label)
    if classes and set(values) - {0.0, 1.0}:
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (", ..." if len(values) > 5 else "")
        raise DatasetError(
            f"{source}: the model is a classifier, whose labels are 0 and 1; {name!r} has {shown}", column=name
        )


def _values(data: Dataset, predictor: Predictor) -> dict[str, list[Any]]:
    """Return the columns that the model reads in one form: numbers, and categories as text or None."""
    return {
        column.spec.name: list(map(category if column.categories else number_in, data.columns[column.spec.name]))
        for column in predictor.reading.columns.columns
    }


def _keys(data: Dataset, predictor: Predictor) -> list[tuple[Any, ...]]:
    """Return what the model reads of each antibody: its text, and the values of columns."""
    return list(zip(data.sequences, *_values(data, predictor).values(), strict=True))


def _distinct(data: Dataset, keys: Sequence[tuple[Any, ...]], *, classes: bool) -> Dataset:
    """Return each antibody of a plate once, with the mean of its numbers. Raises DatasetError for different classes."""
    rows: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    label = np.asarray(data.label, np.float64)
    torn = [row for same in rows.values() if len(set(label[same])) > 1 for row in same]
    if classes and torn:
        raise DatasetError(
            f"{Path(data.provenance.source).name}: rows that the model reads as one antibody have both classes: "
            f"{listed(data.places(torn).values(), len(torn))}; leave one class of each",
            column=data.label_name,
            rows=torn,
        )
    if len(rows) == len(data):
        return data
    return replace(
        data.subset([same[0] for same in rows.values()]), label=[label[same].mean() for same in rows.values()]
    )


def _round(predictor: Predictor, plate: _Plate, training: Dataset, *, wanted: int) -> Round:
    """Return how well a model predicts the antibodies of a plate that it has not seen."""
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    data, seen = plate.data, set(training.sequences)
    new = [row for row, text in enumerate(data.sequences) if text not in seen]
    every = np.asarray(data.label, np.float64)
    label = every[new]
    regression = predictor.spec.is_regression
    value: float | None = None
    if len(np.unique(label)) > 1:
        score = _score(predictor, data.subset(new))
        if not regression:
            value = float(roc_auc_score(label, score))
        elif len(np.unique(score)) > 1:
            value = float(spearmanr(label, score).statistic)
    return Round(
        plate.source,
        plate.digest,
        len(data),
        plate.replicates,
        None if regression else int((every == wanted).sum()),
        "spearman" if regression else "roc_auc",
        len(new),
        value,
        len(set(_keys(data, predictor)) & set(_keys(training, predictor))),
    )


def _score(predictor: Predictor, data: Dataset) -> Any:
    if not predictor.reading.columns:
        return predictor.predict_read(data.sequences)
    if predictor.spec.is_regression:
        return predictor.predict(data)
    return predictor.predict_proba(data)[:, 1]


def _joined(training: Dataset, data: Dataset, predictor: Predictor) -> Dataset:
    """Return the antibodies of both; of one that was measured twice, the newest label."""
    newest = set(_keys(data, predictor))
    old = training.subset([row for row, key in enumerate(_keys(training, predictor)) if key not in newest])
    chains: dict[str, Any] = {}
    for name in predictor.reading.chains:
        chains[name] = [*(getattr(old, name) or ()), *(getattr(data, name) or ())]
    values = _values(old, predictor), _values(data, predictor)
    direction = predictor.data.higher_is_better
    label_name = predictor.data.label
    licences = dict.fromkeys(filter(None, [predictor.data.licence, data.provenance.licence]))
    return Dataset(
        [*(f"training {name}" for name in old.ids), *(f"{data.provenance.source} {name}" for name in data.ids)],
        **chains,
        label=np.concatenate([np.asarray(old.label, np.float64), np.asarray(data.label, np.float64)]),
        chain=predictor.reading.chain,
        fragment=predictor.reading.fragment,
        species=predictor.reading.species,
        provenance=Provenance(
            f"{training.provenance.source} and {Path(data.provenance.source).name}", licence="; ".join(licences)
        ),
        columns={name: [*values[0][name], *values[1][name]] for name in predictor.reading.columns.names},
        label_name=label_name,
        directions={} if direction is None else {label_name or "label": direction},
    )


def _fitted(training: Dataset, predictor: Predictor) -> Predictor:
    """Return the same pipeline fitted on other antibodies, with the record of its choice if it was tuned."""

    def fit(by: Literal["antibody", "identity"]) -> Predictor:
        spec = _split_by(by, predictor.data.pipeline(predictor.spec))
        trainer = Trainer.from_spec(spec, store=predictor.store, runtime=predictor.extractor.runtime)
        return trainer.fit(training, check=predictor.reading.check)

    try:
        again = fit("identity")
    except DatasetError:
        if predictor.spec.split.by == "identity":
            raise
        again = fit("antibody")  # which raises every other error again
        warnings.warn(
            "the training antibodies are too few clusters by identity for the folds of the model's decision or "
            "penalty: its split is by antibody, and its probabilities and threshold are optimistic",
            UserWarning,
            stacklevel=3,
        )
    return again if predictor.data.tuned is None else _like(again, tuned=predictor.data.kept_choice)


def _like(predictor: Predictor, *, tuned: Any) -> Predictor:
    """Return a model without fixed columns, which are those of one antibody, and with the record of a choice."""
    reading = predictor.reading
    return Predictor(
        predictor.spec,
        predictor.classifier,
        replace(predictor.data, tuned=tuned),
        predictor.scores,
        store=predictor.store,
        extractor=predictor.extractor,
        reading=replace(reading, columns=replace(reading.columns, fixed={})),
        training=predictor.fitted().training,
    )


def _split_by(by: Literal["antibody", "identity"], spec: TrainSpec) -> TrainSpec:
    """Return a spec with another split: by identity, variants of one antibody stay together."""
    split = spec.split
    if split.by == by:
        return spec
    names = () if split.by in OF_THE_DATA else ("folds", "shuffle", "random_state", "repeats")
    same = SplitSpec(by=by, **{name: getattr(split, name) for name in names})
    return spec.model_copy(update={"split": same})
