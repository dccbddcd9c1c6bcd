"""``antibody-esm evaluate``: scores of a saved model on held-out labelled antibodies."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from antibody_esm.cli.arguments import check_outputs, check_suffix
from antibody_esm.cli.errors import optional, reported
from antibody_esm.cli.options import (
    AssayName,
    CheckpointFolders,
    DropUnread,
    HeavyColumn,
    IdColumn,
    LabelColumn,
    LabelsKind,
    LayoutName,
    LightColumn,
    SheetName,
)

_WRITTEN = (".html", ".csv", ".json")


def evaluate_command(
    data: Annotated[str, typer.Argument(help="A table with labels, or the name of a public data set.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out", "-o", metavar="<path>", help=".html: page, .csv: predictions, .json: scores; may be repeated."
        ),
    ] = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Lowest probability of class 1.")] = None,
    assay: AssayName = None,
    label: LabelColumn = None,
    labels: LabelsKind = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    drop: DropUnread = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Also score sequences without a recognised antibody chain.")
    ] = False,
    random_seeds: Annotated[
        int, typer.Option(min=0, max=3, help="Baselines whose language model has random weights.")
    ] = 1,
    checkpoint: CheckpointFolders = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Print scores with intervals and baselines on labelled antibodies; the model's log of test sets records it.

    A panel is tested on all of its labels, each on the antibodies that have it.
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.public import PUBLIC, load_dataset
        from antibody_esm.model_files import saved_reading
        from antibody_esm.panel import Panel
        from antibody_esm.panel_files import first_model, is_panel, saved_labels
        from antibody_esm.predictor import Predictor
        from antibody_esm.reports.grid import GridReport
        from antibody_esm.specs import RuntimeSpec

        for path in out or ():
            check_suffix(path, *_WRITTEN)
        check_outputs(out or (), [data, labels], model=model, store=store)
        labels_of_panel = saved_labels(model) if is_panel(model) else None
        if labels_of_panel is not None and label is not None:
            raise ValueError(f"a panel is tested on all of its labels; for one, name its folder: {model}/...")
        first = model if labels_of_panel is None else first_model(model)
        reading = saved_reading(first) or Predictor.load(first).reading
        antibodies = load_dataset(
            data,
            id=id_column,
            heavy=heavy,
            light=light,
            label=label if labels_of_panel is None else labels_of_panel,
            labels=labels,
            chain=reading.chain,
            drop=drop,
            columns=None if data in PUBLIC else reading.columns.names,
            layout=layout,
            sheet=sheet,
        )
        load = Predictor.load if labels_of_panel is None else Panel.load
        report = load(model, store=store, runtime=RuntimeSpec(workers=workers), checkpoint=checkpoint or ()).evaluate(
            antibodies,
            threshold=threshold,
            assay=assay,
            check=False if no_check else None,
            drop=drop,
            random_seeds=random_seeds,
        )
        to_csv = report.predictions_to_csv if isinstance(report, GridReport) else report.to_csv
        lines = []
        for path in sorted(out or (), key=lambda path: path.suffix == ".html"):  # the page last
            with optional(path) if path.suffix == ".html" else nullcontext():
                {".html": report.to_html, ".csv": to_csv, ".json": report.to_json}[path.suffix](path)
                lines.append(f"written to {path}")
        print("\n".join([str(report), *lines]))  # noqa: T201  after all files, since the pipe may be closed
