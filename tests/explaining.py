"""Small models that tests of several modules explain."""

from typing import Literal

import numpy as np

from antibody_esm import Dataset, DecisionSpec, Predictor, Trainer, presets
from antibody_esm.specs import AnyExtractorSpec, EstimatorSpec, RegressorSpec
from chains import HEAVY, LIGHT

GENERATOR = np.random.default_rng(0)


def random_chain(length: int) -> str:
    return "".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), length))


SHORT = [random_chain(int(GENERATOR.integers(8, 25))) for _ in range(60)]
NUMBERED = [HEAVY[:100] + random_chain(6) + HEAVY[106:] for _ in range(24)]


def trained(
    extractor: AnyExtractorSpec,
    classifier: str | EstimatorSpec,
    *,
    paired: bool = False,
    calibration: Literal["sigmoid", "isotonic"] | None = None,
) -> Predictor:
    chosen = presets.classifier(classifier)
    regions = any(getattr(one, "region", "all") != "all" for one in getattr(extractor, "members", (extractor,)))
    heavy = NUMBERED if regions else SHORT
    light = [LIGHT if regions else one[::-1] for one in heavy] if paired else None
    values = np.array([one.count("K") + one.count("R") + 0.1 * len(one) for one in heavy])
    continuous = isinstance(chosen, RegressorSpec)
    label = values if continuous else (values > np.median(values)).astype(int)
    data = Dataset(
        list(map(str, range(len(heavy)))),
        heavy,
        light,
        label=label,
        chain="paired" if paired else "heavy",
    )
    spec = DecisionSpec(calibration=calibration)
    return Trainer(extractor, chosen, decision=spec).fit(data, uncertainty=False, check=regions)
