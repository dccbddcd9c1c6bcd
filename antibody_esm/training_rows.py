"""Classifiers and regressors that contain training antibodies, which no setting leaves out."""

from antibody_esm.specs import TrainSpec
from antibody_esm.specs.estimators import heads_of
from antibody_esm.specs.plugins import PluginClassifierSpec, plugins_of

_OF_TRAINING_ROWS = ("knn", "gaussian_process", "gaussian_process_regressor", "svr")
"""Classifiers and regressors that contain vectors of training antibodies."""


def consists_of_training(spec: TrainSpec) -> str:
    """Return the kinds of a spec's classifiers that consist of training vectors and labels; empty if none does."""
    kinds = [head.kind for head in heads_of(spec.classifier) if head.kind in _OF_TRAINING_ROWS]
    return ", ".join(dict.fromkeys(kinds))


def may_hold_training(spec: TrainSpec) -> str:
    """Return the classifiers of a spec that consist of training vectors and labels, or of a plugin that may do so."""
    plugins = [each.name for each in plugins_of(spec) if isinstance(each, PluginClassifierSpec)]
    return ", ".join(filter(None, (consists_of_training(spec), *plugins)))
