"""``antibody-esm predict``: predictions of a saved model for the antibodies in a file."""

from pathlib import Path
from typing import Annotated

import typer

from antibody_esm.cli.arguments import check_outputs, check_suffix, check_table
from antibody_esm.cli.errors import reported
from antibody_esm.cli.options import (
    HeavyColumn,
    IdColumn,
    LayoutName,
    LightColumn,
    SheetName,
    table_columns,
    table_path,
)
from antibody_esm.cli.table_files import SUFFIXES, rejected_file, writing
from antibody_esm.errors import DatasetError


def predict_command(
    file: Annotated[Path, typer.Argument(help="FASTA, CSV, TSV, Excel or Parquet; .gz, .bz2 and .xz too.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output table: .csv, .tsv or .parquet.")],
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Lowest probability of class 1.")] = None,
    assay: Annotated[str | None, typer.Option(help="elisa or psr: threshold of earlier work.")] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of conformal sets and intervals.")] = 0.9,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first row that cannot be scored.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Also score sequences without a recognised antibody chain.")
    ] = False,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    liabilities: Annotated[
        bool, typer.Option("--liabilities", help="Add the number and the sites of liabilities by sequence.")
    ] = False,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Write the class, probability, uncertainty and distance to the training antibodies for each antibody in a file.

    Rows that cannot be scored are written, with the reason, to a second file beside OUT.
    """
    with reported(f"finished vectors are in {store}; the same command continues from there"):
        from antibody_esm.data.files import places
        from antibody_esm.model_files import saved_reading
        from antibody_esm.predictor import Predictor
        from antibody_esm.score_tables import score_file
        from antibody_esm.specs import RuntimeSpec

        check_suffix(out, *SUFFIXES)
        apart = rejected_file(out)
        check_outputs([out, apart], [file], model=model, store=store)
        reading = saved_reading(model) or Predictor.load(model).reading
        table, columns = table_path(file, sheet), table_columns(id_column, heavy, light, layout)
        check_table(table, reading, columns)
        predictor = Predictor.load(model, store=store, runtime=RuntimeSpec(workers=workers))
        scored = score_file(
            table,
            predictor,
            columns,
            threshold=threshold,
            assay=assay,
            confidence=confidence,
            check=False if no_check else None,
            liabilities=liabilities,
        )
        counts = {"scored": 0, "rejected": 0, "flagged": 0}
        with writing(out) as add, writing(apart) as reject:
            for scores, rejected, _ in scored:
                if strict and len(rejected):
                    row, name, reason = rejected[["row", "id", "reason"]].iloc[0]
                    raise DatasetError(f"{places(table, [row], {row: name})[row]}: {reason}", file, int(row))
                add(scores)
                if len(rejected):
                    reject(rejected)
                counts["scored"] += len(scores)
                counts["rejected"] += len(rejected)
                counts["flagged"] += int((scores["warning"] != "").sum())
            if not counts["scored"] + counts["rejected"]:
                raise DatasetError("there are no antibodies", file)
        if not counts["rejected"]:
            apart.unlink(missing_ok=True)  # of an earlier run
        print(f"{counts['scored']:,} antibodies, {counts['flagged']:,} with a warning, written to {out}")  # noqa: T201
        if counts["rejected"]:
            print(f"{counts['rejected']:,} rows cannot be scored; {apart} lists them with the reasons")  # noqa: T201
