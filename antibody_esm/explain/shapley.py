"""Shapley values of residues, by the shap library: a share of the score for each residue of any model.

A value is the mean change of the score when a residue is shown after others in a random order. At first, all residues
are unknown (doi:10.48550/arXiv.1705.07874). The model is a black box here: the library's faster method for trees
returns shares of the dimensions of a vector, and not of residues.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.explain.contributions import Contributions
from antibody_esm.explain.logits import scores, unit
from antibody_esm.explain.residue_shares import members
from antibody_esm.explain.sites import sites_read
from antibody_esm.features.from_plugin import FromPlugin
from antibody_esm.features.sources import Described
from antibody_esm.scorer import Scorer
from antibody_esm.sequences import ModelText, normalise
from antibody_esm.specs.ensembles import language_models


def shapley(
    predictor: Scorer,
    sequence: str | tuple[str, str],
    *,
    rounds: int = 4,
    random_state: int = 0,
    check: bool | None = None,
) -> Contributions:
    """Return the Shapley value of each residue; with the intercept they sum to the score.

    Needs ``pip install ".[explain]"`` in a checkout. The language model runs on about two sequences for each residue
    and round; the predictor's store keeps them all.

    Parameters
    ----------
    predictor
        A fitted model. It may read no descriptors, and no region, since unknown residues cannot be numbered.
    sequence
        A chain, or a pair of heavy and light. The part that the model reads is explained, see `Predictor.reads`.
    rounds
        Random orders in which residues are shown, each forwards and backwards. With more rounds, values vary less.
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
        If the model does not read such an antibody.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.
    """
    explainers = _shap().explainers
    for member in members(predictor.extractor):
        regions = [model.region for model in language_models(member.spec) if model.region != "all"]
        if isinstance(member, Described | FromPlugin) or regions:
            features = "descriptors" if isinstance(member, Described | FromPlugin) else f"the region {regions[0]}"
            raise ValueError(f"the model reads {features}, which are not defined if all residues are hidden")
    if rounds < 1:
        raise ValueError(f"there is at least one round, not {rounds}")
    text = predictor.reads(sequence, check=check)
    places = list(ModelText.of(text).places)

    def score(shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of the sequence with the residues shown that have a 1, one for each row."""
        letters = np.repeat(np.array([list(text)]), len(shown), axis=0)
        letters[:, places] = np.where(shown > 0, letters[:, places], "X")
        return scores(predictor, ["".join(row) for row in letters])

    every = np.ones((1, len(places)))
    explainer = explainers.Permutation(score, np.zeros_like(every), seed=random_state)
    explanation = explainer(every, max_evals=rounds * (2 * len(places) + 1), batch_size="auto", silent=True)
    whole = float(score(every)[0])
    (antibody,) = normalise([sequence], pairs=True)
    return Contributions(
        text,
        explanation.values[0],
        float(explanation.base_values[0]),
        whole,
        "shap",
        unit(predictor),
        numbered=sites_read(antibody, text, predictor.reading),
        antibody=antibody,
        reading=predictor.reading,
    )


def _shap() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matplotlib, whose older interface shap uses
            import shap
    except ImportError as error:
        raise ImportError(
            'Shapley values need the shap library; run: pip install ".[explain]" in a checkout of antibody_esm'
        ) from error
    return shap
