"""Antibodies of a data set by their rows: one of them, or a smaller data set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import ColumnValues, check_index, is_series, rows_of
from antibody_esm.data.molecules import Molecules
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import Antibody, Chain

if TYPE_CHECKING:
    import pandas as pd

    Rows = slice | Sequence[int] | Sequence[bool] | NDArray[Any] | pd.Series[Any]


@dataclass(frozen=True)
class LabelledAntibody:
    """One antibody of a data set, with its label.

    Attributes
    ----------
    id
        Its name.
    heavy, light
        Its chains; None for a chain that was not sequenced.
    label
        Its label; None if the data set has none, or several.
    group
        Its group; None if there are none.
    measurements
        Measured values by name; NaN is a missing value.
    columns
        Values of the columns that a model reads beside the sequences.
    chain
        Chain of the data set that a model reads.
    """

    id: str
    heavy: str | None
    light: str | None
    label: float | None = None
    group: str | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, str | float | None] = field(default_factory=dict)
    chain: Chain = "heavy"

    @property
    def text(self) -> str:
        """Text that a model reads, one of `Dataset.sequences`: a chain, or a pair with ``|`` between.

        Raises
        ------
        DatasetError
            If it lacks a chain that is read.
        """
        names = ("heavy", "light") if self.chain in ("both", "paired") else (self.chain,)
        for name in names:
            if getattr(self, name) is None:
                raise DatasetError(f"antibody {self.id} has no {name} chain", column=name)
        chains = [str(getattr(self, name)) for name in names]
        return str(Antibody(*chains)) if self.chain == "paired" else "".join(chains)


def rows_as_texts(antibodies: Any) -> Any:
    """Return antibodies with the texts of a data set's rows in place of these rows."""
    if isinstance(antibodies, list | tuple) and any(isinstance(each, LabelledAntibody) for each in antibodies):
        return [each.text if isinstance(each, LabelledAntibody) else each for each in antibodies]
    return antibodies


class Selectable(Molecules):
    """The part of a `Dataset` that selects antibodies by their rows."""

    label: NDArray[np.float64] | Sequence[float] | None
    groups: Sequence[str] | None
    measurements: Mapping[str, NDArray[np.float64] | Sequence[float]]
    columns: Mapping[str, ColumnValues]

    @overload
    def __getitem__(self, rows: int) -> LabelledAntibody: ...
    @overload
    def __getitem__(self, rows: "Rows") -> Self: ...
    def __getitem__(self, rows: "int | Rows") -> "LabelledAntibody | Self":
        """Return one antibody by its row, or the data set of a slice, a mask or a list of rows; see `subset`."""
        if isinstance(rows, slice):
            return self.subset(range(*rows.indices(len(self))))
        if isinstance(rows, str | bool | np.bool_ | float) or rows is None:
            raise TypeError(
                f"rows of a data set are a number, a slice, a mask or a list of numbers, not {rows!r}; "
                "to_frame() selects by names"
            )
        if not isinstance(rows, int | np.integer):
            return self.subset(rows if is_series(rows) else np.asarray(rows))
        row = index(rows)
        if not -len(self) <= row < len(self):
            raise IndexError(f"there is no row {row}; the data set has {len(self):,} antibodies")
        return self._antibody(row % len(self))

    def __iter__(self) -> Iterator[LabelledAntibody]:
        return map(self._antibody, range(len(self)))

    def _antibody(self, row: int) -> LabelledAntibody:
        def at(column: Sequence[Any] | NDArray[Any] | None) -> Any:
            value = None if column is None else column[row]
            return float(value) if isinstance(value, np.floating) else value

        return LabelledAntibody(
            self.ids[row],
            at(self.heavy),
            at(self.light),
            at(self.label),
            at(self.groups),
            {name: at(values) for name, values in self.measurements.items()},
            {name: at(values) for name, values in self.columns.items()},
            self.chain,
        )

    def head(self, n: int = 5) -> Self:
        """Return the first antibodies, as a data set.

        Examples
        --------
        >>> from antibody_esm import load_dataset
        >>> load_dataset("boughter_flu_cdrs").head(3).ids
        ('flu_mono_0', 'flu_mono_1', 'flu_mono_2')
        """
        return self[:n]

    def subset(self, rows: Iterable[int] | NDArray[Any]) -> Self:
        """Return the antibodies at these indices, or at the true values of a boolean mask, in that order.

        A part of the antibodies has no `ungraded` ones. ``data[mask]`` and ``data[:10]`` are the same.

        Raises
        ------
        IndexError
            If there is no such row, or if a mask has another length.
        DatasetError
            If a mask is a Series whose index is neither 0, 1, 2 ... nor the ids.

        Examples
        --------
        >>> from antibody_esm import load_dataset
        >>> data = load_dataset("boughter_flu_cdrs")
        >>> data.subset(data.label == 1)
        Dataset(173 antibodies, 173 positive)
        """
        chosen = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows))
        if chosen.dtype == bool:
            check_index(rows, self.ids, "the values of this mask")
        if chosen.dtype == bool and chosen.shape != (len(self),):
            raise IndexError(f"a mask of {chosen.size:,} values does not fit {len(self):,} antibodies")
        if chosen.size and chosen.dtype.kind not in "iub":
            raise TypeError(f"rows are numbers or a mask of true and false, not {chosen.dtype}")
        kept = np.arange(len(self))[chosen if chosen.size else chosen.astype(np.int64)]

        def pick(column: Sequence[Any] | None) -> list[Any] | None:
            return None if column is None else [column[i] for i in kept]

        return replace(  # type: ignore[type-var]  # a `Dataset`, which is a dataclass
            self,
            ids=[self.ids[i] for i in kept],
            heavy=pick(self.heavy),
            light=pick(self.light),
            label=None if self.label is None else np.asarray(self.label)[kept],
            groups=pick(self.groups),
            measurements={name: np.asarray(values)[kept] for name, values in self.measurements.items()},
            columns={name: rows_of(values, kept) for name, values in self.columns.items()},
            ungraded=None,
            file=None,
        )
