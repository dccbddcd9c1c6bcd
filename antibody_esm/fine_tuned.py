"""First step of a pipeline that fine-tunes its language model: an adapter of the training rows, and its vectors.

As a step of the pipeline it is fitted wherever the pipeline is: on the training rows of a fold, of a calibration, or of
a learning curve, and on no other row.
"""

import logging
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from antibody_esm.divided import Divides
from antibody_esm.embedding import vectors_of
from antibody_esm.errors import DatasetError
from antibody_esm.finetuning_facts import FineTuningFacts
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.finetuning import adapted, finetune
from antibody_esm.plm.pairs import chains
from antibody_esm.plm.schedule import is_watched, progress_bar
from antibody_esm.progress import Notice
from antibody_esm.progress import logger as progress_logger
from antibody_esm.residue_codes import decode
from antibody_esm.specs import DecisionSpec, FineTuneSpec, SplitBy, TrainSpec
from antibody_esm.store.store import EmbeddingStore, Store

logger = logging.getLogger("antibody_esm")

_PENALTY_FOLDS = 5
"""Folds on which a penalty is chosen."""
_SAMPLE = 8
"""Sequences from whose duration that of a training is estimated."""
_PASSES = 3
"""Duration of a step of the training in forward passes."""


def adapters_folder(store: Store) -> Path | None:
    """Return the folder of the adapters that lie beside a store; None for a store in memory."""
    if not isinstance(store, EmbeddingStore):
        return None
    named = store.root if store.root.name else store.root.resolve()  # a path such as . has no name
    return named.with_name(f"{named.name}.adapters")


@dataclass(frozen=True, eq=False, repr=False)
class FineTuning:
    """Fine-tunings of one language model, each made once.

    Attributes
    ----------
    spec
        Settings of the training.
    frozen
        Source of the frozen model's vectors.
    store
        Store of all vectors; those of each adapter have an address of their own.
    """

    spec: FineTuneSpec
    frozen: Extractor
    store: Store
    _kept: dict[object, Adapter] = field(default_factory=dict)
    """Adapters by their rows, without a folder."""
    _bars: list[Any] = field(default_factory=list)
    """Progress bar of the work that is done now."""

    @property
    def folder(self) -> Path | None:
        """Folder that keeps adapters; None keeps them in memory."""
        return adapters_folder(self.store)

    def adapter(
        self, texts: list[str], label: NDArray[Any], units: NDArray[Any] | None, *, continuous: bool
    ) -> Adapter:
        """Return the adapter of training rows; see `antibody_esm.plm.finetuning.finetune`."""
        options: dict[str, Any] = {"continuous": continuous, "runtime": self.frozen.runtime}
        if self.folder is not None:
            self._make_folder(self.folder)
            return finetune(self.spec, self.frozen.spec, texts, label, units, folder=self.folder, **options)
        rows = tuple(texts), label.tobytes(), None if units is None else tuple(units.tolist()), continuous
        if rows not in self._kept:
            self._kept[rows] = finetune(self.spec, self.frozen.spec, texts, label, units, **options)
        return self._kept[rows]

    def _make_folder(self, folder: Path) -> None:
        """Create the folder of adapters with the permissions of the store; if that fails, the training refuses it."""
        root = self.store.root if isinstance(self.store, EmbeddingStore) else folder
        with suppress(OSError):
            if not folder.exists():
                mode = stat.S_IMODE(root.stat().st_mode) if root.is_dir() else 0o700
                folder.mkdir(parents=True, mode=0o700)
                folder.chmod(mode)

    def source(self, adapter: Adapter) -> Extractor:
        """Return the source of the vectors of a fine-tuned model."""
        runtime = self.frozen.runtime
        if self.folder is not None:
            folders = dict.fromkeys([*runtime.checkpoints, str(self.folder.absolute())])
            runtime = runtime.model_copy(update={"checkpoints": tuple(folders)})
        return Extractor(adapted(self.frozen.spec, adapter), runtime)

    def dim(self, text: str) -> int:
        """Return the number of features of a text: a pair whose chains are read apart has two vectors."""
        return self.frozen.dim * len(chains(self.frozen.spec, [text]))

    def done(self) -> None:
        """Advance the progress bar by one training."""
        for bar in self._bars[-1:]:
            bar.update()

    @contextmanager
    def working(self, spec: TrainSpec, sizes: Sequence[int], sequences: list[str]) -> Iterator[None]:
        """Announce the trainings of fits on so many rows, with their duration, and show a progress bar.

        Parameters
        ----------
        spec
            The pipeline.
        sizes
            Number of training rows of each fit.
        sequences
            Texts of all rows.
        """
        penalty, decision = spec.chooses_penalty, spec.decision != DecisionSpec()
        total = len(sizes) * (1 + _PENALTY_FOLDS * penalty) * (1 + spec.decision.folds * decision)
        runtime = self.frozen.runtime
        text = f"Fine-tuning: {total:,} training{'s' if total > 1 else ''}{self._duration(total, sizes, sequences)}"
        text += "" if self.folder is None else f"; finished ones are kept in {self.folder}"
        watched = is_watched(runtime.progress)
        if watched:
            print(text, file=sys.stderr)  # noqa: T201
        # commands print it where nobody sees a bar
        log = logger if watched or runtime.progress is False else progress_logger
        log.info("%s", Notice(text))
        with progress_bar(total, "fine-tuning", "training", runtime.progress) as bar:
            self._bars.append(bar)
            try:
                yield
            finally:
                self._bars.pop()

    def _duration(self, total: int, sizes: Sequence[int], sequences: list[str]) -> str:
        """Return the expected duration of trainings, from the pace of the frozen model on some sequences."""
        sample = Extractor(self.frozen.spec, self.frozen.runtime.model_copy(update={"progress": False}))
        sample.embed(sequences[:_SAMPLE])
        lengths = [len(text) for text in chains(self.frozen.spec, sequences)]
        forward = sample.seconds_of(lengths)
        n = round(sum(sizes) / len(sizes))
        epochs = f" of at most {self.spec.epochs} epoch{'s' if self.spec.epochs > 1 else ''} on about {n:,} antibodies"
        if forward is None:
            return epochs
        epoch = _PASSES * forward * n / len(sequences)
        expected = timedelta(seconds=max(1, round(epoch * self.spec.epochs * total)))
        # no bound: a training takes longer than three forward passes where batches are small or cores are shared
        return f"{epochs}; about {max(1, round(epoch)):,} s an epoch and {expected} in all are expected"


class FineTuned(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Step of a pipeline from codes of residues to the vectors of a model that is fine-tuned on the training rows.

    Parameters
    ----------
    tuning
        The language model, and where its adapters are kept.
    columns
        Number of last features that are columns of a table; they stay as they are.
    by
        Unit that is never divided for early stopping, as in `SplitSpec`.
    continuous
        True for labels that are numbers.

    Attributes
    ----------
    source_
        Extractor of the fine-tuned model.
    facts_
        `FineTuningFacts` of its training.
    """

    def __init__(
        self, tuning: FineTuning, columns: int = 0, by: SplitBy = "antibody", continuous: bool = False
    ) -> None:
        self.tuning = tuning
        self.columns = columns
        self.by = by
        self.continuous = continuous

    def __sklearn_clone__(self) -> "FineTuned":
        """Return an unfitted step that shares model and store, which scikit-learn would copy."""
        return FineTuned(self.tuning, self.columns, self.by, self.continuous)

    def fit(self, X: NDArray[np.float64], y: NDArray[Any], division: Divides | None = None) -> "FineTuned":
        """Fine-tune the language model on training rows.

        Parameters
        ----------
        X
            ``(n, width)``, see `antibody_esm.residue_codes.encode`, and columns.
        y
            ``(n,)``.
        division
            Division of these rows, whose units stay together when the epoch is chosen. If that cannot be, rows are
            divided, and `facts_` say so.

        Raises
        ------
        ValueError
            If features are no codes of residues.
        DatasetError
            If all labels are equal.
        SequenceError, CheckpointError, ImportError
            As `antibody_esm.plm.finetuning.finetune` does.
        """
        if len(np.unique(y)) < 2:
            raise DatasetError(f"the language model is fine-tuned on {len(y)} antibodies of one label", column="label")
        units = None if division is None or self.by == "antibody" else division.unit
        began = time.perf_counter()
        adapter = self.tuning.adapter(self._texts(X), np.asarray(y), units, continuous=self.continuous)
        facts = adapter.facts
        losses = tuple(float(epoch.validation) for epoch in facts.history)
        seconds = time.perf_counter() - began
        numbers = facts.rows, facts.held_out, facts.epochs
        self.facts_ = FineTuningFacts(adapter.digest, *numbers, losses, seconds, facts.divided)
        self.source_ = self.tuning.source(adapter)
        self.tuning.done()
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return vectors of the fine-tuned model ``(n, dim)``, and columns; `X` may have another width than in `fit`.

        Raises ValueError, SequenceError and CheckpointError as `fit` does.
        """
        vectors = vectors_of(self._texts(X), self.source_, self.tuning.store).astype(np.float64)
        return np.hstack([vectors, X[:, X.shape[1] - self.columns :]]) if self.columns else vectors

    def _texts(self, X: NDArray[np.float64]) -> list[str]:
        return decode(X[:, : X.shape[1] - self.columns])


def stripped(estimator: Any) -> Any:
    """Return a fitted classifier or regressor behind its `FineTuned`, which reads the vectors of that model."""
    from sklearn.pipeline import Pipeline

    if hasattr(estimator, "with_parts"):
        return estimator.with_parts(stripped)
    if isinstance(estimator, Pipeline) and isinstance(estimator.steps[0][1], FineTuned):
        return Pipeline(estimator.steps[1:])
    return estimator
