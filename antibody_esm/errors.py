"""Errors of this package.

::

    AntibodyESMError(Exception)
    ├─ SequenceError(ValueError)     .rows .index .position .residue   not an amino acid, empty, too long
    ├─ CheckpointError(OSError)      .checkpoint .revision             weights cannot be found, read or trusted
    ├─ ClusterError(ConnectionError)                                   scheduler or workers of a cluster are lost
    ├─ PluginError(ImportError)      .package                          a plugin of another package cannot be used
    ├─ DatasetError(ValueError)      .path .row .column .rows          a table cannot be read as a Dataset
    └─ StoreError(RuntimeError)      .path                             files on disk are damaged or inconsistent

Messages count lines, rows and positions from 1, as an editor does; the attributes ``index``, ``row``, ``rows`` and
``position`` count from 0, as Python does.

An invalid configuration is pydantic's ``ValidationError``, and an unfitted model scikit-learn's ``NotFittedError``.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from tokenize import TokenError
from typing import Any, NamedTuple
from zipfile import BadZipFile

_SHOWN = 10


def in_one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks, for a note or a warning; its class if there is no message.

    Folders of language models have their last name in it, since notes stand in files that are given away.
    """
    text = str(error)
    for folder in sorted(getattr(error, "folders", ()), key=len, reverse=True):
        text = text.replace(folder, Path(folder).name)
    return " ".join(text.split()) or type(error).__name__


class AntibodyESMError(Exception):
    """Base class of this package's errors."""


CRAFTED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BadZipFile,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TokenError,
    TypeError,
    UnpicklingError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Errors that readers of other packages raise for crafted files."""


class BadResidue(NamedTuple):
    """Place of a fault in a sequence."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not needed
    """Row of the input, from 0."""
    position: int
    """Position in the input sequence, from 0."""
    residue: str
    """Character at the position; empty in an empty sequence."""


def place(row: int, name: str | None = None, line: int | None = None, noun: str = "row") -> str:
    """Return the name of a row for messages: its line of the file, else its number from 1 with its index; and its id.

    Parameters
    ----------
    row
        Index, from 0.
    name
        The id, if there is one.
    line
        Line of the file on which the row begins, from 1.
    noun
        Word for a row without a line.

    Examples
    --------
    >>> place(2, "mAb3", line=4)
    'line 4 (id mAb3)'
    >>> place(2, "mAb3", noun="sequence")
    'sequence 3 (index 2, id mAb3)'
    >>> place(2)
    'row 3 (index 2)'
    """
    if line is not None:
        return f"line {line}" if name is None else f"line {line} (id {name})"
    return (
        f"{noun} {row + 1} (index {row})" if name in (None, str(row)) else f"{noun} {row + 1} (index {row}, id {name})"
    )


def fault(where: str, residue: BadResidue, reason: str) -> str:
    """Return a message with place, position from 1 and reason; without position if the whole sequence is wrong.

    Examples
    --------
    >>> fault("line 4", BadResidue(2, 0, "-"), "'-'")
    "line 4, position 1: '-'"
    >>> fault("line 4", BadResidue(2, 0, ""), "empty")
    'line 4: empty'
    """
    of_one_residue = residue.position > 0 or reason.startswith(repr(residue.residue))
    return f"{where}, position {residue.position + 1}: {reason}" if of_one_residue else f"{where}: {reason}"


def listed(places: Iterable[str], total: int, between: str = ", ") -> str:
    """Return the first places of a long list, and the number of the others.

    Examples
    --------
    >>> listed(["line 2", "line 5"], 7)
    'line 2, line 5 and 5 more'
    """
    shown = list(places)[:_SHOWN]
    more = f"{between if between != ', ' else ' '}and {total - len(shown)} more" if total > len(shown) else ""
    return between.join(shown) + more


class SequenceError(AntibodyESMError, ValueError):
    """One or more sequences cannot be read by a language model.

    Parameters
    ----------
    rows
        Every fault of the input, in input order.
    reasons
        Reason of each fault.
    places
        Names of rows by index, from `place`; by default ``sequence 3 (index 2)``.

    Attributes
    ----------
    rows
        Every fault, as ``(index, position, residue)``; index and position from 0.
    index, position, residue
        Those of the first fault.
    """

    def __init__(
        self, rows: Sequence[BadResidue], reasons: Sequence[str], places: Mapping[int, str] | None = None
    ) -> None:
        self.rows = tuple(rows)
        self.reasons = tuple(reasons)
        self.places = dict(places or {})
        self.index, self.position, self.residue = self.rows[0]
        lines = [
            "  " + fault(self.places.get(row.index) or place(row.index, noun="sequence"), row, reason)
            for row, reason in zip(self.rows[:_SHOWN], self.reasons, strict=False)
        ]
        if len(self.rows) > _SHOWN:
            lines.append(f"  and {len(self.rows) - _SHOWN} more, all in .rows")
        count = len({row.index for row in self.rows})
        super().__init__(
            f"{count} {'sequence' if count == 1 else 'sequences'} cannot be embedded "
            "(allowed: the 20 amino acids and X):\n" + "\n".join(lines)
        )

    def __reduce__(self) -> tuple[type["SequenceError"], tuple[Any, ...]]:
        return type(self), (self.rows, self.reasons, self.places)


class CheckpointError(AntibodyESMError, OSError):
    """A language model's files cannot be found, read or trusted.

    Attributes
    ----------
    checkpoint, revision
        Name of the model, and its revision on the hub; None if it has none.
    folders
        Paths in the message, which notes in files leave out.
    """

    def __init__(
        self, message: str, checkpoint: str = "", revision: str | None = None, folders: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint
        self.revision = revision
        self.folders = tuple(folder for folder in folders if re.search(r"[/\\]", folder))


class DatasetError(AntibodyESMError, ValueError):
    """A table cannot be read as antibodies, its labels do not fit the task, or its molecules are others.

    Attributes
    ----------
    path, column
        The file and the column; None if there is none.
    row
        The first faulty row, from 0, the header not counted; the message names its line of the file.
    rows
        Every faulty row, from 0.
    reasons
        Reason of each refused row, by row from 0; empty if the whole table is faulty.
    """

    def __init__(
        self,
        message: str,
        path: str | Path | None = None,
        row: int | None = None,
        column: str | None = None,
        rows: Iterable[int] = (),
        reasons: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__(message if path is None else f"{path}: {message}")
        self.path = path
        self.rows = tuple(rows) or tuple(reasons or ()) or (() if row is None else (row,))
        self.row = self.rows[0] if self.rows else None
        self.column = column
        self.reasons = dict(reasons or {})


@contextmanager
def errors_of(path: str | Path) -> Iterator[None]:
    """Raise a DatasetError that names no file as one that names this file."""
    try:
        yield
    except DatasetError as error:
        if error.path is not None:
            raise
        raise DatasetError(
            str(error), path, column=error.column, rows=error.rows, reasons=error.reasons or None
        ) from error


@contextmanager
def errors_of_label(label: str) -> Iterator[None]:
    """Raise a DatasetError of one of several labels as one that names the label."""
    try:
        yield
    except DatasetError as error:
        message = str(error).removeprefix(f"{error.path}: ")
        raise DatasetError(
            f"{label}: {message}", error.path, column=error.column, rows=error.rows, reasons=error.reasons or None
        ) from error


class StoreError(AntibodyESMError, RuntimeError):
    """Files on disk are damaged or inconsistent."""

    def __init__(self, message: str, path: str | Path | None = None) -> None:
        super().__init__(message if path is None else f"{path}: {message}")
        self.path = path


class PluginError(AntibodyESMError, ImportError):
    """A plugin is missing, clashes with another name, fails, or is not allowed for a saved model.

    Attributes
    ----------
    package
        The distribution that offers it.
    """

    def __init__(self, message: str, package: str = "") -> None:
        super().__init__(message)
        self.package = package


class ClusterError(AntibodyESMError, ConnectionError):
    """The scheduler of a cluster does not answer, or its workers are lost or differ from this process.

    Attributes
    ----------
    begun
        True if work was lost that had begun; the next run continues from what was stored.
    """

    def __init__(self, message: str, *, begun: bool = False) -> None:
        super().__init__(message)
        self.begun = begun


RECOVERABLE = (
    *(SequenceError, CheckpointError, DatasetError, StoreError, PluginError),
    *(ArithmeticError, RuntimeError, ValueError),
)
"""Errors of a baseline, a figure or a page that become a note: this package's, and those of numerical code.

numpy's ``LinAlgError`` is a ValueError. A ClusterError is none of them, since it concerns all that follows too."""
