"""Grammar of overrides: ``group=choice`` and ``key=value`` as a tree of plain values.

Hydra's parser reads an override, presets supply the fields of a group, and pydantic validates the result in
`Run.compose`. These functions have no state, so that notebooks can call them too.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import product
from typing import Any

import typer
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.errors import HydraException
from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from antibody_esm import presets
from antibody_esm.choices import CLASSIFIERS, MODELS
from antibody_esm.limits import LimitError, parse_json
from antibody_esm.plugins import PluginKind, named, offered_names
from antibody_esm.specs.base import Spec
from antibody_esm.specs.ensembles import AnyExtractorSpec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.finetuning import FineTuneSpec
from antibody_esm.specs.language_models import LANGUAGE_MODELS
from antibody_esm.specs.tuning import TuneSpec
from antibody_esm.spelling import did_you_mean

GROUPS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "model": ("extractor", presets.EXTRACTORS),
    "classifier": ("classifier", presets.ESTIMATORS),
    "finetune": ("finetune", presets.FINE_TUNINGS),
}
"""Branch of the tree and presets of each group of the command line."""

_KIND: Mapping[str, PluginKind] = {"model": "extractor", "classifier": "classifier"}
_CHAINS = ("heavy", "light")
_TAGS = ("train", "chains", "by_name", "by_spec", *presets.ESTIMATORS)
"""Parts of pydantic's paths that overrides do not have."""
_DEFAULT = {"model": presets.DEFAULT_EXTRACTOR, "classifier": presets.DEFAULT_CLASSIFIER, "finetune": None}


def applied(overrides: Sequence[str], tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree of defaults, updated by the presets and values of overrides; see `Run.compose`."""
    parsed = [_parse(text) for text in overrides]
    for override in parsed:
        if override.is_sweep_override():
            raise invalid(override.key_or_group, override.input_line, "several values need --multirun")
    chosen: dict[str, Any] = dict(_DEFAULT)
    values: list[tuple[str, Any]] = []
    frozen = False
    for override in parsed:
        key, value = _shorthand(override.key_or_group), _plain(override)
        if key == "extractor" and isinstance(value, str):  # as the branch of its fields is named
            key = "model"
        if key in GROUPS:
            chosen[key] = value
            frozen |= key == "finetune" and value is None  # as a run of a sweep, whose other runs have fields
        else:
            values.append((key, value))
    filled = deepcopy({**tree, **_presets(chosen)})
    for key, value in values:
        if key == "extractor.model" and isinstance(value, str) and value:
            filled["extractor"] = _tree(ExtractorSpec(model=value))
        _choose_model_of_chain(filled["extractor"], key, value)
    if filled.get("tune", 0) is None and any(key.startswith("tune.") for key, _ in values):
        defaults = {name: field.get_default() for name, field in TuneSpec.model_fields.items() if name != "grid"}
        filled["tune"] = {"grid": {}, **defaults}
    if filled.get("finetune", 0) is None and any(key.startswith("finetune.") for key, _ in values):
        if frozen:
            values = [(key, value) for key, value in values if not key.startswith("finetune.")]
        else:
            filled["finetune"] = _tree(FineTuneSpec())
    for key, value in values:
        _set(filled, key, value)
    suited = _standardization(chosen["classifier"], filled["extractor"])
    filled["classifier"] |= {
        name: value for name, value in suited.items() if f"classifier.{name}" not in [key for key, _ in values]
    }
    return filled


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of every run of a sweep: the product of all comma-separated values.

    Examples
    --------
    >>> sweep(["model=esm2_8m,antiberty", "split.folds=5"])
    [['model=esm2_8m', 'split.folds=5'], ['model=antiberty', 'split.folds=5']]
    """
    columns = []
    for text in overrides:
        override = _parse(text)
        try:
            values = list(override.sweep_string_iterator()) if override.is_sweep_override() else None
        except HydraException as error:
            raise invalid(override.key_or_group, text, str(error)) from error
        columns.append([text] if values is None else [f"{override.key_or_group}={value}" for value in values])
    return [list(job) for job in product(*columns)]


def values_of(text: str) -> list[str | None]:
    """Return the values of one override as text; None for null.

    Examples
    --------
    >>> values_of("test.label=flag,'my flag',null")
    ['flag', 'my flag', None]
    """
    values = [_parse(job).value() for (job,) in sweep([text])]
    return [None if value is None else str(value) for value in values]


def _parse(text: str) -> Override:
    key, sign, value = text.partition("=")
    if value.startswith(("{", "[")) and (tree := _json(value)):  # Hydra has no keys in quotes, and none with °
        empty = _parse(f"{key}={{}}")
        return Override(empty.type, empty.key_or_group, ValueType.ELEMENT, tree, input_line=text)
    try:
        override = OverridesParser.create().parse_override(text)
    except (HydraException, RecursionError, ValueError) as error:
        if not sign:
            raise invalid("", "", f"{text[:200]!r} is not key=value; {_key_of(text)}") from error
        why = (str(error).splitlines() or [type(error).__name__])[0]
        problem = f"not key=value ({why[:200]}); {_quoted(value)}"
        raise invalid(text.partition("=")[0], text[:200], problem) from error
    if override.package is not None or override.type not in (OverrideType.CHANGE, OverrideType.FORCE_ADD):
        raise invalid(override.key_or_group, text, "only key=value is allowed here")
    return override


def _key_of(text: str) -> str:
    """Return advice on a value without a key."""
    keys = {**dict.fromkeys(CLASSIFIERS, "classifier"), **dict.fromkeys(MODELS, "model")}
    return f"write {keys.get(text, 'data')}={text[:200]}" if text else "write it as data=mine.csv"


def _json(value: str) -> Any:
    """Return a JSON object or list, whose names are text of any kind; None for other values, which are Hydra's."""
    try:
        return parse_json(value.encode())
    except (LimitError, UnicodeError):
        return None


def _quoted(value: str) -> str:
    """Return advice on a value with special characters, in a form that the shell passes on."""
    if value.startswith("["):
        return """quote each name of the list: 'key=["HIC RT (min)","Tm (°C)"]'"""
    if value.startswith("{"):
        return """quote each name, as JSON: 'key={"Tm (°C)":true}'"""
    return "quote a value with special characters: key='...'"


def _plain(override: Override) -> Any:
    """Return the value of an override, which consists of texts, numbers, lists and mappings."""
    value = override.value()
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(override.key_or_group, override.input_line, "only plain values are allowed here") from error
    return value


def _shorthand(key: str) -> str:
    return "data.source" if key == "data" else key


def _choose_model_of_chain(tree: dict[str, Any], key: str, value: Any) -> None:
    """Replace the language model of a chain by a preset (``extractor.heavy=``) or another model with its defaults."""
    branch, _, field = key.removeprefix("extractor.").partition(".")
    if branch not in _CHAINS or branch not in tree or not key.startswith("extractor.") or not isinstance(value, str):
        return
    if not field and value in LANGUAGE_MODELS:
        tree[branch] = _tree(LANGUAGE_MODELS[value].model_copy(update={"pairs": "apart"}))
    elif field == "model" and value:
        tree[branch] = _tree(ExtractorSpec(model=value))


def _presets(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the chosen presets, by branch."""
    branches = {}
    for group, (branch, choices) in GROUPS.items():
        if chosen[group] is None and _DEFAULT[group] is None:
            continue
        if group == "model" and (spec := presets.on_the_hub(chosen[group])) is not None:
            branches[branch] = _tree(spec)
            continue
        kind = _KIND.get(group)
        if kind is not None and named(kind, chosen[group]) is not None:
            branches[branch] = _tree((presets.extractor if group == "model" else presets.classifier)(chosen[group]))
            continue
        if not isinstance(chosen[group], str) or chosen[group] not in choices:
            every = (*choices, *(offered_names(kind) if kind is not None else ()))
            meant = did_you_mean(chosen[group], every)
            otherwise = (
                ", an organisation/name of the hub, or extractor.model=<name or folder>" if group == "model" else ""
            )
            raise invalid(group, chosen[group], f"choose one of {', '.join(every)}{otherwise}{meant}")
        branches[branch] = _tree(choices[chosen[group]])
    return branches


def _standardization(classifier: str, extractor: Any) -> dict[str, Any]:
    """Return the fields by which a preset suits the features of an extractor; see `presets.classifier`."""
    try:
        spec = TypeAdapter[AnyExtractorSpec](AnyExtractorSpec).validate_json(json.dumps(extractor))
    except ValidationError:
        return {}  # `Run.compose` raises the error
    fields = _tree(presets.classifier(classifier, spec))
    return {name: fields[name] for name in fields if name in ("standardize", "heads")}


def _tree(spec: Spec) -> dict[str, Any]:
    return spec.model_dump(mode="json")


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    branch, *inner = key.split(".")
    if branch not in tree:
        every = [*GROUPS, *(name for name in tree if name != "format")]
        raise invalid(key, value, f"unknown key; choose one of {', '.join(_keys(tree))}{did_you_mean(branch, every)}")
    if not isinstance(tree[branch], dict):
        if inner:
            raise invalid(key, value, f"unknown key; choose {branch}")
        tree[branch] = value
        return
    owner, fields = tree[branch], [f"{branch}.{name}" for name in _names(tree[branch])]
    if branch == "extractor":
        for chain in _CHAINS:
            if isinstance(owner.get(chain), dict):
                fields += [f"{branch}.{chain}.{name}" for name in _names(owner[chain])]
    if key not in fields:
        meant = did_you_mean(key, fields).replace("'", "")
        level = [name for name in fields if name.count(".") == len(inner)]
        raise invalid(key, value, f"unknown key; choose one of {', '.join(level or fields)}{meant}")
    if len(inner) == 2:
        owner[inner[0]][inner[1]] = value
    elif inner[0] not in _CHAINS or value not in LANGUAGE_MODELS:  # else the model was chosen before
        owner[inner[0]] = value


def _names(tree: Mapping[str, Any]) -> list[str]:
    return [name for name in tree if name not in ("kind", "format")]


def _keys(tree: Mapping[str, Any]) -> Iterable[str]:
    yield from GROUPS
    others = {name: branch for name, branch in tree.items() if name not in ("format", "finetune")}
    yield from (f"{name}.*" if isinstance(branch, dict) else name for name, branch in others.items())


def invalid(key: str, value: Any, problem: str) -> ValidationError:
    """Return the error of an invalid override."""
    kind = PydanticCustomError("override", "{problem}", {"problem": problem})
    return ValidationError.from_exception_data(
        "overrides", [InitErrorDetails(type=kind, loc=tuple(key.split(".")), input=value)]
    )


@contextmanager
def refused() -> Iterator[None]:
    """Print each problem of invalid overrides on one line, and exit with 2."""
    try:
        yield
    except ValidationError as error:
        for problem in error.errors():
            # pydantic's path also names the model and a classifier's kind; an override does not.
            place = ".".join(str(part) for part in problem["loc"] if part not in _TAGS)
            value = f" (given: {problem['input']})" if place else ""  # the whole tree is no help
            text = problem["msg"].removeprefix("Value error, ") + value
            print(f"error: {place}: {text}" if place else f"error: {text}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from error
