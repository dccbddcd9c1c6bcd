"""``antibody-esm explain``: which residues of an antibody a saved model's prediction comes from."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from antibody_esm.cli.given import check, given
from antibody_esm.cli.told import told
from antibody_esm.specs import RuntimeSpec


def explain_command(
    antibody: Annotated[str, typer.Argument(help="A sequence, HEAVY|LIGHT, or a file of sequences.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    method: Annotated[
        Literal["auto", "exact", "occlusion"], typer.Option(help="auto is exact where it can be.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A page; ends in .html.")] = None,
    plot: Annotated[Path | None, typer.Option(help="A figure; ends in .png, .svg or .pdf.")] = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder where vectors are kept, and looked up.")] = Path(
        "embeddings"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """How much each residue raises or lowers what a model says of an antibody."""
    with told(f"what is embedded is in {store}, and the same command goes on there"):
        from antibody_esm.explain import residue_contributions
        from antibody_esm.explain.picture import save
        from antibody_esm.predictor import Predictor

        check(out, ".html")
        check(plot, ".png", ".svg", ".pdf")
        predictor = Predictor.load(model, store=store, runtime=RuntimeSpec(workers=workers))
        antibodies = given(antibody, predictor.reading)
        if (out or plot) and len(antibodies) > 1:
            raise ValueError(f"a page or figure is of one antibody; {antibody} holds {len(antibodies)}")
        for name, sequence in antibodies:
            found = residue_contributions(predictor, sequence, method=method)
            lines: list[Any] = [f"{name}:"] if name else []
            print("\n".join([*lines, found.to_text(color=sys.stdout.isatty()), ""]))  # noqa: T201
            if out is not None:
                found.to_html(out)
                print(f"page written to {out}")  # noqa: T201
            if plot is not None:
                save(found.plot(), plot)
                print(f"figure written to {plot}")  # noqa: T201
