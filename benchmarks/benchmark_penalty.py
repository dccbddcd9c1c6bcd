"""The penalty that `ridge` chooses on its training folds, beside fixed penalties, on the twelve assays of Jain et al.

Spearman's correlation, mean of ten folds, of ridge regression on AntiBERTy's vectors of both chains.
"""

import numpy as np

from antibody_esm import RidgeSpec, SplitSpec, Trainer, load_dataset

FIXED = (1.0, 10.0, 100.0, 1000.0)


def benchmark_penalty_on_every_assay_of_jain(tmp_path_factory) -> None:
    store = tmp_path_factory.mktemp("store")
    assays = list(load_dataset("jain", labels="psr").measurements)
    data = load_dataset("jain", chain="paired", label=[name for name in assays if name != "flag_groups"])
    print(f"\n{'assay':12}{'n':>5}{'chosen':>9}" + "".join(f"{f'alpha {alpha:g}':>12}" for alpha in FIXED))
    rows = []
    for name in data.targets:
        of_assay = data.target(name)
        scores = [
            Trainer("antiberty", RidgeSpec(alpha=alpha), SplitSpec(), store=store)
            .cross_validate(of_assay)
            .scores["spearman"]
            .mean()
            for alpha in ("cv", *FIXED)
        ]
        rows.append(scores)
        print(f"{name:12}{len(of_assay):5}{scores[0]:9.3f}" + "".join(f"{score:12.3f}" for score in scores[1:]))
    mean = np.mean(rows, axis=0)
    print(f"{'mean':17}{mean[0]:9.3f}" + "".join(f"{score:12.3f}" for score in mean[1:]))
