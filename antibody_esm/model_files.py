"""Fitted models on disk: a folder of files that cannot run code."""

import hashlib
import json
import platform
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from antibody_esm.card_files import CARD, KEPT, is_free
from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.reading import Reading
from antibody_esm.errors import CheckpointError, StoreError
from antibody_esm.evaluation.applicability import Applicability
from antibody_esm.files import write
from antibody_esm.folders import replacing_folder
from antibody_esm.licences import WEIGHTS
from antibody_esm.limits import LimitError, parse_json, read_regular, unpacked_limit
from antibody_esm.model_facts import ModelFacts
from antibody_esm.model_scores import ModelScores
from antibody_esm.numbering import engines_of, method
from antibody_esm.plm.adapters import LARGEST
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.plm.resolution import suggest_folders
from antibody_esm.plugin_types import trusted_types_of
from antibody_esm.plugins import refuse_others
from antibody_esm.saved_adapters import adapter_bytes, adapter_of, check_adapter, replaced_adapter
from antibody_esm.sequences import ModelText
from antibody_esm.serialization import UNPACKED, WITHOUT, Training, dump_training, dumps, load_training, loads
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import columns_of, language_models, models_of
from antibody_esm.specs.plugins import plugins_of
from antibody_esm.trained_on import TrainedOn
from antibody_esm.training_rows import consists_of_training, fitted_plugins
from antibody_esm.unknown import Unknown
from antibody_esm.wrong_folders import of_panel, of_run

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
_RECORDED = ("antibody_esm", "joblib", "numpy", "pydantic", "scikit-learn", "skops", "torch", "transformers", "xgboost")

_NOT_HERE = "not fitted here, and not loaded with its training antibodies"
NOT_FITTED = Training(Unknown("not computed: the model was fitted with uncertainty=False"), None, None, _NOT_HERE)
"""`Training` of a model without its training antibodies."""
Card = Callable[[ModelFacts], bytes]
"""Function that writes the card of a model."""


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
    scores
        Scores of the cross-validation, or the reason why there are none.
    training
        The training antibodies, with data derived from them.
    saved_digest
        Digest of a loaded model: bytes of the same classifier differ between versions of libraries.
    places
        Folders in which the adapter of a fine-tuned language model is looked for.
    origin
        Repository and commit on the hub; empty for a model that was fitted here.
    """

    spec: TrainSpec
    classifier: Any
    data: TrainedOn
    reading: Reading
    scores: ModelScores
    training: Training
    saved_digest: str | None = None
    places: tuple[str, ...] = ()
    origin: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the spec and the bytes of the classifier, which determine all predictions."""
        return self.saved_digest or _digest(self.spec, dumps(self.classifier))


def ledger_of(folder: Path) -> Path:
    """Return the path of a saved model's log of test sets."""
    return folder / "openings.jsonl"


class ModelFolder(NamedTuple):
    """Content of a saved model, before it is written."""

    files: dict[str, bytes]
    """Content of each file by name, with the card."""
    facts: ModelFacts
    description: str
    """Description of the saved training data."""


def save_model(model: FittedModel, folder: Path, *, training: bool, card: Card) -> str:
    """Write a model, and return a description of the saved training data; see `Predictor.save`.

    A README that is no card, or an edited one, stays; the description then states that.
    """
    saved, free = saved_model(model, training=training, card=card), is_free(folder)
    adapter = replaced_adapter(folder, needed=ADAPTER in saved.files)
    with replacing_folder(folder, (*FILES[:-1], *adapter, PANEL, *([CARD] if free else []))) as new:
        for name, content in saved.files.items():
            if free or name != CARD:
                write(new / name, content)
    return saved.description + ("" if free else KEPT)


def saved_model(model: FittedModel, *, training: bool, card: Card) -> ModelFolder:
    """Return the files of a model as `save_model` writes them."""
    spec, scores = model.spec.portable(), model.scores.value
    (adapter, _), adapter_file = adapter_of(spec), adapter_bytes(spec, model.places)
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
        "metrics": model.scores.metrics,
        **({"without_scores": scores.reason} if isinstance(scores, Unknown) else {}),
        **({"origin": model.origin} if model.origin else {}),
        "licences": {name: _licence(name) for name in models_of(spec.extractor)},
        **({"plugins": {each.package: each.version for each in plugins_of(spec)}} if plugins_of(spec) else {}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _RECORDED},
    }
    manifest["sha256"] = manifest_digest(manifest)
    description = _with_or_without(model, training)
    facts = ModelFacts.of(manifest, spec, Reading.from_dict(manifest["reading"]), _threshold(model), description)
    text = json.dumps(manifest, indent=2, allow_nan=False).encode()
    files = {_CLASSIFIER: content, _TRAINING: training_bytes, **adapter_file, _MANIFEST: text, CARD: card(facts)}
    return ModelFolder(files, facts, description)


def facts_of(folder: Path) -> ModelFacts:
    """Return the facts of a saved model, from its manifest; raises as `load_model` does."""
    model, manifest = _loaded(folder)
    return ModelFacts.of(manifest, model.spec, model.reading, _threshold(model), _with_or_without(model, True))


def _threshold(model: FittedModel) -> float | None:
    """Return the smallest probability at which class 1 is predicted; None for continuous labels."""
    if model.spec.is_regression:
        return None
    again = model.data.recalibration
    return float(getattr(model.classifier, "threshold_", 0.5)) if again is None else again.threshold


def _licence(model: str) -> dict[str, str | bool] | None:
    """Return the licence of a language model's weights; None if it is not known here."""
    return WEIGHTS[model].to_dict() if model in WEIGHTS else None


def _with_or_without(model: FittedModel, training: bool) -> str:
    """Return a description of the saved training data."""
    kinds, antibodies = consists_of_training(model.spec), model.training.antibodies
    plugins = fitted_plugins(model.spec)
    inside = f"; but {kinds} itself consists of vectors and labels of them" if kinds else ""
    inside += f"; but the plugin {plugins} may hold vectors and labels of them" if plugins else ""
    if not training or (antibodies is None and model.training.applicability is None):
        return f"without its training antibodies{inside}"
    if antibodies is None or antibodies.label is None:
        return "with its training antibodies (sequences, vectors), without their labels"
    return f"with its {len(antibodies):,} training antibodies (sequences, labels, vectors)"


def load_model(folder: Path, plugins: Sequence[str] = (), *, lasting: bool = True) -> FittedModel:
    """Return a model that `save_model` wrote, without running code of it; raises as `Predictor.load` does.

    `plugins` names packages whose code it may use, see `antibody_esm.plugins`. The adapter of a folder that does not
    last is kept in memory.
    """
    return _loaded(folder, plugins, lasting=lasting)[0]


def _loaded(folder: Path, plugins: Sequence[str] = (), *, lasting: bool = True) -> tuple[FittedModel, dict[str, Any]]:
    """Return a model and its manifest."""
    path = folder / _MANIFEST
    if (folder / PANEL).is_file() and not path.exists():
        raise StoreError(of_panel(folder, _MANIFEST), folder)
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
        adapter = manifest.get("adapter_sha256")
        adapted = b"" if adapter is None else _read(folder, ADAPTER, LARGEST)
        check_adapter(spec, adapter, folder, adapted, lasting=lasting)
        if spec.fingerprint != manifest["fingerprints"]["train"]:
            raise StoreError("its spec is not the one it was saved with", path)
        data, metrics, versions = TrainedOn.from_dict(manifest["data"]), manifest["metrics"], manifest["versions"]
        origin = manifest.get("origin", "")
        _check_parts(metrics, versions, manifest.get("without_scores", ""), origin)
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
        meant = "" if path.exists() else of_run(folder, _MANIFEST, PANEL)
        raise StoreError(f"not a saved model: {error.strerror}{meant}", error.filename or path) from error
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
    scores = ModelScores.of(Unknown(manifest["without_scores"]) if "without_scores" in manifest else metrics)
    model = FittedModel(_without_paths(spec), classifier, data, reading, scores, training, digest, origin=origin)
    return model, manifest


def _without_paths(spec: TrainSpec) -> TrainSpec:
    """Return a pinned spec without the paths that earlier versions saved, in which the files are still looked for."""
    pinned = [model for model in language_models(spec.extractor) if model.digest is not None]
    for model in pinned:
        suggest_folders(model)
    return spec.portable() if len(pinned) == len(language_models(spec.extractor)) else spec


def runtime_around(
    folder: Path | None, checkpoint: str | Path | Sequence[str | Path], runtime: RuntimeSpec | None
) -> RuntimeSpec:
    """Return a runtime that looks for language models in folders that a caller names, and beside a saved model.

    The folder of a model that is nowhere on this computer is None.

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
    beside: list[Path] = []
    if folder is not None:
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


def _check_parts(metrics: Any, versions: Any, *texts: Any) -> None:
    """Raise TypeError if parts of a manifest have other types than `save` writes."""
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("the reason of absent scores, and the origin, must be texts")
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
