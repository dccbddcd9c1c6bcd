"""Labels of a data set: one for each antibody, or several with missing values."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.assays import higher_is_better
from antibody_esm.errors import DatasetError


class Labelled:
    """The part of a `Dataset` that knows of labels and measurements only."""

    label: NDArray[np.float64] | Sequence[float] | None
    measurements: Mapping[str, NDArray[np.float64] | Sequence[float]]
    targets: tuple[str, ...]
    label_name: str | None
    directions: Mapping[str, bool]

    def places(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the names of rows for messages, see `Molecules.places`."""
        raise NotImplementedError

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
            raise DatasetError(f"a classifier needs the labels 0 and 1; the labels are {shown}", column="label")
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
