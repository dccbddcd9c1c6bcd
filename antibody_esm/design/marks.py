"""Liabilities in the pictures and tables of explanations."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from antibody_esm.choices import Engines
from antibody_esm.data.reading import Reading
from antibody_esm.design.panel import LiabilityPanel, Severity
from antibody_esm.design.variant_liabilities import Liabilities, Place, Search, added
from antibody_esm.explain.contributions import Contributions
from antibody_esm.explain.marks import Mark, draw
from antibody_esm.explain.scan import Scan
from antibody_esm.explain.sites import Site, sites
from antibody_esm.sequences import ModelText
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Explanation = TypeVar("Explanation", Contributions, Scan)

_NO_DOMAIN = "no variable domain is recognised"


def with_liabilities(explained: Explanation, *, panel: LiabilityPanel | str | Path | None = None) -> Explanation:
    """Return contributions or a scan with the medium and high liabilities of the antibody marked.

    Liabilities are searched in the whole chains, whatever part of them the model reads; those of residues that are not
    in the picture have no mark. Text, page and figures show the marks.

    The table of a scan gets three columns: ``liabilities``, the number of medium and high ones that the mutant has;
    ``clears``, those of the wild type that it has not; and ``adds``, those that the wild type has not, or not as
    severe (as ``NG at H62``, separated by ``; ``). Each mutant is numbered and searched as a whole. If no domain is
    recognised in a mutant, its number is missing and the two texts are empty. In an antibody without a variable domain
    nothing is marked, and the reason is shown.

    Parameters
    ----------
    explained
        Result of `residue_contributions`, `occlusion`, `shapley` or `mutational_scan`.
    panel
        Panel of liabilities, or a JSON file of it; None is the built-in one.

    Raises
    ------
    OSError, ValidationError
        If the panel cannot be read, or is none.

    Examples
    --------
    >>> from antibody_esm import DescriptorSpec, Dataset, Trainer, mutational_scan
    >>> vh = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    >>> vh = vh + "SRWGGDGFYAMDYWGQGTLVTVSS"
    >>> data = Dataset(["a", "b", "c", "d"], [vh, vh[1:], "K" + vh, "R" + vh], label=[0, 0, 1, 1])
    >>> model = Trainer(DescriptorSpec(), "logreg").fit(data, uncertainty=False, check=False)
    >>> scan = with_liabilities(mutational_scan(model, vh, "63"))
    >>> table = scan.to_frame().set_index("mutation")
    >>> table.loc[["G63A", "G63S"], ["liabilities", "clears", "adds"]].to_numpy().tolist()
    [[5, 'NG at H62', ''], [6, '', '']]
    """
    reading = explained.reading or Reading()
    searched = _Antibody(explained.antibody or explained.sequence, reading, Search(panel, *_numbering(reading)))
    marks = searched.marks(explained.sites, explained.sequence)
    if isinstance(explained, Contributions):
        return replace(explained, marks=marks)
    if isinstance(marks, Unknown):
        return replace(explained, marks=marks, absent=explained.absent | {"liabilities": str(marks)})
    return replace(explained, marks=marks, table=searched.with_columns(explained))


def mark_liabilities(
    ax: "Axes",
    sites: Sequence[Site],
    table: "pd.DataFrame",
    severities: Sequence[Severity] = ("high", "medium"),
) -> "Axes":
    """Mark liabilities on an axis that counts the residues of an antibody, and return the axes.

    Parameters
    ----------
    ax
        Axes of `Contributions.plot` or `Scan.plot`.
    sites
        Residues in the picture, `Contributions.sites`. Liabilities at other residues are not marked.
    table
        Result of `liabilities` for this antibody.
    severities
        Severities that are marked: high ones by a filled diamond, all others by an empty one.

    Examples
    --------
    ::

        contributions = residue_contributions(predictor, heavy)
        mark_liabilities(contributions.plot(), contributions.sites, liabilities(heavy))
    """
    places = {(site.chain, site.position): i for i, site in enumerate(sites) if site.position}
    for severity in severities:
        rows = table[table["severity"] == severity]
        keys = zip(rows["chain"], rows["position"], strict=True)
        draw(ax, sorted({places.get(key, -1) for key in keys} - {-1}), severity)
    return ax


class _Antibody:
    """An antibody of an explanation: all its chains, numbered, with its liabilities."""

    def __init__(self, text: str, reading: Reading, search: Search) -> None:
        self.text = text
        self.search = search
        self.pair = ModelText.of(text)
        self.sites = {site.place: site for site in sites(text, *_numbering(reading))}
        self.places = {(site.chain, site.position): site.place for site in self.sites.values() if site.position}
        (self.liabilities,) = search.of([text])

    def place(self, site: Site, read: str) -> int | None:
        """Return the place in the whole antibody of a residue of the text that the model reads."""
        return site.place if read == self.text else self.places.get((site.chain, site.position))

    def marks(self, shown: Sequence[Site], read: str) -> tuple[Mark, ...] | Unknown:
        """Return the marks of the residues in a picture."""
        if self.liabilities is None:
            return Unknown(_NO_DOMAIN)
        row = {self.place(site, read): i for i, site in enumerate(shown)}
        return tuple(
            Mark(row[at], each.severity, self.name(place, each.motif), each.kind)
            for place, each in self.liabilities.items()
            if (at := self.pair.starts[place.chain] + place.residue) in row
        )

    def name(self, place: Place, motif: str) -> str:
        """Return a liability as ``NG at H62``."""
        site = self.sites[self.pair.starts[place.chain] + place.residue]
        return f"{motif} at {site.chain}{site.position}"

    def with_columns(self, scan: Scan) -> "pd.DataFrame":
        """Return the table of a scan with the liabilities of each mutant."""
        import pandas as pd

        before = self.liabilities or {}
        site = {site.place: site for site in scan.sites}
        places = [self.place(site[place], scan.sequence) for place in scan.table["place"]]
        texts = [
            self.text if place is None else str(self.pair.mutated(place, residue))
            for place, residue in zip(places, scan.table["mutant"], strict=True)
        ]
        every = [None if place is None else each for place, each in zip(places, self.search.of(texts), strict=True)]
        return scan.table.assign(
            liabilities=pd.array([None if each is None else len(each) for each in every], dtype="Int64"),
            clears=[self._cleared(before, each) for each in every],
            adds=[self._added(before, each) for each in every],
        )

    def _cleared(self, before: Liabilities, after: Liabilities | None) -> str:
        if after is None:
            return ""
        return "; ".join(self.name(place, each.motif) for place, each in before.items() if place not in after)

    def _added(self, before: Liabilities, after: Liabilities | None) -> str:
        if after is None:
            return ""
        new = [id(each) for each in added(before, after)]
        return "; ".join(self.name(place, each.motif) for place, each in after.items() if id(each) in new)


def _numbering(reading: Reading) -> tuple[tuple[str, ...], Engines]:
    return reading.species, reading.engines
