"""Views of a language model that a pipeline and its candidates read, with the sources of their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import Inputs
from antibody_esm.data.dataset import Dataset
from antibody_esm.features.sources import AnyExtractor, Ensemble, load
from antibody_esm.model_input import features
from antibody_esm.specs import AnyExtractorSpec, EnsembleSpec, RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import of_chain, without_columns
from antibody_esm.store.store import Store


@dataclass(frozen=True, eq=False, repr=False)
class SourceViews:
    """Sources of the vectors that a pipeline reads; several are views of one language model.

    Attributes
    ----------
    specs
        Extractors of a spec and of all its candidates, without columns; its own is the first.
    source
        Source of the vectors of all views, from one pass.
    members
        Source of each view.
    """

    specs: tuple[AnyExtractorSpec, ...]
    source: AnyExtractor
    members: tuple[AnyExtractor, ...]

    @classmethod
    def of(cls, spec: TrainSpec, runtime: RuntimeSpec | None) -> "SourceViews":
        """Return the views of a spec; no model is loaded before it is needed."""
        specs = tuple(dict.fromkeys(without_columns(each.extractor) for each in (spec, *spec.candidates.values())))
        return cls._loaded(specs, specs, runtime)

    def suited(self, data: Dataset) -> "SourceViews":
        """Return the same views with the models of a data set's chain, and regions numbered by its species."""
        specs = [of_chain(spec, data.chain).numbered_by(data.species) for spec in self.specs]
        if specs == [member.spec for member in self.members]:
            return self
        return self._loaded(self.specs, specs, self.extractor.runtime)

    @property
    def extractor(self) -> AnyExtractor:
        """Source of the vectors of the spec itself."""
        return self.members[0]

    @property
    def pinned(self) -> list[AnyExtractorSpec]:
        """The spec of each view, pinned to the bytes of the models that run."""
        return [member.pinned for member in self.members]

    def vectors(self, data: Dataset, store: Store) -> list[NDArray[np.float64]]:
        """Return the vectors ``(n, dim)`` of each view, from one pass."""
        inputs = Inputs(data.sequences, np.empty((len(data), 0)), [""] * len(data))
        vectors = features(inputs, self.source, store)
        return [np.ascontiguousarray(view) for view in np.split(vectors, len(self.members), axis=1)]

    @classmethod
    def _loaded(
        cls, named: tuple[AnyExtractorSpec, ...], specs: Sequence[AnyExtractorSpec], runtime: RuntimeSpec | None
    ) -> "SourceViews":
        if len(specs) == 1:
            source = load(specs[0], runtime)
            return cls(named, source, (source,))
        views = Ensemble(EnsembleSpec.model_validate({"members": tuple(specs), "combine": "concat"}), runtime)
        return cls(named, views, views.members)
