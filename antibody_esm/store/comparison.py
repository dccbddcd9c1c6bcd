"""Why two keys differ, in words."""

from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec

AnySpec = ExtractorSpec | ResolvedExtractorSpec


def differences(one: AnySpec, other: AnySpec) -> list[str]:
    """Return, one a line, each field in which the addresses of two specs differ; an empty list for one address.

    Fields that name a model are compared by the bytes they stand for: a folder under another name is no difference,
    another file under the same name is ``model bytes changed``.
    """
    a, b = one.resolve(), other.resolve()
    found = []
    if a.digest != b.digest:
        names = _name(one), _name(other)
        same = names[0] == names[1] or None in names
        found.append("model bytes changed" if same else f"model {names[0]} -> {names[1]}")
    for field in type(a).model_fields:
        before, after = getattr(a, field), getattr(b, field)
        if field != "digest" and before != after:
            found.append(f"{field} {before} -> {after}")
    return found


def _name(spec: AnySpec) -> str | None:
    if isinstance(spec, ResolvedExtractorSpec):
        return None
    return spec.model if spec.revision is None else f"{spec.model}@{spec.revision}"
