"""``antibody-esm predict``: predictions of a saved model for the antibodies in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm.cli.arguments import (
    check_outputs,
    check_suffix,
    check_table,
    fixed_columns,
    fixed_reading,
)
from antibody_esm.cli.errors import optional, reported
from antibody_esm.cli.options import (
    DECISION,
    STORE,
    AssayName,
    CheckpointFolders,
    Device,
    FixedColumns,
    HeavyColumn,
    IdColumn,
    InputFile,
    LayoutName,
    LightColumn,
    NoCheck,
    SavedModel,
    Scheduler,
    SheetName,
    StoreFolder,
    Strict,
    ThresholdOption,
    WithLiabilities,
    Workers,
    output,
    runtime,
    table_columns,
    table_path,
)
from antibody_esm.cli.table_files import SUFFIXES, rejected_file, writing
from antibody_esm.cluster import connected
from antibody_esm.errors import DatasetError
from antibody_esm.files import write

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.panel import Panel


def predict_command(
    file: InputFile,
    model: SavedModel,
    out: Annotated[Path, output("a table, .csv, .tsv or .parquet.")],
    threshold: ThresholdOption = None,
    assay: AssayName = None,
    confidence: Annotated[
        float, typer.Option(help="Confidence of conformal sets and intervals.", rich_help_panel=DECISION)
    ] = 0.9,
    strict: Strict = False,
    no_check: NoCheck = False,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    column: FixedColumns = None,
    liabilities: WithLiabilities = False,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Write the class, probability, uncertainty and distance to the training antibodies for each antibody in a file.

    With a panel, each antibody has a block of columns for each label, and a page beside the output shows a heat map.
    Rows that cannot be scored are written, with the reason, to a second file beside the output.

    Examples
    --------
    antibody-esm predict antibodies.csv --model model/ -o scores.csv
    antibody-esm predict plate.xlsx -m model/ --heavy VH --light VL -o s.csv
    antibody-esm predict new.fasta -m model/ --column ph=6 -o s.csv
    """
    kept = f"finished vectors are in {store}; the same command continues from there"
    with reported(kept), connected(scheduler):
        import pandas as pd

        from antibody_esm.model_files import saved_reading
        from antibody_esm.panel import Panel
        from antibody_esm.panel_files import first_model, is_panel
        from antibody_esm.predictor import Predictor
        from antibody_esm.profiles import flagged, profile_file, profile_html
        from antibody_esm.reports.profile_page import MOST
        from antibody_esm.score_tables import score_file

        check_suffix(out, *SUFFIXES)
        several = is_panel(model)
        apart, page = rejected_file(out), out.with_suffix(".html") if several else None
        check_outputs([out, apart, page], [file], model=model, store=store)
        read_from = first_model(model) if several else model
        fixed = fixed_columns(column)
        reading = fixed_reading(saved_reading(read_from) or Predictor.load(read_from).reading, fixed)
        table, columns = table_path(file, sheet), table_columns(id_column, heavy, light, layout)
        check_table(table, reading, columns)
        options: dict[str, Any] = {
            "threshold": threshold,
            "assay": assay,
            "confidence": confidence,
            "check": False if no_check else None,
            "liabilities": liabilities,
        }
        around: dict[str, Any] = {"runtime": runtime(workers, device), "checkpoint": checkpoint or ()}
        panel = Panel.load(model, store=store, **around) if several else None
        if panel is not None:
            scored = profile_file(table, panel.with_columns(fixed), columns, **options)
        else:
            predictor = Predictor.load(model, store=store, **around).with_columns(fixed)
            scored = score_file(table, predictor, columns, **options)
        counts = {"scored": 0, "rejected": 0, "flagged": 0}
        first_rows: list[pd.DataFrame] = []
        with writing(out) as add, writing(apart) as reject:
            for scores, rejected, _ in scored:
                if strict:
                    _refuse(table, scores, rejected, panel)
                add(scores)
                if len(rejected):
                    reject(rejected)
                if panel is not None:
                    first_rows.append(scores.head(max(0, MOST - counts["scored"])))
                counts["scored"] += len(scores)
                counts["rejected"] += len(rejected)
                counts["flagged"] += int((scores["warning"] != "").sum()) if panel is None else flagged(scores, panel)
            if not counts["scored"] + counts["rejected"]:
                raise DatasetError("there are no antibodies", file)
        if not counts["rejected"]:
            apart.unlink(missing_ok=True)  # of an earlier run
        antibodies = "antibody" if counts["scored"] == 1 else "antibodies"
        print(f"{counts['scored']:,} {antibodies}, {counts['flagged']:,} with a warning, written to {out}")  # noqa: T201
        if counts["rejected"]:
            single = counts["rejected"] == 1
            rows, them = ("row", "it with the reason") if single else ("rows", "them with the reasons")
            print(f"{counts['rejected']:,} {rows} cannot be scored; {apart} lists {them}")  # noqa: T201
        if panel is not None and page is not None:
            with optional(page):
                write(page, profile_html(pd.concat(first_rows), panel, file.name, counts["scored"]).encode())
                print(f"{page} shows them as a heat map")  # noqa: T201


def _refuse(file: Path, table: "pd.DataFrame", rejected: "pd.DataFrame", panel: "Panel | None") -> None:
    """Raise the DatasetError of the first row that a model does not score."""
    from antibody_esm.data.files import places

    refused = [
        (int(row), name, reason) for row, name, reason in rejected[["row", "id", "reason"]].itertuples(index=False)
    ]
    for label in panel or ():
        absent = table[table[f"{label} prediction"].isna()]
        columns = absent[["row", "id", f"{label} warning"]].itertuples(index=False)
        refused += [(int(row), name, f"{label}: {reason}") for row, name, reason in columns]
    if refused:
        row, name, reason = min(refused, key=lambda each: each[0])
        raise DatasetError(f"{places(file, [row], {row: name})[row]}: {reason}", file, row)
