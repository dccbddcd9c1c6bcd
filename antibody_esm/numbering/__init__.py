"""IMGT numbering of antibody chains: variable domains, their regions, germline genes and species.

The work is done by anarcism, which aligns to the profiles of ANARCI (doi:10.1093/bioinformatics/btv552). Its rhesus
profiles put the second cysteine one position too far in every heavy and kappa chain that was tried, a fault of the
profiles themselves, so species are chosen here: human and mouse, and alpaca where nanobodies are expected.

Numbering takes some 5 ms a variable domain, and 20 ms a longer sequence or one in doubt. Results are kept in the user's
cache folder, and computed once.
"""

from antibody_esm.numbering.domain import Domain, best
from antibody_esm.numbering.profiles import NANOBODY_SPECIES, SPECIES, method
from antibody_esm.numbering.recognition import LONGEST, NO_DOMAIN, absent_reason, closest_species, number
from antibody_esm.numbering.regions import CDRS, FRAMEWORKS, REGIONS, ImgtRegion

__all__ = [
    "CDRS",
    "FRAMEWORKS",
    "LONGEST",
    "NANOBODY_SPECIES",
    "NO_DOMAIN",
    "REGIONS",
    "SPECIES",
    "Domain",
    "ImgtRegion",
    "absent_reason",
    "best",
    "closest_species",
    "method",
    "number",
]
