"""Vectors that an extractor of another package computes."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from antibody_esm.batch import Rows
from antibody_esm.errors import PluginError
from antibody_esm.sequences import any_pair, chains_of, normalise
from antibody_esm.specs import PluginExtractorSpec, ResolvedExtractorSpec, RuntimeSpec


class FromPlugin:
    """Extractor of a `PluginExtractorSpec`; its package is imported when the first vector is needed.

    Parameters
    ----------
    spec
        Name, package, version and options.
    """

    longest = None

    def __init__(self, spec: PluginExtractorSpec, runtime: RuntimeSpec | None = None) -> None:
        self.spec = spec
        self.runtime = runtime or RuntimeSpec()
        self.computed = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    @cached_property
    def _made(self) -> Any:
        made = self.spec.make()
        if not callable(getattr(made, "embed", None)):
            raise PluginError(f"{self._name} has no method embed(sequences)", self.spec.package)
        return made

    @property
    def _name(self) -> str:
        return f"the extractor {self.spec.name!r} of the package {self.spec.package} {self.spec.version}"

    @property
    def pinned(self) -> PluginExtractorSpec:
        """The spec."""
        return self.spec

    @property
    def address(self) -> ResolvedExtractorSpec:
        """Address of rows of single chains in a store: name, package, version and options are its digest."""
        return ResolvedExtractorSpec(digest=hashlib.sha256(self.spec.canonical_json.encode()).hexdigest(), layer=0)

    @cached_property
    def dim(self) -> int:
        """Length of the vector of a single chain."""
        return int(self.of_chains(["EVQLVESGGG"]).shape[1])

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return 0: no vector of a language model of this package is needed."""
        return 0

    def unload(self) -> None:
        """Remove the plugin's object from memory."""
        self.__dict__.pop("_made", None)

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return the vectors ``(n, dim)`` of sequences, or ``(n, 2 * dim)`` of pairs, heavy first, as float32.

        Raises
        ------
        SequenceError
            If a sequence is not made of amino acids and X, or if pairs and single chains are mixed.
        PluginError
            If the package cannot be used, or returns other rows than the contract demands.
        """
        normal = normalise(sequences, pairs=True)
        if not normal:
            return np.empty((0, self.dim), np.float32)
        if not any_pair(normal):
            return self.of_chains(normal)
        return np.hstack([self.of_chains(chains) for chains in chains_of(normal)])

    def of_chains(self, chains: list[str]) -> Rows:
        """Return the vectors ``(n, dim)`` of single chains in normal form, each computed once."""
        distinct = list(dict.fromkeys(chains))
        try:
            rows = self._made.embed(list(distinct))
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(f"{self._name} failed: {type(error).__name__}: {error}", self.spec.package) from error
        self.computed += len(distinct)
        n, shape = len(distinct), getattr(rows, "shape", None)
        if not isinstance(rows, np.ndarray) or rows.dtype != np.float32 or rows.ndim != 2 or len(rows) != n:
            returned = f"{getattr(rows, 'dtype', type(rows).__name__)} of shape {shape}"
            problem = f"must return float32 of shape ({n}, dim), one row a sequence, and returned {returned}"
            raise PluginError(f"{self._name} {problem}", self.spec.package)
        if not np.isfinite(rows).all():
            raise PluginError(f"{self._name} returned numbers that are not finite", self.spec.package)
        place = {chain: row for row, chain in enumerate(distinct)}
        return rows[[place[chain] for chain in chains]]
