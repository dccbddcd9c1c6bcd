"""Heat map of antibodies by labels, the developability profile, as a table in HTML."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antibody_esm.reports import elements

if TYPE_CHECKING:
    import pandas as pd

MOST = 500
"""Most antibodies of a page."""
STEPS = 9
"""Colours from the worst to the best position."""


class ProfileColumn(NamedTuple):
    """A label of a profile, with the facts that its cells need.

    Attributes
    ----------
    label
        Name of the label.
    continuous
        True for values, False for classes 0 and 1.
    higher_is_better
        Side of the label that is better; None if it is not known.
    reference
        Labels of the training antibodies; None if they are unknown.
    antibodies
        Number of training antibodies.
    score
        Metric of the cross-validation with its value, in words; empty if there is none.
    """

    label: str
    continuous: bool
    higher_is_better: bool | None
    reference: NDArray[np.float64] | None
    antibodies: int
    score: str

    def position(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the position of predictions from the worst, 0, to the best, 1; of an unknown side from low to high.

        It is the probability of the better class, or the share of training antibodies whose measured value is worse
        (equal ones count half). Without training labels, the antibodies themselves are compared. NaN where there is no
        prediction.
        """
        place = np.array(values, np.float64)
        there = np.isfinite(place)
        if self.continuous and there.any():
            among = np.sort(place[there] if self.reference is None else self.reference)
            sides = [np.searchsorted(among, place[there], side) for side in ("left", "right")]
            place[there] = (sides[0] + sides[1]) / (2 * len(among))
        return 1 - place if self.higher_is_better is False else place

    @property
    def direction(self) -> str:
        """The better side in words."""
        return {True: "high is better", False: "low is better", None: "not known"}[self.higher_is_better]


def page(table: "pd.DataFrame", columns: Sequence[ProfileColumn], source: str, total: int, details: str) -> str:
    """Return the page of a profile, which loads nothing.

    Parameters
    ----------
    table
        Predictions of a panel: ``id``, and a block of columns for each label. The first `MOST` rows are shown.
    columns
        The labels.
    source
        Name of the antibodies.
    total
        Number of antibodies that were predicted.
    details
        Sentence on the models.
    """
    shown = f" This page shows the first {MOST:,}; the table has all." if total > MOST else ""
    lead = f"{total:,} antibodies by {len(columns)} labels.{shown}"
    body = [
        f"<header><p class='kind'>antibody_esm profile</p><h1>{html.escape(source)}</h1>"
        f"<p class='lead'>{html.escape(lead)}</p><p>{html.escape(details)}</p></header>",
        f"<section><h2>Profile</h2>{heat_map(table.head(MOST), columns)}</section>",
        f"<section><h2>The models</h2>{_models(columns)}</section>",
    ]
    return elements.document(f"Profile of {source}", [f"<style>{_STYLE}</style>", *body])


def heat_map(table: "pd.DataFrame", columns: Sequence[ProfileColumn], *, style: bool = False) -> str:
    """Return the heat map with its legend; `style` adds the colours, which a page already has."""
    positions = {column.label: column.position(_values(table, column)) for column in columns}
    ranked = [label for label, place in positions.items() if _of(columns, label).higher_is_better is not None]
    mean = np.full(len(table), np.nan)
    if ranked:
        places = np.array([positions[label] for label in ranked])
        counted = np.isfinite(places).sum(axis=0)
        mean = np.where(counted > 0, np.nansum(places, axis=0) / np.maximum(counted, 1), np.nan)
    several = len(ranked) > 1
    order = np.argsort(np.where(np.isfinite(mean), -mean, np.inf), kind="stable")
    heads = "".join(
        f"<th scope='col'>{html.escape(column.label)}<span>{column.direction}</span></th>" for column in columns
    )
    digits = {column.label: _digits(_values(table, column)) if column.continuous else 2 for column in columns}
    marks = [_warnings(table, columns, row) for row in range(len(table))]
    last = "<th scope='col' class='note'>warnings</th>" if any(marks) else ""
    lines = []
    for row in order:
        cells = "".join(
            _cell(table, column, positions[column.label][row], int(row), digits[column.label]) for column in columns
        )
        position = f"<td class='mean'>{_percent(mean[row])}</td>" if several else ""
        note = f"<td class='note'>{html.escape(marks[row])}</td>" if last else ""
        name = html.escape(str(table["id"].iloc[row]))
        lines.append(f"<tr><th scope='row'>{name}</th>{position}{cells}{note}</tr>")
    average = "<th scope='col'>mean<span>position</span></th>" if several else ""
    return (
        (f"<style>{_STYLE}</style>" if style else "")
        + _legend(columns, several)
        + "<div class='scroll profile' tabindex='0' role='region' aria-label='Heat map of antibodies by labels'>"
        + f"<table><thead><tr><td></td>{average}{heads}{last}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _of(columns: Sequence[ProfileColumn], label: str) -> ProfileColumn:
    return next(column for column in columns if column.label == label)


def _values(table: "pd.DataFrame", column: ProfileColumn) -> NDArray[np.float64]:
    """Return the value, or the probability of class 1, of each antibody."""
    name = "prediction" if column.continuous else "probability"
    return table[f"{column.label} {name}"].to_numpy(np.float64, na_value=np.nan)


def _cell(table: "pd.DataFrame", column: ProfileColumn, place: float, row: int, digits: int) -> str:
    """Return the cell of an antibody: value, interval and colour."""

    def at(name: str) -> Any:
        return table[f"{column.label} {name}"].iloc[row]

    if not np.isfinite(place):
        return "<td class='none'>none</td>"
    low, high = (at("low"), at("high")) if column.continuous else (at("calibrated_low"), at("calibrated_high"))
    ends = f"<span>{_text(low, digits)} to {_text(high, digits)}</span>" if np.isfinite([low, high]).all() else ""
    kind = "n" if column.higher_is_better is None else "q"
    value = at("prediction" if column.continuous else "probability")
    return f"<td class='{kind}{round(place * (STEPS - 1))}'>{_text(value, digits)}{ends}</td>"


def _warnings(table: "pd.DataFrame", columns: Sequence[ProfileColumn], row: int) -> str:
    """Return the warnings of an antibody, each once, with the labels that it is of unless it is of all."""
    by_text: dict[str, list[str]] = {}
    for column in columns:
        text = str(table[f"{column.label} warning"].iloc[row])
        if text:
            by_text.setdefault(text, []).append(column.label)
    return "; ".join(
        text if len(labels) == len(columns) else f"{', '.join(labels)}: {text}" for text, labels in by_text.items()
    )


def _legend(columns: Sequence[ProfileColumn], several: bool) -> str:
    """Return the meaning of the colours, in words and swatches."""
    parts = []
    if any(column.higher_is_better is not None for column in columns):
        swatches = "".join(f"<i class='q{step}'></i>" for step in range(STEPS))
        parts.append(f"<p class='legend'><span>worst</span>{swatches}<span>best</span></p>")
    if any(column.higher_is_better is None for column in columns):
        swatches = "".join(f"<i class='n{step}'></i>" for step in range(STEPS))
        parts.append(
            f"<p class='legend'><span>low</span>{swatches}<span>high, if the better side is not known</span></p>"
        )
    unknown = [column.label for column in columns if column.continuous and column.reference is None]
    words = (
        "Colour is the position of the prediction: the share of training antibodies whose measured value is worse, or "
        "the probability of the better class. Below each value is its interval."
    )
    if unknown:
        words += f" Training labels of {', '.join(unknown)} are unknown: these antibodies are compared with each other."
    if several:
        words += " Antibodies are in the order of the mean position over labels whose better side is known."
    return "".join(parts) + f"<p class='small'>{html.escape(words)}</p>"


def _models(columns: Sequence[ProfileColumn]) -> str:
    lines = [
        (
            "",
            [
                html.escape(column.label),
                "value" if column.continuous else "class 1",
                column.direction,
                f"{column.antibodies:,}",
                html.escape(column.score or "not cross-validated"),
            ],
        )
        for column in columns
    ]
    heads = ["label", "predicted", "better side", "training antibodies", "cross-validation"]
    return elements.table(heads, lines, "A prediction is as good as its model.", last="text")


def _digits(values: NDArray[np.float64]) -> int:
    """Return the number of decimals with which predictions of one label differ: two digits of their range."""
    finite = values[np.isfinite(values)]
    spread = float(np.ptp(finite)) if len(finite) > 1 else float(np.abs(finite).max(initial=0))
    return 2 if not spread else int(np.clip(1 - np.floor(np.log10(spread)), 0, 8))


def _text(value: Any, digits: int) -> str:
    """Return a number with a minus sign that is as wide as a plus."""
    return f"{float(value):.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _percent(place: float) -> str:
    return f"{place:.0%}" if np.isfinite(place) else ""


def _colours() -> str:
    """Return a colour for each step, through the paper in the middle, so that it fits light and dark pages."""
    middle = (STEPS - 1) / 2
    rules = []
    for step in range(STEPS):
        strength = abs(step - middle) / middle * 0.62
        colour = "213,94,0" if step < middle else "0,114,178"
        rules.append(f".q{step}{{background:rgba({colour},{strength:.2f})}}")
        rules.append(f".n{step}{{background:rgba(120,125,140,{0.08 + 0.5 * step / (STEPS - 1):.2f})}}")
    return "".join(rules)


_STYLE = (
    ".profile{overflow-x:auto}.profile table{border-collapse:separate!important;border-spacing:2px;"
    "font-variant-numeric:tabular-nums}"
    ".profile table td,.profile table th{padding:.12rem .5rem!important;line-height:1.3;text-align:center;"
    "border:0!important;white-space:nowrap;min-width:4.5rem}.profile table{border:0!important}"
    ".profile thead th{font-weight:650;color:inherit;vertical-align:bottom}"
    ".profile table th[scope=row]{text-align:left;position:sticky;left:0;background:var(--paper,inherit);"
    "max-width:13rem;overflow:hidden;text-overflow:ellipsis;font-weight:500}"
    ".profile span{display:block;font-size:.75em;font-weight:400;opacity:.75}"
    ".profile table .note{text-align:left;white-space:normal;min-width:14rem;font-size:.85em}"
    ".profile .none{opacity:.6;font-style:italic}.profile td[class]{border-radius:3px}"
    ".legend{display:flex;align-items:center;gap:2px;font-size:.85rem}.legend span{padding:0 .4rem}"
    ".legend i{width:1.6rem;height:1rem;border-radius:3px;outline:1px solid rgba(128,128,128,.35);outline-offset:-1px}"
) + _colours()
