"""Reproduce a published table: AntiBERTy on sixteen parts of Boughter's antibodies, with four classifiers.

The accuracies of Sakhnini et al. 2025 (doi:10.1101/2025.04.28.650927) are read from their figures, to about .005. Parts
are *joined* to one text before the language model reads them, or *side by side* (there: concatenated), where the model
reads each chain, and the vectors of its regions stand beside each other.

    python examples/reproduce_published_table.py [part ...]

The raw files of Boughter et al. are fetched once. All 64 cells take about twenty minutes on two cores; the second run
reads the vectors from the store.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from antibody_esm import EnsembleSpec, ExtractorSpec, Trainer, load_dataset
from antibody_esm.sequences import Chain
from antibody_esm.specs import AnyExtractorSpec

ANTIBERTY = ExtractorSpec(model="antiberty", revision="0.1.3")
LOOPS = EnsembleSpec(members=tuple(ANTIBERTY.views(regions=["cdr1", "cdr2", "cdr3"])), combine="concat")
CLASSIFIERS = {"LR": "logreg", "RF": "random_forest", "GP": "gaussian_process", "XGB": "xgboost"}


class Part(NamedTuple):
    """Part of the antibodies, with its published accuracies."""

    fragment: str
    chain: Chain
    extractor: AnyExtractorSpec
    published: tuple[float, ...]
    """In the order of `CLASSIFIERS`."""


PARTS = {
    "VH": Part("VH", "heavy", ANTIBERTY, (0.696, 0.687, 0.681, 0.682)),
    "H-CDR1": Part("H-CDR1", "heavy", ANTIBERTY, (0.633, 0.655, 0.652, 0.630)),
    "H-CDR2": Part("H-CDR2", "heavy", ANTIBERTY, (0.621, 0.655, 0.646, 0.634)),
    "H-CDR3": Part("H-CDR3", "heavy", ANTIBERTY, (0.607, 0.655, 0.595, 0.627)),
    "H-CDRs joined": Part("H-CDRs", "heavy", ANTIBERTY, (0.642, 0.703, 0.699, 0.693)),
    "H-CDRs side by side": Part("VH", "heavy", LOOPS, (0.674, 0.690, 0.623, 0.680)),
    "VL": Part("VL", "light", ANTIBERTY, (0.525, 0.570, 0.576, 0.592)),
    "L-CDR1": Part("L-CDR1", "light", ANTIBERTY, (0.576, 0.570, 0.550, 0.564)),
    "L-CDR2": Part("L-CDR2", "light", ANTIBERTY, (0.592, 0.582, 0.581, 0.585)),
    "L-CDR3": Part("L-CDR3", "light", ANTIBERTY, (0.579, 0.587, 0.601, 0.597)),
    "L-CDRs joined": Part("L-CDRs", "light", ANTIBERTY, (0.575, 0.606, 0.597, 0.606)),
    "L-CDRs side by side": Part("VL", "light", LOOPS, (0.574, 0.586, 0.578, 0.603)),
    "VH+VL joined": Part("VH+VL", "both", ANTIBERTY, (0.674, 0.682, 0.675, 0.681)),
    "VH+VL side by side": Part("VH+VL", "paired", ANTIBERTY, (0.678, 0.665, 0.643, 0.674)),
    "All CDRs joined": Part("All-CDRs", "both", ANTIBERTY, (0.694, 0.692, 0.681, 0.703)),
    "All CDRs side by side": Part("VH+VL", "paired", LOOPS, (0.691, 0.687, 0.559, 0.663)),
}


def main(parts: Sequence[str] = (), classifiers: Sequence[str] = tuple(CLASSIFIERS)) -> pd.DataFrame:
    """Cross-validate every part with every classifier, and print each accuracy beside the published one."""
    rows = []
    for name in parts or PARTS:
        part = PARTS[name]
        data = load_dataset("boughter", fragment=part.fragment, chain=part.chain)
        for classifier, published in zip(CLASSIFIERS, part.published, strict=True):
            if classifier not in classifiers:
                continue
            trainer = Trainer(part.extractor, CLASSIFIERS[classifier], store="embeddings/")
            accuracy = trainer.cross_validate(data).scores["accuracy"]
            row = {"part": name, "classifier": classifier, "published": published, "here": accuracy.mean()}
            rows.append({**row, "sd of folds": accuracy.std(ddof=1), "difference": accuracy.mean() - published})
            print(f"{name:<22} {classifier:<4} {published:.3f} {accuracy.mean():.3f}", flush=True)
    table = pd.DataFrame(rows)
    near = int((table["difference"].abs() <= 0.04).sum())
    print(f"{near} of {len(table)} within .04, mean difference {table['difference'].mean():+.3f}")
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
