"""Design of antibodies: liabilities by sequence."""

from antibody_esm.design.marks import mark_liabilities
from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.screening import Screening, liabilities, liability_columns, screen

__all__ = ["LiabilityPanel", "Screening", "liabilities", "liability_columns", "mark_liabilities", "screen"]
