"""Extractors of several specs over weights that are read once, which is most of the time of a tiny model."""

from antibody_esm import Extractor, ExtractorSpec, RuntimeSpec
from effort import STRESS


def variant(loaded: Extractor, spec: ExtractorSpec | None = None, runtime: RuntimeSpec | None = None) -> Extractor:
    """An extractor of another spec or runtime over the same weights; it may ask for no higher a layer."""
    other = Extractor(spec or loaded.spec, runtime or loaded.runtime)
    other.__dict__["models"], other.__dict__["vocabulary"] = loaded.models, loaded.vocabulary
    return other


def whole(extractor: Extractor) -> bool:
    """Whether this is a model of full size, of which a residue costs a thousand times as much as of a tiny one."""
    return extractor.dim >= 100


def most(extractor: Extractor, length: int, at_most: int) -> int:
    """How many sequences of a length to embed together, at most; fewer of a model of full size where they are long."""
    return at_most if STRESS or not whole(extractor) else max(3, min(at_most, 400 // length))
