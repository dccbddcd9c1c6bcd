"""Recipe of a data set: the call of `load_dataset` that made it, and the steps after that call.

A recipe belongs to one object. `Dataset.target` and `Dataset.cut` add a step; every other change of a data set makes an
object without a recipe, since no lines here would make it again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T", bound="Reproducible")


class Reproducible:
    """Object that may have a recipe."""

    recipe: "Recipe | None" = None
    """The call that made this data set; None if it was made in another way. It is no field, so no copy has it."""

    def made_by(self, recipe: "Recipe | None") -> Self:
        """Set the recipe of this new object, and return it."""
        object.__setattr__(self, "recipe", recipe)
        return self


@dataclass(frozen=True)
class Recipe:
    """Call of `load_dataset` with the steps after it.

    Attributes
    ----------
    options
        Arguments by name as they were passed, without those that are None; ``source`` is first. Paths that are not
        relative are names of files, and values that are no text, number or list are `Placeholder`.
    steps
        Methods that were called on the data set, with their arguments.

    Examples
    --------
    >>> Recipe.of({"source": "table.csv", "label": ("HIC", "Tm2"), "fold": None}).then("target", "HIC").python
    'load_dataset("table.csv", label=["HIC", "Tm2"]).target("HIC")'
    """

    options: Mapping[str, Any]
    steps: tuple[tuple[str, tuple[Any, ...], Mapping[str, Any]], ...] = ()

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Recipe":
        """Return the recipe of a call of `load_dataset`."""
        return cls({name: _kept(name, value) for name, value in _passed(arguments).items()})

    def then(self, method: str, *arguments: Any, **options: Any) -> "Recipe":
        """Return the recipe with a further step; options that have their defaults are left out."""
        return replace(self, steps=(*self.steps, (method, arguments, _passed(options))))

    @property
    def python(self) -> str:
        """The call and its steps as an expression of Python."""
        source, *others = self.options.items()
        first = ", ".join([_literal(source[1]), *(f"{name}={_literal(value)}" for name, value in others)])
        return f"load_dataset({first})" + "".join(_step(*step) for step in self.steps)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names in `python` that a reader must define: a DataFrame, or labels that were passed as a mapping."""
        return tuple(value.name for value in self.options.values() if isinstance(value, Placeholder))

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """Settings of ``antibody-train data.*`` that load the same antibodies; None if none do.

        Those of one label of several load all of the labels.
        """
        settings = dict(self.options)
        for method, arguments, options in self.steps:
            if method == "cut" and not options and not {"fragment", "part"} & set(settings):
                settings["fragment"] = arguments[0]
            elif method != "target":
                return None
        return None if self.placeholders or "drop" in settings else settings


@dataclass(frozen=True)
class Placeholder:
    """Name of an argument that a recipe does not hold."""

    name: str


def stepped(earlier: Reproducible, data: T, method: str, *arguments: Any, **options: Any) -> T:
    """Return a data set that a step made of an earlier one, with the recipe of both."""
    if data is earlier:
        return data
    return data.made_by(None if earlier.recipe is None else earlier.recipe.then(method, *arguments, **options))


def _passed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from their defaults."""
    return {name: value for name, value in options.items() if value is not None and (name, value) != ("drop", False)}


def _kept(name: str, value: Any) -> Any:
    if isinstance(value, Path) or (isinstance(value, str) and name in ("source", "labels")):
        path = Path(value)
        return path.name if path.is_absolute() or str(value).startswith("~") else str(value)
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping) and name == "higher_is_better":
        return {str(label): bool(side) for label, side in value.items()}
    if isinstance(value, Sequence):
        return [str(each) for each in value]
    return Placeholder("frame" if name == "source" else name)


def _step(method: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> str:
    written = [*map(_literal, arguments), *(f"{name}={_literal(value)}" for name, value in options.items())]
    return f".{method}({', '.join(written)})"


def _literal(value: Any) -> str:
    """Return a value as Python spells it, text in double quotes."""
    if isinstance(value, Placeholder):
        return value.name
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_literal(name)}: {_literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)
