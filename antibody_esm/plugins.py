"""Extractors, classifiers and data sets of other installed packages, found by their entry points.

A package names them in its metadata, under the groups of `GROUPS`. No package is imported before one of its names is
used. Names of this package, or of two packages, are refused.
"""

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, Literal

from antibody_esm.choices import CLASSIFIERS, DATA_SETS, MODELS
from antibody_esm.errors import PluginError

PluginKind = Literal["extractor", "classifier", "data set"]
GROUPS: Mapping[PluginKind, str] = {
    "extractor": "antibody_esm.extractors",
    "classifier": "antibody_esm.classifiers",
    "data set": "antibody_esm.datasets",
}
"""Groups of entry points, by kind."""
_OWN: Mapping[PluginKind, Collection[str]] = {
    "extractor": MODELS,
    "classifier": CLASSIFIERS,
    "data set": DATA_SETS,
}
ALLOWED = "ANTIBODY_ESM_PLUGINS"
"""Environment variable with the names of packages, with commas between, whose plugins saved models may use."""


@dataclass(frozen=True)
class Plugin:
    """Name that an installed package offers.

    Attributes
    ----------
    kind
        Kind of the object.
    name
        Name of the entry point, by which users choose it.
    package, version
        Distribution that offers it.
    """

    kind: PluginKind
    name: str
    package: str
    version: str
    entry: EntryPoint

    def load(self) -> Any:
        """Import the object.

        Raises
        ------
        PluginError
            If the import fails for any reason, or the object cannot be called.
        """
        try:
            made = self.entry.load()
        except Exception as error:
            raise PluginError(f"{self} cannot be imported: {type(error).__name__}: {error}", self.package) from error
        if not callable(made):
            raise PluginError(f"{self} is no class or function ({self.entry.value})", self.package)
        return made

    def make(self, options: Mapping[str, Any]) -> Any:
        """Import the object, and call it with options.

        Raises
        ------
        PluginError
            If the import or the call fails.
        """
        made = self.load()
        try:
            return made(**options)
        except Exception as error:
            problem = f"{self} cannot be constructed: {type(error).__name__}: {error}"
            raise PluginError(problem, self.package) from error

    def __str__(self) -> str:
        return f"the {self.kind} {self.name!r} of the package {self.package} {self.version}"


def named(kind: PluginKind, name: object) -> Plugin | None:
    """Return the plugin with a name; None if there is none. No package is imported.

    Raises
    ------
    PluginError
        If a plugin has this name and it is one of antibody_esm's own, or if several packages offer it.
    """
    offers = [plugin for plugin in _offered(kind, tuple(sys.path)) if plugin.name == name]
    if not offers:
        return None
    first, *others = offers
    if name in _OWN[kind]:
        raise PluginError(f"{first} has the name of one of antibody_esm's own: remove the package", first.package)
    if others:
        raise PluginError(f"{first} has the name of {others[0]}: remove one of the packages", first.package)
    return first


def offered_names(kind: PluginKind) -> tuple[str, ...]:
    """Return the names of a kind for texts of help, sorted; names that clash are among them, and raise no error."""
    return tuple(sorted({plugin.name for plugin in _offered(kind, tuple(sys.path))} - set(_OWN[kind])))


def names_for_help(kind: PluginKind) -> tuple[str, ...]:
    """Return `offered_names` if this process was started to print a help; else none, and nothing is looked up."""
    return offered_names(kind) if "--help" in sys.argv else ()


def installed(kind: PluginKind, name: str, package: str, needed: str) -> Plugin:
    """Return the plugin of a spec.

    Raises
    ------
    PluginError
        If the package is not installed, has another version, or does not offer the name; or as `named` does.
    """
    try:
        there = version(package)
    except PackageNotFoundError:
        problem = f"the {kind} {name!r} needs the package {package} {needed}, which is not installed"
        raise PluginError(problem, package) from None
    plugin = named(kind, name)
    if plugin is None or plugin.package != package:
        raise PluginError(f"the package {package} {there} offers no {kind} {name!r}", package)
    if there != needed:
        raise PluginError(
            f"the {kind} {name!r} is of {package} {needed}, and {there} is installed, whose numbers may differ", package
        )
    return plugin


def refuse_others(packages: Iterable[str], allowed: Collection[str], where: str) -> None:
    """Raise a PluginError if a saved model needs packages that its reader did not name.

    Parameters
    ----------
    packages
        Packages whose plugins the model uses.
    allowed
        Packages that the caller named; those in the environment variable `ALLOWED` are allowed too.
    where
        Folder of the model, for the message.
    """
    environment = {word.strip() for word in os.environ.get(ALLOWED, "").split(",")}
    for package in packages:
        if package not in {*allowed, *environment}:
            raise PluginError(
                f"{where}: this model runs code of the package {package}; if you trust it, load the model with "
                f"plugins=[{package!r}], or set {ALLOWED}={package}",
                package,
            )


@cache
def _offered(kind: PluginKind, path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Return all plugins of a kind; the path of imports is part of the key, since it may grow."""
    every = [
        Plugin(kind, entry.name, entry.dist.metadata["Name"], entry.dist.version, entry)
        for entry in entry_points(group=GROUPS[kind])
        if entry.dist is not None
    ]
    once = {(plugin.name, plugin.package): plugin for plugin in reversed(every)}  # the first on the path is imported
    return tuple(once[key] for key in sorted(once))
