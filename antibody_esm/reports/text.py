"""What reports call things, in words and in code."""

import json
import platform
import re
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np

from antibody_esm import presets
from antibody_esm.data.audit import repeats
from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.baselines import BaselineName
from antibody_esm.evaluation.intervals import CROSS_VALIDATION, SIMULATED, Interval, short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.specs import (
    AnyExtractorSpec,
    DecisionSpec,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    LogisticRegressionSpec,
    Spec,
    SplitSpec,
    TrainSpec,
)

BASELINE: Mapping[BaselineName, str] = MappingProxyType(
    {
        "majority": "larger class",
        "length": "length",
        "isoelectric_point": "isoelectric point",
        "net_charge": "net charge",
        "hydrophobicity": "hydrophobicity",
        "composition": "amino acid composition",
        "kmers": "k-mers (k = 1 to 3)",
        "germline": "V gene",
        "biophysical": "biophysical descriptors",
        "nearest_neighbour": "nearest sequence",
    }
)
"""Baselines by the names that people read."""
_OF_PAIRS: Mapping[BaselineName, str] = MappingProxyType(
    {name: f"{title} of each chain" for name, title in BASELINE.items() if name not in ("majority", "germline")}
    | {"germline": "V genes of both chains", "nearest_neighbour": "nearest pair"}
)

_VERSIONS = ("antibody_esm", "numpy", "scikit-learn", "scipy", "torch", "transformers", "xgboost")
_PINNED = ("digest", "layer", "max_length")
"""What pinning an extractor fills in."""


def baseline_title(name: BaselineName, *, continuous: bool, paired: bool = False) -> str:
    """Return the name of a baseline for people."""
    if continuous and name == "majority":
        return "mean value"
    return _OF_PAIRS.get(name, BASELINE[name]) if paired else BASELINE[name]


def pipeline(spec: TrainSpec) -> str:
    """Return the name of a pipeline: model and classifier, with the fields that differ from their defaults."""
    name = f"{_model(spec.extractor)} + {_named(spec.classifier.kind, spec.classifier, {'kind'})}"
    return name if spec.decision == DecisionSpec() else f"{name}, {_named('decision', spec.decision, set())}"


def folds(spec: TrainSpec, number: int, data: Dataset) -> str:
    """Return how so many folds, of each repeat, were made."""
    split = spec.split
    told = {
        "antibody": f"{number} folds stratified by the median" if spec.is_regression else f"{number} stratified folds",
        "identity": f"{number} folds of clusters at {split.identity:.0%} {identity(data)}",
        "group": f"{number} folds of groups",
        "family": f"{number} families, each left out once",
        "fold": f"{number} predefined folds",
    }[split.by]
    return told + (f", {split.repeats} times" if split.repeats > 1 else "")


def constant(data: Dataset, spec: TrainSpec) -> str:
    """Say what a prediction that knows nothing scores."""
    if spec.is_regression:
        return f"Always naming the mean would have an RMSE of {short(float(np.std(data.continuous_labels())), 3)}."
    share = float(np.mean(data.binary_labels()))
    return f"Always naming the larger class would have an accuracy of {short(max(share, 1 - share), 3)}."


_SIMULATED = range(100, 401)
"""Numbers of antibodies for which coverage after cross-validation was simulated."""


def nominal(data: Dataset, spec: TrainSpec) -> str:
    """Return the note on intervals of a cross-validation; simulations are cited for simulated designs only."""
    return f"{CROSS_VALIDATION} {SIMULATED}" if _is_simulated(data, spec) else CROSS_VALIDATION


def _is_simulated(data: Dataset, spec: TrainSpec) -> bool:
    design = SplitSpec(folds=10, random_state=spec.split.random_state)
    if (spec.classifier, spec.decision, spec.split) != (LogisticRegressionSpec(), DecisionSpec(), design):
        return False
    independent = data.groups is None and not repeats(data.sequences)
    return independent and len(data) in _SIMULATED and 0.4 <= float(np.mean(data.binary_labels())) <= 0.6


def unclaimed(found: Mapping[str, Interval]) -> list[str]:
    """Return a note for each reason why intervals are not claimed to have their coverage."""
    metrics: dict[str, list[str]] = {}
    for name, interval in found.items():
        if not interval.claimed:
            metrics.setdefault(interval.unclaimed, []).append(METRIC[name].title)
    return [
        f"No coverage is claimed for {'the interval' if len(titles) == 1 else 'the intervals'} of {', '.join(titles)}: "
        f"{reason}."
        for reason, titles in metrics.items()
    ]


def identity(data: Dataset) -> str:
    """Return the name of the identity that decides which antibodies of a data set are related."""
    return "identity of heavy chains" if data.chain in ("both", "paired") else "identity"


def groups(data: Dataset, spec: TrainSpec) -> list[str]:
    """Say that groups were divided between folds, if they were."""
    if data.groups is None or spec.split.by in ("group", "family"):
        return []
    return ["Groups were not kept together: antibodies of one group may stand in several folds."]


def unknown_overlap(reason: str) -> str:
    """Return the sentence of a test whose training antibodies are unknown."""
    return f"Overlap with the training antibodies, and identity to them, are unknown: {reason}."


def no_second_scores(reason: str) -> str:
    """Return the sentence of a report without a second cross-validation by identity."""
    return f"A second cross-validation, with clonal relatives in one fold, is not beside it: {reason.rstrip('.')}."


_FLATTER = "where such a group is split between folds, scores flatter"


def repeated(data: Dataset, spec: TrainSpec) -> list[str]:
    """Say how many sequences stand in more than one row, since folds may then test what they trained on."""
    found, label = repeats(data.sequences), np.asarray(data.label)
    if not found:
        return []
    contradictory = sum(len(set(label[rows].tolist())) > 1 for rows in found)
    flatter = "they are tested together" if spec.split.by == "identity" else _FLATTER
    what = "both sequences" if data.chain in ("both", "paired") else "their sequence"
    return [
        f"{sum(map(len, found))} antibodies share {what} with another one ({len(found)} sequences, "
        f"{contradictory} with {'different' if spec.is_regression else 'contradictory'} labels); {flatter}."
    ]


def versions() -> dict[str, str]:
    """Return the versions of what can change a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in _VERSIONS}


def cross_validation_in_python(spec: TrainSpec, source: str, digest: str) -> str:
    """Return the lines of Python that give the same numbers again, given the data."""
    return _python(spec, [("data", source, digest)], "report = trainer.cross_validate(data)")


def test_in_python(
    spec: TrainSpec, source: str, digest: str, trained_on: tuple[str, str] | None, threshold: float | None
) -> str:
    """Return the lines of Python that give the same numbers again, given the data.

    Parameters
    ----------
    source, digest
        Of the data that were scored.
    trained_on
        The same of the training set, if that is known.
    threshold
        From which probability on antibodies were predicted as 1; None where the model decided.
    """
    cut = "" if threshold is None else f", threshold={threshold!r}"
    sets = [("training", *(trained_on or ("", ""))), ("data", source, digest)]
    return _python(spec, sets, f"report = trainer.fit(training).evaluate(data{cut})")


def _python(spec: TrainSpec, sets: list[tuple[str, str, str]], last: str) -> str:
    names = sorted({"TrainSpec", "Trainer", "load_dataset", *re.findall(r"\b(\w+Spec)\(", repr(spec))})
    lines = [f"from antibody_esm import {', '.join(names)}", ""]
    for name, source, digest in sets:
        lines.append(f"{name} = load_dataset(...)" + (f"  # {' '.join(source.split())}" if source else ""))
        lines += [f'assert {name}.digest == "{digest}"'] if digest else []
    lines.append(f'trainer = Trainer.from_spec({spec!r}, store="embeddings/")')
    return "\n".join([*lines, last])


def command(spec: TrainSpec) -> str | None:
    """Return the command that trains the same pipeline; None where overrides cannot say it."""
    found = overrides(spec)
    return None if found is None else shlex.join(["antibody-train", *found])


def overrides(spec: TrainSpec) -> list[str] | None:
    """Return the overrides of ``antibody-train`` that give a spec; None where they cannot say it."""
    name = next((name for name, one in presets.EXTRACTORS.items() if agree(one, spec.extractor)), None)
    if name is not None:
        model = [f"model={name}", *_fields("extractor", spec.extractor, presets.EXTRACTORS[name])]
    elif (
        isinstance(spec.extractor, ExtractorSpec)
        and re.fullmatch(r"[ -~]+", spec.extractor.model)
        and not set("\"'\\\\$") & set(spec.extractor.model)
    ):
        model = _fields("extractor", spec.extractor, ExtractorSpec(model="any"))
    elif isinstance(spec.extractor, DescriptorSpec):
        model = ["model=descriptors", *_fields("extractor", spec.extractor, DescriptorSpec())]
    else:
        return None
    chosen = spec.classifier.kind
    learnt = [f"classifier={chosen}", *_fields("classifier", spec.classifier, presets.ESTIMATORS[chosen])]
    others = [
        override
        for field in TrainSpec.model_fields
        if field not in ("extractor", "classifier", "format")
        for override in _fields(field, getattr(spec, field), type(getattr(spec, field))())
    ]
    return [*model, *learnt, *others]


def agree(one: AnyExtractorSpec, other: AnyExtractorSpec) -> bool:
    """Whether two extractors are one, but that one of them may be pinned to what the other resolves to."""
    if isinstance(one, EnsembleSpec) and isinstance(other, EnsembleSpec):
        same = one.combine == other.combine and len(one.members) == len(other.members)
        return same and all(agree(*pair) for pair in zip(one.members, other.members, strict=True))
    if isinstance(one, ExtractorSpec) and isinstance(other, ExtractorSpec):
        values = [(getattr(one, name), getattr(other, name)) for name in type(one).model_fields]
        pinned = (one.digest is None) != (other.digest is None)
        return all(
            first == second or (pinned and name in _PINNED and None in (first, second))
            for name, (first, second) in zip(type(one).model_fields, values, strict=True)
        )
    return one == other


def _fields(branch: str, spec: Spec, default: Spec) -> list[str]:
    changed = [name for name in type(spec).model_fields if getattr(spec, name) != getattr(default, name)]
    values = spec.model_dump(mode="json")
    return [f"{branch}.{name}={_value(values[name])}" for name in changed if name not in ("kind", "format")]


def _value(value: Any) -> str:
    """Return a value as overrides spell it, which is nearly JSON."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    plain = (
        isinstance(value, str)
        and re.fullmatch(r"[a-z]\w*", value)
        and value not in ("null", "true", "false", "nan", "inf")
    )
    return value if plain else json.dumps(value, ensure_ascii=False)


def _named(name: str, spec: Spec, told: set[str]) -> str:
    """Return a name with the fields that differ from their defaults, but for those that are told by the name."""
    changed = ", ".join(f"{field}={value!r}" for field, value in spec.__repr_args__() if field not in told)
    return f"{name} ({changed})" if changed else name


def _model(spec: AnyExtractorSpec) -> str:
    if isinstance(spec, EnsembleSpec):
        how = "mean of" if spec.combine == "mean" else "side by side:"
        return f"{how} {', '.join(_model(member) for member in spec.members)}"
    if isinstance(spec, DescriptorSpec):
        return _named(spec.kind, spec, {"kind"})
    return _named(spec.model, spec, {"model", "revision", "digest"})
