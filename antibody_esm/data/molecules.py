"""Antibodies by their chains: what is read of them, and how messages name them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from antibody_esm.data.files import places
from antibody_esm.data.reading import Chains, Reading, Texts, refuse
from antibody_esm.errors import DatasetError, listed
from antibody_esm.sequences import Antibody, Chain


class Molecules:
    """The part of a `Dataset` that knows of no labels: ids, chains, and how they are read."""

    ids: Sequence[str]
    heavy: Sequence[str | None] | None
    light: Sequence[str | None] | None
    chain: Chain
    fragment: str | None
    species: tuple[str, ...]
    file: Path | None

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the names, for messages, of the first ten of these rows: the line of the file, and the id.

        Without a file, or in a subset of one, the name is the number of the antibody from 1 with its index.
        """
        return places(self.file, rows, dict(enumerate(self.ids)))

    @property
    def sequences(self) -> list[str]:
        """Sequences to embed: those of `chain`.

        Raises
        ------
        DatasetError
            If any antibody lacks that chain.
        """
        if self.chain in ("both", "paired"):
            pairs = map(Antibody, self._every("heavy"), self._every("light"))
            return [str(pair) if self.chain == "paired" else pair.heavy + pair.light for pair in pairs]
        return self._every(self.chain)

    @property
    def identity_sequences(self) -> list[str]:
        """Sequences that identity compares: heavy chains if both chains are read, else `sequences`.

        Two antibodies with the same heavy chain are clonally related, whatever their light chains are. This is the only
        rule for folds by identity, clusters of a test set, near-duplicates and the identity to the training set.
        """
        return self._every("heavy") if self.chain in ("both", "paired") else self.sequences

    def _every(self, chain: str) -> list[str]:
        chains: Sequence[str | None] | None = getattr(self, chain)
        if chains is None:
            raise DatasetError(f"this data set has no {chain} chains", column=chain)
        absent = [i for i, sequence in enumerate(chains) if sequence is None]
        if absent:
            raise DatasetError(
                f"{len(absent)} antibodies have no {chain} chain: {listed(self.places(absent).values(), len(absent))}",
                self.file,
                column=chain,
                rows=absent,
            )
        return [sequence for sequence in chains if sequence is not None]

    @property
    def chains(self) -> list[Chains]:
        """Heavy and light chain of each antibody; None for a missing chain."""
        heavy, light = (chains or [None] * len(self) for chains in (self.heavy, self.light))
        return list(zip(heavy, light, strict=True))

    @property
    def reading(self) -> Reading:
        """Chain, fragment and species by which these antibodies are read."""
        return Reading(self.chain, self.fragment, self.species)

    def read_by(self, reading: Reading, check: bool | None = None) -> Texts:
        """Return the texts that a model reads of these antibodies, or the reasons why it refuses them.

        Raises
        ------
        DatasetError
            If the model reads another chain, or if the data are other loops or frameworks.
        """
        mine = self.reading
        if reading.chain != mine.chain or not (mine.whole or reading.same_part(mine)):
            raise DatasetError(f"the model reads {reading} sequences; this data set holds {mine} sequences")
        if self.fragment is None or not reading.same_part(mine):
            return reading.read(self.chains, check=check)
        if reading.check if check is None else check:
            return reading.verify(self.chains)
        return replace(reading, fragment=None).read(self.chains, check=False)

    def refuse(self, texts: Texts, what: str, hint: str = "", column: str | None = None) -> None:
        """Raise a DatasetError that lists the refused rows, see `data.reading.refuse`."""
        refuse(texts, what, hint, self.places, self.file, column)
