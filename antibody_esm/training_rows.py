"""Classifiers and regressors that contain training antibodies, which no setting leaves out."""

from antibody_esm.specs import TrainSpec
from antibody_esm.specs.estimators import heads_of
from antibody_esm.specs.plugins import PluginExtractorSpec, plugins_of

_OF_TRAINING_ROWS = ("knn", "gaussian_process", "gaussian_process_regressor", "svr")
"""Classifiers and regressors that contain vectors of training antibodies."""


def consists_of_training(spec: TrainSpec) -> str:
    """Return the kinds of a spec's classifiers that consist of training vectors and labels; empty if none does."""
    kinds = [head.kind for head in heads_of(spec.classifier) if head.kind in _OF_TRAINING_ROWS]
    return ", ".join(dict.fromkeys(kinds))


def may_hold_training(spec: TrainSpec) -> str:
    """Return the classifiers of a spec that consist of training vectors and labels, or of a plugin that may do so."""
    return ", ".join(filter(None, (consists_of_training(spec), fitted_plugins(spec))))


def fitted_plugins(spec: TrainSpec) -> str:
    """Return the names of a spec's plugins that are fitted, and may hold what they were fitted on; empty if none is."""
    return ", ".join(each.name for each in plugins_of(spec) if not isinstance(each, PluginExtractorSpec))
