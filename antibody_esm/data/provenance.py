"""Origin of a data set."""

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    labels: "RuledLabels | None" = field(default=None, compare=False, repr=False)
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

    def reasons(self) -> dict[str, int]:
        """Return the number of rows left out for each reason, in descending order."""
        return dict(Counter(self.dropped.values()).most_common())
