"""``antibody-esm recalibrate``: a saved model for another assay, from few of its antibodies."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from antibody_esm.cli.arguments import check_folder
from antibody_esm.cli.errors import named_options, reported
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


def recalibrate_command(
    data: LabelledData,
    model: SavedModel,
    out: Annotated[Path, output("folder of the recalibrated model.")],
    threshold: ThresholdOption = None,
    rule: Annotated[
        Literal["balanced_accuracy", "none"],
        typer.Option(help="Rule of the threshold without --threshold; none is 0.5.", rich_help_panel=DECISION),
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
    no_check: NoCheck = False,
    without_training: Annotated[
        bool, typer.Option("--without-training", help="Save the model without its training antibodies.")
    ] = False,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Save a model whose probabilities, or values, are those of another assay, and print whether that helps.

    The order of antibodies stays. For a panel, name the folder of one of its models.

    Examples
    --------
    antibody-esm recalibrate other_assay.csv --model model/ -o adapted/
    antibody-esm recalibrate psr.csv -m model/ --threshold 0.3 -o adapted/
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.public import PUBLIC, load_dataset
        from antibody_esm.model_files import FILES
        from antibody_esm.panel_files import is_panel
        from antibody_esm.predictor import Predictor
        from antibody_esm.unknown import Unknown

        if is_panel(model):
            raise ValueError(f"one model is recalibrated at a time; name a folder of the panel: {model}/...")
        if out.resolve() == model.resolve():
            raise ValueError(f"{out}: the recalibrated model would replace the model itself; name another folder")
        check_folder(out, FILES, [data, labels])
        predictor = Predictor.load(model, store=store, runtime=runtime(workers, device), checkpoint=checkpoint or ())
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
                antibodies, _threshold(threshold, rule), assay=assay, check=False if no_check else None, drop=drop
            )
        saved = again.write(out, training=not without_training)
        facts = again.recalibration
        assert facts is not None  # noqa: S101  since it was recalibrated just now
        curve = f"No curve: {facts.curve}." if isinstance(facts.curve, Unknown) else str(facts.curve)
        cut = "" if facts.threshold is None else f", threshold {facts.threshold:.3g}"
        scaling = f"Slope {facts.slope:.3g}, intercept {facts.intercept:.3g}{cut}."
        print(f"Model {facts}.\n{scaling}\n\n{curve}\n\nSaved to {out}, {saved}.")  # noqa: T201


def _threshold(
    threshold: float | None, rule: Literal["balanced_accuracy", "none"]
) -> 'float | Literal["balanced_accuracy"] | None':
    """Return a probability, or else the rule that chooses it; None is 0.5."""
    if threshold is not None:
        return threshold
    return None if rule == "none" else rule
