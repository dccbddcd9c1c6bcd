"""Earlier name of `antibody_esm.score_tables`, for one release."""

import warnings

from antibody_esm.score_tables import Columns, Scores, score_file, score_frame

__all__ = ["Columns", "Scores", "score_file", "score_frame"]

warnings.warn("antibody_esm.scoring is antibody_esm.score_tables now", DeprecationWarning, stacklevel=2)
