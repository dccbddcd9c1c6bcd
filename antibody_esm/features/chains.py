"""Vectors of antibodies of which each chain is read by a language model of its own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from antibody_esm import presets
from antibody_esm.batch import Rows
from antibody_esm.errors import BadResidue, CheckpointError, SequenceError
from antibody_esm.numbering import SPECIES, Domain, closest_species, number
from antibody_esm.plm.extractor import Extractor
from antibody_esm.sequences import any_pair, chains_of, normalise
from antibody_esm.specs import ChainSpec, RuntimeSpec

_NAMES = ("heavy", "light")
_WIDTHS = "heavy and light chains in one list require language models with vectors of one length"
_ADVICE = "; use the language model of its chain, or give the pair as (heavy, light)"


@dataclass(frozen=True)
class Divided:
    """ChainExtractor of antibodies, by the language model that reads them."""

    heavy: list[str]
    light: list[str]
    places: tuple[list[int], list[int]]
    """Antibody of each heavy and of each light chain."""
    pairs: bool

    @property
    def chains(self) -> tuple[list[str], list[str]]:
        """Heavy and light chains."""
        return self.heavy, self.light

    def gathered(self, rows: Sequence[Rows]) -> Rows:
        """Return a vector for each antibody from those of heavy and light chains, whichever there are."""
        if self.pairs:
            return np.hstack(rows)
        if len({each.shape[1] for each in rows}) > 1:
            raise CheckpointError(_WIDTHS)
        order = np.argsort([*self.places[0], *self.places[1]], kind="stable")
        return np.asarray(np.vstack(rows)[order])


class ChainExtractor:
    """The two language models of a `ChainSpec`.

    Parameters
    ----------
    spec
        A preset's name, or a `ChainSpec`.
    runtime
        Device, workers and progress bar, none of which changes a vector.
    """

    def __init__(self, spec: str | ChainSpec, runtime: RuntimeSpec | None = None) -> None:
        chosen = presets.extractor(spec)
        if not isinstance(chosen, ChainSpec):
            raise ValueError(f"{chosen!r} is no ChainSpec; use Extractor(...) or embed(...)")
        self.spec = chosen
        self.runtime = runtime or RuntimeSpec()
        self.heavy, self.light = (Extractor(model, self.runtime) for model in chosen.models)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r}, {self.runtime!r})"

    @property
    def readers(self) -> tuple[Extractor, Extractor]:
        """Language models of the heavy and of the light chain."""
        return self.heavy, self.light

    @property
    def pinned(self) -> ChainSpec:
        """The spec, pinned to the models that run."""
        return ChainSpec(heavy=self.heavy.pinned, light=self.light.pinned)

    @property
    def computed(self) -> int:
        """Number of chains that went through the language models since construction."""
        return self.heavy.computed + self.light.computed

    @property
    def dim(self) -> int:
        """Length of a heavy chain's vector."""
        return self.heavy.dim

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of a vector; of a heavy and of a light chain, if these differ. Empty without the models' files."""
        try:
            return tuple(dict.fromkeys(reader.dim for reader in self.readers))
        except CheckpointError:
            return ()

    @property
    def longest(self) -> int | None:
        """Longest chain in residues that either model accepts; None if one of them accepts all."""
        lengths = [reader.longest for reader in self.readers]
        return None if None in lengths else max(length for length in lengths if length is not None)

    def needed(self, sequences: Iterable[str | tuple[str, str]]) -> int:
        """Return the number of distinct vectors that these sequences or pairs need."""
        divided = self.divided(normalise(sequences, pairs=True))
        return len(set(divided.heavy)) + len(set(divided.light))

    def unload(self) -> None:
        """Remove both models from memory; each is read again when it is next needed."""
        for reader in self.readers:
            reader.unload()

    def divided(self, normal: list[str]) -> Divided:
        """Return the chains by the model that reads them; numbering recognises single chains.

        Raises
        ------
        SequenceError
            If a single chain is not recognised as a heavy or a light one, or holds domains of both; or if pairs and
            single chains are mixed.
        CheckpointError
            If single chains of both kinds would have vectors of two lengths.
        """
        if any_pair(normal):
            heavy, light = chains_of(normal)
            rows = list(range(len(normal)))
            return Divided(heavy, light, (rows, rows), True)
        kinds = self._kinds(normal)
        places = [[i for i, kind in enumerate(kinds) if kind == name] for name in _NAMES]
        heavy, light = ([normal[i] for i in rows] for rows in places)
        if heavy and light and len(self.widths) > 1:
            raise CheckpointError(f"{_WIDTHS}; these have {' and '.join(map(str, self.widths))}")
        return Divided(heavy, light, (places[0], places[1]), False)

    def refuse_swapped(self, normal: list[str]) -> None:
        """Raise a SequenceError that lists every chain of a pair in which numbering recognises the other one."""
        if not any_pair(normal):
            return
        faults = []
        for name, chains in zip(_NAMES, chains_of(normal), strict=True):
            other = "light" if name == "heavy" else "heavy"
            faults += [
                (i, chain, f"{_swap(name, other, kinds)}; a pair is (heavy, light)")
                for i, (chain, kinds) in enumerate(zip(chains, self.recognised(chains), strict=True))
                if other in kinds
            ]
        _refuse(faults)

    def check(self, divided: Divided, reads: Callable[[Extractor, list[str]], object] | None = None) -> None:
        """Raise a SequenceError that lists every chain, of both models, that its model cannot read. Runs no model.

        Parameters
        ----------
        reads
            Check of one model's chains; None is `Extractor.check`.
        """
        faults: list[tuple[BadResidue, str]] = []
        for name, reader, chains, places in zip(_NAMES, self.readers, divided.chains, divided.places, strict=True):
            try:
                if chains:
                    (reads or Extractor.check)(reader, chains)
            except SequenceError as error:
                suffix = f" in the {name} chain" if divided.pairs else ""
                rows = zip(error.rows, error.reasons, strict=True)
                faults += [(row._replace(index=places[row.index]), reason + suffix) for row, reason in rows]
        if faults:
            faults.sort(key=lambda fault: fault[0].index)
            raise SequenceError([row for row, _ in faults], [reason for _, reason in faults])

    def embed(self, sequences: Iterable[str | tuple[str, str]]) -> Rows:
        """Return one vector per sequence or pair, in input order, without storing it; raises as `Extractor.embed`."""
        normal = normalise(sequences, pairs=True)
        self.refuse_swapped(normal)
        divided = self.divided(normal)
        self.check(divided)
        rows = [reader.embed(chains) for reader, chains in zip(self.readers, divided.chains, strict=True) if chains]
        return divided.gathered(rows) if rows else np.empty((0, self.dim), np.float32)

    def recognised(self, chains: Sequence[str]) -> list[set[str]]:
        """Return the kinds of variable domains, heavy and light, in each sequence.

        All species are tried where there is none.
        """
        species = tuple(dict.fromkeys(name for model in self.spec.models for name in model.species or SPECIES))
        every = [_kinds_of(domains) for domains in number(chains, species=species)]
        for i, kinds in enumerate(every):
            if not kinds and (closest := closest_species(chains[i])) is not None:
                every[i] = _kinds_of(number([chains[i]], species=(closest,))[0])
        return every

    def _kinds(self, chains: list[str]) -> list[str]:
        """Return the chain that each sequence is, or raise a SequenceError that lists all that are neither."""
        recognised = self.recognised(chains)
        rows = enumerate(zip(chains, recognised, strict=True))
        _refuse([(i, chain, _problem(kinds)) for i, (chain, kinds) in rows if len(kinds) != 1])
        return [next(iter(kinds)) for kinds in recognised]


def _kinds_of(domains: Iterable[Domain]) -> set[str]:
    return {"heavy" if domain.chain == "H" else "light" for domain in domains}


def _swap(name: str, other: str, kinds: set[str]) -> str:
    if name in kinds:
        return f"a heavy and a light variable domain in one chain, where the {name} chain is read"
    return f"a {other} chain, where the {name} chain is read"


def _problem(kinds: set[str]) -> str:
    if kinds:
        return f"a heavy and a light variable domain in one sequence{_ADVICE}"
    return f"no antibody variable domain is recognised, so that its chain is unknown{_ADVICE}"


def _refuse(faults: Sequence[tuple[int, str, str]]) -> None:
    if faults:
        rows = [BadResidue(i, 0, chain[0]) for i, chain, _ in faults]
        raise SequenceError(rows, [reason for *_, reason in faults])
