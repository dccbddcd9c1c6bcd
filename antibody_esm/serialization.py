"""Fitted models as bytes, which are the same for the same model, and cannot run code."""

import io
import json
import re
import sys
import warnings
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.columns import ColumnValues
from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.reading import Reading
from antibody_esm.errors import CRAFTED, StoreError
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.evaluation.conformal import Uncertainty
from antibody_esm.limits import LimitError, check_npy, unzip
from antibody_esm.numbering import SPECIES
from antibody_esm.schemas import SCHEMA, check_loaders, checked
from antibody_esm.sequences import BETWEEN
from antibody_esm.specs import SplitBy
from antibody_esm.trained_on import TrainedOn
from antibody_esm.trusted_types import TRUSTED, skops_io
from antibody_esm.unknown import Unknown

UNPACKED = 200 * 10**6
"""Most bytes to which a file of a saved model unpacks, unless an environment variable sets another limit; reading takes
up to five times as much memory."""
_MESSAGE = 300
_ARRAYS = frozenset({"by", "features", "label", "score", "sequences", "task", "unknown"})
"""Arrays of the training antibodies in format 2."""


def dumps(estimator: Any) -> bytes:
    """Return a fitted estimator in the format of skops, with the same bytes in every process."""
    return reproducible(skops_io().dumps(estimator))


def reproducible(content: bytes) -> bytes:
    """Return an archive of skops with the same content, and the same bytes in every process.

    skops names parts by their addresses in memory, and records the time; here parts are numbered in order.
    """
    with ZipFile(io.BytesIO(content)) as written:
        parts = {name: written.read(name) for name in written.namelist()}
    schema = parts.pop(SCHEMA).decode()
    number = {place: str(i) for i, place in enumerate(dict.fromkeys(re.findall(r'"__id__": (\d+)', schema)))}
    schema = re.sub(r'"__id__": (\d+)', lambda match: f'"__id__": {number[match[1]]}', schema)
    names = dict.fromkeys(re.findall(r'"file": "([^"]+)"', schema))
    renamed = {name: f"{i}{Path(name).suffix}" for i, name in enumerate(names)}
    schema = re.sub(r'"file": "([^"]+)"', lambda match: f'"file": "{renamed[match[1]]}"', schema)
    json.loads(schema)
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as file:
        for name, data in [*((renamed[name], parts[name]) for name in names), (SCHEMA, schema.encode())]:
            file.writestr(ZipInfo(name), data, ZIP_DEFLATED)
    return packed.getvalue()


def loads(
    content: bytes, path: Path, *, regression: bool, unpacked: int = UNPACKED, further: Collection[str] = ()
) -> Any:
    """Return the estimator in these bytes; no object is built before all types are checked.

    Sizes and nesting are checked before skops reads them; `unpacked` is the most bytes that are unpacked. `further` are
    types of a plugin that a caller allowed.

    Raises
    ------
    StoreError
        If they hold other types, or not a fitted regressor or classifier of the classes 0 and 1. The message names
        ``path``.
    """
    from sklearn.base import is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    from antibody_esm.average import AverageClassifier, AverageRegressor
    from antibody_esm.evaluation.calibration import CalibratedClassifier
    from antibody_esm.evaluation.recalibration import as_trained, check_recalibrated

    kinds = (Pipeline, CalibratedClassifier, AverageClassifier, AverageRegressor)
    skops = skops_io()
    try:
        content = checked(content, unpacked)
        unknown = sorted(set(skops.get_untrusted_types(data=content)) - TRUSTED - set(further))
        if unknown:
            raise StoreError(f"holds types that are not trusted: {_shortened(', '.join(unknown))}", path)
        check_loaders(content)
        estimator = skops.loads(content, trusted=sorted({*TRUSTED, *further}))
        check_recalibrated(estimator)
        trained = as_trained(estimator)
        slope = getattr(getattr(trained, "calibrator_", None), "a_", 0.0)
        if isinstance(slope, float) and slope > 0:  # it is 1 / (1 + exp(a * output + b))
            warnings.warn(
                f"{path}: the calibration falls where the classifier's outputs rise, so this model of an earlier "
                "version ranks antibodies in reverse; train it again",
                UserWarning,
                stacklevel=5,
            )
        regressors = {is_regressor(trained), is_regressor(estimator)}
        if not isinstance(trained, kinds) or regressors != {regression}:
            raise StoreError(f"not a pipeline of a {'regressor' if regression else 'classifier'}", path)
        check_is_fitted(trained)
        if not regression and list(getattr(estimator, "classes_", [])) != [0, 1]:
            raise StoreError("not a fitted pipeline with the classes 0 and 1", path)
    except StoreError:
        raise
    except NotFittedError as error:
        raise StoreError("its pipeline is not fitted", path) from error
    except CRAFTED as error:
        raise StoreError(f"not a classifier: {_shortened(str(error))}", path) from error
    return estimator


@dataclass(frozen=True, eq=False, repr=False)
class TrainingSet(Dataset):
    """Training antibodies of a saved model: the chains that it reads, and labels, or None if unknown.

    Ids are row numbers. `digest` is that of the original data set, whose ids, groups and measurements are not saved.
    """

    digest_of_training: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the data set on which the model was trained."""
        return self.digest_of_training


class Training(NamedTuple):
    """Data on the training antibodies that are saved with a model."""

    uncertainty: Uncertainty | Unknown
    applicability: Applicability | None
    antibodies: Dataset | None
    """Without labels in a model that an earlier version saved."""
    unknown: str = ""
    """Reason why antibodies or labels are unknown; empty otherwise."""


WITHOUT = "saved without its training antibodies"
_SAMPLED = 5_000
"""Most training antibodies that earlier versions saved."""


def _shortened(text: str) -> str:
    return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}..."


def dump_training(training: Training, columns: ColumnReading | None = None) -> bytes:
    """Return the data on the training antibodies as an archive of arrays of numbers and text.

    Columns that the model reads are saved as the numbers that stand for them.
    """
    uncertainty, applicability, antibodies, _ = training
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(uncertainty, Uncertainty):
        kept = uncertainty if antibodies is not None or applicability is not None else uncertainty.anonymous()
        arrays |= {name: np.asarray(getattr(kept, name)) for name in ("score", "label", "by", "task")}
    else:
        arrays["unknown"] = np.array(uncertainty.reason)
    if applicability is not None:
        arrays["features"] = applicability.features
        if antibodies is None:
            arrays["sequences"] = np.array(applicability.sequences)
    if antibodies is not None:
        names = ("heavy", "light") if antibodies.chain in ("both", "paired") else (antibodies.chain,)
        arrays |= {name: np.array(getattr(antibodies, name)) for name in names}
        if antibodies.label is not None:
            arrays["target"] = np.asarray(antibodies.label)
        if columns:
            arrays["columns"] = columns.read(antibodies.columns, len(antibodies)).codes
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def load_training(
    content: bytes,
    path: Path,
    data: TrainedOn,
    reading: Reading | None = None,
    *,
    of_format_2: bool = False,
) -> Training:
    """Return the data on training antibodies that `dump_training` wrote.

    Parameters
    ----------
    content
        Bytes of the file.
    path
        Path of the file, for messages.
    data
        Description of the training data in the manifest.
    reading
        Reading of the model, for the species whose profiles number the antibodies and for columns; None for a model of
        format 2: human and mouse, and no columns.
    of_format_2
        True if the manifest is of format 2, which has no later arrays.

    Raises
    ------
    StoreError
        If it is anything else.
    """
    species = None if reading is None else reading.species
    try:
        arrays = _arrays(content)
        later = sorted(arrays.keys() - _ARRAYS) if of_format_2 else []
        if later:
            raise LimitError(f"format 2 has no {later[0][:80]!r}")
        by, task = (str(arrays.get(name, "")) for name in ("by", "task"))
        uncertainty: Uncertainty | Unknown = Unknown(str(arrays.get("unknown", "")))
        if "score" in arrays:
            _check_scores(arrays["score"], arrays["label"], by, task)
            uncertainty = Uncertainty(arrays["score"], arrays["label"], by, task)  # type: ignore[arg-type]  # literals
        if "sequences" in arrays:
            _check_vectors(arrays["sequences"], arrays["features"])
            return _of_earlier_version(uncertainty, arrays, data, species)
        if "heavy" not in arrays and "light" not in arrays:
            return Training(uncertainty, None, None, WITHOUT)
        _check_antibodies(arrays)
        antibodies = _antibodies(data, arrays.get("heavy"), arrays.get("light"), arrays.get("target"), species)
        antibodies = replace(antibodies, columns=_columns(arrays.get("columns"), reading, len(antibodies)))
        distinct = tuple(dict.fromkeys(antibodies.sequences))
        if len(arrays["features"]) != min(len(distinct), _SAMPLED):
            raise ValueError(f"{len(distinct):,} training antibodies have {len(arrays['features']):,} vectors")
        applicability = Applicability(distinct, arrays["features"])
        return Training(uncertainty, applicability, antibodies, "" if "target" in arrays else _WITHOUT_LABELS)
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        problem = _shortened(str(error))
        raise StoreError(f"not the training antibodies of a saved model: {problem}", path) from error


_WITHOUT_LABELS = "saved by an earlier version, without the labels of its training antibodies"


def _of_earlier_version(
    uncertainty: Uncertainty | Unknown,
    arrays: dict[str, NDArray[Any]],
    data: TrainedOn,
    species: tuple[str, ...] | None,
) -> Training:
    """Return the data that earlier versions saved: at most 5,000 distinct sequences, without labels."""
    sequences = tuple(str(text) for text in arrays["sequences"].tolist())
    complete = len(sequences) != _SAMPLED or data.antibodies <= _SAMPLED
    applicability = Applicability(sequences, arrays["features"], complete)
    if not complete:
        kept = f"{_SAMPLED:,} of its {data.antibodies:,} training antibodies"
        return Training(uncertainty, applicability, None, f"saved by an earlier version, with only {kept}")
    if data.chain == "both":  # concatenated, and the start of the second chain is not saved
        return Training(uncertainty, applicability, None, _WITHOUT_LABELS)
    heavy, light = np.array([text.partition(BETWEEN)[::2] for text in sequences]).reshape(-1, 2).T
    if data.chain == "light":
        heavy, light = light, heavy
    antibodies = _antibodies(data, heavy if heavy.any() else None, light if light.any() else None, None, species)
    return Training(uncertainty, applicability, antibodies, _WITHOUT_LABELS)


def _antibodies(
    data: TrainedOn,
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
        chain=data.chain,
        fragment=data.fragment,
        species=species or SPECIES,
        provenance=Provenance(data.source),
        digest_of_training=data.digest,
    )


def _columns(codes: NDArray[Any] | None, reading: Reading | None, n: int) -> dict[str, ColumnValues]:
    """Return the columns of the training antibodies from the numbers that stand for them."""
    columns = ColumnReading() if reading is None else reading.columns
    if codes is None and not columns:
        return {}
    if codes is None or codes.dtype.kind != "f" or codes.shape != (n, len(columns)):
        raise ValueError("columns of training antibodies are not a table of numbers")
    return columns.values(codes)


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays in an archive of numpy; declared sizes are checked before memory is allocated."""
    arrays = {}
    for name, data in unzip(content, UNPACKED).items():
        check_npy(data)
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        if array.dtype.kind == "U" and array.size and _code_points(array).max() > sys.maxunicode:
            raise ValueError("a text holds numbers that are no characters")
        arrays[name.removesuffix(".npy")] = array
    return arrays


def _code_points(text: NDArray[Any]) -> NDArray[np.uint32]:
    whole = np.ascontiguousarray(text.astype(text.dtype.newbyteorder("="), copy=False)).reshape(-1)
    return whole.view(np.uint32)


def _check_scores(score: NDArray[Any], label: NDArray[Any], by: str, task: str) -> None:
    if score.ndim != 1 or score.shape != label.shape or {score.dtype.kind, label.dtype.kind} - set("fiub"):
        raise ValueError("scores and labels are not lists of numbers of one length")
    if by not in get_args(SplitBy) or task not in ("classification", "regression"):
        raise ValueError(f"unknown kind of out-of-fold scores: by {by[:80]!r}, task {task[:80]!r}")


def _check_vectors(sequences: NDArray[Any], features: NDArray[Any]) -> None:
    if sequences.ndim != 1 or sequences.dtype.kind != "U" or features.ndim != 2 or features.dtype.kind != "f":
        raise ValueError("training antibodies are not a list of text and a table of numbers")
    if len(sequences) != len(features):
        raise ValueError(f"{len(sequences)} training antibodies have {len(features)} vectors")


def _check_antibodies(arrays: dict[str, NDArray[Any]]) -> None:
    features = arrays["features"]
    chains = [arrays[name] for name in ("heavy", "light") if name in arrays]
    if features.ndim != 2 or features.dtype.kind != "f" or any(chain.dtype.kind != "U" for chain in chains):
        raise ValueError("training antibodies are not lists of text and a table of numbers")
    columns = [*chains, *([arrays["target"]] if "target" in arrays else [])]
    if any(column.shape != chains[0].shape or column.ndim != 1 for column in columns):
        raise ValueError("chains and labels of training antibodies are not lists of one length")
