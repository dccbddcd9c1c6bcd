"""Fitted models on disk: a folder of three files that cannot run code."""

import hashlib
import json
import platform
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.reading import Reading
from antibody_esm.errors import CheckpointError, StoreError
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.files import write
from antibody_esm.folders import replacing_folder
from antibody_esm.licences import WEIGHTS
from antibody_esm.limits import LimitError, parse_json, read_regular, unpacked_limit
from antibody_esm.numbering import engines_of, method
from antibody_esm.plm.adapter_folders import find_adapter
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.resolution import suggest_folders
from antibody_esm.plm.search import remember
from antibody_esm.plugin_types import trusted_types_of
from antibody_esm.plugins import refuse_others
from antibody_esm.sequences import ModelText
from antibody_esm.serialization import UNPACKED, WITHOUT, Training, dump_training, dumps, load_training, loads
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import columns_of, language_models, models_of
from antibody_esm.specs.estimators import heads_of
from antibody_esm.specs.plugins import plugins_of
from antibody_esm.trained_on import TrainedOn
from antibody_esm.unknown import Unknown

FORMAT = 3
"""Layout of a saved model. Raise it when an older version of this package would misread a newer model."""

_MANIFEST = "manifest.json"
_CLASSIFIER = "classifier.skops"
_TRAINING = "training.npz"
FILES = (_MANIFEST, _CLASSIFIER, _TRAINING, ADAPTER)
"""Files of a saved model, of which only a fine-tuned one has an adapter; beside them may lie the log of test sets."""
PANEL = "panel.json"
"""Manifest of a panel of models, see `antibody_esm.panel_files`; a model that is saved into its folder replaces it."""
_READ_FORMATS = (2, FORMAT)
_MANIFEST_BYTES = 16 * 10**6
_MESSAGE = 300
_WHOLE_CHAIN = 80
"""Lowest median length of the training sequences of a model of format 2 that reads whole chains."""
_OF_TRAINING_ROWS = ("knn", "gaussian_process", "gaussian_process_regressor", "svr")
"""Classifiers and regressors that contain vectors of training antibodies."""
_RECORDED = ("antibody_esm", "joblib", "numpy", "pydantic", "scikit-learn", "skops", "torch", "transformers", "xgboost")

_NOT_HERE = "not fitted here, and not loaded with its training antibodies"
NOT_FITTED = Training(Unknown("not computed: the model was fitted with uncertainty=False"), None, None, _NOT_HERE)
"""`Training` of a model without its training antibodies."""


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted classifier or regressor with the data that are saved with it.

    Attributes
    ----------
    spec
        Spec of the training, with the language model pinned to its bytes.
    classifier
        The fitted scikit-learn pipeline.
    data
        Source, digest, size, chain and fragment of the training data.
    reading
        Chain, fragment and numbering by which antibodies are read.
    metrics
        Summary of the cross-validation; None if none was run.
    training
        The training antibodies, with data derived from them.
    saved_digest
        Digest of a loaded model: bytes of the same classifier differ between versions of libraries.
    places
        Folders in which the adapter of a fine-tuned language model is looked for.
    """

    spec: TrainSpec
    classifier: Any
    data: TrainedOn
    reading: Reading
    metrics: dict[str, Any] | None
    training: Training
    saved_digest: str | None = None
    places: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the spec and the bytes of the classifier, which determine all predictions."""
        return self.saved_digest or _digest(self.spec, dumps(self.classifier))


def ledger_of(folder: Path) -> Path:
    """Return the path of a saved model's log of test sets."""
    return folder / "openings.jsonl"


def save_model(model: FittedModel, folder: Path, *, training: bool) -> str:
    """Write a model, and return a description of the saved training data; see `Predictor.save`."""
    spec = model.spec.portable()
    adapter, base = _adapter_of(spec)
    updates = None if adapter is None else find_adapter(adapter, model.places, base)
    content = dumps(model.classifier)
    training_bytes = dump_training(
        model.training if training else Training(model.training.uncertainty, None, None, WITHOUT), model.reading.columns
    )
    manifest = {
        "format": FORMAT,
        "spec": json.loads(spec.model_dump_json()),
        "fingerprints": {
            "train": spec.fingerprint,
            "extractor": spec.extractor.address,
            "classifier": spec.classifier.fingerprint,
            "split": spec.split.fingerprint,
            "decision": spec.decision.fingerprint,
        },
        "classifier_sha256": hashlib.sha256(content).hexdigest(),
        "training_sha256": hashlib.sha256(training_bytes).hexdigest(),
        **({} if adapter is None else {"adapter_sha256": adapter}),
        "data": (model.data if training else model.data.anonymous()).to_dict(),
        "reading": model.reading.to_dict(),
        "metrics": model.metrics,
        "licences": {name: _licence(name) for name in models_of(spec.extractor)},
        **({"plugins": {each.package: each.version for each in plugins_of(spec)}} if plugins_of(spec) else {}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _RECORDED},
    }
    manifest["sha256"] = manifest_digest(manifest)
    with replacing_folder(folder, (*FILES, PANEL)) as new:
        write(new / _CLASSIFIER, content)
        write(new / _TRAINING, training_bytes)
        if updates is not None:
            updates.save(new / ADAPTER)
        write(new / _MANIFEST, json.dumps(manifest, indent=2, allow_nan=False).encode())
    return _with_or_without(model, training)


def _adapter_of(spec: TrainSpec) -> tuple[str | None, str]:
    """Return the digests of the adapter of a fine-tuned language model, None if it is frozen, and of the model."""
    tuned = [model for model in language_models(spec.extractor) if model.adapter is not None]
    return (tuned[0].adapter, tuned[0].digest or "") if tuned else (None, "")


def _licence(model: str) -> dict[str, str | bool] | None:
    """Return the licence of a language model's weights; None if it is not known here."""
    return WEIGHTS[model].to_dict() if model in WEIGHTS else None


def _with_or_without(model: FittedModel, training: bool) -> str:
    """Return a description of the saved training data."""
    heads, antibodies = heads_of(model.spec.classifier), model.training.antibodies
    kinds = ", ".join(dict.fromkeys(head.kind for head in heads if head.kind in _OF_TRAINING_ROWS))
    inside = f"; but {kinds} itself consists of vectors and labels of them" if kinds else ""
    if not training or (antibodies is None and model.training.applicability is None):
        return f"without its training antibodies{inside}"
    if antibodies is None or antibodies.label is None:
        return "with its training antibodies (sequences, vectors), without their labels"
    return f"with its {len(antibodies):,} training antibodies (sequences, labels, vectors)"


def load_model(folder: Path, plugins: Sequence[str] = ()) -> FittedModel:
    """Return a model that `save_model` wrote, without running code of it; raises as `Predictor.load` does.

    `plugins` names packages whose code it may use, see `antibody_esm.plugins`.
    """
    path = folder / _MANIFEST
    if (folder / PANEL).is_file() and not path.exists():
        raise StoreError(
            "a panel of models, one for each label: read it with Panel.load, or one of its folders", folder
        )
    try:
        manifest = parse_json(_read(folder, _MANIFEST, _MANIFEST_BYTES))
        if not isinstance(manifest, dict) or not _is_read(manifest.get("format")):
            raise StoreError(f"not a model of format {' or '.join(map(str, _READ_FORMATS))}", path)
        _check_manifest(manifest, path)
        content = _read(folder, _CLASSIFIER)
        if hashlib.sha256(content).hexdigest() != manifest["classifier_sha256"]:
            raise StoreError("not the classifier that its manifest describes", folder / _CLASSIFIER)
        training_bytes = _read(folder, _TRAINING)
        if hashlib.sha256(training_bytes).hexdigest() != manifest["training_sha256"]:
            raise StoreError("not the training antibodies that its manifest describes", folder / _TRAINING)
        spec = TrainSpec.model_validate_json(json.dumps(manifest["spec"]))
        _check_adapter(spec, manifest.get("adapter_sha256"), folder)
        if spec.fingerprint != manifest["fingerprints"]["train"]:
            raise StoreError("its spec is not the one it was saved with", path)
        data, metrics, versions = TrainedOn.from_dict(manifest["data"]), manifest["metrics"], manifest["versions"]
        _check_parts(metrics, versions)
        older = manifest["format"] != FORMAT
        reading = None if older else Reading.from_dict(manifest["reading"])
        if reading is not None and reading.columns.specs != columns_of(spec.extractor):
            raise StoreError("its spec and its reading name other columns", path)
        training = load_training(training_bytes, folder / _TRAINING, data, reading, of_format_2=older)
        reading = reading or _reading_of_format_2(data, training.applicability)
        ledger = ledger_of(folder)
        if ledger.is_symlink() or ledger.exists():
            _read(folder, ledger.name)
    except OSError as error:
        raise StoreError(f"not a saved model: {error.strerror}", error.filename or path) from error
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        problem = repr(error)[:_MESSAGE]
        raise StoreError(f"not the manifest of a saved model: {problem}", path) from error
    _warn_of_versions(versions)
    needed = plugins_of(spec)
    refuse_others((each.package for each in needed), plugins, str(folder))
    types = {name for each in needed for name in trusted_types_of(each)}
    classifier = loads(content, folder / _CLASSIFIER, regression=spec.is_regression, further=types)
    stated = None if data.recalibration is None else (data.recalibration.slope, data.recalibration.intercept)
    if stated != ((classifier.slope, classifier.intercept) if hasattr(classifier, "slope") else None):
        raise StoreError("its manifest and its classifier have different recalibrations", path)
    digest = _digest(spec, content)  # of the spec as it was saved, which earlier versions wrote with paths
    return FittedModel(_without_paths(spec), classifier, data, reading, metrics, training, digest)


def _check_adapter(spec: TrainSpec, digest: Any, folder: Path) -> None:
    """Raise StoreError if the adapter in the folder of a model is not the one of its spec; make it available."""
    named, base = _adapter_of(spec)
    if digest != named:
        raise StoreError("its spec and its manifest name different adapters", folder / _MANIFEST)
    if digest is None:
        return
    try:
        adapter = Adapter.parse(_read(folder, ADAPTER))
    except LimitError as error:
        raise StoreError(f"not the adapter that its manifest describes: {error}", folder / ADAPTER) from error
    if adapter.digest != digest or adapter.facts.base != base:
        raise StoreError("not the adapter that its manifest describes", folder / ADAPTER)
    remember(digest, folder.absolute())


def _without_paths(spec: TrainSpec) -> TrainSpec:
    """Return a pinned spec without the paths that earlier versions saved, in which the files are still looked for."""
    pinned = [model for model in language_models(spec.extractor) if model.digest is not None]
    for model in pinned:
        suggest_folders(model)
    return spec.portable() if len(pinned) == len(language_models(spec.extractor)) else spec


def runtime_around(
    folder: Path, checkpoint: str | Path | Sequence[str | Path], runtime: RuntimeSpec | None
) -> RuntimeSpec:
    """Return a runtime that looks for language models in folders that a caller names, and beside a saved model.

    Raises
    ------
    CheckpointError
        If a folder that was named does not exist.
    """
    runtime = runtime or RuntimeSpec()
    named = [checkpoint] if isinstance(checkpoint, str | Path) else checkpoint
    places = [Path(place).expanduser().absolute() for place in named]
    for place in places:
        if not place.is_dir():
            raise CheckpointError(f"there is no folder of a checkpoint: {place}", str(place), None, [str(place)])
    home = folder.absolute()
    beside = [home, home.parent, *([home.parent.parent] if (home.parent / PANEL).is_file() else [])]
    every = dict.fromkeys([*map(str, places), *runtime.checkpoints, *map(str, beside)])
    return runtime.model_copy(update={"checkpoints": tuple(every)})


def saved_reading(folder: Path) -> Reading | None:
    """Return the chain, the fragment and the columns that a saved model reads, from its manifest alone.

    None if the manifest cannot be read; `load_model` then raises the error.
    """
    try:
        manifest = parse_json(_read(folder, _MANIFEST, _MANIFEST_BYTES))
        data, columns = manifest["data"], manifest.get("reading", {}).get("columns", [])
        return Reading(data["chain"], data["fragment"], columns=ColumnReading.from_list(columns))
    except (OSError, StoreError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(spec: TrainSpec, content: bytes) -> str:
    return hashlib.sha256(spec.fingerprint.encode() + content).hexdigest()


def manifest_digest(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own digest."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_read(number: Any) -> bool:
    return isinstance(number, int) and number in _READ_FORMATS


def _read(folder: Path, name: str, most: int | None = None) -> bytes:
    """Return the content of a saved model's file: a regular file in its folder of at most `most` bytes."""
    try:
        limit = unpacked_limit(UNPACKED, UNPACKED) if most is None else most
        return read_regular(folder / name, limit, folder)
    except LimitError as error:
        raise StoreError(str(error), folder / name) from error


def _check_parts(metrics: Any, versions: Any) -> None:
    """Raise TypeError if parts of a manifest have other types than `save` writes."""
    if not isinstance(metrics, dict | None):
        raise TypeError("metrics must be an object or null")
    if not (isinstance(versions, dict) and all(isinstance(text, str) for text in versions.values())):
        raise TypeError("versions must be texts by name")


def _check_manifest(manifest: dict[str, Any], path: Path) -> None:
    """Raise a StoreError if a manifest was changed; warn if it has no digest."""
    if manifest["format"] == FORMAT:
        if manifest["sha256"] != manifest_digest(manifest):
            raise StoreError("the manifest was changed after the model was saved", path)
        engine = manifest["reading"]["engine"]
        here = method(engines=engines_of(engine))
        if engine != here:
            warnings.warn(
                f"the training antibodies were numbered by {engine}, but this installation uses {here}",
                UserWarning,
                stacklevel=4,
            )
        return
    later = sorted({"reading", "sha256"} & manifest.keys())
    if later:
        raise StoreError(f"a manifest of format {manifest['format']} has no {later[0]!r}", path)
    warnings.warn(
        f"{path}: the model was saved in format {manifest['format']}, whose manifest has no digest; "
        "save it again to protect it against changes",
        UserWarning,
        stacklevel=4,
    )


def _reading_of_format_2(data: TrainedOn, training: Applicability | None) -> Reading:
    """Return the reading of a model of format 2, derived from the lengths of its training sequences."""
    reading = Reading(data.chain, data.fragment, engine=method(engines="anarcism"))
    if training is None:
        return replace(reading, check=reading.fragment is not None)
    lengths = [len(text) / len(ModelText.of(text).chains) for text in training.sequences]
    whole = reading.fragment is not None or float(np.median(lengths)) >= _WHOLE_CHAIN
    return replace(reading.with_lengths(training.sequences), check=whole)


def _warn_of_versions(saved: dict[str, str]) -> None:
    minor: Callable[[str], list[str]] = lambda text: text.split(".")[:2]  # noqa: E731
    for name in ("scikit-learn", "xgboost"):
        if name in saved and minor(saved[name]) != minor(version(name)):
            warnings.warn(
                f"the classifier was saved with {name} {saved[name]} and is read with {version(name)}; "
                "predictions may differ",
                UserWarning,
                stacklevel=4,
            )
