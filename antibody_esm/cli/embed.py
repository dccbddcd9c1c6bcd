"""``antibody-esm embed``: vectors of the sequences in a file."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from antibody_esm import presets
from antibody_esm.cli.told import told
from antibody_esm.data.tables import read_sequences
from antibody_esm.errors import DatasetError
from antibody_esm.specs import ExtractorSpec, Pooling, Region, RuntimeSpec


def embed_command(
    file: Annotated[Path, typer.Argument(help="FASTA, CSV, TSV or Parquet; .gz, .bz2 and .xz too.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Ends in .parquet, .npz, .safetensors, .h5 or .hdf5.")],
    model: Annotated[
        str, typer.Option(help="A preset's name, a folder, or a model's name.")
    ] = presets.DEFAULT_EXTRACTOR,
    layers: Annotated[str, typer.Option(help="Layers by number, -1 the last; several with commas.")] = "-1",
    pooling: Annotated[str, typer.Option(help=f"Of {', '.join(get_args(Pooling))}; several with commas.")] = "mean",
    region: Annotated[str, typer.Option(help=f"Of {', '.join(get_args(Region))}; several with commas.")] = "all",
    column: Annotated[str | None, typer.Option(help="Column of the sequences in a table.")] = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder where vectors are kept, and looked up.")] = Path(
        "embeddings"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
) -> None:
    """Vectors of the sequences in a file, several of each from one pass of the model.

    What is finished is kept in the store: the same command goes on where it was stopped, and computes nothing twice.
    """
    with told():
        from antibody_esm.cli.vectors import check, write_vectors
        from antibody_esm.embedding import embed, embed_views

        check(out)
        specs = _spec(model).views(
            [int(one) for one in layers.split(",")], _chosen(pooling, Pooling), _chosen(region, Region)
        )
        rows = list(read_sequences(file, column))
        if not rows:
            raise DatasetError("there are no sequences", file)
        ids, sequences = [one for one, _ in rows], [sequence for _, sequence in rows]
        runtime = RuntimeSpec(workers=workers)
        if len(specs) == 1:  # batch by batch, and shared with whoever computes the same
            vectors = [embed(sequences, specs[0], store, runtime)]
        else:
            vectors = embed_views(sequences, specs, store, runtime)
        named = {_name(spec): rows for spec, rows in zip(specs, vectors, strict=True)}
        write_vectors(out, ids, [sequence.strip().upper() for sequence in sequences], named)
        shapes = ", ".join(f"{name} {rows.shape[0]:,} x {rows.shape[1]:,}" for name, rows in named.items())
        print(f"{shapes}, written to {out}")  # noqa: T201


def _spec(model: str) -> ExtractorSpec:
    known = model in presets.EXTRACTORS or Path(model).is_dir() or "/" not in model
    return presets.one_model(model) if known else ExtractorSpec(model=model)


def _chosen(text: str, kind: Any) -> list[Any]:
    chosen = text.split(",")
    unknown = [one for one in chosen if one not in get_args(kind)]
    if unknown:
        raise ValueError(f"unknown {unknown[0]!r}; choose of {', '.join(get_args(kind))}")
    return chosen


def _name(spec: ExtractorSpec) -> str:
    """Return the name of a view's column or array."""
    layer = "last" if spec.layer in (None, -1) else f"layer{spec.layer}"
    return "_".join([layer, spec.pooling, *([] if spec.region == "all" else [spec.region])])
