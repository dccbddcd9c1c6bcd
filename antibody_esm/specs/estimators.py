"""Specs of classifiers and regressors."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from antibody_esm.specs.base import Seed, Share, Spec
from antibody_esm.specs.plugins import PluginClassifierSpec, PluginRegressorSpec

ClassWeight = Literal["balanced"] | None


class _Classifier(Spec):
    is_regressor: ClassVar[bool] = False
    """True if labels are continuous."""


class _Regressor(Spec):
    is_regressor: ClassVar[bool] = True
    """True if labels are continuous."""


class LogisticRegressionSpec(_Classifier):
    """Logistic regression with an L2 penalty."""

    kind: Literal["logreg"] = "logreg"
    C: PositiveFloat = 1.0
    """Inverse strength of the penalty."""
    tol: PositiveFloat = 1e-8
    """Tolerance of the solver. With scikit-learn's 1e-4, probabilities differ by .01 if vectors differ in their last
    digits, as between machines."""
    max_iter: PositiveInt = 10_000
    solver: Literal["lbfgs", "newton-cholesky", "liblinear", "saga"] = "lbfgs"
    class_weight: ClassWeight = None
    standardize: bool = False
    """Scale every feature to mean 0 and variance 1 on the training folds."""
    random_state: Seed = 0


class XGBoostSpec(_Classifier):
    """Gradient-boosted trees (doi:10.1145/2939672.2939785)."""

    kind: Literal["xgboost"] = "xgboost"
    n_estimators: PositiveInt = 100
    max_depth: PositiveInt = 6
    learning_rate: Share = 0.3
    min_child_weight: NonNegativeFloat = 1.0
    subsample: Share = 1.0
    colsample_bytree: Share = 1.0
    reg_alpha: NonNegativeFloat = 0.0
    reg_lambda: NonNegativeFloat = 1.0
    scale_pos_weight: PositiveFloat = 1.0
    random_state: Seed = 0


class RandomForestSpec(_Classifier):
    """Random forest (doi:10.1023/A:1010933404324)."""

    kind: Literal["random_forest"] = "random_forest"
    n_estimators: PositiveInt = 100
    max_depth: PositiveInt | None = None
    max_features: Literal["sqrt", "log2"] | Share = "sqrt"
    min_samples_leaf: PositiveInt = 1
    class_weight: ClassWeight = None
    random_state: Seed = 0


class GaussianProcessSpec(_Classifier):
    """Gaussian process classification with an RBF kernel, whose amplitude and length scale are fitted."""

    kind: Literal["gaussian_process"] = "gaussian_process"
    length_scale: PositiveFloat | None = None
    """Initial length scale of the fit; None is the square root of the number of features."""
    n_restarts_optimizer: NonNegativeInt = 0
    standardize: bool = True
    random_state: Seed = 0


class LinearSVMSpec(_Classifier):
    """Linear support vector machine; probabilities by Platt scaling within the training data."""

    kind: Literal["linear_svm"] = "linear_svm"
    C: PositiveFloat = 1.0
    max_iter: PositiveInt = 10_000
    class_weight: ClassWeight = None
    calibration_folds: Annotated[int, Field(ge=2)] = 5
    standardize: bool = True
    random_state: Seed = 0


class KNeighborsSpec(_Classifier):
    """Vote of the nearest training antibodies in embedding space."""

    kind: Literal["knn"] = "knn"
    n_neighbors: PositiveInt = 5
    weights: Literal["uniform", "distance"] = "uniform"
    metric: Literal["euclidean", "cosine", "manhattan"] = "euclidean"
    standardize: bool = False


class RidgeSpec(_Regressor):
    """Linear regression with an L2 penalty, for continuous labels."""

    kind: Literal["ridge"] = "ridge"
    alpha: PositiveFloat | Literal["cv"] = 1.0
    """Strength of the penalty. ``cv`` chooses it from 1 to 100,000 on folds of the training rows, which keep the units
    of the split together."""
    standardize: bool = True


class ElasticNetSpec(_Regressor):
    """Linear regression with L1 and L2 penalties (doi:10.1111/j.1467-9868.2005.00503.x), for continuous labels.

    Labels are scaled to mean 0 and variance 1 on the training folds, so that the penalty does not depend on their unit.
    """

    kind: Literal["elastic_net"] = "elastic_net"
    alpha: PositiveFloat | Literal["cv"] = 0.1
    """Strength of both penalties. ``cv`` chooses it from .01 to .32, like that of `RidgeSpec`."""
    l1_ratio: Share = 0.5
    tol: PositiveFloat = 1e-6
    max_iter: PositiveInt = 10_000
    standardize: bool = True


class XGBoostRegressorSpec(_Regressor):
    """Gradient-boosted trees (doi:10.1145/2939672.2939785), for continuous labels."""

    kind: Literal["xgboost_regressor"] = "xgboost_regressor"
    n_estimators: PositiveInt = 100
    max_depth: PositiveInt = 6
    learning_rate: Share = 0.3
    min_child_weight: NonNegativeFloat = 1.0
    subsample: Share = 1.0
    colsample_bytree: Share = 1.0
    reg_alpha: NonNegativeFloat = 0.0
    reg_lambda: NonNegativeFloat = 1.0
    random_state: Seed = 0


class SVRSpec(_Regressor):
    """Support vector regression for continuous labels, scaled as for `ElasticNetSpec`."""

    kind: Literal["svr"] = "svr"
    C: PositiveFloat = 1.0
    epsilon: NonNegativeFloat = 0.1
    """Largest error without a penalty, in standard deviations of the labels."""
    kernel: Literal["rbf", "linear"] = "rbf"
    gamma: Literal["scale", "auto"] | PositiveFloat = "scale"
    standardize: bool = True


class GaussianProcessRegressorSpec(_Regressor):
    """Gaussian process regression for continuous labels, scaled as for `ElasticNetSpec`.

    The kernel is an RBF and white noise, whose amplitudes and length scale are fitted.
    """

    kind: Literal["gaussian_process_regressor"] = "gaussian_process_regressor"
    length_scale: PositiveFloat | None = None
    """Initial length scale of the fit; None is the square root of the number of features."""
    n_restarts_optimizer: NonNegativeInt = 0
    standardize: bool = True
    random_state: Seed = 0


_OneClassifier = (
    LogisticRegressionSpec | XGBoostSpec | RandomForestSpec | GaussianProcessSpec | LinearSVMSpec | KNeighborsSpec
)
_OneRegressor = RidgeSpec | ElasticNetSpec | XGBoostRegressorSpec | SVRSpec | GaussianProcessRegressorSpec
_Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None


class AverageSpec(_Classifier):
    """Several classifiers, fitted on the same training rows, whose probabilities are averaged.

    Examples
    --------
    >>> [head.kind for head in AverageSpec(heads=(LogisticRegressionSpec(), XGBoostSpec())).heads]
    ['logreg', 'xgboost']
    """

    kind: Literal["average"] = "average"
    heads: Annotated[tuple[Annotated[_OneClassifier, Field(discriminator="kind")], ...], Field(min_length=1)]
    per_member: bool = False
    """True: each head reads the vectors of one member of an `EnsembleSpec` with ``combine="concat"``, in order, so that
    whole pipelines are averaged. Columns of a table are read by every head. False: each head reads all features."""
    widths: _Widths = None
    """Number of features of each member; None: `Trainer` fills it in, as it pins the language model."""


class AverageRegressorSpec(_Regressor):
    """Several regressors, fitted on the same training rows, whose predictions are averaged; see `AverageSpec`."""

    kind: Literal["average_regressor"] = "average_regressor"
    heads: Annotated[tuple[Annotated[_OneRegressor, Field(discriminator="kind")], ...], Field(min_length=1)]
    per_member: bool = False
    """See `AverageSpec`."""
    widths: _Widths = None
    """See `AverageSpec`."""


ClassifierSpec = _OneClassifier | AverageSpec | PluginClassifierSpec
"""Any classifier."""

RegressorSpec = _OneRegressor | AverageRegressorSpec | PluginRegressorSpec
"""Any regressor, for continuous labels."""

EstimatorSpec = Annotated[ClassifierSpec | RegressorSpec, Field(discriminator="kind")]
"""Any classifier or regressor; in JSON, the field ``kind`` distinguishes them."""


def heads_of(spec: ClassifierSpec | RegressorSpec) -> tuple[ClassifierSpec | RegressorSpec, ...]:
    """Return the heads of an average, or the spec itself."""
    return spec.heads if isinstance(spec, AverageSpec | AverageRegressorSpec) else (spec,)


def without_widths(spec: ClassifierSpec | RegressorSpec) -> ClassifierSpec | RegressorSpec:
    """Return a spec as it was before `widths` were filled in."""
    return spec.model_copy(update={"widths": None}) if isinstance(spec, AverageSpec | AverageRegressorSpec) else spec
