"""A fitted classifier or regressor with all that is needed to trust it: saved, loaded, applied."""

import hashlib
import json
import platform
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.fragments import read_as, read_dataset_by, refuse_rows
from antibody_esm.data.reading import Chains, Reading, Texts, refuse
from antibody_esm.data.tables import chain_columns, ids_of
from antibody_esm.embedding import as_store, embed
from antibody_esm.errors import DatasetError, StoreError, place
from antibody_esm.evaluation.applicability import FAR, Applicability
from antibody_esm.evaluation.calibration import chosen_threshold, tuned_here
from antibody_esm.evaluation.ledger import Ledger, Opening
from antibody_esm.evaluation.uncertainty import CONFIDENCE, Uncertainty
from antibody_esm.features.sources import AnyExtractor, load
from antibody_esm.files import write
from antibody_esm.folders import replacing_folder
from antibody_esm.limits import LimitError, parse_json, read_regular, unpacked_limit
from antibody_esm.numbering import method
from antibody_esm.reports.report import UNCHECKED, Report, evaluation_report
from antibody_esm.sequences import BETWEEN, normalise
from antibody_esm.serialization import UNPACKED, WITHOUT, Training, dump_training, dumps, load_training, loads
from antibody_esm.specs import RuntimeSpec, TrainSpec
from antibody_esm.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import TypeIs

    Antibodies = Iterable[str | tuple[str, str]] | Dataset | pd.DataFrame

FORMAT = 3
"""Layout of a saved model. Raise it when an older version of this package would misread a newer model."""

_MANIFEST = "manifest.json"
_CLASSIFIER = "classifier.skops"
_TRAINING = "training.npz"
_LEDGER = "openings.jsonl"
_READ_FORMATS = (2, FORMAT)
_MANIFEST_BYTES = 16 * 10**6
_MESSAGE = 300
_WHOLE_CHAIN = 80
"""Median length of training sequences from which on a model of format 2 is taken to read whole chains."""
_HINT = ". `score_table` scores the others; check=False reads what numbering does not recognise"
_OF_TRAINING_ROWS = ("knn", "gaussian_process", "gaussian_process_regressor", "svr")
"""Classifiers and regressors that hold vectors of training antibodies."""
_RECORDED = ("antibody_esm", "joblib", "numpy", "pydantic", "scikit-learn", "skops", "torch", "transformers", "xgboost")


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
        Source, digest, size, chain and fragment of the training data.
    reading
        Chain, fragment and numbering by which antibodies are read, the same in training and here.
    metrics
        What cross-validation had found, as `Report.summary` gives it; None if none was run.
    training
        What it was fitted on; after `load`, the sequences that the model reads and their labels. None in a model that
        was saved without them.
    unknown
        Reason why training antibodies or their labels are unknown; empty if they are known.
    ledger
        Which test sets were opened with this model; beside it once it is saved.
    uncertainty
        What scores of the training antibodies out of fold say of how sure the model is; or why it does not know.
    applicability
        The training antibodies, to which others are compared; None in a model that was saved without them.
    """

    training: Dataset | None = None
    uncertainty: Uncertainty | str = "nobody asked for it when the model was fitted"
    applicability: Applicability | None = None
    unknown: str = "not fitted here, and not loaded with its training antibodies"

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
        reading: Reading | None = None,
    ) -> None:
        self.spec = spec
        self.reading = reading or Reading(data["chain"], data["fragment"])
        self.classifier = classifier
        self.data = data
        self.metrics = metrics
        self.store = as_store(store)
        self.extractor = extractor or load(spec.extractor, runtime)
        self.ledger = Ledger()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    def predict(
        self,
        sequences: "Antibodies",
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
    ) -> NDArray[Any]:
        """Return the class ``(n,)`` of each sequence, 0 or 1; of a regressor its value, float64 in the labels' unit.

        Parameters
        ----------
        sequences
            Single chains, or pairs of heavy and light; or a `Dataset`; or a DataFrame with columns ``heavy`` and
            ``light`` (``sequence``, where one chain is read) and maybe ``id``. The chain and the fragment that the
            model was trained on are read of each, see `reading`.
        threshold
            Probability from which on the class is 1; None: as the model decides.
        assay
            ``elisa`` or ``psr``: the threshold that earlier work used, see `evaluation.calibration.ASSAY_THRESHOLDS`;
            `threshold` wins.
        check
            Whether numbering decides if each antibody is the molecule that the model reads; None: as in training.

        Raises
        ------
        DatasetError
            If an antibody is not what the model reads, or has not the whole fragment: its message lists the rows, its
            `reasons` has all of them.
        SequenceError
            If any sequence is not made of amino acids and X, or is too long; nothing has run by then.
        CheckpointError
            If the language model is needed and its files are not the ones of the training.
        ValueError
            If there is no such assay, or a threshold is not a probability, or is given to a regressor.
        """
        return self._apply(self.vectors(sequences, check=check), self._threshold(threshold, assay))[0]

    def predict_proba(self, sequences: "Antibodies", *, check: bool | None = None) -> NDArray[np.float64]:
        """Return the probability ``(n, 2)`` of class 0 and class 1 for each sequence.

        Raises as `predict` does, and AttributeError of a regressor, which has no probabilities.
        """
        if self.spec.is_regression:
            raise AttributeError(f"{self.spec.classifier.kind} is a regressor, which has no probabilities; see predict")
        probability = self._apply(self.vectors(sequences, check=check), None)[1]
        assert probability is not None  # noqa: S101  since it is a classifier
        return probability

    def score_table(
        self,
        sequences: "Antibodies",
        *,
        threshold: float | None = None,
        assay: str | None = None,
        confidence: float = CONFIDENCE,
        check: bool | None = None,
    ) -> "pd.DataFrame":
        """Return predictions of antibodies with all that tells how far to trust them, one row each, in input order.

        An antibody that is not what the model reads has no prediction: its numbers are NaN, and its warning is the
        reason.

        Parameters
        ----------
        sequences
            As for `predict`.
        threshold, assay
            As for `predict`.
        confidence
            Of conformal sets and intervals, above 0 and below 1.
        check
            As for `predict`.

        Returns
        -------
        ``id`` (else rows are numbered); of a classifier ``prediction``, ``probability``, ``calibrated`` with the ends
        of its Venn-Abers interval ``calibrated_low`` and ``calibrated_high``, and ``conformal_set`` (``0``, ``1``, ``0
        or 1``, ``neither``); of a regressor ``prediction``, ``low`` and ``high``; then ``distance`` to the training
        antibodies (the share of them that are nearer to their own neighbours), ``identity`` to the nearest one (of
        pairs, that of the heavy chains), and ``warning``, empty where there is nothing to say. What the model does not
        know is missing; if that is the identity, the warning has the reason.

        Raises
        ------
        DatasetError
            If a table has not the columns, or a `Dataset` is of another chain or fragment.
        SequenceError, CheckpointError, ValueError
            As `predict` does.
        """
        ids, texts = self.read(sequences, check=check)
        table = self.score_read(texts.accepted, threshold=threshold, assay=assay, confidence=confidence)
        if texts.reasons:
            table = table.set_axis(texts.rows).reindex(range(len(ids)))
            table["warning"] = [texts.reasons.get(row, text) for row, text in enumerate(table["warning"])]
            if "conformal_set" in table:
                table["conformal_set"] = table["conformal_set"].fillna("")
        table.insert(0, "id", ids)
        return table

    def score_read(
        self,
        given: list[str],
        *,
        threshold: float | None = None,
        assay: str | None = None,
        confidence: float = CONFIDENCE,
    ) -> "pd.DataFrame":
        """Return `score_table` of texts as the model reads them, without ids; they are neither cut nor checked."""
        import pandas as pd

        X = self._features(given)
        prediction, probability = self._apply(X, self._threshold(threshold, assay))
        columns: dict[str, Any] = {"prediction": prediction}
        if probability is None:
            columns |= self._of_value(prediction, confidence)
        else:
            columns |= self._of_probability(probability[:, 1], confidence)
        distance, identity = np.full((2, len(given)), np.nan)
        trained = [False] * len(given)
        if self.applicability is not None:
            distance, identity = self.applicability.distance(X), self.applicability.identity(given)
            trained = self.applicability.holds(given)
        no_identity = "" if self.applicability is not None and self.applicability.complete else self.unknown
        rows = zip(given, distance.tolist(), identity.tolist(), trained, strict=True)
        said = [_warning(*row, no_identity) for row in rows]
        return pd.DataFrame(columns | {"distance": distance, "identity": identity, "warning": said})

    def _of_probability(self, probability: NDArray[np.float64], confidence: float) -> dict[str, Any]:
        columns: dict[str, Any] = {"probability": probability}
        if not isinstance(self.uncertainty, Uncertainty) or not len(probability):
            nothing = np.full(len(probability), np.nan)
            return (
                columns
                | dict.fromkeys(("calibrated", "calibrated_low", "calibrated_high"), nothing)
                | {"conformal_set": [""] * len(probability)}
            )
        low, calibrated, high = self.uncertainty.calibrated(probability).T
        names = {(False, False): "neither", (True, False): "0", (False, True): "1", (True, True): "0 or 1"}
        sets = [names[bool(zero), bool(one)] for zero, one in self.uncertainty.sets(probability, confidence)]
        return columns | {
            "calibrated": calibrated,
            "calibrated_low": low,
            "calibrated_high": high,
            "conformal_set": sets,
        }

    def _of_value(self, value: NDArray[np.float64], confidence: float) -> dict[str, Any]:
        if not isinstance(self.uncertainty, Uncertainty) or not len(value):
            return dict.fromkeys(("low", "high"), np.full(len(value), np.nan))
        low, high = self.uncertainty.intervals(value, confidence).T
        return {"low": low, "high": high}

    def read(self, sequences: "Antibodies", *, check: bool | None = None) -> tuple[list[str], Texts]:
        """Return the id of each antibody, and the text that the model reads of it or the reason why it is refused.

        Parameters
        ----------
        sequences, check
            As for `predict`.

        Raises
        ------
        DatasetError
            If a table has not the columns, or a `Dataset` is of another chain or fragment.
        SequenceError
            If any sequence is not made of amino acids and X.
        """
        if isinstance(sequences, Dataset):
            return list(sequences.ids), read_dataset_by(self.reading, sequences, check)
        if _is_frame(sequences):
            ids, given = self._columns(sequences)
        else:
            given = list[Any](normalise(sequences, pairs=True))
            ids = [str(row) for row in range(len(given))]
        return ids, self.reading.read(given, check=check)

    def _columns(self, frame: "pd.DataFrame") -> tuple[list[str], list[Chains]]:
        """Return ids, and the chains of a table in normal form, None where a cell is empty."""
        columns = {
            name: list(column)
            for name, column in chain_columns(frame, self.reading.chain, fragment=self.reading.fragment).items()
        }
        ids = ids_of(frame)
        data = Dataset([str(row) for row in range(len(ids))], columns.get("heavy"), columns.get("light"))
        return ids, data.chains

    def evaluate(
        self,
        data: Dataset,
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
        drop: bool = False,
    ) -> Report:
        """Return the scores on labelled data that had no part in training.

        That the data were opened is noted in `ledger`, and the report says how often they were. The same model on the
        same data with the same threshold is the same opening.

        Parameters
        ----------
        data
            Labelled antibodies.
        threshold, assay, check
            As for `predict`.
        drop
            Leave antibodies out that the model does not read, with the reason in the provenance, instead of refusing.

        Raises
        ------
        DatasetError
            If the labels are not 0 and 1, both present; of a regressor, if they are all alike; or if an antibody is not
            what the model reads.
        """
        labels(self.spec, data)  # before any work
        texts = read_dataset_by(self.reading, data, check)
        if not drop:
            refuse_rows(data, texts, f"are not what the model reads ({self.reading})", _HINT)
        data = read_as(data, self.reading, texts)
        cut = self._threshold(threshold, assay)
        prediction, probability = self._apply(self._features(data.sequences), cut)
        known = None if probability is None else probability[:, 1]
        notes, openings = self._opened(data, cut, self.reading.check if check is None else check)
        return evaluation_report(
            self.spec,
            data,
            prediction,
            known,
            notes,
            training=self.training,
            openings=openings,
            threshold=cut,
            unknown=self.unknown,
        )

    def _opened(self, data: Dataset, cut: float | None, checked: bool) -> tuple[tuple[str, ...], int]:
        """Note that these data were opened; return what a reader of scores should know of that, and how often."""
        source = data.provenance.source
        self.ledger.record(Opening(source, data.digest, self.digest, cut))
        warning = tuned_here(cut, data)
        if warning is not None:
            warnings.warn(warning, UserWarning, stacklevel=3)
        notes = [warning] if warning else []
        if not checked:
            notes.append(UNCHECKED)
        if data.digest == self.data["digest"]:
            notes.append("These are the data that the model was trained on; scores say nothing of others.")
        return (*notes, self.ledger.note(source)), self.ledger.count(source)

    def _threshold(self, threshold: float | None, assay: str | None) -> float | None:
        cut = chosen_threshold(threshold, assay)
        if cut is not None and self.spec.is_regression:
            raise ValueError(f"{self.spec.classifier.kind} is a regressor, which has no threshold")
        return cut

    def _apply(self, X: NDArray[np.float64], cut: float | None) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Return predictions ``(n,)`` and, of a classifier, probabilities ``(n, 2)``."""
        if len(X) == 0:
            return (np.empty(0), None) if self.spec.is_regression else (np.empty(0, np.int64), np.empty((0, 2)))
        with one_blas_thread():
            if self.spec.is_regression:
                return np.asarray(self.classifier.predict(X), np.float64), None
            probability = np.asarray(self.classifier.predict_proba(X), np.float64)
            prediction = self.classifier.predict(X) if cut is None else (probability[:, 1] >= cut).astype(np.int64)
            return prediction, probability

    def vectors(self, sequences: "Antibodies", *, check: bool | None = None) -> NDArray[np.float64]:
        """Return the features ``(n, dim)`` that the classifier reads; takes and raises what `predict` does."""
        ids, texts = self.read(sequences, check=check)
        named = isinstance(sequences, Dataset) or _is_frame(sequences)
        places = (lambda rows: {row: place(row, ids[row], noun="antibody") for row in rows}) if named else None
        refuse(texts, f"are not what the model reads ({self.reading})", _HINT, places)
        return self._features(texts.accepted)

    def predict_read(self, texts: list[str]) -> NDArray[np.float64]:
        """Return the probability of class 1, or a regressor's value, ``(n,)``, of texts as the model reads them.

        For mutants of what `reads` gives, which are neither cut nor checked again.
        """
        prediction, probability = self._apply(self._features(texts), None)
        return np.asarray(prediction, np.float64) if probability is None else probability[:, 1]

    def reads(self, antibody: str | tuple[str, str], *, check: bool | None = None) -> str:
        """Return the text that the model reads of an antibody, in normal form.

        Raises
        ------
        SequenceError
            If it is not made of amino acids and X.
        DatasetError
            If it is not what the model reads, or has not the whole fragment.
        """
        texts = self.read([antibody], check=check)[1]
        if texts.reasons:
            raise DatasetError(f"not what the model reads ({self.reading}): {texts.reasons[0]}", reasons=texts.reasons)
        return texts.accepted[0]

    def _features(self, given: list[str]) -> NDArray[np.float64]:
        if not given:
            return np.empty((0, self.classifier.n_features_in_))
        return features(given, self.extractor, self.store)

    def save(self, folder: str | Path, *, training: bool = True) -> Path:
        """Write the model to a folder, and return it.

        The folder holds ``manifest.json`` (format number, spec, fingerprints, versions, digests of the data and of the
        other files, metrics), ``classifier.skops`` and ``training.npz`` (scores of the training antibodies out of fold,
        their sequences, labels and vectors). None of them can run code when it is loaded. The same training gives the
        same bytes. A ledger of opened test sets, ``openings.jsonl``, lies beside them. An earlier model in the folder
        is replaced as a whole when the new one is written; the ledger, and files that are no model's, are kept. A line
        is printed that says whether the training antibodies were saved.

        Parameters
        ----------
        folder
            Is made where it is not there.
        training
            False leaves sequences, labels and vectors of the training antibodies out. Identity and distance to these,
            baselines of a test and its overlap with the training are then unknown. Of `uncertainty`, sorted scores of
            each class stay, or sorted residuals, which belong to no antibody. Some classifiers consist of vectors and
            labels of the training (nearest neighbours, support vectors, Gaussian processes); a printed line says so.
        """
        folder = Path(folder)
        print(f"Saved to {folder}, {self.write(folder, training=training)}.")  # noqa: T201
        return folder

    def write(self, folder: str | Path, *, training: bool = True) -> str:
        """Write the model as `save` does, and return in words which facts of the training antibodies are saved."""
        folder = Path(folder)
        content = dumps(self.classifier)
        known = dump_training(
            Training(self.uncertainty, self.applicability, self.training, self.unknown)
            if training
            else Training(self.uncertainty, None, None, WITHOUT)
        )
        manifest = {
            "format": FORMAT,
            "spec": json.loads(self.spec.model_dump_json()),
            "fingerprints": {
                "train": self.spec.fingerprint,
                "extractor": self.spec.extractor.address,
                "classifier": self.spec.classifier.fingerprint,
                "split": self.spec.split.fingerprint,
                "decision": self.spec.decision.fingerprint,
            },
            "classifier_sha256": hashlib.sha256(content).hexdigest(),
            "training_sha256": hashlib.sha256(known).hexdigest(),
            "data": self.data,
            "reading": self.reading.to_dict(),
            "metrics": self.metrics,
            "versions": {"python": platform.python_version()} | {name: version(name) for name in _RECORDED},
        }
        manifest["sha256"] = _manifest_digest(manifest)
        with replacing_folder(folder, (_MANIFEST, _CLASSIFIER, _TRAINING)) as new:
            write(new / _CLASSIFIER, content)
            write(new / _TRAINING, known)
            write(new / _MANIFEST, json.dumps(manifest, indent=2, allow_nan=False).encode())
        self.ledger.move(folder / _LEDGER)
        return self._with_or_without(training)

    def _with_or_without(self, training: bool) -> str:
        """Return in words which facts of the training antibodies are saved."""
        kind = self.spec.classifier.kind
        inside = f"; but {kind} itself consists of vectors and labels of them" if kind in _OF_TRAINING_ROWS else ""
        if not training or (self.training is None and self.applicability is None):
            return f"without its training antibodies{inside}"
        if self.training is None or self.training.label is None:
            return "with its training antibodies (sequences, vectors), without their labels"
        return f"with its {len(self.training):,} training antibodies (sequences, labels, vectors)"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the spec and the bytes of the classifier: what the predictions depend on."""
        return _digest(self.spec, dumps(self.classifier))

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
            manifest = parse_json(_read(folder, _MANIFEST, _MANIFEST_BYTES))
            if not isinstance(manifest, dict) or not _is_read(manifest.get("format")):
                raise StoreError(f"this version reads models of format {' and '.join(map(str, _READ_FORMATS))}", path)
            _check_manifest(manifest, path)
            content = _read(folder, _CLASSIFIER)
            if hashlib.sha256(content).hexdigest() != manifest["classifier_sha256"]:
                raise StoreError("not the classifier that its manifest describes", folder / _CLASSIFIER)
            known = _read(folder, _TRAINING)
            if hashlib.sha256(known).hexdigest() != manifest["training_sha256"]:
                raise StoreError("not the training antibodies that its manifest describes", folder / _TRAINING)
            spec = TrainSpec.model_validate_json(json.dumps(manifest["spec"]))
            if spec.fingerprint != manifest["fingerprints"]["train"]:
                raise StoreError("its spec is not the one it was saved with", path)
            data, metrics, versions = manifest["data"], manifest["metrics"], manifest["versions"]
            _check_parts(data, metrics, versions)
            older = manifest["format"] != FORMAT
            reading = None if older else Reading.from_dict(manifest["reading"])
            species = None if reading is None else reading.species
            training = load_training(known, folder / _TRAINING, data, species, of_format_2=older)
            reading = reading or _reading_of_format_2(data, training.applicability)
            if (folder / _LEDGER).is_symlink() or (folder / _LEDGER).exists():
                _read(folder, _LEDGER)
        except OSError as error:
            raise StoreError(f"not a saved model: {error.strerror}", error.filename or path) from error
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problem = repr(error)[:_MESSAGE]
            raise StoreError(f"not the manifest of a saved model: {problem}", path) from error
        _warn_of_versions(versions)
        classifier = loads(content, folder / _CLASSIFIER, regression=spec.is_regression)
        loaded = cls(spec, classifier, data, metrics, store=store, runtime=runtime, reading=reading)
        loaded.ledger, loaded.digest = Ledger(folder / _LEDGER), _digest(spec, content)
        loaded.uncertainty, loaded.applicability, loaded.training, loaded.unknown = training
        return loaded


def features(sequences: list[str], extractor: AnyExtractor, store: Store) -> NDArray[np.float64]:
    """Return what a classifier reads ``(n, dim)``: vectors in float64, in which solvers converge as they should."""
    return embed(sequences, extractor, store).astype(np.float64)


def labels(spec: TrainSpec, data: Dataset) -> NDArray[Any]:
    """Return the labels ``(n,)`` that a spec learns: classes, or numbers. Raises DatasetError where they are others."""
    return data.continuous_labels() if spec.is_regression else data.binary_labels()


def _is_frame(given: "Antibodies") -> "TypeIs[pd.DataFrame]":
    """Return whether it is a table, without importing pandas, which no table comes without."""
    return "pandas" in sys.modules and isinstance(given, sys.modules["pandas"].DataFrame)


def _warning(sequence: str, distance: float, identity: float, trained: bool, no_identity: str) -> str:
    """Return what a reader of a row should know, empty if nothing."""
    said = []
    if trained:
        said.append("is a training antibody")
    elif identity == 1 and BETWEEN in sequence:
        said.append("has the heavy chain of a training antibody")
    elif distance > FAR:
        said.append(f"farther from the training antibodies than {FAR:.0%} of them from each other")
    if no_identity and identity != 1:
        said.append(f"identity unknown: {no_identity}")
    if unknown := sequence.count("X"):
        said.append(f"{unknown} unknown residues")
    return "; ".join(said)


def _digest(spec: TrainSpec, content: bytes) -> str:
    return hashlib.sha256(spec.fingerprint.encode() + content).hexdigest()


def _manifest_digest(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own digest."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_read(number: Any) -> bool:
    return isinstance(number, int) and number in _READ_FORMATS


def _read(folder: Path, name: str, most: int | None = None) -> bytes:
    """Return a file of a saved model: a regular one that lies in its folder. `most` is the most bytes it has."""
    try:
        limit = unpacked_limit(UNPACKED, UNPACKED) if most is None else most
        return read_regular(folder / name, limit, folder)
    except LimitError as error:
        raise StoreError(str(error), folder / name) from error


def _check_parts(data: Any, metrics: Any, versions: Any) -> None:
    """Raise TypeError if the parts of a manifest are of other types than `save` writes."""
    if not isinstance(data, dict) or not {"source", "digest", "chain", "fragment"} <= data.keys():
        raise TypeError("data has source, digest, chain and fragment")
    if not (isinstance(data["source"], str) and isinstance(data["digest"], str)):
        raise TypeError("source and digest of the data are text")
    if not isinstance(metrics, dict | None):
        raise TypeError("metrics are an object or null")
    if not (isinstance(versions, dict) and all(isinstance(text, str) for text in versions.values())):
        raise TypeError("versions are text by name")


def _check_manifest(manifest: dict[str, Any], path: Path) -> None:
    """Raise a StoreError where a manifest is not as it was saved; warn where that cannot be known."""
    if manifest["format"] == FORMAT:
        if manifest["sha256"] != _manifest_digest(manifest):
            raise StoreError("was changed after the model was saved", path)
        if manifest["reading"]["engine"] != method():
            warnings.warn(
                f"antibodies were numbered by {manifest['reading']['engine']} in training, and are by {method()} here",
                UserWarning,
                stacklevel=3,
            )
        return
    later = sorted({"reading", "sha256"} & manifest.keys())
    if later:
        raise StoreError(f"a manifest of format {manifest['format']} has no {later[0]!r}", path)
    warnings.warn(
        f"{path}: the model was saved in format {manifest['format']}, whose manifest is under no digest; "
        "save it again to protect it against changes",
        UserWarning,
        stacklevel=3,
    )


def _reading_of_format_2(data: dict[str, Any], training: Applicability | None) -> Reading:
    """Return the reading of a model of format 2, which has none; sequences of training are as long as its fragment."""
    reading = Reading(data["chain"], data["fragment"])
    if training is None:
        return replace(reading, check=reading.fragment is not None)
    chains = [len(text) / (1 + text.count(BETWEEN)) for text in training.sequences]
    whole = reading.fragment is not None or float(np.median(chains)) >= _WHOLE_CHAIN
    return replace(reading.with_lengths(training.sequences), check=whole)


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
