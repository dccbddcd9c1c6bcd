"""Specs of plugins: the package with its version, and options of its own, are part of the identity."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field

from antibody_esm.plugins import PluginKind, installed, named, offered_names
from antibody_esm.specs.base import Spec
from antibody_esm.spelling import did_you_mean

_Text = Annotated[str, Field(min_length=1, max_length=200)]
Option = str | bool | int | float | None


def _sorted_pairs(value: Any) -> Any:
    """Return options as sorted pairs; they are passed as a mapping, and JSON has them as lists."""
    if isinstance(value, Mapping):
        value = list(value.items())
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    pairs = [tuple(pair) if isinstance(pair, list | tuple) else pair for pair in value]
    names = [pair[0] for pair in pairs if isinstance(pair, tuple) and pair]
    if len(set(map(repr, names))) < len(names):
        raise ValueError("each option may be named only once")
    return tuple(sorted(pairs, key=repr))


Options = Annotated[tuple[tuple[_Text, Option], ...], BeforeValidator(_sorted_pairs)]
"""Names and values of options, sorted."""


class _PluginSpec(Spec):
    """Name in a package, with options of its own."""

    of_kind: ClassVar[PluginKind]
    name: _Text
    """Name of the entry point."""
    package: _Text
    """Distribution that offers the name."""
    version: _Text
    """Its version; another version is another spec, since its numbers may differ."""
    options: Options = ()
    """Options by name, texts and numbers; passed as a mapping."""

    @classmethod
    def of(cls, name: str, **options: Option) -> Self:
        """Return the spec of a name that an installed package offers, with its version; nothing is imported.

        Raises
        ------
        ValueError
            If no package offers the name.
        PluginError
            If several do, or it is a name of antibody_esm.
        """
        plugin = named(cls.of_kind, name)
        if plugin is None:
            names = offered_names(cls.of_kind)
            there = ", ".join(names) or "none"
            raise ValueError(
                f"no installed package offers the {cls.of_kind} {name!r}; offered: {there}{did_you_mean(name, names)}"
            )
        return cls(name=name, package=plugin.package, version=plugin.version, options=options)

    def __eq__(self, other: object) -> bool:
        # By the hashed text, since True equals 1 in Python, and a package may tell them apart.
        return type(self) is type(other) and isinstance(other, Spec) and self.canonical_json == other.canonical_json

    def __hash__(self) -> int:
        return hash(self.canonical_json)

    def make(self) -> Any:
        """Import the plugin, and return the object that its options make. Raises PluginError as `installed` does."""
        return installed(self.of_kind, self.name, self.package, self.version).make(dict(self.options))


class PluginExtractorSpec(_PluginSpec):
    """Extractor of another package, see `docs/plugins.md`.

    Examples
    --------
    >>> PluginExtractorSpec(name="onehot", package="other", version="1.0", options={"k": 2}).options
    (('k', 2),)
    """

    of_kind: ClassVar[PluginKind] = "extractor"
    kind: Literal["plugin_extractor"] = "plugin_extractor"

    def pin(self) -> Self:
        """Return self: package and version are pinned already."""
        return self

    def numbered_by(self, species: Sequence[str]) -> Self:
        """Return self: no residue is numbered here."""
        return self

    @property
    def address(self) -> str:
        """The fingerprint: a package has no files of a model here."""
        return self.fingerprint


class PluginClassifierSpec(_PluginSpec):
    """Classifier of another package, whose features are standardized by default."""

    is_regressor: ClassVar[bool] = False
    """True if labels are continuous."""
    of_kind: ClassVar[PluginKind] = "classifier"
    kind: Literal["plugin_classifier"] = "plugin_classifier"
    standardize: bool = True


class PluginRegressorSpec(_PluginSpec):
    """Regressor of another package, whose features are standardized by default."""

    is_regressor: ClassVar[bool] = True
    """True if labels are continuous."""
    of_kind: ClassVar[PluginKind] = "classifier"
    kind: Literal["plugin_regressor"] = "plugin_regressor"
    standardize: bool = True


AnyPluginSpec = PluginExtractorSpec | PluginClassifierSpec | PluginRegressorSpec
"""Spec of a plugin."""


def plugins_of(*specs: Spec) -> tuple[AnyPluginSpec, ...]:
    """Return the specs of plugins in specs, those of members and heads included, each once."""
    every: dict[AnyPluginSpec, None] = {}
    for spec in specs:
        if isinstance(spec, AnyPluginSpec):
            every[spec] = None
        values = [value if isinstance(value, tuple) else (value,) for _, value in spec]
        every |= dict.fromkeys(plugins_of(*(part for parts in values for part in parts if isinstance(part, Spec))))
    return tuple(every)
