"""Contributions and scans of a model beside what is known of polyreactive antibodies, and beside simple counts.

AntiBERTy and logistic regression on the heavy chains of Boughter et al. 2020; docs/validation.md has what came out, and
what it means. The published files are needed, see docs/data/boughter.md.

    python benchmarks/validation.py [antibodies to scan, 24 by default]
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, spearmanr

from antibody_esm import Dataset, LogisticRegressionSpec, Predictor, SplitSpec, Trainer, load_dataset
from antibody_esm.classifiers import build, one_blas_thread
from antibody_esm.explain import mutational_scan, residue_contributions
from antibody_esm.sequences import AMINO_ACIDS

CHARGE = np.array([{"R": 1, "K": 1, "D": -1, "E": -1}.get(one, 0) for one in AMINO_ACIDS])
SHUFFLES = 100


def main(antibodies: int = 24) -> None:
    """Print counts, contributions, scans and what they have in common."""
    loops = load_dataset("boughter", fragment="H-CDR3")
    data = load_dataset("boughter")
    label = data.binary_labels()
    counts = np.array([[one.count(letter) for letter in AMINO_ACIDS] for one in loops.sequences])
    weight = count(counts, label, np.asarray(data.groups))
    trainer = Trainer("antiberty", "logreg", SplitSpec(folds=5, by="identity"), store="embeddings/")
    scores = trainer.cross_validate(data).scores
    print(f"\nfolds of clusters: AUC {scores['roc_auc'].mean():.3f}, accuracy {scores['accuracy'].mean():.3f}")
    predictor = trainer.fit(data, uncertainty=False)
    contribution = contribute(predictor, data)
    scan(trainer, predictor, data, counts @ CHARGE, weight, contribution, antibodies)


def count(counts: NDArray[np.int64], label: NDArray[np.int64], group: NDArray[Any]) -> NDArray[np.float64]:
    """Compare residues of CDR-H3 in both classes, and return the weights of a logistic regression on counts."""
    print(
        f"{len(label)} antibodies, {label.sum()} polyreactive. Residues of CDR-H3, mean of specific and polyreactive:"
    )
    shown = {one: counts[:, AMINO_ACIDS.index(one)] for one in "RKDEYWG"}
    shown |= {"length": counts.sum(axis=1), "net charge": counts @ CHARGE, "charges": counts @ np.abs(CHARGE)}
    for name, values in shown.items():
        p = mannwhitneyu(values[label == 0], values[label == 1]).pvalue
        by = ", ".join(
            f"{one} {values[(group == one) & (label == 1)].mean() - values[(group == one) & (label == 0)].mean():+.2f}"
            for one in np.unique(group)
        )
        print(f"  {name:<11}{values[label == 0].mean():6.2f}{values[label == 1].mean():6.2f}  p {p:.0e}  ({by})")
    return np.asarray(build(LogisticRegressionSpec(standardize=True), 20).fit(counts, label)["classify"].coef_[0])


def contribute(predictor: Predictor, data: Dataset) -> NDArray[np.float64]:
    """Return the mean contribution of each amino acid in CDR-H3, less that of the loop it stands in."""
    added: dict[str, list[float]] = {one: [] for one in AMINO_ACIDS}
    for sequence in dict.fromkeys(data.sequences):
        frame = residue_contributions(predictor, sequence).to_frame()
        here = frame[frame["region"] == "CDR3"]
        for residue, value in zip(here["residue"], here["contribution"] - here["contribution"].mean(), strict=True):
            added[residue].append(value)
    return np.array([np.mean(added[one]) for one in AMINO_ACIDS])


def scan(
    trainer: Trainer,
    predictor: Predictor,
    data: Dataset,
    charge: NDArray[np.int64],
    weight: NDArray[np.float64],
    contribution: NDArray[np.float64],
    antibodies: int,
) -> None:
    """Change each residue of CDR-H3 in some antibodies, half of them polyreactive, and compare."""
    label = data.binary_labels()
    generator = np.random.default_rng(0)
    chosen = [
        i
        for one, size in ((0, antibodies // 2), (1, antibodies - antibodies // 2))
        for i in generator.choice(np.flatnonzero(label == one), size, replace=False)
    ]
    frames = [mutational_scan(predictor, data.sequences[i], "CDR3", plausibility=False).to_frame() for i in chosen]
    mutant = np.concatenate([[AMINO_ACIDS.index(one) for one in frame["mutant"]] for frame in frames])
    wild = np.concatenate([[AMINO_ACIDS.index(one) for one in frame["wild_type"]] for frame in frames])
    change = np.concatenate([frame["change"] for frame in frames])
    of = np.repeat(chosen, [len(frame) for frame in frames])
    becomes = np.array([change[mutant == k].mean() for k in range(20)])
    goes = np.array([change[wild == k].mean() if (wild == k).any() else np.nan for k in range(20)])

    print(f"\n{len(change):,} mutants of {len(chosen)} antibodies, CDR-H3")
    print("     weight of count   contribution   change if put in (raise)   change if taken out")
    for k in np.argsort(-becomes):
        raises = (change[mutant == k] > 0).mean()
        of_scan = f"{becomes[k]:+15.3f} ({raises:.0%}){goes[k]:+19.3f}"
        print(f"  {AMINO_ACIDS[k]}{weight[k]:+14.2f}{contribution[k]:+16.4f}{of_scan}")
    delta = CHARGE[mutant] - CHARGE[wild]
    print("\nmean change of the logit by change of charge, in loops that are negative, and neutral or positive:")
    for one in np.unique(delta):
        parts = [change[(delta == one) & part].mean() for part in (charge[of] < 0, charge[of] >= 0)]
        print(f"  {one:+d}   {parts[0]:+.3f}   {parts[1]:+.3f}")

    found = {
        "counts and contributions": rank(weight, contribution),
        "counts and residues put in": rank(weight, becomes),
        "counts and residues taken out": rank(weight, -goes),
        "contributions and residues put in": rank(contribution, becomes),
    }
    for name, value in found.items():
        print(f"{name}: Spearman {value:+.2f}")
    chance = shuffled(trainer, predictor, data, frames, chosen, mutant, weight)
    beaten = (np.abs(chance) >= abs(found["counts and residues put in"])).mean()
    low, high = np.quantile(chance, [0.025, 0.975])
    print(f"counts and residues put in, {SHUFFLES} times with shuffled labels: {low:+.2f} to {high:+.2f}; {beaten:.3f}")


def rank(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of what is known in both."""
    known = ~np.isnan(one) & ~np.isnan(other)
    return float(spearmanr(one[known], other[known]).statistic)


def shuffled(
    trainer: Trainer,
    predictor: Predictor,
    data: Dataset,
    frames: list[Any],
    chosen: list[int],
    mutant: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the correlation with the counts of scans of models that learnt shuffled labels."""
    texts = [data.sequences[i] for i in chosen]
    mutants = [
        text[:at] + one + text[at + 1 :]
        for text, frame in zip(texts, frames, strict=True)
        for at, one in zip(frame["index"], frame["mutant"], strict=True)
    ]
    X, wild, changed = (predictor.vectors(some) for some in (list(data.sequences), texts, mutants))
    changed = changed - np.repeat(wild, [len(frame) for frame in frames], axis=0)
    moved = np.array([changed[mutant == k].mean(axis=0) for k in range(20)])
    generator, label = np.random.default_rng(1), data.binary_labels()
    found = []
    with one_blas_thread():
        for _ in range(SHUFFLES):
            model = build(trainer.spec.classifier, X.shape[1]).fit(X, generator.permutation(label))
            found.append(rank(weight, moved @ model["classify"].coef_[0]))
    return np.array(found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
