"""Jobs of the web page, which run in a process of their own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.layouts import Columns
    from antibody_esm.explain import Scan
    from antibody_esm.predictor import Predictor
    from antibody_esm.score_tables import Scores
    from antibody_esm.sequences import Chain

LARGEST = 5_000_000
"""Most bytes of an upload."""
MOST = 2_000
"""Most antibodies at a time."""
LONGEST = 2_000
"""Most residues of a sequence."""
WIDEST = 1_000
"""Most columns of a table."""
_TEXT = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".fasta", ".fa", ".faa", ".fas")
"""Suffixes of unpacked files, and of workbooks, which are limited; a packed file may unpack to more than memory."""


def score_job(predictor: "Predictor", text: str, file: str | None) -> "tuple[Scores, list[dict[str, Any]], str]":
    """Return the scores, the columns that the model reads for each scored antibody, and which were recognised."""
    from antibody_esm.data.antibodies import cells_of
    from antibody_esm.data.antibody_tables import table_of
    from antibody_esm.score_tables import score_rows

    frame = antibodies(text, file, predictor.reading.chain)
    table = table_of(frame, species=predictor.reading.species)
    scores = score_rows(table, predictor)
    cells = cells_of(table.frame, predictor.reading)
    columns = [{name: values[row] for name, values in cells.items()} for row in scores.table["row"]]
    return scores, columns, recognised_columns(frame)


def recognised_columns(frame: "pd.DataFrame") -> str:
    """Return the sentence of a summary on columns that were recognised; empty if none was."""
    from antibody_esm.data.antibody_tables import table_of

    text = str(table_of(frame, cut=False).recognised)
    return f" Columns: {text}." if text else ""


def explain_job(predictor: "Predictor", antibody: str, columns: dict[str, Any], marked: bool = False) -> str:
    """Return the picture of an antibody's contributions, its columns held fixed, as HTML, perhaps with liabilities."""
    from antibody_esm.design import with_liabilities
    from antibody_esm.explain import residue_contributions
    from antibody_esm.explain.picture import fragment

    contributions = residue_contributions(predictor.with_columns(columns), antibody)
    return fragment(with_liabilities(contributions) if marked else contributions)


def scan_job(
    predictor: "Predictor", antibody: str, columns: dict[str, Any], positions: str | None, marked: bool = False
) -> "Scan":
    """Return the single mutants of an antibody, its columns held fixed, perhaps with their liabilities."""
    from antibody_esm.design import with_liabilities
    from antibody_esm.explain import mutational_scan

    scan = mutational_scan(predictor.with_columns(columns), antibody, positions)
    return with_liabilities(scan) if marked else scan


def uploaded(text: str, file: str | None) -> "pd.DataFrame":
    """Return a table of the pasted text, or else of the uploaded file.

    Raises
    ------
    DatasetError
        If there are no antibodies or too many, or the file cannot be read.
    """
    import pandas as pd

    from antibody_esm.data.files import read_frames
    from antibody_esm.data.tables import pasted

    if len(text.encode()) > LARGEST or (file is not None and Path(file).stat().st_size > LARGEST):
        raise DatasetError(f"at most {LARGEST:,} bytes are allowed at a time")
    if text.strip() and file is not None:
        raise DatasetError("there are both pasted sequences and a file; remove one of them")
    if text.strip():
        frame = pasted(text)
    elif file is None:
        raise DatasetError("paste sequences or choose a file first")
    elif Path(file).suffix.lower() not in _TEXT:
        raise DatasetError(f"names of files must end in {', '.join(_TEXT)}")
    else:
        frames = []
        for part in read_frames(Path(file)):
            if len(part.columns) > WIDEST:
                raise DatasetError(f"at most {WIDEST:,} columns are allowed")
            frames.append(part)
            if sum(map(len, frames)) > MOST:
                break
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if not len(frame):
        raise DatasetError("there are no antibodies")
    if len(frame) > MOST:
        raise DatasetError(f"at most {MOST:,} antibodies are allowed at a time; `antibody-esm predict` has no limit")
    return frame


def antibodies(text: str, file: str | None, chain: "Chain") -> "pd.DataFrame":
    """Return the table of `uploaded`, if a model that reads a chain can read it.

    Raises
    ------
    DatasetError
        If `uploaded` raises it, there is no column of the chain, or a sequence is too long.
    """
    frame = uploaded(text, file)
    refuse_long(frame, chain, path=None if file is None else Path(file))
    return frame


def refuse_long(
    frame: "pd.DataFrame", chain: "Chain", named: "Columns | None" = None, path: Path | None = None
) -> None:
    """Raise a DatasetError if a sequence of a chain that a model reads is too long, or if there is no such column.

    Parameters
    ----------
    frame
        Antibodies.
    chain
        Chain that the model reads.
    named
        Names of columns as passed; None is recognised.
    path
        File of the antibodies, whose lines a message names; None if there is none.
    """
    from antibody_esm.data.antibody_tables import table_of
    from antibody_esm.data.files import places
    from antibody_esm.data.tables import chain_columns, ids_of

    table, recognised = table_of(frame, named, cut=False)
    columns = recognised.read_as(chain, table.columns)
    for column in chain_columns(table, chain, columns.heavy, columns.light, sequence=recognised.sequence).values():
        long = [row for row, cell in enumerate(column) if len(str(cell)) > LONGEST]
        if long:
            ids = ids_of(table, columns.id)
            where = places(path, long[:1], {long[0]: ids[long[0]]})
            raise DatasetError(f"{where[long[0]]}: a sequence may have at most {LONGEST:,} residues")
