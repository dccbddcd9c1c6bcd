"""``antibody-esm predict``: predictions of a saved model for the antibodies in a file."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm.cli.arguments import check_outputs, check_suffix, check_table
from antibody_esm.cli.errors import reported
from antibody_esm.errors import DatasetError
from antibody_esm.files import csv_text

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def predict_command(
    file: Annotated[Path, typer.Argument(help="FASTA, CSV, TSV or Parquet; .gz, .bz2 and .xz too.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output table: .csv, .tsv or .parquet.")],
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Lowest probability of class 1.")] = None,
    assay: Annotated[str | None, typer.Option(help="elisa or psr: threshold of earlier work.")] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of conformal sets and intervals.")] = 0.9,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first row that cannot be scored.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Also score sequences without a recognised antibody chain.")
    ] = False,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of the ids.")] = None,
    heavy: Annotated[str | None, typer.Option(help="Column of the heavy chains.")] = None,
    light: Annotated[str | None, typer.Option(help="Column of the light chains.")] = None,
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
        from antibody_esm.score_tables import Columns, score_file
        from antibody_esm.specs import RuntimeSpec

        check_suffix(out, *_SEPARATORS, ".parquet")
        apart = out.with_name(f"{out.stem}.rejected{out.suffix}")
        check_outputs([out, apart], [file], model=model, store=store)
        reading = saved_reading(model) or Predictor.load(model).reading
        check_table(file, reading, id_column, heavy, light)
        predictor = Predictor.load(model, store=store, runtime=RuntimeSpec(workers=workers))
        scored = score_file(
            file,
            predictor,
            Columns(id_column, heavy, light),
            threshold=threshold,
            assay=assay,
            confidence=confidence,
            check=False if no_check else None,
        )
        counts = {"scored": 0, "rejected": 0, "flagged": 0}
        with _writing(out) as add, _writing(apart) as reject:
            for table, rejected, _ in scored:
                if strict and len(rejected):
                    row, name, reason = rejected[["row", "id", "reason"]].iloc[0]
                    raise DatasetError(f"{places(file, [row], {row: name})[row]}: {reason}", file, int(row))
                add(table)
                if len(rejected):
                    reject(rejected)
                counts["scored"] += len(table)
                counts["rejected"] += len(rejected)
                counts["flagged"] += int((table["warning"] != "").sum())
            if not counts["scored"] + counts["rejected"]:
                raise DatasetError("there are no antibodies", file)
        if not counts["rejected"]:
            apart.unlink(missing_ok=True)  # of an earlier run
        print(f"{counts['scored']:,} antibodies, {counts['flagged']:,} with a warning, written to {out}")  # noqa: T201
        if counts["rejected"]:
            print(f"{counts['rejected']:,} rows cannot be scored; {apart} lists them with the reasons")  # noqa: T201


@contextmanager
def _writing(path: Path) -> "Iterator[Callable[[pd.DataFrame], None]]":
    """Yield a function that adds rows to a file; the file appears when all rows are written, if there are any."""
    from antibody_esm.files import replacing

    with ExitStack() as stack:
        write: Any = None

        def add(table: "pd.DataFrame") -> None:
            nonlocal write
            if write is None:
                unfinished = stack.enter_context(replacing(path))
                write = stack.enter_context((_parquet if path.suffix == ".parquet" else _text)(unfinished, path.suffix))
            write(table)

        yield add


@contextmanager
def _parquet(path: Path, suffix: str) -> "Iterator[Callable[[pd.DataFrame], None]]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def write(table: "pd.DataFrame") -> None:
        nonlocal writer
        rows = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, rows.schema, compression="zstd")
        writer.write_table(rows)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def _text(path: Path, suffix: str) -> "Iterator[Callable[[pd.DataFrame], None]]":
    with path.open("w", encoding="utf-8", newline="") as file:

        def write(table: "pd.DataFrame") -> None:
            file.write(csv_text(table, separator=_SEPARATORS[suffix], header=file.tell() == 0))

        yield write
