"""The settings of a model crossed with each other and with every way to its numbers: a covering array.

Whatever two settings meet in somebody's work meet here in a test. Those that cannot meet are named in `conflict`.
"""

from collections.abc import Mapping, Set
from itertools import combinations, product
from typing import NamedTuple

from allpairspy import AllPairs

CLASSIFIERS = ("logreg", "knn", "random_forest", "linear_svm", "xgboost", "gaussian_process", "average")
REGRESSORS = ("ridge", "elastic_net", "svr", "xgboost_regressor", "gaussian_process_regressor", "average_regressor")

ROUTES = {
    "tables": ("list", "frame", "file", "saved", "panel", "server"),
    "reports": ("text", "json", "csv", "labelled frame"),
    "explanations": ("contributions", "scan", "proposals", "server explanations"),
    **{door: (door,) for door in ("page", "benchmark", "web", "command", "train", "occlusion", "other assay")},
}
"""Ways to the numbers of a model, and the doors on each; doors that cost little are on one way together."""

REPORTED = ("train", "reports", "page", "benchmark")
"""Routes on which the pipeline is cross-validated and tested."""

FACTORS: dict[str, tuple[str, ...]] = {
    "chain": ("heavy", "light", "both", "paired"),
    "fragment": ("none", "loop", "loops", "domain", "both loops", "both domains"),
    "task": ("classes", "numbers"),
    "extractor": ("model", "region", "controlled", "descriptors", "ensemble", "chains"),
    "classifier": (*CLASSIFIERS, *REGRESSORS),
    "split": ("antibody", "identity", "group", "family", "fold"),
    "decision": ("none", "sigmoid", "threshold"),
    "tune": ("grid", "pca", "none"),
    "finetune": ("none", "lora", "head"),
    "storage": ("float32", "float16", "int8"),
    "pairs": ("apart", "joined"),
    "columns": ("without", "with"),
    "route": tuple(ROUTES),
}
"""Every factor and its settings; the last one is the way on which the numbers of a model are had."""

Meeting = frozenset[tuple[str, str]]
"""Settings that meet, each with its factor."""


class Cell(NamedTuple):
    """One setting of each factor."""

    chain: str
    fragment: str
    task: str
    extractor: str
    classifier: str
    split: str
    decision: str
    tune: str
    finetune: str
    storage: str
    pairs: str
    columns: str
    route: str

    @property
    def model(self) -> "Cell":
        """The cell without its route: cells that agree in it share a fitted model."""
        return self._replace(route="")

    def __str__(self) -> str:
        return "-".join(self).replace(" ", "_")


def conflict(cell: Mapping[str, str]) -> str | None:
    """Return why settings cannot meet in a model that works; None if they can. Factors may be absent.

    This is the one place that leaves anything out of the array.
    """
    chain, fragment = cell.get("chain"), cell.get("fragment", "none")
    if chain and fragment in ("loop", "loops", "domain") and chain not in ("heavy", "light"):
        return "such a fragment is of one chain"
    if chain and fragment.startswith("both") and chain not in ("both", "paired"):
        return "such a fragment is of both chains"
    task, classifier, decision = cell.get("task"), cell.get("classifier"), cell.get("decision", "none")
    if task and classifier and (task == "numbers") != (classifier in REGRESSORS):
        return "classifiers learn classes, and regressors numbers"
    if decision != "none" and (task == "numbers" or classifier in REGRESSORS):
        return "numbers need no decision"
    if decision != "none" and cell.get("tune") == "grid" and cell.get("split") in ("group", "fold"):
        return "four groups and three folds are too few for a decision inside of folds inside of folds"
    extractor, route = cell.get("extractor"), cell.get("route")
    inside = decision != "none" and cell.get("tune") == "grid" and route in REPORTED
    if inside and classifier == "linear_svm" and cell.get("split") in ("antibody", "identity"):
        return "a linear SVM divides again what it is fitted on, and an eighth of 32 antibodies has one of a class"
    if extractor == "descriptors" and (cell.get("storage", "float32") != "float32" or cell.get("pairs") == "joined"):
        return "descriptors have neither storage nor pairs"
    if cell.get("finetune", "none") != "none":
        if extractor not in (None, "model", "region"):
            return "an adapter belongs to one language model, whose vectors are means over residues"
        if cell.get("tune") == "grid" or classifier == "linear_svm":
            return "a choice, and a calibration of an SVM, divide rows that the model was fine-tuned on"
    if extractor == "chains" and (chain == "both" or cell.get("pairs") == "joined"):
        return "a model of each chain reads no joined chains"
    if extractor == "region" and fragment.endswith(("loop", "loops")):
        return "a region is of a domain, and loops alone are none"
    if route == "train" and extractor == "ensemble":
        return "an override of the command names one model"
    return None


def meetings(cell: Mapping[str, str], strength: int = 2) -> set[Meeting]:
    """Return every two, or so many as the strength is, settings of a cell."""
    return {frozenset(settings) for settings in combinations(cell.items(), strength)}


def completed(cell: Mapping[str, str], wanted: Set[Meeting] = frozenset(), strength: int = 2) -> Cell | None:
    """Return a valid cell with these settings, and others in which wanted ones meet; None if there is none."""
    if conflict(cell):
        return None
    factor = next((name for name in FACTORS if name not in cell), None)
    if factor is None:
        return Cell(**cell)
    tried = [{**cell, factor: setting} for setting in FACTORS[factor]]
    if wanted:
        tried.sort(key=lambda larger: -len(meetings(larger, strength) & wanted))
    return next(filter(None, (completed(larger, wanted, strength) for larger in tried)), None)


def valid_meetings(strength: int = 2) -> set[Meeting]:
    """Return every two, or so many as the strength is, settings that some valid cell has."""
    return {
        frozenset(zip(factors, settings, strict=True))
        for factors in combinations(FACTORS, strength)
        for settings in product(*(FACTORS[factor] for factor in factors))
        if completed(dict(zip(factors, settings, strict=True)))
    }


def array(strength: int = 2) -> list[Cell]:
    """Return cells in which every two valid settings meet, or every so many as the strength is."""
    together = [("task", "classifier"), *((factor,) for factor in FACTORS if factor not in ("task", "classifier"))]
    parameters = [
        [dict(zip(factors, settings, strict=True)) for settings in product(*(FACTORS[factor] for factor in factors))]
        for factors in together  # a search over both apart would try many rows that cannot be ended
    ]
    parameters = [[settings for settings in values if conflict(settings) is None] for values in parameters]

    def joined(row: list[dict[str, str]]) -> dict[str, str]:
        return {factor: setting for settings in row for factor, setting in settings.items()}

    rows = AllPairs(parameters, filter_func=lambda row: conflict(joined(row)) is None, n=strength)
    cells = [Cell(**joined(row)) for row in rows]
    # The search may stop before all is met where settings exclude each other.
    missing = valid_meetings(strength).difference(*(meetings(cell._asdict(), strength) for cell in cells))
    for meeting in sorted(missing, key=sorted):
        if meeting in missing:
            cell = completed(dict(meeting), missing, strength)
            assert cell is not None
            cells.append(cell)
            missing -= meetings(cell._asdict(), strength)
    return sorted(dict.fromkeys(cells))
