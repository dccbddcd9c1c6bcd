"""The columns of a table that a model reads beside the sequences, by one rule for all inputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import ColumnValues, is_absent, number_in
from antibody_esm.errors import DatasetError
from antibody_esm.specs import ColumnSpec, TrainSpec
from antibody_esm.specs.ensembles import columns_of, with_columns

_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
UNSEEN = -1.0
"""Code of a category that no training row has."""


@dataclass(frozen=True)
class TrainingColumn:
    """A column as the training rows have it."""

    spec: ColumnSpec
    categories: tuple[str | None, ...] = ()
    """Categories in order of their code; None is the missing value. Empty for numbers."""
    limits: tuple[float, float] | None = None
    """Smallest and largest number; None for categories."""

    @classmethod
    def of(cls, spec: ColumnSpec, values: ColumnValues) -> Self:
        """Return the column of a training set, with its categories or limits."""
        if spec.values == "category":
            texts = set(map(category, values))
            return cls(spec, (*sorted(text for text in texts if text is not None), *((None,) if None in texts else ())))
        numbers = [number for value in values if (number := number_in(value)) is not None and np.isfinite(number)]
        return cls(spec, limits=(min(numbers), max(numbers)) if numbers else None)

    def code(self, value: Any) -> float:
        """Return the number that stands for a value in the features; NaN if the value is refused."""
        if self.spec.values == "category":
            text = category(value)
            return float(self.categories.index(text)) if text in self.categories else UNSEEN
        number = number_in(value)
        return number if number is not None and np.isfinite(number) else float("nan")

    def value(self, code: float) -> str | float | None:
        """Return the value of a code of a training row. Raises ValueError if no training row can have it."""
        if self.spec.values == "number":
            if not np.isfinite(code):
                raise ValueError(f"a number of column {self.spec.name!r} is {code}")
            return code
        if code not in range(len(self.categories)):
            raise ValueError(f"column {self.spec.name!r} has no category {code}")
        return self.categories[int(code)]

    def refusal(self, value: Any) -> str:
        """Return the reason why a value is refused."""
        return f"no {self.spec.name!r}" if is_absent(value) else f"{self.spec.name!r} is no number: {value!r}"

    def warning(self, value: Any, code: float) -> str:
        """Return the warning of a value that no training row has, or that lies outside of their limits; or no text."""
        name = self.spec.name
        if self.spec.values == "category" and code == UNSEEN:
            text = category(value)
            return f"no training antibody lacks {name!r}" if text is None else f"{name!r} {text} was not in training"
        if self.limits is not None and not self.limits[0] <= code <= self.limits[1]:
            return f"{name!r} {code:g} is outside of training, {self.limits[0]:g} to {self.limits[1]:g}"
        return ""


class ReadColumns(NamedTuple):
    """Columns of antibodies as a model reads them."""

    codes: NDArray[np.float64]
    """``(n, k)``: numbers, and codes of categories; NaN in a refused row."""
    reasons: dict[int, str]
    """Reason of each refusal, by row from 0."""
    warnings: dict[int, str]
    """Warnings of rows whose values are unlike those of the training rows."""


@dataclass(frozen=True)
class ColumnReading:
    """Columns that a model reads; an empty one reads none.

    Examples
    --------
    >>> isotype = ColumnSpec(name="isotype")
    >>> reading = ColumnReading.of([isotype], {"isotype": ("IgG1", "IgG4", None)})
    >>> reading.read({"isotype": ("IgG4", "IgA")}, 2)
    ReadColumns(codes=array([[ 1.],
           [-1.]]), reasons={}, warnings={1: "'isotype' IgA was not in training"})
    """

    columns: tuple[TrainingColumn, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Values by name that take the place of a table's, for all antibodies."""

    @classmethod
    def of(cls, specs: Sequence[ColumnSpec], columns: Mapping[str, ColumnValues]) -> Self:
        """Return the reading of a training set's columns. Raises DatasetError if the training set lacks one."""
        absent = [spec.name for spec in specs if spec.name not in columns]
        if absent:
            raise DatasetError(
                f"the model needs the columns {_listed(spec.name for spec in specs)}, and the data set has "
                f"{_listed(columns) or 'none'}; name them with columns=",
                column=absent[0],
            )
        return cls(tuple(TrainingColumn.of(spec, columns[spec.name]) for spec in specs))

    def __len__(self) -> int:
        return len(self.columns)

    def __str__(self) -> str:
        shown = []
        for column in self.columns:
            values = ["missing" if text is None else text for text in column.categories]
            if column.limits is not None:
                values = [f"{column.limits[0]:g} to {column.limits[1]:g}"]
            shown.append(f"{column.spec.name} ({', '.join(values[:_SHOWN])}{', ...' * (len(values) > _SHOWN)})")
        return ", ".join(shown)

    @property
    def specs(self) -> tuple[ColumnSpec, ...]:
        """Specs of the columns."""
        return tuple(column.spec for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.spec.name for column in self.columns)

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the columns that are not fixed."""
        return tuple(name for name in self.names if name not in self.fixed)

    def read(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]] | None, n: int) -> ReadColumns:
        """Return the columns of ``n`` antibodies, with the rows that are refused and those that are unlike training.

        Raises
        ------
        DatasetError
            If a column is missing.
        """
        absent = [name for name in self.needed if name not in (columns or {})]
        if absent:
            there = "" if columns is None else f"; the columns are {_listed(columns) or 'none'}"
            raise DatasetError(
                f"the model reads {'the columns ' if len(self) > 1 else 'the column '}{_listed(self.names)} beside the "
                f"sequences: pass a table that has {'it' if len(self) == 1 else 'them'}, or fix values by "
                f"Predictor.with_columns or --column NAME=VALUE{there}",
                column=absent[0],
            )
        codes = np.empty((n, len(self)))
        reasons: dict[int, list[str]] = {}
        warnings: dict[int, list[str]] = {}
        for place, column in enumerate(self.columns):
            name = column.spec.name
            values = [self.fixed[name]] * n if name in self.fixed else list((columns or {})[name])
            codes[:, place] = [column.code(value) for value in values]
            for row in np.flatnonzero(np.isnan(codes[:, place])).tolist():
                reasons.setdefault(row, []).append(column.refusal(values[row]))
            for row, value in enumerate(values):
                if warning := column.warning(value, codes[row, place]):
                    warnings.setdefault(row, []).append(warning)
        return ReadColumns(
            codes,
            {row: "; ".join(texts) for row, texts in sorted(reasons.items())},
            {row: "; ".join(texts) for row, texts in sorted(warnings.items()) if row not in reasons},
        )

    def unseen(self, codes: NDArray[np.float64]) -> list[int]:
        """Return the rows of codes ``(n, k)`` with a category that no training row has."""
        categories = [place for place, column in enumerate(self.columns) if column.spec.values == "category"]
        rows: list[int] = np.flatnonzero((codes[:, categories] == UNSEEN).any(axis=1)).tolist()
        return rows

    @property
    def fixed_values(self) -> dict[str, str | float | None]:
        """The fixed values as they are read: the text of a category, None if it is missing, or a number."""
        return {
            column.spec.name: category(value) if column.spec.values == "category" else column.code(value)
            for column in self.columns
            for name, value in self.fixed.items()
            if name == column.spec.name
        }

    def unlike(self, values: Mapping[str, Any], codes: NDArray[np.float64]) -> int:
        """Return the number of rows of codes ``(n, k)`` that have other values of some columns than these."""
        wanted = {place: column for place, column in enumerate(self.columns) if column.spec.name in values}
        other = [codes[:, place] != column.code(values[column.spec.name]) for place, column in wanted.items()]
        return int(np.any(other, axis=0).sum()) if other else 0

    @property
    def fixed_text(self) -> str:
        """The fixed values as text, which other values do not have; empty if none is fixed."""
        return repr(sorted((name, repr(value)) for name, value in self.fixed.items())) if self.fixed else ""

    def with_fixed(self, values: Mapping[str, Any]) -> "ColumnReading":
        """Return the reading in which these values take the place of a table's.

        Raises
        ------
        DatasetError
            If the model does not read such a column, or refuses the value.
        """
        unknown = sorted(set(values) - set(self.names))
        if unknown:
            raise DatasetError(f"the model reads no column {unknown[0]!r}; it reads {_listed(self.names) or 'none'}")
        fixed = replace(self, fixed={**self.fixed, **values})
        for column in self.columns:
            name = column.spec.name
            if name in values and np.isnan(column.code(values[name])):
                raise DatasetError(column.refusal(values[name]), column=name)
        return fixed

    def values(self, codes: NDArray[np.float64]) -> dict[str, ColumnValues]:
        """Return the columns of training rows from their codes ``(n, k)``. Raises ValueError for other codes."""
        columns: dict[str, ColumnValues] = {}
        for column, row in zip(self.columns, codes.T.tolist(), strict=True):
            values = tuple(map(column.value, row))
            columns[column.spec.name] = values if column.spec.values == "category" else np.array(values, np.float64)
        return columns

    def to_list(self) -> list[dict[str, Any]]:
        """Return the columns as plain JSON values."""
        return [
            {"name": column.spec.name, "values": column.spec.values}
            | ({"limits": list(column.limits)} if column.limits else {"categories": list(column.categories)})
            for column in self.columns
        ]

    @classmethod
    def from_list(cls, columns: Any) -> Self:
        """Return the reading with the columns of `to_list`. Raises TypeError, KeyError or ValueError for others."""
        if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
            raise TypeError("columns must be a list of objects")
        every = []
        for fields in columns:
            spec = ColumnSpec(name=fields["name"], values=fields["values"])
            categories, limits = fields.get("categories", []), fields.get("limits")
            if not all(isinstance(text, str | None) for text in categories):
                raise TypeError("categories must be texts")
            if limits is not None:
                low, high = limits
                limits = float(low), float(high)
            every.append(TrainingColumn(spec, tuple(categories), limits))
        return cls(tuple(every))


_SHOWN = 12
"""Most categories that a text lists."""


def with_columns_read(spec: TrainSpec, columns: Mapping[str, ColumnValues]) -> TrainSpec:
    """Return the spec of a pipeline with the columns that it reads of a training set."""
    return spec.model_copy(update={"extractor": with_columns(spec.extractor, columns_read(spec, columns))})


def columns_read(spec: TrainSpec, columns: Mapping[str, ColumnValues]) -> tuple[ColumnSpec, ...]:
    """Return the columns that a pipeline reads of a training set: those that its extractor names, else all."""
    chosen = columns_of(spec.extractor)
    if chosen or not spec.use_columns:
        return chosen
    return tuple(
        ColumnSpec(name=name, values="category" if isinstance(values, tuple) else "number")
        for name, values in columns.items()
    )


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))


def category(value: Any) -> str | None:
    """Return the text of a category; None if it is missing.

    A number of at most 15 digits has one spelling, 4 for ``4.0`` and 4.0, and true and false are 1 and 0. Text with
    leading zeros, an exponent or more digits stays as it is, so that no two categories become one.

    Examples
    --------
    >>> category(" IgG1 "), category(4.0), category("4"), category("4.0"), category("007"), category("NA")
    ('IgG1', '4', '4', '4', '007', None)
    """
    if is_absent(value):
        return None
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return str(int(text.lower() == "true"))
    if isinstance(value, str) and not (_DECIMAL.fullmatch(text) and sum(map(str.isdigit, text)) <= 15):
        return text
    try:
        return repr(float(text)).removesuffix(".0")
    except ValueError:  # a date, or another type that spells no number
        return text
