"""What to change: every single mutant of an antibody, what a model says of it, and how plausible it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antibody_esm.explain.germline import germline_residues
from antibody_esm.explain.picture import UNIT, axes, mark_regions, stretches
from antibody_esm.explain.scores import Unit, scores, unit
from antibody_esm.explain.sites import Site, named, sites_read
from antibody_esm.features.sources import Ensemble
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.predictor import Predictor
from antibody_esm.reports.figures import COLOURS
from antibody_esm.sequences import AMINO_ACIDS, BETWEEN, normalise, refuse_longer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from rich.table import Table

ROWS = "KRHDENQSTGPCAVILMFYW"
"""Amino acids in the order of the heat map: charged, polar, small, hydrophobic, aromatic."""
_LABELLED = 45
"""Columns of a heat map up to which each has its label."""


@dataclass(frozen=True, eq=False, repr=False)
class Scan:
    """The single mutants of an antibody. ``str()`` is the beginning of the ranked table."""

    sequence: str
    """The wild type, in normal form."""
    score: float
    """What the model says of it, in `unit`; changes are from here."""
    prediction: float
    """Its probability of class 1, as `Predictor.predict_proba` gives it; or a regressor's value."""
    unit: Unit
    sites: list[Site]
    """The residues that were mutated."""
    table: "pd.DataFrame"
    """What `to_frame` gives, and ``place``: that of the residue in the text of the antibody."""
    absent: dict[str, str]
    """Columns that are not there, and why."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sequence!r}, {len(self.table)} mutants)"

    def __str__(self) -> str:
        return self.to_text()

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a mutant, the largest fall of the score first.

        ``mutation`` (as ``R106K``), ``chain``, ``index`` (of the residue in its chain, from 0), ``position`` (IMGT),
        ``region``, ``wild_type``, ``mutant``; ``probability`` of class 1, or a regressor's ``value``; ``change`` of the
        log-odds or value (before calibration), or of the probability where the classifier counts votes;
        ``plausibility``: how much more probable the language model finds the mutant residue than that of the wild type,
        with the position hidden, as a difference of natural logarithms; ``germline``: whether the mutant residue is the
        germline's; ``pareto``: see `pareto`. Columns that are not known are not there, see `absent`.
        """
        return self.table.drop(columns="place")

    def pareto(self) -> "pd.DataFrame":
        """Return the mutants to choose among: none is beaten in both risk and plausibility, nor by the wild type.

        Risk is the score. Along the front, each mutant lowers it less than the one before, and is more plausible.

        Raises
        ------
        ValueError
            If plausibility is not known.
        """
        if "pareto" not in self.table:
            raise ValueError(f"there is no front without plausibility: {self.absent['plausibility']}")
        return self.to_frame()[self.table["pareto"]].reset_index(drop=True)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the change by position and residue, and return the axes.

        Blue lowers the score, orange raises it; a dot is the wild type, a ring the germline's residue.
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
        ax.plot(range(len(wild)), wild, ".", color=COLOURS["ink"], markersize=3)
        if "germline" in self.table:
            row, place = (one[self.table["germline"]] for one in at)
            ax.plot(place, row, "o", color=COLOURS["ink"], markersize=4, fillstyle="none", markeredgewidth=0.7)
        mark_regions(ax, self.sites, shade=False)
        ax.set_xlim(-0.5, len(self.sites) - 0.5)
        for one in stretches(self.sites)[1:]:
            ax.axvline(one.start - 0.5, color=COLOURS["muted"], linewidth=0.6)
        if len(self.sites) <= _LABELLED:
            labels = [f"{site.residue} {site.position or site.index + 1}" for site in self.sites]
            ax.set_xticks(range(len(labels)), labels, rotation=90)
        ax.set_yticks(range(len(ROWS)), list(ROWS))
        ax.tick_params(axis="y", length=0)
        axis = "IMGT position" if any(site.position for site in self.sites) else "residue"
        ax.set_xlabel(f"{axis}        • wild type" + ("    ○ germline" if "germline" in self.table else ""))
        ax.set_ylabel("mutant")
        ax.spines[:].set_visible(False)
        ax.figure.colorbar(image, ax=ax, label=f"change ({UNIT[self.unit]})", fraction=0.025, pad=0.01)
        return ax

    def to_text(self, rows: int = 20) -> str:
        """Return the first rows of the ranked table and what is not known, in 80 columns."""
        from rich.console import Console

        written = StringIO()
        Console(file=written, width=80, highlight=False).print(self._rich(rows))
        lines = [f"{len(self.table):,} mutants; the wild type has {UNIT[self.unit]} {self.score:+.3f}", ""]
        lines += [line.rstrip() for line in written.getvalue().splitlines()]
        if "pareto" in self.table:
            lines.append("* no mutant, nor the wild type, is better in both change and plausibility")
        return "\n".join(lines + [f"no {name}: {why}" for name, why in self.absent.items()])

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
        }
        table = Table(box=box.SIMPLE_HEAD)
        for name in shown:
            if name in self.table:
                numbers = name in (self._predicted, "change", "plausibility")
                table.add_column(name, justify="right" if numbers else "left")
        for row in self.table.head(rows).to_dict("records"):
            marks = {"germline": "germline" if row.get("germline") else "", "pareto": "*" if row.get("pareto") else ""}
            table.add_row(*(form.format((row | marks)[name]) for name, form in shown.items() if name in self.table))
        return table

    @property
    def _predicted(self) -> str:
        return "value" if self.unit == "value" else "probability"


def mutational_scan(
    predictor: Predictor,
    sequence: str | tuple[str, str],
    positions: str | Iterable[str | int] | None = None,
    *,
    protect: str | Iterable[str | int] = (),
    plausibility: bool = True,
    check: bool | None = None,
) -> Scan:
    """Return what a model says of every single mutant: 19 at each position, unknown residues left out.

    Parameters
    ----------
    predictor
        A fitted model. Its store keeps the vectors: no mutant goes through the language model twice, and the wild type
        does only if it was never seen.
    sequence
        A chain, or a pair of heavy and light; what is mutated is what the model reads of it, see `Predictor.reads`.
    positions
        Which residues are mutated: IMGT positions (``"27"``, ``"111A"``), ranges (``"105-117"``), regions (``"CDR3"``,
        ``"FR1"``, ``"CDRs"``, ``"frameworks"``), of one chain with its letter before it (``"H:CDR3"``), with commas
        between or as a list; integers are indices from 0. None is all.
    protect
        Which are left as they are, such as those of the paratope; in the same words.
    plausibility
        Whether to ask the language model how plausible each residue is, with one run a position.
    check
        As for `Predictor.predict`.

    Raises
    ------
    ValueError
        If positions have no residue in this antibody, or none is left.
    DatasetError
        If the antibody is not what the model reads.
    SequenceError, CheckpointError, StoreError
        As `antibody_esm.embed` does; SequenceError also where the model would not read the sequence to its end.
    """
    import pandas as pd

    text = predictor.reads(sequence, check=check)
    members = _language_models(predictor)
    for member in members:
        refuse_longer([text] if member.spec.pairs == "joined" else text.split(BETWEEN), member.max_length)
    every = sites_read(normalise([sequence], pairs=True)[0], text, predictor.reading)
    kept = {site.place for site in named(every, protect)}
    meant = every if positions is None else named(every, positions)
    chosen = [site for site in meant if site.place not in kept and site.residue in AMINO_ACIDS]
    if not chosen:
        raise ValueError("no position is left to mutate")

    mutants = [(site, residue) for site in chosen for residue in AMINO_ACIDS if residue != site.residue]
    mutated = [text[: site.place] + residue + text[site.place + 1 :] for site, residue in mutants]
    found = scores(predictor, [text, *mutated])
    predicted = predictor.predict_read([text, *mutated])
    several = BETWEEN in text
    table = pd.DataFrame(
        [
            (
                f"{f'{site.chain}:' if several else ''}{site.residue}{site.position or site.index + 1}{residue}",
                *site[:5],
                residue,
                site.place,
            )
            for site, residue in mutants
        ],
        columns=["mutation", "chain", "index", "position", "region", "wild_type", "mutant", "place"],
    )
    table["value" if predictor.spec.is_regression else "probability"] = predicted[1:]
    table["change"] = found[1:] - found[0]
    absent = {}
    known: NDArray[np.float64] | str = "it was not asked for"
    if plausibility:
        known = _plausibility(members, text, chosen)
    if isinstance(known, str):
        absent["plausibility"] = known
    else:
        table["plausibility"] = known
    germline = _germline(text, chosen, predictor.reading.species)
    if germline is None:
        absent["germline"] = "no germline gene was recognised"
    else:
        table["germline"] = [germline.get(site.place) == residue for site, residue in mutants]
    if "plausibility" in table:
        table["pareto"] = on_the_front(table["change"].to_numpy(), table["plausibility"].to_numpy())
    table = table.sort_values("change", kind="stable", ignore_index=True)
    return Scan(text, float(found[0]), float(predicted[0]), unit(predictor), chosen, table, absent)


def on_the_front(risk: NDArray[np.float64], plausibility: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of ``n`` mutants are on the Pareto front of low risk and high plausibility.

    One is not if another, or the wild type with 0 in both, is at least as good in both and better in one.
    """
    risk, plausibility = np.append(risk, 0.0), np.append(plausibility, 0.0)
    order = np.lexsort((-plausibility, risk))
    front = np.zeros(len(risk), bool)
    best, best_risk = -np.inf, np.nan
    for i in order:
        if plausibility[i] > best:
            best, best_risk, front[i] = plausibility[i], risk[i], True
        elif plausibility[i] == best and risk[i] == best_risk:  # as good as the one before, in both
            front[i] = True
    return front[:-1]


def _language_models(predictor: Predictor) -> list[Extractor]:
    extractor = predictor.extractor
    every = extractor.members if isinstance(extractor, Ensemble) else (extractor,)
    return [one for one in every if isinstance(one, Extractor)]


def _plausibility(members: list[Extractor], text: str, chosen: list[Site]) -> NDArray[np.float64] | str:
    """Return the plausibility of every mutant, the mean over language models; or why it is not known."""
    if not members:
        return "the model reads no language model"
    try:
        logs = np.mean([_expected(member, text, chosen) for member in members], axis=0)
    except NoHead as reason:
        return str(reason)
    wild = np.array([AMINO_ACIDS.index(site.residue) for site in chosen])
    ratios = logs - logs[np.arange(len(wild)), wild][:, None]
    others = np.arange(len(AMINO_ACIDS)) != wild[:, None]
    return np.asarray(ratios[others])


def _expected(member: Extractor, text: str, chosen: list[Site]) -> NDArray[np.float64]:
    """Return the log-probability of each amino acid at each of some sites, ``(n, 20)``."""
    if member.spec.pairs == "joined" or BETWEEN not in text:
        return masked_log_probabilities(member, text, [site.place for site in chosen])
    heavy, light = text.split(BETWEEN)
    of_heavy = [site.index for site in chosen if site.place < len(heavy)]
    of_light = [site.index for site in chosen if site.place > len(heavy)]
    parts = [(chain, places) for chain, places in ((heavy, of_heavy), (light, of_light)) if places]
    return np.concatenate([masked_log_probabilities(member, chain, places) for chain, places in parts])


def _germline(text: str, chosen: list[Site], species: Sequence[str]) -> dict[int, str] | None:
    """Return the germline residue by the place of those sites that have one; None if no chain has a known gene."""
    found: dict[int, str] = {}
    before, known = 0, False
    for chain in text.split(BETWEEN):
        here = [site.index for site in chosen if 0 <= site.place - before < len(chain)]
        residues = germline_residues(chain, here, species)
        known = known or residues is not None
        found |= {before + place: residue for place, residue in (residues or {}).items()}
        before += len(chain) + 1
    return found if known else None
