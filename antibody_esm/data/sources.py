"""Public data sets by name, and tables of the user's own by path."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from antibody_esm.data.dataset import Chain, Dataset, Provenance
from antibody_esm.data.tables import read_dataset
from antibody_esm.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd


def load_dataset(
    source: "str | Path | pd.DataFrame",
    *,
    id: str | None = None,  # noqa: A002  the name of the column, as in the data set
    heavy: str | None = None,
    light: str | None = None,
    label: str | None = None,
    groups: str | None = None,
    chain: Chain | None = None,
    labels: "str | Path | pd.DataFrame | Mapping[str, float] | None" = None,
) -> Dataset:
    """Load a public data set by its name, or a table of your own.

    Parameters
    ----------
    source
        The name of a data set (``"boughter_flu_cdrs"``); the path of a CSV, TSV, Parquet or FASTA file, gzipped or not,
        with or without leading ``#`` lines; or a DataFrame.
    id, heavy, light, label, groups
        Names of the table's columns. Without them, columns of just these names are taken where they exist, and rows
        without ids are numbered from 0. Labels must be there.
    chain
        Which chain is embedded; by default heavy, where there is one.
    labels
        For FASTA: a table with the columns ``id`` and `label`, or a mapping from id to label.

    Returns
    -------
    Dataset
        Its provenance says where it comes from, and is part of its digest.

    Raises
    ------
    DatasetError
        If there is no such name or file, a column is not there (the message lists those that are), or labels are
        missing or not numbers (the message names the rows).
    SequenceError
        If a sequence is not made of amino acids and X; every such row is listed.

    Examples
    --------
    >>> load_dataset("boughter_flu_cdrs")
    Dataset(358 antibodies, 173 positive)
    """
    if isinstance(source, str) and source in _NAMED:
        if any(given is not None for given in (id, heavy, light, label, groups, labels)):
            raise DatasetError(f"{source!r} is a public data set; only chain= applies to it")
        return _NAMED[source](chain or "heavy")
    if isinstance(source, str) and "." not in Path(source).name and not Path(source).exists():
        known = ", ".join(_NAMED)
        raise DatasetError(f"unknown data set {source!r}; choose one of {known}, or give the path of a table")
    return read_dataset(source, id=id, heavy=heavy, light=light, label=label, groups=groups, chain=chain, labels=labels)


def _boughter_flu_cdrs(chain: Chain) -> Dataset:
    """Influenza antibodies of Boughter et al. 2020: the three CDR loops of each chain, joined."""
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
        chain=chain,
        provenance=Provenance(
            source="influenza antibodies, CDR loops 1-3 of each chain joined; package aims-immune 0.9.3",
            rule="0: binds 0 or 1 ligands of the panel, 1: binds 2 or more",
            citation="Boughter et al., eLife 2020, doi:10.7554/eLife.61393",
            licence="MIT",
            sha256=digests,
            counts=counts,
        ),
    )


_NAMED: dict[str, Callable[[Chain], Dataset]] = {"boughter_flu_cdrs": _boughter_flu_cdrs}
