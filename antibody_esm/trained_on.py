"""Training data of a model, in the facts that are saved with it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antibody_esm.data.dataset import Dataset
from antibody_esm.sequences import Chain


@dataclass(frozen=True)
class TrainedOn:
    """Facts of the data set that a model was fitted on.

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

    @classmethod
    def of(cls, data: Dataset, counts: Mapping[str, int]) -> "TrainedOn":
        """Return the facts of a data set; `counts` has the number of positives, if labels are classes."""
        return cls(data.provenance.source, data.digest, len(data), data.chain, data.fragment, counts.get("positives"))

    @classmethod
    def from_dict(cls, facts: Any) -> "TrainedOn":
        """Return the facts in a manifest.

        Raises
        ------
        TypeError
            If they are of other types than `to_dict` returns.
        """
        if not isinstance(facts, dict) or not {"source", "digest", "chain", "fragment"} <= facts.keys():
            raise TypeError("data has source, digest, chain and fragment")
        if not (isinstance(facts["source"], str) and isinstance(facts["digest"], str)):
            raise TypeError("source and digest of the data are text")
        numbers = facts.get("antibodies"), facts.get("positives", 0)
        if not all(isinstance(number, int) for number in numbers):
            raise TypeError("numbers of antibodies and of positives are whole")
        return cls(
            facts["source"],
            facts["digest"],
            facts["antibodies"],
            facts["chain"],
            facts["fragment"],
            facts.get("positives"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a manifest has them; regressors have no positives."""
        positives = {} if self.positives is None else {"positives": self.positives}
        return {
            "source": self.source,
            "digest": self.digest,
            "antibodies": self.antibodies,
            **positives,
            "chain": self.chain,
            "fragment": self.fragment,
        }

    def __getitem__(self, name: str) -> Any:
        """Return a fact by its name, as from the dictionary that was here before; it warns."""
        warnings.warn(f"facts of the training data are attributes: .{name}", DeprecationWarning, stacklevel=2)
        return self.to_dict()[name]
