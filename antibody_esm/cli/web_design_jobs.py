"""Jobs of the web page that search liabilities and propose variants, with limits on their numbers and lengths."""

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from antibody_esm.cli.web_jobs import LONGEST, antibodies, recognised_columns, uploaded
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import BETWEEN

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.reading import Reading
    from antibody_esm.design import Proposals
    from antibody_esm.panel import Panel
    from antibody_esm.predictor import Predictor

SHOWN = 10
"""Antibodies whose liabilities are drawn."""
MOST_SIZE = 96
"""Most variants of a batch."""
MOST_MUTATIONS = 5
"""Most substitutions of a variant."""
MOST_CANDIDATES = 2_000
"""Most variants that are predicted in a job."""
LONGEST_NAMES = 1_000
"""Most characters of a list of positions."""
BETTER = {"as the model says": None, "low or class 0": False, "high or class 1": True}
"""Choices of the better side."""


class LiabilitySearchResult(NamedTuple):
    """Liabilities of the antibodies of a page."""

    table: "pd.DataFrame"
    rejected: "pd.DataFrame"
    antibodies: int
    picture: str
    """HTML of the first antibodies."""
    notice: str
    """Sentence on the columns that were recognised."""


def liabilities_job(loaded: "Predictor | Panel", text: str, file: str | None) -> LiabilitySearchResult:
    """Return the liabilities of antibodies, in every chain that they have."""
    from antibody_esm.design import screen
    from antibody_esm.design.picture import STYLE, liability_picture

    species = _reading(loaded).species
    frame = uploaded(text, file)
    _refuse_long(frame)
    done = screen(frame, species=species)
    names = dict(zip(done.rows, done.table["id"], strict=True))
    parts = [f"<style>{STYLE}</style>"]
    for row in list(done.texts)[:SHOWN]:
        here = done.table[[other == row for other in done.rows]]
        title = html.escape(str(names.get(row, f"row {row + 1}")))
        parts.append(f"<h3>{title}</h3>{liability_picture(done.texts[row], here, species)}")
    return LiabilitySearchResult(done.table, done.rejected, done.antibodies, "".join(parts), recognised_columns(frame))


class ProposalRequest(NamedTuple):
    """Fields of a request for `propose_job`, which hold anything that a client sends."""

    parent: Any
    size: Any
    mutations: Any
    candidates: Any
    positions: Any
    protect: Any
    better: Any
    label: Any
    cells: Mapping[str, Any]
    """Columns that the model reads of the parent."""

    def checked(self) -> dict[str, Any]:
        """Return the options of `antibody_esm.design.propose`.

        Raises
        ------
        ValueError
            If a number is out of its range, a text too long, or a choice is none.
        """
        if not isinstance(self.better, str) or self.better not in BETTER:
            raise ValueError(f"better predictions are {', '.join(BETTER)}")
        return {
            "size": _number("variants", self.size, MOST_SIZE),
            "mutations": _number("mutations of each", self.mutations, MOST_MUTATIONS),
            "candidates": _number("predictions", self.candidates, MOST_CANDIDATES),
            "positions": names_of(self.positions) or None,
            "protect": names_of(self.protect) or (),
            "higher_is_better": BETTER[self.better],
        }


def propose_job(loaded: "Predictor | Panel", request: ProposalRequest) -> "Proposals":
    """Return variants of an antibody by a model, or by the model of a panel for one label.

    Raises
    ------
    DatasetError, ValueError
        If the request is out of its limits, the text is not one antibody, or there is no such label.
    """
    from antibody_esm.design import propose
    from antibody_esm.predictor import Predictor

    options = request.checked()
    if isinstance(loaded, Predictor):
        model = loaded
    elif isinstance(request.label, str) and request.label in loaded:
        model = loaded[request.label]
    else:
        raise ValueError(f"there is no label {str(request.label)[:100]!r}")
    if not isinstance(request.parent, str) or not request.parent.strip():
        raise DatasetError("write the parent first, or click an antibody in Scores")
    frame = antibodies(request.parent, None, model.reading.chain)
    if len(frame) > 1:
        raise DatasetError(f"variants are made of one antibody at a time; these are {len(frame):,}")
    return propose(model.with_columns(dict(request.cells)), str(frame["sequence"].iloc[0]), **options)


def names_of(text: Any) -> str:
    """Return a list of positions.

    Raises
    ------
    ValueError
        If it is no text, or too long.
    """
    if text is not None and not isinstance(text, str):
        raise ValueError("positions are a text, such as CDR3 or 105-117")
    if text and len(text) > LONGEST_NAMES:
        raise ValueError(f"positions may have at most {LONGEST_NAMES:,} characters")
    return (text or "").strip()


def _number(name: str, value: Any, most: int) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 1 <= value <= most or value != int(value):
        raise ValueError(f"the number of {name} must be from 1 to {most:,}")
    return int(value)


def _reading(loaded: "Predictor | Panel") -> "Reading":
    from antibody_esm.predictor import Predictor

    return (loaded if isinstance(loaded, Predictor) else loaded.first).reading


def _refuse_long(frame: "pd.DataFrame") -> None:
    """Raise a DatasetError if a cell of a column that may hold chains is too long."""
    from antibody_esm.data.antibody_tables import table_of

    table, recognised = table_of(frame, cut=False)
    columns = recognised.columns
    usual = {"heavy", "light", "sequence", "sequence_aa", recognised.sequence, columns.heavy, columns.light}
    for name in usual & set(table.columns):
        for row, cell in enumerate(table[name]):
            if any(len(chain) > LONGEST for chain in str(cell).split(BETWEEN, 2)):
                raise DatasetError(f"row {row + 1}, {name}: a sequence may have at most {LONGEST:,} residues")
