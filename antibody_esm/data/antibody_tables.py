"""Tables of antibodies in any layout, as frames with the columns that hold ids, chains and labels."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.data.cells import cleaned, is_missing
from antibody_esm.data.column_roles import Recognised, recognise
from antibody_esm.data.contigs import pair_contigs
from antibody_esm.data.files import metadata_of, places, read_frames, with_index
from antibody_esm.data.layouts import PLAIN, Columns, Layout, layout_of
from antibody_esm.data.reading import incomplete
from antibody_esm.errors import errors_of, listed
from antibody_esm.numbering import REGIONS, SPECIES, number
from antibody_esm.sequences import ALPHABET, Chain, is_nucleic
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("antibody_esm.tables")

_FALSE = ("f", "false", "0", "no")
_STOP = "*"
_METADATA = {"species": "Species", "isotype": "Isotype"}
"""Keys of the line of JSON above a table of OAS, by the columns that they become."""


class Table(NamedTuple):
    """Rows of a table, with its columns by role."""

    frame: "pd.DataFrame"
    """Its other columns are those of the file, and ``species`` and ``isotype`` where the layout has them."""
    recognised: Recognised


def read_tables(
    path: Path,
    columns: Columns | None = None,
    *,
    labelled: bool = False,
    species: Sequence[str] = SPECIES,
    cut: bool = True,
) -> Iterator[Table]:
    """Yield the rows of a file of antibodies in batches, with the columns by role, which all batches share.

    Parameters
    ----------
    path
        File, see `files.read_frames`.
    columns
        Names and layout as passed.
    labelled
        True recognises a column of labels too.
    species
        Species by which domains are cut out of translated transcripts.
    cut
        False leaves sequences as they are in the file.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its layout holds no amino acids; the message names the file that does.
    """
    import pandas as pd

    frames = read_frames(path)
    frame = next(frames, None)
    if frame is None:
        return
    with errors_of(path):
        layout = layout_of(frame.columns, None if columns is None else columns.layout)
        if layout.pairs:
            frame = pd.concat([frame, *frames], ignore_index=True)
        metadata = metadata_of(path) if layout.name.startswith("oas") else {}
        recognised = None
        while frame is not None:  # one batch in memory at a time
            frame = _arranged(frame, layout, metadata, tuple(species), cut=cut)
            if recognised is None:
                recognised = _announced(frame, columns or Columns(), str(path), layout, labelled)
            yield Table(frame, recognised)
            del frame
            frame = next(frames, None)


def table_of(
    frame: "pd.DataFrame",
    columns: Columns | None = None,
    *,
    labelled: bool = False,
    species: Sequence[str] = SPECIES,
    cut: bool = True,
    source: str = "the table",
) -> Table:
    """Return a DataFrame of antibodies with its columns by role, as `read_tables` does for a file.

    Notes name it by `source`.
    """
    layout = layout_of(frame.columns, None if columns is None else columns.layout)
    arranged = _arranged(frame, layout, {}, tuple(species), cut=cut)
    return Table(arranged, _announced(arranged, columns or Columns(), source, layout, labelled))


def one_table(
    source: "Path | pd.DataFrame", columns: Columns, *, chain: Chain | None = None, species: Sequence[str] = SPECIES
) -> Table:
    """Return all rows of a file or a DataFrame, with the columns of a data set by role.

    A column of ids that was recognised is taken only if ids are distinct. What is not needed is not recognised, see
    `Recognised.as_before`.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        frame, recognised = table_of(with_index(source), columns, labelled=True, species=species)
    else:
        tables = list(read_tables(source, columns, labelled=True, species=species))
        frames = [table.frame for table in tables]
        frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        recognised = tables[0].recognised
    recognised = recognised.as_before(frame.columns, chain)
    ids = recognised.recognised.get("id")
    if ids is not None and recognised.layout is PLAIN:
        names = frame[ids]
        if names.duplicated().any() or any(map(is_missing, names)):
            twice = names.duplicated(keep=False).tolist()
            wrong = [row for row, name in enumerate(names) if twice[row] or is_missing(name)]
            shown = {row: "" if is_missing(names.iloc[row]) else str(names.iloc[row]) for row in wrong}
            path = source if isinstance(source, Path) else None
            where = listed(places(path, wrong, shown).values(), len(wrong))
            warnings.warn(f"rows are numbered: in column {ids!r}, ids are missing or repeat: {where}", stacklevel=5)
            recognised = recognised.without("id")
    return Table(frame, recognised)


def without_refused(table: Table) -> "tuple[pd.DataFrame, dict[str, str]]":
    """Return the rows whose chains the layout does not refuse, and the reason for each of the others by id.

    The index of the rows is their number in the table.
    """
    frame = table.frame.reset_index(drop=True)
    refused = {
        row: str(cell)
        for name in table.recognised.chains(frame.columns)
        for row, cell in enumerate(frame[name])
        if isinstance(cell, Unknown)
    }
    ids = table.recognised.columns.id or "id"
    names = {row: str(frame[ids].iloc[row]) if ids in frame.columns else str(row) for row in refused}
    return frame.drop(index=list(refused)), {names[row]: refused[row] for row in sorted(refused)}


def _announced(frame: "pd.DataFrame", columns: Columns, source: str, layout: Layout, labelled: bool) -> Recognised:
    """Return the columns by role; log those that are not passed and have no default name."""
    recognised = recognise(frame, columns, layout, labelled=labelled)
    if text := str(recognised):
        logger.info("%s: %s", source, text)
    arms = [name for name in layout.second_arm if name in frame.columns]
    several = sum(any(cleaned(cell) is not None for cell in row) for row in zip(*(frame[n] for n in arms), strict=True))
    if several:
        logger.info("%s: a second pair of chains (%s) is not read, in %d rows", source, arms[0], several)
    return recognised


def _arranged(
    frame: "pd.DataFrame", layout: Layout, metadata: Mapping[str, Any], species: tuple[str, ...], *, cut: bool
) -> "pd.DataFrame":
    """Return a table in a known layout with a row for each antibody, and sequences that are variable domains."""
    if layout.pairs:
        return pair_contigs(frame)
    new: dict[str, Any] = {}
    for role in ("heavy", "light", "sequence"):
        name = layout.columns.get(role)
        if name is not None and name in frame.columns:
            new |= _sequences(frame, name, layout, species, cut=cut)
    new |= {name: frame[source] for name, source in layout.copies.items() if source in frame.columns}
    new |= {name: str(metadata[key]) for name, key in _METADATA.items() if metadata.get(key) and name not in new}
    new = {name: values for name, values in new.items() if name not in frame.columns or name in layout.columns.values()}
    return frame.assign(**new) if new else frame


def _sequences(
    frame: "pd.DataFrame", name: str, layout: Layout, species: tuple[str, ...], *, cut: bool
) -> "dict[str, list[str | Unknown | Any]]":
    """Return the column of sequences as the layout means it, by its name; nothing if it stays as it is."""
    flags = _unproductive(frame, layout) if cut else None
    if not layout.gaps and flags is None and not (cut and layout.transcripts):
        return {}
    cells = [cleaned(cell) for cell in frame[name]]
    if layout.gaps:
        cells = [cell.replace(".", "").replace("-", "") or None if isinstance(cell, str) else cell for cell in cells]
    if flags is not None:
        refused = Unknown(f"not productive ({layout.productive} is false)")
        cells = [refused if flag and cell is not None else cell for cell, flag in zip(cells, flags, strict=True)]
    return {name: _domains(cells, species) if cut and layout.transcripts else cells}


def _unproductive(frame: "pd.DataFrame", layout: Layout) -> list[bool] | None:
    """Return True for each row that is not productive; None if all are."""
    if layout.productive is None or layout.productive not in frame.columns:
        return None
    false = {value for value in frame[layout.productive].unique() if str(value).strip().lower() in _FALSE}
    return [value in false for value in frame[layout.productive]] if false else None


def _domains(cells: list[Any], species: tuple[str, ...]) -> list[Any]:
    """Return the variable domain in each translated transcript, or the reason why there is none.

    Cells that are no amino acids stay as they are, and are refused later.
    """
    texts = {cell: cell.upper().split(_STOP) for cell in cells if isinstance(cell, str) and _is_translation(cell)}
    pieces = list(dict.fromkeys(piece for parts in texts.values() for piece in parts if piece))
    domains = dict(zip(pieces, number(pieces, species=species), strict=True))
    return [_domain(texts[cell], domains) if isinstance(cell, str) and cell in texts else cell for cell in cells]


def _is_translation(cell: str) -> bool:
    text = cell.upper()
    return set(text) <= {*ALPHABET, _STOP} and not is_nucleic(text)


def _domain(parts: list[str], domains: Mapping[str, Any]) -> str | Unknown:
    """Return the only variable domain in the parts of a translated transcript between its stop codons."""
    every = [(part, domain) for part in parts if part for domain in domains[part]]
    if len(parts) > 1:
        complete = [(part, domain) for part, domain in every if not incomplete(domain, "", tuple(REGIONS))]
        if not complete:
            where = " within the variable domain" if every else ", and no variable domain"
            return Unknown(f"a stop codon (*) at position {len(parts[0]) + 1}{where}")
        every = complete
    if len(every) != 1:
        return Unknown(f"{len(every)} variable domains in one transcript" if every else "no variable domain")
    [(part, domain)] = every
    return str(part[domain.start : domain.end])
