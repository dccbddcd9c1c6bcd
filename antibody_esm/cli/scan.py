"""``antibody-esm scan``: single mutants of an antibody, ranked by a saved model's prediction."""

from pathlib import Path
from typing import Annotated

import typer

from antibody_esm.cli.arguments import arguments, check_outputs, check_suffix, fixed_columns, fixed_reading
from antibody_esm.cli.errors import reported, show
from antibody_esm.cli.options import (
    STORE,
    CheckpointFolders,
    Device,
    Figure,
    FixedColumns,
    HeavyColumn,
    IdColumn,
    LayoutName,
    LightColumn,
    OneOrMany,
    Positions,
    Protected,
    SavedModel,
    Scheduler,
    SheetName,
    StoreFolder,
    WithLiabilities,
    Workers,
    output,
    runtime,
    table_columns,
)
from antibody_esm.cluster import connected


def scan_command(
    antibody: OneOrMany,
    model: SavedModel,
    positions: Positions = None,
    protect: Protected = None,
    top: Annotated[int, typer.Option(min=1, help="Number of mutants to print.")] = 20,
    out: Annotated[Path | None, output("a table of all mutants, .csv.")] = None,
    plot: Figure = None,
    plausibility: Annotated[
        bool,
        typer.Option(
            "--plausibility/--no-plausibility",
            help="Also compute the language model's log-odds.",
            rich_help_panel="Plausibility",
        ),
    ] = True,
    liabilities: WithLiabilities = False,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    column: FixedColumns = None,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Print the single mutants that lower a model's prediction most, and their plausibility.

    If high labels are better, such as those of Tm, these are the mutants that raise it most.

    Positions are those of IMGT: 27, 111A, 105-117, CDR3, FR1, CDRs, frameworks; the prefix H: or L: selects one chain.

    Examples
    --------
    antibody-esm scan antibody.fasta --model model/ --positions CDR3
    antibody-esm scan wt.fasta -m model/ --protect CDR3 -o m.csv --plot m.png
    """
    kept = f"finished vectors are in {store}; the same command continues from there"
    with reported(kept), connected(scheduler):
        import pandas as pd

        from antibody_esm.design import with_liabilities
        from antibody_esm.explain import mutational_scan
        from antibody_esm.explain.picture import save
        from antibody_esm.files import csv_text, write
        from antibody_esm.model_files import saved_reading
        from antibody_esm.predictor import Predictor

        check_suffix(out, ".csv")
        check_suffix(plot, ".png", ".svg", ".pdf")
        check_outputs([out, plot], [antibody], model=model, store=store)
        fixed = fixed_columns(column)
        reading = fixed_reading(saved_reading(model) or Predictor.load(model).reading, fixed)
        named = arguments(antibody, reading, table_columns(id_column, heavy, light, layout), sheet)
        if plot is not None and len(named) > 1:
            raise ValueError(
                f"a heat map shows one antibody, but {antibody} holds {len(named)}: pass the sequence itself, "
                "heavy|light for a pair, or a table of one row"
            )
        predictor = Predictor.load(
            model, store=store, runtime=runtime(workers, device), checkpoint=checkpoint or ()
        ).with_columns(fixed)
        tables = []
        for name, sequence, columns in named:
            model_of_row = predictor.with_columns(columns)
            scan = mutational_scan(model_of_row, sequence, positions, protect=protect or (), plausibility=plausibility)
            scan = with_liabilities(scan) if liabilities else scan
            show("\n".join([*([f"{name}:"] if name else []), scan.to_text(top), ""]), needed=out is plot is None)
            table = scan.to_frame()
            table.insert(0, "id", name)
            tables.append(table)
            if plot is not None:
                save(scan.plot(), plot)
                show(f"heat map written to {plot}", needed=False)
        if out is not None:
            whole = pd.concat(tables, ignore_index=True)
            write(out, csv_text(whole).encode())
            print(f"{len(whole):,} mutants written to {out}")  # noqa: T201
