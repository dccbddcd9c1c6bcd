"""Substitutions that clear a liability, and what each of them costs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.design.assessment import SAME, Assessed, Assessor, Mutant
from antibody_esm.design.choice import LEAST
from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.rules import Liability
from antibody_esm.design.selection import utility
from antibody_esm.design.variant_liabilities import Liabilities, Place
from antibody_esm.design.variants import Parent, Substitution
from antibody_esm.explain.residue_shares import members
from antibody_esm.features.sources import load
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import AMINO_ACIDS, ModelText
from antibody_esm.specs import AnyExtractorSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class _Tried:
    """Single substitutions that clear a liability."""

    clear: list[Mutant]
    """All of them."""
    clean: list[Mutant]
    """Those that add no liability."""
    plausible: list[Mutant]
    """Those of `clean` that are plausible."""


def fixes(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    *,
    protect: str | Iterable[str | int] = (),
    most: int = 5,
    min_plausibility: float = LEAST,
    language_model: str | Path | AnyExtractorSpec | None = None,
    panel: LiabilityPanel | str | Path | None = None,
    higher_is_better: bool | None = None,
    check: bool | None = None,
) -> "pd.DataFrame":
    """Return the single substitutions that clear each medium or high liability of an antibody, the best first.

    Every residue of every chain is tried with every amino acid. A fix clears the liability, adds no medium or high one,
    is plausible or the germline's residue, and does not raise the predicted risk (does not lower the score if high
    labels are better). Fixes are ordered by the mean of their ranks in risk and plausibility.

    Parameters
    ----------
    predictor
        A fitted model.
    sequence
        A chain, or a pair of heavy and light, that the model reads.
    protect
        Residues that are kept, as in `mutational_scan`.
    most
        Largest number of fixes of one liability.
    min_plausibility, language_model, panel, higher_is_better, check
        As for `propose`.

    Returns
    -------
    One row a fix: ``chain`` (H or L), ``motif``, ``kind``, ``position`` (IMGT), ``index`` (from 1), ``region``,
    ``severity``, ``germline`` of the liability, as in `liabilities`; then ``rank``, ``mutation`` by IMGT position and
    ``mutation_linear``, ``score`` (probability of class 1, or a regressor's value) and its ``change``,
    ``plausibility``, ``to_germline`` (True if the new residue is the germline's), and ``reason``. A liability without
    a fix has one row with ``mutation`` "none", and the reason counts what is against the substitutions that would
    clear it. A residue that the model does not read leaves the score unchanged.

    Raises
    ------
    ValueError
        If no variable domain is recognised, `most` is below 1, or a regressor's direction is not known.
    DatasetError
        If the model does not read the antibody.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.
    """
    import pandas as pd

    if most < 1:
        raise ValueError(f"most must be at least 1, not {most}")
    parent = Parent.of(sequence, predictor, check=check)
    sites = parent.chosen("CDRs,frameworks", protect)
    source = predictor.extractor if language_model is None else load(language_model, predictor.extractor.runtime)
    assessor = Assessor(predictor, [parent], [sites], panel, members(source), higher_is_better, check)
    before = assessor.liabilities[0]
    if before is None:
        raise ValueError("liabilities are those of variable domains, and none is recognised in a chain")
    tried = _tried(assessor, before, min_plausibility)
    needed = list(dict.fromkeys(candidate for each in tried.values() for candidate in each.plausible))
    assessed = assessor.assess(needed)
    row_of = {candidate: row for row, candidate in enumerate(assessed.candidates)}
    rows: list[dict[str, Any]] = []
    for place, liability in before.items():
        part = assessed.part([row_of[each] for each in tried[place].plausible if each in row_of])
        part = part.part(np.flatnonzero(part.rise <= SAME))
        facts = _facts(parent, place, liability)
        ranked = _ranked(part)[:most]
        rows += [facts | _fix(assessor, part, row, rank) for rank, row in enumerate(ranked, 1)]
        if not ranked:
            rows.append(facts | {"mutation": "none", "reason": _reason(tried[place])})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rank": "Int64"})


COLUMNS = (
    *("chain", "motif", "kind", "position", "index", "region", "severity", "germline"),
    *("rank", "mutation", "mutation_linear", "score", "change", "plausibility", "to_germline", "reason"),
)


def _tried(assessor: Assessor, before: Liabilities, least: float) -> dict[Place, _Tried]:
    """Return the single substitutions that clear each liability."""
    tried = {place: _Tried([], [], []) for place in before}
    every = [
        Mutant(0, (Substitution(site.place, residue),))
        for site in assessor.sites[0]
        for residue in AMINO_ACIDS
        if residue != site.residue
    ]
    for candidate, after in zip(every, assessor.liabilities_of(every), strict=True):
        if after is None:
            continue
        clean = assessor.adds_none(candidate, after)
        plausible = assessor.is_plausible(0, candidate.variant[0], least)
        for place in before.keys() - after.keys():
            tried[place].clear.append(candidate)
            if clean:
                tried[place].clean.append(candidate)
            if clean and plausible:
                tried[place].plausible.append(candidate)
    return tried


def _ranked(part: Assessed) -> list[int]:
    """Return the rows in the order of risk and plausibility; of risk alone if plausibility is unknown."""
    gains = [-part.rise] + ([] if np.isnan(part.plausibility).any() else [part.plausibility])
    return [int(row) for row in np.argsort(-utility(np.column_stack(gains)), kind="stable")]


def _facts(parent: Parent, place: Place, liability: Liability) -> dict[str, Any]:
    pair = ModelText.of(parent.text)
    site = parent.site(pair.starts[place.chain] + place.residue)
    return {
        "chain": site.chain,
        "motif": liability.motif,
        "kind": liability.kind,
        "position": liability.position,
        "index": liability.index + 1,
        "region": liability.region,
        "severity": liability.severity,
        "germline": liability.germline,
    }


def _fix(assessor: Assessor, part: Assessed, row: int, rank: int) -> dict[str, Any]:
    (substitution,) = variant = part.candidates[row].variant
    parent = assessor.parents[0]
    to_germline = assessor.germline[0].get(substitution.place) == substitution.residue
    read = parent.site(substitution.place) in parent.read_sites
    words = ["the germline's residue"] if to_germline else []
    words += [] if read else ["the model does not read this residue"]
    return {
        "rank": rank,
        "mutation": parent.mutations(variant),
        "mutation_linear": parent.mutations(variant, linear=True),
        "score": part.score[row],
        "change": part.score[row] - assessor.score[0],
        "plausibility": part.plausibility[row],
        "to_germline": to_germline,
        "reason": "; ".join(words),
    }


def _reason(tried: _Tried) -> str:
    """Return what stands against every substitution that would clear a liability."""
    if not tried.clear:
        return "no single substitution clears it"
    added, implausible = len(tried.clear) - len(tried.clean), len(tried.clean) - len(tried.plausible)
    against = [
        f"{count} {words}"
        for count, words in (
            (added, "add another liability"),
            (implausible, "are implausible"),
            (len(tried.plausible), "raise the predicted risk"),
        )
        if count
    ]
    return f"of {len(tried.clear)} substitutions that clear it, {', '.join(against)}"
