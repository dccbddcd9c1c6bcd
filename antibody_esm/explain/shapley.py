"""Shapley values of residues, by the shap library: a share of the score for each residue of any model.

They are the mean of what a residue changes when it is shown after others in a random order; at first, all are unknown
residues (doi:10.48550/arXiv.1705.07874). The model is a black box here: what the library computes faster for trees are
shares of the dimensions of a vector, which say nothing of residues.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.explain.contributions import Contributions
from antibody_esm.explain.logits import scores, unit
from antibody_esm.explain.residue_shares import members
from antibody_esm.explain.sites import sites_read
from antibody_esm.features.sources import Described
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import ModelText, normalise


def shapley(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    *,
    rounds: int = 4,
    random_state: int = 0,
    check: bool | None = None,
) -> Contributions:
    """Return the Shapley value of each residue; with the intercept they sum to the score.

    Needs ``pip install "antibody_esm[explain]"``. The language model runs on some two sequences a residue and round,
    each of them kept in the predictor's store.

    Parameters
    ----------
    predictor
        A fitted model; what it reads may not be a region, which nobody can number in unknown residues, nor descriptors.
    sequence
        A chain, or a pair of heavy and light; what is explained of it is what the model reads, see `Predictor.reads`.
    rounds
        Random orders in which residues are shown, each forwards and backwards. More of them change values less.
    random_state
        Seed of the orders.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ImportError
        If shap is not installed.
    ValueError
        If the model reads a region or descriptors, or there is no round.
    DatasetError
        If the antibody is not what the model reads.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed` does.
    """
    explainers = _shap().explainers
    for member in members(predictor.extractor):
        if isinstance(member, Described) or member.spec.region != "all":
            what = "descriptors" if isinstance(member, Described) else f"the region {member.spec.region}"
            raise ValueError(f"the model reads {what}, of which nothing is left where all residues are hidden")
    if rounds < 1:
        raise ValueError(f"there is at least one round, not {rounds}")
    text = predictor.reads(sequence, check=check)
    places = list(ModelText.of(text).places)

    def score(shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the score of the sequence with some residues shown, a row of 0 and 1 each."""
        letters = np.repeat(np.array([list(text)]), len(shown), axis=0)
        letters[:, places] = np.where(shown > 0, letters[:, places], "X")
        return scores(predictor, ["".join(row) for row in letters])

    every = np.ones((1, len(places)))
    explainer = explainers.Permutation(score, np.zeros_like(every), seed=random_state)
    found = explainer(every, max_evals=rounds * (2 * len(places) + 1), batch_size="auto", silent=True)
    whole = float(score(every)[0])
    numbered = sites_read(normalise([sequence], pairs=True)[0], text, predictor.reading)
    return Contributions(
        text, found.values[0], float(found.base_values[0]), whole, "shap", unit(predictor), numbered=numbered
    )


def _shap() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matplotlib, which it asks in an older way
            import shap
    except ImportError as error:
        raise ImportError('Shapley values need the shap library; run: pip install "antibody_esm[explain]"') from error
    return shap
