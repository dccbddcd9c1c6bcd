"""Earlier name of `antibody_esm.data.public`, for one release."""

import warnings

from antibody_esm.data.public import PUBLIC, load_dataset

__all__ = ["PUBLIC", "load_dataset"]

warnings.warn("antibody_esm.data.sources is antibody_esm.data.public now", DeprecationWarning, stacklevel=2)
