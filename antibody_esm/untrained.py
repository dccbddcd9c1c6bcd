"""Baselines with another language model: random weights in place of trained ones, or the model before fine-tuning.

A pipeline that is no better than one with random weights owes its score to the architecture (residues, their places,
and the number of features), and nothing to pre-training. One that is no better than the frozen model owes nothing to
its fine-tuning. Classifier, folds, columns, decision and view are those of the pipeline. Vectors are stored like all
others, under an address of their own.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.data.antibodies import Inputs
from antibody_esm.data.column_reading import ColumnReading
from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.baselines import BaselineName, Prediction, label_of
from antibody_esm.evaluation.cross_validation import CrossValidation, fit
from antibody_esm.evaluation.metrics import score, score_continuous
from antibody_esm.evaluation.splits import Division
from antibody_esm.features.sources import AnyExtractor, load, readers
from antibody_esm.model_input import features, with_widths
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.resolution import find
from antibody_esm.plm.schedule import is_watched
from antibody_esm.same_vectors import classifier_of
from antibody_esm.specs import (
    AnyExtractorSpec,
    ChainSpec,
    EnsembleSpec,
    ExtractorSpec,
    RuntimeSpec,
    SplitSpec,
    TrainSpec,
)
from antibody_esm.specs.ensembles import columns_of, language_models, without_adapter, without_columns
from antibody_esm.specs.local_models import is_published
from antibody_esm.store.store import Store

logger = logging.getLogger("antibody_esm")
T = TypeVar("T")

NAMES: tuple[BaselineName, ...] = ("random_weights", "random_weights_1", "random_weights_2")
"""Names of the baselines of random weights, one for each seed from 0."""
FROZEN: BaselineName = "frozen"
"""Name of the pipeline without fine-tuning."""


def untrained(spec: AnyExtractorSpec, seed: int = 0) -> AnyExtractorSpec | None:
    """Return the spec with random weights in place of trained ones; None without a language model.

    Other models of an ensemble, or of the other chain, have other seeds, `seed` plus 3 for each further model; views of
    one model are views of one random model. Descriptors and columns stay.

    Examples
    --------
    >>> untrained(ExtractorSpec(model="antiberty", layer=4))
    ExtractorSpec(model='antiberty', layer=4, random_weights=0)
    """
    spec = without_adapter(spec)
    models = list(dict.fromkeys(model.of_one_pass for model in language_models(spec)))
    if not models:
        return None

    def twin(model: ExtractorSpec) -> ExtractorSpec:
        return _random(model, seed + len(NAMES) * models.index(model.of_one_pass))

    def twin_of(member: Any) -> Any:
        if isinstance(member, ChainSpec):
            return ChainSpec(heavy=twin(member.heavy), light=twin(member.light))
        return twin(member) if isinstance(member, ExtractorSpec) else member

    if isinstance(spec, EnsembleSpec):
        return EnsembleSpec(members=tuple(map(twin_of, spec.members)), combine=spec.combine)
    return twin_of(spec)  # type: ignore[no-any-return]  # as no member is a column


def _random(spec: ExtractorSpec, seed: int) -> ExtractorSpec:
    """Return the random twin of a model; a model that is random already gets another seed."""
    own = 0 if spec.random_weights is None else spec.random_weights + 1
    frozen = {"adapter": None, "pooling": "mean"} if spec.adapter is not None else {}
    return spec.model_copy(update={"random_weights": (own + seed) % 2**32, "digest": None, **frozen})


@dataclass(frozen=True, eq=False, repr=False)
class Untrained:
    """Baselines of a pipeline that differ from it in the language model.

    Attributes
    ----------
    spec
        Spec of the pipeline, with the columns that it reads.
    store, runtime
        Those of the pipeline.
    seeds
        Number of baselines with random weights, each with another seed; 0 to 3.
    trained
        Extractor of the pipeline, from whose pace the duration is estimated; None for no estimate.
    validate
        Function that cross-validates a pipeline, tuned or not, as the trained one was; None for tests alone.
    """

    spec: TrainSpec
    store: Store
    runtime: RuntimeSpec
    seeds: int = 1
    trained: AnyExtractor | None = None
    validate: Callable[[TrainSpec, Dataset], CrossValidation] | None = None

    def cross_validated(self, data: Dataset) -> Mapping[BaselineName, Callable[[], CrossValidation]]:
        """Return functions that compute the cross-validation of each baseline, on the folds of the pipeline."""
        return self._each(partial(self._folds, data))

    def tested(
        self, training: Dataset | None, data: Dataset, columns: ColumnReading | None = None
    ) -> Mapping[BaselineName, Callable[[], Prediction]]:
        """Return functions that fit each baseline on a training set and predict other data.

        Parameters
        ----------
        training, data
            Labelled antibodies; without a training set, or its labels, there are no baselines.
        columns
            Reading of the columns of `data`; None is that of the training set.
        """
        if training is None or training.label is None:
            return {}
        return self._each(partial(self._test, training, data, columns))

    def _each(self, compute: Callable[[AnyExtractorSpec], T]) -> dict[BaselineName, Callable[[], T]]:
        if not 0 <= self.seeds <= len(NAMES):
            raise ValueError(f"random_seeds must be 0 to {len(NAMES)}, not {self.seeds}")
        twins = [(name, untrained(self.spec.extractor, seed)) for seed, name in enumerate(NAMES[: self.seeds])]
        if self.spec.frozen != self.spec:
            twins.append((FROZEN, self.spec.frozen.extractor))
        return {name: partial(compute, twin) for name, twin in twins if twin is not None}

    def _folds(self, data: Dataset, twin: AnyExtractorSpec) -> CrossValidation:
        assert self.validate is not None  # noqa: S101  as the caller knows
        twin = with_files(twin, self.spec.extractor, self.runtime.checkpoints)
        self._announce(self._loaded(twin, data.species), data.sequences)
        return self.validate(self.spec.frozen.model_copy(update={"extractor": twin}), data)

    def _test(
        self, training: Dataset, data: Dataset, columns: ColumnReading | None, twin: AnyExtractorSpec
    ) -> Prediction:
        continuous = self.spec.is_regression
        label, tested = label_of(training, continuous), label_of(data, continuous)
        own = ColumnReading.of(columns_of(twin), training.columns)
        X, spec = self._features(training, twin, own, training.species)
        others, _ = self._features(data, twin, columns or own, training.species)
        # clusters of many sequences take minutes
        division = Division.of(spec.split, training) if spec.divides_again else Division(SplitSpec())
        with one_blas_thread():
            fitted = fit(classifier_of(spec, X.shape[1]), X, label, division)
            prediction = fitted.predict(others)
            probability = None if continuous else fitted.predict_proba(others)[:, 1]
        if probability is not None:
            return Prediction(prediction, probability, score(tested, prediction, probability))
        best_high = data.higher_is_better is not False
        return Prediction(prediction, None, score_continuous(tested, prediction, higher_is_better=best_high))

    def _features(
        self, data: Dataset, twin: AnyExtractorSpec, columns: ColumnReading, species: tuple[str, ...]
    ) -> tuple[NDArray[np.float64], TrainSpec]:
        """Return the features ``(n, dim)`` of a data set, and the spec of the pipeline for them."""
        extractor = self._loaded(with_files(twin, self.spec.extractor, self.runtime.checkpoints), species)
        self._announce(extractor, data.sequences)
        codes = columns.read(data.columns, len(data)).codes
        X = features(Inputs(data.sequences, codes, [""] * len(data)), extractor, self.store)
        return X, with_widths(self.spec, data.sequences[0], extractor, self.store)

    def _loaded(self, twin: AnyExtractorSpec, species: tuple[str, ...]) -> AnyExtractor:
        return load(without_columns(twin).numbered_by(species), self.runtime)

    def _announce(self, extractor: AnyExtractor, sequences: list[str]) -> None:
        lengths: list[int] = []
        for reader, texts in readers(extractor, sequences):
            lengths += map(len, self.store.absent(reader.pinned, list(dict.fromkeys(texts))))
        if not lengths or all(model.random_weights is None for model in language_models(extractor.spec)):
            return
        seconds = self.trained.seconds_of(lengths) if isinstance(self.trained, Extractor) else None
        time = "as long as the embedding takes" if seconds is None else f"about {max(1, round(seconds)):,} s"
        text = (
            f"Baseline of random weights: {len(lengths):,} sequences to compute with the untrained model, once, "
            f"{time}; random_seeds=0 leaves the baseline out"
        )
        logger.info("%s", text)
        if is_watched(self.runtime.progress):
            print(text, file=sys.stderr)  # noqa: T201


def with_files(twin: AnyExtractorSpec, trained: AnyExtractorSpec, checkpoints: Sequence[str] = ()) -> AnyExtractorSpec:
    """Return a random twin that reads its configuration where the files of the trained model are.

    Parameters
    ----------
    twin
        Spec that `untrained` returned for `trained`.
    trained
        Spec of the pipeline. If it is pinned, it names a local folder by its last name only.
    checkpoints
        Those of `RuntimeSpec`.

    Raises
    ------
    CheckpointError
        If no folder has the files: one of the name may hold another architecture.
    """
    if isinstance(twin, EnsembleSpec) and isinstance(trained, EnsembleSpec):
        placed = tuple(_placed(*each, checkpoints) for each in zip(twin.members, trained.members, strict=True))
        return twin.model_copy(update={"members": placed})
    return _placed(twin, trained, checkpoints)  # type: ignore[no-any-return]  # the kind of the twin


def _placed(part: Any, model: Any, checkpoints: Sequence[str]) -> Any:
    """Return a part of a random twin with the folders of the trained model's part."""
    if isinstance(part, ChainSpec) and isinstance(model, ChainSpec):
        chains = {
            "heavy": _placed(part.heavy, model.heavy, checkpoints),
            "light": _placed(part.light, model.light, checkpoints),
        }
        return part.model_copy(update=chains)
    if isinstance(part, ExtractorSpec) and isinstance(model, ExtractorSpec) and _is_local(model):
        files = find(model, checkpoints)
        return part.with_folders(files.folder, files.tokenizer)
    return part


def _is_local(model: ExtractorSpec) -> bool:
    names = [(model.model, model.revision), (model.tokenizer, model.tokenizer_revision)]
    return model.digest is not None and not all(is_published(name, revision) for name, revision in names if name)
