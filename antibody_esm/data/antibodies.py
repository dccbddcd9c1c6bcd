"""Antibodies as callers pass them: lists, tables and data sets."""

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.antibody_tables import table_of
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.reading import Chains, Reading, Texts
from antibody_esm.data.tables import chain_columns, ids_of
from antibody_esm.errors import place
from antibody_esm.sequences import normalise

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import TypeIs

    Antibodies = Iterable[str | tuple[str, str]] | Dataset | pd.DataFrame


class Read(NamedTuple):
    """Antibodies as a model reads them."""

    ids: list[str]
    texts: Texts
    """Text of each antibody, or the reason why it is refused."""
    named: bool
    """True if the caller gave the ids; else they are row numbers."""

    def places(self, rows: Iterable[int]) -> Mapping[int, str]:
        """Return names of rows for messages."""
        return {row: place(row, self.ids[row] if self.named else None, noun="antibody") for row in rows}


def read_antibodies(antibodies: "Antibodies", reading: Reading, check: bool | None = None) -> Read:
    """Return ids and texts as the model reads them; see `Predictor.read` for the parameters.

    Raises
    ------
    DatasetError
        If a table lacks the columns, or a `Dataset` is of another chain or fragment.
    SequenceError
        If any sequence is not made of amino acids and X.
    """
    if isinstance(antibodies, Dataset):
        return Read(list(antibodies.ids), antibodies.read_by(reading, check), named=True)
    if is_frame(antibodies):
        ids, chains = _chains(antibodies, reading)
        return Read(ids, reading.read(chains, check=check), named=True)
    sequences = list[Any](normalise(antibodies, pairs=True))
    return Read([str(row) for row in range(len(sequences))], reading.read(sequences, check=check), named=False)


def is_frame(antibodies: "Antibodies") -> "TypeIs[pd.DataFrame]":
    """Return True for a DataFrame; pandas is not imported, since a DataFrame exists only once it is."""
    return "pandas" in sys.modules and isinstance(antibodies, sys.modules["pandas"].DataFrame)


def _chains(frame: "pd.DataFrame", reading: Reading) -> tuple[list[str], list[Chains]]:
    """Return the ids and the chains of a table in normal form; an empty cell is None."""
    frame, recognised = table_of(frame, species=reading.species)
    named = recognised.read_as(reading.chain, frame.columns)
    read = chain_columns(frame, reading.chain, named.heavy, named.light, reading.fragment, sequence=recognised.sequence)
    columns = {name: list(column) for name, column in read.items()}
    ids = ids_of(frame, named.id)
    data = Dataset([str(row) for row in range(len(ids))], columns.get("heavy"), columns.get("light"))
    return ids, data.chains
