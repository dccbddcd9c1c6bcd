"""Design of antibodies: liabilities by sequence, fixes of them, and variants to make next."""

from antibody_esm.design.choice import propose
from antibody_esm.design.fixes import fixes
from antibody_esm.design.marks import mark_liabilities, with_liabilities
from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.proposals import Proposals
from antibody_esm.design.screening import Screening, liabilities, liability_columns, screen

__all__ = [
    "LiabilityPanel",
    "Proposals",
    "Screening",
    "fixes",
    "liabilities",
    "liability_columns",
    "mark_liabilities",
    "propose",
    "screen",
    "with_liabilities",
]
