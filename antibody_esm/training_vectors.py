"""Vectors and labels of data sets, as a pipeline reads them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.column_reading import ColumnReading, columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.reading import Texts
from antibody_esm.data.training_data import training_data
from antibody_esm.embedding import as_store
from antibody_esm.features.sources import AnyExtractor
from antibody_esm.model_input import with_widths
from antibody_esm.same_vectors import SameVectors, tuning_results
from antibody_esm.source_views import SourceViews
from antibody_esm.specs import RuntimeSpec, TrainSpec, default_split
from antibody_esm.specs.ensembles import of_chain, with_columns, without_columns
from antibody_esm.store.store import Store
from antibody_esm.targets import target_of

if TYPE_CHECKING:
    from antibody_esm.data.training_data import Labels, Trainable

_LACK = "lack what the model reads"
_DROP = ". load_dataset(..., drop=True) leaves them out; use_columns=False leaves the columns out"


class TrainingVectors:
    """The part of a `Trainer` that reads data sets.

    Parameters
    ----------
    spec
        Spec of the pipeline.
    store, runtime
        As for `Trainer`.
    default_split
        True if the split is to suit the data, in place of that of the spec.
    """

    def __init__(
        self, spec: TrainSpec, store: str | Path | Store | None, runtime: RuntimeSpec | None, *, default_split: bool
    ) -> None:
        self.spec = spec
        self.store = as_store(store)
        self._views = SourceViews.of(spec, runtime)
        self._results = tuning_results(self.store)
        self._by_default = default_split
        self._target = target_of(spec)

    @property
    def extractor(self) -> AnyExtractor:
        """Source of the vectors of the spec."""
        return self._views.extractor

    @property
    def source(self) -> AnyExtractor:
        """Source of all vectors that are needed: `extractor`, or the views of a tuned language model, from one pass."""
        return self._views.source

    def embed(self, data: "Trainable", *, check: bool = True) -> NDArray[np.float64]:
        """Return the vectors ``(n, dim)`` of a data set, which needs no labels; they are kept in the store.

        So are all views of a tuned language model. Before it is fine-tuned, they are those of the frozen model. Raises
        DatasetError if an antibody is another molecule, and as `antibody_esm.embed` does.
        """
        data = training_data(data, extractor=self.spec.extractor, labelled=False)
        return self._suited(data, check).vectors(data, self.store)[0]

    def same_vectors(self, data: "Trainable", labels: "Labels" = None, *, check: bool = True) -> SameVectors:
        """Return the vectors and labels of a data set, for any split; input and errors are as in `cross_validate`."""
        data = training_data(data, labels, extractor=self.spec.extractor)
        label = self._target.labels(data)
        arrays = self._suited(data, check).read(data, self.store, fine_tuned=self.spec.finetune is not None)
        columns = ColumnReading.of(columns_read(self.spec, data.columns), data.columns)
        read = columns.read(data.columns, len(data))
        data.refuse(Texts([()] * len(data), {}).without(read.reasons), _LACK, _DROP)
        every = [np.hstack([vectors, read.codes]) if columns else vectors for vectors in arrays]
        pinned = [with_columns(spec, columns.specs) for spec in self._views.pinned]
        of_view = dict(zip(self._views.specs, pinned, strict=True))
        spec = self._for(data).model_copy(update={"extractor": pinned[0]})
        spec = with_widths(spec, data.sequences[0], self.extractor, self.store)
        candidates = {} if spec.tune is None else self.spec.candidates
        return SameVectors(
            spec,
            data,
            every[0],
            label,
            columns,
            self.extractor.runtime.workers,
            {
                choice: each.model_copy(
                    update={
                        "extractor": of_view[without_columns(each.extractor)],
                        "split": spec.split,
                        "classifier": with_widths(each, data.sequences[0], self.extractor, self.store).classifier,
                    }
                )
                for choice, each in candidates.items()
            },
            dict(zip(pinned, every, strict=True)),
            self._results,
            self.extractor.runtime.progress,
            self._views.tuning(self.spec.finetune, self.store),
        )

    def _for(self, data: Dataset) -> TrainSpec:
        """Return the spec for these data: the models of their chain, and a split that suits if none was named."""
        split = default_split(len(data), continuous=self.spec.is_regression) if self._by_default else self.spec.split
        return self.spec.model_copy(update={"split": split, "extractor": of_chain(self.spec.extractor, data.chain)})

    def _suited(self, data: Dataset, check: bool) -> SourceViews:
        """Return the views for a data set; raise DatasetError for molecules other than it declares."""
        self._views = self._views.suited(data, check=check)
        return self._views

    def _ungraded(self, training: SameVectors) -> list[NDArray[np.float64]]:
        """Return the features of antibodies between the classes, by view; none if there are none."""
        others = training.data.ungraded
        fine_tuned = training.tuning is not None
        return [] if others is None or training.columns else self._views.read(others, self.store, fine_tuned=fine_tuned)
