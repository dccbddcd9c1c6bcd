"""Spec of a choice that is made inside the training folds."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from itertools import product
from math import prod
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PlainSerializer, PlainValidator, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from antibody_esm.specs.base import Seed, Spec
from antibody_esm.specs.chains import ChainSpec
from antibody_esm.specs.decisions import DecisionSpec
from antibody_esm.specs.ensembles import AnyExtractorSpec
from antibody_esm.specs.estimators import ClassifierSpec, EstimatorSpec, RegressorSpec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.named import ESTIMATORS, estimator
from antibody_esm.specs.plugins import PluginClassifierSpec, PluginRegressorSpec
from antibody_esm.spelling import did_you_mean

MetricName = Literal[
    "roc_auc",
    "pr_auc",
    "balanced_accuracy",
    "f1",
    "mcc",
    "accuracy",
    "brier",
    "spearman",
    "pearson",
    "rmse",
    "top_k_recall",
]
OF_VALUES: tuple[MetricName, ...] = ("spearman", "pearson", "rmse", "top_k_recall")
"""Metrics of continuous labels; the others are those of classes."""
WITHOUT_CLASSES: tuple[MetricName, ...] = ("roc_auc", "pr_auc", "brier")
"""Metrics of classes that no threshold changes."""

Value = str | int | float | bool | None | ClassifierSpec | RegressorSpec
"""Value of a field that is tuned."""
Choice = tuple[tuple[str, Value], ...]
"""Keys with one value each, sorted by key."""

_VIEW = ("layer", "pooling", "region", "special_tokens")
"""Fields in which views of one pass of a language model differ; how rows are stored is no property of a pipeline."""
_NO_CHOICE = ("kind", "format", "random_state")
"""Fields that are not tuned: the score of the best of many seeds is luck."""
_OF_AN_AVERAGE = ("heads", "per_member", "widths")
"""Fields of averages, which fit each other only; whole averages are tuned."""
_MOST = 10_000
"""Most combinations of a grid."""
_ANY_ESTIMATOR: TypeAdapter[Any] = TypeAdapter(EstimatorSpec)
_ESTIMATORS: tuple[type[Spec], ...] = tuple(
    kind
    for kind in (*get_args(ClassifierSpec), *get_args(RegressorSpec))
    if kind not in (PluginClassifierSpec, PluginRegressorSpec)  # whose options are not fields
)


def _fields(kind: type[Spec]) -> list[str]:
    return [name for name in kind.model_fields if name not in (*_NO_CHOICE, *_OF_AN_AVERAGE)]


KEYS: tuple[str, ...] = (
    "classifier",
    *dict.fromkeys(f"classifier.{name}" for kind in _ESTIMATORS for name in _fields(kind)),
    *(f"decision.{name}" for name in _fields(DecisionSpec)),
    *(f"extractor.{name}" for name in _VIEW),
    "pca",
)
"""Fields that may be tuned."""


class Grid(Mapping[str, tuple[Value, ...]]):
    """Values of each key, sorted by key; immutable, and equal to grids with the same values in the same form.

    Raises
    ------
    ValueError
        If a key is unknown, a value is not valid for it, or a key has no value or one value twice; the message names
        key and value.
    """

    def __init__(self, values: Mapping[str, Sequence[Value]]) -> None:
        if not isinstance(values, Mapping) or not values:
            raise ValueError("a grid names values for one key at least, like {'classifier.C': (0.01, 1.0)}")
        self._values = {key: _values(key, values[key]) for key in sorted(values, key=str)}
        if prod(map(len, self._values.values())) > _MOST:
            raise ValueError(f"a grid has at most {_MOST:,} combinations")
        self._text = json.dumps(self.plain(), sort_keys=True)

    def __getitem__(self, key: str) -> tuple[Value, ...]:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._text == other._text  # so that True is not 1

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return repr(self._values)

    def plain(self) -> dict[str, list[Any]]:
        """Return the grid as JSON values."""
        return {key: [plain(value) for value in values] for key, values in self._values.items()}


def plain(value: Value | Spec) -> Any:
    """Return a value as JSON has it; specs without their type."""
    if not isinstance(value, Spec):
        return value + 0.0 if isinstance(value, float) else value  # -0.0 equals 0.0
    fields = json.loads(value.canonical_json)
    return {name: field for name, field in fields.items() if name != "type"}


def from_plain(values: Mapping[str, Any]) -> Choice:
    """Return a choice from keys and values as JSON has them. Raises ValueError as `Grid` does."""
    return tuple((key, Grid({key: (value,)})[key][0]) for key, value in sorted(values.items()))


def _values(key: Any, values: Any) -> tuple[Value, ...]:
    if key in [f"classifier.{name}" for name in _OF_AN_AVERAGE]:
        raise ValueError(
            f"{key} is not tuned alone; name whole averages as values of 'classifier', such as AverageSpec(heads=...)"
        )
    if key not in KEYS:
        meant = did_you_mean(str(key), KEYS, 0.6) or did_you_mean(f"classifier.{key}", KEYS)
        raise ValueError(
            f"unknown key {key!r} of a grid{meant} Keys are {', '.join(KEYS)}".replace("' Keys", "'. Keys")
        )
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"{key} needs a list of values, got {values!r:.100}")
    if len(values) > _MOST:
        raise ValueError(f"a grid has at most {_MOST:,} combinations, and {key} has {len(values):,} values")
    read = tuple(_value(key, value) for value in values)
    texts: set[str] = set()
    for value, field in zip(values, read, strict=True):
        text = json.dumps(plain(field), sort_keys=True)
        if text in texts:
            raise ValueError(f"{key} has the value {value!r} twice")
        texts.add(text)
    return read


def _value(key: str, value: Any) -> Value:
    """Return a value in the form of its field."""
    if key == "classifier" and isinstance(value, str):
        if value in ESTIMATORS:
            return value
        near = get_close_matches(value, ESTIMATORS, 1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{key}={value!r}: {meant}Names are {', '.join(ESTIMATORS)}")
    problem = ""
    for read in _readers(key):
        try:
            return read(value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
    raise ValueError(f"{key}={value!r:.100}: {problem}")


def _readers(key: str) -> list[Callable[[Any], Value]]:
    """Return the functions that validate a value of a key; one of them has to accept it."""
    branch, _, field = key.partition(".")
    if not field:
        return [_read_estimator if key == "classifier" else _DIMENSIONS.validate_python]
    kinds: dict[str, tuple[type[Spec], ...]] = {"classifier": _ESTIMATORS, "decision": (DecisionSpec,)}
    owners = [kind for kind in kinds.get(branch, (ExtractorSpec,)) if field in kind.model_fields]
    return [partial(_read, kind, field) for kind in owners]


def _read_estimator(value: Any) -> Value:
    """Return the spec of a classifier; one from JSON has lists where Python has tuples."""
    if not isinstance(value, Mapping):
        return _ANY_ESTIMATOR.validate_python(value)  # type: ignore[no-any-return]
    text = json.dumps(value, default=_plain_or_text)
    return _ANY_ESTIMATOR.validate_json(text)  # type: ignore[no-any-return]


def _plain_or_text(value: Any) -> Any:
    return plain(value) if isinstance(value, Spec) else repr(value)


def _read(kind: type[Spec], field: str, value: Any) -> Value:
    named: dict[str, Any] = {"model": "any"} if kind is ExtractorSpec else {}
    read: Value = getattr(kind(**named, **{field: value}), field)
    return read


_DIMENSIONS: TypeAdapter[Any] = TypeAdapter(Annotated[int, Field(ge=1, strict=True)] | None)


class TuneSpec(Spec):
    """Choice of a pipeline's fields inside the training folds, from a grid of values, or within a budget.

    On the training rows of each fold every combination is cross-validated, and the best one is fitted. So scores are
    those of the whole procedure.

    Examples
    --------
    >>> tune = TuneSpec(grid={"extractor.layer": (6, 8), "classifier.C": (0.01, 1)})
    >>> tune
    TuneSpec(grid={'classifier.C': (0.01, 1.0), 'extractor.layer': (6, 8)})
    >>> tune.fingerprint == TuneSpec(grid={"classifier.C": (0.01, 1.0), "extractor.layer": (6, 8)}).fingerprint
    True
    """

    grid: Annotated[
        Mapping[str, Sequence[Any]], PlainValidator(Grid), PlainSerializer(lambda grid: grid.plain(), dict[str, Any])
    ]
    """Values by key, see `KEYS`. ``extractor.layer``, ``pooling``, ``region`` and ``special_tokens`` are views of one
    language model, from one pass, and the same for both models of a `ChainSpec`. ``classifier``: names of presets,
    which standardize descriptors, or specs. ``classifier.<field>`` concerns those classifiers that have the field;
    averages have none, and are tuned as a whole. ``decision.<field>``. ``pca``: numbers of dimensions, or None. Of
    equally good combinations the first one is chosen; keys are in alphabetical order, values as listed."""
    trials: PositiveInt | None = None
    """Number of combinations that are tried in each fold, chosen by Optuna (doi:10.1145/3292500.3330701); None and
    numbers that are not smaller than that of all combinations try all of them."""
    minutes: PositiveFloat | None = None
    """Time for all folds of a cross-validation, or for a fit; each fold has an equal share, and tries one combination
    at least. Results with such a budget depend on the speed of the machine."""
    metric: MetricName | None = None
    """Metric that chooses; None is ROC AUC, or Spearman's correlation of continuous labels."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the training rows, which keep the units of `SplitSpec` together; fewer if there are too few units. If
    `SplitSpec.by` is family or fold, they are the families or folds of the data."""
    random_state: Seed = 0
    """Seed of the folds of the training rows, and of a budget's trials."""

    @property
    def has_budget(self) -> bool:
        """True if Optuna chooses the combinations that are tried."""
        return self.trials is not None or self.minutes is not None


def combinations(
    tune: TuneSpec,
    extractor: AnyExtractorSpec,
    classifier: ClassifierSpec | RegressorSpec,
    decision: DecisionSpec,
) -> dict[Choice, dict[str, Any]]:
    """Return the fields of a pipeline for each distinct combination of a grid.

    Parameters
    ----------
    extractor
        The pipeline's own, without columns.
    classifier, decision
        The pipeline's own, whose other fields stay.

    Raises
    ------
    ValueError
        If a key does not fit the pipeline, or a combination is not valid; the message names keys and values.
    """
    grid, model = tune.grid, extractor if isinstance(extractor, ExtractorSpec | ChainSpec) else None
    _refuse(tune, model, classifier)
    seen: set[str] = set()
    every: dict[Choice, dict[str, Any]] = {}
    used: set[str] = set()
    for values in product(*grid.values()):
        choice = dict(zip(grid, values, strict=True))
        chosen = choice.get("classifier", classifier)
        chosen = estimator(chosen, extractor) if isinstance(chosen, str) else chosen
        applies = {
            key: value
            for key, value in choice.items()
            if not key.startswith("classifier.") or key.partition(".")[2] in type(chosen).model_fields
        }
        try:
            fields = _with_choice(applies, model, chosen, decision)
        except ValidationError as error:
            shown = described(tuple(applies.items()))
            raise ValueError(f"{shown} is no valid combination: {error.errors()[0]['msg']}") from None
        used |= applies.keys()
        text = json.dumps({key: plain(value) for key, value in applies.items()}, sort_keys=True)
        if text not in seen:
            seen.add(text)
            every[tuple(applies.items())] = fields
    for key in grid:
        if key not in used:
            kinds = ", ".join(dict.fromkeys(_kind(spec) for spec in grid.get("classifier", (classifier,))))
            near = get_close_matches(key, [f"classifier.{name}" for name in _fields(type(classifier))], 1, 0.8)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{key} is no field of {kinds}{meant}")
    return every


def _refuse(
    tune: TuneSpec, extractor: ExtractorSpec | ChainSpec | None, classifier: ClassifierSpec | RegressorSpec
) -> None:
    """Raise ValueError for keys and metrics that do not fit a pipeline."""
    grid, metric = tune.grid, tune.metric
    continuous = classifier.is_regressor
    for value in grid.get("classifier", ()):
        spec = ESTIMATORS[value] if isinstance(value, str) else value
        if spec.is_regressor != continuous:
            kinds = ("a classifier", "a regressor")
            raise ValueError(
                f"classifier={spec.kind} is {kinds[spec.is_regressor]}, and the pipeline's own, {classifier.kind}, is "
                f"{kinds[continuous]}"
            )
    if metric is not None and (metric in OF_VALUES) != continuous:
        kind = "classes" if continuous else "continuous labels"
        raise ValueError(f"metric={metric} is a metric of {kind}, and {classifier.kind} has others")
    for key in grid:
        if key.startswith("extractor.") and extractor is None:
            raise ValueError(f"{key} needs a pipeline of one language model, whose views are compared")
        if key.startswith("decision.") and continuous:
            raise ValueError(f"{key}: a regressor has no probabilities and no threshold")
    if "decision.threshold" in grid and (metric is None or metric in WITHOUT_CLASSES):
        raise ValueError(
            f"decision.threshold changes no {metric or 'roc_auc'}; name another metric, such as balanced_accuracy"
        )


def _with_choice(
    choice: Mapping[str, Any], extractor: ExtractorSpec | ChainSpec | None, classifier: Any, decision: DecisionSpec
) -> dict[str, Any]:
    """Return the fields that a choice changes. Raises pydantic.ValidationError if they are not valid."""
    fields: dict[str, Any] = {}
    parts = {"extractor": extractor, "classifier": classifier, "decision": decision}
    for branch, spec in parts.items():
        changed = {key.partition(".")[2]: value for key, value in choice.items() if key.startswith(f"{branch}.")}
        if changed and spec is not None:
            fields[branch] = spec.with_fields(changed)
        elif branch in choice:
            fields[branch] = spec
    if "pca" in choice:
        fields["pca"] = choice["pca"]
    return fields


def _kind(value: Any) -> str:
    return value if isinstance(value, str) else str(value.kind)


def described(choice: Choice) -> str:
    """Return a choice in words.

    Examples
    --------
    >>> described((("classifier.C", 0.01), ("extractor.layer", 6)))
    'classifier.C=0.01, extractor.layer=6'
    """
    return ", ".join(f"{key}={worded(value)}" for key, value in choice)


def worded(value: Value) -> str:
    """Return a value in words; a spec by its name, with the fields that differ from those of the name."""
    if not isinstance(value, Spec):
        return str(value)
    kind = str(getattr(value, "kind", ""))
    named = ESTIMATORS[kind]
    changed = [
        f"{name}={getattr(value, name)}"
        for name in type(value).model_fields
        if name not in _NO_CHOICE and getattr(value, name) != getattr(named, name)
    ]
    return f"{kind} ({', '.join(changed)})" if changed else kind
