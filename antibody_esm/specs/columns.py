"""Spec of a column of a table that a model reads beside the sequences."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from antibody_esm.specs.base import Spec


class ColumnSpec(Spec):
    """Column of a table, such as an isotype or a pH, that stands beside the vectors of sequences.

    Examples
    --------
    >>> ColumnSpec(name="ph", values="number")
    ColumnSpec(name='ph', values='number')
    """

    kind: Literal["column"] = "column"
    name: Annotated[str, Field(min_length=1)]
    values: Literal["category", "number"] = "category"
    """``category``: one feature of 0 and 1 for each category of the training rows, missing values being one of them.
    ``number``: one feature, scaled to mean 0 and variance 1 on the training rows; a missing number is refused."""

    def numbered_by(self, species: Sequence[str]) -> Self:
        """Return self: a column is not numbered."""
        return self

    def pin(self) -> Self:
        """Return self: a column depends on no file."""
        return self
