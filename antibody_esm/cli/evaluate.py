"""``antibody-esm evaluate``: scores of a saved model on held-out labelled antibodies."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from antibody_esm.cli.arguments import check_outputs, check_suffix
from antibody_esm.cli.errors import optional, reported
from antibody_esm.cli.options import (
    DECISION,
    STORE,
    AssayName,
    CheckpointFolders,
    Device,
    DropUnread,
    HeavyColumn,
    IdColumn,
    LabelColumn,
    LabelledData,
    LabelsKind,
    LayoutName,
    LightColumn,
    NoCheck,
    SavedModel,
    SheetName,
    StoreFolder,
    ThresholdOption,
    Workers,
    output,
    runtime,
)

_WRITTEN = (".html", ".csv", ".json")


def evaluate_command(
    data: LabelledData,
    model: SavedModel,
    out: Annotated[
        list[Path] | None,
        output("a page (.html), predictions (.csv) or scores (.json); may be repeated."),
    ] = None,
    threshold: ThresholdOption = None,
    assay: AssayName = None,
    label: LabelColumn = None,
    labels: LabelsKind = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    drop: DropUnread = False,
    no_check: NoCheck = False,
    random_seeds: Annotated[
        int,
        typer.Option(
            min=0, max=3, help="Number of baselines whose language model has random weights.", rich_help_panel=DECISION
        ),
    ] = 1,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Print scores with intervals and baselines on labelled antibodies; the model's log of test sets records it.

    A panel is tested on all of its labels, each on the antibodies that have it.

    Examples
    --------
    antibody-esm evaluate another_lab.csv -m model/ --label psr -o report.html
    antibody-esm evaluate jain --model model/ -o report.html -o rows.csv
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.public import PUBLIC, load_dataset
        from antibody_esm.model_files import saved_reading
        from antibody_esm.panel import Panel
        from antibody_esm.panel_files import first_model, is_panel, saved_labels
        from antibody_esm.predictor import Predictor
        from antibody_esm.reports.grid import GridReport

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
        report = load(model, store=store, runtime=runtime(workers, device), checkpoint=checkpoint or ()).evaluate(
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
