"""Antibodies as an argument of a command: a sequence, or the name of a file of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from antibody_esm.errors import DatasetError
from antibody_esm.sequences import BETWEEN


def given(argument: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return ids and sequences: of a file, or of one sequence, whose id is empty.

    Parameters
    ----------
    data
        `Predictor.data`: the chain and the fragment that the model reads. Of both chains, a file has the columns heavy
        and light, or pairs as ``heavy|light``.

    Raises
    ------
    DatasetError
        If there is no such file, or it cannot be read, or holds nothing, or an antibody lacks a chain.
    """
    if not Path(argument).suffix and not os.path.isfile(argument):  # noqa: PTH113  which takes names of any length
        return [("", argument)]
    if not Path(argument).is_file():
        raise DatasetError("there is no such file", argument)
    found = _antibodies(Path(argument), data)
    if not found:
        raise DatasetError("there are no sequences", argument)
    return found


def _antibodies(path: Path, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    from antibody_esm.data.tables import chain_columns, is_missing, read_frames, without_dressing

    between = "" if data["chain"] == "both" and data["fragment"] is None else BETWEEN
    antibodies: list[tuple[str, str]] = []
    for frame in read_frames(path):
        columns = chain_columns(frame, data["chain"])
        names = frame["id"] if "id" in frame.columns else range(len(antibodies), len(antibodies) + len(frame))
        for name, *chains in zip(names, *columns.values(), strict=True):
            for column, chain in zip(columns, chains, strict=True):
                if is_missing(chain):
                    row = len(antibodies)
                    raise DatasetError(f"row {row} ({name}) has no {column} chain", path, row, column)
            antibodies.append((str(name), between.join(without_dressing(chain) for chain in chains)))
    return antibodies


def check(out: Path | None, *suffixes: str) -> None:
    """Raise a ValueError if a file's name does not end as it should."""
    if out is not None and out.suffix not in suffixes:
        raise ValueError(f"{out}: the name of this file ends in {' or '.join(suffixes)}")
