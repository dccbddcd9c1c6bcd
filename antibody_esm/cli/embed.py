"""``antibody-esm embed``: vectors of the sequences in a file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from antibody_esm.choices import DEFAULT_EXTRACTOR, Pooling, Region
from antibody_esm.cli.arguments import check_outputs, check_space
from antibody_esm.cli.errors import reported
from antibody_esm.cli.extractors import language_model_of
from antibody_esm.cli.options import (
    STORE,
    CheckpointFolders,
    Device,
    HeavyColumn,
    IdColumn,
    InputFile,
    LanguageModel,
    LayoutName,
    LightColumn,
    PrecisionName,
    Scheduler,
    SequenceName,
    SheetName,
    StoreFolder,
    Workers,
    output,
    runtime,
    sequence_column,
    table_path,
)
from antibody_esm.cluster import connected
from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    from antibody_esm.specs import ChainSpec, ExtractorSpec

_BYTES_AT_ONCE = 2**27
"""Bytes of vectors in memory, if each sequence has several."""


def embed_command(
    file: InputFile,
    out: Annotated[Path, output("vectors, .parquet, .npz, .safetensors, .h5 or .hdf5.")],
    language_model: LanguageModel = DEFAULT_EXTRACTOR,
    layers: Annotated[
        str, typer.Option(metavar="N", help="Numbers of layers; separate by commas. -1 is the last.")
    ] = "-1",
    pooling: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"Poolings: {', '.join(get_args(Pooling))}; separate by commas."),
    ] = "mean",
    region: Annotated[
        str,
        typer.Option(
            metavar="NAME", help=f"Regions that are pooled: {', '.join(get_args(Region))}; separate by commas."
        ),
    ] = "all",
    prefix: Annotated[str | None, typer.Option(help="Control tokens before the residues, such as '[NLU]'.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Control tokens behind the residues.")] = None,
    sequence: SequenceName = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    checkpoint: CheckpointFolders = None,
    precision: PrecisionName = None,
    store: StoreFolder = STORE,
    device: Device = "auto",
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Write the vectors of the sequences in a file; several layers, poolings and regions need one pass of the model.

    Finished vectors are kept in the store. If a run was stopped, the same command continues it.

    Examples
    --------
    antibody-esm embed input.fasta -o vectors.parquet
    antibody-esm embed pairs.csv --language-model sapiens -o v.npz
    antibody-esm embed in.csv --heavy VH --layers 6,12 --region cdr3 -o v.h5
    """
    kept = f"finished vectors are in {store}; the same command continues from there"
    with reported(kept), connected(scheduler):
        from antibody_esm.cli.vectors import check, writing_vectors
        from antibody_esm.embedding import as_store, embed_views
        from antibody_esm.embedding_streams import blocks, column_of, counted, stream_blocks, survey_file
        from antibody_esm.features.chains import ChainExtractor
        from antibody_esm.plm.extractor import Extractor
        from antibody_esm.specs import ChainSpec

        check(out)
        check_outputs([out], [file], store=store)
        table, source = table_path(file, sheet), sequence_column(id_column, sequence, heavy, light, layout)
        specs = language_model_of(language_model, prefix=prefix, suffix=suffix, precision=precision).views(
            [int(layer) for layer in layers.split(",")], _chosen(pooling, Pooling), _chosen(region, Region)
        )
        names = [_name(spec) for spec in specs]
        around, widths, count = runtime(workers, device, checkpoint), dict[str, int](), 0
        first_spec, opened = specs[0], as_store(store)
        if isinstance(first_spec, ChainSpec):
            extractor: Extractor | ChainExtractor = ChainExtractor(first_spec, around)
        else:
            extractor = Extractor(first_spec, around)
        source = column_of(extractor, source)
        rows, forecast = survey_file(table, extractor, opened, source)
        if not rows:
            raise DatasetError("there are no sequences", file)
        bytes_of_all = 4 * extractor.dim * len(specs)
        check_space({out: rows * bytes_of_all, store: 0 if forecast is None else forecast.bytes * len(specs)})
        computed: Iterator[tuple[list[str], list[str], list[Any]]]
        if len(specs) == 1:  # batch by batch, and shared with other processes
            stream = stream_blocks(table, extractor, opened, source, forecast=forecast)
            computed = ((*block[:2], [block.vectors]) for block in stream)
        else:
            at_once = max(16, _BYTES_AT_ONCE // bytes_of_all)

            def views() -> Iterator[tuple[list[str], list[str], list[Any]]]:
                before = 0
                for ids, sequences in blocks(table, source, at_once):
                    with counted(table, before, ids, source):
                        vectors = embed_views(sequences, specs, opened, around)
                    yield ids, sequences, vectors
                    before += len(ids)

            computed = views()
        first = next(computed)  # before the file is created, since the model may raise an error
        with writing_vectors(out) as add:
            for ids, sequences, vectors in chain([first], computed):
                named = dict(zip(names, vectors, strict=True))
                add(ids, sequences, named)
                count, widths = count + len(ids), {name: rows.shape[1] for name, rows in named.items()}
        shapes = ", ".join(f"{name} {count:,} x {width:,}" for name, width in widths.items())
        print(f"{shapes}, written to {out}")  # noqa: T201


def _chosen(text: str, kind: Any) -> list[Any]:
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in get_args(kind)]
    if unknown:
        raise ValueError(f"unknown {unknown[0]!r}; choose from {', '.join(get_args(kind))}")
    return chosen


def _name(view: "ExtractorSpec | ChainSpec") -> str:
    """Return the name of a view's column or array."""
    from antibody_esm.specs import ChainSpec

    spec = view.heavy if isinstance(view, ChainSpec) else view
    layer = "last" if spec.layer in (None, -1) else f"layer{spec.layer}"
    return "_".join([layer, spec.pooling, *([] if spec.region == "all" else [spec.region])])
