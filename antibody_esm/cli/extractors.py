"""Language models by the names that commands take."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antibody_esm.specs import AnyExtractorSpec, ChainSpec, ExtractorSpec


def language_model_of(name: str, **fields: str | None) -> "ChainSpec | ExtractorSpec":
    """Return the spec of a language model, or of one a chain, with the fields that are not None.

    Raises
    ------
    ValueError
        If it is an ensemble or descriptors, or there is no preset of this name.
    """
    from antibody_esm import presets
    from antibody_esm.specs import ChainSpec, ExtractorSpec

    chains = presets.EXTRACTORS.get(name)
    changed = {field: text for field, text in fields.items() if text is not None}
    if isinstance(chains, ChainSpec):
        return chains.with_fields(changed)

    named = name in presets.EXTRACTORS or Path(name).is_dir() or "/" not in name
    spec = presets.one_model(name) if named else ExtractorSpec(model=name)
    return ExtractorSpec.model_validate({**dict(spec), **changed})


def extractor_of(name: str, precision: str | None) -> "AnyExtractorSpec | str":
    """Return what makes the features of a pipeline: a spec of the precision, or the name alone if that is None."""
    return name if precision is None else language_model_of(name, precision=precision)
