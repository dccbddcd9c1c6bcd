"""Frozen specifications of all settings that change a number, each with a stable fingerprint.

Settings that must not change a number are in `RuntimeSpec`, which has no fingerprint.
"""

from antibody_esm.choices import Pooling, Precision, Region
from antibody_esm.specs.address import Digest, Pairs, ResolvedExtractorSpec, Storage
from antibody_esm.specs.base import Spec
from antibody_esm.specs.chains import ChainSpec
from antibody_esm.specs.columns import ColumnSpec
from antibody_esm.specs.decisions import DecisionSpec
from antibody_esm.specs.descriptors import Descriptor, DescriptorSpec, HydrophobicityScale, PKSet
from antibody_esm.specs.ensembles import AnyExtractorSpec, EnsembleSpec, Member
from antibody_esm.specs.estimators import (
    AverageRegressorSpec,
    AverageSpec,
    ClassifierSpec,
    ElasticNetSpec,
    EstimatorSpec,
    GaussianProcessRegressorSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    RegressorSpec,
    RidgeSpec,
    SVRSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
)
from antibody_esm.specs.extractors import ExtractorSpec
from antibody_esm.specs.finetuning import FineTuneSpec
from antibody_esm.specs.plugins import PluginClassifierSpec, PluginExtractorSpec, PluginRegressorSpec
from antibody_esm.specs.runtime import RuntimeSpec
from antibody_esm.specs.splits import OF_THE_DATA, SplitBy, SplitSpec, default_split
from antibody_esm.specs.training import TrainSpec
from antibody_esm.specs.tuning import TuneSpec

__all__ = [
    "OF_THE_DATA",
    "AnyExtractorSpec",
    "AverageRegressorSpec",
    "AverageSpec",
    "ChainSpec",
    "ClassifierSpec",
    "ColumnSpec",
    "DecisionSpec",
    "Descriptor",
    "DescriptorSpec",
    "Digest",
    "ElasticNetSpec",
    "EnsembleSpec",
    "EstimatorSpec",
    "ExtractorSpec",
    "FineTuneSpec",
    "GaussianProcessRegressorSpec",
    "GaussianProcessSpec",
    "HydrophobicityScale",
    "KNeighborsSpec",
    "LinearSVMSpec",
    "LogisticRegressionSpec",
    "Member",
    "PKSet",
    "Pairs",
    "PluginClassifierSpec",
    "PluginExtractorSpec",
    "PluginRegressorSpec",
    "Pooling",
    "Precision",
    "RandomForestSpec",
    "Region",
    "RegressorSpec",
    "ResolvedExtractorSpec",
    "RidgeSpec",
    "RuntimeSpec",
    "SVRSpec",
    "Spec",
    "SplitBy",
    "SplitSpec",
    "Storage",
    "TrainSpec",
    "TuneSpec",
    "XGBoostRegressorSpec",
    "XGBoostSpec",
    "default_split",
]
