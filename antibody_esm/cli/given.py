"""Antibodies as an argument of a command: a sequence, or the name of a file of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.errors import DatasetError, SequenceError
from antibody_esm.sequences import BETWEEN

if TYPE_CHECKING:
    from antibody_esm.data.reading import Reading


def given(argument: str, reading: "Reading | None" = None) -> list[tuple[str, str]]:
    """Return ids and sequences: of a file, or of one sequence, whose id is empty.

    Parameters
    ----------
    argument
        A sequence, a pair ``heavy|light``, or the name of a file.
    reading
        Reading of the model, which says in what columns of a file the chains are. None: the first column of sequences.

    Raises
    ------
    DatasetError
        If there is no such file, or it cannot be read, or holds nothing.
    SequenceError
        If a sequence of a file is missing, or not made of amino acids; all of them are listed by line and id.
    """
    from antibody_esm.data.tables import in_file, read_sequences
    from antibody_esm.sequences import normalise

    if not Path(argument).suffix and not os.path.isfile(argument):  # noqa: PTH113  which takes names of any length
        return [("", argument)]
    path = Path(argument)
    if not path.is_file():
        raise DatasetError("there is no such file", argument)
    antibodies = list(read_sequences(path) if reading is None else _antibodies(path, reading))
    if not antibodies:
        raise DatasetError("there are no sequences", argument)
    try:
        normal = normalise((sequence for _, sequence in antibodies), pairs=True)
    except SequenceError as error:
        ids = {row.index: antibodies[row.index][0] for row in error.rows}
        raise in_file(error, path, ids) from None
    return [(name, sequence) for (name, _), sequence in zip(antibodies, normal, strict=True)]


def _antibodies(path: Path, reading: "Reading") -> Iterator[tuple[str, Any]]:
    """Give the id of each antibody of a file, and its chains that are read; a chain that is missing is empty."""
    from antibody_esm.data.files import read_frames
    from antibody_esm.data.tables import chain_columns, ids_of

    first = 0
    for frame in read_frames(path):
        columns = chain_columns(frame, reading.chain, fragment=reading.fragment)
        for name, *chains in zip(ids_of(frame, None, first), *columns.values(), strict=True):
            one_text = len(set(chains)) == 1  # both domains in one sequence
            yield name, chains[0] if one_text else BETWEEN.join(chain or "" for chain in chains)
        first += len(frame)


def check(out: Path | None, *suffixes: str) -> None:
    """Raise a ValueError if a file's name does not end as it should."""
    if out is not None and out.suffix not in suffixes:
        raise ValueError(f"{out}: the name of this file ends in {' or '.join(suffixes)}")
