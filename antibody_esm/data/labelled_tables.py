"""Tables of labelled antibodies as data sets; messages name each faulty row."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.antibody_tables import one_table, without_refused
from antibody_esm.data.assays import directions
from antibody_esm.data.cells import cleaned, is_missing
from antibody_esm.data.column_roles import Recognised, may_be_labels
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.files import is_fasta, places
from antibody_esm.data.label_cells import NUMBERS, advice_on, is_label, label_of
from antibody_esm.data.labelled_fasta import read_fasta
from antibody_esm.data.layouts import PLAIN, Columns
from antibody_esm.data.other_columns import nearly_numbers, other_columns
from antibody_esm.data.provenance import Provenance
from antibody_esm.data.spreadsheets import on_disk
from antibody_esm.data.tables import (
    advised,
    columns_there,
    divided,
    named_column,
    refuse_own_partner,
    usual_id_column,
    with_single_chains,
)
from antibody_esm.errors import DatasetError, SequenceError, fault, listed
from antibody_esm.files import digest
from antibody_esm.numbering import SPECIES
from antibody_esm.sequences import BETWEEN, Chain, normalise
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10


class TableWithGaps(NamedTuple):
    """Antibodies of a table, and their label."""

    data: Dataset
    """Every antibody that is read, without the label."""
    name: str
    """Name of the label."""
    label: NDArray[np.float64] | None
    """Labels ``(n,)``, in which NaN is a missing value; None without labels, and for several of them."""


def read_dataset(source: "str | Path | pd.DataFrame", *, labelled: bool = True, **options: Any) -> Dataset:
    """Read labelled antibodies; see `antibody_esm.load_dataset` and `read_with_gaps` for the options.

    If `labelled`, antibodies without a label are left out; otherwise labels are read only if the table has one for
    every antibody.
    """
    data, name, values = read_with_gaps(source, labelled=labelled, **options)
    return data if values is None else _labelled(data, name, values, labelled=labelled)


def read_with_gaps(
    source: "str | Path | pd.DataFrame",
    *,
    id: str | None = None,  # noqa: A002  the name of the column, as in the data set
    heavy: str | None = None,
    light: str | None = None,
    label: str | Sequence[str] | None = None,
    groups: str | None = None,
    chain: Chain | None = None,
    higher_is_better: bool | Mapping[str, bool] | None = None,
    labels: "str | Path | pd.DataFrame | Mapping[str, float] | None" = None,
    columns: Sequence[str] = (),
    fold: str | None = None,
    required: bool = True,
    labelled: bool = True,
    drop: bool = False,
    layout: str | None = None,
    species: Sequence[str] | None = None,
    audited: bool = False,
    both_domains: bool = False,
) -> TableWithGaps:
    """Read all antibodies and their labels, if any; see `antibody_esm.load_dataset` for the parameters.

    If `required`, every antibody must have the chain that is embedded. If `labelled`, there must be labels. If `drop`,
    rows that the layout refuses are left out. If `audited`, the chain beside the one that is read is recognised too,
    and so are labels of which some are missing. If `both_domains`, a record of FASTA without ``|`` holds both chains.
    """
    several = label is not None and not isinstance(label, str)
    names: tuple[str, ...] = (label or "label",) if label is None or isinstance(label, str) else tuple(label)
    if not names or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"label= must be the name of a column or a list of names, got {label!r}")
    single = label if isinstance(label, str) else None
    recognised = Recognised(PLAIN, Columns(id, heavy, light, single))
    refused: dict[str, str] = {}
    path = None if not isinstance(source, str | Path) else _expanded(source)
    is_fasta_file = path is not None and is_fasta(path)
    if path is not None and is_fasta_file:
        frame, recognised = read_fasta(path, labels, id or "id", names, labelled=labelled)
        if chain is None and all(BETWEEN in sequence for sequence in frame["sequence"]):
            chain = "paired"
        frame = _with_chains(frame, chain or "heavy", path, required=required, whole=both_domains)
        id = None  # noqa: A001  now the frame's own
    elif labels is not None:
        raise DatasetError("labels= is for FASTA files; name the column of a table with label=", path)
    else:
        rows_of: Any = source if path is None else path
        columns_passed = Columns(id, heavy, light, single, layout)
        chains_there: Chain | None = "paired" if audited and chain is None else chain
        table = one_table(rows_of, columns_passed, chain=chains_there, species=species or SPECIES)
        if several or not (labelled or table.recognised.are_labels(table.frame, gaps=audited)):
            table = table._replace(recognised=table.recognised.without("label"))
        table, chain = with_single_chains(table, chain)
        id, heavy, light, single, _ = table.recognised.columns  # noqa: A001  as recognised
        names = names if several else (single or names[0],)
        frame, recognised = table
        if drop:
            frame, refused = without_refused(table)

    def column(name: str | None, default: str) -> "pd.Series[Any] | None":
        if name is None and default not in frame.columns:
            return None
        return named_column(frame, default if name is None else name, path)

    if len(frame) == 0:
        raise DatasetError("the table has no rows", path)
    heavy_chains, light_chains = column(heavy, "heavy"), column(light, "light")
    if heavy_chains is None and light_chains is None:
        doubtful = recognised.several()
        raise DatasetError(
            f"no column with sequences; {doubtful or 'name a column'} with heavy= or light=. "
            f"{columns_there(frame, path)}",
            path,
        )
    if chain is None:
        chain = "light" if heavy_chains is None else "heavy"
    if required:
        refuse_own_partner(chain, heavy, light, path)
    id_column = column(id, usual_id_column(frame))
    rows = _Rows(path, None if id_column is None else _texts(id_column), list(frame.index) if refused else None)
    ids = (
        list(map(str, frame.index if refused else range(len(frame)))) if id_column is None else _names(id_column, rows)
    )
    group_column = column(groups, "groups")
    optional = not labelled and (single is None or is_fasta_file) and names[0] not in frame.columns
    if labelled and not several and names[0] not in frame.columns:
        recognised.refuse_unclear("label")
        _refuse_unnamed(frame, single, {heavy, light, id, groups, fold, *columns}, path)
    label_columns = {} if optional else {name: named_column(frame, name, path) for name in names}
    _refuse_repeats(ids, id_column, rows)
    measured = _numbers(label_columns, rows)
    fold_column = None if fold is None else named_column(frame, fold, path)
    used = [id_column, heavy_chains, light_chains, group_column, fold_column, *label_columns.values()]
    others = other_columns(frame, {str(each.name) for each in used if each is not None}, columns, path)
    for name, values in others.columns.items():
        nearly = None if named_column(frame, name, path).dtype.name == "category" else nearly_numbers(values)
        if nearly is not None:
            warnings.warn(
                f"column {name!r}: {nearly.numbers:,} of {nearly.cells:,} cells are numbers, "
                f"{rows.places([nearly.row])[nearly.row]} is {nearly.cell!r}; it is read as categories",
                stacklevel=4,
            )
    folds = {} if fold_column is None else {"fold": _folds(fold_column, rows)}
    data = Dataset(
        ids=ids,
        heavy=_sequences(heavy_chains, "heavy", frame, rows, required=required and chain != "light"),
        light=_sequences(light_chains, "light", frame, rows, required=required and chain != "heavy"),
        groups=None if group_column is None else _names(group_column, rows),
        groups_name=None if group_column is None or group_column.name == "groups" else str(group_column.name),
        provenance=_provenance(path, len(frame), recognised, refused),
        chain=chain,
        measurements=(measured if several else {}) | others.measurements | folds,
        columns=others.columns,
        not_kept=others.not_kept,
        targets=names if several and measured else (),
        directions=directions(higher_is_better, names),
        file=None if refused else path,
    )
    return TableWithGaps(data, names[0], None if several or not measured else measured[names[0]])


def _labelled(data: Dataset, name: str, values: NDArray[np.float64], *, labelled: bool) -> Dataset:
    """Return the antibodies that have a label; all of them without labels if these are optional and some are missing.

    Raises
    ------
    DatasetError
        If no antibody has a label.
    """
    missing = int(np.isnan(values).sum())
    if missing and not labelled:
        warnings.warn(f"{missing:,} of {len(data):,} antibodies have no {name!r}; labels are not read", stacklevel=4)
        return data
    return data.with_label(name, values)


def _refuse_unnamed(frame: "pd.DataFrame", label: str | None, taken: set[str | None], path: Path | None) -> None:
    """Raise a DatasetError if no label is named, with the columns that may hold it; return if none may."""
    if label is not None:
        return
    there = [name for name in frame.columns if isinstance(name, str) and name not in taken]
    numbers = [name for name in there if may_be_labels(frame, name)]
    if numbers:
        several = ", ".join(map(repr, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
        how = (
            f"fit(table, {numbers[0]!r}), or label={numbers[0]!r} of load_dataset"
            if path is None
            else f"label={numbers[0]!r} (antibody-train: data.label=...)"
        )
        raise DatasetError(
            f"there is no column 'label'. Columns of numbers, which may be labels: {several}; name the label by {how}. "
            f"{columns_there(frame, path)}",
            path,
            column="label",
        )


class _Rows:
    """Names of the rows of a table or a DataFrame, for messages."""

    def __init__(self, path: Path | None, ids: list[str] | None, numbers: list[int] | None = None) -> None:
        self.path = path
        self._ids = ids
        self._numbers = numbers
        """Row of the file of each row, if rows were left out."""

    def places(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the names of the first of these rows."""
        numbers = {row: row if self._numbers is None else self._numbers[row] for row in rows}
        ids = {} if self._ids is None else {number: self._ids[row] for row, number in numbers.items()}
        named = places(self.path, numbers.values(), ids)
        return {row: named[number] for row, number in numbers.items() if number in named}

    def error(self, message: str, rows: list[int], column: "pd.Series[Any] | None") -> DatasetError:
        """Return the error of these rows of a column; their places follow the message."""
        where = listed(self.places(rows).values(), len(rows))
        return DatasetError(
            f"{message}: {where}", self.path, column=None if column is None else str(column.name), rows=rows
        )


def _with_chains(frame: "pd.DataFrame", chain: Chain, path: Path, *, required: bool, whole: bool) -> "pd.DataFrame":
    """Return the records of a FASTA file with a column for each chain that is read."""
    if chain not in ("both", "paired"):
        return frame.rename(columns={"sequence": chain})
    sequences = frame.pop("sequence")
    single = [row for row, text in enumerate(sequences) if BETWEEN not in text]
    if required and single:
        raise _Rows(path, _texts(frame["id"])).error(
            f"{len(single)} records hold one chain, but chain={chain!r} reads two; write each as HEAVY{BETWEEN}LIGHT, "
            "pass a table with columns heavy and light, or name a fragment of both if a record holds both domains; "
            "drop=True (data.drop=true) leaves the others out",
            single,
            sequences,
        )
    return frame.assign(**divided(sequences, whole=whole))


def _sequences(
    column: "pd.Series[Any] | None", chain: str, frame: "pd.DataFrame", rows: _Rows, *, required: bool
) -> list[str | None] | None:
    """Return sequences in normal form; a missing sequence is None, or an error if it is required."""
    if column is None:
        return None
    cells = [cleaned(value) for value in column.to_numpy(object)]  # pandas iterates over text slowly
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
        refused = any(isinstance(cell, Unknown) for cell in cells)
        absent = ["that cannot be read"] if refused else []
        absent += [f"without a {chain} chain"] if required and len(present) < len(cells) else []
        hint = f".\n  drop=True (data.drop=true) leaves out the rows {' and those '.join(absent)}" if absent else ""
        raise DatasetError(
            f"column {column.name!r} has cells that are not sequences of the 20 amino acids and X:\n  "
            + listed(shown, len(wrong), "\n  ")
            + hint,
            rows.path,
            column=str(column.name),
            rows=list(dict.fromkeys(row for row, _ in wrong)),
        )
    return [normal.get(row) for row in range(len(cells))]


def _texts(column: "pd.Series[Any]") -> list[str]:
    return ["" if is_missing(value) else str(value) for value in column.to_numpy(object)]


def _names(column: "pd.Series[Any]", rows: _Rows) -> list[str]:
    """Return ids or groups as text. Raises DatasetError if any is missing: such rows would share one name."""
    missing = [row for row, value in enumerate(column.to_numpy(object)) if is_missing(value)]
    if missing:
        raise rows.error(f"{len(missing)} rows have no {str(column.name)!r}", missing, column)
    return [str(value) for value in column.to_numpy(object)]


def _folds(column: "pd.Series[Any]", rows: _Rows) -> NDArray[np.float64]:
    """Return the number of the fold of each row, from 0; names of folds are numbered in their order.

    Raises
    ------
    DatasetError
        If a row has no fold.
    """
    names = _names(column, rows)
    if all(name.removesuffix(".0").isdecimal() for name in names):
        return np.array(names, np.float64)
    return np.unique(names, return_inverse=True)[1].astype(np.float64)


def _refuse_repeats(ids: list[str], column: "pd.Series[Any] | None", rows: _Rows) -> None:
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        again = [row for row, name in enumerate(ids) if name == repeated[0]]
        where = listed(rows.places(again).values(), len(again))
        raise DatasetError(
            f"ids must be distinct; {repeated[0]!r} occurs {len(again)} times: {where}",
            rows.path,
            column=None if column is None else str(column.name),
            rows=again[1:],
        )


def _numbers(columns: "Mapping[str, pd.Series[Any]]", rows: _Rows) -> dict[str, NDArray[np.float64]]:
    """Return labels as numbers, by column; a missing label is NaN.

    Raises
    ------
    DatasetError
        If labels are no numbers; the message lists the cells of all columns.
    """
    cells = {name: column.to_numpy(object) for name, column in columns.items()}
    wrong = [(row, name) for name, values in cells.items() for row, cell in enumerate(values) if not is_label(cell)]
    if wrong:
        wrong.sort(key=lambda cell: cell[0])
        where = rows.places(row for row, _ in wrong)
        shown = {(row, name): repr(cells[name][row]) for row, name in wrong if row in where}
        advice = advice_on([cells[name][row] for row, name in wrong], {row for row, _ in wrong}, wrong[0][1])
        many = len(columns) > 1
        if len(wrong) == 1:
            (((row, name), value),) = shown.items()
            first = f"the label {name!r}" if many else "the label"
            message = f"{first} in {where[row]} is {value}; {NUMBERS}{advice}"
        else:
            lines = [f"{where[row]}{f', {name!r}' if many else ''}: {value}" for (row, name), value in shown.items()]
            message = f"{NUMBERS}; {len(wrong):,} are not:\n  " + listed(lines, len(wrong), "\n  ") + advice
        every = list(dict.fromkeys(row for row, _ in wrong))
        raise DatasetError(message, rows.path, column=str(columns[wrong[0][1]].name), rows=every)
    return {name: np.array([label_of(cell) for cell in values], np.float64) for name, values in cells.items()}


def _expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(f"the path cannot be expanded: {error}", path) from error


def _provenance(path: Path | None, rows: int, recognised: Recognised, refused: dict[str, str]) -> Provenance:
    counts = {"rows read": rows + len(refused)} | ({"rows that are not refused": rows} if refused else {})
    columns = recognised.to_dict()
    if path is None:
        return Provenance("a DataFrame", counts=counts, dropped=refused, columns=columns)
    file = on_disk(path)
    name = file.name if file == path else f"{file.name}/{path.name}"
    return Provenance(name, sha256={file.name: digest(file)}, counts=counts, dropped=refused, columns=columns)
