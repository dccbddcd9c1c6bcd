"""Views of a language model that a pipeline and its candidates read, with the sources of their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibodies import Inputs
from antibody_esm.data.dataset import Dataset
from antibody_esm.features.sources import AnyExtractor, Ensemble, load
from antibody_esm.model_input import features
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.pairs import chains, rows_of_pairs
from antibody_esm.residue_codes import encode
from antibody_esm.sequences import normalise
from antibody_esm.specs import AnyExtractorSpec, EnsembleSpec, FineTuneSpec, RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import of_chain, without_columns
from antibody_esm.store.store import Store

if TYPE_CHECKING:
    from antibody_esm.fine_tuned import FineTuning

_HINT = ". Declare parts of chains with part='H-CDRs' (data.part=H-CDRs); check=False (data.check=false) trains on all"


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

    def suited(self, data: Dataset, *, check: bool) -> "SourceViews":
        """Return the same views with the models of a data set's chain, and regions numbered by its species.

        Raises
        ------
        DatasetError
            If numbering checks the antibodies (`check`), and one is another molecule than the data set declares.
        """
        if check:
            texts = data.reading.verify(data.chains)
            data.refuse(texts, f"are not what the data set declares ({data.reading})", _HINT)
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

    def read(self, data: Dataset, store: Store, *, fine_tuned: bool) -> list[NDArray[np.float64]]:
        """Return the features of a pipeline: the vectors of each view; if it is fine-tuned, codes of residues."""
        return [self.codes(data)] if fine_tuned else self.vectors(data, store)

    def vectors(self, data: Dataset, store: Store) -> list[NDArray[np.float64]]:
        """Return the vectors ``(n, dim)`` of each view, from one pass."""
        inputs = Inputs(data.sequences, np.empty((len(data), 0)), [""] * len(data))
        vectors = features(inputs, self.source, store)
        return [np.ascontiguousarray(view) for view in np.split(vectors, len(self.members), axis=1)]

    def codes(self, data: Dataset) -> NDArray[np.float64]:
        """Return the codes of residues ``(n, width)`` that a language model reads before it is fine-tuned.

        No model runs. Raises SequenceError as `antibody_esm.embed` does.
        """
        assert isinstance(self.extractor, Extractor)  # noqa: S101  as the spec demands
        texts = normalise(data.sequences, pairs=True)
        every = chains(self.extractor.spec, texts)
        with rows_of_pairs(every, len(texts)):
            self.extractor.check(every)
        return encode(texts)

    def tuning(self, spec: FineTuneSpec | None, store: Store) -> "FineTuning | None":
        """Return the fine-tunings of the language model; None for no spec."""
        if spec is None:
            return None
        from antibody_esm.fine_tuned import FineTuning  # loads scikit-learn

        assert isinstance(self.extractor, Extractor)  # noqa: S101  as the spec demands
        return FineTuning(spec, self.extractor, store)

    @classmethod
    def _loaded(
        cls, named: tuple[AnyExtractorSpec, ...], specs: Sequence[AnyExtractorSpec], runtime: RuntimeSpec | None
    ) -> "SourceViews":
        if len(specs) == 1:
            source = load(specs[0], runtime)
            return cls(named, source, (source,))
        views = Ensemble(EnsembleSpec.model_validate({"members": tuple(specs), "combine": "concat"}), runtime)
        return cls(named, views, views.members)
