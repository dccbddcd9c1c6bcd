"""Unfitted scikit-learn pipelines from specs of classifiers and regressors.

Each pipeline runs on one thread, so that its numbers do not depend on the number of cores.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import DatasetError, PluginError
from antibody_esm.specs import (
    AverageRegressorSpec,
    AverageSpec,
    ClassifierSpec,
    ElasticNetSpec,
    GaussianProcessRegressorSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    PluginClassifierSpec,
    PluginRegressorSpec,
    RandomForestSpec,
    RegressorSpec,
    RidgeSpec,
    SVRSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
)
from antibody_esm.specs.estimators import heads_of

_PENALTIES = {
    "ridge": ("regress__alpha", tuple(10 ** (step / 2) for step in range(11))),
    "elastic_net": ("regress__regressor__alpha", tuple(10 ** (step / 4) for step in range(-8, -1))),
}
"""Parameter of the penalty and its values, from 1 to 100,000 and from .01 to .32, if ``alpha="cv"`` chooses it."""


def one_blas_thread() -> Any:
    """Return a context in which matrix products run on one thread, whatever the calling thread.

    The order of summation, and hence the last bit, depends on the number of threads. Moreover, scikit-learn's nearest
    neighbours change the number for the whole process; if folds run concurrently, OpenBLAS warns that it may hang.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


def build(
    spec: ClassifierSpec | RegressorSpec,
    dim: int,
    columns: Sequence[Literal["category", "number"]] = (),
    pca: int | None = None,
    first: Any = None,
) -> Any:
    """Return an unfitted pipeline of ``columns``, ``scale``, ``reduce`` and ``classify`` or ``regress``.

    The first step is left out if there are no columns, the second if the spec does not standardize, the third without
    `pca`.

    If the penalty is chosen (``alpha="cv"``), it is a `PenaltySearch` of such pipelines; an average is one of several.

    Parameters
    ----------
    spec
        Any spec of a classifier or regressor.
    dim
        Number of features, on which the starting point of a Gaussian process depends.
    columns
        Kind of each of the last features that are columns of a table.
    pca
        Number of principal components in place of the other features; None leaves them.
    first
        Unfitted transformer, whose output has `dim` features; it is the step ``finetune`` before all others.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    if isinstance(spec, AverageSpec | AverageRegressorSpec):
        from antibody_esm.average import AverageClassifier, AverageRegressor

        if spec.per_member and spec.widths is None:
            raise ValueError("the features of each member are unknown: AverageSpec.widths is not filled in")
        widths = spec.widths if spec.per_member else None
        of_head = [dim] * len(spec.heads) if widths is None else [width + len(columns) for width in widths]
        heads = tuple(build(head, size, columns, pca, first) for head, size in zip(spec.heads, of_head, strict=True))
        average = AverageRegressor if spec.is_regressor else AverageClassifier
        return average(heads, widths, 0 if widths is None else len(columns))
    if getattr(spec, "alpha", None) == "cv":
        from antibody_esm.penalty import PenaltySearch

        pipeline = build(spec.model_copy(update={"alpha": 1.0}), dim, columns, pca, first)
        return PenaltySearch(pipeline, *_PENALTIES[spec.kind])
    name = "regress" if spec.is_regressor else "classify"
    steps: list[tuple[str, Any]] = [(name, _estimator(spec, dim if pca is None else pca + len(columns)))]
    if pca is not None:
        from antibody_esm.reduction import Reduction

        steps.insert(0, ("reduce", Reduction(pca, dim - len(columns))))
    if getattr(spec, "standardize", False):
        steps.insert(0, ("scale", StandardScaler()))
    if columns:
        from antibody_esm.column_encoder import ColumnEncoder

        steps.insert(0, ("columns", ColumnEncoder(tuple(columns))))
    if first is not None:
        steps.insert(0, ("finetune", first))
    return Pipeline(steps)


def _estimator(spec: ClassifierSpec | RegressorSpec, dim: int) -> Any:
    options = spec.model_dump(exclude={"format", "kind", "standardize"})
    match spec:
        case PluginClassifierSpec() | PluginRegressorSpec():
            return _of_plugin(spec)
        case LogisticRegressionSpec():
            from sklearn.linear_model import LogisticRegression

            return LogisticRegression(**options)
        case XGBoostSpec():
            from xgboost import XGBClassifier

            return XGBClassifier(**options, n_jobs=1)
        case RandomForestSpec():
            from sklearn.ensemble import RandomForestClassifier

            return RandomForestClassifier(**options, n_jobs=1)
        case GaussianProcessSpec():
            from sklearn.gaussian_process import GaussianProcessClassifier
            from sklearn.gaussian_process.kernels import RBF

            scale = options.pop("length_scale") or sqrt(dim)
            return GaussianProcessClassifier(1.0 * RBF(scale, (scale / 1e3, scale * 1e3)), **options, n_jobs=1)
        case LinearSVMSpec():
            from sklearn.svm import LinearSVC

            from antibody_esm.rising import RisingClassifierCV

            folds = options.pop("calibration_folds")
            return RisingClassifierCV(LinearSVC(**options), method="sigmoid", cv=folds, n_jobs=1)
        case KNeighborsSpec():
            from sklearn.neighbors import KNeighborsClassifier

            return KNeighborsClassifier(**options, n_jobs=1)
        case RidgeSpec():
            from sklearn.linear_model import Ridge

            return Ridge(**options)
        case ElasticNetSpec():
            from sklearn.linear_model import ElasticNet

            return _of_scaled_labels(ElasticNet(**options))
        case XGBoostRegressorSpec():
            from xgboost import XGBRegressor

            return XGBRegressor(**options, n_jobs=1)
        case SVRSpec():
            from sklearn.svm import SVR

            return _of_scaled_labels(SVR(**options))
        case GaussianProcessRegressorSpec():
            from sklearn.gaussian_process import GaussianProcessRegressor
            from sklearn.gaussian_process.kernels import RBF, WhiteKernel

            scale = options.pop("length_scale") or sqrt(dim)
            kernel = 1.0 * RBF(scale, (scale / 1e3, scale * 1e3)) + WhiteKernel(1.0, (1e-6, 1e3))
            return _of_scaled_labels(GaussianProcessRegressor(kernel, **options))


def _of_plugin(spec: PluginClassifierSpec | PluginRegressorSpec) -> Any:
    """Return the unfitted estimator of a plugin. Raises PluginError if it is of the other kind, or none."""
    from sklearn.base import is_classifier, is_regressor

    made = spec.make()
    suits = is_regressor(made) if spec.is_regressor else is_classifier(made) and hasattr(made, "predict_proba")
    if not suits:
        kind = "regressor" if spec.is_regressor else "classifier with predict_proba"
        raise PluginError(f"{spec.name!r} of the package {spec.package} is no {kind} of scikit-learn", spec.package)
    return made


def refuse_inner_folds(spec: ClassifierSpec | RegressorSpec) -> None:
    """Raise PluginError if a plugin divides its training rows again, on all of which its features depend."""
    for head in heads_of(spec):
        if not isinstance(head, PluginClassifierSpec | PluginRegressorSpec):
            continue
        for name, value in _of_plugin(head).get_params(deep=True).items():
            last = name.rpartition("__")[2]
            if (last == "cv" and value != "prefit") or (last == "early_stopping" and value):
                raise PluginError(
                    f"{head.name!r} divides its training rows again ({name}={value!r}), after the language model was "
                    "fine-tuned on all of them; use a classifier without folds of its own",
                    head.package,
                )


def _of_scaled_labels(regressor: Any) -> Any:
    """Return a regressor that scales labels to mean 0 and variance 1, and predicts in the labels' unit."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def workers_of(classifier: Any, workers: int | None) -> int | None:
    """Return the number of fits of a classifier that may run concurrently in threads.

    LinearSVC draws from a random generator that all threads share, so concurrent fits would change each other's last
    digits. A language model that is fine-tuned takes all cores itself.
    """
    alone = {type(part).__name__ for part in _parts(classifier)} & {"LinearSVC", "FineTuned"}
    return 1 if alone else workers


def refuse_few(estimator: Any, label: NDArray[Any]) -> None:
    """Raise a DatasetError if a part of an unfitted estimator cannot work with so few rows.

    A linear SVM calibrates its probabilities on folds of the rows that it is fitted on, and needs a row of each class
    in each fold; nearest neighbours need as many rows as they have votes. Both may be a decision's or an average's.

    Parameters
    ----------
    label
        ``(n,)``, of the rows that the estimator is to be fitted on.
    """
    for part in _parts(estimator):
        kind = type(part).__name__
        if kind == "RisingClassifierCV" and isinstance(part.cv, int):
            counts = [int((label == of_class).sum()) for of_class in (0, 1)]
            if min(counts) < part.cv:
                lower = "Set calibration_folds of linear_svm lower" if min(counts) > 1 else "Use another classifier"
                raise DatasetError(
                    f"linear_svm needs at least {part.cv} antibodies of each class, to calibrate its probabilities on "
                    f"{part.cv} folds; class {int(np.argmin(counts))} has {min(counts)} of the {len(label)} that it is "
                    f"fitted on. {lower}",
                    column="label",
                )
        if kind == "KNeighborsClassifier" and part.n_neighbors > len(label):
            raise DatasetError(
                f"knn takes the votes of {part.n_neighbors} training antibodies, and is fitted on {len(label)}. "
                "Set n_neighbors of knn lower",
                column="label",
            )


def _parts(estimator: Any) -> list[Any]:
    """Return an estimator and all of its parts, heads of an average included."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    heads = [head for part in parts for head in (part if isinstance(part, tuple) else ()) if hasattr(head, "fit")]
    return [*parts, *(part for head in heads for part in _parts(head))]
