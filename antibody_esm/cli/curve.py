"""``antibody-esm curve``: scores by the number of training antibodies, and the gain of more."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from antibody_esm import choices
from antibody_esm.cli.arguments import check_outputs, check_suffix
from antibody_esm.cli.errors import named_options, optional, reported
from antibody_esm.cli.extractors import extractor_of
from antibody_esm.cli.options import (
    STORE,
    TABLE,
    ChainChoice,
    CheckpointFolders,
    ClassifierName,
    Device,
    GroupsColumn,
    HeavyColumn,
    IdColumn,
    LabelColumn,
    LabelledData,
    LabelsKind,
    LanguageModel,
    LayoutName,
    LightColumn,
    NoCheck,
    PrecisionName,
    SheetName,
    StoreFolder,
    Workers,
    output,
    runtime,
)

_WRITTEN = (".json", ".html")


def curve_command(
    data: LabelledData,
    language_model: LanguageModel = choices.DEFAULT_EXTRACTOR,
    classifier: ClassifierName = choices.DEFAULT_CLASSIFIER,
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
        output("numbers (.json) or a page (.html); may be repeated."),
    ] = None,
    label: LabelColumn = None,
    labels: LabelsKind = None,
    groups: GroupsColumn = None,
    fold: Annotated[
        str | None, typer.Option(help="Column of predefined folds, for --by fold.", rich_help_panel=TABLE)
    ] = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    chain: ChainChoice = None,
    fragment: Annotated[
        str | None, typer.Option(help="Part of the chain, such as H-CDRs.", rich_help_panel=TABLE)
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(help="Part of the chain that the sequences are, if they were cut before.", rich_help_panel=TABLE),
    ] = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    no_check: NoCheck = False,
    checkpoint: CheckpointFolders = None,
    precision: PrecisionName = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Print scores by the number of training antibodies, and the expected gain of further antibodies.

    Training sets are nested subsamples of whole units. Vectors come from the store, and all draws share them.
    Regressors (ridge, svr, ...) are for continuous labels.

    Examples
    --------
    antibody-esm curve mine.csv --language-model descriptors -o curve.html
    antibody-esm curve boughter --by identity --identity 0.9
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.public import load_dataset
        from antibody_esm.specs import SplitSpec
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
            chain=chain,
            fragment=fragment,
            part=part,
            layout=layout,
            sheet=sheet,
        )
        by_default = split == SplitSpec()
        trainer = Trainer(
            extractor_of(language_model, precision),
            classifier,
            None if by_default else split,
            store=store,
            runtime=runtime(workers, device, checkpoint),
        )
        with named_options(data, antibodies.label_name):
            curve = trainer.learning_curve(antibodies, more=more, draws=draws, check=not no_check)
        lines = []
        for path in sorted(out or (), key=lambda path: path.suffix == ".html"):  # the page last
            with optional(path) if path.suffix == ".html" else nullcontext():
                {".html": curve.to_html, ".json": curve.to_json}[path.suffix](path)
                lines.append(f"written to {path}")
        print("\n".join([str(curve), *lines]))  # noqa: T201  after all files, since the pipe may be closed
