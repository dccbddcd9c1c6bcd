"""Old names and call forms that work for one more release, with a DeprecationWarning."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


def moved(old: str, new: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module whose content has moved to another module.

    Parameters
    ----------
    old, new
        Names of the two modules.
    """

    def attribute(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        value = getattr(import_module(new), name)
        warnings.warn(f"{old}.{name} is now in {new}; import {name} from there", DeprecationWarning, stacklevel=2)
        return value

    return attribute


def still_callable(value: T, name: str) -> T:
    """Return a value that can also be called, like the method that the property replaced.

    Parameters
    ----------
    value
        An instance of a built-in type that can be subclassed: a dictionary, list, tuple or text.
    name
        Name of the property, for the warning.

    Examples
    --------
    >>> still_callable({"roc_auc": 0.8}, "Report.intervals")["roc_auc"]
    0.8
    """
    kind: Any = type(value)

    def call(self: Any) -> Any:
        warnings.warn(f"{name} is a property now: remove the parentheses", DeprecationWarning, stacklevel=2)
        return kind(self)

    called: T = type(kind.__name__, (kind,), {"__call__": call})(value)
    return called


Renamed = Mapping[str | tuple[str, str], str | tuple[str, str]]
"""Earlier names of options, or options with a value, and those that replace them."""


def with_new_names(words: Sequence[str], renamed: Renamed) -> tuple[list[str], list[str]]:
    """Return the words of a command with new names of options, and a warning for each earlier name.

    Parameters
    ----------
    words
        Arguments of a command; those behind ``--`` are no options.
    renamed
        New names by the earlier ones.

    Examples
    --------
    >>> with_new_names(["in.csv", "--out=a.csv"], {"--out": "--output"})
    (['in.csv', '--output=a.csv'], ['--out is --output now; the earlier name goes after one release'])
    """
    after: list[str] = []
    warned: dict[str, None] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*after, word, *rest], list(warned)
        name, sign, value = word.partition("=")
        if not sign and any(isinstance(old, tuple) and old[0] == name for old in renamed):
            value = next(rest, "")
            new = renamed.get((name, value), (name, value))
            after += [text for text in new if text]
            old = f"{name} {value}"
        else:
            changed = renamed.get((name, value)) if sign else None
            new = changed or renamed.get(name, name)
            after.append(word if new == name else f"{new}{sign}{value}" if isinstance(new, str) else "=".join(new))
            old = name if isinstance(new, str) else f"{name} {value}"
        if new not in (name, (name, value)):
            text = new if isinstance(new, str) else " ".join(new)
            warned[f"{old} is {text} now; the earlier name goes after one release"] = None
    return after, list(warned)
