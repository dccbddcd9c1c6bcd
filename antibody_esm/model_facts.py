"""Facts of a saved model, from its manifest: all that a model card is written from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antibody_esm.data.reading import Reading
from antibody_esm.licences import Licence, of_model
from antibody_esm.specs import TrainSpec
from antibody_esm.specs.ensembles import models_of
from antibody_esm.trained_on import TrainedOn


@dataclass(frozen=True)
class ModelFacts:
    """Description of a saved model. A model that is saved and the same model, loaded, have equal facts."""

    spec: TrainSpec
    data: TrainedOn
    reading: Reading
    metrics: Mapping[str, Any] | None
    """Scores of the cross-validation, see `antibody_esm.reports.records.saved`; of older models some of them."""
    without_scores: str
    """Reason why there are no scores; empty if there are."""
    threshold: float | None
    """Smallest probability at which class 1 is predicted; None for continuous labels."""
    training: str
    """Description of the training data in the folder."""
    licences: Mapping[str, Licence | None]
    """Licence of the weights of each language model; None if it is not known here."""
    versions: Mapping[str, str]
    """Versions of Python and of the libraries that the model was saved with."""
    origin: str = ""
    """Repository and commit on the hub; empty for a model that was fitted here."""

    @classmethod
    def of(
        cls, manifest: Mapping[str, Any], spec: TrainSpec, reading: Reading, threshold: float | None, training: str
    ) -> "ModelFacts":
        """Return the facts in a manifest.

        Parameters
        ----------
        manifest
            As `save_model` writes it, or as `load_model` has checked it.
        spec, reading
            Those of the model: older manifests have paths in the spec, and no reading.
        threshold, training
            As the attributes.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            If the manifest has other fields or types.
        """
        plain = json.loads(json.dumps(manifest))
        metrics, versions = plain["metrics"], plain["versions"]
        names = models_of(spec.extractor)
        older = {} if "licences" in plain else {name: of_model(name) for name in names}
        return cls(
            spec,
            TrainedOn.from_dict(plain["data"]),
            reading,
            metrics,
            "" if metrics is not None else str(plain.get("without_scores") or "none were saved with the model"),
            threshold,
            training,
            older or {name: _licence(plain["licences"].get(name)) for name in names},
            {str(name): str(text) for name, text in versions.items()},
            str(plain.get("origin") or ""),
        )


def _licence(facts: Any) -> Licence | None:
    """Return a licence from its fields."""
    if facts is None:
        return None
    texts = (str(facts["name"]), str(facts["source"]), str(facts.get("limits", "")))
    return Licence(texts[0], facts["commercial"] is True, texts[1], texts[2])
