"""``antibody-esm explain`` and ``scan``: which residues a prediction rests on, and what to change."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antibody_esm.cli.told import told
from antibody_esm.errors import DatasetError
from antibody_esm.specs import RuntimeSpec

if TYPE_CHECKING:
    from antibody_esm.explain.contributions import Contributions
    from antibody_esm.explain.scan import Scan
    from antibody_esm.predictor import Predictor

_Antibody = Annotated[str, typer.Argument(help="A sequence; heavy|light of a pair; or a FASTA file with one of them.")]
_Model = Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")]
_Store = Annotated[Path, typer.Option("--store", "-s", help="Folder where vectors are kept, and looked up.")]
_Workers = Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")]


def explain_command(
    antibody: _Antibody,
    model: _Model,
    occlusion: Annotated[bool, typer.Option("--occlusion", help="Hide each residue in turn, for any model.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the coloured chain as HTML too.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it too; ends in .png, .svg or .pdf.")] = None,
    store: _Store = Path("embeddings"),
    workers: _Workers = None,
) -> None:
    """Show how much each residue of an antibody adds to what a model says of it.

    Red is towards class 1, blue away from it; digits below the chain mark CDRs.
    """
    with told():
        import sys

        from antibody_esm.explain.contributions import residue_contributions
        from antibody_esm.explain.picture import page

        found = residue_contributions(
            _load(model, store, workers), _read(antibody), method="occlusion" if occlusion else "auto"
        )
        print(found.to_text(color=sys.stdout.isatty()))  # noqa: T201
        if html is not None:
            html.write_text(page(found), encoding="utf-8")
        if plot is not None:
            _draw(found, plot)


def scan_command(
    antibody: _Antibody,
    model: _Model,
    positions: Annotated[
        str | None, typer.Option("--positions", "-p", help="As CDR3,H:CDR1,111A,27-38; every residue by default.")
    ] = None,
    protect: Annotated[str | None, typer.Option(help="What is left alone, in the same way.")] = None,
    plausibility: Annotated[bool, typer.Option(help="Ask the language model how plausible each is.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write all mutations as CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw a heat map; ends in .png, .svg or .pdf.")] = None,
    store: _Store = Path("embeddings"),
    workers: _Workers = None,
) -> None:
    """Show which single mutations would lower what a model says of an antibody, and how plausible they are.

    Every mutant goes through the language model once; what is in the store is not computed again.
    """
    with told(f"what is embedded is in {store}, and the same command goes on there"):
        from antibody_esm.explain.scan import mutational_scan

        found = mutational_scan(
            _load(model, store, workers),
            _read(antibody),
            None if positions is None else positions.split(","),
            protect=[] if protect is None else protect.split(","),
            plausibility=plausibility,
        )
        print(found)  # noqa: T201
        if out is not None:
            print(f"\nAll mutations: {found.to_csv(out)}")  # noqa: T201
        if plot is not None:
            _draw(found, plot)


def _draw(found: "Contributions | Scan", path: Path) -> None:
    from matplotlib import pyplot

    found.plot()
    pyplot.gcf().savefig(path, dpi=150)
    pyplot.close()


def _load(model: Path, store: Path, workers: int | None) -> "Predictor":
    from antibody_esm.predictor import Predictor

    return Predictor.load(model, store=store, runtime=RuntimeSpec(workers=workers))


def _read(antibody: str) -> str:
    """Return the sequence that was given, or the only one of a file."""
    path = Path(antibody)
    if "." not in path.name:
        return antibody
    from antibody_esm.data.tables import read_sequences

    found = [sequence for _, sequence in read_sequences(path)]
    if len(found) != 1:
        raise DatasetError(f"one antibody is explained at a time, and here are {len(found)}", path)
    return str(found[0])
