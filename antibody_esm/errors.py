"""Every error the package raises.

::

    AntibodyESMError(Exception)
    ├─ SequenceError(ValueError)     .rows .index .position .residue   not an amino acid, empty, too long
    ├─ CheckpointError(OSError)      .checkpoint .revision             weights cannot be found, read or trusted
    ├─ DatasetError(ValueError)      .path .row .column .rows          a table cannot be read as a Dataset
    └─ StoreError(RuntimeError)      .path                             files on disk contradict what they should hold

Messages count lines, rows and positions from 1, as an editor does; the attributes ``index``, ``row``, ``rows`` and
``position`` count from 0, as Python does.

Bad configuration stays pydantic's ``ValidationError`` and unfitted stays scikit-learn's ``NotFittedError``.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from tokenize import TokenError
from typing import Any, NamedTuple
from zipfile import BadZipFile

_SHOWN = 10


def in_one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks, for a note or a warning; its class if there is no message."""
    return " ".join(str(error).split()) or type(error).__name__


class AntibodyESMError(Exception):
    """The root of every error raised on purpose by this package."""


RECOVERABLE = (AntibodyESMError, ArithmeticError, RuntimeError, ValueError)
"""Errors of a baseline, a figure or a page that cost a note and not the results: ours, and those of numerical code.

numpy's ``LinAlgError`` is a ValueError."""

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
"""Errors that readers of other packages raise at crafted content of a file."""


class BadResidue(NamedTuple):
    """Where a sequence is not what it should be."""

    index: int  # type: ignore[assignment]  # the word users expect here hides tuple.index, which nobody needs
    """Row of the input, from 0."""
    position: int
    """Residue of the sequence as it was given, from 0."""
    residue: str
    """What stands there; empty in an empty sequence."""


def place(row: int, name: str | None = None, line: int | None = None, noun: str = "row") -> str:
    """Return the name of a row in a message: its line of the file, else its number from 1 with its index; and its id.

    Parameters
    ----------
    row
        Index, from 0.
    name
        The id, where there is one.
    line
        Line of the file on which the row begins, from 1.
    noun
        Word for a row that has no line.

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
    """Return what is wrong at a place, with the position from 1; a reason that is of the whole sequence has none.

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
    """Return the first places of a long list, and how many more there are.

    Examples
    --------
    >>> listed(["line 2", "line 5"], 7)
    'line 2, line 5 and 5 more'
    """
    shown = list(places)[:_SHOWN]
    more = f"{between if between != ', ' else ' '}and {total - len(shown)} more" if total > len(shown) else ""
    return between.join(shown) + more


class SequenceError(AntibodyESMError, ValueError):
    """One or more sequences are not what a language model can read.

    Parameters
    ----------
    rows
        Every offence of the whole input, in input order.
    reasons
        What is wrong with each of them, in words.
    places
        Names of rows in the message by index, as `place` gives them; the others are ``sequence 3 (index 2)``.

    Attributes
    ----------
    rows
        Every offence, as ``(index, position, residue)``; index and position from 0.
    index, position, residue
        Those of the first offence.
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
    """A language model's files cannot be found, read or trusted."""

    def __init__(self, message: str, checkpoint: str = "", revision: str | None = None) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint
        self.revision = revision


class DatasetError(AntibodyESMError, ValueError):
    """A table cannot be read as labelled antibodies, its labels do not fit the task, or molecules are others.

    Attributes
    ----------
    path, column
        The file and the column, where they are known.
    row
        The first row that is concerned, from 0, the header not counted; the message names its line of the file.
    rows
        Every row that is concerned, from 0.
    reasons
        Reason of each row that is refused, by row from 0; empty where the fault is of the whole table.
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


class StoreError(AntibodyESMError, RuntimeError):
    """Files on disk contradict what they should hold."""

    def __init__(self, message: str, path: str | Path | None = None) -> None:
        super().__init__(message if path is None else f"{path}: {message}")
        self.path = path
