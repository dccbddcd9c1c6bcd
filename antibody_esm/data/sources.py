"""Old name of `antibody_esm.data.public`."""

from antibody_esm.deprecation import moved

__getattr__ = moved(__name__, "antibody_esm.data.public")
