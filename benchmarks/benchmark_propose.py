"""Replays of design rounds on measured antibodies: hits that are found at equal budget, and the time of a proposal.

A pool of measured antibodies stands for the variants that could be made. Each campaign begins with one random batch,
which all strategies share; then a strategy chooses one batch after the other, learns the labels of each, and is asked
how many of the pool's hits it has measured. Differences to a strategy are paired by campaign. Their intervals are over
the random first batches: the pool is the same, so they say nothing of other pools.

``python benchmark_propose.py 5`` replays 5 campaigns in place of 50. ``python benchmark_propose.py time`` measures a
proposal of 24 out of 10,000 variants.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from antibody_esm import Dataset, LogisticRegressionSpec, Trainer, load_dataset, propose
from antibody_esm.classifiers import build, one_blas_thread
from antibody_esm.design.assessment import charges
from antibody_esm.design.selection import by_edits, diverse, utility
from antibody_esm.features.sources import load

CAMPAIGNS = 50
STRATEGIES = ("random", "net charge", "score", "score and diversity")
TRASTUZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS"
)


class Pool(NamedTuple):
    """Measured antibodies that can be chosen."""

    name: str
    sequences: list[str]
    hit: np.ndarray
    """``(n,)``, True for those that one looks for."""
    vectors: np.ndarray
    charge: np.ndarray
    batch: int
    rounds: int

    def shuffled(self, generator: np.random.Generator) -> "Pool":
        """Return the pool in a random order."""
        order = generator.permutation(len(self.hit))
        return self._replace(
            sequences=[self.sequences[row] for row in order],
            hit=self.hit[order],
            vectors=self.vectors[order],
            charge=self.charge[order],
        )


def pools(extractor: str) -> list[Pool]:
    counted = load_dataset("boughter", labels="count")
    jain, harvey = load_dataset("jain"), load_dataset("harvey")
    return [
        _pool("Boughter, binds no ligand", counted, np.asarray(counted.label) == 0, extractor, 24, 5),
        _pool("Jain, PSR of 0", jain, _best(jain.measurement("psr")), extractor, 24, 3),
        _pool("Harvey, best quarter by PSR", harvey, _best(harvey.measurement("psr"), 4), extractor, 6, 4),
    ]


def _best(value: np.ndarray, share: int = 5) -> np.ndarray:
    """Return True for the lowest values: a share of the antibodies, and all that are equal to the last of them."""
    return value <= np.sort(value)[len(value) // share - 1]


def _pool(name: str, data: Dataset, hit: np.ndarray, extractor: str, batch: int, rounds: int) -> Pool:
    vectors = load(extractor).embed(data.sequences).astype(np.float64)
    text = data.sequences
    return Pool(name, text, hit, vectors, charges(text), batch, rounds)


def replay(pool: Pool, strategy: str, seed: int) -> np.ndarray:
    """Return the share of the hits that were measured after each round, the random first batch included."""
    generator = np.random.default_rng((7, seed))
    pool = pool.shuffled(generator)  # so that ties are broken at random
    measured = list(generator.permutation(len(pool.hit))[: pool.batch])
    shares = [pool.hit[measured].sum()]
    similarity = by_edits(pool.sequences)
    for _ in range(pool.rounds):
        left = np.setdiff1d(np.arange(len(pool.hit)), measured)
        measured += list(left[_choice(pool, strategy, measured, left, generator, similarity)])
        shares.append(pool.hit[measured].sum())
    return np.array(shares) / pool.hit.sum()


def _choice(
    pool: Pool,
    strategy: str,
    measured: list[int],
    left: np.ndarray,
    generator: np.random.Generator,
    similarity: Callable[[int], np.ndarray],
) -> list[int]:
    """Return the places, among those left, of the next batch."""
    hit = pool.hit[measured]
    if strategy == "random" or (strategy != "net charge" and len(set(hit)) < 2):
        return list(generator.permutation(len(left))[: pool.batch])
    if strategy == "net charge":
        return list(np.argsort(pool.charge[left], kind="stable")[: pool.batch])
    model = build(LogisticRegressionSpec(standardize=True, C=0.01), pool.vectors.shape[1])
    score = model.fit(pool.vectors[measured], hit.astype(int)).predict_proba(pool.vectors[left])[:, 1]
    if strategy == "score":
        return list(np.argsort(-score, kind="stable")[: pool.batch])
    return diverse(utility(score[:, None]), lambda row: similarity(int(left[row]))[left], pool.batch)


def benchmark_replays_on_measured_antibodies(campaigns: int = CAMPAIGNS) -> None:
    for extractor in ("descriptors", "sapiens_vh"):
        for pool in pools(extractor):
            with one_blas_thread():
                found = {name: np.array([replay(pool, name, seed) for seed in range(campaigns)]) for name in STRATEGIES}
            budget = pool.batch * (pool.rounds + 1)
            print(f"\n{pool.name}: {len(pool.hit)} antibodies, {pool.hit.sum()} hits")
            print(f"  {extractor}, {campaigns} campaigns, batches of {pool.batch}")
            print(f"  {'strategy':22}{'hits of all after ' + str(budget):>26}   less those of net charge (95 %)")
            for name in STRATEGIES:
                last, reference = found[name][:, -1], found["net charge"][:, -1]
                print(f"  {name:22}{last.mean():>26.3f}   {_paired(last - reference)}")


def _paired(difference: np.ndarray) -> str:
    n = len(difference)
    half = t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    mean = difference.mean()
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"


def benchmark_a_proposal_of_24_of_10000_variants() -> None:
    with tempfile.TemporaryDirectory() as folder:
        predictor = Trainer("sapiens_vh", store=folder).fit(load_dataset("boughter"))
        for what in ("first", "from the store"):
            start = time.perf_counter()
            proposals = propose(predictor, TRASTUZUMAB, 24, 3, candidates=10_000)
            print(f"{len(proposals)} of {proposals.predicted:,} variants, {what}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    if sys.argv[1:] == ["time"]:
        benchmark_a_proposal_of_24_of_10000_variants()
    else:
        benchmark_replays_on_measured_antibodies(*(int(number) for number in sys.argv[1:]))
