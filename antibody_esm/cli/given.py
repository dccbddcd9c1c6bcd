"""Antibodies as an argument of a command: a sequence, or the name of a file of them."""

import os
from pathlib import Path

from antibody_esm.errors import DatasetError, SequenceError


def given(argument: str) -> list[tuple[str, str]]:
    """Return ids and sequences: of a file, or of one sequence, whose id is empty.

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
    if not Path(argument).is_file():
        raise DatasetError("there is no such file", argument)
    found = list(read_sequences(Path(argument)))
    if not found:
        raise DatasetError("there are no sequences", argument)
    try:
        normal = normalise((sequence for _, sequence in found), pairs=True)
    except SequenceError as error:
        ids = {row.index: found[row.index][0] for row in error.rows}
        raise in_file(error, Path(argument), ids) from None
    return [(name, sequence) for (name, _), sequence in zip(found, normal, strict=True)]


def check(out: Path | None, *suffixes: str) -> None:
    """Raise a ValueError if a file's name does not end as it should."""
    if out is not None and out.suffix not in suffixes:
        raise ValueError(f"{out}: the name of this file ends in {' or '.join(suffixes)}")
