"""A fitted classifier or regressor with all that is needed to trust it: saved, loaded, applied."""

import hashlib
import json
import platform
import secrets
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.data.dataset import Dataset
from antibody_esm.embedding import as_store, embed
from antibody_esm.ensemble import AnyExtractor, load
from antibody_esm.errors import StoreError
from antibody_esm.reports.report import Report, evaluation_report
from antibody_esm.sequences import normalise
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.store.store import Store

FORMAT = 1
"""Layout of a saved model. Raise it when an older version of this package would misread a newer model."""

_MANIFEST = "manifest.json"
_CLASSIFIER = "classifier.skops"
_RECORDED = ("antibody_esm", "joblib", "numpy", "pydantic", "scikit-learn", "skops", "torch", "transformers", "xgboost")

_TRUSTED = frozenset(
    {
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
"""Types which the classifiers of this package consist of, beyond those that skops trusts by itself."""


class Predictor:
    """A fitted classifier or regressor, and the spec of the language model whose vectors it reads.

    `Trainer.fit` and `Predictor.load` make it.

    Attributes
    ----------
    spec
        What was trained, with the language model pinned to its bytes.
    classifier
        The fitted scikit-learn pipeline; class 1 is positive. A regressor's, where labels are continuous.
    data
        Source, digest and size of the training data.
    metrics
        What cross-validation had found, as `Report.summary` gives it; None if none was run.
    training
        What it was fitted on; None after `load`, since antibodies are not saved with a model.
    """

    training: Dataset | None = None

    def __init__(
        self,
        spec: TrainSpec,
        classifier: Any,
        data: dict[str, Any],
        metrics: dict[str, Any] | None = None,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        extractor: AnyExtractor | None = None,
    ) -> None:
        self.spec = spec
        self.classifier = classifier
        self.data = data
        self.metrics = metrics
        self.store = as_store(store)
        self.extractor = extractor or load(spec.extractor, runtime)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    def predict(self, sequences: Iterable[str | tuple[str, str]] | Dataset) -> NDArray[Any]:
        """Return the class ``(n,)`` of each sequence, 0 or 1; of a regressor its value, float64 in the labels' unit.

        Raises
        ------
        SequenceError
            If any sequence is not made of amino acids and X, or is too long; nothing has run by then.
        CheckpointError
            If the language model is needed and its files are not the ones of the training.
        """
        return self._apply(self._features(sequences))[0]

    def predict_proba(self, sequences: Iterable[str | tuple[str, str]] | Dataset) -> NDArray[np.float64]:
        """Return the probability ``(n, 2)`` of class 0 and class 1 for each sequence.

        Raises as `predict` does, and AttributeError of a regressor, which has no probabilities.
        """
        if self.spec.is_regression:
            raise AttributeError(f"{self.spec.classifier.kind} is a regressor, which has no probabilities; see predict")
        probability = self._apply(self._features(sequences))[1]
        assert probability is not None  # noqa: S101  since it is a classifier
        return probability

    def evaluate(self, data: Dataset) -> Report:
        """Return the scores on labelled data that had no part in training.

        Raises
        ------
        DatasetError
            If the labels are not 0 and 1, both present; of a regressor, if they are all alike.
        """
        labels(self.spec, data)  # before any work
        prediction, probability = self._apply(self._features(data))
        known = None if probability is None else probability[:, 1]
        return evaluation_report(self.spec, data, prediction, known, training=self.training)

    def _apply(self, X: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Return predictions ``(n,)`` and, of a classifier, probabilities ``(n, 2)``."""
        if len(X) == 0:
            return (np.empty(0), None) if self.spec.is_regression else (np.empty(0, np.int64), np.empty((0, 2)))
        with one_blas_thread():
            if self.spec.is_regression:
                return np.asarray(self.classifier.predict(X), np.float64), None
            return self.classifier.predict(X), np.asarray(self.classifier.predict_proba(X), np.float64)

    def _features(self, sequences: Iterable[str | tuple[str, str]] | Dataset) -> NDArray[np.float64]:
        given = sequences.sequences if isinstance(sequences, Dataset) else normalise(sequences, pairs=True)
        if not given:
            return np.empty((0, self.classifier.n_features_in_))
        return features(given, self.extractor, self.store)

    def save(self, folder: str | Path) -> Path:
        """Write the model to a folder, and return it.

        The folder holds ``manifest.json`` (format number, spec, fingerprints, versions, digests of the data and of the
        classifier, metrics) and ``classifier.skops``. Neither can run code when it is loaded.
        """
        import skops.io

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = skops.io.dumps(self.classifier)
        manifest = {
            "format": FORMAT,
            "spec": json.loads(self.spec.model_dump_json()),
            "fingerprints": {
                "train": self.spec.fingerprint,
                "extractor": self.spec.extractor.address,
                "classifier": self.spec.classifier.fingerprint,
                "split": self.spec.split.fingerprint,
            },
            "classifier_sha256": hashlib.sha256(content).hexdigest(),
            "data": self.data,
            "metrics": self.metrics,
            "versions": {"python": platform.python_version()} | {name: version(name) for name in _RECORDED},
        }
        _replace(folder / _CLASSIFIER, content)
        _replace(folder / _MANIFEST, json.dumps(manifest, indent=2, allow_nan=False).encode())
        return folder

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
    ) -> "Predictor":
        """Read a saved model. The language model is not loaded before a sequence needs it.

        Parameters
        ----------
        folder
            What `save` was given.
        store
            Where vectors are looked up and kept; None keeps them in memory.
        runtime
            Device, workers and progress bar.

        Raises
        ------
        StoreError
            If the folder is not a saved model, is of another format, was changed, or holds types that no classifier
            of this package consists of. Nothing in it is executed.
        """
        folder = Path(folder)
        path = folder / _MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
            if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
                raise StoreError(f"this version reads models of format {FORMAT}", path)
            content = (folder / _CLASSIFIER).read_bytes()
            if hashlib.sha256(content).hexdigest() != manifest["classifier_sha256"]:
                raise StoreError("not the classifier that its manifest describes", folder / _CLASSIFIER)
            spec = TrainSpec.model_validate_json(json.dumps(manifest["spec"]))
            if spec.fingerprint != manifest["fingerprints"]["train"]:
                raise StoreError("its spec is not the one it was saved with", path)
            data, metrics, versions = manifest["data"], manifest["metrics"], manifest["versions"]
        except OSError as error:
            raise StoreError(f"not a saved model: {error.strerror}", error.filename or path) from error
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"not the manifest of a saved model: {error!r}", path) from error
        _warn_of_versions(versions)
        classifier = _classifier(content, folder / _CLASSIFIER, regression=spec.is_regression)
        return cls(spec, classifier, data, metrics, store=store, runtime=runtime)


def features(sequences: list[str], extractor: AnyExtractor, store: Store) -> NDArray[np.float64]:
    """Return what a classifier reads ``(n, dim)``: vectors in float64, in which solvers converge as they should."""
    return embed(sequences, extractor, store).astype(np.float64)


def labels(spec: TrainSpec, data: Dataset) -> NDArray[Any]:
    """Return the labels ``(n,)`` that a spec learns: classes, or numbers. Raises DatasetError where they are others."""
    return data.continuous_labels() if spec.is_regression else data.binary_labels()


def _classifier(content: bytes, path: Path, *, regression: bool) -> Any:
    """Return the classifier in these bytes, of which nothing is built before all of its types are known."""
    import skops.io
    from sklearn.base import is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - _TRUSTED)
        if unknown:
            raise StoreError(f"holds types that are not trusted: {', '.join(unknown)}", path)
        classifier = skops.io.loads(content, trusted=sorted(_TRUSTED))
    except (BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"not a classifier: {error}", path) from error
    if not isinstance(classifier, Pipeline) or is_regressor(classifier) != regression:
        raise StoreError(f"not a pipeline of a {'regressor' if regression else 'classifier'}", path)
    try:
        check_is_fitted(classifier)
    except NotFittedError as error:
        raise StoreError("its pipeline is not fitted", path) from error
    if not regression and list(getattr(classifier, "classes_", [])) != [0, 1]:
        raise StoreError("not a fitted pipeline with the classes 0 and 1", path)
    return classifier


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}-{secrets.token_hex(8)}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _warn_of_versions(saved: dict[str, str]) -> None:
    minor: Callable[[str], list[str]] = lambda text: text.split(".")[:2]  # noqa: E731
    for name in ("scikit-learn", "xgboost"):
        if name in saved and minor(saved[name]) != minor(version(name)):
            warnings.warn(
                f"the classifier was saved with {name} {saved[name]} and is read with {version(name)}; "
                "predictions may differ",
                UserWarning,
                stacklevel=3,
            )
