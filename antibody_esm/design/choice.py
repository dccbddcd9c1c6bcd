"""The search for variants to make next, and the choice of a batch."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from antibody_esm.design.assessment import SAME, Assessed, Assessor, charges
from antibody_esm.design.measured import MeasuredTexts
from antibody_esm.design.order_sheet import OrderSheet
from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.proposals import Proposals
from antibody_esm.design.search import explore
from antibody_esm.design.selection import DIVERSITY, by_edits, diverse, utility
from antibody_esm.design.variants import Parent
from antibody_esm.explain.pareto import pareto
from antibody_esm.explain.residue_shares import members
from antibody_esm.features.sources import load
from antibody_esm.predictor import Predictor
from antibody_esm.specs import AnyExtractorSpec
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    from antibody_esm.data.antibodies import Antibodies

Objective = Literal["risk", "plausibility", "liabilities", "substitutions", "distance", "charge"]
"""Property by which a batch is chosen. Lower risk, higher plausibility and a lower net charge (K + R - D - E of what
the model reads) are better, and fewer liabilities, substitutions and edits from the nearest measured antibody."""
OBJECTIVES: tuple[Objective, ...] = ("risk", "plausibility", "liabilities")
LEAST = -3.0
"""Lowest plausibility of a substitution: the language model gives it a twentieth of the probability of the residue
that is there."""


def propose(
    predictor: Predictor,
    sequence: "str | tuple[str, str] | Mapping[str, str | tuple[str, str]]",
    size: int = 24,
    mutations: int = 3,
    *,
    positions: str | Iterable[str | int] | None = None,
    protect: str | Iterable[str | int] = (),
    parents: "Iterable[str | tuple[str, str]]" = (),
    measured: "Antibodies | None" = None,
    objectives: Sequence[Objective] = OBJECTIVES,
    diversity: float = DIVERSITY,
    candidates: int = 2_000,
    min_plausibility: float = LEAST,
    language_model: str | Path | AnyExtractorSpec | None = None,
    panel: LiabilityPanel | str | Path | None = None,
    higher_is_better: bool | None = None,
    seed: int = 0,
    check: bool | None = None,
) -> Proposals:
    """Return variants of an antibody to make next. The same arguments give the same variants.

    Variants have lower predicted risk than their parent (a higher score if high labels are better), add no medium or
    high liability, and were not measured: no variant is read by the model as a training antibody is. Every variant,
    of one or several substitutions, goes through the language model as a whole; effects are not summed. See
    `design.search.explore` for the search. The batch is chosen by `design.selection.utility` of the objectives, and
    candidates that differ are preferred, see `design.selection.diverse`.

    Parameters
    ----------
    predictor
        A fitted model. Its store keeps the vectors, so that the next call continues from them.
    sequence
        A chain, or a pair of heavy and light; or several by name.
    size
        Largest number of variants.
    mutations
        Largest number of substitutions of a variant.
    positions
        Residues that may be substituted, as in `mutational_scan`; None: all that the model reads.
    protect
        Residues that are kept, such as those of the paratope, in the same form.
    parents
        Further antibodies from which variants are made.
    measured
        Further antibodies that were measured. Other molecules than the model reads are ignored; other letters than
        amino acids are an error.
    objectives
        What the batch is chosen by, see `Objective`. An objective that is unknown is left out.
    diversity
        From 0 (the best, whatever they are) to 1.
    candidates
        Largest number of variants that are predicted.
    min_plausibility
        Lowest plausibility of each substitution (log-odds); the germline's residue is plausible always.
    language_model
        Language model that judges plausibility, such as ``"sapiens_vh"``; None: those of the predictor.
    panel
        Panel of liabilities, or a JSON file of it; None is the built-in one.
    higher_is_better
        True if high values, or class 1, are wanted. None: the direction of the model's label; class 1 is not wanted.
    seed
        Of the random part of combinations that is predicted, where there are more than `candidates`.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If a number is out of range, an objective is unknown, no position is left, or it is not known whether high
        values of a regressor are better.
    DatasetError
        If the model does not read an antibody.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`.
    """
    _refuse(size, mutations, candidates, diversity, objectives)
    named = _named(sequence, parents)
    every = [Parent.of(antibody, predictor, check=check) for antibody in named.values()]
    sites = [parent.chosen(positions, protect) for parent in every]
    if not all(sites):
        raise ValueError("no position is left to substitute")
    source = predictor.extractor if language_model is None else load(language_model, predictor.extractor.runtime)
    assessor = Assessor(predictor, every, sites, panel, members(source), higher_is_better, check)
    further = [] if measured is None else predictor.read(measured, check=check)[1].accepted
    texts_measured = MeasuredTexts.of(predictor, further)
    absent = _absent(assessor, texts_measured)
    used = [name for name in objectives if name not in absent]
    if not used:
        raise ValueError(f"no objective is known: {'; '.join(f'{name}: {absent[name]}' for name in objectives)}")
    own = {parent.read for parent in every}

    def gains(assessed: Assessed) -> NDArray[np.float64]:
        return np.column_stack([_gain(name, assessed, assessor, texts_measured) for name in used])

    def admissible(assessed: Assessed) -> NDArray[np.bool_]:
        clean = [assessor.adds_none(*each) for each in zip(assessed.candidates, assessed.liabilities, strict=True)]
        others = np.array([text not in own for text in assessed.read], bool)
        return np.asarray(
            (assessed.rise < -SAME) & np.array(clean, bool) & others & ~texts_measured.holds(assessed.read), bool
        )

    assessed = explore(
        assessor,
        mutations=mutations,
        candidates=candidates,
        least=min_plausibility,
        admissible=admissible,
        utility=lambda part: utility(gains(part)),
        generator=np.random.default_rng(seed),
    )
    possible = _distinct(assessed.part(np.flatnonzero(admissible(assessed))))
    value = gains(possible)
    chosen = diverse(utility(value), by_edits(possible.antibodies), size, diversity)
    order = OrderSheet(assessor, texts_measured, list(named), absent)
    front = pareto(value)
    table = order.table(possible.part(chosen), front[chosen])
    singles = len(assessor.singles(min_plausibility))
    tried = sum(len(each.variant) == 1 for each in assessed.candidates)
    if tried < singles:
        absent["all single substitutions"] = f"{tried:,} of {singles:,} were predicted (candidates={candidates})"
    if len(table) < size:
        absent["further variants"] = _too_few(assessed, assessor)
    everything = order.everything(possible, front, chosen)
    texts = {name: parent.text for name, parent in zip(named, every, strict=True)}
    scores = dict(zip(named, assessor.score.tolist(), strict=True))
    score = "value" if predictor.spec.is_regression else "probability of class 1"
    wanted = f"a {'lower' if assessor.sign > 0 else 'higher'} {score}"
    return Proposals(table, everything, texts, scores, len(assessed.candidates), absent, wanted)


def _refuse(size: int, mutations: int, candidates: int, diversity: float, objectives: Sequence[str]) -> None:
    for name, value in (("size", size), ("mutations", mutations), ("candidates", candidates)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity is from 0 to 1, not {diversity}")
    unknown = [name for name in objectives if name not in get_args(Objective)]
    if unknown or not objectives:
        raise ValueError(f"objectives are some of {', '.join(get_args(Objective))}, not {', '.join(unknown) or 'none'}")


def _named(
    sequence: str | tuple[str, str] | Mapping[str, str | tuple[str, str]], parents: Iterable[str | tuple[str, str]]
) -> dict[str, str | tuple[str, str]]:
    """Return all parents by name."""
    named = dict(sequence) if isinstance(sequence, Mapping) else {"parent": sequence}
    if not named:
        raise ValueError("there is no antibody to make variants of")
    if isinstance(parents, str):
        raise TypeError("parents is a list of antibodies, not one text")
    numbers = (f"parent{i}" for i in range(2, 2**31))
    every = named | {next(name for name in numbers if name not in named): parent for parent in parents}
    if len({"|" in parent if isinstance(parent, str) else True for parent in every.values()}) > 1:
        raise ValueError("the antibodies are pairs and single chains; give both chains of all, or one of all")
    return every


def _absent(assessor: Assessor, measured: MeasuredTexts) -> dict[str, str]:
    absent = {}
    if assessor.plausibility_unknown:
        absent["plausibility"] = assessor.plausibility_unknown
    if None in assessor.liabilities:
        absent["liabilities"] = "no variable domain is recognised"
    if measured.unknown:
        absent["distance"] = measured.unknown
    if isinstance(assessor.predictor.uncertainty, Unknown):
        absent["interval"] = str(assessor.predictor.uncertainty)
    return absent


def _gain(name: Objective, assessed: Assessed, assessor: Assessor, measured: MeasuredTexts) -> NDArray[np.float64]:
    """Return an objective of every variant, ``(n,)``; higher is better."""
    if name == "risk":
        return -assessor.sign * assessed.score
    if name == "plausibility":
        return assessed.plausibility
    if name == "distance":
        return -measured.distance(assessed.read)
    if name == "charge":
        return -charges(assessed.read)
    counts = assessed.liabilities if name == "liabilities" else [each.variant for each in assessed.candidates]
    return -np.array([len(each or ()) for each in counts], np.float64)


def _distinct(assessed: Assessed) -> Assessed:
    """Return every antibody once: two parents may have the same variant."""
    rows = {antibody: row for row, antibody in reversed(list(enumerate(assessed.antibodies)))}
    return assessed.part(sorted(rows.values()))


def _too_few(assessed: Assessed, assessor: Assessor) -> str:
    """Return the reasons why no more variants may be proposed, with their numbers."""
    rise = int((assessed.rise >= -SAME).sum())
    added = sum(not assessor.adds_none(*each) for each in zip(assessed.candidates, assessed.liabilities, strict=True))
    return (
        f"of {len(assessed.candidates):,} that were predicted, {rise:,} do not lower the risk and {added:,} add a "
        "liability; allow other positions, more mutations or a lower min_plausibility"
    )
