"""Facts about the fine-tuning of a language model inside of a pipeline."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from antibody_esm.specs import FineTuneSpec


class FineTuningFacts(NamedTuple):
    """Facts about the fine-tuning on certain training rows."""

    adapter: str
    """Digest of the adapter."""
    rows: int
    """Number of training rows."""
    held_out: int
    """Number of these whose loss chose the epoch."""
    epochs: int
    """Epoch whose weights were kept; 0 for those of the frozen model."""
    losses: tuple[float, ...]
    """Validation loss before the first epoch, and of each epoch that ran."""
    seconds: float
    """Duration; that of reading if the adapter was kept from an earlier run."""
    divided: str = "units"
    """The pieces that were held out: whole units, or "rows" if units did not allow it."""

    def record(self, spec: FineTuneSpec) -> dict[str, Any]:
        """Return the record of a saved model: settings, rows, epochs and losses, but no duration."""
        return {"spec": spec.model_dump(mode="json"), **self.plain()}

    def plain(self) -> dict[str, Any]:
        """Return all but the duration as plain JSON values."""
        later = ("divided",) if self.divided == "units" else ()
        facts = {name: value for name, value in self._asdict().items() if name not in ("seconds", *later)}
        return facts | {"losses": list(self.losses)}

    @classmethod
    def from_plain(cls, facts: Mapping[str, Any]) -> "FineTuningFacts":
        """Return the facts of `plain`, which took no time in this run."""
        return cls(**{**facts, "losses": tuple(facts["losses"])}, seconds=0.0)


def step_of(fitted: Any) -> Any:
    """Return the step `FineTuned` of a fitted classifier or regressor that reads all of its training rows, or None."""
    if hasattr(fitted, "facts_"):
        return fitted
    steps = [step for _, step in getattr(fitted, "steps", ())]
    parts = [*steps[:1], *getattr(fitted, "heads_", ()), *filter(None, [getattr(fitted, "classifier_", None)])]
    return next(filter(None, map(step_of, parts)), None)


def facts_of(fitted: Any) -> FineTuningFacts | None:
    """Return the facts of a fitted classifier or regressor; None if its language model is frozen."""
    facts: FineTuningFacts | None = getattr(step_of(fitted), "facts_", None)
    return facts
