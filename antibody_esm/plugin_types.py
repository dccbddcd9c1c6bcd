"""Types that a saved classifier of a plugin may consist of, beside those of this package."""

from antibody_esm.errors import PluginError
from antibody_esm.plugins import installed
from antibody_esm.specs.plugins import AnyPluginSpec, PluginExtractorSpec

_SKLEARN = "sklearn."


def trusted_types_of(spec: AnyPluginSpec) -> frozenset[str]:
    """Return the types that a plugin declares as ``trusted_types``; none for an extractor.

    Raises
    ------
    PluginError
        If the package cannot be used, or declares types of packages other than itself and scikit-learn.
    """
    plugin = installed(spec.of_kind, spec.name, spec.package, spec.version)
    if isinstance(spec, PluginExtractorSpec):
        return frozenset()
    declared = frozenset(map(str, getattr(plugin.load(), "trusted_types", ())))
    own = plugin.entry.module.split(".")[0] + "."
    others = sorted(name for name in declared if not name.startswith((own, _SKLEARN)))
    if others:
        raise PluginError(f"{plugin} declares types of other packages as trusted: {', '.join(others)}", spec.package)
    return declared
