"""Shares of residues in the vector of an antibody."""

import numpy as np
from numpy.typing import NDArray

from antibody_esm.features.sources import AnyExtractor, Described, Ensemble, Single
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.regions import places
from antibody_esm.sequences import ModelText


def members(extractor: AnyExtractor) -> tuple[Single, ...]:
    """Return the extractors that vectors come from: the members of an ensemble, or the extractor itself."""
    return extractor.members if isinstance(extractor, Ensemble) else (extractor,)


def language_models(extractor: AnyExtractor) -> list[Extractor]:
    """Return the language models among the extractors that vectors come from."""
    return [member for member in members(extractor) if isinstance(member, Extractor)]


def not_a_sum(extractor: AnyExtractor) -> str | None:
    """Return the reason why a vector is no sum over residues; None if it is."""
    for member in members(extractor):
        if isinstance(member, Described):
            return "descriptors describe the whole sequence"
        if member.spec.pooling != "mean":
            return f"the vector is the {member.spec.pooling} over residues and not their mean"
        if member.spec.special_tokens == "include":
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
    assert isinstance(extractor, Extractor)  # noqa: S101  descriptors are no sum over residues
    pair = ModelText.of(text)
    if pair.is_pair and extractor.spec.pairs == "apart":
        heavy, light = (residue_shares(chain, extractor) for chain in pair.chains)
        return np.block(
            [
                [heavy, np.zeros((len(heavy), light.shape[1]))],
                [np.zeros((len(light), heavy.shape[1])), light],
            ]
        )
    (states,) = extractor.residues([text])
    read = text[: extractor.max_length]
    residues = np.array([place for place in pair.places if place < len(read)], np.int64)
    chosen = places([read], extractor.spec.region, extractor.spec.species, extractor.spec.engines)
    takes_part = np.isin(residues, residues if chosen is None else chosen[0])
    shares = np.zeros((len(pair.residues), states.shape[1]))
    shares[: len(states)][takes_part] = states[takes_part].astype(np.float64) / takes_part.sum()
    return shares
