"""Arguments of commands: antibodies, and output files, which are checked before any work."""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.errors import DatasetError, SequenceError, errors_of
from antibody_esm.files import beside, remove_leftovers, resolved, size
from antibody_esm.folders import refuse_obstacles
from antibody_esm.sequences import BETWEEN

if TYPE_CHECKING:
    from antibody_esm.data.antibody_tables import Table
    from antibody_esm.data.layouts import Columns
    from antibody_esm.data.reading import Reading

_FINGERPRINT = re.compile("[0-9a-f]{64}")


class Argument(NamedTuple):
    """An antibody as a command reads it."""

    id: str
    """Empty for a sequence that was typed."""
    sequence: str
    columns: dict[str, Any]
    """Values of the columns that the model reads."""


def fixed_columns(values: Sequence[str] | None) -> dict[str, str]:
    """Return the values of ``--column NAME=VALUE`` by name. Raises ValueError for text of another form."""
    pairs = [text.partition("=") for text in values or ()]
    wrong = [text for text, (name, sign, _) in zip(values or (), pairs, strict=True) if not (name and sign)]
    if wrong:
        raise ValueError(f"--column {wrong[0]}: write NAME=VALUE")
    return {name: value for name, _, value in pairs}


def fixed_reading(reading: "Reading", values: Mapping[str, str]) -> "Reading":
    """Return the reading of a model with fixed values of columns. Raises DatasetError as `Predictor.with_columns`."""
    return replace(reading, columns=reading.columns.with_fixed(values))


def antibodies(
    argument: str, reading: "Reading | None" = None, columns: "Columns | None" = None, sheet: str | None = None
) -> list[tuple[str, str]]:
    """Return the ids and sequences of `arguments`."""
    return [each[:2] for each in arguments(argument, reading, columns, sheet)]


def arguments(
    argument: str, reading: "Reading | None" = None, columns: "Columns | None" = None, sheet: str | None = None
) -> list[Argument]:
    """Return the antibodies of a file, or the sequence that was typed.

    Parameters
    ----------
    argument
        A sequence, a pair ``heavy|light``, or the name of a file.
    reading
        Reading of the model, which determines the columns of a file. None: the first column of sequences.
    columns
        Names of columns and layout of a file; None is recognised.
    sheet
        Sheet of a workbook; None is the first.

    Raises
    ------
    DatasetError
        If the file does not exist, cannot be read, is empty, or lacks a column that the model reads.
    SequenceError
        If a sequence of a file is missing, or not made of amino acids; the message lists all by line and id.
    """
    from antibody_esm.data.spreadsheets import on_disk, with_sheet
    from antibody_esm.data.tables import in_file, read_sequences
    from antibody_esm.sequences import normalise

    if not Path(argument).suffix and not os.path.isfile(argument):  # noqa: PTH113  which takes names of any length
        if reading is not None:
            reading.columns.read(None, 1)  # raises an error if columns are needed
        return [Argument("", argument, {})]
    path = with_sheet(Path(argument), sheet)
    if not on_disk(path).is_file():
        raise DatasetError("there is no such file", argument)
    without: Iterator[tuple[str, Any, dict[str, Any]]] = ((name, text, {}) for name, text in read_sequences(path))
    rows = list(without if reading is None else _antibodies(path, reading, columns))
    if not rows:
        raise DatasetError("there are no sequences", argument)
    try:
        normal = normalise((sequence for _, sequence, _ in rows), pairs=True)
    except SequenceError as error:
        ids = {row.index: rows[row.index][0] for row in error.rows}
        raise in_file(error, path, ids) from None
    return [Argument(name, sequence, columns) for (name, _, columns), sequence in zip(rows, normal, strict=True)]


def _antibodies(path: Path, reading: "Reading", columns: "Columns | None") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield the id of each antibody of a file, its chains that are read, and its columns; a missing chain is empty."""
    from antibody_esm.data.antibody_tables import read_tables

    first = 0
    for table in read_tables(path, columns, species=reading.species):
        with errors_of(path):
            rows = antibodies_in(table, reading, first)
        yield from rows
        first += len(table.frame)


def antibodies_in(table: "Table", reading: "Reading", first: int = 0) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the id, the chains that are read, and the columns of each antibody of a table; a missing chain is empty.

    Raises
    ------
    DatasetError
        If the table lacks a column that the model reads.
    """
    from antibody_esm.data.antibodies import cells_of
    from antibody_esm.data.tables import ids_of
    from antibody_esm.unknown import Unknown

    names, columns_read = ids_of(table.frame, table.recognised.columns.id, first), _chains(table, reading)
    cells = cells_of(table.frame, reading)
    reading.columns.read(cells, len(names))  # raises an error if a column is missing
    rows = []
    for row, (name, *chains) in enumerate(zip(names, *columns_read, strict=True)):
        refused = next((chain for chain in chains if isinstance(chain, Unknown)), None)
        one_text = len(set(chains)) == 1  # both domains in one sequence
        text = refused or (chains[0] if one_text else BETWEEN.join(chain or "" for chain in chains))
        rows.append((name, text, {column: values[row] for column, values in cells.items()}))
    return rows


def _chains(table: "Table", reading: "Reading") -> list[Any]:
    """Return the columns of the chains that a model reads."""
    from antibody_esm.data.tables import chain_columns

    frame, recognised = table
    columns = recognised.read_as(reading.chain, frame.columns)
    by_chain = chain_columns(
        frame, reading.chain, columns.heavy, columns.light, reading.fragment, sequence=recognised.sequence
    )
    return list(by_chain.values())


def check_table(file: Path, reading: "Reading", columns: "Columns | None" = None) -> None:
    """Raise a DatasetError if a file does not exist or lacks the columns that a model reads; no model is loaded."""
    from antibody_esm.data.antibodies import cells_of
    from antibody_esm.data.antibody_tables import read_tables
    from antibody_esm.data.spreadsheets import on_disk
    from antibody_esm.data.tables import ids_of

    if not on_disk(file).exists():
        raise DatasetError("there is no such file", file)
    if on_disk(file).is_file():  # a pipe can be read only once
        for table in islice(read_tables(file, columns, cut=False), 1):
            with errors_of(file):
                ids_of(table.frame, table.recognised.columns.id, 0)
                _chains(table, reading)
                cells = cells_of(table.frame, reading)
                reading.columns.read(cells, len(table.frame))  # raises an error if a column is missing


def check_suffix(out: Path | None, *suffixes: str) -> None:
    """Raise a ValueError if a file's name has another suffix."""
    ends = (", ".join(suffixes[:-1]), suffixes[-1])
    if out is not None and out.suffix not in suffixes:
        raise ValueError(f"{out}: the name of this file must end in {' or '.join(filter(None, ends))}")


def check_outputs(
    outputs: Sequence[Path | None],
    inputs: Iterable[str | Path | None] = (),
    *,
    model: Path | None = None,
    store: Path | None = None,
) -> None:
    """Check the output files of a command before it begins; leftovers of killed commands are removed.

    Parameters
    ----------
    outputs
        Files that the command writes or removes; None is no file.
    inputs
        Files that the command reads. Other texts, such as the name of a data set, are skipped.
    model, store
        Folders of a saved model and of a store, whose files must not be overwritten.

    Raises
    ------
    DatasetError
        If the command would overwrite a file that it reads, under any name.
    OSError, ValueError
        If a file cannot be written, or is named twice.
    """
    named = [out for out in outputs if out is not None]
    inside = list(model.rglob("*")) if model is not None and model.is_dir() else []
    for number, out in enumerate(named):
        _check_place(out)
        for file in [*inputs, *inside] if os.path.lexists(out) else ():
            if file is not None and _same(out, file):
                raise DatasetError(f"would be overwritten by {out}; name another output file", file)
        if store is not None and _is_of_store(out, store):
            raise DatasetError("is a file of the store; name another output file", out)
        if any(resolved(out) == resolved(other) or _same(out, other) for other in named[:number]):
            raise ValueError(f"{out}: two outputs name this file")
    for out in named:
        remove_leftovers(out)


def check_folder(folder: Path, ours: Collection[str], inputs: Iterable[str | Path | None] = ()) -> None:
    """Check the output folder of a command, as `check_outputs` does; `ours` are the files that it writes there."""
    target = resolved(folder)
    refuse_obstacles(target, ours)
    files = [file for file in inputs if file is not None]
    for name in ours:
        for file in files:
            if _same(target / name, file):
                raise DatasetError(f"would be overwritten by output={folder}; name another folder", file)
    place = target
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"{folder} cannot be created: {place} is not a folder")
    _probe(place / "probe", folder)


def check_space(needed: dict[Path, float]) -> None:
    """Raise an OSError if a disk has less free space than the outputs need; `needed` has bytes by file or folder."""
    total: dict[int, float] = {}
    for path, count in needed.items():
        place = resolved(path)
        while not place.exists():
            place = place.parent
        disk = place.stat().st_dev
        total[disk] = total.get(disk, 0) + count
        free = shutil.disk_usage(place).free
        if total[disk] > free:
            raise OSError(f"{path}: about {size(total[disk])} are needed on this disk, but {size(free)} are free")


def _check_place(out: Path) -> None:
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; name an output file")
    if out.exists() and not out.is_file():
        raise OSError(f"{out} is not a file")
    target = resolved(out)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{out} cannot be written: there is no folder {target.parent}")
    if out.exists() and not os.access(out, os.W_OK):
        raise PermissionError(f"{out} cannot be written: it is read-only")
    _probe(target, out)


def _probe(target: Path, named: Path) -> None:
    """Create a file beside `target` and remove it: permissions are not sufficient on every file system."""
    probe = beside(target, "tmp")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OSError(f"{named} cannot be written: {error.strerror}") from error


def _same(path: str | Path, other: str | Path) -> bool:
    """Return True if two names are of one file, also through symbolic and hard links."""
    try:
        return os.path.samefile(os.path.expanduser(path), os.path.expanduser(other))  # noqa: PTH111, PTH121
    except (OSError, ValueError):  # a name does not exist, or is too long
        return False


def _is_of_store(out: Path, store: Path) -> bool:
    try:
        inner = resolved(out).relative_to(resolved(store))
    except (OSError, ValueError):
        return False
    return _FINGERPRINT.fullmatch(inner.parts[0]) is not None
