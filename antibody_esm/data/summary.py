"""Words for a data set: ``repr()``, and the card of a notebook."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.columns import ColumnValues
from antibody_esm.data.provenance import Provenance
from antibody_esm.notebook import card, shortened
from antibody_esm.sequences import Chain

_ROWS = 5


class Summarised:
    """The part of a `Dataset` that shows it in a line or in a notebook."""

    ids: Sequence[str]
    heavy: Sequence[str | None] | None
    light: Sequence[str | None] | None
    label: NDArray[np.float64] | Sequence[float] | None
    groups: Sequence[str] | None
    chain: Chain
    fragment: str | None
    measurements: Mapping[str, NDArray[np.float64] | Sequence[float]]
    targets: tuple[str, ...]
    columns: Mapping[str, ColumnValues]
    label_name: str | None
    provenance: Provenance

    def __repr__(self) -> str:
        return f"Dataset({self.__repr_parts()})"

    def __repr_parts(self) -> str:
        parts = [f"{len(self.ids)} antibodies"]
        if self.targets:
            parts.append(f"{len(self.targets)} labels")
        if self.label is not None:
            label = np.asarray(self.label)
            binary = np.all((label == 0) | (label == 1))
            parts.append(f"{np.count_nonzero(label)} positive" if binary else "numeric labels")
        if self.groups is not None:
            parts.append(f"{len(set(self.groups))} groups")
        if self.columns:
            parts.append(f"column{'s' if len(self.columns) > 1 else ''} {', '.join(self.columns)}")
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        of_rows: dict[str, Any] = {"id": self.ids, "heavy": self.heavy, "light": self.light, "label": self.label}
        of_rows |= {name: self.measurements[name] for name in self.targets[:4]}
        there = {name: values for name, values in of_rows.items() if values is not None}
        chains = ("heavy", "light")
        rows = [
            [_cell(values[row], is_chain=name in chains) for name, values in there.items()]
            for row in range(min(_ROWS, len(self.ids)))
        ]
        facts = [
            ("source", self.provenance.source),
            ("labels", self.provenance.rule or self.label_name or ""),
            ("reads", " ".join(filter(None, (self.chain, self.fragment)))),
            ("measurements", ", ".join(self.measurements)),
            ("left out", f"{len(self.provenance.dropped):,}" if self.provenance.dropped else ""),
        ]
        further = len(self.ids) - len(rows)
        note = f"and {further:,} more: data[:10], data.to_frame(), print(data.provenance)" if further else ""
        return card(f"Dataset: {self.__repr_parts()}", facts, list(there), rows, note)


def _cell(value: Any, *, is_chain: bool) -> str:
    if is_chain:
        return shortened(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:g}"
    return str(value)
