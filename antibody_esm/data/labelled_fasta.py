"""FASTA files as tables with labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.data.antibody_tables import table_of
from antibody_esm.data.column_roles import Recognised
from antibody_esm.data.files import read_frames, read_table
from antibody_esm.data.layouts import PLAIN, Columns
from antibody_esm.data.tables import named_column
from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd


def read_fasta(
    path: Path, labels: Any, id_column: str, names: tuple[str, ...], *, labelled: bool
) -> "tuple[pd.DataFrame, Recognised]":
    """Return the records of a FASTA file as a table with ids, sequences and labels."""
    import pandas as pd

    frame = pd.concat([pd.DataFrame(columns=["id", "sequence"]), *read_frames(path)], ignore_index=True)
    taken = {"id", "sequence", "heavy", "light"} & set(names)
    if taken:
        raise DatasetError(f"a label of a FASTA file cannot be named {taken.pop()!r}", path)
    if labels is not None:
        if isinstance(labels, Mapping) and len(names) > 1:
            raise DatasetError("several labels need labels= to be a table with a column for each", path)
        for name in names:
            frame[name] = _labels_of(frame["id"], labels, id_column, name, path)
    elif "TARGET" in frame.columns:
        frame, recognised = table_of(frame, labelled=True, source=str(path))
        return frame.assign(**dict.fromkeys(names[:1], frame["TARGET"])), recognised
    elif labelled:
        raise DatasetError("a FASTA file has no labels; pass labels=, a table or a mapping from id to label", path)
    return frame, Recognised(PLAIN, Columns())


def _labels_of(ids: "pd.Series[Any]", labels: Any, id_column: str, label_column: str, path: Path) -> list[Any]:
    """Return a label for each id, from a mapping or a table; a missing label is None."""
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
        why = "; the ids are whole headers, since first words are not unique" if whole else ""
        raise DatasetError(f"{len(unknown)} ids with labels are not in the file, first {unknown[0]!r}{why}", path)
    return [by_id.get(name) for name in ids]
