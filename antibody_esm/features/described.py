"""Descriptors of sequences as a source of vectors."""

from collections.abc import Iterable

import numpy as np

from antibody_esm.batch import Rows
from antibody_esm.descriptors import describe
from antibody_esm.sequences import normalise
from antibody_esm.specs import DescriptorSpec, RuntimeSpec


class Described:
    """The descriptors of a `DescriptorSpec`.

    Parameters
    ----------
    spec
        Choice of descriptors.
    """

    computed = 0
    longest = None

    def __init__(self, spec: DescriptorSpec, runtime: RuntimeSpec | None = None) -> None:
        self.spec = spec
        self.runtime = runtime or RuntimeSpec()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    @property
    def pinned(self) -> DescriptorSpec:
        """The spec."""
        return self.spec

    @property
    def dim(self) -> int:
        """Number of descriptors."""
        return len(describe(["A"], self.spec).names)

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return 0: no vector of a language model is needed."""
        return 0

    def unload(self) -> None:
        """Do nothing: no model is in memory."""

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return the descriptors ``(n, dim)`` of each sequence, or ``(n, 2 * dim)`` of each pair, as float32.

        Raises
        ------
        SequenceError
            If a sequence is not made of amino acids and X, or holds only X, or if pairs and single chains are mixed.
        """
        normal = normalise(sequences, pairs=True)
        if not normal:
            return np.empty((0, self.dim), np.float32)
        values = describe(normal, self.spec).values
        return np.asarray(values if isinstance(values, np.ndarray) else values.toarray(), np.float32)
