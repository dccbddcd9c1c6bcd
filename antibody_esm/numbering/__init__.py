"""IMGT numbering of antibody chains: variable domains, their regions, germline genes and species.

Domains are aligned by immunum, and by anarcism to the profiles of ANARCI (doi:10.1093/bioinformatics/btv552) where that
leaves a doubt. The rhesus profiles have a fault: in all tested heavy and kappa chains, they put the second cysteine one
position too far. Therefore species are restricted: human and mouse by default, and alpaca for nanobodies.

Numbering takes about 1 ms a variable domain, and 5 to 20 ms a doubtful one. Results are computed once and kept in the
user's cache folder.
"""

from antibody_esm.numbering.domain import Domain, best
from antibody_esm.numbering.engines import engines_of, method
from antibody_esm.numbering.profiles import NANOBODY_SPECIES, SPECIES
from antibody_esm.numbering.recognition import LONGEST, NO_DOMAIN, absent_reason, closest_species, number
from antibody_esm.numbering.regions import CDRS, FRAMEWORKS, REGIONS, ImgtRegion
from antibody_esm.numbering.schemes import SchemeDomain, in_scheme

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
    "SchemeDomain",
    "absent_reason",
    "best",
    "closest_species",
    "engines_of",
    "in_scheme",
    "method",
    "number",
]
