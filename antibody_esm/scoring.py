"""A model on tables as they come: good rows are scored, bad ones are kept apart with the reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.dataset import Chain, Dataset
from antibody_esm.data.files import read_frames
from antibody_esm.data.tables import advised, chain_columns, ids_of
from antibody_esm.errors import DatasetError, SequenceError, fault
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
    """``row``, counted from 0, ``id`` and ``reason`` of the others; positions in a reason are counted from 1."""
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
        Where they are not named ``id``, ``heavy``, ``light`` or ``sequence``, as `data.tables.chain_columns` says.
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
    names = ids_of(frame, columns.id, first)
    chains, reasons = _chains(frame, predictor.data["chain"], predictor.data["fragment"], columns, rows)
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


def _chains(
    frame: "pd.DataFrame", chain: Chain, fragment: str | None, columns: Columns, rows: list[int]
) -> tuple[dict[str, dict[int, str]], dict[int, str]]:
    """Return the sequences of each chain that is needed, by row, and why others have none."""
    found: dict[str, dict[int, str]] = {}
    reasons: dict[int, str] = {}
    for name, column in chain_columns(frame, chain, columns.heavy, columns.light, fragment).items():
        present = {row: cell for row, cell in zip(rows, column, strict=True) if cell is not None}
        reasons |= {row: f"has no {name} chain" for row in rows if row not in present}
        found[name] = {}
        for row, cell in present.items():
            try:
                (found[name][row],) = normalise([cell])
            except SequenceError as error:
                reason = advised(error.reasons[0], frame, str(column.name))
                reasons[row] = fault(f"{name} chain", error.rows[0], reason)
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
