"""Predictions for tables of antibodies; rows that cannot be scored are returned with the reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.antibodies import Read, cells_of
from antibody_esm.data.antibody_tables import Table, read_tables, table_of
from antibody_esm.data.layouts import Columns
from antibody_esm.data.reading import Chains, Reading
from antibody_esm.data.tables import advised, chain_columns, ids_of
from antibody_esm.design.screening import liability_columns
from antibody_esm.errors import SequenceError, errors_of, fault
from antibody_esm.evaluation.conformal import CONFIDENCE
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import normalise
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["Columns", "Scores", "score_file", "score_frame"]


class Scores(NamedTuple):
    """Predictions for rows of a table."""

    table: "pd.DataFrame"
    """Column ``row``, counted from 0, and `Predictor.score_table` of the scored rows."""
    rejected: "pd.DataFrame"
    """Columns ``row``, counted from 0, ``id`` and ``reason`` of the other rows; positions in a reason count from 1."""
    antibodies: list[Chains]
    """Heavy and light chain of the scored rows as in the table; None for a chain that is not read."""


def score_file(
    path: str | Path,
    predictor: Predictor,
    columns: Columns | None = None,
    *,
    threshold: float | None = None,
    assay: str | None = None,
    confidence: float = CONFIDENCE,
    check: bool | None = None,
    liabilities: bool = False,
) -> Iterator[Scores]:
    """Yield a model's predictions for the antibodies in a file, in batches of rows.

    Parameters
    ----------
    path
        FASTA, CSV, TSV, Excel or Parquet, packed or not; it may be larger than memory.
    predictor
        The model; it reads the chain, the fragment and the columns that it was trained on.
    columns
        Names of columns, and the layout of the table; None is recognised, see `data.layouts`.
    threshold, assay, confidence, check
        As for `Predictor.score_table`.
    liabilities
        Add the columns of `antibody_esm.design.liability_columns`.

    Raises
    ------
    DatasetError
        If the file cannot be read, or lacks the columns.
    CheckpointError, StoreError, ValueError
        As `Predictor.score_table` does.
    """
    first = 0
    for table in read_tables(Path(path), columns, species=predictor.reading.species):
        with errors_of(path):
            scores = score_rows(
                table,
                predictor,
                first=first,
                threshold=threshold,
                assay=assay,
                confidence=confidence,
                check=check,
                liabilities=liabilities,
            )
        yield scores
        first += len(table.frame)


def score_frame(
    frame: "pd.DataFrame",
    predictor: Predictor,
    columns: Columns | None = None,
    *,
    first: int = 0,
    threshold: float | None = None,
    assay: str | None = None,
    confidence: float = CONFIDENCE,
    check: bool | None = None,
    liabilities: bool = False,
) -> Scores:
    """Return a model's predictions for the antibodies in a table, whose first row is ``first``; see `score_file`."""
    return score_rows(
        table_of(frame, columns, species=predictor.reading.species),
        predictor,
        first=first,
        threshold=threshold,
        assay=assay,
        confidence=confidence,
        check=check,
        liabilities=liabilities,
    )


def score_rows(
    rows_of: Table,
    predictor: Predictor,
    *,
    first: int = 0,
    threshold: float | None = None,
    assay: str | None = None,
    confidence: float = CONFIDENCE,
    check: bool | None = None,
    liabilities: bool = False,
) -> Scores:
    """Return a model's predictions for the antibodies in a table whose columns are recognised; see `score_file`."""
    import pandas as pd

    frame, recognised = rows_of
    rows = list(range(first, first + len(frame)))
    names = ids_of(frame, recognised.columns.id, first)
    chains, reasons = _chains(rows_of, predictor.reading, rows)
    good = [row for row in rows if row not in reasons]
    antibodies = [(chains["heavy"].get(row), chains["light"].get(row)) for row in good]
    reading = predictor.reading
    cells = cells_of(frame.iloc[[row - first for row in good]], reading)
    read = Read.of([], reading.read(antibodies, check=check), reading.columns.read(cells, len(good)))
    reasons |= {good[i]: why for i, why in read.texts.reasons.items()}
    kept, inputs = read.texts.rows, read.inputs
    options: dict[str, Any] = {"threshold": threshold, "assay": assay, "confidence": confidence}
    try:
        table = predictor.score_inputs(inputs, **options)
    except SequenceError as error:  # too long for the language model
        too_long = {bad.index: why for bad, why in zip(error.rows, error.reasons, strict=True)}
        reasons |= {good[kept[i]]: why for i, why in too_long.items()}
        fit = [i for i in range(len(kept)) if i not in too_long]
        kept, inputs = [kept[i] for i in fit], inputs.part(fit)
        table = predictor.score_inputs(inputs, **options)
    good = [good[i] for i in kept]
    table.insert(0, "id", "")
    table["id"] = [names[row - first] for row in good]
    table.insert(0, "row", good)
    bad = sorted(reasons)
    antibodies = [(chains["heavy"].get(row), chains["light"].get(row)) for row in good]
    if liabilities:
        table[["liabilities", "liability_sites"]] = liabilities_of(antibodies, reading)
    return Scores(
        table,
        pd.DataFrame(
            {"row": bad, "id": [names[row - first] for row in bad], "reason": [reasons[row] for row in bad]},
        ),
        antibodies,
    )


def liabilities_of(antibodies: list[Chains], reading: Reading) -> "pd.DataFrame":
    """Return the columns of liabilities of antibodies whose chains are those that the reading takes."""
    texts: list[str | tuple[str, str]] = []
    for heavy, light in antibodies:
        texts.append((heavy, light) if heavy and light and heavy != light else heavy or light or "")
    return liability_columns(texts, chain=reading.chain, species=reading.species)


def _chains(table: Table, reading: Reading, rows: list[int]) -> tuple[dict[str, dict[int, str]], dict[int, str]]:
    """Return the sequences of each chain that is read, by row, and the reason of each row that cannot be read."""
    sequences: dict[str, dict[int, str]] = {"heavy": {}, "light": {}}
    reasons: dict[int, str] = {}
    frame, recognised = table
    columns = recognised.read_as(reading.chain, frame.columns)
    read = chain_columns(
        frame, reading.chain, columns.heavy, columns.light, reading.fragment, sequence=recognised.sequence
    )
    for name, column in read.items():
        present = {row: cell for row, cell in zip(rows, column, strict=True) if cell is not None}
        reasons |= {row: f"has no {name} chain" for row in rows if row not in present}
        for row, cell in present.items():
            if isinstance(cell, Unknown):  # refused by the layout, not as a chain
                reasons[row] = str(cell)
                continue
            try:
                (sequences[name][row],) = normalise([cell])
            except SequenceError as error:
                reason = advised(error.reasons[0], frame, str(column.name))
                reasons[row] = fault(f"{name} chain", error.rows[0], reason)
    return sequences, reasons
