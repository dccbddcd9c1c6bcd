"""Facts of a pipeline, in words, for the cards of notebooks."""

from pathlib import Path

from antibody_esm.specs import DecisionSpec, SplitSpec, TrainSpec

_SPLIT, _DECISION = SplitSpec(), DecisionSpec()


def pipeline_facts(spec: TrainSpec) -> list[tuple[str, str]]:
    """Return the parts of a pipeline by name; those with their defaults are left out."""
    return [
        ("vectors", repr(spec.extractor)),
        ("regressor" if spec.is_regression else "classifier", repr(spec.classifier)),
        ("split", "" if spec.split == _SPLIT else repr(spec.split)),
        ("decision", "" if spec.decision == _DECISION else repr(spec.decision)),
        ("components", "" if spec.pca is None else repr(spec.pca)),
        ("tuned", "" if spec.tune is None else repr(spec.tune)),
        ("fine-tuned", "" if spec.finetune is None else repr(spec.finetune)),
    ]


def store_fact(store: object) -> tuple[str, str]:
    """Return the folder of a store, or ``in memory`` if it has none."""
    root = getattr(store, "root", None)
    return ("store", str(root) if isinstance(root, Path) else "in memory")
