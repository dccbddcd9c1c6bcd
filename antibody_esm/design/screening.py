"""Liabilities of antibodies: residues that are known to degrade, to bind what they should not, or to be rare."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from antibody_esm.data.antibodies import is_frame
from antibody_esm.data.antibody_tables import Table, read_tables, table_of
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.layouts import Columns
from antibody_esm.data.parts import chains_read
from antibody_esm.data.reading import Chains, Reading, incomplete
from antibody_esm.data.selection import rows_as_texts
from antibody_esm.data.tables import advised, chain_columns, ids_of
from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.rules import LiabilitySearch
from antibody_esm.errors import DatasetError, SequenceError, errors_of, fault, listed, place
from antibody_esm.numbering import CDRS, SPECIES, Domain, absent_reason, best, number
from antibody_esm.sequences import Chain, ModelText, normalise

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.antibodies import Antibodies

COLUMNS = ("id", "chain", "motif", "kind", "position", "index", "region", "severity", "germline", "source")
_NO_CHAIN = "no chain"
_COUNTED = ("high", "medium")
"""Severities that `liability_columns` counts."""


class Screening(NamedTuple):
    """Liabilities of some antibodies."""

    table: "pd.DataFrame"
    """One row a liability, as `liabilities` returns it."""
    rejected: "pd.DataFrame"
    """``row``, counted from 0, ``id`` and ``reason`` of the antibodies that were not searched."""
    antibodies: int
    """Number of antibodies that were searched."""
    rows: list[int]
    """Row of the antibody of each liability, counted from 0."""
    texts: dict[int, str]
    """Chains of each antibody that was searched, by row; a pair has ``|`` between them."""


class _Batch(NamedTuple):
    """Rows, ids and chains in normal form of some antibodies of an input."""

    rows: list[int]
    ids: list[str]
    chains: list[str | Chains]
    """Text of one chain of either kind or of a pair, or heavy and light chain."""
    reasons: dict[int, str]
    """Reason of each refusal, by place in the lists."""


def liabilities(
    antibodies: "Antibodies | str | Path",
    *,
    panel: LiabilityPanel | str | Path | None = None,
    chain: Chain | None = None,
    species: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Return the liabilities of antibodies, one row each, in the order of the antibodies and of their residues.

    Only variable domains are searched. A liability is a candidate by sequence: whether the residue degrades depends on
    its neighbours in space, the formulation and the storage.

    Parameters
    ----------
    antibodies
        Single chains of either kind, or pairs of heavy and light; or a `Dataset`; or a DataFrame with columns ``heavy``
        and ``light`` (or ``sequence``) and maybe ``id``; or a file of these; or one sequence.
    panel
        Rules, or a JSON file of them; None is the built-in panel.
    chain
        Chain that is searched; None: every chain there is, of a `Dataset` its own.
    species
        Species whose profiles number the chains; None: those of a `Dataset`, else human and mouse. Nanobodies:
        ``("human", "mouse", "alpaca")``.

    Returns
    -------
    ``id`` (else rows are numbered), ``chain`` (H or L), ``motif`` (the residues), ``kind``, ``position`` (IMGT),
    ``index`` (in the chain, from 1), ``region``, ``severity`` (low, medium, high), ``germline`` (True if the nearest
    germline gene has it there too, missing if that is not known, as within CDR3) and ``source``.

    Raises
    ------
    DatasetError
        If a chain cannot be numbered or lacks a loop: its `reasons` has every row, and `screen` searches the others.
        If a table has not the columns, or a `Dataset` holds loops or frameworks alone.
    SequenceError
        If a sequence is not made of amino acids and X.
    ValidationError
        If the file is no panel.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> table = liabilities(vh + "SRWGGDGFYAMDYWGQGTLVTVSS")
    >>> high = table[table["severity"] == "high"]
    >>> high[["motif", "kind", "position", "index", "region"]].to_numpy().tolist()
    [['NG', 'deamidation', '62', 55, 'CDR2'], ['DG', 'isomerisation', '110', 102, 'CDR3']]
    """
    done = screen(antibodies, panel=panel, chain=chain, species=species)
    if len(done.rejected):
        reasons = dict(zip(done.rejected["row"].tolist(), done.rejected["reason"].tolist(), strict=True))
        shown = listed([f"{place(row, noun='antibody')}: {why}" for row, why in reasons.items()], len(reasons), "; ")
        total = len(reasons) + done.antibodies
        raise DatasetError(
            f"{len(reasons):,} of {total:,} antibodies cannot be searched: {shown}. `antibody_esm.design.screen` "
            "searches the others",
            reasons=reasons,
        )
    return done.table


def screen(
    antibodies: "Antibodies | str | Path",
    *,
    panel: LiabilityPanel | str | Path | None = None,
    chain: Chain | None = None,
    species: Sequence[str] | None = None,
    id: str | None = None,  # noqa: A002  the name of the column, as in load_dataset
    heavy: str | None = None,
    light: str | None = None,
    layout: str | None = None,
) -> Screening:
    """Return the liabilities of the antibodies that can be numbered, and the reasons why the others cannot.

    Parameters
    ----------
    antibodies, panel, chain, species
        As for `liabilities`.
    id, heavy, light
        Columns of a table or file; None is recognised, see `antibody_esm.load_dataset`.
    layout
        Layout of a table or file; None is recognised.

    Raises
    ------
    DatasetError, SequenceError, ValidationError
        As `liabilities` does, but for chains that cannot be numbered. In tables and files, sequences that are not
        made of amino acids are rejected by row.
    """
    import pandas as pd

    columns = {"id": id, "heavy": heavy, "light": light, "layout": layout}
    parts = list(screen_parts(antibodies, panel=panel, chain=chain, species=species, **columns))
    if len(parts) == 1:
        return parts[0]
    return Screening(
        pd.concat([part.table for part in parts], ignore_index=True),
        pd.concat([part.rejected for part in parts], ignore_index=True),
        sum(part.antibodies for part in parts),
        [row for part in parts for row in part.rows],
        {row: text for part in parts for row, text in part.texts.items()},
    )


def liability_columns(
    antibodies: "Antibodies | str | Path",
    *,
    panel: LiabilityPanel | str | Path | None = None,
    chain: Chain | None = None,
    species: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Return two columns for a table of antibodies, one row each: a count of liabilities, and their sites in words.

    Parameters
    ----------
    antibodies, panel, chain, species
        As for `liabilities`.

    Returns
    -------
    ``liabilities``, the number of medium and high ones, missing where an antibody cannot be numbered; and
    ``liability_sites``, the high ones first, or the reason.

    Raises
    ------
    DatasetError, SequenceError, ValidationError
        As `screen` does.

    Examples
    --------
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> columns = liability_columns([vh + "SRWGGDGFYAMDYWGQGTLVTVSS"])
    >>> int(columns["liabilities"][0]), columns["liability_sites"][0][:46]
    (6, 'high: NG at H62, DG at H110; medium: KD at H35')
    """
    import pandas as pd

    done = screen(antibodies, panel=panel, chain=chain, species=species)
    sites: dict[int, dict[str, list[str]]] = {}
    for row, letter, motif, position, severity in zip(
        done.rows, *(done.table[name] for name in ("chain", "motif", "position", "severity")), strict=True
    ):
        if severity in _COUNTED:
            sites.setdefault(row, {}).setdefault(severity, []).append(f"{motif} at {letter}{position}")
    reasons = dict(zip(done.rejected["row"], done.rejected["reason"], strict=True))
    counts: list[int | None] = []
    texts = []
    for row in range(done.antibodies + len(reasons)):
        here = sites.get(row, {})
        counts.append(None if row in reasons else sum(map(len, here.values())))
        levels = [f"{severity}: {', '.join(here[severity])}" for severity in _COUNTED if severity in here]
        texts.append(f"not searched: {reasons[row]}" if row in reasons else "; ".join(levels))
    return pd.DataFrame(
        {"liabilities": pd.array(counts, dtype="Int64"), "liability_sites": pd.array(texts, dtype="string")}
    )


def screen_parts(
    antibodies: "Antibodies | str | Path",
    *,
    panel: LiabilityPanel | str | Path | None = None,
    chain: Chain | None = None,
    species: Sequence[str] | None = None,
    id: str | None = None,  # noqa: A002  the name of the column, as in load_dataset
    heavy: str | None = None,
    light: str | None = None,
    layout: str | None = None,
) -> Iterator[Screening]:
    """Give the result of `screen` for some thousand rows of a file at a time, of anything else at once."""
    panel = LiabilityPanel.built_in() if panel is None else panel
    search = LiabilitySearch(panel if isinstance(panel, LiabilityPanel) else LiabilityPanel.read(panel))
    if isinstance(antibodies, Dataset):
        species = antibodies.species if species is None else species
    profiles = tuple(SPECIES if species is None else species)
    columns = Columns(id, heavy, light, layout=layout)
    for batch in _batches(antibodies, chain, columns, profiles):
        yield _screened(batch, search, chain, profiles)


def _batches(
    antibodies: "Antibodies | str | Path", chain: Chain | None, columns: Columns, species: tuple[str, ...]
) -> Iterator[_Batch]:
    if isinstance(antibodies, Path) or (isinstance(antibodies, str) and _is_file(antibodies)):
        first = 0
        for table in read_tables(Path(antibodies), columns, species=species):
            with errors_of(antibodies):
                batch = _frame_batch(table, chain, first)
            yield batch
            first += len(table.frame)
        if not first:
            raise DatasetError("there are no antibodies", antibodies)
    elif isinstance(antibodies, Dataset):
        if not replace(antibodies.reading, chain=chain or antibodies.chain).whole:
            raise DatasetError(f"liabilities are searched in whole variable domains; these are {antibodies.fragment}")
        names = chains_read(chain or antibodies.chain)
        chains: list[str | Chains] = [
            (heavy if "heavy" in names else None, light if "light" in names else None)
            for heavy, light in antibodies.chains
        ]
        yield _Batch(list(range(len(chains))), list(antibodies.ids), chains, {})
    elif is_frame(antibodies):
        yield _frame_batch(table_of(antibodies, columns, species=species), chain, 0)
    else:
        texts = normalise([antibodies] if isinstance(antibodies, str) else rows_as_texts(antibodies), pairs=True)
        rows = list(range(len(texts)))
        yield _Batch(rows, [str(row) for row in rows], list(texts), {})


def _is_file(text: str) -> bool:
    """Return whether a text is the name of a file rather than a sequence."""
    return bool(Path(text).suffix) or os.path.isfile(text)  # noqa: PTH113  which takes names of any length


def _frame_batch(table: Table, chain: Chain | None, first: int) -> _Batch:
    """Return the antibodies of a table; cells that are no sequences are refused by row."""
    frame, recognised = table
    columns = recognised.read_as(chain, frame.columns)
    heavy, light = columns.heavy, columns.light
    ids = ids_of(frame, columns.id, first)
    named = {
        name: column or (name if name in frame.columns else None)
        for name, column in (("heavy", heavy), ("light", light))
    }
    single = chain in (None, "both") and not any(named.values())  # a column of chains of either kind, or of pairs
    there: Chain = (
        "heavy" if single else chain or ("paired" if all(named.values()) else "light" if named["light"] else "heavy")
    )
    cells: dict[str, list[str | None]] = {}
    reasons: dict[int, str] = {}
    heavy = recognised.sequence if single else heavy
    for name, column in chain_columns(frame, there, heavy, light, "VH" if single else None).items():
        cells[name] = [None] * len(frame)
        for i, cell in enumerate(column):
            if cell is not None:
                try:
                    (cells[name][i],) = normalise([cell], pairs=single)
                except SequenceError as error:
                    reason = advised(error.reasons[0], frame, str(column.name))
                    reasons.setdefault(i, fault("" if single else f"{name} chain", error.rows[0], reason).lstrip(",: "))
    absent: list[str | None] = [None] * len(frame)
    pairs = list(zip(cells.get("heavy", absent), cells.get("light", absent), strict=True))
    chains = [pair[0] or (None, None) for pair in pairs] if single else pairs
    return _Batch(list(range(first, first + len(frame))), ids, list(chains), reasons)


def _screened(batch: _Batch, search: LiabilitySearch, chain: Chain | None, species: tuple[str, ...]) -> Screening:
    """Return the liabilities of some antibodies, numbering each chain once."""
    import pandas as pd

    places = [i for i in range(len(batch.rows)) if i not in batch.reasons]
    texts = [text for i in places for text in _texts(batch.chains[i])]
    domains_of = dict(zip(texts, number(texts, species=species), strict=True))
    lines: list[tuple[object, ...]] = []
    rows: list[int] = []
    reasons = dict(batch.reasons)
    for i in places:
        domains = _domains(batch.chains[i], domains_of, chain, species)
        if isinstance(domains, str):
            reasons[i] = domains
            continue
        for text, domain in domains:
            letter = "H" if domain.chain == "H" else "L"
            liabilities_here = search.liabilities(text, domain)
            rows += [batch.rows[i]] * len(liabilities_here)
            lines += [
                (batch.ids[i], letter, each.motif, each.kind, each.position, each.index + 1, *each[4:])
                for each in liabilities_here
            ]
    # Types are named, so that tables without rows have the same as others, in Parquet too.
    types = {"index": "int64", "germline": "boolean"}
    table = pd.DataFrame(lines, columns=list(COLUMNS)).astype({name: types.get(name, "string") for name in COLUMNS})
    bad = sorted(reasons)
    rejected = pd.DataFrame(
        {"row": [batch.rows[i] for i in bad], "id": [batch.ids[i] for i in bad], "reason": [reasons[i] for i in bad]}
    ).astype({"row": "int64", "id": "string", "reason": "string"})
    searched = {batch.rows[i]: str(ModelText(tuple(_texts(batch.chains[i])))) for i in places if i not in reasons}
    return Screening(table, rejected, len(searched), rows, searched)


def _texts(antibody: str | Chains) -> list[str]:
    chains = ModelText.of(antibody).chains if isinstance(antibody, str) else antibody
    return [chain for chain in chains if chain]


def _domains(
    antibody: str | Chains, domains_of: dict[str, tuple[Domain, ...]], chain: Chain | None, species: tuple[str, ...]
) -> list[tuple[str, Domain]] | str:
    """Return the chains that are searched, each with its domain, or the reason why the antibody is refused.

    `Reading` decides wherever a chain is not plainly one domain of its kind.
    """
    read = chain or _chain_of(antibody, domains_of)
    if read is None:
        return next((absent_reason(text, species=species) for text in _texts(antibody)), _NO_CHAIN)
    reading = Reading(read, species=species)
    chains = reading.given(antibody).chains
    plain = all(
        text and [domain.chain == "H" for domain in domains_of[text]] == [name == "heavy"]
        for name, text in chains.items()
    )
    if not plain:
        reason = reading.read([antibody]).reasons.get(0)
        if reason:
            return reason
    domains: list[tuple[str, Domain]] = []
    for name, text in chains.items():
        domain = best(domains_of[text or ""], name)
        if domain is not None:
            problem = incomplete(domain, name, CDRS)  # else fewer residues would look like fewer liabilities
            if problem:
                return problem
            domains.append((text or "", domain))
    return domains


def _chain_of(antibody: str | Chains, domains_of: dict[str, tuple[Domain, ...]]) -> Chain | None:
    """Return the chains that an antibody has; of a single chain of unknown kind, by its domains."""
    if isinstance(antibody, str) and not ModelText.of(antibody).is_pair:
        kinds = {domain.chain == "H" for domain in domains_of[antibody]}
        return "both" if len(kinds) == 2 else "heavy" if True in kinds else "light" if kinds else None
    heavy, light = ModelText.of(antibody).chains if isinstance(antibody, str) else antibody
    names: dict[tuple[bool, bool], Literal["paired", "heavy", "light"]] = {
        (True, True): "paired",
        (True, False): "heavy",
        (False, True): "light",
    }
    return names.get((bool(heavy), bool(light)))
