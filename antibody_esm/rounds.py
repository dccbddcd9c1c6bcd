"""Rounds of design: plates that were measured are added to the training antibodies, and the model is fitted again.

Each plate is first predicted by the model of before, which has not seen it. These are the only scores of a campaign
that are prospective, and they are kept in a log.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from antibody_esm.data.dataset import Dataset
from antibody_esm.data.provenance import Provenance
from antibody_esm.data.public import load_dataset
from antibody_esm.errors import DatasetError, StoreError
from antibody_esm.files import write
from antibody_esm.limits import read_regular
from antibody_esm.predictor import Predictor
from antibody_esm.specs import SplitSpec, TrainSpec
from antibody_esm.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd

FILE = "rounds.jsonl"
"""Name of the log in the folder of a model."""
_LARGEST = 16 * 10**6
_OF_GROUPS = ("group", "family", "fold")
"""Splits whose units are no part of a saved model."""


@dataclass(frozen=True)
class Round:
    """A measured plate, and how well the model of before predicted it."""

    source: str
    """Name of the file, or the source in the provenance."""
    data: str
    """Digest of the plate as the model reads it."""
    antibodies: int
    wanted: int | None
    """Number of antibodies of the wanted class (that of label 0, unless high labels are better); None for numbers."""
    metric: str
    """``roc_auc``, or ``spearman`` for numbers."""
    score: float | None
    """Score of the model before this plate; None if the plate has one class or value only."""
    measured_again: int
    """Antibodies that were measured before; the newest label is taken."""

    def __str__(self) -> str:
        name = {"roc_auc": "ROC AUC", "spearman": "Spearman"}[self.metric]
        hits = "" if self.wanted is None else f", {self.wanted} as wanted"
        ranked = "not defined" if self.score is None else f"{self.score:.2f}"
        again = f"; {self.measured_again} measured again" if self.measured_again else ""
        return f"{self.source}: {self.antibodies} antibodies{hits}; {name} before they were known: {ranked}{again}"


class Retrained(NamedTuple):
    """A model that was fitted again, with the log of its rounds."""

    predictor: Predictor
    rounds: tuple[Round, ...]


def retrain(
    predictor: Predictor, plates: "Iterable[Dataset | pd.DataFrame | str | Path]", *, label: str | None = None
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

    Returns
    -------
    The model, and one `Round` for each plate. The split of a training set by its groups, families or folds becomes one
    by identity, since a saved model does not hold them.

    Raises
    ------
    DatasetError
        If the model was saved without its training antibodies or was recalibrated; if a plate has no labels, or other
        antibodies than the model reads.
    """
    if predictor.recalibration is not None:
        raise DatasetError("a recalibrated model has labels of two assays; retrain the model that was recalibrated")
    training = predictor.training
    if training is None or training.label is None:
        reason = predictor.unknown or "their labels are unknown"
        raise DatasetError(f"a model is fitted again with its training antibodies, but it is {reason}")
    rounds: list[Round] = []
    for plate in plates:
        data = _as_read(predictor, plate, label)
        rounds.append(_round(predictor, data, training))
        training = _joined(training, data, predictor)
        spec = _without_groups(predictor.spec)
        trainer = Trainer.from_spec(spec, store=predictor.store, runtime=predictor.extractor.runtime)
        predictor = trainer.fit(training, check=predictor.reading.check)
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


def write_log(folder: str | Path, rounds: Sequence[Round]) -> tuple[Round, ...]:
    """Add rounds to the log in the folder of a model, each plate once, and return all of them."""
    every = {each.data: each for each in (*rounds, *read_log(folder))}  # an earlier entry is the first look
    before = [each.data for each in read_log(folder)]
    ordered = tuple(every[data] for data in dict.fromkeys([*before, *(each.data for each in rounds)]))
    text = "".join(json.dumps(asdict(each)) + "\n" for each in ordered)
    write(Path(folder) / FILE, text.encode())
    return ordered


def _of_line(line: str, number: int, path: Path) -> Round:
    try:
        row = json.loads(line)
        values = {field.name: row[field.name] for field in fields(Round)}
        texts = all(isinstance(values[name], str) for name in ("source", "data", "metric"))
        counts = all(type(values[name]) is int for name in ("antibodies", "measured_again"))
        if not (texts and counts and row["metric"] in ("roc_auc", "spearman")):
            raise TypeError("a value has another type")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"line {number} is not a round: {line[:80]!r}", path) from error
    return Round(**values)


def _as_read(predictor: Predictor, plate: "Dataset | pd.DataFrame | str | Path", label: str | None) -> Dataset:
    """Return a plate as the model reads it."""
    reading = predictor.reading
    if not isinstance(plate, Dataset):
        name = label or predictor.data.label or "label"
        columns = reading.columns.names or None
        better = predictor.data.higher_is_better
        plate = load_dataset(
            plate,
            label=name,
            chain=reading.chain,
            species=reading.species,
            columns=columns,
            higher_is_better=better if predictor.spec.is_regression else None,
        )
    plate.only_label()
    ids, texts = predictor.read(plate)
    del ids
    plate.refuse(texts, f"are not what the model reads ({reading})")
    return plate.as_read(reading, texts)


def _round(predictor: Predictor, data: Dataset, training: Dataset) -> Round:
    """Return how well a model predicts a plate that it has not seen."""
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    label = np.asarray(data.label, np.float64)
    score = predictor.predict_read(data.sequences) if not predictor.reading.columns else _score(predictor, data)
    regression = predictor.spec.is_regression
    defined = len(np.unique(label)) > 1
    value: float | None = None
    if defined and not regression:
        value = float(roc_auc_score(label, score))
    elif defined and len(np.unique(score)) > 1:
        value = float(spearmanr(label, score).statistic)
    wanted = None if regression else int((label == (1 if predictor.data.higher_is_better else 0)).sum())
    again = len(set(data.sequences) & set(training.sequences))
    source = Path(data.provenance.source).name
    return Round(source, data.digest, len(data), wanted, "spearman" if regression else "roc_auc", value, again)


def _score(predictor: Predictor, data: Dataset) -> Any:
    if predictor.spec.is_regression:
        return predictor.predict(data)
    return predictor.predict_proba(data)[:, 1]


def _joined(training: Dataset, data: Dataset, predictor: Predictor) -> Dataset:
    """Return the antibodies of both; of one that was measured twice, the newest label."""
    newest = set(data.sequences)
    old = training.subset([row for row, text in enumerate(training.sequences) if text not in newest])
    last = {text: row for row, text in enumerate(data.sequences)}
    new = data.subset(sorted(last.values()))
    chains: dict[str, Any] = {}
    for name in predictor.reading.chains:
        chains[name] = [*(getattr(old, name) or ()), *(getattr(new, name) or ())]
    columns = {name: [*old.columns[name], *new.columns[name]] for name in predictor.reading.columns.names}
    direction = predictor.data.higher_is_better
    label_name = predictor.data.label
    return Dataset(
        [*(f"training {name}" for name in old.ids), *(f"{new.provenance.source} {name}" for name in new.ids)],
        **chains,
        label=np.concatenate([np.asarray(old.label, np.float64), np.asarray(new.label, np.float64)]),
        chain=predictor.reading.chain,
        fragment=predictor.reading.fragment,
        species=predictor.reading.species,
        provenance=Provenance(f"{training.provenance.source} and {Path(new.provenance.source).name}"),
        columns=columns,
        label_name=label_name,
        directions={} if direction is None else {label_name or "label": direction},
    )


def _without_groups(spec: TrainSpec) -> TrainSpec:
    return spec.model_copy(update={"split": SplitSpec(by="identity")}) if spec.split.by in _OF_GROUPS else spec
