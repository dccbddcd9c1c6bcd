"""Origin of a data set."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.label_rules import RuledLabels

WITHOUT_NAME = ("given in Python", "a DataFrame")
"""Sources that different data sets share."""


@dataclass(frozen=True)
class Provenance:
    """Origin of a data set, and the steps that selected its rows; ``str()`` is a small table."""

    source: str
    rule: str = ""
    """Definition of the labels."""
    citation: str = ""
    licence: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    """Digest of each source file."""
    counts: dict[str, int] = field(default_factory=dict)
    """Rows after each step."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Reason of each row that was left out, by id."""
    columns: dict[str, str] = field(default_factory=dict)
    """Columns that were recognised by other names than the default, by role, and the layout of the table."""
    labels: RuledLabels | None = field(default=None, compare=False, repr=False)
    """Labels that the rule defines, which a `Dataset` sets: with other labels, it has no rule. It is not saved."""

    def __post_init__(self) -> None:
        for name in ("sha256", "counts", "dropped", "columns"):  # copies, which the caller cannot change
            object.__setattr__(self, name, dict(getattr(self, name)))

    def __str__(self) -> str:
        lines = {"source": self.source, "rule": self.rule, "citation": self.citation, "licence": self.licence}
        lines |= {f"{role} from": name for role, name in self.columns.items()}
        lines |= {name: f"{count:,}" for name, count in self.counts.items()}
        lines |= {f"dropped: {reason}": f"{count:,}" for reason, count in self.reasons().items()}
        lines |= {f"SHA-256 {name}": digest for name, digest in self.sha256.items()}
        width = min(max(map(len, lines)), 48)
        return "\n".join(
            textwrap.fill(
                text, max(80, width + 66), initial_indent=f"{name:<{width}}  ", subsequent_indent=" " * (width + 2)
            )
            for name, text in lines.items()
            if text
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; without `columns` if none was recognised, so that digests stay."""
        fields = {name: value for name, value in self.__dict__.items() if name != "labels"}
        return fields if self.columns else {name: value for name, value in fields.items() if name != "columns"}

    def of_labels(self, ids: Sequence[str], label: NDArray[np.float64] | None) -> Self:
        """Return the provenance of antibodies with these labels: without its rule, if it is the rule of other labels.

        The first labels with a rule are those that it defines. Antibodies may be left out, reordered or, as long as all
        of them are there, renamed.
        """
        if not self.rule:
            return self
        if self.labels is None or self.labels.rule != self.rule:
            if label is None or len(ids) != len(label):
                return self
            return replace(self, labels=RuledLabels(self.rule, tuple(ids), label.copy()))
        return self if self.labels.hold(ids, label) else replace(self, rule="", labels=None)

    def reasons(self) -> dict[str, int]:
        """Return the number of rows left out for each reason, in descending order."""
        return dict(Counter(self.dropped.values()).most_common())
