"""``antibody-esm curve``: scores by the number of training antibodies, and the gain of more."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from antibody_esm import choices
from antibody_esm.cli.arguments import check_outputs, check_suffix
from antibody_esm.cli.errors import named_options, optional, reported
from antibody_esm.cli.options import HeavyColumn, IdColumn, LayoutName, LightColumn, SheetName

_WRITTEN = (".json", ".html")


def curve_command(
    data: Annotated[str, typer.Argument(help="A table with labels, or the name of a public data set.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help=f"{', '.join(choices.MODELS)}, or a folder of weights.")
    ] = "antiberty",
    classifier: Annotated[str, typer.Option(help=", ".join(choices.CLASSIFIERS) + ".")] = "logreg",
    more: Annotated[int, typer.Option(min=0, help="Further antibodies whose gain is printed.")] = 96,
    draws: Annotated[int, typer.Option(min=2, help="Fewest draws of training sets.")] = 30,
    by: Annotated[
        str, typer.Option(help="Unit that stays whole: antibody, identity, group, family, fold or leave_one_out.")
    ] = "antibody",
    identity: Annotated[
        float | None, typer.Option(min=0, max=1, help="Identity of clusters, for --by identity.")
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Folds that are held out in turn; 10 if absent.")] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", metavar="<path>", help=".json: numbers, .html: page; may be repeated."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of the labels.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Kind of labels of a public data set; for FASTA, a table of labels.")
    ] = None,
    groups: Annotated[str | None, typer.Option(help="Column of the groups, for --by group or family.")] = None,
    fold: Annotated[str | None, typer.Option(help="Column of predefined folds, for --by fold.")] = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    chain: Annotated[str | None, typer.Option(help="heavy, light, both or paired.")] = None,
    fragment: Annotated[str | None, typer.Option(help="Part of the chain, such as H-CDRs.")] = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Also train on sequences without a recognised antibody chain.")
    ] = False,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    workers: Annotated[int | None, typer.Option(min=1, help="Fits at a time; one per core if absent.")] = None,
) -> None:
    """Print scores by the number of training antibodies, and the expected gain of further antibodies.

    Training sets are nested subsamples of whole units. Vectors come from the store, and all draws share them.
    Regressors (ridge, svr, ...) are for continuous labels.
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.public import load_dataset
        from antibody_esm.specs import RuntimeSpec, SplitSpec
        from antibody_esm.trainer import Trainer

        for path in out or ():
            check_suffix(path, *_WRITTEN)
        check_outputs(out or (), [data, labels], store=store)
        chosen = {"by": by, "identity": identity, "folds": folds}
        with named_options():
            split = SplitSpec.model_validate({name: value for name, value in chosen.items() if value is not None})
        antibodies = load_dataset(
            data,
            id=id_column,
            heavy=heavy,
            light=light,
            label=label,
            labels=labels,
            groups=groups,
            fold=fold,
            chain=chain,  # type: ignore[arg-type]  # load_dataset names the choices
            fragment=fragment,
            layout=layout,
            sheet=sheet,
        )
        by_default = split == SplitSpec()
        trainer = Trainer(
            model, classifier, None if by_default else split, store=store, runtime=RuntimeSpec(workers=workers)
        )
        with named_options(data, antibodies.label_name):
            curve = trainer.learning_curve(antibodies, more=more, draws=draws, check=not no_check)
        lines = []
        for path in sorted(out or (), key=lambda path: path.suffix == ".html"):  # the page last
            with optional(path) if path.suffix == ".html" else nullcontext():
                {".html": curve.to_html, ".json": curve.to_json}[path.suffix](path)
                lines.append(f"written to {path}")
        print("\n".join([str(curve), *lines]))  # noqa: T201  after all files, since the pipe may be closed
