"""``antibody-esm data``: number sequences, and audit data sets."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm.choices import Engines, Scheme
from antibody_esm.cli.arguments import check_outputs
from antibody_esm.cli.errors import complain, reported
from antibody_esm.cli.options import (
    ChainChoice,
    GroupsColumn,
    HeavyColumn,
    IdColumn,
    InputFile,
    LabelColumn,
    LayoutName,
    LightColumn,
    Scheduler,
    SchemeName,
    SequenceName,
    SheetName,
    SpeciesNames,
    columns_of,
    output,
    sequence_column,
    table_path,
)
from antibody_esm.cli.program import Program
from antibody_esm.cluster import connected
from antibody_esm.errors import DatasetError, SequenceError, fault, listed, place
from antibody_esm.files import csv_text, replacing, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from antibody_esm.data.audit import Audit
    from antibody_esm.data.dataset import Dataset
    from antibody_esm.numbering import Domain

app = Program("Number sequences, and audit data sets.", "data", complete=False)

_OF_A_DOMAIN = ["chain", "species", "v_gene", "v_identity", "j_gene", "j_identity", "start", "end", "score", "engine"]
_AT_ONCE = 512
_OF_A_CLUSTER = 2**15


@app.command("number", renamed={"--out": "--output", "--column": "--sequence"})
def number_command(
    file: InputFile,
    out: Annotated[Path, output("a CSV file with one row per variable domain.")],
    sequence: SequenceName = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    species: SpeciesNames = None,
    scheme: SchemeName = "imgt",
    engines: Annotated[
        Engines,
        typer.Option(help="Numbering programs: immunum and, in doubt, anarcism; both on every chain; anarcism alone."),
    ] = "auto",
    scheduler: Scheduler = None,
) -> None:
    """Write the regions, positions, germline genes and chain type of every sequence, by IMGT or another scheme.

    A sequence that cannot be numbered has a row with the reason, and the other sequences are numbered. Rows are
    counted from 0; messages name the line of the file instead.

    Examples
    --------
    antibody-esm data number chains.fasta -o numbered.csv
    antibody-esm data number pairs.xlsx --light VL --scheme kabat -o light.csv
    """
    with reported("numbered sequences are cached; the same command continues from there"), connected(scheduler):
        check_outputs([out], [file])
        from tqdm import tqdm

        from antibody_esm.data.files import lines_of, read_frames
        from antibody_esm.data.layouts import layout_of
        from antibody_esm.data.tables import advised, read_sequences
        from antibody_esm.numbering import REGIONS, SPECIES, number

        path = table_path(file, sheet)
        rows = list(read_sequences(path, sequence_column(id_column, sequence, heavy, light, layout), cut=False))
        if not rows:
            raise DatasetError("there are no sequences", file)
        number([], species=tuple(species or SPECIES))  # unknown species raise an error before any output
        bad = 0
        sample, line_of = next(read_frames(path)), dict[int, int]()
        stops = layout_of(sample.columns, layout).transcripts
        with (
            replacing(out) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as lines,
            tqdm(total=len(rows), unit="seq", delay=1, disable=None) as bar,
        ):
            regions = [region.lower() for region in REGIONS]
            more = ["scheme", *regions, "sequence", "positions", "problems", "remarks"]
            table = csv.DictWriter(lines, ["id", "row", "domain", *_OF_A_DOMAIN, *more])
            table.writeheader()
            for part in _parts(enumerate(rows), _AT_ONCE if scheduler is None else _OF_A_CLUSTER):
                for row, (name, _), domains, reason in _numbered(part, tuple(species or SPECIES), engines, stops=stops):
                    if reason:
                        problem = advised(reason, sample, sequence or heavy or light)
                        line_of = line_of or lines_of(path, range(len(rows)))  # once, at the first of them
                        complain(f"{place(row, name, line_of.get(row))}: {problem}")
                        bad += 1
                        table.writerow({"id": name, "row": row, "problems": problem})
                    for i, domain in enumerate(domains):
                        table.writerow({"id": name, "row": row, "domain": i + 1, **_described(domain, scheme)})
                bar.update(len(part))
        print(f"{len(rows) - bad:,} of {len(rows):,} sequences numbered, written to {out}")  # noqa: T201
        if bad == len(rows):
            raise typer.Exit(1)


@app.command("audit", renamed={"--out": "--output", "--identity": "--duplicate-identity"})
def audit(
    file: Annotated[
        str, typer.Argument(help="A table or FASTA, with labels or without, or the name of a public data set.")
    ],
    against: Annotated[str | None, typer.Option(help="A test set, to compute its overlap.")] = None,
    id_column: IdColumn = None,
    heavy: HeavyColumn = None,
    light: LightColumn = None,
    label: LabelColumn = None,
    groups: GroupsColumn = None,
    layout: LayoutName = None,
    sheet: SheetName = None,
    chain: ChainChoice = None,
    against_columns: Annotated[
        str | None,
        typer.Option(
            help="Columns of AGAINST where they differ: id=..., heavy=..., light=..., label=..., groups=..., "
            "layout=..., sheet=...; separate by commas."
        ),
    ] = None,
    duplicate_identity: Annotated[
        list[float] | None, typer.Option(min=0.5, max=1, help="Identity of near-duplicates; may be repeated.")
    ] = None,
    numbering: Annotated[
        bool,
        typer.Option(
            "--numbering/--no-numbering",
            help="Number the chains, to detect truncated and swapped chains.",
            rich_help_panel="Numbering",
        ),
    ] = True,
    out: Annotated[Path | None, output("a CSV file of all findings with their rows.")] = None,
) -> None:
    """Print duplicates, contradictory labels, overlap with a test set, and other problems of a data set.

    Columns that are not named are recognised in each file by itself; those that are named apply to both files, unless
    --against-columns names others.

    Without --chain, every chain of the table is checked, and duplicates and overlap are those of the heavy chains, or
    of the light chains if the table has no others. Rows without a label are counted, and checks of labels leave them
    out.

    Examples
    --------
    antibody-esm data audit train.csv --against test.csv
    antibody-esm data audit a.csv --against b.csv --against-columns heavy=VH
    """
    with reported():
        check_outputs([out], [file, against])
        columns: dict[str, Any] = {"id": id_column, "heavy": heavy, "light": light, "label": label, "groups": groups}
        columns |= {"layout": layout, "sheet": sheet, "chain": chain}
        others = columns | columns_of(against_columns)
        data, labels = _read(file, columns)
        other = None if against is None else _read(against, others)[0]
        result = data.audit(
            other,
            identities=tuple(duplicate_identity or (0.95, 0.9, 0.8)),
            numbering=numbering,
            label=labels,
            every_chain=chain is None,
        )
        print("\n".join([str(result), *_rows_of(result, data)]))  # noqa: T201
        if out is not None:
            frame = result.to_frame()
            frame["rows"] = [" ".join(map(str, rows)) for rows in frame["rows"]]
            write(out, csv_text(frame).encode())


def _rows_of(result: "Audit", data: "Dataset") -> list[str]:
    """Return the ids of the first rows of each serious finding, in lines of 80 columns."""
    lines = []
    for finding in result.serious:
        if finding.rows:
            text = f"{finding.check}: {listed([data.ids[row] for row in finding.rows], len(finding.rows))}"
            lines += wrap(text, 80, subsequent_indent="  ")
    return lines


def _read(source: str, columns: dict[str, Any]) -> "tuple[Dataset, NDArray[np.float64] | None]":
    """Return a public data set, or that of a file, and its labels: in an audit, any of them may be missing."""
    from antibody_esm.data.labelled_tables import read_with_gaps
    from antibody_esm.data.public import PUBLIC, load_dataset

    if source in PUBLIC or not Path(source).suffix:
        return load_dataset(source, **columns), None
    named = {name: column for name, column in columns.items() if name != "sheet"}
    read = read_with_gaps(table_path(Path(source), columns["sheet"]), **named, labelled=False, drop=True, audited=True)
    return read.data, read.label


def _parts(rows: Any, at_once: int) -> Iterator[list[tuple[int, tuple[str, Any]]]]:
    rows = iter(rows)
    while part := list(islice(rows, at_once)):
        yield part


def _numbered(
    part: list[tuple[int, tuple[str, Any]]], species: tuple[str, ...], engines: Engines, *, stops: bool
) -> "Iterator[tuple[int, tuple[str, Any], tuple[Domain, ...], str]]":
    """Yield the row, name with sequence, domains, and the reason if there is no domain.

    With `stops`, sequences are translated transcripts, whose parts between stop codons are numbered by themselves.
    """
    from antibody_esm.numbering import LONGEST, number
    from antibody_esm.sequences import normalise

    problems: dict[int, str] = {}
    try:
        normalise(text.replace("*", "X") if stops and isinstance(text, str) else text for _, (_, text) in part)
    except SequenceError as error:
        for residue, reason in zip(error.rows, error.reasons, strict=True):
            problems.setdefault(residue.index, fault("", residue, reason).lstrip(",: "))
    good = [i for i in range(len(part)) if i not in problems]
    pieces = [(i, start, piece) for i in good for start, piece in _pieces(part[i][1][1], stops=stops)]
    domains: dict[int, tuple[Domain, ...]] = {}
    every = number([piece for *_, piece in pieces], species=species, engines=engines)
    for (i, start, _), numbered in zip(pieces, every, strict=True):
        domains[i] = domains.get(i, ()) + tuple(replace(domain, start=domain.start + start) for domain in numbered)
    for i, (row, named) in enumerate(part):
        numbered = domains.get(i, ())
        none = "too long to be an antibody" if len(str(named[1])) > LONGEST else "no variable domain of an antibody"
        yield row, named, numbered, "" if numbered else problems.get(i, none)


def _pieces(text: str, *, stops: bool) -> Iterator[tuple[int, str]]:
    """Yield the parts of a sequence that are numbered, each with its first index."""
    start = 0
    for piece in text.split("*") if stops else [text]:
        if piece:
            yield start, piece
        start += len(piece) + 1


def _described(domain: "Domain", scheme: Scheme) -> dict[str, Any]:
    from antibody_esm.numbering import REGIONS, in_scheme
    from antibody_esm.unknown import Unknown

    numbered = domain if scheme == "imgt" else in_scheme(domain, scheme)
    problems = list(domain.problems)
    if isinstance(numbered.positions, Unknown):
        problems.append(f"no {scheme} positions: {numbered.positions}")
    return {
        **{name: getattr(domain, name) for name in _OF_A_DOMAIN},
        "scheme": scheme,
        **{region.lower(): numbered.region(region) for region in REGIONS},
        "sequence": domain.residues,
        "positions": "" if isinstance(numbered.positions, Unknown) else " ".join(numbered.positions),
        "problems": "; ".join(problems),
        "remarks": "; ".join(domain.remarks),
    }
