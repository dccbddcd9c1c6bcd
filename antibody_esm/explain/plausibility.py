"""Plausibility of mutations: what a language model expects at each residue of an antibody."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.explain.sites import Site
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.sequences import AMINO_ACIDS, ModelText
from antibody_esm.unknown import Unknown


def log_odds(members: Sequence[Extractor], text: str, chosen: Sequence[Site]) -> NDArray[np.float64] | Unknown:
    """Return the plausibility of each amino acid at each site, ``(n, 20)``; or the reason why it is unknown.

    It is the logarithm of the amino acid's probability with the site hidden, less that of the residue that is there, so
    that this one has 0 (masked marginals, doi:10.1101/2021.07.09.450648).

    Parameters
    ----------
    members
        Language models, of whose log-probabilities the mean is taken.
    text
        Chain or pair in normal form.
    chosen
        ``n`` sites of it, whose residues are amino acids.
    """
    if not members:
        return Unknown("the model has no language model")
    try:
        logs = np.mean([_expected(member, text, chosen) for member in members], axis=0)
    except NoHead as reason:
        return Unknown(str(reason))
    wild = np.array([AMINO_ACIDS.index(site.residue) for site in chosen], np.int64)
    return np.asarray(logs - logs[np.arange(len(wild)), wild][:, None])


def _expected(member: Extractor, text: str, chosen: Sequence[Site]) -> NDArray[np.float64]:
    """Return the log-probability of each amino acid at each site, ``(n, 20)``."""
    pair = ModelText.of(text)
    if member.spec.pairs == "joined" or not pair.is_pair:
        return masked_log_probabilities(member, text, [site.place for site in chosen])
    rows = np.empty((len(chosen), len(AMINO_ACIDS)))
    for start, chain in zip(pair.starts, pair.chains, strict=True):
        here = [i for i, site in enumerate(chosen) if start <= site.place < start + len(chain)]
        if here:
            rows[here] = masked_log_probabilities(member, chain, [chosen[i].index for i in here])
    return rows
