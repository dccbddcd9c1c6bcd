"""137 clinical-stage antibodies of Jain et al. 2017 with twelve biophysical assays."""

import csv
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.downloads import RawFile, fetch
from antibody_esm.errors import DatasetError
from antibody_esm.licences import DATA


@dataclass(frozen=True)
class Assay:
    """One of the twelve assays."""

    column: str
    """Name in the published table."""
    unit: str
    worse: Literal["above", "below", ""] = ""
    """Side of the threshold on which an antibody is flagged; empty if the paper has no threshold."""
    threshold: float = 0.0
    """Limit of the worst tenth of 48 approved antibodies (Table 1 of the paper)."""

    def flags(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return True for each flagged value, ``(n,)``."""
        return values < self.threshold if self.worse == "below" else values > self.threshold


ASSAYS = {
    "titer": Assay("HEK Titer (mg/L)", "mg/L"),
    "tm": Assay("Fab Tm by DSF (°C)", "°C"),
    "sgac_sins": Assay("SGAC-SINS AS100 ((NH4)2SO4 mM)", "mM", "below", 370),
    "hic": Assay("HIC Retention Time (Min)a", "min", "above", 11.7),
    "smac": Assay("SMAC Retention Time (Min)a", "min", "above", 12.8),
    "as": Assay("Slope for Accelerated Stability", "%/day", "above", 0.08),
    "psr": Assay("Poly-Specificity Reagent (PSR) SMP Score (0-1)", "0-1", "above", 0.27),
    "ac_sins": Assay(
        "Affinity-Capture Self-Interaction Nanoparticle Spectroscopy (AC-SINS) ∆λmax (nm) Average", "nm", "above", 11.8
    ),
    "cic": Assay("CIC Retention Time (Min)", "min", "above", 10.1),
    "csi_bli": Assay("CSI-BLI Delta Response (nm)", "nm", "above", 0.01),
    "elisa": Assay("ELISA", "fold", "above", 1.9),
    "bvp": Assay("BVP ELISA", "fold", "above", 4.3),
}
"""Assays by the names that `labels` accepts. 25 minutes in HIC and SMAC means that the antibody did not elute."""

POLYREACTIVITY = ("psr", "bvp", "elisa")
"""Assays of non-specific binding; a flag in any of them makes the default label 1."""
_GRADE = "flag_groups"
GROUPS = (("psr", "ac_sins", "csi_bli", "cic"), ("hic", "smac", "sgac_sins"), POLYREACTIVITY[1:], ("as",))
"""Groups of assays that measure similar properties: the paper counts at most one red flag per group."""


def jain(labels: str = "flags") -> Dataset:
    """Return the antibodies with labels of one kind.

    Parameters
    ----------
    labels
        ``flags``: 1 for PSR > 0.27, BVP > 4.3 or ELISA > 1.9. An assay's name (`ASSAYS`): its values.
        An assay's name with ``_flag``: 1 on the worse side of its threshold. ``flag_groups``: number of the four
        groups of assays with a flag, 0 to 4.

    Returns
    -------
    Heavy and light variable domains, with the values of all assays and the number of flags, ``flag_groups``, as
    `measurements`.
    """
    rows, files = zip(*(_read(fetch(f"jain/jain_sd0{number}.csv")) for number in (2, 3)), strict=True)
    sequences, values = ({row["Name"]: row for row in table} for table in rows)
    if sequences.keys() != values.keys():
        raise DatasetError("the tables of sequences and of assays list different antibodies", files[0].path)
    measured = {
        name: np.array([float(values[antibody][assay.column]) for antibody in sequences])
        for name, assay in ASSAYS.items()
    }
    label, rule = _label(labels, measured)
    flags, _ = _label(_GRADE, measured)
    return Dataset(
        ids=list(sequences),
        heavy=[row["VH"] for row in sequences.values()],
        light=[row["VL"] for row in sequences.values()],
        label=label,
        measurements=measured | {_GRADE: flags},
        grade=_GRADE,
        label_name=labels,
        provenance=Provenance(
            source="jain: supporting tables 2 and 3 of the paper",
            rule=rule,
            citation="Jain et al., PNAS 2017, 114:944-949, doi:10.1073/pnas.1616408114",
            licence=DATA["jain"].name,
            sha256={file.path.name: file.sha256 for file in files},
            counts={"antibodies": len(sequences)},
        ),
    )


def _label(labels: str, measured: dict[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], str]:
    def condition(names: tuple[str, ...]) -> str:
        words = {"above": ">", "below": "<"}
        return " or ".join(f"{name} {words[ASSAYS[name].worse]} {ASSAYS[name].threshold:g}" for name in names)

    def flagged(names: tuple[str, ...]) -> NDArray[np.bool_]:
        flags: NDArray[np.bool_] = np.logical_or.reduce([ASSAYS[name].flags(measured[name]) for name in names])
        return flags

    if labels in ASSAYS:
        return measured[labels], f"{ASSAYS[labels].column}, {ASSAYS[labels].unit}"
    if labels == "flags":
        rule = "this package's choice of three assays, with the paper's thresholds"
        return flagged(POLYREACTIVITY).astype(float), f"1: {condition(POLYREACTIVITY)}; {rule}"
    if labels == "flag_groups":
        counted = np.sum([flagged(group) for group in GROUPS], axis=0)
        return counted.astype(float), f"number of groups with a flag: {'; '.join(condition(group) for group in GROUPS)}"
    name = labels.removesuffix("_flag")
    if name != labels and name in ASSAYS and ASSAYS[name].worse:
        return flagged((name,)).astype(float), f"1: {condition((name,))}, the paper's threshold"
    raise DatasetError(
        f"unknown labels {labels!r} of 'jain'; choose flags, flag_groups, one of {', '.join(ASSAYS)}, "
        "or an assay with _flag (not titer or tm)"
    )


def _read(file: RawFile) -> tuple[list[dict[str, str]], RawFile]:
    """Return the rows with values; the last two rows of a table are a footnote."""
    table = csv.DictReader(io.StringIO(file.path.read_text(encoding="utf-8-sig")))
    return [row for row in table if row["Name"] and any(value for key, value in row.items() if key != "Name")], file
