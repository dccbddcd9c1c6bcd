"""Old names and call forms that work for one more release, with a DeprecationWarning."""

import warnings
from collections.abc import Callable
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
