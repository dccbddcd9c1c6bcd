"""Named specs of language models, classifiers and regressors."""

import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from antibody_esm.choices import DEFAULT_CLASSIFIER as DEFAULT_CLASSIFIER
from antibody_esm.choices import DEFAULT_EXTRACTOR as DEFAULT_EXTRACTOR
from antibody_esm.specs.base import Spec
from antibody_esm.specs.descriptors import DescriptorSpec
from antibody_esm.specs.ensembles import AnyExtractorSpec, EnsembleSpec
from antibody_esm.specs.estimators import ClassifierSpec, RegressorSpec
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.named import CLASSIFIERS as CLASSIFIERS
from antibody_esm.specs.named import ESTIMATORS as ESTIMATORS
from antibody_esm.specs.named import REGRESSORS as REGRESSORS
from antibody_esm.specs.named import estimator

_ESM1V = "facebook/esm1v_t33_650M_UR90S_{}"  # five checkpoints, alike but for the seed (doi:10.1101/2021.07.09.450648)

EXTRACTORS: MappingProxyType[str, AnyExtractorSpec] = MappingProxyType(
    {
        "esm1v": ExtractorSpec(model=_ESM1V.format(1)),
        **{f"esm1v_{seed}": ExtractorSpec(model=_ESM1V.format(seed)) for seed in range(1, 6)},
        "esm1v_mean": EnsembleSpec(members=tuple(ExtractorSpec(model=_ESM1V.format(seed)) for seed in range(1, 6))),
        # doi:10.1126/science.ade2574
        "esm2_8m": ExtractorSpec(model="facebook/esm2_t6_8M_UR50D"),
        "esm2_35m": ExtractorSpec(model="facebook/esm2_t12_35M_UR50D"),
        "esm2_150m": ExtractorSpec(model="facebook/esm2_t30_150M_UR50D"),
        "esm2_650m": ExtractorSpec(model="facebook/esm2_t33_650M_UR50D"),
        "esm2_3b": ExtractorSpec(model="facebook/esm2_t36_3B_UR50D"),
        "esm1b": ExtractorSpec(model="facebook/esm1b_t33_650M_UR50S"),  # doi:10.1073/pnas.2016239118
        "antiberty": ExtractorSpec(model="antiberty", revision="0.1.3"),  # arXiv:2112.07782
        # doi:10.1080/19420862.2021.2020203, human heavy and light chains; MIT; pip install --no-deps sapiens==1.0.2
        "sapiens_vh": ExtractorSpec(model="sapiens_vh", revision="1.0.2"),
        "sapiens_vl": ExtractorSpec(model="sapiens_vl", revision="1.0.2"),
        "antiberta2": ExtractorSpec(model="alchemab/antiberta2"),
        "igbert": ExtractorSpec(model="Exscientia/IgBert"),  # doi:10.1371/journal.pcbi.1012646
        # The same article; github.com/briney/ablms (its encoder igt5, with </s> between chains)
        "igt5": ExtractorSpec(model="Exscientia/IgT5"),
        "protbert": ExtractorSpec(model="Rostlab/prot_bert"),  # doi:10.1109/TPAMI.2021.3095381
        "prott5": ExtractorSpec(model="Rostlab/prot_t5_xl_half_uniref50-enc"),
        # doi:10.1093/nargab/lqae150; the authors' github.com/mheinzinger/ProstT5 (README); github.com/gbouras13/phold
        "prostt5": ExtractorSpec(model="Rostlab/ProstT5", prefix="<AA2fold>"),
        "ankh_base": ExtractorSpec(model="ElnaggarLab/ankh-base"),  # arXiv:2301.06568
        "ankh_large": ExtractorSpec(model="ElnaggarLab/ankh-large"),
        # arXiv:2505.20052, whose page huggingface.co/papers/2505.20052 names both, with their card;
        # github.com/Synthyra/FastPLMs
        "ankh3_large": ExtractorSpec(model="ElnaggarLab/ankh3-large", prefix="[NLU]"),
        "ankh3_xl": ExtractorSpec(model="ElnaggarLab/ankh3-xl", prefix="[NLU]"),
        # doi:10.1093/bioinformatics/btae659; the authors' github.com/OliverT1/p-IgGen (piggen/model.py);
        # github.com/ginkgobioworks/abdev-benchmark (baselines/piggen). Both join chains without a token between.
        "p_iggen": ExtractorSpec(model="ollieturnbull/p-IgGen", prefix="1", suffix="2", separator=""),
        "descriptors": DescriptorSpec(),
    }
)
"""Language models by name."""
TRAINED_ON_PAIRS = frozenset({"Exscientia/IgBert", "Exscientia/IgT5", "ollieturnbull/p-IgGen"})
"""Language models that were trained on pairs of chains, among those with a name."""
CAUSAL = frozenset({"ollieturnbull/p-IgGen"})
"""Language models that read from left to right only, among those with a name."""

_S = TypeVar("_S", bound=Spec)


def extractor(choice: str | Path | AnyExtractorSpec) -> AnyExtractorSpec:
    """Return the spec of a preset's name, a local folder, or a spec as it is.

    Raises
    ------
    ValueError
        If there is no preset of this name; the message lists the presets.
    """
    if isinstance(choice, Path) or (isinstance(choice, str) and Path(choice).is_dir() and choice not in EXTRACTORS):
        return ExtractorSpec(model=str(choice))
    otherwise = "or ExtractorSpec(model=...) for any other model"
    return _choose(choice, EXTRACTORS, (ExtractorSpec, EnsembleSpec, DescriptorSpec), "extractor", otherwise)


def one_model(choice: str | Path | AnyExtractorSpec) -> ExtractorSpec:
    """Return the spec of one language model from a preset's name, a local folder, or a spec.

    Raises
    ------
    ValueError
        If it is not one language model, or there is no preset of this name.
    """
    chosen = extractor(choice)
    if not isinstance(chosen, ExtractorSpec):
        raise ValueError(f"{choice} is an ensemble or descriptors; one language model is required")
    return chosen


def classifier(
    choice: str | ClassifierSpec | RegressorSpec, extractor: AnyExtractorSpec | None = None
) -> ClassifierSpec | RegressorSpec:
    """Return the spec of a classifier or regressor from a preset's name, or a spec as it is.

    Parameters
    ----------
    choice
        Name or spec.
    extractor
        Extractor whose features are read. Descriptors have many units, so a preset that depends on the scale of
        features standardizes them.

    Raises
    ------
    ValueError
        If there is no preset of this name; the message lists the presets.

    Examples
    --------
    >>> classifier("logreg", DescriptorSpec())
    LogisticRegressionSpec(standardize=True)
    >>> classifier(CLASSIFIERS["logreg"], DescriptorSpec())
    LogisticRegressionSpec()
    """
    spec = _choose(choice, ESTIMATORS, Spec, "classifier", "or a classifier spec")
    if isinstance(choice, str):
        return estimator(choice, extractor)
    return spec  # type: ignore[return-value]  # any spec passes here, and TrainSpec refuses others


def _choose(
    choice: object,
    presets: MappingProxyType[str, _S],
    kind: type[_S] | tuple[type[_S], ...],
    group: str,
    otherwise: str,
) -> _S:
    if isinstance(choice, kind):
        return choice
    if isinstance(choice, str) and choice in presets:
        return presets[choice]
    raise ValueError(f"unknown {group} {choice!r}; choose one of {', '.join(presets)}, {otherwise}")


def __getattr__(name: str) -> Any:
    """Return the type under its earlier name, for one release."""
    if name == "AnyExtractor":
        warnings.warn("presets.AnyExtractor is specs.AnyExtractorSpec now", DeprecationWarning, stacklevel=2)
        return AnyExtractorSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
