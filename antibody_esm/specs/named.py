"""Named specs of classifiers and regressors."""

from types import MappingProxyType

from antibody_esm.specs.estimators import (
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
    }
)
"""Regressors of continuous labels by name; each name is the spec's ``kind``. Linear ones choose their penalty."""

ESTIMATORS: MappingProxyType[str, ClassifierSpec | RegressorSpec] = MappingProxyType({**CLASSIFIERS, **REGRESSORS})
"""Classifiers and regressors by name."""
