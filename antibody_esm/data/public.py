"""Public data sets by name, and the user's own tables by path."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.data.assays import directions
from antibody_esm.data.boughter import boughter
from antibody_esm.data.dataset import Dataset, Provenance
from antibody_esm.data.harvey import harvey
from antibody_esm.data.jain import jain
from antibody_esm.data.labelled_tables import read_dataset
from antibody_esm.data.parts import FRAGMENTS, chains_read, unknown_fragment
from antibody_esm.data.recipes import Recipe
from antibody_esm.data.shehata import shehata
from antibody_esm.data.spreadsheets import with_sheet
from antibody_esm.errors import DatasetError, PluginError
from antibody_esm.licences import DATA, refusal
from antibody_esm.numbering import NANOBODY_SPECIES
from antibody_esm.plugins import Plugin, offered_names
from antibody_esm.plugins import named as named_plugin
from antibody_esm.sequences import Chain
from antibody_esm.spelling import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_OPEN: Any = ...
"""Place of the data in lines that a reader completes."""


def load_dataset(
    source: "str | Path | pd.DataFrame",
    *,
    id: str | None = None,  # noqa: A002  the name of the column, as in the data set
    heavy: str | None = None,
    light: str | None = None,
    label: str | Sequence[str] | None = None,
    groups: str | None = None,
    fold: str | None = None,
    chain: Chain | None = None,
    fragment: str | None = None,
    part: str | None = None,
    species: Sequence[str] | None = None,
    drop: bool = False,
    columns: Sequence[str] | None = None,
    layout: str | None = None,
    sheet: str | None = None,
    labels: "str | Path | pd.DataFrame | Mapping[str, float] | None" = None,
    higher_is_better: bool | Mapping[str, bool] | None = None,
) -> Dataset:
    """Load a public data set by its name, or a table of your own.

    Public data sets are downloaded once and checked by SHA-256, or read from the folder that the environment variable
    ``ANTIBODY_ESM_DATA`` names:

    ``boughter``
        669 antibodies of influenza, HIV and mouse IgA studies; 0: binds no ligand of a panel, 1: four or more.
        ``labels="count"``: number of ligands, 993 antibodies; ``"predecessor"``: see `data.boughter`.
    ``jain``
        137 clinical-stage antibodies, with twelve assays; 1: a flag in PSR, BVP or ELISA. ``labels="psr"``, ``"hic"``
        and so on: the assay's values; ``"psr_flag"``: 1 beyond its threshold; ``"flag_groups"``: flags, 0 to 4.
    ``shehata``
        398 antibodies of B cells, seven of them polyspecific. ``labels="psr"``: the score.
    ``harvey``
        48 nanobodies and their binding in percent. ``labels="moderate"``, ``"high"``: 1 for that class and above.
    ``boughter_flu_cdrs``
        358 influenza antibodies, three loops per chain; part of this package.

    Parameters
    ----------
    source
        The name of a data set; the path of a CSV, TSV, Excel, Parquet or FASTA file, gzipped or not,
        with or without leading ``#`` lines; or a DataFrame. The ids in a FASTA file are first words of headers if these
        are unique, else whole headers.
    id, heavy, light, label, groups
        Names of the table's columns. By default, columns with these very names are read if they exist, else those of
        the layout, else the only one with a usual name (``VH``, ``heavy_sequence``, ``antibody``) and fitting cells;
        the provenance then names it. Rows without ids are numbered from 0. In heavy and light, empty cells, NA, N/A,
        nan, None, null and ``-`` are missing chains, never sequences. In the column of labels they are missing labels:
        these antibodies are left out, and the provenance counts and names them. A list of names for `label`, such as
        ``["HIC", "Tm2"]``, makes each of them a label with its own missing values, see `Dataset.target`; for ``jain``
        these are assays.
    fold
        Column with the predefined fold in which each antibody is tested, a number or a name, for
        ``SplitSpec(by="fold")``; it becomes the measurement ``fold``, with numbers from 0.
    chain
        Chain that is embedded; by default heavy if the table has it. ``paired`` reads both chains as a pair, ``both``
        concatenates them. Each record of FASTA is then ``HEAVY|LIGHT``, or holds both domains of a fragment. FASTA in
        which all records are ``HEAVY|LIGHT`` is ``paired`` by default.
    fragment
        Part that is cut out of the chains and embedded, such as ``"H-CDR3"`` or ``"VH+VL"``; see `Dataset.cut`.
    part
        Part that the sequences already are, by the same names: ``part="H-CDRs"`` for a table of loops.
    species
        Species whose profiles number the chains; by default human and mouse, and alpaca too for ``harvey`` and for the
        fragment VHH. A model that is trained on the data uses the same species.
    drop
        Leave out antibodies that lack a chain, a part of the fragment, or a number of `columns`, instead of raising an
        error. A label that is text, such as ``n.d.``, and letters that are no amino acids stay errors.
    columns
        Names of columns that a model reads beside the sequences: numbers, or categories such as an isotype; see
        `Dataset.columns`. All other columns of numbers are measurements; other columns of text are not kept.
    layout
        Layout of the table: ``airr``, ``oas``, ``oas_paired``, ``10x``, ``therasabdab``, ``imgt``, ``flab`` and others
        of `data.layouts.NAMES`; recognised by its columns by default. ``plain`` leaves all sequences as they are.
    sheet
        Sheet of an Excel workbook; by default the first.
    labels
        For a public data set: the kind of labels. For FASTA: a table with the columns ``id`` and `label`, or a mapping
        from id to label.
    higher_is_better
        True if high labels are better, False if low ones are; for several labels by name: ``{"HIC": False}``. Names of
        known assays, such as HIC, PSR, Tm and titer, need none (`antibody_esm.data.assays`).

    Returns
    -------
    Dataset
        Its provenance holds the origin of the data, and is part of its digest.

    Raises
    ------
    DatasetError
        If the name, file or column does not exist, if no label is there or one is not a number, or if a sequence is
        missing, DNA, or not made of amino acids and X. The message names the columns that exist and the lines of the
        file; the error's ``rows`` are indices, from 0.

    Examples
    --------
    >>> load_dataset("boughter_flu_cdrs")
    Dataset(358 antibodies, 173 positive)
    """
    recipe = Recipe.of(locals())
    if source is _OPEN or (isinstance(source, str) and source == "..."):
        raise DatasetError(
            "the place of the data is left open: write the name of a data set or the path of a table in place of ..."
        )
    if fragment is not None and part is not None:
        raise DatasetError(
            "fragment= cuts whole chains, part= declares that sequences are cut already; pass only one of them"
        )
    named = fragment or part
    if named is not None and named not in FRAGMENTS:
        raise unknown_fragment(named)
    of_named = None if named is None else FRAGMENTS[named].chain
    if None not in (chain, of_named) and chain != of_named and (chain, of_named) != ("paired", "both"):
        raise DatasetError(f"{named} is a fragment of {of_named} chains; it does not fit chain={chain!r}")
    plugin = named_plugin("data set", source) if _is_name(source) else None
    if isinstance(source, str) and (source in _NAMED or plugin is not None):
        if any(column is not None for column in (id, heavy, light, groups, fold, layout, sheet, columns)) or isinstance(
            label, str
        ):
            raise DatasetError(
                f"{source!r} is a public data set; it has no options id=, heavy=, light=, label=, groups=, fold=, "
                "columns=, layout=, sheet=, except a list of its measurements as label="
            )
        if labels is not None and not isinstance(labels, str):
            raise DatasetError(f"labels= of {source!r} must be a name, got a {type(labels).__name__}")
        if plugin is None and (reason := refusal(source, DATA[source])):
            raise DatasetError(reason)
        data = (_NAMED[source] if plugin is None else _of_plugin(plugin))(*(() if labels is None else (labels,)))
        if label is not None:
            origin = replace(data.provenance, rule="the measured values of each label")
            data = replace(data, label=None, label_name=None, targets=tuple(label), provenance=origin)
        data = replace(data, directions=directions(higher_is_better, data.targets or (data.label_name or "label",)))
    elif _is_name(source):
        offered = offered_names("data set")
        names, meant = ", ".join([*_NAMED, *offered]), did_you_mean(source, [*_NAMED, *offered])
        raise DatasetError(f"unknown data set {source!r}; choose one of {names}, or give the path of a table{meant}")
    else:
        named_columns: dict[str, Any] = {
            "id": id,
            "heavy": heavy,
            "light": light,
            "label": label,
            "groups": groups,
            "fold": fold,
        }
        which = chain if named is None else FRAGMENTS[named].chain
        if sheet is not None:
            if not isinstance(source, str | Path):
                raise DatasetError("sheet= is for Excel workbooks; a DataFrame has no sheets")
            source = with_sheet(Path(source), sheet)
        data = read_dataset(
            source,
            **named_columns,
            columns=columns or (),
            chain=which,
            higher_is_better=higher_is_better,
            labels=labels,
            required=fragment is None and not drop,
            both_domains=fragment is not None,
            drop=drop,
            layout=layout,
            species=species or (NANOBODY_SPECIES if fragment == "VHH" else None),
        )
    if drop:
        data = _complete(data, () if fragment else chains_read(chain or data.chain))
    if species is not None:
        data = replace(data, species=tuple(species))
    if fragment is not None:
        return data.cut(fragment, chain=chain, species=species, drop=drop).made_by(recipe)
    which = chain or (FRAGMENTS[part].chain if part else data.chain)
    return replace(data, chain=which, fragment=part or data.fragment).made_by(recipe)


def _is_name(source: object) -> bool:
    """Return True for a text that is the name of a data set rather than of a file."""
    return isinstance(source, str) and "." not in Path(source).name and not Path(source).exists()


def _of_plugin(plugin: Plugin) -> Callable[..., Dataset]:
    """Return the loader of a data set of another package, which is named in the provenance with its version.

    It raises PluginError if the package fails, or returns anything else.
    """
    loader = plugin.load()

    def load(*labels: str) -> Dataset:
        try:
            data = loader(*labels)
        except DatasetError:
            raise
        except Exception as error:  # whatever the code of a plugin raises, its package is named
            raise PluginError(f"{plugin} failed: {type(error).__name__}: {error}", plugin.package) from error
        if not isinstance(data, Dataset):
            raise PluginError(f"{plugin} must return a Dataset, and returned a {type(data).__name__}", plugin.package)
        source = f"{data.provenance.source}; package {plugin.package} {plugin.version}"
        return replace(data, provenance=replace(data.provenance, source=source))

    return load


def _complete(data: Dataset, chains: Sequence[str]) -> Dataset:
    """Return the antibodies with these chains and all numbers of `Dataset.columns`; the provenance lists the others."""
    absent = {
        row: f"no number in column {name}"
        for name, values in data.columns.items()
        if not isinstance(values, tuple)
        for row in np.flatnonzero(np.isnan(np.asarray(values, np.float64))).tolist()
    }
    absent |= {
        row: f"no {name} chain"
        for name in chains
        for row, sequence in enumerate(getattr(data, name) or ())
        if sequence is None
    }
    dropped = data.provenance.dropped | {data.ids[row]: reason for row, reason in sorted(absent.items())}
    kept = data.subset([row for row in range(len(data)) if row not in absent]) if absent else data
    return replace(kept, provenance=replace(data.provenance, dropped=dropped))


def _boughter_flu_cdrs(labels: str = "published") -> Dataset:
    """Return influenza antibodies of Boughter et al. 2020: the three CDR loops of each chain, concatenated."""
    if labels != "published":
        raise DatasetError(f"unknown labels {labels!r} of 'boughter_flu_cdrs'; the only choice is published")
    folder = files("antibody_esm.data") / "boughter_flu_cdrs"
    ids, heavy, light, label, digests, counts = [], [], [], [], {}, {}
    for name, meaning, value in (("flu_mono", "specific", 0), ("flu_poly", "polyreactive", 1)):
        content = (folder / f"{name}.csv").read_bytes()
        digests[f"{name}.csv"] = hashlib.sha256(content).hexdigest()
        header, *rows = [line.split(",") for line in content.decode("ascii").split()]
        if header != ["l1", "l2", "l3", "h1", "h2", "h3"]:
            raise DatasetError(f"unexpected columns {header}", f"{name}.csv")
        counts[meaning] = len(rows)
        for number, loops in enumerate(rows):
            ids.append(f"{name}_{number}")
            light.append("".join(loops[:3]))
            heavy.append("".join(loops[3:]))
            label.append(value)
    return Dataset(
        ids=ids,
        heavy=heavy,
        light=light,
        label=label,
        label_name="polyreactivity",
        fragment="All-CDRs",
        provenance=Provenance(
            source="influenza antibodies, CDR loops 1-3 of each chain joined; package aims-immune 0.9.3",
            rule="0: binds 0 or 1 ligands of the panel, 1: binds 2 or more",
            citation="Boughter et al., eLife 2020, doi:10.7554/eLife.61393",
            licence=DATA["boughter_flu_cdrs"].name,
            sha256=digests,
            counts=counts,
        ),
    )


_NAMED: dict[str, Callable[..., Dataset]] = {
    "boughter": boughter,
    "boughter_flu_cdrs": _boughter_flu_cdrs,
    "harvey": harvey,
    "jain": jain,
    "shehata": shehata,
}

PUBLIC = tuple(_NAMED)
"""Names of the public data sets."""
