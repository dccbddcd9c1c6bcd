"""A fitted model as bytes: the same bytes for the same model, and none that can run code."""

import io
import json
import re
from pathlib import Path
from typing import Any, get_args
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import StoreError
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.calibration import CalibratedClassifier
from antibody_esm.evaluation.uncertainty import Uncertainty
from antibody_esm.limits import LimitError, check_npy, unzip
from antibody_esm.schemas import SCHEMA, check_loaders, checked
from antibody_esm.specs import SplitBy

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

UNPACKED = 200 * 10**6
"""Bytes to which a file of a saved model unpacks at most, unless an environment variable says otherwise; reading takes
up to five times as much memory."""
_MESSAGE = 300
_ARRAYS = frozenset({"by", "features", "label", "score", "sequences", "task", "unknown"})
"""Arrays of the training antibodies in format 2."""


def dumps(estimator: Any) -> bytes:
    """Return a fitted estimator as skops writes it, but with the same bytes in every process.

    skops names parts by their places in memory and notes the time; here parts are numbered as they come.
    """
    import skops.io

    with ZipFile(io.BytesIO(skops.io.dumps(estimator))) as written:
        parts = {name: written.read(name) for name in written.namelist()}
    schema = parts.pop(SCHEMA).decode()
    number = {place: str(i) for i, place in enumerate(dict.fromkeys(re.findall(r'"__id__": (\d+)', schema)))}
    schema = re.sub(r'"__id__": (\d+)', lambda found: f'"__id__": {number[found[1]]}', schema)
    names = dict.fromkeys(re.findall(r'"file": "([^"]+)"', schema))
    renamed = {name: f"{i}{Path(name).suffix}" for i, name in enumerate(names)}
    schema = re.sub(r'"file": "([^"]+)"', lambda found: f'"file": "{renamed[found[1]]}"', schema)
    json.loads(schema)
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as file:
        for name, data in [*((renamed[name], parts[name]) for name in names), (SCHEMA, schema.encode())]:
            file.writestr(ZipInfo(name), data, ZIP_DEFLATED)
    return content.getvalue()


def loads(content: bytes, path: Path, *, regression: bool, unpacked: int = UNPACKED) -> Any:
    """Return the estimator in these bytes, of which nothing is built before all of its types are known.

    Sizes and nesting are checked before skops reads them; `unpacked` is the most bytes that are unpacked.

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
        content = checked(content, unpacked)
        unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - _TRUSTED)
        if unknown:
            raise StoreError(f"holds types that are not trusted: {_shortened(', '.join(unknown))}", path)
        check_loaders(content)
        estimator = skops.io.loads(content, trusted=sorted(_TRUSTED))
        if not isinstance(estimator, Pipeline | CalibratedClassifier) or is_regressor(estimator) != regression:
            raise StoreError(f"not a pipeline of a {'regressor' if regression else 'classifier'}", path)
        check_is_fitted(estimator)
        if not regression and list(getattr(estimator, "classes_", [])) != [0, 1]:
            raise StoreError("not a fitted pipeline with the classes 0 and 1", path)
    except StoreError:
        raise
    except NotFittedError as error:
        raise StoreError("its pipeline is not fitted", path) from error
    except Exception as error:  # constructors of other packages raise anything for crafted values
        raise StoreError(f"not a classifier: {_shortened(str(error))}", path) from error
    return estimator


def _shortened(text: str) -> str:
    return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}..."


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


def load_training(
    content: bytes, path: Path, *, of_format_2: bool = False
) -> tuple[Uncertainty | str, Applicability | None]:
    """Return what `dump_training` wrote. Raises StoreError if it is anything else; ``path`` is where it was."""
    try:
        found = _arrays(content)
        later = sorted(found.keys() - _ARRAYS) if of_format_2 else []
        if later:
            raise LimitError(f"format 2 has no {later[0][:80]!r}")
        by, task = (str(found.get(name, "")) for name in ("by", "task"))
        uncertainty: Uncertainty | str = str(found.get("unknown", ""))
        if "score" in found:
            _check_scores(found["score"], found["label"], by, task)
            uncertainty = Uncertainty(found["score"], found["label"], by, task)  # type: ignore[arg-type]  # literals
        applicability = None
        if "sequences" in found:
            _check_vectors(found["sequences"], found["features"])
            applicability = Applicability(tuple(found["sequences"].tolist()), found["features"])
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        problem = _shortened(str(error))
        raise StoreError(f"not what is known of training antibodies: {problem}", path) from error
    return uncertainty, applicability


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays in an archive of numpy, whose declared sizes are checked before any is made."""
    found = {}
    for name, data in unzip(content, UNPACKED).items():
        check_npy(data)
        found[name.removesuffix(".npy")] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return found


def _check_scores(score: NDArray[Any], label: NDArray[Any], by: str, task: str) -> None:
    if score.ndim != 1 or score.shape != label.shape or {score.dtype.kind, label.dtype.kind} - set("fiub"):
        raise ValueError("scores and labels are not lists of numbers of one length")
    if by not in get_args(SplitBy) or task not in ("classification", "regression"):
        raise ValueError(f"no scores out of fold by {by[:80]!r} of {task[:80]!r}")


def _check_vectors(sequences: NDArray[Any], features: NDArray[Any]) -> None:
    if sequences.ndim != 1 or sequences.dtype.kind != "U" or features.ndim != 2 or features.dtype.kind != "f":
        raise ValueError("training antibodies are not a list of text and a table of numbers")
    if len(sequences) != len(features):
        raise ValueError(f"{len(sequences)} training antibodies have {len(features)} vectors")
