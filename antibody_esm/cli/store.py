"""``antibody-esm store``: look at a store, check it, clean it, and move its rows."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antibody_esm.cli.arguments import check_outputs
from antibody_esm.cli.errors import complain, reported
from antibody_esm.errors import CheckpointError

if TYPE_CHECKING:
    from antibody_esm.specs import ExtractorSpec, ResolvedExtractorSpec
    from antibody_esm.store.store import EmbeddingStore

_HELP = """Look at a store of embeddings, check and clean it.

\b
A SPEC is one of
  the first digits of its fingerprint, as stats prints them
  overrides as of antibody-train: "model=esm2_8m extractor.pooling=max"
"""

app = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode=None)

StoreOption = Annotated[Path, typer.Option("--store", "-s", help="Folder of the store.")]
_DEFAULT = Path("embeddings")


@app.command()
def stats(store: StoreOption = _DEFAULT) -> None:
    """Rows, disk and age of each spec. No row is read."""
    with reported():
        print(_existing(store).stats())  # noqa: T201


@app.command()
def verify(
    store: StoreOption = _DEFAULT,
    recompute: Annotated[int, typer.Option(min=0, help="Rows of each spec to compute again with its model.")] = 0,
) -> None:
    """Compare every row with its checksum.

    With --recompute, some are compared with what their model computes today too. Ends with 1 if any row is damaged.
    """
    with reported():
        opened = _existing(store)
        extractors = []
        if recompute:
            from antibody_esm.plm.extractor import Extractor
            from antibody_esm.specs import ExtractorSpec
            from antibody_esm.store.inspection import stored

            for _, named in stored(store):
                if isinstance(named, ExtractorSpec):
                    try:
                        extractors.append(Extractor(named))
                        extractors[-1].checkpoint  # noqa: B018  found now, or not at all
                    except CheckpointError as error:
                        extractors.pop()
                        complain(f"warning: none of its rows is computed again: {error}")
        found = opened.verify(extractors, sample=recompute)
        print(found)  # noqa: T201
    if not found.sound:
        raise typer.Exit(1)


@app.command()
def explain(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="What is asked for.")],
    other: Annotated[
        str | None,
        typer.Argument(metavar="OTHER", help="What it is compared with; the nearest in the store if absent."),
    ] = None,
    store: StoreOption = _DEFAULT,
) -> None:
    """Say why two specs have different rows, or one has none."""
    with reported():
        from antibody_esm.store.store import EmbeddingStore

        one, two = _spec(store, spec), None if other is None else _spec(store, other)
        lines = EmbeddingStore(store).explain(one, two)
        if two is None and EmbeddingStore(store).count(one):
            lines = [f"{EmbeddingStore(store).count(one):,} rows of it are here"]
        print("\n".join(lines) or ("no difference" if two is not None else "the store is empty"))  # noqa: T201


@app.command()
def gc(
    store: StoreOption = _DEFAULT,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="Keep this spec and remove others; may be repeated.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Remove specs to which nothing was added for so long.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Do it. Without this, only say what would go.")] = False,
) -> None:
    """Remove leftovers of crashes, and specs nobody wants."""
    with reported():
        kept = None if not keep else [_spec(store, text) for text in keep]
        age = None if older_than is None else timedelta(days=min(older_than, 1e6))
        print(_existing(store).gc(keep=kept, older_than=age, dry_run=not delete))  # noqa: T201
        if not delete:
            print("nothing was removed; --delete does it")  # noqa: T201


@app.command()
def merge(
    other: Annotated[Path, typer.Argument(help="Folder of the store whose rows are added; it is only read.")],
    store: StoreOption = _DEFAULT,
) -> None:
    """Add the sound rows of another store that are absent here."""
    with reported():
        from antibody_esm.store.inspection import summary
        from antibody_esm.store.store import EmbeddingStore

        for spec, count in EmbeddingStore(store).merge(other).items():
            print(f"{count:>12,} rows added: {summary(spec)}")  # noqa: T201


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Ends in .parquet or .safetensors.")],
    spec: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Whose rows; needed where the store has several.")
    ] = None,
    store: StoreOption = _DEFAULT,
) -> None:
    """Write the rows of one spec to one file."""
    with reported():
        check_outputs([file], store=store)
        count = _existing(store).export(file, None if spec is None else _spec(store, spec))
        print(f"{count:,} rows written to {file}")  # noqa: T201


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="What export wrote.")], store: StoreOption = _DEFAULT) -> None:
    """Add the rows of a file that export wrote."""
    with reported():
        from antibody_esm.store.inspection import summary
        from antibody_esm.store.store import EmbeddingStore

        spec, count = EmbeddingStore(store).import_file(file)
        print(f"{count:>12,} rows added: {summary(spec)}")  # noqa: T201


def _existing(store: Path) -> "EmbeddingStore":
    from antibody_esm.store.store import EmbeddingStore

    if not store.is_dir():
        raise typer.BadParameter(f"{store} is no folder", param_hint="--store")
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
