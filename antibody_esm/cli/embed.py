"""``antibody-esm embed``: vectors of the sequences in a file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from antibody_esm import presets
from antibody_esm.cli.told import told
from antibody_esm.errors import DatasetError
from antibody_esm.specs import ExtractorSpec, Pooling, Region, RuntimeSpec

_BYTES_AT_ONCE = 2**27
"""Vectors that are held in memory together, where there are several of each sequence."""


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
    with told(f"what is finished is in {store}, and the same command goes on there"):
        from antibody_esm.cli.vectors import check, writing_vectors
        from antibody_esm.embedding import blocks, counted, embed_stream, embed_views, survey
        from antibody_esm.plm.extractor import Extractor

        check(out)
        specs = _spec(model).views(
            [int(one) for one in layers.split(",")], _chosen(pooling, Pooling), _chosen(region, Region)
        )
        runtime, widths, count = RuntimeSpec(workers=workers), {}, 0
        if len(specs) == 1:  # batch by batch, and shared with whoever computes the same
            stream = embed_stream(file, specs[0], store, runtime, column=column)
            found: Iterator[tuple[list[str], list[str], list[Any]]] = ((*one[:2], [one.vectors]) for one in stream)
        else:
            survey(file, column, Extractor(specs[0]).longest)
            size = max(16, _BYTES_AT_ONCE // (4 * Extractor(specs[0]).dim * len(specs)))

            def views() -> Iterator[tuple[list[str], list[str], list[Any]]]:
                before = 0
                for ids, sequences in blocks(file, column, size):
                    with counted(file, before, ids, column):
                        vectors = embed_views(sequences, specs, store, runtime)
                    yield ids, sequences, vectors
                    before += len(ids)

            found = views()
        first = next(found, None)
        if first is None:
            raise DatasetError("there are no sequences", file)
        with writing_vectors(out) as add:
            for ids, sequences, vectors in chain([first], found):
                named = {_name(spec): rows for spec, rows in zip(specs, vectors, strict=True)}
                add(ids, sequences, named)
                count, widths = count + len(ids), {name: rows.shape[1] for name, rows in named.items()}
        shapes = ", ".join(f"{name} {count:,} x {width:,}" for name, width in widths.items())
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
