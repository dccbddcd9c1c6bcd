"""Description of a model's training data, which is saved with the model."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antibody_esm.data.dataset import Dataset
from antibody_esm.sequences import Chain


@dataclass(frozen=True)
class TrainedOn:
    """Description of the data set that a model was fitted on.

    Examples
    --------
    >>> facts = TrainedOn("my table", "0" * 64, antibodies=90, chain="heavy", fragment=None, positives=30)
    >>> facts.antibodies
    90
    >>> TrainedOn.from_dict(facts.to_dict()) == facts
    True
    """

    source: str
    """Source in the provenance of the data set."""
    digest: str
    """`Dataset.digest`."""
    antibodies: int
    """Number of antibodies."""
    chain: Chain
    """Chain that is read, see `Dataset`."""
    fragment: str | None
    """Part of the chains; None for whole chains."""
    positives: int | None = None
    """Number of antibodies of class 1; None for continuous labels."""
    label: str | None = None
    """Name of the label, see `Dataset`; None if it has none."""
    higher_is_better: bool | None = None
    """True if high labels are better, False if low ones are; None if that is not known."""
    tuned: Mapping[str, Any] | None = field(default=None, hash=False)
    """Choice of a tuned pipeline: ``spec`` (`TuneSpec`), ``choice`` by key, ``scores`` of the candidates that were
    tried on ``folds`` folds of the training antibodies. None if nothing was tuned."""

    @classmethod
    def of(cls, data: Dataset, counts: Mapping[str, int], tuned: Mapping[str, Any] | None = None) -> "TrainedOn":
        """Return the description of a data set; `counts` has the number of positives, if labels are classes."""
        return cls(
            data.provenance.source,
            data.digest,
            len(data),
            data.chain,
            data.fragment,
            counts.get("positives"),
            data.label_name,
            data.higher_is_better,
            tuned,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Note of reports on the choice of a tuned pipeline; empty if nothing was tuned."""
        if self.tuned is None:
            return ()
        names = ", ".join(f"{key}={_worded(value)}" for key, value in self.tuned.get("choice", {}).items())
        return (f"The pipeline was tuned on its training antibodies, on which the choice is {names}.",)

    @classmethod
    def from_dict(cls, facts: Any) -> "TrainedOn":
        """Return the description in a manifest.

        Raises
        ------
        TypeError
            If fields are missing or have other types than `to_dict` returns.
        """
        if not isinstance(facts, dict) or not {"source", "digest", "chain", "fragment"} <= facts.keys():
            raise TypeError("data must have source, digest, chain and fragment")
        if not (isinstance(facts["source"], str) and isinstance(facts["digest"], str)):
            raise TypeError("source and digest of the data must be text")
        numbers = facts.get("antibodies"), facts.get("positives", 0)
        if not all(isinstance(number, int) for number in numbers):
            raise TypeError("numbers of antibodies and of positives must be integers")
        label, better, tuned = facts.get("label"), facts.get("higher_is_better"), facts.get("tuned")
        if not isinstance(label, str | None) or not isinstance(better, bool | None):
            raise TypeError("the label must be a text, and higher_is_better true or false")
        if not isinstance(tuned, dict | None) or not isinstance((tuned or {}).get("choice", {}), dict):
            raise TypeError("the choice of a tuned pipeline must be an object")
        return cls(
            facts["source"],
            facts["digest"],
            facts["antibodies"],
            facts["chain"],
            facts["fragment"],
            facts.get("positives"),
            label,
            better,
            tuned,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of a manifest, without positives of a regressor and unknown facts of the label."""
        positives = {} if self.positives is None else {"positives": self.positives}
        facts = {"label": self.label, "higher_is_better": self.higher_is_better, "tuned": self.tuned}
        return {
            "source": self.source,
            "digest": self.digest,
            "antibodies": self.antibodies,
            **positives,
            "chain": self.chain,
            "fragment": self.fragment,
            **{name: fact for name, fact in facts.items() if fact is not None},
        }

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name, like the earlier dictionary, with a DeprecationWarning."""
        warnings.warn(f"use the attribute .{name} of the training data", DeprecationWarning, stacklevel=2)
        return self.to_dict()[name]


def _worded(value: Any) -> str:
    """Return a value in words; of a classifier its name, whose other fields are in the spec of the model."""
    return str(value.get("kind", "")) if isinstance(value, dict) else str(value)
