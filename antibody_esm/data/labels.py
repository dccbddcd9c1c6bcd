"""Labels of a data set: one for each antibody, or several with missing values."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.assays import higher_is_better
from antibody_esm.data.columns import ColumnValues
from antibody_esm.errors import DatasetError
from antibody_esm.spelling import did_you_mean

RESERVED = frozenset({"id", "heavy", "light", "label", "groups"})
"""Names that a measurement, or a column that is read, cannot have."""


def as_labelled(data: object) -> "Labelled":
    """Return a data set. Raises DatasetError for other objects, such as the path of a table."""
    if not isinstance(data, Labelled):
        shown = repr(data) if isinstance(data, str | PurePath) else f"a {type(data).__name__}"
        raise DatasetError(f"a Dataset with labels is needed, got {shown}; load_dataset reads a table or DataFrame")
    return data


class Labelled(ABC):
    """The part of a `Dataset` that knows of labels, measurements and columns only."""

    label: NDArray[np.float64] | Sequence[float] | None
    measurements: Mapping[str, NDArray[np.float64] | Sequence[float]]
    targets: tuple[str, ...]
    label_name: str | None
    directions: Mapping[str, bool]
    columns: Mapping[str, ColumnValues]
    not_kept: tuple[str, ...]

    @abstractmethod
    def places(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the names of rows for messages, see `Molecules.places`."""

    def binary_labels(self) -> NDArray[np.int64]:
        """Return the labels ``(n,)`` as 0 and 1.

        Raises
        ------
        DatasetError
            If there are no labels, if a label is neither 0 nor 1, or if all are equal.
        """
        label = self.only_label()
        values = np.unique(label)
        if set(values) - {0.0, 1.0}:
            shown = ", ".join(f"{value:g}" for value in values[:5]) + (", ..." if len(values) > 5 else "")
            raise DatasetError(
                f"a classifier needs the labels 0 and 1; the labels are {shown}. For numbers take a regressor, such as "
                "classifier='ridge'; for classes make a column of 0 and 1 by a threshold",
                column="label",
            )
        if len(values) < 2:
            raise DatasetError(f"a classifier needs both classes; every label is {values[0]:g}", column="label")
        return label.astype(np.int64)

    def continuous_labels(self) -> NDArray[np.float64]:
        """Return the labels ``(n,)`` as numbers of any size.

        Raises
        ------
        DatasetError
            If there are no labels, or if all are equal.
        """
        label = self.only_label()
        if len(np.unique(label)) < 2:
            raise DatasetError(f"a regressor needs labels that differ; every label is {label[0]:g}", column="label")
        return label

    def only_label(self) -> NDArray[np.float64]:
        """Return the labels. Raises DatasetError if there are none, or several for each antibody."""
        if self.targets:
            names = ", ".join(self.targets)
            raise DatasetError(
                f"this data set has several labels ({names}): use data.target({self.targets[0]!r}), or `Panel` for all",
                column=self.targets[0],
            )
        if self.label is None:
            raise DatasetError("this data set has no labels", column="label")
        return np.asarray(self.label)

    @property
    def higher_is_better(self) -> bool | None:
        """True if high labels are better, False if low ones are; None if that is not known. See `directions`."""
        name = self.label_name or "label"
        return self.directions.get(name, higher_is_better(name))

    def measurement(self, name: str) -> NDArray[np.float64]:
        """Return a measurement ``(n,)`` by its name; NaN is a missing value.

        Raises
        ------
        DatasetError
            If there is none; the message lists the measurements, and names a column of text as such.
        """
        if name in self.measurements:
            return np.asarray(self.measurements[name])
        there = ", ".join(self.measurements) or "none"
        meant = did_you_mean(name, self.measurements)
        is_text = name in self.not_kept or isinstance(self.columns.get(name), tuple)
        text = ": it is a column of text" if is_text else ""
        raise DatasetError(f"there is no measurement {name!r}{text}. The measurements are: {there}{meant}", column=name)

    def check_names(self) -> None:
        """Raise a DatasetError for measurements and columns with a name of another column."""
        for kind, names in (("measurement", self.measurements), ("column", self.columns)):
            taken = sorted(RESERVED & set(map(str, names)))
            if taken:
                raise DatasetError(f"a {kind} cannot be named {taken[0]!r}", column=taken[0])
        both = sorted(set(self.measurements) & set(self.columns))
        if both:
            raise DatasetError(f"{both[0]!r} is both a measurement and a column that is read", column=both[0])

    def check_targets(self) -> None:
        """Raise a DatasetError for labels that are no measurements, that repeat, or that stand beside a label."""
        for name in self.targets:
            if name not in self.measurements:
                there = ", ".join(self.measurements) or "there are none"
                raise DatasetError(f"the label {name!r} is no measurement; these are: {there}", column=name)
            infinite = np.flatnonzero(np.isinf(np.asarray(self.measurements[name])))
            if len(infinite):
                row = int(infinite[0])
                raise DatasetError(f"the {name} of {self.places([row])[row]} is not finite", row=row, column=name)
        if len(set(self.targets)) != len(self.targets):
            raise DatasetError(f"a label is named twice: {', '.join(self.targets)}")
        if self.targets and self.label is not None:
            raise DatasetError("a data set has either one label or several targets", column="label")
