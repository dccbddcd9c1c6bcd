"""Which residues a prediction rests on, and what would change it."""

from antibody_esm.explain.contributions import Contributions, occlusion, residue_contributions
from antibody_esm.explain.scan import Scan, mutational_scan

__all__ = ["Contributions", "Scan", "mutational_scan", "occlusion", "residue_contributions"]
