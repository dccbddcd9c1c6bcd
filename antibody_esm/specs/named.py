"""Named specs of classifiers and regressors."""

from types import MappingProxyType
from typing import Any

from antibody_esm.specs.descriptors import DescriptorSpec
from antibody_esm.specs.ensembles import AnyExtractorSpec, EnsembleSpec
from antibody_esm.specs.estimators import (
    AverageRegressorSpec,
    AverageSpec,
    ClassifierSpec,
    ElasticNetSpec,
    GaussianProcessRegressorSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    RegressorSpec,
    RidgeSpec,
    SVRSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
)

CLASSIFIERS: MappingProxyType[str, ClassifierSpec] = MappingProxyType(
    {
        "logreg": LogisticRegressionSpec(),
        "xgboost": XGBoostSpec(),
        "random_forest": RandomForestSpec(),
        "gaussian_process": GaussianProcessSpec(),
        "linear_svm": LinearSVMSpec(),
        "knn": KNeighborsSpec(),
        "average": AverageSpec(heads=(LogisticRegressionSpec(), XGBoostSpec())),
    }
)
"""Classifiers by name; each name is the spec's ``kind``."""

REGRESSORS: MappingProxyType[str, RegressorSpec] = MappingProxyType(
    {
        "ridge": RidgeSpec(alpha="cv"),
        "elastic_net": ElasticNetSpec(alpha="cv"),
        "xgboost_regressor": XGBoostRegressorSpec(),
        "svr": SVRSpec(),
        "gaussian_process_regressor": GaussianProcessRegressorSpec(),
        "average_regressor": AverageRegressorSpec(heads=(RidgeSpec(alpha="cv"), XGBoostRegressorSpec())),
    }
)
"""Regressors of continuous labels by name; each name is the spec's ``kind``. Linear ones choose their penalty."""

ESTIMATORS: MappingProxyType[str, ClassifierSpec | RegressorSpec] = MappingProxyType({**CLASSIFIERS, **REGRESSORS})
"""Classifiers and regressors by name."""


def estimator(name: str, extractor: AnyExtractorSpec | None = None) -> ClassifierSpec | RegressorSpec:
    """Return the spec of a name for the features of an extractor.

    Descriptors have many units, so a spec, or a head of an average, that depends on the scale of features standardizes
    them. Raises KeyError for an unknown name.
    """
    spec = ESTIMATORS[name]
    if extractor is not None and _has_units(extractor):
        spec = _standardized(spec)
    return spec


def _standardized(spec: Any) -> Any:
    """Return a spec that standardizes features if it depends on their scale; of an average, those heads that do."""
    if isinstance(spec, AverageSpec | AverageRegressorSpec):
        return spec.model_copy(update={"heads": tuple(map(_standardized, spec.heads))})
    return spec.model_copy(update={"standardize": True}) if getattr(spec, "standardize", None) is False else spec


def _has_units(spec: AnyExtractorSpec) -> bool:
    """Return True if a spec has descriptors of several units; counts of k-mers have one."""
    members = spec.of_sequences if isinstance(spec, EnsembleSpec) else (spec,)
    return any(isinstance(member, DescriptorSpec) and set(member.descriptors) != {"kmers"} for member in members)
