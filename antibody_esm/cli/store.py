"""``antibody-esm store``: show, verify and clean a store, and move its rows."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antibody_esm.cli.arguments import check_outputs
from antibody_esm.cli.errors import complain, reported
from antibody_esm.cli.options import STORE, CheckpointFolders, StoreFolder
from antibody_esm.cli.program import Program
from antibody_esm.errors import CheckpointError

if TYPE_CHECKING:
    from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
    from antibody_esm.store.store import EmbeddingStore

_HELP = """Show, verify and clean a store of embeddings.

\b
A SPEC is one of
  the first digits of its fingerprint, as printed by stats
  overrides of antibody-train: "model=esm2_8m extractor.pooling=max"
"""

app = Program(_HELP, complete=False)


@app.command()
def stats(store: StoreFolder = STORE) -> None:
    """Print rows, disk space and age of each spec. No row is read.

    Examples
    --------
    antibody-esm store stats --store embeddings
    """
    with reported():
        print(_existing(store).stats())  # noqa: T201


@app.command()
def verify(
    store: StoreFolder = STORE,
    recompute: Annotated[int, typer.Option(min=0, help="Rows of each spec to compute again with its model.")] = 0,
    checkpoint: CheckpointFolders = None,
) -> None:
    """Compare every row with its checksum.

    With --recompute, a sample of rows is also computed again and compared. Exits with 1 if any row is damaged.

    Examples
    --------
    antibody-esm store verify
    antibody-esm store verify --recompute 20 --checkpoint weights/
    """
    with reported():
        opened = _existing(store)
        extractors = []
        if recompute:
            from antibody_esm.plm.extractor import Extractor
            from antibody_esm.specs import ExtractorSpec, RuntimeSpec
            from antibody_esm.store.inspection import stored

            runtime = RuntimeSpec(checkpoints=tuple(map(str, checkpoint or ())))

            for _, named in stored(store):
                if isinstance(named, ExtractorSpec):
                    try:
                        extractors.append(Extractor(named, runtime))
                        extractors[-1].checkpoint  # noqa: B018  raises the error now
                    except CheckpointError as error:
                        extractors.pop()
                        complain(f"warning: rows of {named!r} are not computed again: {error}")
        result = opened.verify(extractors, sample=recompute)
        print(result)  # noqa: T201
    if not result.sound:
        raise typer.Exit(1)


@app.command()
def explain(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Requested spec.")],
    other: Annotated[
        str | None,
        typer.Argument(metavar="OTHER", help="Spec to compare with; the most similar in the store if absent."),
    ] = None,
    store: StoreFolder = STORE,
) -> None:
    """Print why two specs have different rows, or why a spec has none.

    Examples
    --------
    antibody-esm store explain "model=esm2_8m extractor.pooling=max"
    """
    with reported():
        from antibody_esm.store.store import EmbeddingStore

        first, second = _spec(store, spec), None if other is None else _spec(store, other)
        lines = EmbeddingStore(store).explain(first, second)
        if second is None and EmbeddingStore(store).count(first):
            lines = [f"the store has {EmbeddingStore(store).count(first):,} rows of this spec"]
        print("\n".join(lines) or ("no difference" if second is not None else "the store is empty"))  # noqa: T201


@app.command()
def gc(
    store: StoreFolder = STORE,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="Keep this spec and remove others; may be repeated.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Remove specs without new rows for this many days.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove. Without this, only print what would be removed.")
    ] = False,
) -> None:
    """Remove leftovers of crashes, and unwanted specs.

    Examples
    --------
    antibody-esm store gc --older-than 90
    antibody-esm store gc --keep 3f2a --delete
    """
    with reported():
        kept = None if not keep else [_spec(store, text) for text in keep]
        age = None if older_than is None else timedelta(days=min(older_than, 1e6))
        print(_existing(store).gc(keep=kept, older_than=age, dry_run=not delete))  # noqa: T201
        if not delete:
            print("nothing was removed; add --delete to remove")  # noqa: T201


@app.command()
def merge(
    other: Annotated[Path, typer.Argument(help="Folder of the store whose rows are added; it is only read.")],
    store: StoreFolder = STORE,
) -> None:
    """Add the undamaged rows of another store that this store lacks.

    Examples
    --------
    antibody-esm store merge other_embeddings/
    """
    with reported():
        from antibody_esm.store.inspection import summary
        from antibody_esm.store.store import EmbeddingStore

        for spec, count in EmbeddingStore(store).merge(other).items():
            print(f"{count:>12,} rows added: {summary(spec)}")  # noqa: T201


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Output file: .parquet or .safetensors.")],
    spec: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Spec of the rows; required if the store has several.")
    ] = None,
    store: StoreFolder = STORE,
) -> None:
    """Write the rows of one spec to one file.

    Examples
    --------
    antibody-esm store export rows.parquet --spec 3f2a
    """
    with reported():
        check_outputs([file], store=store)
        count = _existing(store).export(file, None if spec is None else _spec(store, spec))
        print(f"{count:,} rows written to {file}")  # noqa: T201


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="File written by export.")], store: StoreFolder = STORE) -> None:
    """Add the rows of a file written by export.

    Examples
    --------
    antibody-esm store import rows.parquet
    """
    with reported():
        from antibody_esm.store.inspection import summary
        from antibody_esm.store.store import EmbeddingStore

        spec, count = EmbeddingStore(store).import_file(file)
        print(f"{count:>12,} rows added: {summary(spec)}")  # noqa: T201


def _existing(store: Path) -> "EmbeddingStore":
    from antibody_esm.store.store import EmbeddingStore

    if not store.is_dir():
        raise typer.BadParameter(f"{store} is not a folder", param_hint="--store")
    return EmbeddingStore(store)


def _spec(store: Path, text: str) -> "ExtractorSpec | ResolvedExtractorSpec":
    from antibody_esm.store.inspection import stored

    if "=" in text:
        from antibody_esm.presets import one_model
        from antibody_esm.specs import TrainSpec

        return one_model(TrainSpec.compose(text.split()).extractor)
    named = [named for folder, named in stored(store) if folder.spec.fingerprint.startswith(text)]
    if len(named) != 1 or not text:
        raise typer.BadParameter(f"{len(named)} specs in {store} have a fingerprint that begins with {text!r}")
    return named[0]
