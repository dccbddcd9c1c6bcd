"""Antibodies as callers pass them: lists, tables and data sets."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibody_tables import table_of
from antibody_esm.data.column_reading import ReadColumns
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.layouts import Columns
from antibody_esm.data.reading import Chains, Reading, Texts
from antibody_esm.data.selection import LabelledAntibody, rows_as_texts
from antibody_esm.data.tables import chain_columns, ids_of, named_column
from antibody_esm.errors import place
from antibody_esm.sequences import normalise

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import TypeIs

    Antibodies = Iterable[str | tuple[str, str] | LabelledAntibody] | Dataset | pd.DataFrame

NOT_NAMED = Columns()
"""No column is named: all are recognised."""


class Inputs(NamedTuple):
    """Accepted antibodies, as features are computed from them."""

    texts: list[str]
    """``n`` texts, as the language model reads them."""
    codes: NDArray[np.float64]
    """``(n, k)``, columns of the table, see `ColumnReading`."""
    warnings: list[str]
    """``n`` warnings of columns, which may be empty."""

    def part(self, rows: Sequence[int]) -> "Inputs":
        """Return the antibodies at these rows."""
        return Inputs([self.texts[row] for row in rows], self.codes[list(rows)], [self.warnings[row] for row in rows])


class Read(NamedTuple):
    """Antibodies as a model reads them."""

    ids: list[str]
    texts: Texts
    """Text of each antibody, or the reason why it is refused, which may lie in its columns."""
    named: bool
    """True if the caller gave the ids; else they are row numbers."""
    columns: ReadColumns
    """Columns of all rows."""

    @classmethod
    def of(cls, ids: list[str], texts: Texts, columns: ReadColumns, *, named: bool = True) -> "Read":
        """Return antibodies from their texts and columns; a row is refused for either."""
        return cls(ids, texts.without(columns.reasons), named, columns)

    @property
    def inputs(self) -> Inputs:
        """The accepted antibodies."""
        rows = self.texts.rows
        return Inputs(
            self.texts.accepted, self.columns.codes[rows], [self.columns.warnings.get(row, "") for row in rows]
        )

    def places(self, rows: Iterable[int]) -> Mapping[int, str]:
        """Return names of rows for messages."""
        return {row: place(row, self.ids[row] if self.named else None, noun="antibody") for row in rows}


def read_antibodies(
    antibodies: "Antibodies", reading: Reading, check: bool | None = None, named: Columns = NOT_NAMED
) -> Read:
    """Return ids and texts as the model reads them; see `Predictor.predict` for the parameters.

    Raises
    ------
    DatasetError
        If a table lacks the columns, or a `Dataset` is of another chain or fragment.
    SequenceError
        If any sequence is not made of amino acids and X.
    TypeError
        If columns are named, and the antibodies are no DataFrame.
    """
    if named != NOT_NAMED and not is_frame(antibodies):
        options = " and ".join(f"{role}=" for role, name in named._asdict().items() if name is not None)
        kind = type(antibodies).__name__
        raise TypeError(f"{options} names a column of a DataFrame, but the antibodies are a {kind}; leave it out")
    if isinstance(antibodies, Dataset):
        columns = reading.columns.read(antibodies.columns, len(antibodies))
        return Read.of(list(antibodies.ids), antibodies.read_by(reading, check), columns)
    if is_frame(antibodies):
        ids, chains, cells = _chains(antibodies, reading, named)
        columns = reading.columns.read(cells, len(ids))
        return Read.of(ids, reading.read(chains, check=check), columns)
    if isinstance(antibodies, LabelledAntibody):
        raise TypeError("a list of antibodies is needed, got one row of a data set; write [row]")
    sequences = list[Any](normalise(rows_as_texts(antibodies), pairs=True))
    columns = reading.columns.read(None, len(sequences))
    ids = [str(row) for row in range(len(sequences))]
    return Read.of(ids, reading.read(sequences, check=check), columns, named=False)


def cells_of(frame: "pd.DataFrame", reading: Reading) -> dict[str, list[Any]]:
    """Return the cells of the columns that a model reads beside the chains, as far as a table has them."""
    return {name: list(named_column(frame, name)) for name in reading.columns.needed if name in frame.columns}


def is_frame(antibodies: "Antibodies") -> "TypeIs[pd.DataFrame]":
    """Return True for a DataFrame; pandas is not imported, since a DataFrame exists only once it is."""
    return "pandas" in sys.modules and isinstance(antibodies, sys.modules["pandas"].DataFrame)


def _chains(
    frame: "pd.DataFrame", reading: Reading, columns_named: Columns
) -> tuple[list[str], list[Chains], dict[str, list[Any]]]:
    """Return the ids and the chains of a table in normal form, and the cells of columns; an empty chain is None."""
    frame, recognised = table_of(frame, columns_named, species=reading.species)
    named = recognised.read_as(reading.chain, frame.columns)
    read = chain_columns(frame, reading.chain, named.heavy, named.light, reading.fragment, sequence=recognised.sequence)
    columns = {name: list(column) for name, column in read.items()}
    ids = ids_of(frame, named.id)
    data = Dataset([str(row) for row in range(len(ids))], columns.get("heavy"), columns.get("light"))
    return ids, data.chains, cells_of(frame, reading)
