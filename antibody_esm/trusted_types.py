"""Types that a saved classifier may contain, and skops with this list in place of its own.

skops determines its trusted types by importing all of scikit-learn, which takes seconds, and trusts many types that no
classifier of this package needs. This module lists the needed types.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

TRUSTED = frozenset(
    {
        "antibody_esm.average.AverageClassifier",
        "antibody_esm.average.AverageRegressor",
        "antibody_esm.column_encoder.ColumnEncoder",
        "antibody_esm.evaluation.calibration.CalibratedClassifier",
        "antibody_esm.evaluation.recalibration.RecalibratedClassifier",
        "antibody_esm.evaluation.recalibration.RecalibratedRegressor",
        "antibody_esm.reduction.Reduction",
        "antibody_esm.rising.RisingClassifierCV",
        "antibody_esm.rising.RisingSigmoid",
        "numpy.bool",
        "numpy.float32",
        "numpy.float64",
        "numpy.int32",
        "numpy.int64",
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._target.TransformedTargetRegressor",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.gaussian_process._gpc.GaussianProcessClassifier",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process._gpr.GaussianProcessRegressor",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.isotonic.IsotonicRegression",
        "sklearn.linear_model._coordinate_descent.ElasticNet",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._ridge.Ridge",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.svm._classes.LinearSVC",
        "sklearn.svm._classes.SVR",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""Types in the estimators of this package. Before adding a type, read its code that runs on construction."""

LISTS = {
    "PRIMITIVE_TYPE_NAMES": ("builtins.bool", "builtins.float", "builtins.int", "builtins.str"),
    "CONTAINER_TYPE_NAMES": (),
    "NUMPY_DTYPE_TYPE_NAMES": (),
    "NUMPY_RANDOM_BIT_GENERATOR_TYPE_NAMES": (),
    "NUMPY_UFUNC_TYPE_NAMES": (),
    "SCIPY_UFUNC_TYPE_NAMES": (),
    "SKLEARN_ESTIMATOR_TYPE_NAMES": (),
    "SKLEARN_INTERNAL_TYPE_NAMES": (),
}
"""Content of skops' private module of trusted types; all other types are in `TRUSTED`."""

_PRIVATE = "skops.io._trusted_types"
_LOCK = Lock()


def skops_io() -> Any:
    """Return a private copy of ``skops.io``, which trusts only the types in `LISTS`.

    Other imports of ``skops.io`` in the same process are unchanged.

    Raises
    ------
    ImportError
        If this version of skops is not one that this package was tested with.
    """
    with _LOCK:
        return _copy()


@cache
def _copy() -> ModuleType:
    stand_in = ModuleType(_PRIVATE)
    vars(stand_in).update({name: list(types) for name, types in LISTS.items()})
    with _without_skops():
        sys.modules[_PRIVATE] = stand_in
        try:
            return import_module("skops.io")
        except ImportError as error:
            raise ImportError(f"{error}; this package was tested with skops 0.16") from error


@contextmanager
def _without_skops() -> Iterator[None]:
    """Remove loaded modules of skops during a new import, and restore them afterwards."""
    others = _pop()
    try:
        yield
    finally:
        _pop()
        sys.modules.update(others)


def _pop() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == "skops" or name.startswith("skops.")]
    return {name: sys.modules.pop(name) for name in names}
