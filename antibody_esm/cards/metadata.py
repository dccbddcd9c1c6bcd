"""Metadata of a card, which the Hugging Face hub reads at its beginning."""

from collections.abc import Mapping
from typing import Any

from antibody_esm.cards.markdown import one_line
from antibody_esm.cards.scores import SavedScores
from antibody_esm.licences import DATA
from antibody_esm.model_facts import ModelFacts
from antibody_esm.specs.ensembles import language_models
from antibody_esm.unknown import Unknown

LIBRARY = "antibody_esm"
METRICS: Mapping[str, str] = {
    "pr_auc": "average_precision",
    "sensitivity": "recall",
    "mcc": "matthews_correlation",
    "brier": "brier_score",
    "spearman": "spearmanr",
    "pearson": "pearsonr",
}
"""Names of metrics on the hub, where they differ."""


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return metadata as YAML between two lines of hyphens, as the hub reads them."""
    import yaml

    text = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return f"---\n{text}---\n"


def shared(models: list[ModelFacts]) -> dict[str, Any]:
    """Return the metadata of one model, or of several as a panel, without scores.

    The licence of a model is its owner's to choose. The hub gets ``other``, and the card lists the licences of weights
    and data.
    """
    regressors = {facts.spec.is_regression for facts in models}
    kinds = [f"tabular-{'regression' if regression else 'classification'}" for regression in sorted(regressors)]
    language = [model for facts in models for model in language_models(facts.spec.extractor)]
    bases = {model.model for model in language if "/" in model.model}
    public = {name for facts in models if (name := public_name(facts)) is not None}
    fields = {
        "library_name": LIBRARY,
        "pipeline_tag": kinds[0],
        "license": "other",
        "license_name": "licences-of-its-parts",
        "license_link": "README.md",
        "base_model": [one_line(name) for name in sorted(bases)],
        "datasets": sorted(public),
        "tags": ["antibody", "developability", "protein-language-model" if language else "protein", *kinds[1:]],
    }
    return {name: value for name, value in fields.items() if value}


def of_model(facts: ModelFacts, scores: SavedScores | Unknown) -> dict[str, Any]:
    """Return the metadata of a model, with its scores as ``model-index``."""
    fields = shared([facts])
    if isinstance(scores, Unknown) or not scores.estimates:
        return fields
    source = one_line(facts.data.source)
    names = {name: METRICS.get(name, name) for name in scores.estimates}
    result = {
        "task": {"type": fields["pipeline_tag"]},
        "dataset": {
            "type": public_name(facts) or "private",
            "name": source or "training data",
            "split": one_line(f"cross-validation, {scores.design}" if scores.design else "cross-validation"),
        },
        "metrics": [
            {"type": names[name], "name": name, "value": round(value, 4)} for name, value in scores.estimates.items()
        ],
    }
    index = [{"name": one_line(scores.pipeline) or LIBRARY, "results": [result]}]
    return fields | {"metrics": list(names.values()), "model-index": index}


def public_name(facts: ModelFacts) -> str | None:
    """Return the name of the public data set that a model was trained on; None for others."""
    licence = facts.data.licence
    return next(
        (name for name, published in DATA.items() if facts.data.public == name and published.name == licence), None
    )
