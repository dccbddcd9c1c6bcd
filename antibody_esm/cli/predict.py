"""``antibody-esm predict``: what a saved model says of the antibodies in a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm.cli.told import told
from antibody_esm.errors import DatasetError
from antibody_esm.specs import RuntimeSpec

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def predict_command(
    file: Annotated[Path, typer.Argument(help="FASTA, CSV, TSV or Parquet; .gz, .bz2 and .xz too.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of a saved model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Ends in .csv, .tsv or .parquet.")],
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Probability from which on it is 1.")] = None,
    assay: Annotated[str | None, typer.Option(help="elisa or psr: the threshold of earlier work.")] = None,
    confidence: Annotated[float, typer.Option(help="Of conformal sets and intervals.")] = 0.9,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at bad rows instead of keeping them apart.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Also score sequences in which no antibody chain is recognised.")
    ] = False,
    id_column: Annotated[str | None, typer.Option("--id", help="Column of the ids.")] = None,
    heavy: Annotated[str | None, typer.Option(help="Column of the heavy chains.")] = None,
    light: Annotated[str | None, typer.Option(help="Column of the light chains.")] = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder where vectors are kept, and looked up.")] = Path(
        "embeddings"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Class, probability, how sure, and how far from the training antibodies: what a model says of those in a file.

    Rows that cannot be scored are written, with the reason, to a second file beside OUT.
    """
    with told(f"what is embedded is in {store}, and the same command goes on there"):
        from antibody_esm.data.files import places
        from antibody_esm.predictor import Predictor
        from antibody_esm.scoring import Columns, score_file

        if out.suffix not in (*_SEPARATORS, ".parquet"):
            raise ValueError(f"{out}: the name of a file of scores ends in .csv, .tsv or .parquet")
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
        apart = out.with_name(f"{out.stem}.rejected{out.suffix}")
        apart.unlink(missing_ok=True)  # of an earlier run
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
        print(f"{counts['scored']:,} antibodies, {counts['flagged']:,} with a warning, written to {out}")  # noqa: T201
        if counts["rejected"]:
            print(f"{counts['rejected']:,} rows cannot be scored; they and the reasons are in {apart}")  # noqa: T201


@contextmanager
def _writing(path: Path) -> "Iterator[Callable[[pd.DataFrame], None]]":
    """Take rows some at a time; the file appears when all is written, if there were any."""
    from antibody_esm.store.exchange import appearing_whole

    written: list[Any] = []
    with appearing_whole(path) as unfinished:
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            def add(table: "pd.DataFrame") -> None:
                rows = pa.Table.from_pandas(table, preserve_index=False)
                if not written:
                    written.append(pq.ParquetWriter(unfinished, rows.schema, compression="zstd"))
                written[0].write_table(rows)

            yield add
            for writer in written:
                writer.close()
        else:

            def add(table: "pd.DataFrame") -> None:
                table.to_csv(unfinished, sep=_SEPARATORS[path.suffix], index=False, mode="a", header=not written)
                written.append(True)

            yield add
        if not written:
            unfinished.touch()
    if not written:
        path.unlink()
