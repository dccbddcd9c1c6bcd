"""A fitted model as bytes: the same bytes for the same model, and none that can run code."""

import io
import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.calibration import CalibratedClassifier
from antibody_esm.evaluation.uncertainty import Uncertainty

_TRUSTED = frozenset(
    {
        "antibody_esm.evaluation.calibration.CalibratedClassifier",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""Types which the estimators of this package consist of, beyond those that skops trusts by itself."""

_SCHEMA = "schema.json"


def dumps(estimator: Any) -> bytes:
    """Return a fitted estimator as skops writes it, but with the same bytes in every process.

    skops names parts by their places in memory and notes the time; here parts are numbered as they come.
    """
    import skops.io

    with ZipFile(io.BytesIO(skops.io.dumps(estimator))) as written:
        parts = {name: written.read(name) for name in written.namelist()}
    schema = parts.pop(_SCHEMA).decode()
    number = {place: str(i) for i, place in enumerate(dict.fromkeys(re.findall(r'"__id__": (\d+)', schema)))}
    schema = re.sub(r'"__id__": (\d+)', lambda found: f'"__id__": {number[found[1]]}', schema)
    names = dict.fromkeys(re.findall(r'"file": "([^"]+)"', schema))
    renamed = {name: f"{i}{Path(name).suffix}" for i, name in enumerate(names)}
    schema = re.sub(r'"file": "([^"]+)"', lambda found: f'"file": "{renamed[found[1]]}"', schema)
    json.loads(schema)
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as file:
        for name, data in [*((renamed[name], parts[name]) for name in names), (_SCHEMA, schema.encode())]:
            file.writestr(ZipInfo(name), data, ZIP_DEFLATED)
    return content.getvalue()


def loads(content: bytes, path: Path, *, regression: bool) -> Any:
    """Return the estimator in these bytes, of which nothing is built before all of its types are known.

    Raises
    ------
    StoreError
        If they hold other types, or anything but a fitted classifier of the classes 0 and 1, or regressor. ``path`` is
        where they were.
    """
    import skops.io
    from sklearn.base import is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - _TRUSTED)
        if unknown:
            raise StoreError(f"holds types that are not trusted: {', '.join(unknown)}", path)
        estimator = skops.io.loads(content, trusted=sorted(_TRUSTED))
    except (BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"not a classifier: {error}", path) from error
    if not isinstance(estimator, Pipeline | CalibratedClassifier) or is_regressor(estimator) != regression:
        raise StoreError(f"not a pipeline of a {'regressor' if regression else 'classifier'}", path)
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise StoreError("its pipeline is not fitted", path) from error
    if not regression and list(getattr(estimator, "classes_", [])) != [0, 1]:
        raise StoreError("not a fitted pipeline with the classes 0 and 1", path)
    return estimator


def dump_training(uncertainty: Uncertainty | str, applicability: Applicability | None) -> bytes:
    """Return what a model knows of its training antibodies, as arrays of numbers and text."""
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(uncertainty, Uncertainty):
        arrays |= {name: np.asarray(getattr(uncertainty, name)) for name in ("score", "label", "by", "task")}
    else:
        arrays["unknown"] = np.array(uncertainty)
    if applicability is not None:
        arrays |= {"sequences": np.array(applicability.sequences), "features": applicability.features}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def load_training(content: bytes, path: Path) -> tuple[Uncertainty | str, Applicability | None]:
    """Return what `dump_training` wrote. Raises StoreError if it is anything else; ``path`` is where it was."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        by, task = (str(found.get(name, "")) for name in ("by", "task"))
        uncertainty: Uncertainty | str = str(found.get("unknown", ""))
        if "score" in found:
            uncertainty = Uncertainty(found["score"], found["label"], by, task)  # type: ignore[arg-type]  # literals
        applicability = None
        if "sequences" in found:
            applicability = Applicability(tuple(found["sequences"].tolist()), found["features"])
    except (BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(f"not what is known of training antibodies: {error}", path) from error
    return uncertainty, applicability
