"""``antibody-esm explain``: contributions of residues to a saved model's prediction."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from antibody_esm.cli.arguments import arguments, check_outputs, check_suffix, fixed_columns, fixed_reading
from antibody_esm.cli.errors import reported
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
    SavedModel,
    SheetName,
    StoreFolder,
    WithLiabilities,
    Workers,
    output,
    runtime,
    table_columns,
)


def explain_command(
    antibody: OneOrMany,
    model: SavedModel,
    method: Annotated[
        Literal["auto", "exact", "occlusion"],
        typer.Option(help="Method; auto is exact if possible, else occlusion."),
    ] = "auto",
    out: Annotated[Path | None, output("a page, .html.")] = None,
    plot: Figure = None,
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
) -> None:
    """Print the contribution of each residue of an antibody to a model's prediction.

    Examples
    --------
    antibody-esm explain antibody.fasta --model model/
    antibody-esm explain EVQLVESGGG... -m model/ --liabilities -o page.html
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.design import with_liabilities
        from antibody_esm.explain import residue_contributions
        from antibody_esm.explain.picture import save
        from antibody_esm.model_files import saved_reading
        from antibody_esm.predictor import Predictor

        check_suffix(out, ".html")
        check_suffix(plot, ".png", ".svg", ".pdf")
        check_outputs([out, plot], [antibody], model=model, store=store)
        fixed = fixed_columns(column)
        reading = fixed_reading(saved_reading(model) or Predictor.load(model).reading, fixed)
        named = arguments(antibody, reading, table_columns(id_column, heavy, light, layout), sheet)
        if (out or plot) and len(named) > 1:
            raise ValueError(
                f"a page or figure shows one antibody, but {antibody} holds {len(named)}: pass the sequence itself, "
                "heavy|light for a pair, or a table of one row"
            )
        predictor = Predictor.load(
            model, store=store, runtime=runtime(workers, device), checkpoint=checkpoint or ()
        ).with_columns(fixed)
        for name, sequence, columns in named:
            contributions = residue_contributions(predictor.with_columns(columns), sequence, method=method)
            contributions = with_liabilities(contributions) if liabilities else contributions
            lines = [f"{name}:"] if name else []
            lines += [contributions.to_text(color=sys.stdout.isatty()), ""]
            if out is not None:  # before printing, since the pipe may be closed
                contributions.to_html(out)
                lines.append(f"page written to {out}")
            if plot is not None:
                save(contributions.plot(), plot)
                lines.append(f"figure written to {plot}")
            print("\n".join(lines))  # noqa: T201
