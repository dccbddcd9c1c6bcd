"""Named assays of developability, and the side of each on which antibodies are better."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from antibody_esm.errors import DatasetError

_HIGHER = (
    *("titer", "titre", "hek titer", "yield", "expression", "concentration"),
    *("tm", "tm1", "tm2", "tm3", "fab tm", "tm fab", "tonset", "tagg", "melting temperature"),
    *("purity", "sec monomer", "monomer", "solubility", "sgac sins", "sgac"),
)
"""High values are better: amount, stability against heat, share of monomers, salt that is needed to aggregate."""
_LOWER = (
    *("psr", "psp", "bvp", "elisa", "pr cho", "pr ova", "cho", "ova", "polyreactivity", "polyspecificity"),
    *(
        "nonspecificity",
        "nonspecific binding",
        "ligands",
        "flags",
        "flag groups",
        "pri",
        "heparin",
        "poly specificity reagent",
    ),
    *("hic", "hic rt", "hac", "smac", "cic", "hic retention time", "smac retention time", "cic retention time"),
    *("as", "as slope", "slope for accelerated stability", "ac sins", "csi", "csi bli"),
    *("aggregation", "hmw", "viscosity", "immunogenicity"),
)
"""Low values are better: binding to all and sundry, retention, self-association, aggregation."""


def _plain(name: str) -> str:
    """Return the letters and digits of a name, without a unit in parentheses and without a pH at the end.

    Examples
    --------
    >>> _plain("AC-SINS_pH7.4"), _plain("Tm2 (°C)"), _plain("SEC %Monomer")
    ('acsins', 'tm2', 'secmonomer')
    """
    text = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", name.lower())
    return re.sub(r"ph\d*$", "", re.sub(r"[^a-z0-9]", "", text))


HIGHER_IS_BETTER: Mapping[str, bool] = MappingProxyType(
    {_plain(name): True for name in _HIGHER} | {_plain(name): False for name in _LOWER}
)
"""True by assay for which high values are better, False for which low values are; names in plain letters.

The directions of Jain et al. 2017 (doi:10.1073/pnas.1616408114) and of the assays added to these since.
"""


def higher_is_better(name: str) -> bool | None:
    """Return True if high values of a named assay are better, False if low values are; None if it is not known.

    Case, punctuation, units in parentheses and a pH at the end do not count. A flag (``psr_flag``) is better if it is
    0.

    Examples
    --------
    >>> higher_is_better("Tm2 (°C)"), higher_is_better("AC-SINS_pH7.4"), higher_is_better("psr_flag")
    (True, False, False)
    >>> higher_is_better("affinity") is None
    True
    """
    plain = _plain(name)
    return False if plain.endswith("flag") else HIGHER_IS_BETTER.get(plain)


def directions(
    sides: "bool | Mapping[str, bool] | None", labels: tuple[str, ...], parameter: str = "higher_is_better"
) -> dict[str, bool]:
    """Return directions as a caller passes them, by label; those of named assays are not among them.

    Parameters
    ----------
    sides
        One direction for the only label, or directions by label; None if there are none.
    labels
        Names of the labels.
    parameter
        Name of the option, for messages.

    Raises
    ------
    DatasetError
        If a name is no label, or a direction is not True or False, or if one is given for several labels.
    """
    if sides is None:
        return {}
    if isinstance(sides, bool):
        if len(labels) != 1:
            raise DatasetError(f"there are {len(labels)} labels; pass {parameter}= by label: {', '.join(labels)}")
        return {labels[0]: sides}
    if not isinstance(sides, Mapping):
        raise DatasetError(f"{parameter}= must be True or False, or one of these for each label, got {sides!r}")
    for name, value in sides.items():
        if name not in labels:
            raise DatasetError(f"{parameter}= names {name!r}; the labels are {', '.join(labels)}", column=name)
        if not isinstance(value, bool):
            raise DatasetError(f"{parameter}= of {name!r} must be True or False, got {value!r}", column=name)
    return dict(sides)
