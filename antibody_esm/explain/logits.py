"""Scores that explanations decompose: log-odds, regression values or probabilities."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.predictor import Predictor
from antibody_esm.specs.estimators import heads_of

Unit = Literal["logit", "value", "probability"]
"""Log-odds of class 1; a regressor's value, in the unit of the labels; or the probability of class 1."""

_STEPS = ("random_forest", "knn")
"""Classifiers that count votes: their probabilities can be 0 or 1, for which log-odds are infinite."""


class LinearScore(NamedTuple):
    """A score that is ``X @ weights + intercept``, for vectors X."""

    weights: NDArray[np.float64]
    """``(dim,)``, for features of the language model before any scaling by the pipeline."""
    intercept: float
    """Fixed columns of a table are part of it."""


def unit(predictor: Predictor) -> Unit:
    """Return the unit of a model's scores."""
    if predictor.spec.is_regression:
        return "value"
    steps = any(head.kind in _STEPS for head in heads_of(predictor.spec.classifier))
    return "probability" if steps else "logit"


def scores(predictor: Predictor, sequences: list[str]) -> NDArray[np.float64]:
    """Return the score ``(n,)`` of each sequence, in `unit`; their vectors come from the predictor's store.

    For a classifier whose probabilities are calibrated or recalibrated, it is the score before that. A regressor's
    values are those that it predicts.

    Raises
    ------
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.
    """
    X = predictor.features_read(sequences)
    pipeline = fitted(predictor)
    with one_blas_thread():
        if predictor.spec.is_regression:
            return np.asarray(predictor.classifier.predict(X), np.float64)
        if hasattr(pipeline, "decision_function"):
            return np.asarray(pipeline.decision_function(X), np.float64)
        probability = np.asarray(pipeline.predict_proba(X), np.float64)
    if unit(predictor) == "probability":
        return probability[:, 1]
    least = np.finfo(np.float32).eps  # XGBoost's probabilities are float32
    clipped = np.clip(probability, least, 1 - least)
    return np.asarray(np.log(clipped[:, 1] / clipped[:, 0]))


def fitted(predictor: Predictor) -> Any:
    """Return the fitted pipeline, without calibration, recalibration and threshold."""
    from antibody_esm.evaluation.calibration import CalibratedClassifier
    from antibody_esm.evaluation.recalibration import as_trained

    classifier = as_trained(predictor.classifier)
    return classifier.classifier_ if isinstance(classifier, CalibratedClassifier) else classifier


def not_linear(predictor: Predictor) -> str | None:
    """Return the reason why a score is not linear in the vector; None if it is."""
    return None if linear(predictor) is not None else f"{predictor.spec.classifier.kind} is not linear in the vector"


def linear(predictor: Predictor) -> LinearScore | None:
    """Return a model's weights, scaling of features and labels included; None if its score is not linear."""
    model, heads = fitted(predictor), heads_of(predictor.spec.classifier)
    if not hasattr(model, "heads_"):
        return _of_head(predictor, model, predictor.spec.classifier.kind)
    each = [_of_head(predictor, head, spec.kind) for head, spec in zip(model.heads_, heads, strict=True)]
    if not predictor.spec.is_regression or None in each:
        return None  # a mean of probabilities is not linear
    weights = np.zeros(model.n_features_in_ - len(predictor.reading.columns))
    linear_heads = [head for head in each if head is not None]
    for head, places in zip(linear_heads, model.places(), strict=True):
        weights[places[: len(head.weights)]] += head.weights / len(heads)
    return LinearScore(weights, float(np.mean([head.intercept for head in linear_heads])))


def _of_head(predictor: Predictor, pipeline: Any, kind: str) -> LinearScore | None:
    estimator, labels = pipeline[-1], None
    if hasattr(estimator, "regressor_"):
        estimator, labels = estimator.regressor_, estimator.transformer_
    if kind not in ("logreg", "ridge", "elastic_net", "svr") or not hasattr(estimator, "coef_"):
        return None
    weights = np.ravel(estimator.coef_).astype(np.float64)
    intercept = float(np.ravel(estimator.intercept_)[0])
    if "reduce" in pipeline.named_steps:
        reduction = pipeline.named_steps["reduce"]
        of_vectors = weights[: reduction.components] @ reduction.components_
        intercept -= float(reduction.mean_ @ of_vectors)
        weights = np.concatenate([of_vectors, weights[reduction.components :]])
    if "scale" in pipeline.named_steps:
        scaler = pipeline.named_steps["scale"]
        weights = weights / scaler.scale_
        intercept -= float(scaler.mean_ @ weights)
    if "columns" in pipeline.named_steps:
        # The columns are fixed, so that their terms are the same for all sequences.
        encoder = pipeline.named_steps["columns"]
        codes = predictor.reading.columns.read(None, 1).codes
        dim = encoder.n_features_in_ - codes.shape[1]
        encoded = encoder.transform(np.hstack([np.zeros((1, dim)), codes]))[0]
        weights, intercept = weights[:dim], intercept + float(encoded @ weights)
    if labels is not None:
        weights, intercept = weights * labels.scale_[0], intercept * float(labels.scale_[0]) + float(labels.mean_[0])
    if predictor.spec.is_regression and hasattr(predictor.classifier, "scaling"):
        scaling = predictor.classifier.scaling
        weights, intercept = weights * scaling.slope, scaling.intercept + scaling.slope * intercept
    return LinearScore(weights, intercept)
