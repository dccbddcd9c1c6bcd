"""Card of a saved model or panel: a README in Markdown, with metadata for the Hugging Face hub.

A card follows from the manifest alone. It holds no time, no path, and nothing of this computer, so that the same model
has the same card. Every text of users is escaped, see `antibody_esm.cards.markdown`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from antibody_esm import licences
from antibody_esm.card_files import CARD, sealed
from antibody_esm.cards import example, metadata
from antibody_esm.cards.markdown import code, prose, table
from antibody_esm.cards.scores import SavedScores, scores_of
from antibody_esm.evaluation.applicability import FAR
from antibody_esm.evaluation.interval import compact, short
from antibody_esm.model_facts import ModelFacts
from antibody_esm.reports import names
from antibody_esm.unknown import Unknown


def model_card(facts: ModelFacts) -> bytes:
    """Return the card of a model."""
    scores = _scores_of(facts)
    label = facts.data.label
    kind = "regressor" if facts.spec.is_regression else "classifier"
    parts = [
        f"# Antibody {kind}{f' of {code(label)}' if label else ''}",
        f"**{verdict(scores)}**",
        *_predicts(facts),
        "## Scores",
        *_scores(facts, scores),
        *_decision(facts),
        "## Data",
        *_data(facts),
        "## Limits",
        _list(_limits(facts, scores)),
        "## Licences",
        *_licences([facts]),
        "## Use",
        *_use([facts], example.lines(facts)),
        "## Versions",
        _versions(facts),
    ]
    return _page(metadata.of_model(facts, scores), parts)


def panel_card(models: Mapping[str, tuple[str, ModelFacts]]) -> bytes:
    """Return the card of a panel, from the folder and the facts of each label's model."""
    every = [facts for _, facts in models.values()]
    rows, first = [], every[0]
    for label, (folder, facts) in models.items():
        scores = _scores_of(facts)
        rows.append([code(label), f"[{folder}]({folder}/{CARD})", f"{facts.data.antibodies:,}", verdict(scores)])
    parts = [
        f"# Panel of {names.counted(len(models), 'antibody property')}",
        f"One model for each label, on {_features(first)}. Each folder has the card of its model.",
        "\n".join(table(("label", "model", "antibodies", "verdict"), rows)),
        "Each verdict is for its label alone: with several labels, some are better by chance.",
        "## Licences",
        *_licences(every),
        "## Use",
        *_use(every, example.lines(first, "Panel", "predict")),
    ]
    return _page(metadata.shared(every), parts)


def _features(facts: ModelFacts) -> str:
    """Return the features that all labels of a panel share, as a noun."""
    return "the vectors of one language model" if facts.licences else "the same features"


def verdict(scores: SavedScores | Unknown) -> str:
    """Return the first sentence of a card."""
    if isinstance(scores, Unknown):
        return f"No scores were computed: {prose(scores.reason.rstrip('.'))}."
    return prose(scores.verdict) or "No comparison with baselines was saved with the model."


def _scores_of(facts: ModelFacts) -> SavedScores | Unknown:
    if facts.metrics is None:
        return Unknown(facts.without_scores)
    return scores_of(facts.metrics, facts.data.higher_is_better)


def _page(fields: Mapping[str, Any], parts: list[str]) -> bytes:
    return sealed(f"{metadata.front_matter(fields)}\n" + "\n\n".join(filter(None, parts)))


def _sentences(texts: Iterable[str]) -> list[str]:
    """Return sentences as Markdown, without empty ones."""
    return [text for text in map(prose, texts) if text]


def _list(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _predicts(facts: ModelFacts) -> list[str]:
    """Return what the model predicts, of what, and how."""
    label = code(facts.data.label) if facts.data.label else "the label"
    if facts.spec.is_regression:
        better = facts.data.higher_is_better
        side = "" if better is None else f", of which {'high' if better else 'low'} values are better"
        first = f"Predicts the value of {label}{side}, in the unit of the labels."
    else:
        first = f"Predicts the class of an antibody, 0 or 1, and the probability of class 1 of {label}."
    reads = f"It reads {_reads(facts)}."
    columns = [f"{code(column.spec.name)}" for column in facts.reading.columns.columns]
    if columns:
        reads += f" It also needs the column{'s' * (len(columns) > 1)} {', '.join(columns)}."
    return [f"{first} {reads}", f"Pipeline: {prose(names.pipeline(facts.data.pipeline(facts.spec)))}."]


def _reads(facts: ModelFacts) -> str:
    chains = {
        "heavy": "the heavy chain",
        "light": "the light chain",
        "paired": "heavy and light chain as a pair",
        "both": "heavy and light chain joined to one sequence",
    }[facts.reading.chain]
    fragment = facts.reading.fragment
    return chains if fragment is None else f"{code(fragment)} of {chains}"


def _scores(facts: ModelFacts, scores: SavedScores | Unknown) -> list[str]:
    if isinstance(scores, Unknown):
        return [
            "There are none, so nothing is known of how well this model predicts. "
            "Test it on labelled antibodies of your own: `antibody-esm evaluate table.csv --model model/`."
        ]
    again = facts.data.recalibration
    design = f"Cross-validation on the training antibodies: {prose(scores.design)}." if scores.design else ""
    before = " Scores are those before the recalibration." if again else ""
    first = f"{design or 'Cross-validation on the training antibodies.'}{before}"
    head = ["", "this model", *map(prose, scores.baselines)]
    rows = [
        [prose(metric), prose(text), *(prose(baseline[metric]) for baseline in scores.baselines.values())]
        for metric, text in scores.model.items()
    ]
    beside = "Beside the model stand the best baselines on the same folds; brackets are intervals at 95 %, nominal."
    parts = [first]
    if scores.warnings:
        parts.append(_list([f"**{text}**" for text in _sentences(scores.warnings)]))
    parts.append("\n".join(table(head, rows)))
    if scores.baselines:
        parts.append(beside)
    return [*parts, _list(_sentences(scores.notes))]


def _decision(facts: ModelFacts) -> list[str]:
    if facts.threshold is None:
        return []
    decision, again = facts.spec.decision, facts.data.recalibration
    chosen = {"balanced_accuracy": "with the highest balanced accuracy within the training antibodies"}
    source = "set by hand" if decision.threshold is not None else "the classifier's own"
    source = chosen.get(str(decision.threshold), source)
    if again is not None:
        source = "of the recalibration"
    calibrations = {None: "as the classifier gives them", "sigmoid": "calibrated by Platt scaling"}
    calibration = calibrations.get(decision.calibration, "calibrated by isotonic regression")
    if again is not None:
        calibration = f"{calibration}, then rescaled by the recalibration"
    return [
        "## Decision",
        f"Class 1 is predicted from a probability of {compact(round(facts.threshold, 4))} on ({source}). "
        f"Probabilities are {calibration}.",
    ]


def _data(facts: ModelFacts) -> list[str]:
    data = facts.data
    number = f"{data.antibodies:,}"
    if data.positives is not None and data.antibodies:
        number += f", {data.positives:,} of class 1 ({data.positives / data.antibodies:.0%})"
    rows = [
        ("source", code(data.source)),
        ("antibodies", number),
        ("label rule", prose(data.rule) if data.rule else "not recorded; labels are as the table has them"),
        *([("citation", prose(data.citation))] if data.citation else []),
        ("digest of the data", f"`{data.digest}`"),
        ("in this folder", prose(f"the model {facts.training}")),
        *([("from", code(facts.origin))] if facts.origin else []),
    ]
    more = [*data.notes, *([] if data.recalibration is None else [f"The model was {data.recalibration}."])]
    return ["\n".join(table(("", ""), rows)), _list(_sentences(more))]


def _limits(facts: ModelFacts, scores: SavedScores | Unknown) -> list[str]:
    reading = facts.reading
    species = ", ".join(code(name) for name in reading.species)
    others = " and the columns above" if len(reading.columns) else ""
    items = [
        f"It reads {_reads(facts)}{others}, and nothing else about an antibody.",
        f"Chains are numbered by the profiles of {species}. "
        + (
            "Other molecules are refused, with the reason; antibodies of other species were not in training."
            if reading.check
            else "Training antibodies were not checked (`check=False`), so other molecules are scored too."
        ),
    ]
    if facts.training.startswith("with its"):
        items.append(
            f"Far from the training antibodies nothing is promised: `score_table` has the column `distance`, and warns "
            f"above {short(FAR)}."
        )
    else:
        items.append(
            "Far from the training antibodies nothing is promised, and this folder lacks them: the distance is unknown."
        )
    for column in reading.columns.columns:
        if column.limits is not None:
            low, high = column.limits
            items.append(f"{code(column.spec.name)} was {low:g} to {high:g} in training; other values get a warning.")
    items.append(
        "The scores are for antibodies like these, in this assay. In another laboratory or assay, test first "
        "(`antibody-esm evaluate`)."
    )
    if not isinstance(scores, Unknown) and not scores.better:
        items.append("It is not shown to be better than a simple baseline: do not prefer it to one.")
    items.append(
        "It must not be used in place of a measurement, for decisions about patients, or to release a product. A "
        "prediction orders candidates for the assay; it does not replace it."
    )
    return items


def _licences(models: list[ModelFacts]) -> list[str]:
    weights = {name: licence for facts in models for name, licence in facts.licences.items()}
    data = {facts.data.source: facts.data for facts in models}
    rows = [(f"weights of {code(name)}", prose(licences.of_weights(licence))) for name, licence in weights.items()]
    rows += [
        (f"data, {code(source)}", prose(licences.of_data(of.licence, of.public)) if of.licence else "not recorded")
        for source, of in data.items()
    ]
    forbids = [name for name, licence in weights.items() if licence is not None and not licence.commercial]
    parts = ["\n".join(table(("part", "licence"), rows))]
    if forbids:
        parts.append(
            f"The weights of {', '.join(map(code, forbids))} may not be used commercially, so this model may not."
        )
    parts.append("The licence of the model itself is for its owner to state, within these.")
    return parts


def _use(models: list[ModelFacts], lines: list[str]) -> list[str]:
    language = any(facts.licences for facts in models)
    more = " The language model is not in it: its files are looked for when they are first needed." if language else ""
    return [
        "```\npip install .  # in a checkout of antibody_esm, which is not on PyPI\n```",
        "\n".join(["```python", *lines, "```"]),
        f"Loading runs no code of this folder.{more}",
    ]


def _versions(facts: ModelFacts) -> str:
    return ", ".join(prose(f"{name} {text}") for name, text in facts.versions.items()) + "."
