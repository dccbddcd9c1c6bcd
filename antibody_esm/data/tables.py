"""Columns of a table with ids and chains of antibodies."""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from antibody_esm.data.antibody_tables import Table, read_tables
from antibody_esm.data.cells import cleaned, is_missing
from antibody_esm.data.column_roles import Recognised
from antibody_esm.data.fasta import namer, records
from antibody_esm.data.files import commented_header, is_fasta, places, read_frames
from antibody_esm.data.layouts import Columns, hint_of
from antibody_esm.errors import DatasetError, SequenceError
from antibody_esm.sequences import ALPHABET, BETWEEN, NUCLEIC, Chain
from antibody_esm.spelling import did_you_mean
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("antibody_esm.tables")

_AMINO_ACIDS = ("sequence_aa", "sequence_alignment_aa")
"""Columns of amino acids in tables of AIRR and OAS, whose column ``sequence`` holds nucleotides."""


class SequenceColumn(NamedTuple):
    """Column of sequences of a table, by name, and how the table is read; None is recognised."""

    column: str | None = None
    id: str | None = None
    layout: str | None = None
    pairs: bool = False
    """True reads pairs if no column is named and a row has a column of each chain."""
    kinds: Callable[[Sequence[str]], Sequence[set[str]]] | None = None
    """Function that returns the kinds of variable domains, heavy and light, in each chain. With it, a chain in the
    column of the other kind is refused; None checks nothing."""
    chains: tuple[str, str] | None = None
    """Columns of heavy and light chains, which are read as pairs; None is recognised."""


def read_sequences(
    path: Path, column: str | SequenceColumn | None = None, *, cut: bool = True
) -> Iterator[tuple[str, Any]]:
    """Yield the id and the sequence, or pair of chains, of each row of a FASTA file or table; a missing chain is None.

    The file is read in batches of rows, and may be larger than memory.

    Parameters
    ----------
    column
        Column of the table; None is that of the layout, or else the first of sequence, heavy, light that exists or is
        recognised by a usual name, see `layouts`. A log line names it if there are others.
    cut
        True cuts variable domains out of translated transcripts; False leaves them as they are in the file.

    Raises
    ------
    DatasetError
        If the file cannot be read, rows before the fault are yielded first; or if pairs are read, and several columns
        may hold one of the chains.
    """
    named = column if isinstance(column, SequenceColumn) else SequenceColumn(column)
    row = 0
    heavy, light = named.chains or (None, None)
    for frame, recognised in read_tables(path, Columns(named.id, heavy, light, layout=named.layout), cut=cut):
        sequences = _sequences(frame, recognised, named, path, first=row == 0)
        names = ids_of(frame, recognised.columns.id, first=row)
        row += len(frame)
        yield from zip(names, sequences, strict=True)
        del frame, names, sequences  # before the next batch is read


def _sequences(
    frame: "pd.DataFrame", recognised: Recognised, named: SequenceColumn, path: Path, *, first: bool
) -> Iterator[Any]:
    """Return the sequence or pair of each row of a table; for its first rows, log the choice between columns."""
    usual = [named.column] if named.column is not None else _usual(frame, recognised, path)
    if named.chains is not None and not named.pairs:
        raise DatasetError(
            f"columns of both chains are named, but one chain at a time is read; name {named.chains[0]!r} or "
            f"{named.chains[1]!r} alone",
            path,
        )
    one_chain = recognised.layout.one_chain_a_row
    pair = [] if one_chain or not named.pairs or named.column is not None else _pair(frame, recognised, path)
    if pair:
        if first:
            logger.info("%s: pairs are read, from the columns %r and %r; column= names one of them", path, *pair)
        return zip(*(map(cleaned, named_column(frame, name, path)) for name in pair), strict=True)
    if first and len(usual) > 1 and not one_chain:
        others = " and ".join(map(repr, usual[1:]))
        logger.info("%s: sequences are read from the column %r, not from %s; column= names one", path, usual[0], others)
    cells = [_of_kind(frame, name, recognised, named, path) for name in (usual if one_chain else usual[:1])]
    return (next((cell for cell in row if cell is not None), None) for row in zip(*cells, strict=True))


def _usual(frame: "pd.DataFrame", recognised: Recognised, path: Path) -> list[str]:
    """Return the columns of sequences of a table."""
    by_role = {"sequence": recognised.sequence, **recognised.columns._asdict()}
    roles = ("sequence", "heavy", "light")
    usual = [name for role in roles if (name := by_role[role] or (role if role in frame.columns else None))]
    if not usual:
        several = [names for role, names in recognised.unclear.items() if role in roles]
        fitting = f" ({' or '.join(several[0])})" if several else ""
        raise DatasetError(f"no column with sequences; name a column{fitting}. {columns_there(frame, path)}", path)
    return usual


def _pair(frame: "pd.DataFrame", recognised: Recognised, path: Path) -> list[str]:
    """Return the columns of heavy and light chains, or nothing if there is only one of them."""
    there = recognised.chains(frame.columns)
    for role, several in recognised.unclear.items():
        if there and role in ("heavy", "light"):
            raise DatasetError(
                f"the model reads pairs, and {' and '.join(map(repr, several))} may each hold the {role} chains; "
                f"rename one of them to {role!r}, or name one column of sequences with column=",
                path,
            )
    return there if len(there) > 1 else []


def _of_kind(
    frame: "pd.DataFrame", name: str, recognised: Recognised, named: SequenceColumn, path: Path
) -> Iterator[Any]:
    """Return the cells of a column; of one of heavy or light chains, a chain of the other kind is Unknown."""
    cells = list(map(cleaned, named_column(frame, name, path)))
    columns = {recognised.columns.heavy or "heavy": "heavy", recognised.columns.light or "light": "light"}
    columns |= {column: role for role, several in recognised.unclear.items() for column in several}
    chain = columns.get(name)
    if named.kinds is None or chain not in ("heavy", "light"):
        return iter(cells)
    other = "light" if chain == "heavy" else "heavy"
    texts = {cell: cell.strip().upper() for cell in cells if isinstance(cell, str)}
    chains = list(dict.fromkeys(text for text in texts.values() if text and set(text) <= set(ALPHABET)))
    kinds = dict(zip(chains, named.kinds(chains), strict=True))
    refused = Unknown(f"a {other} chain in the column {name!r} of {chain} chains")
    return (refused if isinstance(cell, str) and kinds.get(texts[cell]) == {other} else cell for cell in cells)


def in_file(
    error: SequenceError, path: Path, ids: Mapping[int, str], column: str | SequenceColumn | None = None
) -> SequenceError:
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
        name = column.column if isinstance(column, SequenceColumn) else column
        reasons = tuple(advised(reason, frame, name) for reason in reasons)
    return SequenceError(error.rows, reasons, places(path, (row.index for row in error.rows), ids, "sequence"))


def advised(reason: str, frame: "pd.DataFrame", column: str | None = None) -> str:
    """Return the reason why a sequence is refused; for DNA, with the table's column of amino acids, if any."""
    if not reason.startswith(NUCLEIC):
        return reason
    other = next((name for name in _AMINO_ACIDS if name in frame.columns and name != column), None)
    hint = f"use the column {other}" if other else hint_of(frame.columns)
    return f"{reason}; {hint}" if hint else reason


def with_single_chains(table: Table, chain: Chain | None) -> tuple[Table, Chain | None]:
    """Return a table whose column of chains of either kind is that of the chain that is read, and that chain.

    Cells ``HEAVY|LIGHT`` become two columns if pairs are read, or if all cells are such.

    Raises
    ------
    DatasetError
        If several columns may hold the chain.
    """
    frame, recognised = table
    usual = _protein("sequence", frame)
    sequence = recognised.sequence or (usual if usual in frame.columns else None)
    if recognised.chains(frame.columns) or sequence is None:
        if chain is not None or recognised.chains(frame.columns):
            recognised.read_as(chain, frame.columns)
        return table, chain
    cells = [cleaned(cell) for cell in named_column(frame, sequence)]
    texts = [cell for cell in cells if isinstance(cell, str)]
    if chain in ("both", "paired") or (chain is None and texts and all(BETWEEN in text for text in texts)):
        if recognised.layout.one_chain_a_row:
            recognised.read_as("paired", frame.columns)
        return table._replace(frame=frame.assign(**divided(named_column(frame, sequence), whole=False))), (
            chain or "paired"
        )
    name: Literal["heavy", "light"] = "light" if chain == "light" else "heavy"
    if sequence == "sequence":
        logger.info("the column 'sequence' is read as %s chains%s", name, "" if chain else "; chain= names another")
    return table._replace(recognised=recognised.with_chain(name, sequence)), chain or name


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


def _of_cell(frame: "pd.DataFrame", name: str) -> str:
    """Return a hint if a name of a column is a cell, such as the id of an antibody."""
    for i, column in enumerate(frame.columns):
        if (frame.iloc[:, i].astype(str) == name).any():
            return f"; {name!r} is a cell of the column {column!r}: give the name of a column, not its content"
    return ""


def named_column(frame: "pd.DataFrame", name: str, path: Path | None = None) -> "pd.Series[Any]":
    """Return the column with a name. Raises DatasetError if there is none or more than one."""
    if name not in frame.columns:
        meant = did_you_mean(name, frame.columns) or _of_cell(frame, name)
        raise DatasetError(f"there is no column {name!r}. {columns_there(frame, path)}{meant}", path, column=name)
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
    sequence: str | None = None,
) -> "dict[str, pd.Series[Any]]":
    """Return the columns with the chains that a model reads, by ``heavy`` and ``light``.

    By default, columns have these names. If one chain is read, its column may also be ``sequence``, as in FASTA, or
    ``sequence_aa``, as in AIRR. If both chains are read and the only column is ``sequence``, it holds ``HEAVY|LIGHT``;
    for a fragment of both chains, it may hold single chains with both domains. Another column of such pairs is named
    by `sequence`. A missing chain (empty, NA, N/A, nan, None, null, ``-``) is None.

    Raises
    ------
    DatasetError
        If a column does not exist or occurs more than once, or if one column is named for both chains.
    """
    import pandas as pd

    if fragment is None:
        refuse_own_partner(chain, heavy, light)
    both = chain in ("both", "paired")
    if both and heavy is light is None and not {"heavy", "light"} & set(frame.columns):
        pairs = sequence or ("sequence" if "sequence" in frame.columns else None)
        if pairs is not None:
            return divided(named_column(frame, _protein(pairs, frame)), whole=fragment is not None)
    columns = {}
    for name, named in (("heavy", heavy), ("light", light)):
        if chain == name or both:
            usual = (name,) if both else (name, "sequence_aa", "sequence")
            choices = usual if named is None else (named,)
            column = next((choice for choice in choices if choice in frame.columns), None)
            if column is None:
                there = ", ".join(map(str, frame.columns)) + did_you_mean(choices[0], frame.columns)
                raise DatasetError(
                    f"the model reads the {name} chain, but there is no column {choices[0]!r}; the columns are {there}"
                )
            cells = named_column(frame, column)
            columns[name] = pd.Series([cleaned(value) for value in cells], cells.index, object, cells.name)
    return columns


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
