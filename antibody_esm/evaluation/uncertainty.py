"""Old name of `antibody_esm.evaluation.conformal`."""

from antibody_esm.deprecation import moved

__getattr__ = moved(__name__, "antibody_esm.evaluation.conformal")
