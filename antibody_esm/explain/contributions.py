"""How much each residue adds to a prediction.

A linear classifier on the mean of residue vectors has a logit that is itself a mean over residues: each adds its own
vector's product with the weights. That is exact, and says what the classifier does; a residue's vector depends on its
neighbours all the same, so it does not say what a mutation would do. For that, and for other classifiers, a residue is
hidden and the change is seen.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.ensemble import AnyExtractor, Ensemble
from antibody_esm.evaluation.calibration import CalibratedClassifier
from antibody_esm.explain.chain import Place, places
from antibody_esm.plm import regions
from antibody_esm.plm.extractor import Extractor
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import BETWEEN, normalise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Unit = Literal["logit", "value"]

_ROUNDING = 1e-4
"""By how much contributions may miss the score of a float32 vector, relative to their own size, at most."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each residue adds to a prediction. ``print`` shows the chain, a notebook and `plot` a picture.

    Attributes
    ----------
    places
        ``length`` residues, with their IMGT positions.
    contributions
        ``(length,)``, in `unit`; positive is towards class 1.
    intercept
        What the prediction is without any of them. Exact contributions and it sum to `score`.
    score
        The logit, or value, of the whole antibody.
    unit
        ``logit`` of class 1, or ``value`` in the unit of continuous labels.
    method
        ``exact`` or ``occlusion``.
    """

    places: tuple[Place, ...]
    contributions: NDArray[np.float64]
    intercept: float
    score: float
    unit: Unit
    method: Literal["exact", "occlusion"]

    def __str__(self) -> str:
        from antibody_esm.explain.picture import text

        return text(self, color=False)

    __repr__ = __str__

    def to_text(self, *, color: bool = True) -> str:
        """Return the chain as text for a terminal of 80 columns; red is towards class 1, blue away from it."""
        from antibody_esm.explain.picture import text

        return text(self, color=color)

    def _repr_html_(self) -> str:
        from antibody_esm.explain.picture import markup

        return markup(self)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the contributions along the chain, with IMGT positions and CDRs marked. Return the axes."""
        from antibody_esm.explain.picture import bars

        return bars(self, ax)


def residue_contributions(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    *,
    method: Literal["auto", "exact", "occlusion"] = "auto",
) -> Contributions:
    """Return what each residue adds to the prediction of an antibody.

    Parameters
    ----------
    predictor
        The model.
    sequence
        One chain, or a pair, as the model reads them.
    method
        ``exact``: in closed form, for logistic and linear regression (ridge, elastic net, linear SVR) on mean-pooled
        vectors; of a calibrated classifier, of its score before calibration. ``occlusion``: see `occlusion`. ``auto``:
        exact where that can be, else occlusion.

    Raises
    ------
    ValueError
        If ``exact`` is asked of what is not linear in the residues.
    SequenceError, CheckpointError
        As `Predictor.predict` does.

    Examples
    --------
    >>> from antibody_esm import Trainer, load_dataset
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> found = residue_contributions(Trainer("antiberty", "logreg").fit(data), data.sequences[0])
    >>> bool(abs(found.contributions.sum() + found.intercept - found.score) < 1e-5)
    True
    """
    (text,) = normalise([sequence], pairs=True)
    linear = None if method == "occlusion" else _linear(predictor.classifier)
    reason = "its classifier is not linear" if linear is None else _not_a_mean(predictor.extractor)
    if method == "exact" and reason is not None:
        raise ValueError(f"contributions of this model are not exact: {reason}; take method='occlusion'")
    if linear is None or reason is not None:
        return occlusion(predictor, text)
    weights, intercept = linear
    known = places(text)
    every = _added(predictor.extractor, text, weights)
    added = every[[one.index for one in known]]
    score = float(predictor.vectors([text])[0] @ weights + intercept)
    missed = score - intercept - float(added.sum())
    if _is_float32(predictor.extractor) and abs(missed) > _ROUNDING * (1 + np.abs(added).sum()):
        raise ArithmeticError(f"contributions miss the score by {missed:.2g}; please report this")
    # What is left is rounding of the stored vector, which belongs to no residue.
    return Contributions(tuple(known), added, intercept + missed, score, _unit(predictor), "exact")


def occlusion(predictor: Predictor, sequence: str | tuple[str, str]) -> Contributions:
    """Return by how much the prediction falls when each residue in turn is hidden as X, for any model.

    The language model reads the whole sequence each time, so a residue also answers for what it does to the vectors of
    others. Changes do not sum to the score. One sequence a residue goes through the store, in one batch.

    Parameters
    ----------
    predictor, sequence
        As for `residue_contributions`.

    Raises
    ------
    SequenceError, CheckpointError
        As `Predictor.predict` does.
    """
    (text,) = normalise([sequence], pairs=True)
    known = places(text)
    hidden = [text[: one.index] + "X" + text[one.index + 1 :] for one in known]
    found = scores(predictor, [text, *hidden])
    changes = found[0] - found[1:]
    return Contributions(tuple(known), changes, float(found[0]), float(found[0]), _unit(predictor), "occlusion")


def scores(predictor: Predictor, sequences: list[str]) -> NDArray[np.float64]:
    """Return the logit of class 1 of each sequence, ``(n,)``; of a regressor, its value.

    Probabilities of 0 and 1, which trees and neighbours give, are taken for 0.001 and 0.999.
    """
    X = predictor.vectors(sequences)
    classifier = predictor.classifier
    with one_blas_thread():
        if predictor.spec.is_regression:
            return np.asarray(classifier.predict(X), np.float64)
        inner = classifier.classifier_ if isinstance(classifier, CalibratedClassifier) else classifier
        if hasattr(inner, "decision_function") and inner[-1].__class__.__name__ == "LogisticRegression":
            return np.asarray(inner.decision_function(X), np.float64)
        probability = np.clip(inner.predict_proba(X)[:, 1], 1e-3, 1 - 1e-3)
        return np.asarray(np.log(probability / (1 - probability)), np.float64)


def _unit(predictor: Predictor) -> Unit:
    return "value" if predictor.spec.is_regression else "logit"


def _linear(classifier: Any) -> tuple[NDArray[np.float64], float] | None:
    """Return weights ``(dim,)`` of the features as they are given, and the intercept; None if it is not linear."""
    if isinstance(classifier, CalibratedClassifier):
        classifier = classifier.classifier_
    last = classifier[-1]
    scale, shift = 1.0, 0.0
    if hasattr(last, "regressor_"):  # of scaled labels
        scale, shift = float(last.transformer_.scale_[0]), float(last.transformer_.mean_[0])
        last = last.regressor_
    coefficients = getattr(last, "coef_", None) if getattr(last, "kernel", "linear") == "linear" else None
    if coefficients is None or last.__class__.__name__.startswith("XGB"):
        return None
    weights = np.asarray(coefficients, np.float64).ravel() * scale
    intercept = float(np.ravel(last.intercept_)[0]) * scale + shift
    if "scale" in classifier.named_steps:
        scaler = classifier.named_steps["scale"]
        weights = weights / scaler.scale_
        intercept -= float(weights @ scaler.mean_)
    return weights, intercept


def _not_a_mean(extractor: AnyExtractor) -> str | None:
    """Return why a vector is not a mean over residues; None if it is."""
    if isinstance(extractor, Ensemble):
        return next(filter(None, map(_not_a_mean, extractor.members)), None)
    if not isinstance(extractor, Extractor):
        return "descriptors are no means over residues"
    spec = extractor.spec
    if spec.pooling != "mean" or spec.special_tokens == "include":
        return "its vectors are not means over residues"
    return None


def _is_float32(extractor: AnyExtractor) -> bool:
    if isinstance(extractor, Ensemble):
        return all(map(_is_float32, extractor.members))
    return isinstance(extractor, Extractor) and extractor.spec.storage == "float32"


def _added(extractor: AnyExtractor, text: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each character of a sequence or pair adds to the product of its vector and the weights."""
    if isinstance(extractor, Ensemble):
        if extractor.spec.combine == "mean":
            shared = [_added(one, text, weights) for one in extractor.members]
            return np.asarray(np.mean(shared, axis=0), np.float64)
        ends = np.cumsum([0, *(_width(one, text) for one in extractor.members)])
        parts = [weights[first:last] for first, last in pairwise(ends)]
        every = [_added(one, text, part) for one, part in zip(extractor.members, parts, strict=True)]
        return np.asarray(np.sum(every, axis=0), np.float64)
    assert isinstance(extractor, Extractor)  # noqa: S101  as descriptors are no means
    if BETWEEN in text and extractor.spec.pairs == "apart":
        heavy, light = text.split(BETWEEN)
        half = len(weights) // 2
        return np.concatenate([_added(extractor, heavy, weights[:half]), [0], _added(extractor, light, weights[half:])])
    (states,) = extractor.residues([text])
    found = np.zeros(len(text))
    at = np.array([i for i, one in enumerate(text) if one != BETWEEN])[: len(states)]  # the rest was cut off
    found[at] = states.astype(np.float64) @ weights
    chosen = regions.places([text], extractor.spec.region)
    kept = at if chosen is None else np.intersect1d(at, chosen[0])
    counted = np.zeros(len(text))
    counted[kept] = found[kept] / len(kept)
    return counted


def _width(extractor: AnyExtractor, text: str) -> int:
    assert isinstance(extractor, Extractor)  # noqa: S101
    apart = BETWEEN in text and extractor.spec.pairs == "apart"
    return extractor.dim * (2 if apart else 1)
