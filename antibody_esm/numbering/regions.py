"""Regions of a variable domain by IMGT position."""

from typing import Literal

Region = Literal["FR1", "CDR1", "FR2", "CDR2", "FR3", "CDR3", "FR4"]

REGIONS: dict[Region, tuple[int, int]] = {
    "FR1": (1, 26),
    "CDR1": (27, 38),
    "FR2": (39, 55),
    "CDR2": (56, 65),
    "FR3": (66, 104),
    "CDR3": (105, 117),
    "FR4": (118, 128),
}
"""First and last IMGT position of each region (doi:10.1016/S0145-305X(02)00039-3)."""

CDRS: tuple[Region, ...] = ("CDR1", "CDR2", "CDR3")
FRAMEWORKS: tuple[Region, ...] = ("FR1", "FR2", "FR3", "FR4")
