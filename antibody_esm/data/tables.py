"""A table in a file or a DataFrame becomes a Dataset."""

import bz2
import csv
import gzip
import hashlib
import io
import lzma
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antibody_esm.data.dataset import Chain, Dataset, Provenance
from antibody_esm.errors import DatasetError, SequenceError
from antibody_esm.sequences import BETWEEN, normalise

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_FASTA = (".fasta", ".fa", ".faa", ".fas")
_COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
_OPENED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError, zlib.error, lzma.LZMAError)
_ROWS_AT_ONCE = 2**16
_SHOWN = 10
_MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "<na>"})


def read_dataset(
    source: "str | Path | pd.DataFrame",
    *,
    id: str | None = None,  # noqa: A002  the name of the column, as in the data set
    heavy: str | None = None,
    light: str | None = None,
    label: str | None = None,
    groups: str | None = None,
    chain: Chain | None = None,
    labels: "str | Path | pd.DataFrame | Mapping[str, float] | None" = None,
    required: bool = True,
) -> Dataset:
    """Read labelled antibodies; see `antibody_esm.load_dataset` for the parameters.

    Every antibody must have the chain that is embedded, unless that is not `required`.
    """
    import pandas as pd

    path = None if isinstance(source, pd.DataFrame) else _expanded(source)
    if path is not None and _suffix(path) in _FASTA:
        frame = pd.concat([pd.DataFrame(columns=["id", "sequence"]), *read_frames(path)], ignore_index=True)
        if labels is None:
            raise DatasetError("a FASTA file has no labels; give labels=, a table or a mapping from id to label", path)
        frame["label"] = _labels_of(frame["id"], labels, id or "id", label or "label", path)
        both = frame.rename(columns={"sequence": "heavy"}).assign(light=frame["sequence"])
        frame = both if chain in ("both", "paired") else frame.rename(columns={"sequence": chain or "heavy"})
        id = label = None  # noqa: A001  now the frame's own
    else:
        if labels is not None:
            raise DatasetError("labels= goes with a FASTA file; name the column of a table with label=", path)
        frame = source if isinstance(source, pd.DataFrame) else read_table(_expanded(source))
        if any(name is not None and name not in frame.columns for name in frame.index.names):
            frame = frame.reset_index()  # ids, most often

    def column(name: str | None, default: str) -> "pd.Series[Any] | None":
        if name is None and default not in frame.columns:
            return None
        return named_column(frame, default if name is None else name, path)

    if len(frame) == 0:
        raise DatasetError("there are no rows", path)
    heavy_chains, light_chains = column(heavy, "heavy"), column(light, "light")
    if heavy_chains is None and light_chains is None:
        raise DatasetError(f"no column with sequences; name one with heavy= or light=. {_there(frame)}", path)
    if chain is None:
        chain = "light" if heavy_chains is None else "heavy"
    ids, label_column, group_column = (
        column(id, "id"),
        named_column(frame, "label" if label is None else label, path),
        column(groups, "groups"),
    )
    # A label that is missing is refused there, with all rows that lack one.
    labels_given: Any = [_number(one, row, label_column.name, path) for row, one in enumerate(label_column)]
    try:
        return Dataset(
            ids=[str(i) for i in range(len(frame))] if ids is None else _names(ids, path),
            heavy=_sequences(heavy_chains, path, required=required and chain in ("heavy", "both", "paired")),
            light=_sequences(light_chains, path, required=required and chain in ("light", "both", "paired")),
            label=labels_given,
            groups=None if group_column is None else _names(group_column, path),
            provenance=_provenance(path, len(frame)),
            chain=chain,
        )
    except DatasetError as error:
        if path is None or error.path is not None:
            raise
        raise DatasetError(str(error), path, error.row, error.column) from error


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV, TSV or Parquet file, as text where the format has no types; leading ``#`` lines are left out.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its name ends in none of the known ways.
    """
    import pandas as pd

    suffix = _suffix(path)
    if suffix not in (*_SEPARATORS, ".parquet"):
        raise DatasetError(_unknown_suffix(), path)
    content = _bytes(path)
    try:
        if suffix == ".parquet":
            return pd.read_parquet(io.BytesIO(content))
        text = _without_comments(content.decode("utf-8-sig"))
        _check_header(text, _SEPARATORS[suffix], path)
        # As text, and nothing is "not available": NA is a dipeptide, and NAN a CDR.
        with warnings.catch_warnings():  # a row longer than the header would lose its end with a warning only
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text), sep=_SEPARATORS[suffix], dtype=str, keep_default_na=False, index_col=False
            )
    except pd.errors.EmptyDataError as error:
        raise DatasetError("the file is empty", path) from error
    except DatasetError:
        raise
    except (ValueError, TypeError, KeyError, OSError, NotImplementedError, csv.Error, pd.errors.ParserWarning) as error:
        raise DatasetError(f"cannot be read as a table: {error}", path) from error


def read_sequences(path: Path, column: str | None = None) -> Iterator[tuple[str, Any]]:
    """Give the name of each sequence of a FASTA file or table, and the sequence as it stands there.

    The file is read some thousand rows at a time, and may be larger than memory.

    Parameters
    ----------
    column
        Column of the table; None is the first that there is of sequence, heavy, light.

    Raises
    ------
    DatasetError
        If the file cannot be read, where it cannot.
    """
    row = 0
    for frame in read_frames(path):
        usual = [name for name in ("sequence", "heavy", "light") if name in frame.columns]
        if column is None and not usual:
            raise DatasetError(f"no column with sequences; name one. {_there(frame)}", path)
        sequences = named_column(frame, column or usual[0], path)
        names = frame["id"] if "id" in frame.columns else range(row, row + len(frame))
        row += len(frame)
        for name, sequence in zip(names, sequences, strict=True):
            yield str(name), without_dressing(sequence)


def read_frames(path: Path) -> "Iterator[pd.DataFrame]":
    """Give a file's rows some at a time; a table without rows has its columns all the same."""
    import pandas as pd

    suffix = _suffix(path)
    read = _fasta_frames if suffix in _FASTA else _parquet_frames if suffix == ".parquet" else _text_frames
    if suffix not in (*_SEPARATORS, ".parquet", *_FASTA):
        raise DatasetError(_unknown_suffix(), path)
    try:
        yield from read(path)
    except FileNotFoundError as error:
        raise DatasetError("there is no such file", path) from error
    except DatasetError:
        raise
    except pd.errors.EmptyDataError as error:
        raise DatasetError("the file is empty", path) from error
    except (*_UNREADABLE, csv.Error, pd.errors.ParserWarning) as error:
        raise DatasetError(f"cannot be read: {error}", path) from error


def _fasta_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pandas as pd
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with _text(path) as lines:
        first = next((line.lstrip() for line in lines if line.strip() and not line.startswith("#")), None)
        if first is None:
            return
        if not first.startswith(">"):
            raise DatasetError("a FASTA file begins with '>'", path)
        titled = SimpleFastaParser(chain([first], lines))
        records = (((title.split() or [""])[0], sequence) for title, sequence in titled)
        while some := list(islice(records, _ROWS_AT_ONCE)):
            yield pd.DataFrame(some, columns=["id", "sequence"])


def _text_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    separator = _SEPARATORS[_suffix(path)]
    with _text(path) as lines:
        comments = 0
        for header in lines:
            if not header.startswith("#"):
                _check_header(header, separator, path)
                break
            comments += 1
    with _text(path) as lines, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header would lose its end
        yield from pd.read_csv(
            lines,
            sep=separator,
            dtype=str,
            keep_default_na=False,  # as text, and nothing is "not available": NA is a dipeptide, and NAN a CDR
            index_col=False,
            skiprows=comments,
            chunksize=_ROWS_AT_ONCE,
        )


def _parquet_frames(path: Path) -> "Iterator[pd.DataFrame]":
    import pyarrow.parquet as pq

    packed = path.suffix.lower() in _COMPRESSED
    file = pq.ParquetFile(io.BytesIO(_bytes(path)) if packed else path)
    if not file.metadata.num_rows:
        yield file.read().to_pandas()
    for batch in file.iter_batches(_ROWS_AT_ONCE):
        yield batch.to_pandas()


def _text(path: Path) -> Any:
    """Open a file of text, unpacked on the way."""
    return _OPENED.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8-sig")


def _check_header(text: str, separator: str, path: Path) -> None:
    """Refuse a table whose columns are separated otherwise than its name says, or named alike."""
    names = next(csv.reader(io.StringIO(text, newline=None), delimiter=separator), [])
    others = [other for other in (",", ";", "\t", "|") if other != separator and other in (names or [""])[0]]
    if len(names) == 1 and others:
        raise DatasetError(
            f"its columns seem to be separated by {others[0]!r}, where {separator!r} is expected; "
            "give a DataFrame that was read with the right separator",
            path,
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise DatasetError(f"there are {names.count(twice[0])} columns named {twice[0]!r}", path, column=twice[0])


def _labels_of(ids: "pd.Series[Any]", labels: Any, id_column: str, label_column: str, path: Path) -> list[Any]:
    """Return a label for each id, None where there is none, from a mapping or a table."""
    import pandas as pd

    if not isinstance(labels, Mapping):
        where = None if isinstance(labels, pd.DataFrame) else Path(labels).expanduser()
        table = labels if where is None else read_table(where)
        names = [str(one) for one in named_column(table, id_column, where)]
        if len(set(names)) != len(names):
            raise DatasetError("an id occurs twice, so its label is ambiguous", where, column=id_column)
        labels = dict(zip(names, named_column(table, label_column, where), strict=True))
    by_id = {str(name): value for name, value in labels.items()}
    unknown = sorted(by_id.keys() - set(ids))
    if unknown:
        raise DatasetError(f"{len(unknown)} labels belong to no sequence, the first to {unknown[0]!r}", path)
    return [by_id.get(one) for one in ids]


def named_column(frame: "pd.DataFrame", name: str, path: Path | None = None) -> "pd.Series[Any]":
    """Return the column of a name. Raises DatasetError if there is none, or there are several."""
    if name not in frame.columns:
        raise DatasetError(f"there is no column {name!r}. {_there(frame)}", path, column=name)
    found = frame[name]
    if found.ndim != 1:
        raise DatasetError(f"there are {found.shape[1]} columns named {name!r}", path, column=name)
    return found


def chain_columns(
    frame: "pd.DataFrame", chain: Chain, heavy: str | None = None, light: str | None = None
) -> "dict[str, pd.Series[Any]]":
    """Return the columns that hold what a model of these chains reads, by ``heavy`` and ``light``.

    Without names they are called so; where one chain is read, it may also be called ``sequence``, as in FASTA. Where
    both are read, ``sequence`` may hold pairs, ``heavy|light``.

    Raises
    ------
    DatasetError
        If there is no such column, or several are.
    """
    found = {}
    unnamed = heavy is None and light is None and not {"heavy", "light"} & set(frame.columns)
    if chain in ("both", "paired") and unnamed and "sequence" in frame.columns:
        return _chains_of_pairs(named_column(frame, "sequence"))
    for name, named in (("heavy", heavy), ("light", light)):
        if chain in (name, "both", "paired"):
            usual = (name, "sequence") if chain == name else (name,)
            choices = usual if named is None else (named,)
            column = next((one for one in choices if one in frame.columns), None)
            if column is None:
                there = ", ".join(map(str, frame.columns))
                raise DatasetError(
                    f"the model reads the {name} chain, and no column is named {choices[0]!r}, of {there}"
                )
            found[name] = named_column(frame, column)
    return found


def _chains_of_pairs(column: "pd.Series[Any]") -> "dict[str, pd.Series[Any]]":
    """Return the heavy and the light chains of pairs, ``heavy|light``; a chain that is not there is empty."""
    parts = column.map(lambda text: text.partition(BETWEEN) if isinstance(text, str) else (text, "", ""))
    return {"heavy": parts.map(lambda part: part[0]), "light": parts.map(lambda part: part[2])}


def _there(frame: "pd.DataFrame") -> str:
    return f"There are: {', '.join(map(str, frame.columns))}"


def _sequences(column: "pd.Series[Any] | None", path: Path | None, required: bool) -> list[str | None] | None:
    """Return sequences in normal form; a missing one is None, or an error where it is required."""
    if column is None:
        return None
    given = {row: without_dressing(one) for row, one in enumerate(column) if required or not is_missing(one)}
    try:
        normal = dict(zip(given, normalise(given.values()), strict=True))
    except SequenceError as error:
        rows = list(given)
        told = [
            f"row {rows[one.index]}, position {one.position}: {reason}"
            for one, reason in zip(error.rows, error.reasons, strict=True)
        ]
        more = f"\n  and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise DatasetError(
            f"column {column.name!r} holds what is not made of the 20 amino acids and X:\n  "
            + "\n  ".join(told[:_SHOWN])
            + more,
            path,
            rows[error.index],
            str(column.name),
        ) from error
    return [normal.get(row) for row in range(len(column))]


def without_dressing(sequence: Any) -> Any:
    """Return a sequence without the white space in it and the stop behind it, which people leave there."""
    return "".join(sequence.split()).removesuffix("*") if isinstance(sequence, str) else sequence


def _names(column: "pd.Series[Any]", path: Path | None) -> list[str]:
    """Return ids or groups as text; a missing one would make strangers of one name."""
    missing = [row for row, one in enumerate(column) if is_missing(one)]
    if missing:
        name = str(column.name)
        raise DatasetError(
            f"{len(missing)} rows have no {name!r}, the first is row {missing[0]}", path, missing[0], name
        )
    return [str(one) for one in column]


def is_missing(value: Any) -> bool:
    """Whether a cell is empty."""
    import pandas as pd

    if isinstance(value, str):
        return not value.strip()
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _number(value: Any, row: int, column: Any, path: Path | None) -> float | None:
    import pandas as pd

    text = value.strip().lower() if isinstance(value, str) else ""
    if text in _MISSING if isinstance(value, str) else pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text.replace("_", "?") if text else value)  # Python reads 1_0 as ten
    except (ValueError, TypeError):
        raise DatasetError(
            f"the label in row {row} is {value!r}; labels must be numbers (0 and 1 for classification)",
            path,
            row,
            str(column),
        ) from None


def _unknown_suffix() -> str:
    known, packed = ", ".join((*_SEPARATORS, ".parquet", *_FASTA)), ", ".join(_COMPRESSED)
    return f"not a table that can be read; names of tables end in {known}, then perhaps {packed}"


def _expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(f"cannot be found: {error}", path) from error


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path).suffix.lower()


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return _COMPRESSED.get(path.suffix.lower(), bytes)(content)
    except FileNotFoundError as error:
        raise DatasetError("there is no such file", path) from error
    except _UNREADABLE as error:
        raise DatasetError(f"cannot be read: {error}", path) from error


def _without_comments(text: str) -> str:
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[first:])


def _provenance(path: Path | None, rows: int) -> Provenance:
    if path is None:
        return Provenance("a DataFrame", counts={"rows read": rows})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Provenance(path.name, sha256={path.name: digest}, counts={"rows read": rows})
