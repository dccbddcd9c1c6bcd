"""The override grammar: ``group=choice`` and ``key=value`` become a validated run.

Hydra's parser reads an override; presets give a group's fields; pydantic judges the result. There is no second schema,
and no state outside of these functions, so that a notebook may call them too.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Annotated, Any

import typer
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from antibody_esm import presets
from antibody_esm.data.parts import Chain
from antibody_esm.specs import DecisionSpec, ExtractorSpec, RuntimeSpec, SplitSpec, TrainSpec, _Frozen


class DataSettings(_Frozen):
    """Data to train on: parameters of `antibody_esm.load_dataset`, and `check`, which `Trainer.fit` takes."""

    source: str = "boughter_flu_cdrs"
    id: str | None = None
    heavy: str | None = None
    light: str | None = None
    label: str | None = None
    groups: str | None = None
    chain: Chain | None = None
    fragment: str | None = None
    part: str | None = None
    species: tuple[str, ...] | None = None
    labels: str | None = None
    check: bool = True


class Run(_Frozen):
    """One run of ``antibody-train``: a spec, and the settings that are no part of its identity."""

    train: TrainSpec
    data: DataSettings = DataSettings()
    store: Annotated[str, Field(min_length=1)] | None = "embeddings/"
    """Folder of the `EmbeddingStore`; null keeps vectors in memory."""
    output: Annotated[str, Field(min_length=1)] | None = None
    """Folder of this run's results; null makes one under ``outputs/`` by date and time."""
    runtime: RuntimeSpec = RuntimeSpec()

    def to_dict(self) -> dict[str, Any]:
        """Return the effective configuration, laid out as overrides address it."""
        tree = self.model_dump(mode="json")
        return {**tree.pop("train"), **tree}


GROUPS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "model": ("extractor", presets.EXTRACTORS),
    "classifier": ("classifier", presets.ESTIMATORS),
}
"""Group of the command line to the branch it fills, and the presets to choose from."""

_DEFAULT = {"model": presets.DEFAULT_EXTRACTOR, "classifier": presets.DEFAULT_CLASSIFIER}
_TRAIN = ("extractor", "classifier", "split", "decision", "format")


def compose(overrides: Sequence[str] = ()) -> Run:
    """Return the run that these overrides describe. Choices of groups come first, then values, in order.

    Parameters
    ----------
    overrides
        ``group=choice`` with the groups ``model`` and ``classifier``; ``data=`` a data set's name or a table's path;
        ``branch.key=value`` for any field. Setting ``extractor.model`` starts from the defaults of `ExtractorSpec`.

    Raises
    ------
    pydantic.ValidationError
        If an override cannot be read, or names an unknown group, key or value; the message names the choices.
    """
    parsed = [_parse(text) for text in overrides]
    for one in parsed:
        if one.is_sweep_override():
            raise invalid(one.key_or_group, one.input_line, "several values need --multirun")
    chosen = dict(_DEFAULT)
    values: list[tuple[str, Any]] = []
    for one in parsed:
        key, value = _shorthand(one.key_or_group), one.value()
        if key in GROUPS:
            chosen[key] = value
        else:
            values.append((key, value))
    tree = _defaults(chosen)
    for key, value in values:
        if key == "extractor.model" and isinstance(value, str) and value:
            tree["extractor"] = _tree(ExtractorSpec(model=value))
    for key, value in values:
        _set(tree, key, value)
    train = {name: tree.pop(name) for name in _TRAIN}
    return Run.model_validate_json(json.dumps({"train": train, **tree}))


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of every run of a sweep: the product of all values given with commas.

    Examples
    --------
    >>> sweep(["model=esm2_8m,antiberty", "split.folds=5"])
    [['model=esm2_8m', 'split.folds=5'], ['model=antiberty', 'split.folds=5']]
    """
    columns = []
    for text in overrides:
        one = _parse(text)
        try:
            values = list(one.sweep_string_iterator()) if one.is_sweep_override() else None
        except HydraException as error:
            raise invalid(one.key_or_group, text, str(error)) from error
        columns.append([text] if values is None else [f"{one.key_or_group}={value}" for value in values])
    return [list(job) for job in product(*columns)]


def _parse(text: str) -> Override:
    try:
        one = OverridesParser.create().parse_override(text)
    except HydraException as error:
        problem = f"not key=value ({str(error).splitlines()[0]}); quote a value of odd characters: key='...'"
        raise invalid(text.partition("=")[0], text, problem) from error
    if one.package is not None or one.type not in (OverrideType.CHANGE, OverrideType.FORCE_ADD):
        raise invalid(one.key_or_group, text, "only key=value is understood here")
    return one


def _shorthand(key: str) -> str:
    return "data.source" if key == "data" else key


def _defaults(chosen: Mapping[str, Any]) -> dict[str, Any]:
    branches = {}
    for group, (branch, choices) in GROUPS.items():
        if not isinstance(chosen[group], str) or chosen[group] not in choices:
            otherwise = ", or extractor.model=<name or folder>" if group == "model" else ""
            raise invalid(group, chosen[group], f"choose one of {', '.join(choices)}{otherwise}")
        branches[branch] = _tree(choices[chosen[group]])
    run = Run(train=TrainSpec(extractor=ExtractorSpec(model="any")))
    return {**run.to_dict(), "split": _tree(SplitSpec()), "decision": _tree(DecisionSpec()), **branches}


def _tree(spec: _Frozen) -> dict[str, Any]:
    return spec.model_dump(mode="json")


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    branch, *inner = key.split(".")
    if branch not in tree:
        raise invalid(key, value, f"unknown key; choose one of {', '.join(_keys(tree))}")
    if not isinstance(tree[branch], dict):
        if inner:
            raise invalid(key, value, f"unknown key; choose {branch}")
        tree[branch] = value
        return
    fields = [name for name in tree[branch] if name not in ("kind", "format")]
    if len(inner) != 1 or inner[0] not in fields:
        raise invalid(key, value, f"unknown key; choose one of {', '.join(f'{branch}.{name}' for name in fields)}")
    tree[branch][inner[0]] = value


def _keys(tree: Mapping[str, Any]) -> Iterable[str]:
    yield from GROUPS
    yield from (f"{name}.*" if isinstance(branch, dict) else name for name, branch in tree.items() if name != "format")


def invalid(key: str, given: Any, problem: str) -> ValidationError:
    """Return the error that an override is."""
    kind = PydanticCustomError("override", "{problem}", {"problem": problem})
    return ValidationError.from_exception_data(
        "overrides", [InitErrorDetails(type=kind, loc=tuple(key.split(".")), input=given)]
    )


@contextmanager
def refused() -> Iterator[None]:
    """Print each problem of invalid overrides on one line, and end the command with 2."""
    try:
        yield
    except ValidationError as error:
        for one in error.errors():
            # pydantic's path also names the model and, of a classifier, its kind; an override does not.
            place = ".".join(str(part) for part in one["loc"] if part != "train" and part not in presets.ESTIMATORS)
            print(f"error: {place}: {one['msg']} (given: {one['input']})", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from error
