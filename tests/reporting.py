"""Data sets and reports of them that tests of several modules need."""

from functools import cache

import numpy as np

from antibody_esm import Dataset, DescriptorSpec, LogisticRegressionSpec, SplitSpec, Trainer
from antibody_esm.data.dataset import Provenance
from antibody_esm.reports.report import Report
from antibody_esm.specs import EstimatorSpec

CHARGES = DescriptorSpec(descriptors=("net_charge", "length"))
LOGREG = LogisticRegressionSpec(standardize=True)
FOUR_FOLDS = SplitSpec(folds=4)
_FAMILIES = ("HIV", "influenza", "gut")


@cache
def antibodies(
    n: int = 60, positives: int | None = None, *, seed: int = 0, continuous: bool = False, source: str = "made up"
) -> Dataset:
    """Return loops whose charge tells their label, but for noise."""
    generator = np.random.default_rng(seed)
    heavy = ["".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), generator.integers(18, 25))) for _ in range(n)]
    charge = np.array([sum("DEHKR".count(one) and ("HKR".count(one) or -1) for one in each) for each in heavy])
    value = charge + generator.normal(size=n)
    label = np.zeros(n)
    label[np.argsort(-value, kind="stable")[: positives or n // 2]] = 1
    psr = np.where(np.arange(n) % 10 == 9, np.nan, value)
    return Dataset(
        ids=[f"antibody {i}" for i in range(n)],
        heavy=heavy,
        label=value if continuous else label,
        groups=[_FAMILIES[i % 3] for i in range(n)],
        measurements={"psr": psr},
        fragment="H-CDRs",
        provenance=Provenance(source),
    )


@cache
def cross_validated(
    data: Dataset | None = None,
    classifier: EstimatorSpec | str = LOGREG,
    split: SplitSpec = FOUR_FOLDS,
    extractor: DescriptorSpec = CHARGES,
) -> Report:
    """Return the cross-validation of a pipeline that needs no language model."""
    return Trainer(extractor, classifier, split).cross_validate(data or antibodies())


@cache
def held_out(
    data: Dataset,
    classifier: EstimatorSpec | str = LOGREG,
    extractor: DescriptorSpec = CHARGES,
) -> Report:
    """Return the test of a pipeline that was fitted on `antibodies`."""
    continuous = len(set(np.asarray(data.label).tolist())) > 2
    return Trainer(extractor, classifier).fit(antibodies(continuous=continuous)).evaluate(data)
