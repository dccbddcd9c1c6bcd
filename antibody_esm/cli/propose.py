"""``antibody-esm propose`` and ``fixes``: variants to make next, and substitutions that clear liabilities."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm.cli.arguments import (
    arguments,
    check_folder,
    check_outputs,
    check_suffix,
    fixed_columns,
    fixed_reading,
)
from antibody_esm.cli.errors import reported, show
from antibody_esm.cli.option_names import in_options
from antibody_esm.cli.options import (
    DESIGN,
    STORE,
    BetterSide,
    CheckpointFolders,
    Device,
    Figure,
    FixedColumns,
    HeavyColumn,
    IdColumn,
    LabelColumn,
    LayoutName,
    LiabilityRules,
    LightColumn,
    MinPlausibility,
    OneOrMany,
    OtherLanguageModel,
    Positions,
    Protected,
    SavedModel,
    SheetName,
    StoreFolder,
    Workers,
    output,
    runtime,
    table_columns,
)

if TYPE_CHECKING:
    from antibody_esm.data.layouts import Columns
    from antibody_esm.data.reading import Reading
    from antibody_esm.predictor import Predictor
    from antibody_esm.rounds import Retrained
    from antibody_esm.specs import RuntimeSpec

PLATES = "Measured plates"
"""Panel of the help."""


def propose_command(
    antibody: OneOrMany,
    model: SavedModel,
    out: Annotated[Path, output("a table, .csv.")],
    size: Annotated[int, typer.Option(metavar="N", min=1, help="Number of variants.", rich_help_panel=DESIGN)] = 24,
    mutations: Annotated[
        int, typer.Option(metavar="N", min=1, help="Most substitutions of a variant.", rich_help_panel=DESIGN)
    ] = 3,
    positions: Positions = None,
    protect: Protected = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            help="File of further antibodies that were measured; none of them is proposed.", rich_help_panel=PLATES
        ),
    ] = None,
    rounds: Annotated[
        list[Path] | None,
        typer.Option(
            help="Table of a plate that was measured, from which the model learns first; may be repeated.",
            rich_help_panel=PLATES,
        ),
    ] = None,
    label: LabelColumn = None,
    save_model: Annotated[
        Path | None,
        typer.Option("--save", help="Folder for the model that has learned from --rounds.", rich_help_panel=PLATES),
    ] = None,
    objectives: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Objectives of the batch: some of these, substitutions, distance, charge.",
            rich_help_panel=DESIGN,
        ),
    ] = "risk,plausibility,liabilities",
    diversity: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0,
            max=1,
            help="Diversity of the batch, from 0 (the best variants) to 1 (those that differ most).",
            rich_help_panel=DESIGN,
        ),
    ] = 0.1,
    candidates: Annotated[
        int, typer.Option(metavar="N", min=1, help="Most variants that are predicted.", rich_help_panel=DESIGN)
    ] = 2000,
    min_plausibility: MinPlausibility = -3.0,
    language_model: OtherLanguageModel = None,
    panel: LiabilityRules = None,
    higher_is_better: BetterSide = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the random part of the combinations.", rich_help_panel=DESIGN)
    ] = 0,
    fasta: Annotated[Path | None, typer.Option(metavar="PATH", help="Sequences to write: .fasta.")] = None,
    plot: Figure = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    column: FixedColumns = None,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Write variants to make next: lower predicted risk, plausible, no new liabilities, not measured before.

    The output is a table to order, the first choice first. Several antibodies of a file share the variants. If high
    labels are better, such as those of Tm, the predicted value rises. The language model judges plausibility; that of
    the saved model if absent. --label is a column of the tables of --rounds.

    Examples
    --------
    antibody-esm propose wt.fasta --model model/ --protect CDR3 -o plate.csv
    antibody-esm propose wt.csv -m model/ --size 96 -o p.csv --plot p.png
    antibody-esm propose wt.csv -m model/ --rounds plate1.csv -o plate2.csv
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.files import read_table
        from antibody_esm.design import propose
        from antibody_esm.explain.picture import save
        from antibody_esm.model_files import FILES
        from antibody_esm.rounds import FILE, refuse_other_model

        check_suffix(out, ".csv")
        check_suffix(fasta, ".fasta")
        check_suffix(plot, ".png", ".svg", ".pdf")
        check_outputs([out, fasta, plot], [antibody, measured, panel, *(rounds or ())], model=model, store=store)
        if save_model is not None:
            if not rounds:
                raise ValueError("--save keeps the model that has learned from --rounds; name a plate")
            if save_model.resolve() == model.resolve():
                raise ValueError(f"{save_model}: the next model would replace the model itself; name another folder")
            check_folder(save_model, (*FILES, FILE), [antibody, measured, panel, *rounds])
            refuse_other_model(save_model)
        columns = table_columns(id_column, heavy, light, layout)
        plain, fixed, parents = _read(
            antibody, model, column, columns, sheet, store, runtime(workers, device), checkpoint
        )
        learned = None if not rounds else _learned(plain, rounds, label, higher_is_better)
        predictor = (plain if learned is None else learned.predictor).with_columns(fixed)
        proposals = propose(
            predictor,
            parents,
            size,
            mutations,
            positions=positions,
            protect=protect or (),
            measured=None if measured is None else read_table(measured),
            objectives=tuple(objectives.split(",")),  # type: ignore[arg-type]  # checked there
            diversity=diversity,
            candidates=candidates,
            min_plausibility=min_plausibility,
            language_model=language_model,
            panel=panel,
            higher_is_better=higher_is_better,
            seed=seed,
        )
        if learned is not None:  # nothing is logged before all was checked
            _keep(learned, model, save_model)
        proposals.save(out)
        show(f"{in_options(str(proposals))}\n\ntable written to {out}")
        if fasta is not None:
            proposals.save(fasta)
            show(f"sequences written to {fasta}")
        if plot is not None:
            save(proposals.plot(), plot)
            show(f"figure written to {plot}")


def fixes_command(
    antibody: OneOrMany,
    model: SavedModel,
    out: Annotated[Path, output("a table, .csv.")],
    protect: Protected = None,
    most: Annotated[int, typer.Option(min=1, help="Most fixes of a liability.")] = 5,
    min_plausibility: MinPlausibility = -3.0,
    language_model: OtherLanguageModel = None,
    panel: LiabilityRules = None,
    higher_is_better: BetterSide = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    column: FixedColumns = None,
    checkpoint: CheckpointFolders = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Write single substitutions that clear a liability, add none, are plausible, and do not raise the predicted risk.

    Examples
    --------
    antibody-esm fixes antibodies.csv --model model/ -o fixes.csv
    antibody-esm fixes a.csv -m model/ --protect CDR3 --most 2 -o fixes.csv
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        import pandas as pd

        from antibody_esm.design import fixes
        from antibody_esm.files import csv_text, write

        check_suffix(out, ".csv")
        check_outputs([out], [antibody, panel], model=model, store=store)
        columns = table_columns(id_column, heavy, light, layout)
        plain, fixed, parents = _read(
            antibody, model, column, columns, sheet, store, runtime(workers, device), checkpoint
        )
        predictor = plain.with_columns(fixed)
        tables = []
        for name, sequence in parents.items():
            table = fixes(
                predictor,
                sequence,
                protect=protect or (),
                most=most,
                min_plausibility=min_plausibility,
                language_model=language_model,
                panel=panel,
                higher_is_better=higher_is_better,
            )
            table.insert(0, "id", name)
            tables.append(table)
        whole = pd.concat(tables, ignore_index=True)
        write(out, csv_text(whole).encode())
        none = int((whole["mutation"] == "none").sum())
        print(f"{len(whole) - none:,} fixes written to {out}; {none:,} liabilities have none")  # noqa: T201


def _learned(
    predictor: "Predictor", plates: list[Path], label: str | None, higher_is_better: bool | None
) -> "Retrained":
    """Return the model that has learned from plates, and print how well each was predicted before."""
    from antibody_esm.rounds import retrain

    learned = retrain(predictor, plates, label=label, higher_is_better=higher_is_better)
    for each in learned.rounds:
        show(str(each), needed=False)
    show("", needed=False)
    return learned


def _keep(learned: "Retrained", model: Path, folder: Path | None) -> None:
    """Log the rounds beside the model, and save the model that has learned, if a folder is named."""
    from antibody_esm.rounds import refuse_other_model, with_log, write_log

    every = with_log(model, learned.rounds)
    if folder is not None:
        refuse_other_model(folder, every)
    write_log(model, every)
    if folder is not None:
        learned.predictor.write(folder)
        write_log(folder, every)
        show(f"model saved to {folder}", needed=False)


def _read(
    antibody: str,
    model: Path,
    column: list[str] | None,
    columns: "Columns",
    sheet: str | None,
    store: Path,
    around: "RuntimeSpec",
    checkpoint: list[Path] | None,
) -> "tuple[Predictor, dict[str, Any], dict[str, str]]":
    """Return the model, the columns to fix, and the antibodies by name: both chains, if the file has both."""
    from antibody_esm.model_files import saved_reading
    from antibody_esm.predictor import Predictor

    fixed = fixed_columns(column)
    reading = fixed_reading(saved_reading(model) or Predictor.load(model).reading, fixed)
    named = arguments(antibody, reading, columns, sheet)
    cells = [each.columns for each in named]
    if any(other != cells[0] for other in cells[1:]):
        raise ValueError("the antibodies differ in columns that the model reads; give one of them, or --column")
    whole = _both_chains(antibody, reading, columns, sheet)
    parents = {each.id or "parent": whole.get(each.id, each.sequence) for each in named}
    if len(parents) < len(named):
        raise ValueError(f"{antibody}: two antibodies have the same id")
    predictor = Predictor.load(model, store=store, runtime=around, checkpoint=checkpoint or ())
    return predictor, {**cells[0], **fixed}, parents


def _both_chains(antibody: str, reading: "Reading", columns: "Columns", sheet: str | None) -> dict[str, str]:
    """Return the pairs of a file by id, as far as it has them: the order sheet has the chain too that is not read."""
    from antibody_esm.data.antibody_tables import read_tables
    from antibody_esm.data.spreadsheets import with_sheet
    from antibody_esm.data.tables import chain_columns, ids_of
    from antibody_esm.errors import DatasetError

    if not Path(antibody).suffix or len(reading.chains) == 2:
        return {}
    pairs: dict[str, str] = {}
    first = 0
    try:
        for frame, recognised in read_tables(with_sheet(Path(antibody), sheet), columns, species=reading.species):
            named = recognised.read_as("paired", frame.columns)
            chains = chain_columns(frame, "paired", named.heavy, named.light, None)
            for name, heavy, light in zip(ids_of(frame, named.id, first), *chains.values(), strict=True):
                if isinstance(heavy, str) and isinstance(light, str):
                    pairs[name] = f"{heavy}|{light}"
            first += len(frame)
    except DatasetError:  # it has no columns of both chains
        return {}
    return pairs
