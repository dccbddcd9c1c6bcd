"""Single mutants of an antibody, with the predictions of a model and their plausibility."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from io import StringIO
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.reading import Reading
from antibody_esm.explain.germline import germline_residues
from antibody_esm.explain.logits import Unit, scores, unit
from antibody_esm.explain.marks import SYMBOLS, Marks, by_site, draw, in_words
from antibody_esm.explain.pareto import pareto
from antibody_esm.explain.picture import UNIT, axes, mark_regions, stretches
from antibody_esm.explain.plausibility import log_odds
from antibody_esm.explain.residue_shares import members
from antibody_esm.explain.sites import Site, named, sites, sites_read
from antibody_esm.features.sources import readers
from antibody_esm.reports.figures import COLOURS
from antibody_esm.scorer import Scorer
from antibody_esm.sequences import AMINO_ACIDS, ModelText, normalise, refuse_longer
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from rich.table import Table

ROWS = "KRHDENQSTGPCAVILMFYW"
"""Amino acids in the order of the heat map: charged, polar, small, hydrophobic, aromatic."""
_LABELLED = 45
"""Largest number of columns of a heat map that each have a label."""


@dataclass(frozen=True, eq=False, repr=False)
class Scan:
    """The single mutants of an antibody. ``str()`` is the beginning of the ranked table."""

    sequence: str
    """The part of the wild type that the model reads, in normal form."""
    score: float
    """Score of the wild type, in `unit`; changes are differences from it."""
    prediction: float
    """Its probability of class 1, as `Predictor.predict_proba` gives it; or a regressor's value."""
    unit: Unit
    sites: list[Site]
    """The residues that were mutated."""
    table: "pd.DataFrame"
    """Columns of `to_frame`, and ``place``, the index of the residue in the text of the antibody."""
    absent: dict[str, str]
    """Reasons by the names of absent columns."""
    antibody: str = ""
    """All chains in normal form, of which `sequence` is the part that the model reads; empty: it is all there is."""
    reading: Reading | None = None
    """Reading of the model; None: human and mouse profiles number."""
    marks: Marks = None
    """Liabilities of the wild type that pictures show; see `antibody_esm.design.with_liabilities`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sequence!r}, {len(self.table)} mutants)"

    def __str__(self) -> str:
        return self.to_text()

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a mutant, the largest fall of the score first, or the largest rise if high labels are better.

        Columns: ``mutation`` (as ``R106K``), ``chain``, ``index`` (of the residue in its chain, from 0), ``position``
        (IMGT), ``region``, ``wild_type``, ``mutant``; ``probability`` of class 1, or a regressor's ``value``;
        ``change`` of the log-odds of this probability (before an isotonic calibration, see `unit`), of the value, or of
        the probability if the classifier counts votes;
        ``plausibility``: the logarithm of the mutant residue's probability in the language model, with the position
        hidden, less that of the wild type; ``germline``: True if the mutant residue is the germline's; ``pareto``: see
        `pareto`. `antibody_esm.design.with_liabilities` adds ``liabilities``, ``clears`` and ``adds``. The reason for
        an absent column is in `absent`.
        """
        return self.table.drop(columns="place")

    def pareto(self) -> "pd.DataFrame":
        """Return the Pareto front of low risk and high plausibility, see `on_the_front`.

        Risk is the score, or its negative if high labels are better. Along the front, each mutant lowers the risk less
        than the mutant before, and is more plausible.

        Raises
        ------
        ValueError
            If plausibility is absent.
        """
        if "pareto" not in self.table:
            raise ValueError(f"there is no front without plausibility: {self.absent['plausibility']}")
        return self.to_frame()[self.table["pareto"]].reset_index(drop=True)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the change by position and residue, and return the axes.

        Blue lowers the score, orange raises it; a dot is the wild type, a ring the germline's residue. With
        liabilities, a diamond instead of a dot is a wild type that has one (filled: high, empty: medium), and a cross
        is a mutant that adds one.
        """
        import matplotlib as mpl

        ax = axes(ax, len(self.sites), 4.4)
        column = {site.place: i for i, site in enumerate(self.sites)}
        change = np.full((len(ROWS), len(self.sites)), np.nan)
        at = self.table["mutant"].map(ROWS.index), self.table["place"].map(column)
        change[at] = self.table["change"]
        colours = mpl.colors.LinearSegmentedColormap.from_list("", [COLOURS["blue"], "#ffffff", COLOURS["orange"]])
        largest = float(np.nanmax(np.abs(change))) or 1.0
        image = ax.imshow(change, cmap=colours, vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
        wild = [ROWS.index(site.residue) for site in self.sites]
        marked = by_site(self.marks)
        plain = [i for i in range(len(wild)) if i not in marked]
        ax.plot(plain, [wild[i] for i in plain], ".", color=COLOURS["ink"], markersize=3)
        for severity in SYMBOLS:
            here = [i for i, marks in marked.items() if marks[0].severity == severity]
            draw(ax, here, severity, [wild[i] for i in here])
        if "adds" in self.table:
            row, place = (index[self.table["adds"] != ""] for index in at)
            ax.plot(place, row, "x", color=COLOURS["ink"], markersize=3.2, markeredgewidth=0.7)
        if "germline" in self.table:
            row, place = (index[self.table["germline"]] for index in at)
            ax.plot(place, row, "o", color=COLOURS["ink"], markersize=4, fillstyle="none", markeredgewidth=0.7)
        mark_regions(ax, self.sites, shade=False)
        ax.set_xlim(-0.5, len(self.sites) - 0.5)
        for stretch in stretches(self.sites)[1:]:
            ax.axvline(stretch.start - 0.5, color=COLOURS["muted"], linewidth=0.6)
        if len(self.sites) <= _LABELLED:
            labels = [f"{site.residue} {site.position or site.index + 1}" for site in self.sites]
            ax.set_xticks(range(len(labels)), labels, rotation=90)
        ax.set_yticks(range(len(ROWS)), list(ROWS))
        ax.tick_params(axis="y", length=0)
        axis = "IMGT position" if any(site.position for site in self.sites) else "residue"
        signs = ["• wild type", *(["○ germline"] if "germline" in self.table else [])]
        further = "\n◆ high ◇ medium liability    x adds one" if "adds" in self.table else ""
        ax.set_xlabel(f"{axis}        {'    '.join(signs)}{further}")
        ax.set_ylabel("mutant")
        ax.spines[:].set_visible(False)
        ax.figure.colorbar(image, ax=ax, label=f"change ({UNIT[self.unit]})", fraction=0.025, pad=0.01)
        return ax

    def to_text(self, rows: int = 20) -> str:
        """Return the first rows of the ranked table and the absent columns, in 80 columns of text."""
        from rich.console import Console

        written = StringIO()
        Console(file=written, width=80, highlight=False).print(self._rich(rows))
        lines = [f"{len(self.table):,} mutants; the wild type has {UNIT[self.unit]} {self.score:+.3f}", ""]
        lines += [line.rstrip() for line in written.getvalue().splitlines()]
        if "pareto" in self.table:
            lines.append("* no mutant, nor the wild type, is better in both change and plausibility")
        if "adds" in self.table:
            lines.append("-1: clears a medium or high liability of the wild type; +1: adds one")
        lines += [wrapped for line in in_words(self.marks) for wrapped in wrap(line, 80, subsequent_indent="  ")]
        absent = {name: reason for name, reason in self.absent.items() if name != "liabilities"}
        return "\n".join(lines + [f"no {name}: {reason}" for name, reason in absent.items()])

    def _rich(self, rows: int) -> "Table":
        from rich import box
        from rich.table import Table

        shown = {
            "mutation": "{}",
            "region": "{}",
            self._predicted: "{:.3f}",
            "change": "{:+.3f}",
            "plausibility": "{:+.2f}",
            "germline": "{}",
            "pareto": "{}",
            "liabilities": "{}",
        }
        if "adds" in self.table:
            del shown["region"]  # 80 columns are full
        table = Table(box=box.SIMPLE_HEAD)
        for name in shown:
            if name in self.table:
                numbers = name in (self._predicted, "change", "plausibility")
                table.add_column(name, justify="right" if numbers else "left")
        for row in self.table.head(rows).to_dict("records"):
            marks = {"germline": "germline" if row.get("germline") else "", "pareto": "*" if row.get("pareto") else ""}
            marks["liabilities"] = _count(row) if "adds" in row else ""
            table.add_row(*(form.format((row | marks)[name]) for name, form in shown.items() if name in self.table))
        return table

    @property
    def _predicted(self) -> str:
        return "value" if self.unit == "value" else "probability"


def mutational_scan(
    predictor: Scorer,
    sequence: str | tuple[str, str],
    positions: str | Iterable[str | int] | None = None,
    *,
    protect: str | Iterable[str | int] = (),
    plausibility: bool = True,
    check: bool | None = None,
) -> Scan:
    """Return the predictions for every single mutant: 19 at each position, unknown residues left out.

    Parameters
    ----------
    predictor
        A fitted model. Its store keeps the vectors: no mutant goes through the language model twice, and the wild type
        does only if it was never seen.
    sequence
        A chain, or a pair of heavy and light. The part that the model reads is mutated, see `Predictor.reads`.
    positions
        Residues that are mutated: IMGT positions (``"27"``, ``"111A"``), ranges (``"105-117"``) or regions (``"CDR3"``,
        ``"FR1"``, ``"CDRs"``, ``"frameworks"``). The letter of a chain limits them to it (``"H:CDR3"``). Several are
        separated by commas, or a list; integers are indices from 0. None is all.
    protect
        Residues that are not mutated, such as those of the paratope, in the same form.
    plausibility
        True computes the plausibility of each residue, with one run of the language model for each position.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If positions have no residue in this antibody, or no position is left.
    DatasetError
        If the model does not read such an antibody.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed`; SequenceError also if the model would not read the sequence to its end.
    """
    import pandas as pd

    text = predictor.reads(sequence, check=check)
    read = ModelText.of(text)
    sources = members(predictor.extractor)
    for source in sources:
        for reader, texts in readers(source, [text]):
            refuse_longer(texts, reader.max_length)
    (whole,) = normalise([sequence], pairs=True)
    every = sites_read(whole, text, predictor.reading)
    kept = {site.place for site in named(every, protect)}
    selected = every if positions is None else named(every, positions)
    chosen = [site for site in selected if site.place not in kept and site.residue in AMINO_ACIDS]
    if not chosen:
        raise ValueError("no position is left to mutate")

    mutants = [(site, residue) for site in chosen for residue in AMINO_ACIDS if residue != site.residue]
    mutated = [str(read.mutated(site.place, residue)) for site, residue in mutants]
    values = scores(predictor, [text, *mutated])
    predicted = predictor.predict_read([text, *mutated])
    table = pd.DataFrame(
        [
            (
                f"{f'{site.chain}:' if read.is_pair else ''}{site.residue}{site.position or site.index + 1}{residue}",
                *site[:5],
                residue,
                site.place,
            )
            for site, residue in mutants
        ],
        columns=["mutation", "chain", "index", "position", "region", "wild_type", "mutant", "place"],
    )
    table["value" if predictor.spec.is_regression else "probability"] = predicted[1:]
    table["change"] = values[1:] - values[0]
    absent = {}
    plausible: NDArray[np.float64] | Unknown = Unknown("not computed, as plausibility=False")
    if plausibility:
        plausible = log_odds(sources, text, chosen)
    if isinstance(plausible, Unknown):
        absent["plausibility"] = str(plausible)
    else:
        others = [[residue != site.residue for residue in AMINO_ACIDS] for site in chosen]
        table["plausibility"] = plausible[np.array(others)]
    germline = _germline(whole, text, chosen, predictor.reading)
    if germline is None:
        absent["germline"] = "no germline gene was recognised"
    else:
        table["germline"] = [germline.get(site.place) == residue for site, residue in mutants]
    risk = table["change"] * (-1 if predictor.data.higher_is_better else 1)
    if "plausibility" in table:
        table["pareto"] = on_the_front(risk.to_numpy(), table["plausibility"].to_numpy())
    table = table.iloc[np.argsort(risk.to_numpy(), kind="stable")].reset_index(drop=True)
    return Scan(
        *(text, float(values[0]), float(predicted[0]), unit(predictor), chosen, table, absent),
        antibody=whole,
        reading=predictor.reading,
    )


def _count(row: dict[Hashable, Any]) -> str:
    """Return the number of liabilities of a mutant, with those that it clears and adds: ``5 -1``, ``6 -1 +1``."""
    changes = [f"{sign}{row[name].count(' at ')}" for name, sign in (("clears", "-"), ("adds", "+")) if row[name]]
    return " ".join(["?" if row["liabilities"] != row["liabilities"] else str(row["liabilities"]), *changes])


def on_the_front(risk: NDArray[np.float64], plausibility: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True for each of ``n`` mutants that is on the Pareto front of low risk and high plausibility.

    A mutant is not on it if another one is at least as good in both and better in one. The wild type has 0 in both, and
    counts as another one.
    """
    gains = np.column_stack([np.append(-risk, 0.0), np.append(plausibility, 0.0)])
    return pareto(gains)[:-1]


def _germline(antibody: str, text: str, chosen: list[Site], reading: Reading) -> dict[int, str] | None:
    """Return germline residues by place, for the sites that have one; None if no chain has a germline gene.

    The genes are those of the whole chains, for a model that reads loops too: loops alone resemble no gene.
    """
    places = {site.place: site.place for site in chosen}
    if antibody != text:
        numbered = {(site.chain, site.position): site for site in sites(antibody, reading.species, reading.engines)}
        pairs = [(site, numbered.get((site.chain, site.position))) for site in chosen if site.position]
        places = {
            site.place: other.place for site, other in pairs if other is not None and other.residue == site.residue
        }
    germline: dict[int, str] = {}
    assigned, read = False, ModelText.of(antibody)
    for start, chain in zip(read.starts, read.chains, strict=True):
        here = [place - start for place in places.values() if start <= place < start + len(chain)]
        residues = germline_residues(chain, here, reading.species)
        assigned = assigned or residues is not None
        germline |= {start + place: residue for place, residue in (residues or {}).items()}
    return {place: germline[at] for place, at in places.items() if at in germline} if assigned else None
