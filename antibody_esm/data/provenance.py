"""Origin of a data set."""

import textwrap
from collections import Counter
from dataclasses import dataclass, field


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

    def __post_init__(self) -> None:
        for name in ("sha256", "counts", "dropped"):  # copies, which the caller cannot change
            object.__setattr__(self, name, dict(getattr(self, name)))

    def __str__(self) -> str:
        lines = {"source": self.source, "rule": self.rule, "citation": self.citation, "licence": self.licence}
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

    def reasons(self) -> dict[str, int]:
        """Return the number of rows left out for each reason, in descending order."""
        return dict(Counter(self.dropped.values()).most_common())
