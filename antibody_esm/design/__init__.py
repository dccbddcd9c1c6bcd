"""Design of antibodies: liabilities by sequence."""

from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.screening import Screening, liabilities, liability_columns, screen

__all__ = ["LiabilityPanel", "Screening", "liabilities", "liability_columns", "screen"]
