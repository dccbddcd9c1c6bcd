"""A batch of variants to order: table, FASTA, text and picture."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from antibody_esm.explain.plausibility import NO_LANGUAGE_MODEL
from antibody_esm.files import csv_text, write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SHOWN = 24
"""Rows of the table in text."""


@dataclass(frozen=True, eq=False, repr=False)
class Proposals:
    """Variants to make next, the first choice first. ``str()`` is the table in 80 columns."""

    table: "pd.DataFrame"
    """Columns of `to_frame`."""
    everything: "pd.DataFrame"
    """One row for each variant that was predicted and may be proposed: ``parent``, ``mutations``,
    ``mutations_linear``, ``score`` (probability of class 1, or a regressor's value), ``plausibility``,
    ``liabilities``, ``substitutions``, ``charge``, ``pareto``, and ``rank`` in the batch, 0 for all others."""
    parents: dict[str, str]
    """Antibodies from which the variants are made, by name, in normal form."""
    scores: dict[str, float]
    """Probability of class 1, or value, of each parent."""
    predicted: int
    """Number of variants that were predicted."""
    absent: dict[str, str]
    """Reasons by the names of absent columns or facts."""
    wanted: str = ""
    """Side that is wanted, in words: ``a lower probability of class 1``."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.table)} variants)"

    def __str__(self) -> str:
        return self.to_text()

    def __len__(self) -> int:
        return len(self.table)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a variant, in the order of choice.

        Columns: ``rank`` from 1; ``id``; ``sequence``, or ``heavy`` and ``light``; ``parent``; ``mutations`` by IMGT
        position and ``mutations_linear`` by index in the chain from 1, separated by commas; ``prediction`` with the
        ends ``low`` and ``high`` of its interval, see `Predictor.score_table` (a classifier's is the calibrated
        probability, and ``probability`` that of `predict_proba`; without an interval, as for a recalibrated model, both
        are that of `predict_proba`); ``plausibility``, the sum over the substitutions of
        the language model's log-odds; ``liabilities``, the number of medium and high ones; ``substitutions`` from the
        parent; ``charge``, the net charge of what the model reads; ``distance``, the fewest edits from a measured
        antibody; ``pareto``, True on the Pareto front of the objectives; ``reason``.
        """
        return self.table.copy()

    def to_csv(self) -> str:
        """Return the table as CSV, which `load_dataset` reads once a column of labels is added."""
        return csv_text(self.table)

    def to_fasta(self) -> str:
        """Return the variants as FASTA, a record a chain: ``>id``, or ``>id_VH`` and ``>id_VL``.

        These are amino acids. Translation back to DNA depends on the host, and is left to the maker.
        """
        named = {"sequence": "", "heavy": "_VH", "light": "_VL"}
        return "".join(
            f">{_header(row['id'])}{suffix} {row['mutations']}\n{row[column]}\n"
            for row in self.table.to_dict("records")
            for column, suffix in named.items()
            if column in self.table
        )

    def save(self, path: str | Path) -> Path:
        """Write the table (``.csv``) or the sequences (``.fasta``), and return the path.

        Raises
        ------
        ValueError
            If the name has another ending.
        """
        path = Path(path)
        texts = {".csv": self.to_csv, ".fasta": self.to_fasta}
        if path.suffix.lower() not in texts:
            raise ValueError(f"{path.name!r} must end in .csv or .fasta")
        write(path, texts[path.suffix.lower()]().encode())
        return path

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw predicted risk and plausibility of all variants, and return the axes; the batch has its ranks.

        Raises
        ------
        ValueError
            If plausibility is absent.
        """
        from matplotlib import pyplot as plt

        from antibody_esm.reports.figures import COLOURS

        if "plausibility" in self.absent:
            raise ValueError(f"there is no picture without plausibility: {self.absent['plausibility']}")
        if ax is None:
            ax = plt.subplots(figsize=(6, 4.4), layout="constrained")[1]
        in_batch = self.everything["rank"] > 0
        others, batch = self.everything[~in_batch], self.everything[in_batch]
        ax.plot(others["plausibility"], others["score"], ".", color=COLOURS["muted"], markersize=3, label="predicted")
        ax.plot(batch["plausibility"], batch["score"], "o", color=COLOURS["orange"], markersize=6, label="proposed")
        for row in batch.itertuples():
            place = (row.plausibility, row.score)
            ax.annotate(str(row.rank), place, textcoords="offset points", xytext=(5, 3), fontsize=7)
        ax.set_xlabel("plausibility (log-odds of the language model)")
        ax.set_ylabel("probability of class 1" if "probability" in self.table else "predicted value")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
        return ax

    def to_text(self, rows: int = _SHOWN) -> str:
        """Return the first rows of the table, and what is absent, in 80 columns of text."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        shown = self.table.head(rows)
        regressor = "probability" not in self.table
        columns: dict[str, Iterable[str]] = {"rank": shown["rank"].astype(str)}
        if len(self.parents) > 1:
            columns["parent"] = shown["parent"]
        columns["mutations"] = [text.replace(",", ", ") for text in shown["mutations"]]  # lines break there
        if not regressor:
            columns["probability"] = shown["probability"].map("{:.3f}".format)
        if "low" in self.table:
            columns["value" if regressor else "calibrated"] = [
                f"{row.prediction:.3g} [{row.low:.3g}, {row.high:.3g}]" for row in shown.itertuples()
            ]
        elif regressor:
            columns["value"] = shown["prediction"].map("{:.3g}".format)
        if "plausibility" in self.table:
            columns["plausibility"] = shown["plausibility"].map("{:+.1f}".format)
        if "liabilities" in self.table:
            columns["liabilities"] = shown["liabilities"].astype(str)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
        for name in columns:
            of_names = name in ("parent", "mutations")
            table.add_column(name, justify="left" if of_names else "right", overflow="fold", no_wrap=not of_names)
        for row in zip(*columns.values(), strict=True):
            table.add_row(*row)
        written = StringIO()
        Console(file=written, width=80, highlight=False).print(table)
        wanted = f"; {self.wanted} is wanted" if self.wanted else ""
        lines = [f"{len(self.table):,} variants of {self.predicted:,} that were predicted{wanted}", ""]
        lines += [line.rstrip() for line in written.getvalue().splitlines()] if len(self.table) else []
        what, form = ("value", "{:.3g}") if regressor else ("probability", "{:.3f}")
        lines += [f"{name}: {what} {form.format(own)}" for name, own in self.scores.items()]
        return "\n".join([*lines, "", *self._reasons()])

    def _reasons(self) -> list[str]:
        """Return the facts that are absent with their reasons, in lines of 80 columns."""
        lines = []
        for name, reason in self.absent.items():
            hint = "; language_model= names one" if reason == NO_LANGUAGE_MODEL else ""
            text = f"{'not' if name.startswith('all ') else 'no'} {name}: {reason}{hint}"
            lines += wrap(text, 80, subsequent_indent="  ")
        return lines


def _header(name: str) -> str:
    """Return a name as one word of a FASTA header; a line break in it would begin another record."""
    return re.sub(r"[\s>]+", "_", name)
