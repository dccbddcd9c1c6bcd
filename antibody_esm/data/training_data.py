"""Labelled antibodies as callers pass them: a data set, a DataFrame, or sequences with their labels."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import is_series
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.labelled_tables import read_dataset
from antibody_esm.data.labels import as_labelled
from antibody_esm.data.public import load_dataset
from antibody_esm.data.selection import LabelledAntibody
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import Chain
from antibody_esm.specs.ensembles import AnyExtractorSpec, columns_of

if TYPE_CHECKING:
    import pandas as pd

    Trainable = Dataset | pd.DataFrame | Iterable[str | tuple[str, str]]
    """Labelled antibodies: a `Dataset`; a DataFrame, read as by `load_dataset`; or sequences, or pairs of chains."""
    Labels = str | Sequence[float] | NDArray[Any] | pd.Series[Any] | None
    """Labels of a DataFrame or of sequences, in their order; or the name of a label."""

_IN_PYTHON = "given in Python"


def training_data(
    data: "Trainable",
    labels: "Labels" = None,
    *,
    extractor: AnyExtractorSpec | None = None,
    chain: Chain | None = None,
    columns: Sequence[str] = (),
    drop: bool = False,
    labelled: bool = True,
) -> Dataset:
    """Return labelled antibodies as a data set.

    A DataFrame is read exactly as `load_dataset` reads it, and sequences as a DataFrame of them: rows are refused with
    the same messages, and rows without a label are left out and counted.

    Parameters
    ----------
    data
        A `Dataset`, which stays as it is; a DataFrame, whose columns are recognised; or ``n`` sequences of heavy
        chains, or ``n`` pairs ``(heavy, light)``, which are read as pairs.
    labels
        Name of a DataFrame's column, or of one of several labels of a data set; or ``n`` labels in the order of the
        antibodies. None takes those of the data.
    extractor
        Spec whose columns are read too.
    chain, columns, drop
        As for `load_dataset`.
    labelled
        False reads antibodies without labels too.

    Raises
    ------
    DatasetError
        As `load_dataset` does; if there are no labels, two of them, or another number of them; if labels are
        a Series with another index than the table or the sequences, or in no order.
    TypeError
        If these are no sequences, such as a matrix of vectors.

    Examples
    --------
    >>> training_data(["EVQLV", "QVQLQ", "QVQLV"], [0, 1, None])
    Dataset(2 antibodies, 1 positive)
    """
    names = [*columns, *(column.name for column in (columns_of(extractor) if extractor is not None else ()))]
    if isinstance(data, Dataset):
        return data if labels is None else _of_label(data, labels)
    if "pandas" in sys.modules and isinstance(data, sys.modules["pandas"].DataFrame):
        frame, label = _with_labels(data, labels)
        if not labelled:
            return _unlabelled(frame, chain, names)
        return load_dataset(frame, label=label, chain=chain, columns=names or None, drop=drop)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        as_labelled(data)  # names what to call
    return _of_sequences(data, labels, chain=chain, drop=drop, labelled=labelled)


def _of_label(data: Dataset, labels: "Labels") -> Dataset:
    """Return one of several labels of a data set. Raises DatasetError for a list of values."""
    if isinstance(labels, str):
        return data if labels == data.label_name and not data.targets else data.target(labels)
    raise DatasetError(
        "labels were passed beside a Dataset, which has its own; leave them out, or call data.with_label(name, values)",
        column="label",
    )


def _with_labels(frame: "pd.DataFrame", labels: "Labels") -> "tuple[pd.DataFrame, str | None]":
    """Return a table with these labels, and the name of their column; None is recognised."""
    import pandas as pd

    if labels is None or isinstance(labels, str):
        return frame, labels
    if "label" in frame.columns:
        raise DatasetError(
            "labels were passed, and the table has a column 'label' too; leave one of them out", column="label"
        )
    _check_index(labels, frame, "table")
    values = _values(labels, len(frame), "rows")
    return frame.assign(label=pd.Series(values, frame.index, object)), "label"


def _of_sequences(data: Iterable[Any], labels: "Labels", *, chain: Chain | None, drop: bool, labelled: bool) -> Dataset:
    """Return sequences or pairs with their labels as a data set."""
    import pandas as pd

    if isinstance(data, np.ndarray) and data.dtype.kind in "fiub":
        raise TypeError("sequences are needed, not vectors; fit a scikit-learn classifier on the vectors of embed(...)")
    if isinstance(data, Mapping | set | frozenset):
        raise TypeError(
            f"a list of sequences is needed, not a {type(data).__name__}; pandas.DataFrame(...) makes a table"
        )
    if is_series(data):
        _check_index(labels, data, "sequences")
    antibodies = list(data)
    if any(isinstance(each, LabelledAntibody) for each in antibodies):
        raise TypeError(
            "a list of antibodies of a data set was passed; select them with data[mask] or data.subset(rows)"
        )
    if isinstance(labels, str):
        raise DatasetError(f"labels={labels!r} names a column of a DataFrame; sequences need a list of labels")
    if labels is None and labelled:
        raise DatasetError("sequences need labels: pass (sequences, labels), or a DataFrame with a column of labels")
    columns: dict[str, Any]
    if any(not isinstance(each, str) and np.size(each) == 2 for each in antibodies):
        pairs = [(each, None) if isinstance(each, str) or each is None else tuple(each) for each in antibodies]
        if wrong := [row for row, pair in enumerate(pairs) if len(pair) != 2]:
            raise DatasetError(f"antibody {wrong[0] + 1} (index {wrong[0]}) is no pair of chains", rows=wrong)
        columns = {"heavy": [pair[0] for pair in pairs], "light": [pair[1] for pair in pairs]}
        chain = chain or "paired"
    else:
        columns = {"light" if chain == "light" else "sequence": antibodies}
    if labels is not None:
        columns["label"] = _values(labels, len(antibodies), "sequences")
    frame = pd.DataFrame(columns, dtype=object)
    read = load_dataset(frame, chain=chain, drop=drop) if labelled else _unlabelled(frame, chain)
    return replace(read, provenance=replace(read.provenance, source=_IN_PYTHON))


def _unlabelled(frame: "pd.DataFrame", chain: Chain | None, columns: Sequence[str] = ()) -> Dataset:
    return read_dataset(frame, chain=chain, columns=columns, labelled=False)


def _check_index(labels: "Labels", data: Any, what: str) -> None:
    """Raise DatasetError if labels are a Series with another index than a Series or a DataFrame."""
    if is_series(labels) and not labels.index.equals(data.index):  # type: ignore[union-attr]  # a Series
        raise DatasetError(
            f"the labels have another index than the {what}; pass labels.to_numpy() to take them in its order",
            column="label",
        )


def _values(labels: Any, n: int, what: str) -> list[Any]:
    if isinstance(labels, Mapping | set | frozenset) or hasattr(labels, "columns"):
        raise DatasetError(
            f"a list of labels in the order of the {what} is needed, not a {type(labels).__name__}", column="label"
        )
    values = list(labels)
    if len(values) != n:
        raise DatasetError(f"{n:,} {what} but {len(values):,} labels", column="label")
    return values
