"""``antibody-esm embed``: vectors of the sequences in a file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from antibody_esm.choices import DEFAULT_EXTRACTOR, Pooling, Region
from antibody_esm.cli.arguments import check_outputs, check_space
from antibody_esm.cli.errors import reported
from antibody_esm.cli.options import IdColumn, LayoutName, Scheduler, SheetName, table_path
from antibody_esm.cluster import connected
from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    from antibody_esm.specs import ChainSpec, ExtractorSpec

_BYTES_AT_ONCE = 2**27
"""Bytes of vectors in memory, if each sequence has several."""


def embed_command(
    file: Annotated[Path, typer.Argument(help="FASTA, CSV, TSV, Excel or Parquet; .gz, .bz2 and .xz too.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output: .parquet, .npz, .safetensors, .h5 or .hdf5.")],
    model: Annotated[str, typer.Option(help="Name of a preset, folder, or name of a model.")] = DEFAULT_EXTRACTOR,
    layers: Annotated[str, typer.Option(help="Numbers of layers, -1 is the last; separate by commas.")] = "-1",
    pooling: Annotated[str, typer.Option(help=f"{', '.join(get_args(Pooling))}; separate by commas.")] = "mean",
    region: Annotated[str, typer.Option(help=f"{', '.join(get_args(Region))}; separate by commas.")] = "all",
    prefix: Annotated[str | None, typer.Option(help="Control tokens before the residues, such as '[NLU]'.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Control tokens behind the residues.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of the sequences in a table.")] = None,
    id_column: IdColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    store: Annotated[Path, typer.Option("--store", "-s", help="Folder of the embedding store.")] = Path("embeddings"),
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one per core if absent.")] = None,
    scheduler: Scheduler = None,
) -> None:
    """Write the vectors of the sequences in a file; several layers, poolings and regions need one pass of the model.

    Finished vectors are kept in the store. If a run was stopped, the same command continues it.
    """
    kept = f"finished vectors are in {store}; the same command continues from there"
    with reported(kept), connected(scheduler):
        from antibody_esm.cli.vectors import check, writing_vectors
        from antibody_esm.data.tables import SequenceColumn
        from antibody_esm.embedding import as_store, embed_views
        from antibody_esm.embedding_streams import blocks, column_of, counted, stream_blocks, survey_file
        from antibody_esm.features.chains import ChainExtractor
        from antibody_esm.plm.extractor import Extractor
        from antibody_esm.specs import ChainSpec, RuntimeSpec

        check(out)
        check_outputs([out], [file], store=store)
        table, source = table_path(file, sheet), SequenceColumn(column, id_column, layout)
        specs = _spec(model, prefix=prefix, suffix=suffix).views(
            [int(layer) for layer in layers.split(",")], _chosen(pooling, Pooling), _chosen(region, Region)
        )
        names = [_name(spec) for spec in specs]
        runtime, widths, count = RuntimeSpec(workers=workers), {}, 0
        first_spec, opened = specs[0], as_store(store)
        if isinstance(first_spec, ChainSpec):
            extractor: Extractor | ChainExtractor = ChainExtractor(first_spec, runtime)
        else:
            extractor = Extractor(first_spec, runtime)
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
                        vectors = embed_views(sequences, specs, opened, runtime)
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


def _spec(model: str, **controls: str | None) -> "ExtractorSpec | ChainSpec":
    from antibody_esm import presets
    from antibody_esm.specs import ChainSpec, ExtractorSpec

    chains = presets.EXTRACTORS.get(model)
    controlled = {name: text for name, text in controls.items() if text is not None}
    if isinstance(chains, ChainSpec):
        return chains.with_fields(controlled)

    named = model in presets.EXTRACTORS or Path(model).is_dir() or "/" not in model
    spec = presets.one_model(model) if named else ExtractorSpec(model=model)
    return ExtractorSpec.model_validate({**dict(spec), **controlled})


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
