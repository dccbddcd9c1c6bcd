"""Scores that explanations decompose: log-odds, regression values or probabilities."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.evaluation.scaling import Scaling
from antibody_esm.scorer import Scorer
from antibody_esm.specs.estimators import heads_of

Unit = Literal["logit", "raw_logit", "value", "probability"]
"""Log-odds of the predicted probability of class 1; log-odds before an isotonic calibration, whose steps are no
function of log-odds that could be added up; a regressor's value, in the unit of the labels; or the predicted
probability of class 1."""

_STEPS = ("random_forest", "knn")
"""Classifiers that count votes: their probabilities can be 0 or 1, for which log-odds are infinite."""


class LinearScore(NamedTuple):
    """A score that is ``X @ weights + intercept``, for vectors X."""

    weights: NDArray[np.float64]
    """``(dim,)``, for features of the language model before any scaling by the pipeline."""
    intercept: float
    """Fixed columns of a table are part of it."""


def unit(predictor: Scorer) -> Unit:
    """Return the unit of a model's scores."""
    if predictor.spec.is_regression:
        return "value"
    steps = any(head.kind in _STEPS for head in heads_of(predictor.spec.classifier))
    if steps:
        return "probability"
    return "raw_logit" if _calibration(predictor) == "isotonic" else "logit"


def scores(predictor: Scorer, sequences: list[str]) -> NDArray[np.float64]:
    """Return the score ``(n,)`` of each sequence, in `unit`; their vectors come from the predictor's store.

    The predicted probability, or value, is a function of it: a sigmoid calibration and a recalibration are part of the
    score. Only an isotonic calibration, and a recalibration after it, are not.

    Raises
    ------
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.
    """
    X = predictor.features_read(sequences)
    kind, pipeline = unit(predictor), fitted(predictor)
    with one_blas_thread():
        if kind == "value":
            return np.asarray(predictor.classifier.predict(X), np.float64)
        if kind == "probability":
            return np.asarray(predictor.classifier.predict_proba(X), np.float64)[:, 1]
        if hasattr(pipeline, "decision_function"):
            output = np.asarray(pipeline.decision_function(X), np.float64)
        else:
            output = np.asarray(pipeline.predict_proba(X), np.float64)[:, 1]
            if _calibration(predictor) != "sigmoid":  # which is a function of the probability here
                least = np.finfo(np.float32).eps  # XGBoost's probabilities are float32
                clipped = np.clip(output, least, 1 - least)
                output = np.log(clipped) - np.log1p(-clipped)
    return _line(predictor).value(output)


def _calibration(predictor: Scorer) -> str | None:
    """Return the calibration of a classifier's probabilities; None without one."""
    from antibody_esm.evaluation.recalibration import as_trained

    return getattr(as_trained(predictor.classifier), "calibration", None)


def _line(predictor: Scorer) -> Scaling:
    """Return the line from the output of the fitted pipeline to the score."""
    from antibody_esm.evaluation.recalibration import as_trained

    line = Scaling()
    if _calibration(predictor) == "isotonic":
        return line
    if _calibration(predictor) == "sigmoid":
        sigmoid = as_trained(predictor.classifier).calibrator_
        line = Scaling(-float(sigmoid.a_), -float(sigmoid.b_))
    if predictor.recalibration is None:
        return line
    again = predictor.classifier.scaling
    return Scaling(again.slope * line.slope, again.intercept + again.slope * line.intercept)


def fitted(predictor: Scorer) -> Any:
    """Return the fitted pipeline, without calibration, recalibration and threshold."""
    from antibody_esm.evaluation.calibration import CalibratedClassifier
    from antibody_esm.evaluation.recalibration import as_trained

    classifier = as_trained(predictor.classifier)
    return classifier.classifier_ if isinstance(classifier, CalibratedClassifier) else classifier


def not_linear(predictor: Scorer) -> str | None:
    """Return the reason why a score is not linear in the vector; None if it is."""
    return None if linear(predictor) is not None else f"{predictor.spec.classifier.kind} is not linear in the vector"


def linear(predictor: Scorer) -> LinearScore | None:
    """Return a model's weights, scaling of features and labels included; None if its score is not linear."""
    function = _of_pipeline(predictor)
    if function is None:
        return None
    line = _line(predictor)
    return LinearScore(function.weights * line.slope, line.intercept + line.slope * function.intercept)


def _of_pipeline(predictor: Scorer) -> LinearScore | None:
    """Return the weights of the fitted pipeline."""
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


def _of_head(predictor: Scorer, pipeline: Any, kind: str) -> LinearScore | None:
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
    return LinearScore(weights, intercept)
