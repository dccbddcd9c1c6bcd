"""Columns of a table become antibodies: their ids, chains and labels, each row named in what is wrong with it."""

import hashlib
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.fasta import namer, records
from antibody_esm.data.files import commented_header, is_fasta, places, read_frames, read_table, with_index
from antibody_esm.errors import DatasetError, SequenceError, fault, listed
from antibody_esm.sequences import BETWEEN, NUCLEIC, Chain, normalise

if TYPE_CHECKING:
    import pandas as pd

_MISSING = frozenset({
    *("", "-", "--", "na", "n/a", "nan", "none", "null", "<na>"),
    *("#n/a", "#n/a n/a", "#na", "-nan", "-1.#ind", "-1.#qnan", "1.#ind", "1.#qnan"),  # the others of pandas
})  # fmt: skip
_LONGEST_MARK = max(map(len, _MISSING))
_AMINO_ACIDS = ("sequence_aa", "sequence_alignment_aa")
"""Columns of amino acids in tables of AIRR and OAS, whose column ``sequence`` holds nucleotides."""
_SHOWN = 10


def read_dataset(
    source: "str | Path | pd.DataFrame",
    *,
    id: str | None = None,  # noqa: A002  the name of the column, as in the data set
    heavy: str | None = None,
    light: str | None = None,
    label: str | None = None,
    groups: str | None = None,
    chain: Chain | None = None,
    labels: "str | Path | pd.DataFrame | Mapping[str, float] | None" = None,
    required: bool = True,
    labelled: bool = True,
) -> Dataset:
    """Read labelled antibodies; see `antibody_esm.load_dataset` for the parameters.

    Every antibody must have the chain that is embedded, unless that is not `required`, and a label, unless antibodies
    need not be `labelled`: then labels are read only where there are some.
    """
    path = None if not isinstance(source, str | Path) else _expanded(source)
    if path is not None and is_fasta(path):
        frame = _read_fasta(path, labels, id or "id", label or "label", labelled=labelled)
        if chain is None and all(BETWEEN in sequence for sequence in frame["sequence"]):
            chain = "paired"
        frame = _with_chains(frame, chain or "heavy", path, required=required)
        id = label = None  # noqa: A001  now the frame's own
    elif labels is not None:
        raise DatasetError("labels= goes with a FASTA file; name the column of a table with label=", path)
    else:
        frame = with_index(source) if not isinstance(source, str | Path) else read_table(_expanded(source))

    def column(name: str | None, default: str) -> "pd.Series[Any] | None":
        if name is None and default not in frame.columns:
            return None
        return named_column(frame, default if name is None else name, path)

    if len(frame) == 0:
        raise DatasetError("there are no rows", path)
    heavy_chains, light_chains = column(heavy, "heavy"), column(light, "light")
    if heavy_chains is None and light_chains is None:
        raise DatasetError(f"no column with sequences; name one with heavy= or light=. {_there(frame, path)}", path)
    if chain is None:
        chain = "light" if heavy_chains is None else "heavy"
    if required:
        _refuse_own_partner(chain, heavy, light, path)
    id_column = column(id, _usual_ids(frame))
    rows = _Rows(path, None if id_column is None else _texts(id_column))
    ids = [str(i) for i in range(len(frame))] if id_column is None else _names(id_column, rows)
    group_column = column(groups, "groups")
    label_column = None
    if labelled or label is not None or "label" in frame.columns:
        label_column = named_column(frame, "label" if label is None else label, path)
    _refuse_repeats(ids, id_column, rows)
    return Dataset(
        ids=ids,
        heavy=_sequences(heavy_chains, "heavy", frame, rows, required=required and chain != "light"),
        light=_sequences(light_chains, "light", frame, rows, required=required and chain != "heavy"),
        label=None if label_column is None else _numbers(label_column, rows),
        groups=None if group_column is None else _names(group_column, rows),
        provenance=_provenance(path, len(frame)),
        chain=chain,
        file=path,
    )


class _Rows:
    """Rows of a table or a DataFrame as messages name them."""

    def __init__(self, path: Path | None, ids: list[str] | None) -> None:
        self.path = path
        self._ids = ids

    def places(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the names of the first of these rows."""
        return places(self.path, rows, dict(enumerate(self._ids)) if self._ids is not None else {})

    def error(self, message: str, rows: list[int], column: "pd.Series[Any] | None") -> DatasetError:
        """Return the error of some rows of a column, whose places are put behind the message."""
        where = listed(self.places(rows).values(), len(rows))
        return DatasetError(
            f"{message}: {where}", self.path, column=None if column is None else str(column.name), rows=rows
        )


def read_sequences(path: Path, column: str | None = None) -> Iterator[tuple[str, Any]]:
    """Give the id of each sequence of a FASTA file or table, and the sequence; None where it is missing.

    The file is read some thousand rows at a time, and may be larger than memory.

    Parameters
    ----------
    column
        Column of the table; None is the first that there is of sequence, heavy, light. In a table of AIRR, whose
        column ``sequence`` holds nucleotides, it is ``sequence_aa``, and ids are those of ``sequence_id``.

    Raises
    ------
    DatasetError
        If the file cannot be read, where it cannot.
    """
    row = 0
    for frame in read_frames(path):
        usual = [name for name in ("sequence", "heavy", "light", "sequence_aa") if name in frame.columns]
        if column is None and not usual:
            raise DatasetError(f"no column with sequences; name one. {_there(frame, path)}", path)
        sequences = named_column(frame, column or _protein(usual[0], frame), path)
        names = ids_of(frame, first=row)
        row += len(frame)
        yield from zip(names, map(_cleaned, sequences), strict=True)


def in_file(error: SequenceError, path: Path, ids: Mapping[int, str], column: str | None = None) -> SequenceError:
    """Return the error of a file's sequences with the line and the id of each, and where the amino acids are.

    Parameters
    ----------
    error
        Its indices are rows of the file, from 0.
    ids
        By row, those of the first ten rows at least.
    column
        Column that was read; None as in `read_sequences`.
    """
    reasons = error.reasons
    if any(reason.startswith(NUCLEIC) for reason in reasons) and not is_fasta(path):
        frame = next(read_frames(path))
        reasons = tuple(advised(reason, frame, column) for reason in reasons)
    return SequenceError(error.rows, reasons, places(path, (row.index for row in error.rows), ids, "sequence"))


def advised(reason: str, frame: "pd.DataFrame", column: str | None = None) -> str:
    """Return why a sequence is refused; where it is DNA, with the column of amino acids that the table has."""
    other = next((name for name in _AMINO_ACIDS if name in frame.columns and name != column), None)
    return f"{reason}; take the column {other}" if other and reason.startswith(NUCLEIC) else reason


def pasted(text: str) -> "pd.DataFrame":
    """Return the ids and sequences of text: FASTA, or one sequence a line, whose ids are numbers from 0.

    Ids of FASTA are those that the same text has in a file.
    """
    import pandas as pd

    if text.lstrip().startswith(">"):
        found = list(records(io.StringIO(text)))
        named = namer(lambda: [record.header for record in found])
        rows = [(named(record.header), record.sequence) for record in found]
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        rows = [(str(i), line) for i, line in enumerate(lines)]
    return pd.DataFrame(rows, columns=["id", "sequence"])


def named_column(frame: "pd.DataFrame", name: str, path: Path | None = None) -> "pd.Series[Any]":
    """Return the column of a name. Raises DatasetError if there is none, or there are several."""
    if name not in frame.columns:
        raise DatasetError(f"there is no column {name!r}. {_there(frame, path)}", path, column=name)
    found = frame[name]
    if found.ndim != 1:
        raise DatasetError(f"there are {found.shape[1]} columns named {name!r}", path, column=name)
    return found


def ids_of(frame: "pd.DataFrame", column: str | None = None, first: int = 0) -> list[str]:
    """Return the id of each row as text; its number, counted on from ``first``, where it has none.

    Without a name, the column is ``id``, or ``sequence_id`` in a table of AIRR.
    """
    rows = range(first, first + len(frame))
    if column is None and _usual_ids(frame) not in frame.columns:
        return [str(row) for row in rows]
    named = named_column(frame, column or _usual_ids(frame))
    return [str(row) if is_missing(name) else str(name) for row, name in zip(rows, named, strict=True)]


def chain_columns(
    frame: "pd.DataFrame",
    chain: Chain,
    heavy: str | None = None,
    light: str | None = None,
    fragment: str | None = None,
) -> "dict[str, pd.Series[Any]]":
    """Return the columns that hold what a model of these chains reads, by ``heavy`` and ``light``.

    Without names they are called so; where one chain is read, it may also be called ``sequence``, as in FASTA, or
    ``sequence_aa``, as in AIRR. Where both are read and there is only ``sequence``, it holds ``HEAVY|LIGHT``; for a
    fragment of both chains also a single chain with both domains. A missing chain (empty, NA, N/A, nan, None, null,
    ``-``) is None.

    Raises
    ------
    DatasetError
        If there is no such column, or several are, or one is named as both chains.
    """
    import pandas as pd

    if fragment is None:
        _refuse_own_partner(chain, heavy, light)
    both = chain in ("both", "paired")
    if both and heavy is light is None and not {"heavy", "light"} & set(frame.columns) and "sequence" in frame.columns:
        return _divided(named_column(frame, _protein("sequence", frame)), whole=fragment is not None)
    columns = {}
    for name, named in (("heavy", heavy), ("light", light)):
        if chain == name or both:
            usual = (name,) if both else (name, "sequence_aa", "sequence")
            choices = usual if named is None else (named,)
            column = next((choice for choice in choices if choice in frame.columns), None)
            if column is None:
                there = ", ".join(map(str, frame.columns))
                raise DatasetError(
                    f"the model reads the {name} chain, and no column is named {choices[0]!r}, of {there}"
                )
            cells = named_column(frame, column)
            columns[name] = pd.Series([_cleaned(value) for value in cells], cells.index, object, cells.name)
    return columns


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty."""
    import pandas as pd

    if isinstance(value, str):
        return not value.strip()
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def is_missing_chain(value: Any) -> bool:
    """Return whether a cell of a column of chains is empty or says that there is none: NA, N/A, nan, None, null, ``-``.

    In such a column these are never sequences: NA is not the dipeptide of asparagine and alanine, and NAN no loop.
    """
    if not isinstance(value, str):
        return is_missing(value)
    text = value.strip()
    return len(text) <= _LONGEST_MARK and text.lower() in _MISSING


def without_dressing(sequence: Any) -> Any:
    """Return a sequence without the white space in it and the stop behind it, which people leave there."""
    return "".join(sequence.split()).removesuffix("*") if isinstance(sequence, str) else sequence


def _cleaned(value: Any) -> Any:
    """Return the sequence in a cell of a column of chains, without dressing; None if it is missing."""
    return None if is_missing_chain(value) else without_dressing(value)


def _divided(column: "pd.Series[Any]", *, whole: bool) -> "dict[str, pd.Series[Any]]":
    """Return the heavy and light chains of ``HEAVY|LIGHT``; a record without ``|`` is heavy, or both if it is whole."""
    import pandas as pd

    def parts(value: Any) -> tuple[Any, Any]:
        text = _cleaned(value)
        if not isinstance(text, str) or BETWEEN not in text:
            return text, text if whole else None
        heavy, light = text.split(BETWEEN, 1)
        return _cleaned(heavy), _cleaned(light)

    both = [parts(value) for value in column]
    return {
        name: pd.Series([pair[place] for pair in both], column.index, object, name)
        for place, name in enumerate(("heavy", "light"))
    }


def _read_fasta(path: Path, labels: Any, id_column: str, label_column: str, *, labelled: bool) -> "pd.DataFrame":
    """Return the records of a FASTA file as a table with ids, sequences and labels."""
    import pandas as pd

    frame = pd.concat([pd.DataFrame(columns=["id", "sequence"]), *read_frames(path)], ignore_index=True)
    if labels is not None:
        frame["label"] = _labels_of(frame["id"], labels, id_column, label_column, path)
    elif labelled:
        raise DatasetError("a FASTA file has no labels; give labels=, a table or a mapping from id to label", path)
    return frame


def _with_chains(frame: "pd.DataFrame", chain: Chain, path: Path, *, required: bool) -> "pd.DataFrame":
    """Return the records of a FASTA file with the chains that are read as columns."""
    if chain not in ("both", "paired"):
        return frame.rename(columns={"sequence": chain})
    sequences = frame.pop("sequence")
    single = [row for row, text in enumerate(sequences) if BETWEEN not in text]
    if required and single:
        raise _Rows(path, _texts(frame["id"])).error(
            f"{len(single)} records hold one chain, and chain={chain!r} reads two; write each as HEAVY{BETWEEN}LIGHT, "
            "give a table with columns heavy and light, or name a fragment of both if a record holds both domains",
            single,
            sequences,
        )
    return frame.assign(**_divided(sequences, whole=not required))


def _refuse_own_partner(chain: Chain, heavy: str | None, light: str | None, path: Path | None = None) -> None:
    column = heavy or "heavy"
    if chain in ("both", "paired") and column == (light or "light"):
        raise DatasetError(f"the column {column!r} is named as heavy and as light chain", path, column=column)


def _protein(name: str, frame: "pd.DataFrame") -> str:
    """Return the column to read instead of AIRR's ``sequence``, which holds nucleotides."""
    return "sequence_aa" if name == "sequence" and "sequence_aa" in frame.columns else name


def _usual_ids(frame: "pd.DataFrame") -> str:
    airr = "id" not in frame.columns and {"sequence_id", "sequence_aa"} <= set(frame.columns)
    return "sequence_id" if airr else "id"


def _labels_of(ids: "pd.Series[Any]", labels: Any, id_column: str, label_column: str, path: Path) -> list[Any]:
    """Return a label for each id, None where there is none, from a mapping or a table."""
    import pandas as pd

    if not isinstance(labels, Mapping):
        where = None if isinstance(labels, pd.DataFrame) else Path(labels).expanduser()
        table = labels if where is None else read_table(where)
        names = [str(name) for name in named_column(table, id_column, where)]
        if len(set(names)) != len(names):
            raise DatasetError("an id occurs twice, so its label is ambiguous", where, column=id_column)
        labels = dict(zip(names, named_column(table, label_column, where), strict=True))
    by_id = {str(name): value for name, value in labels.items()}
    unknown = sorted(by_id.keys() - set(ids))
    if unknown:
        whole = any(" " in name for name in ids) and not any(" " in name for name in by_id)
        why = "; ids are whole headers here, since first words are not unique" if whole else ""
        raise DatasetError(f"{len(unknown)} labels belong to no sequence, the first to {unknown[0]!r}{why}", path)
    return [by_id.get(name) for name in ids]


def _there(frame: "pd.DataFrame", path: Path | None = None) -> str:
    return f"There are: {', '.join(map(str, frame.columns))}{commented_header(path)}"


def _sequences(
    column: "pd.Series[Any] | None", chain: str, frame: "pd.DataFrame", rows: _Rows, *, required: bool
) -> list[str | None] | None:
    """Return sequences in normal form; a missing one is None, or an error where it is required."""
    if column is None:
        return None
    cells = [_cleaned(value) for value in column]
    present = [row for row, cell in enumerate(cells) if cell is not None]
    wrong = [(row, f": no {chain} chain") for row, cell in enumerate(cells) if required and cell is None]
    try:
        normal = dict(zip(present, normalise(cells[row] for row in present), strict=True))
    except SequenceError as error:
        name = str(column.name)
        wrong += [
            (present[residue.index], fault("", residue, advised(reason, frame, name)))
            for residue, reason in zip(error.rows, error.reasons, strict=True)
        ]
    if wrong:
        wrong.sort(key=lambda offence: offence[0])
        where = rows.places(row for row, _ in wrong)
        shown = [f"{where[row]}{reason}" for row, reason in wrong[:_SHOWN]]
        raise DatasetError(
            f"column {column.name!r} holds what is not made of the 20 amino acids and X:\n  "
            + listed(shown, len(wrong), "\n  "),
            rows.path,
            column=str(column.name),
            rows=list(dict.fromkeys(row for row, _ in wrong)),
        )
    return [normal.get(row) for row in range(len(cells))]


def _texts(column: "pd.Series[Any]") -> list[str]:
    return ["" if is_missing(value) else str(value) for value in column]


def _names(column: "pd.Series[Any]", rows: _Rows) -> list[str]:
    """Return ids or groups as text; a missing one would make strangers of one name."""
    missing = [row for row, value in enumerate(column) if is_missing(value)]
    if missing:
        raise rows.error(f"{len(missing)} rows have no {str(column.name)!r}", missing, column)
    return [str(value) for value in column]


def _refuse_repeats(ids: list[str], column: "pd.Series[Any] | None", rows: _Rows) -> None:
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        again = [row for row, name in enumerate(ids) if name == repeated[0]]
        where = listed(rows.places(again).values(), len(again))
        raise DatasetError(
            f"ids must be distinct, and {repeated[0]!r} is there {len(again)} times: {where}",
            rows.path,
            column=None if column is None else str(column.name),
            rows=again[1:],
        )


def _numbers(column: "pd.Series[Any]", rows: _Rows) -> list[float]:
    """Return labels as numbers; all rows that lack one are refused together."""
    numbers = [_number(value, row, column, rows) for row, value in enumerate(column)]
    missing = [row for row, number in enumerate(numbers) if number is None or math.isnan(number)]
    if missing:
        raise rows.error(f"{len(missing)} labels are missing", missing, column)
    return [number for number in numbers if number is not None]


def _number(value: Any, row: int, column: "pd.Series[Any]", rows: _Rows) -> float | None:
    import pandas as pd

    text = value.strip().lower() if isinstance(value, str) else ""
    if text in _MISSING if isinstance(value, str) else pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text.replace("_", "?") if text else value)  # Python reads 1_0 as ten
    except (ValueError, TypeError):
        raise DatasetError(
            f"the label in {rows.places([row])[row]} is {value!r}; labels must be numbers (0 and 1 for classification)",
            rows.path,
            row,
            str(column.name),
        ) from None


def _expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(f"cannot be found: {error}", path) from error


def _provenance(path: Path | None, rows: int) -> Provenance:
    if path is None:
        return Provenance("a DataFrame", counts={"rows read": rows})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Provenance(path.name, sha256={path.name: digest}, counts={"rows read": rows})
