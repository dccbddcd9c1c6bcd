"""Options of several commands, each with the same name, type and help in all of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from antibody_esm import choices

if TYPE_CHECKING:
    from antibody_esm.data.layouts import Columns
    from antibody_esm.data.tables import SequenceColumn
    from antibody_esm.specs import RuntimeSpec

TABLE = "Columns of the table"
MODEL = "Model and computation"
DECISION = "Threshold and checks"
DESIGN = "Variants"
BETTER = "Better side"
"""Panels of the help."""


def output(content: str) -> Any:
    """Return the option ``--output``, with the files that a command writes."""
    return typer.Option("--output", "-o", metavar="PATH", help=f"Output: {content}", show_default=False)


def _option(panel: str, names: str, metavar: str | None, text: str, **more: Any) -> Any:
    """Return an option in a panel of the help."""
    return typer.Option(*names.split(), metavar=metavar, help=text, rich_help_panel=panel, **more)


def _column(names: str, text: str, metavar: str = "COLUMN") -> Any:
    return _option(TABLE, names, metavar, text)


def _presets(incomplete: str) -> list[str]:
    return [name for name in choices.MODELS if name.startswith(incomplete)]


def _classifiers(incomplete: str) -> list[str]:
    return [name for name in choices.CLASSIFIERS if name.startswith(incomplete)]


# What a command reads

InputFile = Annotated[Path, typer.Argument(help="FASTA, CSV, TSV, Excel or Parquet; .gz, .bz2 and .xz too.")]
LabelledData = Annotated[str, typer.Argument(help="A table with labels, or the name of a public data set.")]
OneOrMany = Annotated[str, typer.Argument(help="A sequence, HEAVY|LIGHT, or a file of sequences.")]

# Columns of a table

IdColumn = Annotated[str | None, _column("--id", "Column of the ids; recognised if absent.")]
HeavyColumn = Annotated[str | None, _column("--heavy", "Column of the heavy chains; recognised if absent.")]
LightColumn = Annotated[str | None, _column("--light", "Column of the light chains; recognised if absent.")]
SequenceName = Annotated[str | None, _column("--sequence", "Column of any sequences; recognised if absent.")]
LabelColumn = Annotated[str | None, _column("--label", "Column of the labels; recognised if absent.")]
LabelsKind = Annotated[
    str | None, _column("--labels", "Kind of labels of a public data set; for FASTA, a table of labels.", "NAME")
]
GroupsColumn = Annotated[str | None, _column("--groups", "Column of the groups, such as clones or donors.")]
LayoutName = Annotated[
    str | None, _column("--layout", "Layout: airr, oas, 10x, imgt, plain, ...; recognised if absent.", "NAME")
]
SheetName = Annotated[str | None, _column("--sheet", "Sheet of an Excel workbook; the first if absent.", "NAME")]
FixedColumns = Annotated[
    list[str] | None, _column("--column", "Value of a column for all antibodies; may be repeated.", "NAME=VALUE")
]
ChainChoice = Annotated[
    Literal["heavy", "light", "both", "paired"] | None,
    _option(TABLE, "--chain", None, "Chain that is read; if absent, all chains by checks, the heavy chain by models."),
]
SpeciesNames = Annotated[
    list[str] | None,
    _column("--species", "Species whose profiles number; may be repeated. Human and mouse if absent.", "NAME"),
]
SchemeName = Annotated[choices.Scheme, typer.Option("--scheme", help="Numbering scheme of regions and positions.")]

# Threshold and checks

AssayName = Annotated[
    str | None, _option(DECISION, "--assay", "NAME", "Assay whose threshold of earlier work is used: elisa or psr.")
]
ThresholdOption = Annotated[
    float | None,
    _option(DECISION, "--threshold", "P", "Lowest probability of class 1; the model's if absent.", min=0, max=1),
]
DropUnread = Annotated[bool, _option(DECISION, "--drop", None, "Leave out antibodies that the model does not read.")]
NoCheck = Annotated[
    bool, _option(DECISION, "--no-check", None, "Also use sequences without a recognised antibody chain.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first bad row; without it, bad rows are written to a second file.")
]
WithLiabilities = Annotated[bool, typer.Option("--liabilities", help="Also search liabilities by sequence.")]

# Model and computation

SavedModel = Annotated[Path, _option(MODEL, "--model -m", "PATH", "Folder of a saved model.", show_default=False)]
_LANGUAGE_MODEL = _option(
    MODEL,
    "--language-model",
    "NAME",
    "Language model: a preset such as esm2_8m, a folder, or a model of the hub.",
    autocompletion=_presets,
)
LanguageModel = Annotated[str, _LANGUAGE_MODEL]
OtherLanguageModel = Annotated[str | None, _LANGUAGE_MODEL]
"""As `LanguageModel`, where that of the saved model is the default."""
ClassifierName = Annotated[
    str,
    _option(
        MODEL,
        "--classifier",
        "NAME",
        f"Classifier or regressor: {', '.join(choices.CLASSIFIERS)}.",
        autocompletion=_classifiers,
    ),
]
CheckpointFolders = Annotated[
    list[Path] | None,
    _option(MODEL, "--checkpoint", "PATH", "Folder of the language model's files, or of several; may be repeated."),
]
_STORE = _option(MODEL, "--store -s", "PATH", "Folder of the embedding store.")
StoreFolder = Annotated[Path, _STORE]
OtherStore = Annotated[Path | None, _STORE]
"""As `StoreFolder`, where no vector is kept by default."""
STORE = Path("embeddings")
"""Default of `StoreFolder`."""
Device = Annotated[
    str, _option(MODEL, "--device", "NAME", "Device, which changes no number: auto, cpu, cuda, cuda:N or mps.")
]
PrecisionName = Annotated[
    choices.Precision | None,
    _option(
        MODEL,
        "--precision",
        "NAME",
        "Number format of the language model, which changes its vectors: float32, bfloat16, float16 or int8; that of "
        "the preset if absent.",
    ),
]
Workers = Annotated[int | None, _option(MODEL, "--workers", "N", "Number of threads; one per core if absent.", min=1)]
Scheduler = Annotated[
    str | None,
    _option(
        MODEL,
        "--scheduler",
        "ADDRESS",
        "Dask scheduler whose workers compute, such as tcp://HOST:8786; see docs/large.md.",
    ),
]

# Servers

HostName = Annotated[
    str, typer.Option("--host", metavar="NAME", help="Address to listen on; 0.0.0.0 allows other computers.")
]
PortNumber = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to listen on; 0 is any free one.")
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", metavar="X", min=0.1, help="Time limit of a job, in seconds.")
]

# Explanations and variants

Positions = Annotated[
    str | None,
    _option(
        DESIGN,
        "--positions",
        "POSITIONS",
        "Positions that are mutated: CDR3, 105-117, H:111A, ...; separate by commas. All if absent.",
    ),
]
Protected = Annotated[
    str | None, _option(DESIGN, "--protect", "POSITIONS", "Positions that are kept, in the same form.")
]
MinPlausibility = Annotated[
    float, _option(DESIGN, "--min-plausibility", "X", "Lowest plausibility of a substitution, as log-odds.")
]
LiabilityRules = Annotated[
    Path | None,
    _option(DESIGN, "--panel", "PATH", "JSON file of liability rules; the built-in panel if absent."),
]
BetterSide = Annotated[
    bool | None,
    _option(
        BETTER,
        "--higher-is-better/--lower-is-better",
        None,
        "Better values, or better class (1 or 0); as the model says if absent.",
    ),
]
PrintedConfiguration = Annotated[
    Literal["job", "grid"] | None, typer.Option("--cfg", help="Print the whole configuration, and run nothing.")
]
Figure = Annotated[Path | None, typer.Option("--plot", metavar="PATH", help="Figure to write: .png, .svg or .pdf.")]

_ROLES = ("id", "heavy", "light", "label", "groups", "layout", "sheet")


def runtime(
    workers: int | None = None, device: str = "auto", checkpoint: Iterable[Path] | None = None
) -> "RuntimeSpec":
    """Return the runtime of a command. Raises ValueError for a device of another form."""
    from pydantic import ValidationError

    from antibody_esm.specs import RuntimeSpec

    try:
        return RuntimeSpec(workers=workers, device=device, checkpoints=tuple(map(str, checkpoint or ())))
    except ValidationError:
        raise ValueError(f"--device {device}: write auto, cpu, cuda, cuda:N or mps") from None


def sequence_column(
    id_column: str | None, sequence: str | None, heavy: str | None, light: str | None, layout: str | None
) -> "SequenceColumn":
    """Return the column of sequences, or the two columns of pairs, as passed to a command.

    Raises
    ------
    ValueError
        If ``--sequence`` is named with one of the others.
    """
    from antibody_esm.data.tables import SequenceColumn

    if sequence and (heavy or light):
        raise ValueError("--sequence names the only column that is read; leave out --heavy and --light")
    if heavy and light:
        return SequenceColumn(id=id_column, layout=layout, chains=(heavy, light))
    return SequenceColumn(sequence or heavy or light, id_column, layout)


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
