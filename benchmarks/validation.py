"""Contributions and scans of a model, beside what is known of polyreactive antibodies and beside simple counts.

AntiBERTy and logistic regression on the heavy chains of Boughter et al. 2020; docs/validation.md has what came out.

    python benchmarks/validation.py [antibodies to scan, 12 by default]
"""

import sys

import numpy as np
from scipy.stats import mannwhitneyu, spearmanr

from antibody_esm import LogisticRegressionSpec, Trainer, load_dataset
from antibody_esm.classifiers import build
from antibody_esm.explain import mutational_scan, residue_contributions
from antibody_esm.sequences import AMINO_ACIDS

CHARGE = {"R": 1, "K": 1, "D": -1, "E": -1}

antibodies = int(sys.argv[1]) if len(sys.argv) > 1 else 12
data = load_dataset("boughter")
label = data.binary_labels()
loops = load_dataset("boughter", fragment="H-CDR3", drop=True)
loop = dict(zip(loops.ids, loops.sequences, strict=True))
known = [i for i, one in enumerate(data.ids) if one in loop]
in_loop = np.array([[loop[data.ids[i]].count(letter) for letter in AMINO_ACIDS] for i in known])
classes = label[known]

# Simple counts: which residues polyreactive antibodies have more of in CDR-H3.
print(f"{len(known)} antibodies, {classes.sum()} polyreactive; residues in CDR-H3, specific and polyreactive")
charge = in_loop @ [CHARGE.get(letter, 0) for letter in AMINO_ACIDS]
for name, counts in {**{one: in_loop[:, AMINO_ACIDS.index(one)] for one in "RKDEYW"}, "net charge": charge}.items():
    specific, polyreactive = counts[classes == 0], counts[classes == 1]
    p = mannwhitneyu(specific, polyreactive).pvalue
    print(f"  {name:<11}{specific.mean():6.2f}{polyreactive.mean():6.2f}   Mann-Whitney p = {p:.1g}")
simple = build(LogisticRegressionSpec(standardize=True), 20).fit(in_loop, classes)["classify"].coef_[0]

# The model: what residues of CDR-H3 add to its logit, by kind.
trainer = Trainer("antiberty", "logreg", store="embeddings/")
predictor = trainer.fit(data, uncertainty=False)
added: dict[str, list[float]] = {letter: [] for letter in AMINO_ACIDS}
generator = np.random.default_rng(0)
for i in generator.choice(known, min(10 * antibodies, len(known)), replace=False):
    found = residue_contributions(predictor, data.sequences[i])
    for site, value in zip(found.sites, found.contributions, strict=True):
        if site.region == "CDR3" and site.residue in added:
            added[site.residue].append(value)
contribution = np.array([np.mean(added[one]) if added[one] else np.nan for one in AMINO_ACIDS])

# The scan: what the logit does when a residue of CDR-H3 becomes another one.
chosen = [*generator.choice(np.flatnonzero(label == 0), antibodies // 2, replace=False)]
chosen += [*generator.choice(np.flatnonzero(label == 1), antibodies - antibodies // 2, replace=False)]
changes = [mutational_scan(predictor, data.sequences[i], ["CDR3"], plausibility=False).to_frame() for i in chosen]
to = {one: np.concatenate([frame["change"][frame["mutant"] == one] for frame in changes]) for one in AMINO_ACIDS}
scanned = np.array([to[one].mean() for one in AMINO_ACIDS])

print(f"\nCDR-H3: weight of the count, mean contribution, mean change in the scan of {len(chosen)} antibodies")
for k in np.argsort(-scanned):
    print(f"  {AMINO_ACIDS[k]}{simple[k]:+10.2f}{contribution[k]:+12.4f}{scanned[k]:+12.3f}")
for name, one, other in (
    ("counts and scan", simple, scanned),
    ("counts and contributions", simple, contribution),
    ("contributions and scan", contribution, scanned),
):
    kept = ~np.isnan(one) & ~np.isnan(other)
    rank = spearmanr(one[kept], other[kept])
    print(f"{name}: Spearman {rank.statistic:+.2f} (p = {rank.pvalue:.1g}) over {kept.sum()} amino acids")
share = {one: float(np.mean(to[one] > 0)) for one in "RKDE"}
print("share of mutations that raise the logit:", ", ".join(f"to {one} {value:.0%}" for one, value in share.items()))
