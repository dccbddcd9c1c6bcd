"""Words of the web page: names of classes, explanations of columns, and the legend below the scores."""

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.predictor import Predictor
    from antibody_esm.trained_on import TrainedOn

_NONSPECIFIC = re.compile(r"(poly|non).?(reactiv|specific)", re.IGNORECASE)

MEANINGS: Mapping[str, str] = {
    "row": "Row of the input, counted from 0.",
    "id": "Name of the antibody.",
    "class": "Predicted class: the probability before calibration against the model's threshold.",
    "prediction": "Predicted value, with the interval that contains 90 % of the measured values.",
    "probability": "Probability of the second class in the legend.",
    "calibrated probability": "Probability after Venn-Abers calibration, with its interval.",
    "raw probability": "Probability as the classifier gives it, before calibration.",
    "not ruled out": "Classes that cannot be ruled out at 90 % confidence.",
    "distance": "Share of the training antibodies that are nearer to their neighbours than this antibody is to the "
    "training set: near 1 is unlike the training.",
    "identity": "Sequence identity to the nearest training antibody.",
    "warning": "Reasons to be careful with this row.",
    "liabilities": "Number of medium and high liabilities by sequence.",
    "recalibrated": "Antibodies of another assay by which the model was recalibrated.",
    "reason": "Reason why the row has no prediction.",
}
"""Meaning of columns of scores, which the page shows on hover and below the table."""
MUTATION_MEANINGS: Mapping[str, str] = {
    "mutation": "Residue, IMGT position and new residue.",
    "index": "Place of the residue in the sequence that the model reads, counted from 0.",
    "position": "IMGT position.",
    "region": "IMGT region of the position.",
    "probability": "Probability of the second class for the mutant, before calibration.",
    "prediction": "Predicted value of the mutant.",
    "change": "Change of the score by the mutation.",
    "plausibility": "Log-odds of the new residue against the present one, by the language model.",
    "germline": "True if the nearest germline gene has the new residue there.",
}
"""Meaning of columns of a scan."""
VARIANT_MEANINGS: Mapping[str, str] = {
    "rank": "Order of the variants, the first choice first.",
    "mutations": "Substitutions of the variant, at IMGT positions.",
    "prediction": "Predicted value or calibrated probability, with its interval.",
    "probability": "Probability as the classifier gives it, before calibration.",
    "plausibility": "Sum of the log-odds of the new residues, by the language model.",
    "liabilities": "Number of medium and high liabilities of the variant.",
    "distance": "Substitutions to the nearest antibody that was measured.",
    "reason": "Changes by which the variant is a candidate.",
}
"""Meaning of columns of proposals."""


def class_names(data: "TrainedOn") -> tuple[str, str]:
    """Return the names of the classes 0 and 1 of a model.

    Examples
    --------
    >>> from antibody_esm.trained_on import TrainedOn
    >>> class_names(TrainedOn("a table", "0" * 64, 90, "heavy", None, 30, "polyreactivity"))
    ('specific', 'polyreactive')
    >>> class_names(TrainedOn("a table", "0" * 64, 90, "heavy", None, 30, "psr"))
    ('psr negative', 'psr positive')
    """
    label = data.label or ""
    if match := _NONSPECIFIC.search(label):
        stem = "poly" if match[1].lower() == "poly" else "non-"
        return "specific", stem + ("reactive" if match[2].lower() == "reactiv" else "specific")
    return (f"{label} negative", f"{label} positive") if label else ("class 0", "class 1")


def in_front(table: "pd.DataFrame", names: tuple[str, str]) -> "pd.DataFrame":
    """Return the columns of a table of scores that a reader needs first: one probability, with its interval."""
    front = table[["row", "id"]].copy()
    if "probability" in table:
        front["class"] = [names[int(value)] for value in table["prediction"]]
        if "calibrated" in table and table["calibrated"].notna().any():
            parts = zip(table["calibrated"], table["calibrated_low"], table["calibrated_high"], strict=True)
            texts = [f"{at:.2f} ({low:.2f} to {high:.2f})" for at, low, high in parts]
            front["calibrated probability"] = [text if "nan" not in text else "" for text in texts]
        else:
            front["probability"] = [f"{value:.2f}" for value in table["probability"]]
        if "conformal_set" in table:
            front["not ruled out"] = [_named(text, names) for text in table["conformal_set"]]
    else:
        columns = ["prediction", *(name for name in ("low", "high") if name in table)]
        front[columns] = table[columns]
    rest = ["distance", "identity", "warning", "liabilities", "recalibrated"]
    more = [name for name in rest if name in table]
    front[more] = table[more]
    return front


def with_class_names(table: "pd.DataFrame", names: tuple[str, str]) -> "pd.DataFrame":
    """Return all columns of a table of scores, with the class by its name and the raw probability named so."""
    if "probability" not in table:
        return table
    every = table.rename(columns={"prediction": "class", "probability": "raw probability"})
    every["class"] = [names[int(value)] for value in table["prediction"]]
    if "conformal_set" in table:
        every = every.rename(columns={"conformal_set": "not ruled out"})
        every["not ruled out"] = [_named(text, names) for text in table["conformal_set"]]
    return every


def _named(text: object, names: tuple[str, str]) -> str:
    if not isinstance(text, str):
        return ""  # not known
    return " or ".join(names[int(part)] if part in ("0", "1") else part for part in text.split(" or "))


def legend(predictor: "Predictor") -> str:
    """Return what classes and numbers mean, as HTML."""
    if predictor.data.positives is None:
        high = {True: "High values are better. ", False: "Low values are better. ", None: ""}
        return f"<p>{high[predictor.data.higher_is_better]}Point at the head of a column for its meaning.</p>"
    names = class_names(predictor.data)
    wanted = 1 if predictor.data.higher_is_better else 0
    items = "".join(
        f"<li>{badge(name, good=number == wanted)} is class {number}</li>" for number, name in enumerate(names)
    )
    text = f"Probabilities are those of {html.escape(names[1])}. Point at the head of a column for its meaning."
    return f"<ul class='ab-legend' aria-label='Legend'>{items}</ul><p>{text}</p>"


def badge(name: str, *, good: bool) -> str:
    """Return the name of a class with the colour of its side, as HTML."""
    return f"<b class='ab-{'good' if good else 'bad'}'>{html.escape(name)}</b>"
