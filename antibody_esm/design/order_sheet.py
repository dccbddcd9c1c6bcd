"""Table of the variants to order, with the reason of each in words."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.design.assessment import Assessed, Assessor, charges
from antibody_esm.design.measured import MeasuredTexts
from antibody_esm.sequences import ModelText, any_pair

if TYPE_CHECKING:
    import pandas as pd


class OrderSheet:
    """Tables of assessed variants.

    Parameters
    ----------
    assessor
        The parents, and the model.
    measured
        Measured antibodies.
    names
        Names of the parents.
    absent
        Reasons by the names of columns that are unknown.
    """

    def __init__(
        self, assessor: Assessor, measured: MeasuredTexts, names: Sequence[str], absent: Mapping[str, str]
    ) -> None:
        self._assessor = assessor
        self._measured = measured
        self._names = names
        self._absent = absent

    def table(self, batch: Assessed, front: NDArray[np.bool_]) -> "pd.DataFrame":
        """Return the columns of `Proposals.to_frame` for a batch in its order."""
        import pandas as pd

        model = self._assessor.predictor
        scores = model.score_table(batch.antibodies, check=self._assessor.check)
        columns: dict[str, Any] = {
            "rank": np.arange(1, len(front) + 1),
            "id": [self._id(*each) for each in self._rows(batch)],
        }
        columns |= _chains(batch.antibodies)
        columns |= self._named(batch)
        ends = () if "interval" in self._absent else ("low", "high")
        if model.spec.is_regression:
            columns |= {name: scores[name].to_numpy() for name in ("prediction", *ends)}
        else:
            columns["prediction"] = scores["calibrated"].to_numpy() if ends else batch.score
            columns |= {name: scores[f"calibrated_{name}"].to_numpy() for name in ends}
            columns["probability"] = batch.score
        columns |= self._objectives(batch)
        columns["pareto"] = front
        warnings = scores["warning"].tolist()
        columns["reason"] = [self._reason(batch, row, warnings[row]) for row in range(len(front))]
        return pd.DataFrame(columns)

    def everything(self, possible: Assessed, front: NDArray[np.bool_], chosen: Sequence[int]) -> "pd.DataFrame":
        """Return the columns of `Proposals.everything`."""
        import pandas as pd

        ranks = np.zeros(len(front), np.int64)
        ranks[list(chosen)] = np.arange(1, len(chosen) + 1)
        columns = self._named(possible) | {"score": possible.score} | self._objectives(possible, distance=False)
        return pd.DataFrame(columns | {"pareto": front, "rank": ranks})

    def _named(self, variants: Assessed) -> dict[str, list[str]]:
        parents = [self._assessor.parents[each.parent] for each in variants.candidates]
        rows = list(zip(parents, variants.candidates, strict=True))
        return {
            "parent": [self._names[each.parent] for each in variants.candidates],
            "mutations": [parent.mutations(each.variant) for parent, each in rows],
            "mutations_linear": [parent.mutations(each.variant, linear=True) for parent, each in rows],
        }

    def _objectives(self, variants: Assessed, *, distance: bool = True) -> dict[str, Any]:
        columns: dict[str, Any] = {"plausibility": variants.plausibility}
        columns["liabilities"] = [len(each or ()) for each in variants.liabilities]
        columns["substitutions"] = [len(each.variant) for each in variants.candidates]
        columns["charge"] = charges(variants.read).astype(np.int64)
        if distance and "distance" not in self._absent:
            columns["distance"] = self._measured.distance(variants.read).astype(np.int64)
        return {name: column for name, column in columns.items() if name not in self._absent}

    def _rows(self, variants: Assessed) -> list[tuple[str, str]]:
        return [
            (self._names[each.parent], text)
            for each, text in zip(variants.candidates, variants.antibodies, strict=True)
        ]

    @staticmethod
    def _id(parent: str, antibody: str) -> str:
        """Return a name that is the same in every round: the parent's, and a digest of the sequence."""
        parent = re.sub(r"^[=+\-@]+|[\x00-\x1f\x7f]+", "_", parent)  # a spreadsheet would compute it
        return f"{parent}_{hashlib.sha256(antibody.encode()).hexdigest()[:8]}"

    def _reason(self, batch: Assessed, row: int, warning: str) -> str:
        assessor, (parent, variant) = self._assessor, batch.candidates[row]
        what = "value" if assessor.predictor.spec.is_regression else "probability"
        words = [f"{what} {assessor.score[parent]:.3g} to {batch.score[row]:.3g}"]
        before, after = assessor.liabilities[parent], batch.liabilities[row]
        if before is not None and after is not None:
            gone = {place: each for place, each in before.items() if place not in after}
            letters = "HL" if ModelText.of(batch.antibodies[row]).is_pair else ("", "")
            cleared = [f"{each.motif} at {letters[place.chain]}{each.position}" for place, each in gone.items()]
            words.append(f"clears {', '.join(cleared)}" if cleared else "adds no liability")
        germline = sum(assessor.germline[parent].get(place) == residue for place, residue in variant)
        if germline:
            words.append(f"{germline} of {len(variant)} residues {'is' if germline == 1 else 'are'} the germline's")
        if warning:
            words.append(f"warning: {warning}")
        return "; ".join(words)


def _chains(antibodies: Sequence[str]) -> dict[str, list[str]]:
    """Return the chains of antibodies by column."""
    if not any_pair(antibodies):
        return {"sequence": list(antibodies)}
    pairs = [ModelText.of(antibody).chains for antibody in antibodies]
    return {"heavy": [chains[0] for chains in pairs], "light": [chains[1] for chains in pairs]}
