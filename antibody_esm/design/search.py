"""Search for variants: all single ones, and combinations of the best, each of which is predicted as a whole."""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from antibody_esm.design.assessment import Assessed, Assessor, Mutant
from antibody_esm.design.variants import Variant

_FEWEST = 16
"""Fewest variants and substitutions that are combined."""


def explore(
    assessor: Assessor,
    *,
    mutations: int,
    candidates: int,
    least: float,
    admissible: Callable[[Assessed], NDArray[np.bool_]],
    utility: Callable[[Assessed], NDArray[np.float64]],
    generator: np.random.Generator,
) -> Assessed:
    """Return the variants that were predicted, by number of substitutions.

    First every single substitution that is plausible enough; if more than one is allowed, a random part of them where
    they are more than half of the candidates. Then each of the best variants with one substitution less
    is combined with each of the best single ones. Sums of effects are never used: every combination goes through the
    language model. Where there are more than the number of candidates allows, a random part is taken.

    Parameters
    ----------
    mutations
        Largest number of substitutions.
    candidates
        Largest number of variants that are predicted.
    least
        Lowest plausibility of each substitution, see `Assessor.is_plausible`.
    admissible
        Variants that may be proposed, and combined further.
    utility
        Order of the variants that may be.
    """
    singles = _sample(assessor.singles(least), candidates if mutations == 1 else ceil(candidates / 2), generator)
    every = assessor.assess(singles)
    best = _best(every, admissible, utility)
    kept, base = best, best
    for depth in range(2, mutations + 1):
        budget = (candidates - len(singles)) // (mutations - depth + 1)
        width = max(_FEWEST, ceil(sqrt(2 * budget)))
        combined = _sample(_combined(kept[:width], base[:width]), budget, generator)
        if not combined:
            break
        assessed = assessor.assess(combined)
        candidates -= len(combined)
        every = every.and_(assessed)
        kept = _best(assessed, admissible, utility)
    return every


def _best(
    assessed: Assessed,
    admissible: Callable[[Assessed], NDArray[np.bool_]],
    utility: Callable[[Assessed], NDArray[np.float64]],
) -> list[Mutant]:
    """Return the variants that may be combined further, the best first."""
    rows = np.flatnonzero(admissible(assessed))
    part = assessed.part(rows)
    return [part.candidates[row] for row in np.argsort(-utility(part), kind="stable")]


def _combined(variants: Sequence[Mutant], singles: Sequence[Mutant]) -> list[Mutant]:
    """Return every variant with one more substitution of the same parent at another place, each once."""
    combined: dict[Mutant, None] = {}
    for (parent, variant), (other, single) in product(variants, singles):
        if parent == other and single[0].place not in {each.place for each in variant}:
            combined[Mutant(parent, _sorted((*variant, *single)))] = None
    return list(combined)


def _sorted(variant: Variant) -> Variant:
    return tuple(sorted(variant))


def _sample(candidates: list[Mutant], number: int, generator: np.random.Generator) -> list[Mutant]:
    """Return a random part of candidates, in their order; all if there are no more than the number."""
    if len(candidates) <= number:
        return candidates
    return [candidates[row] for row in np.sort(generator.choice(len(candidates), max(0, number), replace=False))]
