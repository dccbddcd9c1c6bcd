"""Contributions of residues to a prediction, and effects of mutations on it."""

from antibody_esm.explain.contributions import Contributions, occlusion, residue_contributions
from antibody_esm.explain.scan import Scan, mutational_scan
from antibody_esm.explain.shapley import shapley

__all__ = ["Contributions", "Scan", "mutational_scan", "occlusion", "residue_contributions", "shapley"]
