"""Predictions of antibody non-specificity from protein language model embeddings.

Public names are loaded on first use, so that ``import antibody_esm`` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antibody_esm.benchmark import Benchmark
    from antibody_esm.callbacks import Callback, tracking
    from antibody_esm.data.dataset import Dataset
    from antibody_esm.data.public import load_dataset
    from antibody_esm.design.choice import propose
    from antibody_esm.design.fixes import fixes
    from antibody_esm.design.proposals import Proposals
    from antibody_esm.design.screening import liabilities
    from antibody_esm.embedding import embed, embed_views
    from antibody_esm.embedding_streams import embed_stream
    from antibody_esm.errors import (
        AntibodyESMError,
        CheckpointError,
        ClusterError,
        DatasetError,
        SequenceError,
        StoreError,
    )
    from antibody_esm.evaluation.paired import compare
    from antibody_esm.evaluation.splits import Splitter
    from antibody_esm.explain.contributions import residue_contributions
    from antibody_esm.explain.scan import mutational_scan
    from antibody_esm.features.sources import Ensemble
    from antibody_esm.numbering import number
    from antibody_esm.panel import Panel
    from antibody_esm.plm.extractor import Extractor
    from antibody_esm.predictor import Predictor
    from antibody_esm.reports.learning_curve import LearningCurve
    from antibody_esm.reports.report import Report
    from antibody_esm.rounds import retrain
    from antibody_esm.sequences import Antibody
    from antibody_esm.specs import (
        AverageRegressorSpec,
        AverageSpec,
        ChainSpec,
        ColumnSpec,
        DecisionSpec,
        DescriptorSpec,
        ElasticNetSpec,
        EnsembleSpec,
        ExtractorSpec,
        FineTuneSpec,
        GaussianProcessRegressorSpec,
        GaussianProcessSpec,
        KNeighborsSpec,
        LinearSVMSpec,
        LogisticRegressionSpec,
        RandomForestSpec,
        RidgeSpec,
        RuntimeSpec,
        SplitSpec,
        SVRSpec,
        TrainSpec,
        TuneSpec,
        XGBoostRegressorSpec,
        XGBoostSpec,
    )
    from antibody_esm.store.store import EmbeddingStore
    from antibody_esm.trainer import Trainer
    from antibody_esm.transformer import EmbeddingTransformer

__version__ = "0.1.0"

_HOME = {
    "Antibody": "sequences",
    "AntibodyESMError": "errors",
    "AverageRegressorSpec": "specs",
    "AverageSpec": "specs",
    "Benchmark": "benchmark",
    "ChainSpec": "specs",
    "CheckpointError": "errors",
    "ClusterError": "errors",
    "ColumnSpec": "specs",
    "Dataset": "data.dataset",
    "DatasetError": "errors",
    "DecisionSpec": "specs",
    "DescriptorSpec": "specs",
    "ElasticNetSpec": "specs",
    "EmbeddingStore": "store.store",
    "EmbeddingTransformer": "transformer",
    "Ensemble": "features.sources",
    "EnsembleSpec": "specs",
    "Extractor": "plm.extractor",
    "ExtractorSpec": "specs",
    "FineTuneSpec": "specs",
    "GaussianProcessRegressorSpec": "specs",
    "GaussianProcessSpec": "specs",
    "KNeighborsSpec": "specs",
    "LearningCurve": "reports.learning_curve",
    "LinearSVMSpec": "specs",
    "LogisticRegressionSpec": "specs",
    "Panel": "panel",
    "Predictor": "predictor",
    "Proposals": "design.proposals",
    "RandomForestSpec": "specs",
    "Report": "reports.report",
    "RidgeSpec": "specs",
    "RuntimeSpec": "specs",
    "SVRSpec": "specs",
    "SequenceError": "errors",
    "SplitSpec": "specs",
    "Splitter": "evaluation.splits",
    "StoreError": "errors",
    "TrainSpec": "specs",
    "Trainer": "trainer",
    "TuneSpec": "specs",
    "XGBoostRegressorSpec": "specs",
    "XGBoostSpec": "specs",
    "Callback": "callbacks",
    "compare": "evaluation.paired",
    "tracking": "callbacks",
    "embed": "embedding",
    "embed_stream": "embedding_streams",
    "embed_views": "embedding",
    "fixes": "design.fixes",
    "liabilities": "design.screening",
    "load_dataset": "data.public",
    "mutational_scan": "explain.scan",
    "number": "numbering",
    "propose": "design.choice",
    "residue_contributions": "explain.contributions",
    "retrain": "rounds",
}

__all__ = [
    "Antibody",
    "AntibodyESMError",
    "AverageRegressorSpec",
    "AverageSpec",
    "Benchmark",
    "Callback",
    "ChainSpec",
    "CheckpointError",
    "ClusterError",
    "ColumnSpec",
    "Dataset",
    "DatasetError",
    "DecisionSpec",
    "DescriptorSpec",
    "ElasticNetSpec",
    "EmbeddingStore",
    "EmbeddingTransformer",
    "Ensemble",
    "EnsembleSpec",
    "Extractor",
    "ExtractorSpec",
    "FineTuneSpec",
    "GaussianProcessRegressorSpec",
    "GaussianProcessSpec",
    "KNeighborsSpec",
    "LearningCurve",
    "LinearSVMSpec",
    "LogisticRegressionSpec",
    "Panel",
    "Predictor",
    "Proposals",
    "RandomForestSpec",
    "Report",
    "RidgeSpec",
    "RuntimeSpec",
    "SVRSpec",
    "SequenceError",
    "SplitSpec",
    "Splitter",
    "StoreError",
    "TrainSpec",
    "Trainer",
    "TuneSpec",
    "XGBoostRegressorSpec",
    "XGBoostSpec",
    "compare",
    "embed",
    "embed_stream",
    "embed_views",
    "fixes",
    "liabilities",
    "load_dataset",
    "mutational_scan",
    "number",
    "propose",
    "residue_contributions",
    "retrain",
    "tracking",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
