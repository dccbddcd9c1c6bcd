"""A model on tables as they come: good rows are scored, bad ones are kept apart with the reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.dataset import Chain, Dataset
from antibody_esm.data.tables import chain_columns, is_missing, named_column, read_frames, without_dressing
from antibody_esm.errors import DatasetError, SequenceError
from antibody_esm.evaluation.uncertainty import CONFIDENCE
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import BETWEEN, normalise

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
    sequences: list[str]
    """What the model reads of the good rows: the chain and fragment of its training, ``heavy|light`` of a pair."""


def score_file(
    path: str | Path,
    predictor: Predictor,
    columns: Columns | None = None,
    *,
    threshold: float | None = None,
    assay: str | None = None,
    confidence: float = CONFIDENCE,
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
    threshold, assay, confidence
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
            frame, predictor, columns, first=first, threshold=threshold, assay=assay, confidence=confidence
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
) -> Scores:
    """Return what a model says of the antibodies in a table, of which ``first`` is the first row; see `score_file`."""
    import pandas as pd

    columns = columns or Columns()
    rows = list(range(first, first + len(frame)))
    names = _names(frame, columns.id, rows)
    chains, reasons = _chains(frame, predictor.data["chain"], columns, rows)
    good = [row for row in rows if row not in reasons]
    fragment = predictor.data["fragment"]
    if fragment is not None and good:
        sequences, without = _cut(good, chains, fragment)
        reasons |= without
        good = [row for row in good if row not in without]
    else:
        between = BETWEEN if predictor.data["chain"] == "paired" else ""
        sequences = [between.join(found[row] for found in chains.values()) for row in good]
    options: dict[str, Any] = {"threshold": threshold, "assay": assay, "confidence": confidence}
    try:
        table = predictor.score_table(sequences, **options)
    except SequenceError as error:  # too long for the model, which nobody knew before
        reasons |= {good[one.index]: why for one, why in zip(error.rows, error.reasons, strict=True)}
        kept = [i for i, row in enumerate(good) if row not in reasons]
        good, sequences = [good[i] for i in kept], [sequences[i] for i in kept]
        table = predictor.score_table(sequences, **options)
    table["id"] = [names[row - first] for row in good]
    table.insert(0, "row", good)
    bad = sorted(reasons)
    return Scores(
        table,
        pd.DataFrame(
            {"row": bad, "id": [names[row - first] for row in bad], "reason": [reasons[row] for row in bad]},
        ),
        sequences,
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
    """Return the sequences of each chain that is needed, by row, and why others have none."""
    found: dict[str, dict[int, str]] = {}
    reasons: dict[int, str] = {}
    for name, column in chain_columns(frame, chain, columns.heavy, columns.light).items():
        given_rows = {row: one for row, one in zip(rows, column, strict=True) if not is_missing(one)}
        reasons |= {row: f"has no {name} chain" for row in rows if row not in given_rows}
        found[name] = {}
        for row, one in given_rows.items():
            try:
                (found[name][row],) = normalise([without_dressing(one)])
            except SequenceError as error:
                reasons[row] = f"{name} chain, position {error.position}: {error.reasons[0]}"
    return found, reasons


def _cut(rows: list[int], chains: dict[str, dict[int, str]], fragment: str) -> tuple[list[str], dict[int, str]]:
    """Return the fragments of those that have it whole, and why others have not, by row."""
    heavy, light = (None if name not in chains else [chains[name][row] for row in rows] for name in ("heavy", "light"))
    given = Dataset([str(row) for row in rows], heavy, light)
    try:
        cut = given.cut(fragment, drop=True)
    except DatasetError as error:
        return [], dict.fromkeys(rows, str(error))
    return cut.sequences, {int(row): reason for row, reason in cut.provenance.dropped.items()}
