"""Unit of work between store and language model: sequences, and the specs whose rows they lack."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antibody_esm.specs import ResolvedExtractorSpec

Rows = NDArray[np.float32]
"""Vectors ``(n, dim)``, one a sequence."""


@dataclass(frozen=True)  # not a tuple, which Dask would turn into a graph
class Batch:
    """Distinct sequences of one length, which go through the model together."""

    sequences: list[str]
    """In normal form."""
    specs: tuple[ResolvedExtractorSpec, ...]
    """Views of one model; each sequence gets one row per view."""


@dataclass(frozen=True)
class Done:
    """A batch with its rows."""

    batch: Batch
    rows: list[Rows]
    """One array ``(b, dim)`` per spec."""
    seconds: float
    """Wall time of the batch in its worker."""
