"""Old name of `antibody_esm.score_tables`."""

from antibody_esm.deprecation import moved

__getattr__ = moved(__name__, "antibody_esm.score_tables")
