"""Options of several commands: columns of a table, folders of language models, and a scheduler."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from antibody_esm.data.layouts import Columns

IdColumn = Annotated[str | None, typer.Option("--id", help="Column of the ids; recognised if absent.")]
HeavyColumn = Annotated[str | None, typer.Option("--heavy", help="Column of the heavy chains; recognised if absent.")]
LightColumn = Annotated[str | None, typer.Option("--light", help="Column of the light chains; recognised if absent.")]
LayoutName = Annotated[
    str | None, typer.Option("--layout", help="airr, oas, 10x, imgt, plain, ...; recognised if absent.")
]
SheetName = Annotated[str | None, typer.Option("--sheet", help="Sheet of an Excel workbook; the first if absent.")]
AssayName = Annotated[str | None, typer.Option("--assay", help="elisa or psr: threshold of earlier work.")]
LabelColumn = Annotated[str | None, typer.Option("--label", help="Column of the labels.")]
LabelsKind = Annotated[
    str | None, typer.Option("--labels", help="Kind of labels of a public data set; for FASTA, a table of labels.")
]
DropUnread = Annotated[bool, typer.Option("--drop", help="Leave out antibodies that the model does not read.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", help="Dask scheduler whose workers compute, such as tcp://HOST:8786; see docs/large.md."
    ),
]
CheckpointFolders = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", help="Folder of the language model's files, or of several; may be repeated."),
]
_ROLES = ("id", "heavy", "light", "label", "groups", "layout", "sheet")


def table_columns(
    id_column: str | None, heavy: str | None, light: str | None, layout: str | None, label: str | None = None
) -> "Columns":
    """Return the columns as passed to a command."""
    from antibody_esm.data.layouts import Columns

    return Columns(id_column, heavy, light, label, layout)


def table_path(file: Path, sheet: str | None) -> Path:
    """Return the path of a table: that of a sheet, if one is named. Raises DatasetError if the file has no sheets."""
    from antibody_esm.data.spreadsheets import with_sheet

    return with_sheet(file, sheet)


def columns_of(text: str | None) -> dict[str, str]:
    """Return the columns of another table that an option names, by role.

    Raises
    ------
    ValueError
        If a part has no ``=`` or names no role.

    Examples
    --------
    >>> columns_of("heavy=VH,label=PSR score")
    {'heavy': 'VH', 'label': 'PSR score'}
    """
    pairs = [part.partition("=") for part in (text or "").split(",") if part]
    for role, mark, _ in pairs:
        if not mark or role not in _ROLES:
            raise ValueError(f"{role!r} is no column of a table; write {', '.join(f'{name}=...' for name in _ROLES)}")
    return {role: name for role, _, name in pairs}
