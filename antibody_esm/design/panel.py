"""Panels of liabilities: rules with a severity by region and a source, as JSON."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from antibody_esm.design.motifs import Motif
from antibody_esm.numbering import CDRS, FRAMEWORKS, REGIONS, ImgtRegion
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.specs.base import Frozen

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["none", "low", "medium", "high"]
"""``none`` is not reported."""
SEVERITIES: tuple[Severity, ...] = ("none", "low", "medium", "high")

_LARGEST_FILE = 1_000_000
_SETS: dict[str, tuple[ImgtRegion, ...]] = {"CDRs": CDRS, "frameworks": FRAMEWORKS}
_PLACES = ", ".join((*_SETS, *REGIONS))


def _motif(text: str) -> str:
    Motif(text)
    return text


def _residues(text: str) -> str:
    if not set(text) <= set(AMINO_ACIDS):
        raise ValueError(f"{text!r} holds letters that are no amino acids")
    return text


def _position(text: str) -> str:
    if not (re.fullmatch(r"[1-9]\d{0,2}[A-Z]?", text) and int(text.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) <= 128):
        raise ValueError(f"{text!r} is no IMGT position (1 to 128, insertions as 111A)")
    return text


def _place(text: str) -> str:
    if text in _SETS or text in REGIONS:
        return text
    try:
        return _position(text)
    except ValueError as error:
        raise ValueError(f"{error}, and not one of {_PLACES}") from None


PanelText = Annotated[str, Field(min_length=1, max_length=200)]
AllowedResidues = Annotated[str, Field(min_length=1, max_length=20), AfterValidator(_residues)]
Position = Annotated[str, AfterValidator(_position)]
SeverityMap = Annotated[
    dict[Annotated[str, AfterValidator(_place)], Severity],
    Field(min_length=1, max_length=128),
]
"""Severity by IMGT position (``"41"``), region (``"CDR3"``) or set of regions (``"CDRs"``, ``"frameworks"``)."""
SourceName = Annotated[str, Field(pattern=r"^(doi:10\.\d{4,9}/\S+|PMC\d+|https://\S+)$", max_length=200)]
ChainLetters = Annotated[tuple[Literal["H", "L"], ...], Field(min_length=1, max_length=2)]


def severity_at(severity: dict[str, Severity], position: str, region: ImgtRegion) -> Severity:
    """Return the severity at a residue: that of its position, else of its region, else of its set of regions."""
    group = "CDRs" if region in CDRS else "frameworks"
    return next((severity[key] for key in (position, region, group) if key in severity), "none")


def _listed(severity: dict[str, Severity]) -> str:
    return ", ".join(f"{place} {level}" for place, level in severity.items())


class _LiabilityRule(Frozen):
    """Fields of all rules."""

    kind: PanelText
    """Name of the liability in the table."""
    source: SourceName
    """``doi:10...``, ``PMC...`` or ``https://...``."""
    chains: ChainLetters = ("H", "L")
    note: str = Field(default="", max_length=1000)

    @property
    def severity_text(self) -> str:
        """Severities in words, for tables."""
        severity: Any = getattr(self, "severity", "")
        return severity if isinstance(severity, str) else _listed(severity)


class MotifRule(_LiabilityRule):
    """Residues that follow each other; see `antibody_esm.design.motifs.Motif` for the notation."""

    rule: Literal["motif"] = "motif"
    motif: Annotated[str, AfterValidator(_motif)]
    at: int = Field(default=1, ge=1, le=30)
    """Residue of the motif that is modified, from 1; its position and region are those of the liability."""
    severity: SeverityMap

    @property
    def description(self) -> str:
        """Rule in words, for tables."""
        return self.motif if self.at == 1 else f"{self.motif}, at residue {self.at}"

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.at > len(Motif(self.motif)):
            raise ValueError(f"residue {self.at} of {self.motif}, which has {len(Motif(self.motif))}")
        return self


class CysteineRule(_LiabilityRule):
    """Cysteines of a domain other than those of its conserved disulfide bond."""

    rule: Literal["cysteines"] = "cysteines"
    paired: tuple[Position, ...] = ("23", "104")
    """Positions of the conserved cysteines."""
    odd: SeverityMap
    """Severity of each further cysteine if their number is odd, so that at least one is free."""
    even: SeverityMap
    """The same if the number is even, so that they may be paired with each other."""

    @property
    def description(self) -> str:
        """Rule in words, for tables."""
        return f"C elsewhere than at {' and '.join(self.paired)}"

    @property
    def severity_text(self) -> str:
        """Severities in words, for tables."""
        return f"odd number: {_listed(self.odd)}; even: {_listed(self.even)}"


class ConservedRule(_LiabilityRule):
    """Positions at which a residue is missing that nearly all antibodies have."""

    rule: Literal["conserved"] = "conserved"
    residues: dict[Position, AllowedResidues] = Field(min_length=1, max_length=128)
    """Allowed residues by position."""
    severity: SeverityMap

    @property
    def description(self) -> str:
        """Rule in words, for tables."""
        return ", ".join(f"no {' or '.join(allowed)} at {position}" for position, allowed in self.residues.items())


class LengthRule(_LiabilityRule):
    """Length of a region."""

    rule: Literal["length"] = "length"
    region: ImgtRegion
    fewest: int = Field(ge=0, le=1000)
    most: int = Field(ge=0, le=1000)
    severity: Severity

    @property
    def description(self) -> str:
        """Rule in words, for tables."""
        return f"{self.region} below {self.fewest} or above {self.most} residues"


class ChargeRule(_LiabilityRule):
    """Net charge of regions: lysines and arginines less aspartates and glutamates."""

    rule: Literal["charge"] = "charge"
    regions: Annotated[tuple[ImgtRegion, ...], Field(min_length=1, max_length=7)]
    lowest: int = Field(ge=-1000, le=1000)
    highest: int = Field(ge=-1000, le=1000)
    severity: Severity

    @property
    def description(self) -> str:
        """Rule in words, for tables."""
        return f"K + R - D - E of {', '.join(self.regions)} below {self.lowest} or above {self.highest}"


class PatchRule(_LiabilityRule):
    """Windows within a region in which most residues are of a kind; windows that overlap are one patch."""

    rule: Literal["patch"] = "patch"
    residues: AllowedResidues
    window: int = Field(ge=2, le=30)
    least: int = Field(ge=1, le=30)
    """Fewest residues of the kind in a window."""
    severity: SeverityMap

    @property
    def description(self) -> str:
        """Rule in words, for tables."""
        return f"{self.least} of {self.window} residues in a region are {', '.join(self.residues)}"


LiabilityRule = Annotated[
    MotifRule | CysteineRule | ConservedRule | LengthRule | ChargeRule | PatchRule, Field(discriminator="rule")
]


class LiabilityPanel(Frozen):
    """Rules by which liabilities are found.

    Examples
    --------
    >>> panel = LiabilityPanel.built_in()
    >>> [rule.severity for rule in panel.rules if rule.rule == "motif" and rule.motif == "N-G"]
    [{'CDRs': 'high', 'frameworks': 'medium'}]
    """

    format: Literal[1] = 1
    name: PanelText
    rules: Annotated[tuple[LiabilityRule, ...], Field(min_length=1, max_length=500)]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the panel of a JSON file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValidationError
            If it is no panel; unknown fields are refused.
        ValueError
            If it has more than a megabyte.
        """
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ValueError(f"{path}: a panel of more than a megabyte")
        return cls.model_validate_json(content)

    @classmethod
    def built_in(cls) -> "LiabilityPanel":
        """Return the panel that is used where no other is given; it lies as JSON in the package."""
        return _built_in()

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the rules: ``kind``, ``rule`` in words, ``chains``, ``severity``, ``source``, ``note``."""
        import pandas as pd

        rows = [
            (rule.kind, rule.description, " ".join(rule.chains), rule.severity_text, rule.source, rule.note)
            for rule in self.rules
        ]
        return pd.DataFrame(rows, columns=["kind", "rule", "chains", "severity", "source", "note"])


@cache
def _built_in() -> LiabilityPanel:
    return LiabilityPanel.model_validate_json(built_in_file().read_bytes())


def built_in_file() -> Any:
    """Return the JSON file of the built-in panel."""
    return files("antibody_esm.design").joinpath("liabilities.json")
