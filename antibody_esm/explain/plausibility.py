"""Plausibility of mutations: what a language model expects at each residue of an antibody."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.explain.sites import Site
from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.features.sources import Described, Single, readers
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.sequences import AMINO_ACIDS, ModelText
from antibody_esm.unknown import Unknown

NO_LANGUAGE_MODEL = "the model has no language model"
"""Reason why plausibility is unknown for descriptors and plugins alone."""


def log_odds(sources: Sequence[Single], text: str, chosen: Sequence[Site]) -> NDArray[np.float64] | Unknown:
    """Return the plausibility of each amino acid at each site, ``(n, 20)``; or the reason why it is unknown.

    It is the logarithm of the amino acid's probability with the site hidden, less that of the residue that is there, so
    that this one has 0 (masked marginals, doi:10.1101/2021.07.09.450648).

    Parameters
    ----------
    sources
        Sources of vectors, of whose language models the mean log-probability is taken.
    text
        Chain or pair in normal form.
    chosen
        ``n`` sites of it, whose residues are amino acids.
    """
    models = [source for source in sources if not isinstance(source, Described | FromPlugin)]
    if not models:
        return Unknown(NO_LANGUAGE_MODEL)
    try:
        logs = np.mean([_expected(model, text, chosen) for model in models], axis=0)
    except NoHead as reason:
        return Unknown(str(reason))
    wild = np.array([AMINO_ACIDS.index(site.residue) for site in chosen], np.int64)
    return np.asarray(logs - logs[np.arange(len(wild)), wild][:, None])


def _expected(model: Single, text: str, chosen: Sequence[Site]) -> NDArray[np.float64]:
    """Return the log-probability of each amino acid at each site, ``(n, 20)``, by the reader of its chain."""
    parts = [(reader, chain) for reader, chains in readers(model, [text]) for chain in chains]
    if len(parts) == 1:
        ((reader, _),) = parts
        return masked_log_probabilities(reader, text, [site.place for site in chosen])
    rows = np.empty((len(chosen), len(AMINO_ACIDS)))
    for start, (reader, chain) in zip(ModelText.of(text).starts, parts, strict=True):
        here = [i for i, site in enumerate(chosen) if start <= site.place < start + len(chain)]
        if here:
            rows[here] = masked_log_probabilities(reader, chain, [chosen[i].index for i in here])
    return rows
