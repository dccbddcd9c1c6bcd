"""Names of pipelines, baselines and splits, as people read them."""

from collections.abc import Mapping
from types import MappingProxyType

from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.baselines import BaselineName
from antibody_esm.specs import (
    AnyExtractorSpec,
    ChainSpec,
    ColumnSpec,
    DecisionSpec,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    PluginClassifierSpec,
    PluginExtractorSpec,
    PluginRegressorSpec,
    Spec,
    TrainSpec,
)
from antibody_esm.specs.ensembles import without_columns
from antibody_esm.specs.estimators import heads_of
from antibody_esm.specs.tuning import TuneSpec, worded

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
        "germline_distance": "distance to germline",
        "positions": "residues by IMGT position",
        "biophysical": "biophysical descriptors",
        "nearest_neighbour": "nearest sequence",
        "random_weights": "random weights",
        "random_weights_1": "random weights, seed 1",
        "random_weights_2": "random weights, seed 2",
        "columns": "columns alone",
        "frozen": "frozen language model",
    }
)
"""Names of baselines in tables."""
_OF_THE_WHOLE = ("majority", "germline", "random_weights", "random_weights_1", "random_weights_2", "columns", "frozen")
"""Baselines whose name is not that of a chain."""
_OF_PAIRS: Mapping[BaselineName, str] = MappingProxyType(
    {name: f"{title} of each chain" for name, title in BASELINE.items() if name not in _OF_THE_WHOLE}
    | {"germline": "V genes of both chains", "nearest_neighbour": "nearest pair"}
)

_VALUES = 4
"""Most values of a tuned field that a name lists."""
_REASONS = 3
"""Most reasons of rows that were left out in the first lines; the page lists all."""
_PINNED = ("digest", "layer", "max_length")
"""Fields that pinning an extractor fills in."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in ``1 data set`` and ``2 data sets``.

    Examples
    --------
    >>> counted(1, "pipeline"), counted(1200, "antibody")
    ('1 pipeline', '1,200 antibodies')
    """
    plural = noun.removesuffix("y") + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def baseline_title(name: BaselineName, *, continuous: bool, paired: bool = False) -> str:
    """Return the name of a baseline in tables."""
    if continuous and name == "majority":
        return "mean value"
    return _OF_PAIRS.get(name, BASELINE[name]) if paired else BASELINE[name]


def pipeline(spec: TrainSpec) -> str:
    """Return the name of a pipeline: model and classifier, with the fields that differ from their defaults."""
    heads = [
        plugin_title(head)
        if isinstance(head, PluginClassifierSpec | PluginRegressorSpec)
        else _named(head.kind, head, {"kind"})
        for head in heads_of(spec.classifier)
    ]
    each = ", one for each member" if getattr(spec.classifier, "per_member", False) else ""
    averaged = heads_of(spec.classifier) != (spec.classifier,)
    name = f"{_model(spec.extractor)} + {'average of ' * averaged}{', '.join(heads)}{each}"
    parts = [] if spec.decision == DecisionSpec() else [_named("decision", spec.decision, set())]
    parts += [] if spec.pca is None else [f"{spec.pca} principal components"]
    parts += [] if spec.tune is None else [_tuned(spec.tune)]
    parts += [] if spec.finetune is None else [_named("fine-tuned", spec.finetune, set())]
    return ", ".join([name, *parts])


def short_source(source: str) -> str:
    """Return the first words of the source of a data set.

    Examples
    --------
    >>> short_source("influenza antibodies, CDR loops; package aims-immune 0.9.3")
    'influenza antibodies'
    """
    return source.partition(":")[0].partition(",")[0]


def recalibrated(antibodies: int, source: str) -> str:
    """Return the name of a recalibration, which follows that of the pipeline."""
    return f"recalibrated on {counted(antibodies, 'antibody')} of {short_source(source)}"


def _tuned(tune: TuneSpec) -> str:
    """Return the name of a choice: keys with their values, of many the first and the last one, and other fields."""
    grids = []
    for key, values in tune.grid.items():
        words = [worded(value) for value in values]
        grids.append(
            f"{key} {', '.join(words) if len(words) <= _VALUES else f'{words[0]} to {words[-1]} ({len(words)})'}"
        )
    others = [f"{name}={value!r}" for name, value in tune.__repr_args__() if name != "grid"]
    return f"tuned over {'; '.join([*grids, *others])}"


def left_out(data: Dataset) -> str:
    """Return the numbers of rows that were left out, with the reasons, behind a number of antibodies; or nothing."""
    label = data.label_name
    reasons = data.provenance.reasons()
    unlabelled = reasons.pop(f"no {label}", 0)
    text = f", {unlabelled} without {label} left out" if unlabelled else ""
    if reasons:
        shown = [f"{reason} ({count:,})" if len(reasons) > 1 else reason for reason, count in reasons.items()]
        more = "; ..." if len(shown) > _REASONS else ""
        text += f", {sum(reasons.values()):,} left out: {'; '.join(shown[:_REASONS])}{more}"
    return text


def folds(spec: TrainSpec, number: int, data: Dataset) -> str:
    """Return the number of folds of each repeat, and how they were made."""
    split = spec.split
    design = {
        "antibody": f"{number} folds stratified by the median" if spec.is_regression else f"{number} stratified folds",
        "identity": f"{number} folds of clusters at {split.identity:.0%} {identity(data)}",
        "group": f"{number} folds of groups",
        "family": f"{number} families, each left out once",
        "fold": f"{number} predefined folds",
        "leave_one_out": "one antibody left out at a time",
    }[split.by]
    return design + (f", {split.repeats} times" if split.repeats > 1 else "")


def identity(data: Dataset) -> str:
    """Return the name of the identity that decides which antibodies of a data set are related."""
    return "identity of heavy chains" if data.chain in ("both", "paired") else "identity"


def agree(spec: AnyExtractorSpec | ColumnSpec, other: AnyExtractorSpec | ColumnSpec) -> bool:
    """Return True if two specs are equal, or one of them is the other one, pinned."""
    if isinstance(spec, EnsembleSpec) and isinstance(other, EnsembleSpec):
        same = spec.combine == other.combine and len(spec.members) == len(other.members)
        return same and all(agree(*pair) for pair in zip(spec.members, other.members, strict=True))
    if isinstance(spec, ChainSpec) and isinstance(other, ChainSpec):
        return all(agree(*pair) for pair in zip(spec.models, other.models, strict=True))
    if isinstance(spec, ExtractorSpec) and isinstance(other, ExtractorSpec):
        values = [(getattr(spec, name), getattr(other, name)) for name in type(spec).model_fields]
        pinned = (spec.digest is None) != (other.digest is None) or spec.digest == other.digest is not None
        return all(
            first == second or (pinned and name in _PINNED and None in (first, second))
            for name, (first, second) in zip(type(spec).model_fields, values, strict=True)
        )
    return spec == other


def _named(name: str, spec: Spec, implied: set[str]) -> str:
    """Return a name with the fields that differ from their defaults, without those that the name implies."""
    changed = ", ".join(f"{field}={value!r}" for field, value in spec.__repr_args__() if field not in implied)
    return f"{name} ({changed})" if changed else name


def plugin_title(spec: PluginExtractorSpec | PluginClassifierSpec | PluginRegressorSpec) -> str:
    """Return the name of a plugin with its package, version and options."""
    options = "".join(f", {name}={value!r}" for name, value in spec.options)
    return f"{spec.name} ({spec.package} {spec.version}{options})"


def _model(spec: AnyExtractorSpec) -> str:
    if isinstance(spec, EnsembleSpec):
        if spec.columns:
            columns = ", ".join(column.name for column in spec.columns)
            return f"{_model(without_columns(spec))} with column{'s' if len(spec.columns) > 1 else ''} {columns}"
        how = "mean of" if spec.combine == "mean" else "side by side:"
        parts = [_model(member) for member in spec.of_sequences]
        return f"{how} {', '.join(map(_distinct, parts, spec.of_sequences, map(parts.count, parts)))}"
    if isinstance(spec, ChainSpec):
        return f"{_model(spec.heavy)} (heavy), {_model(spec.light)} (light)"
    if isinstance(spec, PluginExtractorSpec):
        return plugin_title(spec)
    if isinstance(spec, DescriptorSpec):
        return _named(spec.kind, spec, {"kind"})
    if spec.adapter is not None:
        return f"{_named(spec.model, spec, {'model', 'revision', 'digest', 'adapter'})} [adapter {spec.adapter[:8]}]"
    return _named(spec.model, spec, {"model", "revision", "digest"})


def _distinct(name: str, member: AnyExtractorSpec, number: int) -> str:
    """Return the name of a member, with the first digits of its digest if several members have the name."""
    digest = getattr(member, "digest", None)
    return name if number == 1 or digest is None else f"{name} [{digest[:8]}]"
