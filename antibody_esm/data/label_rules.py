"""Labels that the rule of a provenance defines: the rule of other labels is not known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RuledLabels:
    """Labels of a rule, by antibody."""

    rule: str
    ids: Sequence[str]
    label: NDArray[np.float64]

    def hold(self, ids: Sequence[str], label: NDArray[np.float64] | None) -> bool:
        """Return True if these antibodies have the labels of the rule."""
        if label is None:
            return False
        if len(ids) == len(self.ids) and np.array_equal(label, self.label):
            return True  # by row, so that other names change nothing
        return all(self._by_id.get(name) == value for name, value in zip(ids, label.tolist(), strict=True))

    @cached_property
    def _by_id(self) -> dict[str, float]:
        return dict(zip(self.ids, self.label.tolist(), strict=True))
