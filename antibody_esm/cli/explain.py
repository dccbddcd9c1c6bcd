"""``antibody-esm explain``: contributions of residues to a saved model's prediction."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from antibody_esm.cli.arguments import COLUMN, arguments, check_outputs, check_suffix, fixed_columns, fixed_reading
from antibody_esm.cli.errors import reported
from antibody_esm.cli.options import (
    CheckpointFolders,
    HeavyColumn,
    IdColumn,
    LayoutName,
    LightColumn,
    SheetName,
    table_columns,
)


def explain_command(
    antibody: Annotated[str, typer.Argument(help="A sequence, HEAVY|LIGHT, or a file of sequences.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    method: Annotated[
        Literal["auto", "exact", "occlusion"], typer.Option(help="auto is exact if possible, else occlusion.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Output page: .html.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Output figure: .png, .svg or .pdf.")] = None,
    liabilities: Annotated[bool, typer.Option("--liabilities", help="Also mark medium and high liabilities.")] = False,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    column: Annotated[list[str] | None, typer.Option(help=COLUMN)] = None,
    checkpoint: CheckpointFolders = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Print the contribution of each residue of an antibody to a model's prediction."""
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.design import with_liabilities
        from antibody_esm.explain import residue_contributions
        from antibody_esm.explain.picture import save
        from antibody_esm.model_files import saved_reading
        from antibody_esm.predictor import Predictor
        from antibody_esm.specs import RuntimeSpec

        check_suffix(out, ".html")
        check_suffix(plot, ".png", ".svg", ".pdf")
        check_outputs([out, plot], [antibody], model=model, store=store)
        fixed = fixed_columns(column)
        reading = fixed_reading(saved_reading(model) or Predictor.load(model).reading, fixed)
        named = arguments(antibody, reading, table_columns(id_column, heavy, light, layout), sheet)
        if (out or plot) and len(named) > 1:
            raise ValueError(f"a page or figure shows one antibody, but {antibody} holds {len(named)}")
        predictor = Predictor.load(
            model, store=store, runtime=RuntimeSpec(workers=workers), checkpoint=checkpoint or ()
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
