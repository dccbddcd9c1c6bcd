"""Effort of a test run: little in the suite, all of it in ``make stress``."""

import os

from hypothesis import settings

STRESS = "ANTIBODY_ESM_STRESS" in os.environ
PATIENCE = 600
"""Seconds after which something has hung, however loaded the machine is; what works takes a few."""


def examples(number: int) -> settings:
    """Return the setting for so many examples in ``make stress``, and for a quarter, at least four, in the suite."""
    return settings(max_examples=number if STRESS else max(4, number // 4))
