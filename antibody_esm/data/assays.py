"""Named assays of developability, and the side of each on which antibodies are better."""

import json
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


_NOT_ALONE = frozenset({
    *("as", "cho", "ova", "ligands", "flags", "flaggroups", "pri"),  # short, or words of other meanings
    *("elisa", "expression", "concentration", "aggregation", "immunogenicity", "yield"),  # of what is not known
    *("titer", "titre", "purity", "monomer"),
})  # fmt: skip
"""Assays that are recognised by a whole name only, or beside another assay of the same side."""
_BESIDE = frozenset({
    *("min", "mins", "minutes", "nm", "mg", "ml", "l", "mgl", "mgml", "g", "gl", "c", "degc", "celsius", "fold", "mm"),
    *("au", "mfi", "od", "cp", "pct", "percent", "rt", "retention", "time", "score", "value", "values"),
    *("mean", "avg", "average", "median", "raw", "measured", "assay", "reagent", "smp", "as100"),
    *("dsf", "nanodsf", "dsc", "by", "fab", "igg", "mab", "sec", "hek", "hek293", "expi293", "expicho"),
})  # fmt: skip
"""Units, statistics, methods and molecules in names of assays that do not change the side. Words such as change, rank,
loss or normalised may turn it, so a name with any other word has no side."""
_PHRASES: Mapping[str, bool] = MappingProxyType({
    "affinitycaptureselfinteractionnanoparticlespectroscopy": False,
    "acsinsshift": False,
    "csiblideltaresponse": False,
    "slopeforacceleratedstability": False,
    "hekexpression": True,
    **{f"{made}{name}": True for made in ("hek", "cho", "expi293", "expicho") for name in ("titer", "titre", "yield")},
    **{f"sec{name}": True for name in ("monomer", "purity")},
    "tmonset": True,
})  # fmt: skip
_TURNED = re.compile(
    r"1\s*/|^\s*[-\u2212\u2013]|[-\u2212\u2013]\s*(log|ln)|\b(rank|percentile|inverse|inverted|reversed|negative|loss|diff)"
)
"""Signs in a name, also in its parentheses, that high and low may have changed places."""
_CELSIUS = re.compile(r"°\s*c|\bdeg|celsius")


def higher_is_better(name: str) -> bool | None:
    """Return True if high values of a named assay are better, False if low values are; None if it is not known.

    Case, punctuation, units in parentheses and a pH do not count, nor do words such as score, RT or DSF beside an
    assay. A name with any other word has no side, since that may turn it: ``PSR rank``. A flag (``psr_flag``) is better
    if it is 0.

    Examples
    --------
    >>> higher_is_better("Tm2 (°C)"), higher_is_better("AC-SINS_pH7.4"), higher_is_better("psr_flag")
    (True, False, False)
    >>> higher_is_better("HIC_RT_min"), higher_is_better("PSR MFI"), higher_is_better("DSF Tm")
    (False, False, True)
    >>> higher_is_better("affinity"), higher_is_better("PSR rank"), higher_is_better("1/HIC")
    (None, None, None)
    """
    plain, lower = _plain(name), name.lower()
    if plain.endswith("flag"):
        return False
    if _TURNED.search(lower):
        return None
    side = HIGHER_IS_BETTER[plain] if plain in HIGHER_IS_BETTER else _of_words(lower)
    return None if side is False and _CELSIUS.search(lower) else side  # a temperature of aggregation


def _of_words(name: str) -> bool | None:
    """Return the side of all assays in a name in lower case; None if a word or a second assay leaves a doubt."""
    text, before = re.sub(r"\)[a-z]\b", ")", name), ""
    while text != before:
        before, text = text, re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", text)
    words = re.findall(r"[^\W_]+", re.sub(r"(?<![a-z])ph[\s_]*\d+([.,]\d+)?", " ", text).replace("∆λmax", " "))
    sides: set[bool] = set()
    alone = False
    first = 0
    while first < len(words):
        ends = range(len(words), first, -1)
        joined = {end: "".join(words[first:end]) for end in ends}
        end = next((end for end in ends if joined[end] in _PHRASES or joined[end] in HIGHER_IS_BETTER), None)
        if end is not None:
            side = joined[end]
            sides.add(_PHRASES[side] if side in _PHRASES else HIGHER_IS_BETTER[side])
            alone |= side not in _NOT_ALONE
            first = end
        elif words[first] in _BESIDE:
            first += 1
        else:
            return None
    return sides.pop() if len(sides) == 1 and alone else None


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


def without_side(labels: Mapping[str, bool | None]) -> str | None:
    """Return the note on labels whose better side is not known, and a form of the shell that sets it; None if all are.

    Examples
    --------
    >>> print(without_side({"HIC": False, "KD (nM)": None}))
    Whether high or low values are better is not known for 'KD (nM)': the best tenth is taken as the highest values, and a profile does not rank by it. Set it: 'data.higher_is_better={"KD (nM)":true}' (or false).
    """  # noqa: E501
    names = [name for name, side in labels.items() if side is None]
    if not names:
        return None
    form = json.dumps(dict.fromkeys(names, True), ensure_ascii=False, separators=(",", ":"))
    shown = ", ".join(map(repr, names))
    return (
        f"Whether high or low values are better is not known for {shown}: the best tenth is taken as the highest "
        f"values, and a profile does not rank by it. Set it: 'data.higher_is_better={form}' (or false)."
    )
