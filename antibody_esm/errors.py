"""Every error the package raises.

::

    AntibodyESMError(Exception)
    ├─ SequenceError(ValueError)     .rows .index .position .residue   not an amino acid, empty, too long
    ├─ CheckpointError(OSError)      .checkpoint .revision             weights cannot be found, read or trusted
    ├─ DatasetError(ValueError)      .path .row .column                a table cannot be read as a Dataset
    └─ StoreError(RuntimeError)      .path                             files on disk contradict what they should hold

Bad configuration stays pydantic's ``ValidationError`` and unfitted stays scikit-learn's ``NotFittedError``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SHOWN = 10


def in_one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks, for a note or a warning; its class if there is no message."""
    return " ".join(str(error).split()) or type(error).__name__


class AntibodyESMError(Exception):
    """The root of every error raised on purpose by this package."""


RECOVERABLE = (AntibodyESMError, ArithmeticError, RuntimeError, ValueError)
"""Errors of a baseline, a figure or a page that cost a note and not the results: ours, and those of numerical code.

numpy's ``LinAlgError`` is a ValueError."""


class BadResidue(NamedTuple):
    """Where a sequence is not what it should be."""

    index: int  # type: ignore[assignment]  # the word users expect here hides tuple.index, which nobody needs
    """Row of the input, from 0."""
    position: int
    """Residue of the sequence as it was given, from 0."""
    residue: str
    """What stands there; empty in an empty sequence."""


class SequenceError(AntibodyESMError, ValueError):
    """One or more sequences are not what a language model can read.

    Parameters
    ----------
    rows
        Every offence of the whole input, in input order.
    reasons
        What is wrong with each of them, in words.

    Attributes
    ----------
    rows
        Every offence, as ``(index, position, residue)``.
    index, position, residue
        Those of the first offence.
    """

    def __init__(self, rows: Sequence[BadResidue], reasons: Sequence[str]) -> None:
        self.rows = tuple(rows)
        self.reasons = tuple(reasons)
        self.index, self.position, self.residue = self.rows[0]
        told = list(zip(self.rows, self.reasons, strict=True))
        lines = [f"  row {row.index}, position {row.position}: {reason}" for row, reason in told[:_SHOWN]]
        if len(told) > _SHOWN:
            lines.append(f"  and {len(told) - _SHOWN} more, all in .rows")
        count = len({row.index for row in self.rows})
        super().__init__(
            f"{count} {'sequence' if count == 1 else 'sequences'} cannot be embedded "
            "(allowed: the 20 amino acids and X):\n" + "\n".join(lines)
        )

    def __reduce__(self) -> tuple[type["SequenceError"], tuple[tuple[BadResidue, ...], tuple[str, ...]]]:
        return type(self), (self.rows, self.reasons)


class CheckpointError(AntibodyESMError, OSError):
    """A language model's files cannot be found, read or trusted."""

    def __init__(self, message: str, checkpoint: str = "", revision: str | None = None) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint
        self.revision = revision


class DatasetError(AntibodyESMError, ValueError):
    """A table cannot be read as labelled antibodies, or its labels do not fit the task."""

    def __init__(
        self, message: str, path: str | Path | None = None, row: int | None = None, column: str | None = None
    ) -> None:
        super().__init__(message if path is None else f"{path}: {message}")
        self.path = path
        self.row = row
        self.column = column


class StoreError(AntibodyESMError, RuntimeError):
    """Files on disk contradict what they should hold."""

    def __init__(self, message: str, path: str | Path | None = None) -> None:
        super().__init__(message if path is None else f"{path}: {message}")
        self.path = path
