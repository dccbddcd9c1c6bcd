"""What every single mutation would do to a prediction, and whether a language model finds it plausible."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.ensemble import Ensemble
from antibody_esm.explain.chain import Place, places, select
from antibody_esm.explain.contributions import Unit, scores
from antibody_esm.explain.germline import germline
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.masked import MaskedLanguageModel
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import AMINO_ACIDS, BETWEEN, normalise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Scan:
    """Every mutation that was tried. ``print`` shows the best, a notebook the table, `plot` a heat map.

    Attributes
    ----------
    sequence
        The antibody, as it is embedded.
    places
        ``n`` residues that were mutated.
    change
        ``(n, 20)``: by how much the logit of class 1, or the value, changes if the residue becomes each amino acid, in
        the order of their letters; 0 for the residue itself. Negative is less risk.
    plausibility
        ``(n, 20)``: log probability of the mutant less that of the residue, where the language model does not see it;
        None where the model has no head for that.
    absent
        Why there is no plausibility; None if there is.
    germline
        ``(n,)``, the residue of the germline genes at each place, empty where they have none.
    score
        The logit, or value, of the antibody itself.
    unit
        ``logit`` or ``value``.
    """

    sequence: str
    places: tuple[Place, ...]
    change: NDArray[np.float64]
    plausibility: NDArray[np.float64] | None
    absent: str | None
    germline: tuple[str, ...]
    score: float
    unit: Unit

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each mutation, that which lowers the prediction most first.

        Columns: mutation (``H:S50R``, by IMGT position), chain, position, region, index, wild_type, mutant, change,
        plausibility (where there is one), germline (whether the mutant is the germline's residue), probability (where
        it has one), pareto (whether no other mutation is both less risky and at least as plausible; of plausible ones).
        """
        import pandas as pd

        rows = []
        for i, place in enumerate(self.places):
            for j, mutant in enumerate(AMINO_ACIDS):
                if mutant == place.residue:
                    continue
                chain = f"{place.chain}:" if place.chain else ""
                rows.append(
                    {
                        "mutation": f"{chain}{place.residue}{place.name}{mutant}",
                        "chain": place.chain,
                        "position": place.name,
                        "region": place.region,
                        "index": place.index,
                        "wild_type": place.residue,
                        "mutant": mutant,
                        "change": self.change[i, j],
                        **({} if self.plausibility is None else {"plausibility": self.plausibility[i, j]}),
                        "germline": mutant == self.germline[i],
                        **({} if self.unit == "value" else {"probability": _logistic(self.score + self.change[i, j])}),
                    }
                )
        found = pd.DataFrame(rows)
        if self.plausibility is not None:
            found["pareto"] = _front(found["change"].to_numpy(), found["plausibility"].to_numpy())
        return found.sort_values(["change", "mutation"], kind="stable", ignore_index=True)

    def pareto(self) -> "pd.DataFrame":
        """Return the mutations of which none is beaten in both risk and plausibility, the least risky first.

        Raises
        ------
        ValueError
            If there is no plausibility.
        """
        if self.plausibility is None:
            raise ValueError(f"without plausibility there is no such front: {self.absent}")
        found = self.to_frame()
        return found[found["pareto"]].reset_index(drop=True)

    def __str__(self) -> str:
        from antibody_esm.explain.picture import ranked

        return ranked(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(self.to_frame().head(20)._repr_html_())  # type: ignore[operator]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw a heat map of places and amino acids; blue is less risk, red is more. Return the axes."""
        from antibody_esm.explain.picture import heat_map

        return heat_map(self, ax)

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_frame` as CSV, and return the path."""
        self.to_frame().to_csv(path, index=False)
        return Path(path)


def mutational_scan(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    positions: Sequence[str] | None = None,
    *,
    protect: Sequence[str] = (),
    plausibility: bool = True,
) -> Scan:
    """Return what every single mutation of an antibody would do to its prediction.

    Each mutant goes through the store, and through the language model once. Of a VH of 120 residues they are 2,280.

    Parameters
    ----------
    predictor
        The model.
    sequence
        One chain, or a pair, as the model reads them.
    positions
        What is mutated: IMGT positions (``111A``), ranges (``27-38``), regions (``CDR3``), ``CDRs`` or ``frameworks``,
        with ``H:`` or ``L:`` before them for one chain of a pair. None is every residue.
    protect
        What is left alone, such as the paratope, in the same way.
    plausibility
        Whether to ask the language model, which takes another pass for each place.

    Raises
    ------
    ValueError
        If a position is not there, or nothing is left to mutate.
    SequenceError, CheckpointError
        As `Predictor.predict` does.
    """
    (text,) = normalise([sequence], pairs=True)
    known = places(text)
    chosen = {one.index for one in known} if positions is None else select(known, positions)
    chosen -= select(known, protect) if protect else set()
    kept = tuple(one for one in known if one.index in chosen)
    if not kept:
        raise ValueError("nothing is left to mutate: every chosen residue is protected")
    mutants = {
        (i, j): text[: one.index] + mutant + text[one.index + 1 :]
        for i, one in enumerate(kept)
        for j, mutant in enumerate(AMINO_ACIDS)
        if mutant != one.residue
    }
    found = scores(predictor, [text, *mutants.values()])
    change = np.zeros((len(kept), 20))
    for (i, j), score in zip(mutants, found[1:], strict=True):
        change[i, j] = score - found[0]
    likely, absent = _plausibility(predictor, text, kept) if plausibility else (None, "it was not asked for")
    unit: Unit = "value" if predictor.spec.is_regression else "logit"
    return Scan(
        text,
        kept,
        change,
        likely,
        absent,
        germline(text, kept),
        float(found[0]),
        unit,
    )


def _plausibility(
    predictor: Predictor, text: str, kept: Sequence[Place]
) -> tuple[NDArray[np.float64] | None, str | None]:
    """Return log odds of each amino acid to the residue, ``(n, 20)``; or None, and why."""
    extractor = predictor.extractor
    if isinstance(extractor, Ensemble):
        extractor = next((one for one in extractor.members if isinstance(one, Extractor)), extractor.members[0])
    if not isinstance(extractor, Extractor):
        return None, "descriptors know no language"
    model = MaskedLanguageModel(extractor)
    if model.absent is not None:
        return None, model.absent
    found = np.zeros((len(kept), 20))
    start = 0
    for chain in text.split(BETWEEN):
        rows = [i for i, one in enumerate(kept) if start <= one.index < start + len(chain)]
        if rows:
            logs = model.log_probabilities(chain, [kept[i].index - start for i in rows])
            for row, log in zip(rows, logs, strict=True):
                residue = kept[row].residue
                itself = log[AMINO_ACIDS.index(residue)] if residue in AMINO_ACIDS else np.nan
                found[row] = log - itself
        start += len(chain) + 1
    return found, None


def _front(risk: NDArray[np.float64], plausibility: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows no other one beats in both, being better in one."""
    order = np.lexsort((-plausibility, risk))
    found = np.zeros(len(risk), np.bool_)
    best, at = -np.inf, np.nan
    for i in order:
        if plausibility[i] > best or (plausibility[i] == best and risk[i] == at):
            found[i], best, at = True, plausibility[i], risk[i]
    return found


def _logistic(score: float) -> float:
    return float(1 / (1 + np.exp(-score)))
