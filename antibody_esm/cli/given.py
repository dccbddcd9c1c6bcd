"""Antibodies as an argument of a command: a sequence, or the name of a file of them."""

import os
from pathlib import Path

from antibody_esm.errors import DatasetError


def given(argument: str) -> list[tuple[str, str]]:
    """Return ids and sequences: of a file, or of one sequence, whose id is empty.

    Raises
    ------
    DatasetError
        If there is no such file, or it cannot be read, or holds nothing.
    """
    from antibody_esm.data.tables import read_sequences

    if not Path(argument).suffix and not os.path.isfile(argument):  # noqa: PTH113  which takes names of any length
        return [("", argument)]
    if not Path(argument).is_file():
        raise DatasetError("there is no such file", argument)
    found = list(read_sequences(Path(argument)))
    if not found:
        raise DatasetError("there are no sequences", argument)
    return found


def check(out: Path | None, *suffixes: str) -> None:
    """Raise a ValueError if a file's name does not end as it should."""
    if out is not None and out.suffix not in suffixes:
        raise ValueError(f"{out}: the name of this file ends in {' or '.join(suffixes)}")
