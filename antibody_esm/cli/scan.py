"""``antibody-esm scan``: every single mutant of an antibody, ranked by what a saved model says of it."""

from pathlib import Path
from typing import Annotated

import typer

from antibody_esm.cli.given import check, given
from antibody_esm.cli.told import told
from antibody_esm.specs import RuntimeSpec


def scan_command(
    antibody: Annotated[str, typer.Argument(help="A sequence, HEAVY|LIGHT, or a file of sequences.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    positions: Annotated[
        str | None, typer.Option(help="Such as CDR3, 105-117, H:111A; several with commas. All if absent.")
    ] = None,
    protect: Annotated[str | None, typer.Option(help="Positions that stay as they are, in the same words.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Mutants that are printed.")] = 20,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="All mutants; ends in .csv.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Heat map; ends in .png, .svg or .pdf.")] = None,
    plausibility: Annotated[
        bool, typer.Option("--plausibility/--no-plausibility", help="Ask the language model as well.")
    ] = True,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder where vectors are kept, and looked up.")] = Path(
        "embeddings"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Which single mutants lower what a model predicts, and how plausible they are.

    Positions are those of IMGT: 27, 111A, 105-117, CDR3, FR1, CDRs, frameworks; of one chain with H: or L: before them.
    """
    with told(f"what is embedded is in {store}, and the same command goes on there"):
        import pandas as pd

        from antibody_esm.explain import mutational_scan
        from antibody_esm.explain.picture import save
        from antibody_esm.predictor import Predictor
        from antibody_esm.results import write

        check(out, ".csv")
        check(plot, ".png", ".svg", ".pdf")
        predictor = Predictor.load(model, store=store, runtime=RuntimeSpec(workers=workers))
        antibodies = given(antibody, predictor.reading)
        if plot is not None and len(antibodies) > 1:
            raise ValueError(f"a heat map is of one antibody; {antibody} holds {len(antibodies)}")
        tables = []
        for name, sequence in antibodies:
            scan = mutational_scan(predictor, sequence, positions, protect=protect or (), plausibility=plausibility)
            print("\n".join([*([f"{name}:"] if name else []), scan.to_text(top), ""]))  # noqa: T201
            table = scan.to_frame()
            table.insert(0, "id", name)
            tables.append(table)
            if plot is not None:
                save(scan.plot(), plot)
                print(f"heat map written to {plot}")  # noqa: T201
        if out is not None:
            whole = pd.concat(tables, ignore_index=True)
            write(out, whole.to_csv(index=False).encode())
            print(f"{len(whole):,} mutants written to {out}")  # noqa: T201
