"""``antibody-esm recalibrate``: a saved model for another assay, from few of its antibodies."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from antibody_esm.cli.arguments import check_folder
from antibody_esm.cli.errors import named_options, reported
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


def recalibrate_command(
    data: Annotated[str, typer.Argument(help="A table with labels of the other assay, or the name of a public set.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the recalibrated model.")],
    threshold: Annotated[
        str, typer.Option(help="balanced_accuracy, none (0.5) or a probability: threshold of class 1.")
    ] = "balanced_accuracy",
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
        bool, typer.Option("--no-check", help="Also read sequences without a recognised antibody chain.")
    ] = False,
    without_training: Annotated[
        bool, typer.Option("--without-training", help="Save the model without its training antibodies.")
    ] = False,
    checkpoint: CheckpointFolders = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Save a model whose probabilities, or values, are those of another assay, and print whether that helps.

    The order of antibodies stays. For a panel, name the folder of one of its models.
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.public import PUBLIC, load_dataset
        from antibody_esm.model_files import FILES
        from antibody_esm.panel_files import is_panel
        from antibody_esm.predictor import Predictor
        from antibody_esm.specs import RuntimeSpec
        from antibody_esm.unknown import Unknown

        if is_panel(model):
            raise ValueError(f"one model is recalibrated at a time; name a folder of the panel: {model}/...")
        if out.resolve() == model.resolve():
            raise ValueError(f"{out}: the recalibrated model would replace the model itself; name another folder")
        check_folder(out, FILES, [data, labels])
        predictor = Predictor.load(
            model, store=store, runtime=RuntimeSpec(workers=workers), checkpoint=checkpoint or ()
        )
        antibodies = load_dataset(
            data,
            id=id_column,
            heavy=heavy,
            light=light,
            label=label,
            labels=labels,
            chain=predictor.reading.chain,
            drop=drop,
            columns=None if data in PUBLIC else predictor.reading.columns.names,
            layout=layout,
            sheet=sheet,
        )
        with named_options(data, antibodies.label_name):
            again = predictor.recalibrate(
                antibodies, _threshold(threshold), assay=assay, check=False if no_check else None, drop=drop
            )
        saved = again.write(out, training=not without_training)
        facts = again.recalibration
        assert facts is not None  # noqa: S101  since it was recalibrated just now
        curve = f"No curve: {facts.curve}." if isinstance(facts.curve, Unknown) else str(facts.curve)
        cut = "" if facts.threshold is None else f", threshold {facts.threshold:.3g}"
        scaling = f"Slope {facts.slope:.3g}, intercept {facts.intercept:.3g}{cut}."
        print(f"Model {facts}.\n{scaling}\n\n{curve}\n\nSaved to {out}, {saved}.")  # noqa: T201


def _threshold(text: str) -> 'float | Literal["balanced_accuracy"] | None':
    """Return a threshold from its text. Raises ValueError for anything else."""
    if text == "none":
        return None
    if text == "balanced_accuracy":
        return "balanced_accuracy"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--threshold {text}: write balanced_accuracy, none or a probability") from None
