"""Columns of a table with ids and chains of antibodies."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.data.fasta import namer, records
from antibody_esm.data.files import commented_header, is_fasta, places, read_frames
from antibody_esm.data.missing import is_missing, is_missing_chain
from antibody_esm.errors import DatasetError, SequenceError
from antibody_esm.sequences import BETWEEN, NUCLEIC, Chain

if TYPE_CHECKING:
    import pandas as pd

_AMINO_ACIDS = ("sequence_aa", "sequence_alignment_aa")
"""Columns of amino acids in tables of AIRR and OAS, whose column ``sequence`` holds nucleotides."""


def read_sequences(path: Path, column: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the id and the sequence of each row of a FASTA file or table; a missing sequence is None.

    The file is read in batches of rows, and may be larger than memory.

    Parameters
    ----------
    column
        Column of the table; None is the first of sequence, heavy, light that exists. In a table of AIRR, whose column
        ``sequence`` holds nucleotides, it is ``sequence_aa``, and ids are those of ``sequence_id``.

    Raises
    ------
    DatasetError
        If the file cannot be read; rows before the fault are yielded first.
    """
    row = 0
    for frame in read_frames(path):
        usual = [name for name in ("sequence", "heavy", "light", "sequence_aa") if name in frame.columns]
        if column is None and not usual:
            raise DatasetError(f"no column with sequences; name a column. {columns_there(frame, path)}", path)
        sequences = named_column(frame, column or _protein(usual[0], frame), path)
        names = ids_of(frame, first=row)
        row += len(frame)
        yield from zip(names, map(cleaned, sequences), strict=True)


def in_file(error: SequenceError, path: Path, ids: Mapping[int, str], column: str | None = None) -> SequenceError:
    """Return the error of a file's sequences with the line and id of each, and the column of amino acids.

    Parameters
    ----------
    error
        Its indices are rows of the file, from 0.
    ids
        Ids by row, at least of the first ten rows.
    column
        Column that was read; None as for `read_sequences`.
    """
    reasons = error.reasons
    if any(reason.startswith(NUCLEIC) for reason in reasons) and not is_fasta(path):
        frame = next(read_frames(path))
        reasons = tuple(advised(reason, frame, column) for reason in reasons)
    return SequenceError(error.rows, reasons, places(path, (row.index for row in error.rows), ids, "sequence"))


def advised(reason: str, frame: "pd.DataFrame", column: str | None = None) -> str:
    """Return the reason why a sequence is refused; for DNA, with the table's column of amino acids, if any."""
    other = next((name for name in _AMINO_ACIDS if name in frame.columns and name != column), None)
    return f"{reason}; use the column {other}" if other and reason.startswith(NUCLEIC) else reason


def pasted(text: str) -> "pd.DataFrame":
    """Return the ids and sequences of text: FASTA, or one sequence per line, whose ids are numbers from 0.

    FASTA has the same ids as in a file.
    """
    import pandas as pd

    if text.lstrip().startswith(">"):
        entries = list(records(io.StringIO(text)))
        named = namer(lambda: [record.header for record in entries])
        rows = [(named(record.header), record.sequence) for record in entries]
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        rows = [(str(i), line) for i, line in enumerate(lines)]
    return pd.DataFrame(rows, columns=["id", "sequence"])


def named_column(frame: "pd.DataFrame", name: str, path: Path | None = None) -> "pd.Series[Any]":
    """Return the column with a name. Raises DatasetError if there is none or more than one."""
    if name not in frame.columns:
        raise DatasetError(f"there is no column {name!r}. {columns_there(frame, path)}", path, column=name)
    column = frame[name]
    if column.ndim != 1:
        raise DatasetError(f"there are {column.shape[1]} columns named {name!r}", path, column=name)
    return column


def ids_of(frame: "pd.DataFrame", column: str | None = None, first: int = 0) -> list[str]:
    """Return the id of each row as text; a row without an id has its number, counted from ``first``.

    Without a name, the column is ``id``, or ``sequence_id`` in a table of AIRR.
    """
    rows = range(first, first + len(frame))
    if column is None and usual_id_column(frame) not in frame.columns:
        return [str(row) for row in rows]
    named = named_column(frame, column or usual_id_column(frame))
    return [str(row) if is_missing(name) else str(name) for row, name in zip(rows, named, strict=True)]


def chain_columns(
    frame: "pd.DataFrame",
    chain: Chain,
    heavy: str | None = None,
    light: str | None = None,
    fragment: str | None = None,
) -> "dict[str, pd.Series[Any]]":
    """Return the columns with the chains that a model reads, by ``heavy`` and ``light``.

    By default, columns have these names. If one chain is read, its column may also be ``sequence``, as in FASTA, or
    ``sequence_aa``, as in AIRR. If both chains are read and the only column is ``sequence``, it holds ``HEAVY|LIGHT``;
    for a fragment of both chains, it may hold single chains with both domains. A missing chain (empty, NA, N/A, nan,
    None, null, ``-``) is None.

    Raises
    ------
    DatasetError
        If a column does not exist or occurs more than once, or if one column is named for both chains.
    """
    import pandas as pd

    if fragment is None:
        refuse_own_partner(chain, heavy, light)
    both = chain in ("both", "paired")
    if both and heavy is light is None and not {"heavy", "light"} & set(frame.columns) and "sequence" in frame.columns:
        return divided(named_column(frame, _protein("sequence", frame)), whole=fragment is not None)
    columns = {}
    for name, named in (("heavy", heavy), ("light", light)):
        if chain == name or both:
            usual = (name,) if both else (name, "sequence_aa", "sequence")
            choices = usual if named is None else (named,)
            column = next((choice for choice in choices if choice in frame.columns), None)
            if column is None:
                there = ", ".join(map(str, frame.columns))
                raise DatasetError(
                    f"the model reads the {name} chain, but there is no column {choices[0]!r}; the columns are {there}"
                )
            cells = named_column(frame, column)
            columns[name] = pd.Series([cleaned(value) for value in cells], cells.index, object, cells.name)
    return columns


def without_dressing(sequence: Any) -> Any:
    """Return a sequence without white space and without a final stop ``*``."""
    return "".join(sequence.split()).removesuffix("*") if isinstance(sequence, str) else sequence


def cleaned(value: Any) -> Any:
    """Return the sequence in a cell of a column of chains, without white space and stop; None if it is missing."""
    return None if is_missing_chain(value) else without_dressing(value)


def divided(column: "pd.Series[Any]", *, whole: bool) -> "dict[str, pd.Series[Any]]":
    """Return the heavy and light chains of ``HEAVY|LIGHT``; a record without ``|`` is heavy, or both if `whole`."""
    import pandas as pd

    def parts(value: Any) -> tuple[Any, Any]:
        text = cleaned(value)
        if not isinstance(text, str) or BETWEEN not in text:
            return text, text if whole else None
        heavy, light = text.split(BETWEEN, 1)
        return cleaned(heavy), cleaned(light)

    both = [parts(value) for value in column]
    return {
        name: pd.Series([pair[place] for pair in both], column.index, object, name)
        for place, name in enumerate(("heavy", "light"))
    }


def refuse_own_partner(chain: Chain, heavy: str | None, light: str | None, path: Path | None = None) -> None:
    """Raise a DatasetError if one column is named for both chains."""
    column = heavy or "heavy"
    if chain in ("both", "paired") and column == (light or "light"):
        raise DatasetError(
            f"the column {column!r} is named for both the heavy and the light chain", path, column=column
        )


def _protein(name: str, frame: "pd.DataFrame") -> str:
    """Return the column to read instead of AIRR's ``sequence``, which holds nucleotides."""
    return "sequence_aa" if name == "sequence" and "sequence_aa" in frame.columns else name


def usual_id_column(frame: "pd.DataFrame") -> str:
    """Return the default column of ids: ``id``, or ``sequence_id`` in a table of AIRR."""
    airr = "id" not in frame.columns and {"sequence_id", "sequence_aa"} <= set(frame.columns)
    return "sequence_id" if airr else "id"


def columns_there(frame: "pd.DataFrame", path: Path | None = None) -> str:
    """Return the sentence of a message that lists the columns of a table."""
    return f"The columns are: {', '.join(map(str, frame.columns))}{commented_header(path)}"
