"""Design of antibodies: liabilities by sequence."""

from antibody_esm.design.liabilities import Screening, liabilities, screen
from antibody_esm.design.panel import LiabilityPanel

__all__ = ["LiabilityPanel", "Screening", "liabilities", "screen"]
