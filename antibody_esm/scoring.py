"""A model on tables as they come: good rows are scored, bad ones are kept apart with the reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.parts import Chain
from antibody_esm.data.reading import Chains
from antibody_esm.data.tables import chain_columns, is_missing, named_column, read_frames, without_dressing
from antibody_esm.errors import SequenceError
from antibody_esm.evaluation.uncertainty import CONFIDENCE
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import normalise

if TYPE_CHECKING:
    import pandas as pd


class Columns(NamedTuple):
    """Names of a table's columns; None is the usual name."""

    id: str | None = None
    heavy: str | None = None
    light: str | None = None


class Scores(NamedTuple):
    """What a model says of some rows of a table."""

    table: "pd.DataFrame"
    """`Predictor.score_table` of the good rows, after the column ``row``, counted from 0."""
    rejected: "pd.DataFrame"
    """``row``, ``id`` and ``reason`` of the others."""
    antibodies: list[Chains]
    """Heavy and light chain of the good rows as they stand in the table, None of a chain that is not read."""


def score_file(
    path: str | Path,
    predictor: Predictor,
    columns: Columns | None = None,
    *,
    threshold: float | None = None,
    assay: str | None = None,
    confidence: float = CONFIDENCE,
    check: bool | None = None,
) -> Iterator[Scores]:
    """Give what a model says of the antibodies in a file, some thousand rows at a time.

    Parameters
    ----------
    path
        FASTA, CSV, TSV or Parquet, packed or not; it may be larger than memory.
    predictor
        The model; the chain and the fragment that it was trained on are taken from the file.
    columns
        Where they are not named ``id``, ``heavy``, ``light`` or ``sequence``.
    threshold, assay, confidence, check
        As for `Predictor.score_table`.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has not the columns.
    CheckpointError, StoreError, ValueError
        As `Predictor.score_table` does.
    """
    first = 0
    for frame in read_frames(Path(path)):
        yield score_frame(
            frame, predictor, columns, first=first, threshold=threshold, assay=assay, confidence=confidence, check=check
        )
        first += len(frame)


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
) -> Scores:
    """Return what a model says of the antibodies in a table, of which ``first`` is the first row; see `score_file`."""
    import pandas as pd

    columns = columns or Columns()
    rows = list(range(first, first + len(frame)))
    names = _names(frame, columns.id, rows)
    chains, reasons = _chains(frame, predictor.reading.chain, columns, rows)
    good = [row for row in rows if row not in reasons]
    antibodies = [(chains["heavy"].get(row), chains["light"].get(row)) for row in good]
    texts = predictor.reading.read(antibodies, check=check)
    reasons |= {good[i]: why for i, why in texts.reasons.items()}
    read = dict(zip([good[i] for i in texts.rows], texts.accepted, strict=True))
    options: dict[str, Any] = {"threshold": threshold, "assay": assay, "confidence": confidence}
    try:
        table = predictor.score_read(list(read.values()), **options)
    except SequenceError as error:  # longer than the language model takes
        too_long = [(list(read)[bad.index], why) for bad, why in zip(error.rows, error.reasons, strict=True)]
        reasons |= dict(too_long)
        read = {row: text for row, text in read.items() if row not in reasons}
        table = predictor.score_read(list(read.values()), **options)
    good = list(read)
    table.insert(0, "id", "")
    table["id"] = [names[row - first] for row in good]
    table.insert(0, "row", good)
    bad = sorted(reasons)
    return Scores(
        table,
        pd.DataFrame(
            {"row": bad, "id": [names[row - first] for row in bad], "reason": [reasons[row] for row in bad]},
        ),
        [(chains["heavy"].get(row), chains["light"].get(row)) for row in good],
    )


def _names(frame: "pd.DataFrame", column: str | None, rows: list[int]) -> list[str]:
    """Return the id of each row; its number where it has none."""
    if column is None and "id" not in frame.columns:
        return [str(row) for row in rows]
    named = named_column(frame, column or "id")
    return [str(row) if is_missing(one) else str(one) for row, one in zip(rows, named, strict=True)]


def _chains(
    frame: "pd.DataFrame", chain: Chain, columns: Columns, rows: list[int]
) -> tuple[dict[str, dict[int, str]], dict[int, str]]:
    """Return the sequences of each chain that is read, by row, and the reason of each row that lacks one."""
    found: dict[str, dict[int, str]] = {"heavy": {}, "light": {}}
    reasons: dict[int, str] = {}
    for name, column in chain_columns(frame, chain, columns.heavy, columns.light).items():
        given_rows = {row: one for row, one in zip(rows, column, strict=True) if not is_missing(one)}
        reasons |= {row: f"has no {name} chain" for row in rows if row not in given_rows}
        for row, one in given_rows.items():
            try:
                (found[name][row],) = normalise([without_dressing(one)])
            except SequenceError as error:
                reasons[row] = f"{name} chain, position {error.position}: {error.reasons[0]}"
    return found, reasons
