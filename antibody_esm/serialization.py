"""A fitted model as bytes: the same bytes for the same model, and none that can run code."""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.errors import StoreError
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.calibration import CalibratedClassifier
from antibody_esm.evaluation.uncertainty import Uncertainty
from antibody_esm.numbering import SPECIES
from antibody_esm.sequences import BETWEEN

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


@dataclass(frozen=True, eq=False, repr=False)
class TrainingSet(Dataset):
    """Training antibodies of a saved model: the chains that it reads, and labels, which are None if they are unknown.

    Ids are row numbers. `digest` is that of the data set of the training, whose ids, groups and measurements are not
    saved.
    """

    digest_of_training: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the data set on which the model was trained."""
        return self.digest_of_training


class Training(NamedTuple):
    """Facts of the training antibodies that are saved with a model."""

    uncertainty: Uncertainty | str
    applicability: Applicability | None
    antibodies: Dataset | None
    """Without labels in a model that an earlier version saved."""
    unknown: str = ""
    """Reason why antibodies or labels are unknown; empty if they are known."""


WITHOUT = "saved without its training antibodies"
_SAMPLED = 5_000
"""Training antibodies that earlier versions saved, at most."""


def dump_training(training: Training) -> bytes:
    """Return the facts of the training antibodies as arrays of numbers and text."""
    uncertainty, applicability, antibodies, _ = training
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(uncertainty, Uncertainty):
        kept = uncertainty if antibodies is not None or applicability is not None else uncertainty.anonymous()
        arrays |= {name: np.asarray(getattr(kept, name)) for name in ("score", "label", "by", "task")}
    else:
        arrays["unknown"] = np.array(uncertainty)
    if applicability is not None:
        arrays["features"] = applicability.features
        if antibodies is None:
            arrays["sequences"] = np.array(applicability.sequences)
    if antibodies is not None:
        names = ("heavy", "light") if antibodies.chain in ("both", "paired") else (antibodies.chain,)
        arrays |= {name: np.array(getattr(antibodies, name)) for name in names}
        if antibodies.label is not None:
            arrays["target"] = np.asarray(antibodies.label)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def load_training(content: bytes, path: Path, data: dict[str, Any], species: tuple[str, ...] | None = None) -> Training:
    """Return what `dump_training` wrote.

    Parameters
    ----------
    content
        Bytes of the file.
    path
        Its place, for messages.
    data
        Source, digest, size, chain and fragment of the training data, as the manifest has them.
    species
        Species whose profiles number the antibodies; None is human and mouse.

    Raises
    ------
    StoreError
        If it is anything else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        by, task = (str(arrays.get(name, "")) for name in ("by", "task"))
        uncertainty: Uncertainty | str = str(arrays.get("unknown", ""))
        if "score" in arrays:
            uncertainty = Uncertainty(arrays["score"], arrays["label"], by, task)  # type: ignore[arg-type]  # literals
        if "sequences" in arrays:
            return _of_earlier_version(uncertainty, arrays, data, species)
        if "heavy" not in arrays and "light" not in arrays:
            return Training(uncertainty, None, None, WITHOUT)
        antibodies = _antibodies(data, arrays.get("heavy"), arrays.get("light"), arrays.get("target"), species)
        applicability = Applicability(tuple(dict.fromkeys(antibodies.sequences)), arrays["features"])
        return Training(uncertainty, applicability, antibodies, "" if "target" in arrays else _WITHOUT_LABELS)
    except (BadZipFile, OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StoreError(f"not what is known of training antibodies: {error}", path) from error


_WITHOUT_LABELS = "saved by an earlier version, without the labels of its training antibodies"


def _of_earlier_version(
    uncertainty: Uncertainty | str,
    arrays: dict[str, NDArray[Any]],
    data: dict[str, Any],
    species: tuple[str, ...] | None,
) -> Training:
    """Return the facts that earlier versions saved: distinct sequences, at most 5,000 of them, and no labels."""
    sequences = tuple(str(text) for text in arrays["sequences"].tolist())
    complete = len(sequences) != _SAMPLED or data["antibodies"] <= _SAMPLED
    applicability = Applicability(sequences, arrays["features"], complete)
    if not complete:
        kept = f"{_SAMPLED:,} of its {data['antibodies']:,} training antibodies"
        return Training(uncertainty, applicability, None, f"saved by an earlier version, with only {kept}")
    if data["chain"] == "both":  # one behind the other, and where the second begins is not saved
        return Training(uncertainty, applicability, None, _WITHOUT_LABELS)
    heavy, light = np.array([text.partition(BETWEEN)[::2] for text in sequences]).reshape(-1, 2).T
    if data["chain"] == "light":
        heavy, light = light, heavy
    antibodies = _antibodies(data, heavy if heavy.any() else None, light if light.any() else None, None, species)
    return Training(uncertainty, applicability, antibodies, _WITHOUT_LABELS)


def _antibodies(
    data: dict[str, Any],
    heavy: NDArray[Any] | None,
    light: NDArray[Any] | None,
    label: NDArray[Any] | None,
    species: tuple[str, ...] | None,
) -> TrainingSet:
    number = max(len(chain) for chain in (heavy, light) if chain is not None)
    return TrainingSet(
        [str(row) for row in range(number)],
        None if heavy is None else heavy.tolist(),
        None if light is None else light.tolist(),
        label=label,
        chain=data["chain"],
        fragment=data["fragment"],
        species=species or SPECIES,
        provenance=Provenance(data["source"]),
        digest_of_training=data["digest"],
    )
