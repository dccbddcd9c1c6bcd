"""Shares of residues in the vector of an antibody."""

import numpy as np
from numpy.typing import NDArray

from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.features.sources import AnyExtractor, Described, Ensemble, Single, readers
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.regions import places
from antibody_esm.sequences import ModelText
from antibody_esm.specs.ensembles import language_models


def members(extractor: AnyExtractor) -> tuple[Single, ...]:
    """Return the extractors that vectors come from: the members of an ensemble, or the extractor itself."""
    return extractor.members if isinstance(extractor, Ensemble) else (extractor,)


def not_a_sum(extractor: AnyExtractor) -> str | None:
    """Return the reason why a vector is no sum over residues; None if it is."""
    for member in members(extractor):
        if isinstance(member, Described | FromPlugin):
            kind = "vectors of a plugin" if isinstance(member, FromPlugin) else "descriptors"
            return f"{kind} describe the whole sequence"
        for model in language_models(member.spec):
            if model.pooling != "mean":
                return f"the vector is the {model.pooling} over residues and not their mean"
            if model.special_tokens == "include":
                return "tokens that are no residues take part in the mean"
    return None


def residue_shares(text: str, extractor: AnyExtractor) -> NDArray[np.float64]:
    """Return the part of a vector that each residue adds, ``(length, dim)``; see `not_a_sum`."""
    if isinstance(extractor, Ensemble):
        every = []
        for member in extractor.members:
            every.append(residue_shares(text, member))
            member.unload()
        return np.hstack(every) if extractor.spec.combine == "concat" else np.mean(every, axis=0)
    assert not isinstance(extractor, Described | FromPlugin)  # noqa: S101  descriptors are no sum over residues
    parts = [(reader, chain) for reader, chains in readers(extractor, [text]) for chain in chains]
    if len(parts) == 2:
        heavy, light = (_of_one_text(chain, reader) for reader, chain in parts)
        return np.block(
            [
                [heavy, np.zeros((len(heavy), light.shape[1]))],
                [np.zeros((len(light), heavy.shape[1])), light],
            ]
        )
    ((reader, chain),) = parts
    return _of_one_text(chain, reader)


def _of_one_text(text: str, extractor: Extractor) -> NDArray[np.float64]:
    """Return the shares of the residues of a text that one language model reads as a whole."""
    pair = ModelText.of(text)
    (states,) = extractor.residues([text])
    read = text[: extractor.max_length]
    residues = np.array([place for place in pair.places if place < len(read)], np.int64)
    chosen = places([read], extractor.spec.region, extractor.spec.species, extractor.spec.engines)
    takes_part = np.isin(residues, residues if chosen is None else chosen[0])
    shares = np.zeros((len(pair.residues), states.shape[1]))
    shares[: len(states)][takes_part] = states[takes_part].astype(np.float64) / takes_part.sum()
    return shares
