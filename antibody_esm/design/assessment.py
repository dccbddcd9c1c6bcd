"""Facts about variants before they are made: predicted risk, plausibility and liabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.reading import Reading
from antibody_esm.design.panel import LiabilityPanel
from antibody_esm.design.variant_liabilities import Liabilities, Search, added
from antibody_esm.design.variants import Parent, Substitution, Variant
from antibody_esm.explain.plausibility import log_odds
from antibody_esm.explain.residue_shares import members
from antibody_esm.explain.sites import Site
from antibody_esm.features.sources import Single
from antibody_esm.numbering import number
from antibody_esm.numbering.germline import germline_of
from antibody_esm.plm.extractor import Extractor
from antibody_esm.predictor import Predictor
from antibody_esm.sequences import AMINO_ACIDS, ModelText
from antibody_esm.specs.language_models import OF_ONE_CHAIN
from antibody_esm.unknown import Unknown

SAME = 1e-9
"""Scores that differ by less are the same: the last bits of a prediction depend on the rows beside it."""


class Mutant(NamedTuple):
    """A variant of one of several parents."""

    parent: int
    variant: Variant


@dataclass(frozen=True, eq=False)
class Assessed:
    """Candidates that the model reads, with the facts about them; in the order of the request."""

    candidates: list[Mutant]
    antibodies: list[str]
    """All chains of each."""
    read: list[str]
    """Text of each that the model reads."""
    score: NDArray[np.float64]
    """``(n,)``, probability of class 1, or a regressor's value."""
    rise: NDArray[np.float64]
    """``(n,)``, predicted risk less that of the parent: of the score, or of its negative if high labels are better."""
    plausibility: NDArray[np.float64]
    """``(n,)``, sum over the substitutions; NaN if unknown."""
    liabilities: list[Liabilities | None]

    def part(self, rows: Sequence[int] | NDArray[np.int64]) -> "Assessed":
        """Return the candidates at these rows."""
        rows = [int(row) for row in rows]
        return Assessed(
            [self.candidates[row] for row in rows],
            [self.antibodies[row] for row in rows],
            [self.read[row] for row in rows],
            self.score[rows],
            self.rise[rows],
            self.plausibility[rows],
            [self.liabilities[row] for row in rows],
        )

    def and_(self, other: "Assessed") -> "Assessed":
        """Return these candidates, and others after them."""
        return Assessed(
            self.candidates + other.candidates,
            self.antibodies + other.antibodies,
            self.read + other.read,
            np.concatenate([self.score, other.score]),
            np.concatenate([self.rise, other.rise]),
            np.concatenate([self.plausibility, other.plausibility]),
            self.liabilities + other.liabilities,
        )


class Assessor:
    """The parents, and everything by which their variants are judged.

    Parameters
    ----------
    predictor
        A fitted model.
    parents
        Antibodies that it reads.
    sites
        Sites of each parent that may be substituted.
    panel
        Panel of liabilities; None is the built-in one.
    sources
        Language models that judge plausibility: those of the predictor the residues that it reads, others all.
    higher_is_better
        True if high values, or class 1, are wanted; None is the model's own direction, and class 1 is not wanted.
    check
        As for `Predictor.predict`; it holds for variants too.

    Raises
    ------
    ValueError
        If a regressor does not say whether high values are better.
    """

    def __init__(
        self,
        predictor: Predictor,
        parents: Sequence[Parent],
        sites: Sequence[Sequence[Site]],
        panel: LiabilityPanel | str | Path | None,
        sources: Sequence[Single],
        higher_is_better: bool | None = None,
        check: bool | None = None,
    ) -> None:
        self.predictor = predictor
        self.parents = parents
        self.sites = sites
        self.check = check
        reading = predictor.reading
        self._search = Search(panel, reading.species, reading.engines)
        self.sign = -1 if _high_is_good(predictor, higher_is_better) else 1
        self.liabilities = self._search.of([parent.text for parent in parents])
        self.score = predictor.predict_read([parent.read for parent in parents])
        own = tuple(sources) == members(predictor.extractor)
        chain = _chain_of(sources)
        judged = [_judged(parent, here, chain, own=own) for parent, here in zip(parents, sites, strict=True)]
        self.log_odds = [log_odds(sources, parent.text, here) for parent, here in zip(parents, judged, strict=True)]
        self.germline = [_germline(parent, reading) for parent in parents]
        self._odds = [
            {} if isinstance(odds, Unknown) else {site.place: row for site, row in zip(here, odds, strict=True)}
            for odds, here in zip(self.log_odds, judged, strict=True)
        ]

    @property
    def plausibility_unknown(self) -> str:
        """Reason why plausibility is unknown at a site that may be substituted; empty if it is known at all."""
        for odds, here, chosen in zip(self.log_odds, self._odds, self.sites, strict=True):
            if isinstance(odds, Unknown):
                return str(odds)
            if not_judged := sorted({site.chain for site in chosen if site.place not in here}):
                return f"the language model judges no residues of chain {' and '.join(not_judged)} here"
        return ""

    def singles(self, least: float) -> list[Mutant]:
        """Return every single substitution that is plausible enough, or gives the germline's residue."""
        return [
            Mutant(i, (Substitution(site.place, residue),))
            for i, here in enumerate(self.sites)
            for site in here
            for residue in AMINO_ACIDS
            if residue != site.residue and self.is_plausible(i, Substitution(site.place, residue), least)
        ]

    def is_plausible(self, parent: int, substitution: Substitution, least: float) -> bool:
        """Return whether a substitution has at least a plausibility, which may be unknown, or is the germline's."""
        value = self.plausibility(parent, (substitution,))
        return not value < least or self.germline[parent].get(substitution.place) == substitution.residue

    def plausibility(self, parent: int, variant: Variant) -> float:
        """Return the sum of the plausibilities of substitutions; NaN if it is unknown."""
        odds = self._odds[parent]
        return float(
            sum(
                odds[place][AMINO_ACIDS.index(residue)] if place in odds else float("nan") for place, residue in variant
            )
        )

    def liabilities_of(self, candidates: Sequence[Mutant]) -> list[Liabilities | None]:
        """Return the liabilities of candidates."""
        return self._search.of([self._text(each) for each in candidates])

    def adds_none(self, candidate: Mutant, liabilities: Liabilities | None) -> bool:
        """Return whether a candidate has no liability that its parent has not; False if it cannot be numbered."""
        before = self.liabilities[candidate.parent]
        return before is None or (liabilities is not None and not added(before, liabilities))

    def assess(self, candidates: Sequence[Mutant], liabilities: Sequence[Liabilities | None] = ()) -> Assessed:
        """Return what is known of candidates; those that the model does not read are left out.

        Every candidate is read and embedded as a whole antibody, as `Predictor.predict` would do.
        """
        texts = [self._text(each) for each in candidates]
        every = list(liabilities) or self._search.of(texts)
        accepted = self.predictor.read(texts, check=self.check)[1]
        rows = accepted.rows
        chosen = [candidates[row] for row in rows]
        score = self.predictor.predict_read(accepted.accepted) if rows else np.empty(0)
        before = self.score[[each.parent for each in chosen]] if rows else np.empty(0)
        same = [text == self.parents[each.parent].read for text, each in zip(accepted.accepted, chosen, strict=True)]
        score = np.where(np.array(same, bool), before, score)  # a substitution that is not read changes no bit
        return Assessed(
            chosen,
            [texts[row] for row in rows],
            accepted.accepted,
            score,
            self.sign * (score - before),
            np.array([self.plausibility(*each) for each in chosen], np.float64),
            [every[row] for row in rows],
        )

    def _text(self, candidate: Mutant) -> str:
        return self.parents[candidate.parent].substituted(candidate.variant)


def _judged(parent: Parent, chosen: Sequence[Site], chain: str, *, own: bool) -> list[Site]:
    """Return the sites whose plausibility is judged: a model of heavy chains is none of light ones."""
    return [site for site in chosen if site.chain in (chain or site.chain) and (not own or site in parent.read_sites)]


def _chain_of(sources: Sequence[Single]) -> str:
    """Return the chain, H or L, that all language models were trained on; empty if they were trained on both."""
    names = {source.spec.model for source in sources if isinstance(source, Extractor)}
    models = {name for name in names if name.startswith("sapiens")}  # AbLang-2 reads pairs too
    chain = OF_ONE_CHAIN.get(names.pop(), "") if len(names) == 1 and models else ""
    return {"heavy": "H", "light": "L"}.get(chain, "")


def charges(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the net charge K + R - D - E of each text, ``(n,)``."""
    return np.array([sum(map(text.count, "KR")) - sum(map(text.count, "DE")) for text in texts], np.float64)


def _high_is_good(predictor: Predictor, higher_is_better: bool | None) -> bool:
    better = predictor.data.higher_is_better if higher_is_better is None else higher_is_better
    if better is None and predictor.spec.is_regression:
        label = predictor.data.label or "the label"
        raise ValueError(
            f"it is not known whether high values of {label} are better; give higher_is_better=True or False "
            "(--higher-is-better, --lower-is-better)"
        )
    return bool(better)


def _germline(parent: Parent, reading: Reading) -> Mapping[int, str]:
    """Return the germline residues of an antibody by place, as far as they are known."""
    germline: dict[int, str] = {}
    pair = ModelText.of(parent.text)
    every = number(pair.chains, species=reading.species, engines=reading.engines)
    for start, domains in zip(pair.starts, every, strict=True):
        for domain in domains:
            for i, residue in enumerate(germline_of(domain), start + domain.start):
                if residue is not None:
                    germline[i] = residue
    return germline
