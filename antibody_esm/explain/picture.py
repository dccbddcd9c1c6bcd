"""Pictures of the residues of an antibody that raise or lower a score: as a figure, as text, and as a page.

Residues that raise the score are orange and point up; those that lower it are blue and point down (Okabe and Ito's
colours).
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import groupby, pairwise
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.explain.logits import Unit
from antibody_esm.explain.marks import SYMBOLS, Mark, Marks, by_site, draw, in_words
from antibody_esm.explain.sites import Site
from antibody_esm.files import replacing
from antibody_esm.reports.figures import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.text import Text

UNIT = {"logit": "log-odds", "raw_logit": "log-odds before calibration", "value": "value", "probability": "probability"}
"""Names of units for people."""

_LINE = 50
"""Residues in a line of text."""
_TICKS = (1, 11, 20, 30, 40, 50, 60, 70, 80, 90, 104, 118, 128)
_WEAK, _STRONG = 0.15, 0.5
"""Smallest shares of the strongest contribution at which a residue is marked, and marked as strong."""


class Pictured(Protocol):
    """Facts of `Contributions` that a picture shows."""

    @property
    def sites(self) -> list[Site]: ...  # noqa: D102  see `Contributions`, also below
    @property
    def contributions(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def intercept(self) -> float | None: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102
    @property
    def unit(self) -> Unit: ...  # noqa: D102
    @property
    def marks(self) -> Marks: ...  # noqa: D102


class Stretch(NamedTuple):
    """Neighbours in one region."""

    chain: str
    region: str
    start: int
    """Index of the first residue, among all residues."""
    sites: list[Site]

    @property
    def stop(self) -> int:
        """Index behind the last residue."""
        return self.start + len(self.sites)

    @property
    def label(self) -> str:
        """First and last position, if residues have them; else their numbers from 1."""
        first, last = self.sites[0], self.sites[-1]
        ends = (first.position, last.position) if first.position else (str(first.index + 1), str(last.index + 1))
        return ends[0] if ends[0] == ends[1] else "-".join(ends)


def stretches(sites: list[Site]) -> list[Stretch]:
    """Return the regions of an antibody in order."""
    regions, start = [], 0
    for (chain, _, region), group in groupby(sites, lambda site: (site.chain, site.domain, site.region)):
        together = list(group)
        regions.append(Stretch(chain, region, start, together))
        start += len(together)
    return regions


def ticks(sites: list[Site]) -> tuple[list[int], list[str]]:
    """Return places and IMGT positions for the axis of a figure; every tenth residue if there are none."""
    wanted = {str(number) for number in _TICKS}
    if any(site.position for site in sites):
        places = [i for i, site in enumerate(sites) if site.position in wanted]
        return places, [sites[i].position for i in places]
    places = [i for i, site in enumerate(sites) if site.index == 0 or (site.index + 1) % 10 == 0]
    return places, [str(sites[i].index + 1) for i in places]


def mark_regions(ax: "Axes", sites: list[Site], *, shade: bool = True) -> None:
    """Name the loops of an antibody above an axis that counts its residues, and shade them."""
    several = len({site.chain for site in sites}) > 1
    for stretch in stretches(sites):
        if stretch.region.startswith("CDR"):
            name = f"{stretch.chain}-{stretch.region}" if several else stretch.region
            if shade:
                ends = stretch.start - 0.5, stretch.stop - 0.5
                ax.axvspan(*ends, color=COLOURS["faint"], alpha=0.45, linewidth=0, zorder=0)
            middle = (stretch.start + stretch.stop - 1) / 2
            ax.annotate(
                *(name, (middle, 1)),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                color=COLOURS["muted"],
                fontsize=8,
            )
    for i, (before, after) in enumerate(pairwise(sites)):
        if before.chain != after.chain:
            ax.axvline(i + 0.5, color=COLOURS["muted"], linewidth=0.8)
    places, labels = ticks(sites)
    ax.set_xticks(places, labels)
    ax.set_xlim(-0.7, len(sites) - 0.3)


def letter_size(ax: "Axes", many: int) -> float:
    """Return the size in points at which so many letters fit side by side on axes; 0 if none does."""
    width = ax.get_window_extent().width / ax.figure.dpi * 72 / many
    return min(8.0, 1.3 * width) if width > 3.2 else 0.0


def axes(ax: "Axes | None", many: int, height: float) -> "Axes":
    """Return these axes, or new ones with the width for so many residues."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        return pyplot.subplots(figsize=(max(5.0, 1.2 + 0.088 * many), height))[1]


def plot(explained: Pictured, ax: "Axes | None" = None) -> "Axes":
    """Draw contributions as bars."""
    sites, values = explained.sites, explained.contributions
    ax = axes(ax, len(sites), 2.6)
    ax.bar(np.arange(len(values)), values, 0.86, color=[COLOURS["orange" if v > 0 else "blue"] for v in values])
    ax.axhline(0, color=COLOURS["muted"], linewidth=0.6)
    mark_regions(ax, sites)
    size = letter_size(ax, len(sites))
    if size:
        for i, site in enumerate(sites):
            ax.annotate(
                *(site.residue, (i, 0)),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=size,
                color=COLOURS["ink"],
            )
        low, high = ax.get_ylim()
        ax.set_ylim(low - 0.12 * (high - low), high)
    marked = by_site(explained.marks)
    if marked:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.1 * (high - low))
        for severity in SYMBOLS:
            draw(ax, [i for i, marks in marked.items() if marks[0].severity == severity], severity)
    ax.set_xlabel("IMGT position" if any(site.position for site in sites) else "residue")
    ax.set_ylabel(f"contribution\n({UNIT[explained.unit]})")
    return ax


def save(ax: "Axes", path: Path) -> None:
    """Write the figure that axes are in, in the format of the path's suffix."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101  axes of a figure
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:], dpi=150)


def text(explained: Pictured, *, color: bool = False) -> str:
    """Return contributions as text in 80 columns."""
    from rich.console import Console

    written = StringIO()
    system = "truecolor" if color else None
    Console(file=written, width=80, force_terminal=color, color_system=system, highlight=False).print(rich(explained))  # type: ignore[arg-type]  # a literal
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def rich(explained: Pictured) -> "Text":
    """Return contributions as text of the rich library."""
    from rich.text import Text

    share, marked = _shares(explained.contributions), by_site(explained.marks)
    picture = Text(headline(explained) + "\n")
    chain = None
    for stretch in stretches(explained.sites):
        if stretch.chain != chain:
            chain = stretch.chain
            picture.append(f"\n{ {'H': 'heavy chain', 'L': 'light chain'}.get(chain, 'chain') }\n", "bold")
        for start in range(stretch.start, stretch.stop, _LINE):
            residues = stretch.sites[start - stretch.start :][:_LINE]
            line = Stretch(stretch.chain, stretch.region, start, residues)
            loop = stretch.region.startswith("CDR")
            picture.append(f"{stretch.region:<5}{line.label:<10}", "bold" if loop else "dim")
            for site, part in zip(residues, share[start:], strict=False):
                picture.append(site.residue, _style(part))
            picture.append(" " * (_LINE + 2 - len(residues)))
            picture.append(f"{explained.contributions[start : line.stop].sum():+8.3f}\n", "bold" if loop else "")
            marks = "".join(_mark(part) for part in share[start : line.stop])
            picture.append(f"{'':15}{marks}\n" if marks.strip() else "\n", "dim")
            here = [SYMBOLS[marked[i][0].severity] if i in marked else " " for i in range(start, line.stop)]
            picture.append(f"{'':15}{''.join(here)}\n" if set(here) != {" "} else "")
    picture.append("\n▲ raises, ▼ lowers the score; △ ▽ less than half of the strongest contribution", "dim")
    for words in in_words(explained.marks):
        picture.append("\n" + "\n".join(wrap(words, 80, subsequent_indent="  ")))
    return picture


def headline(explained: Pictured) -> str:
    """Return the score and its parts, in words."""
    score = f"{UNIT[explained.unit]} {explained.score:+.3f}"
    if explained.intercept is None:
        return (
            f"{score}; its fall when each residue is hidden\n"
            "Numbers of regions add these falls; hiding a whole region has another effect."
        )
    total = explained.contributions.sum()
    return f"{score} = intercept {explained.intercept:+.3f} and residues {total:+.3f}"


def fragment(explained: Pictured) -> str:
    """Return contributions as a piece of HTML."""
    share, marked = _shares(explained.contributions), by_site(explained.marks)
    lines = [f"<style>{_CSS}</style><div class='aesm'><p>{html.escape(headline(explained))}</p>"]
    for chain, regions in groupby(stretches(explained.sites), lambda stretch: stretch.chain):
        name = {"H": "heavy chain", "L": "light chain"}.get(chain, "chain")
        lines.append(f"<p class='aesm-chain'>{name}</p><div class='aesm-row'>")
        lines += ["".join(_region(stretch, explained, share, marked)) for stretch in regions]
        lines.append("</div>")
    lines += [f"<p class='aesm-marks'>{html.escape(words)}</p>" for words in in_words(explained.marks)]
    return "\n".join([*lines, "</div>"])


def page(explained: Pictured) -> str:
    """Return contributions as a page of HTML."""
    return _PAGE.format(fragment=fragment(explained))


def _region(
    stretch: Stretch, explained: Pictured, share: NDArray[np.float64], marked: Mapping[int, Sequence[Mark]]
) -> Iterator[str]:
    total = explained.contributions[stretch.start : stretch.stop].sum()
    kind = " aesm-loop" if stretch.region.startswith("CDR") else ""
    yield f"<div class='aesm-region{kind}'><div class='aesm-cells'>"
    for i, site in enumerate(stretch.sites, start=stretch.start):
        place = f"{site.region} {site.position}" if site.position else str(site.index + 1)
        words = "".join(f"; {mark.title}" for mark in marked.get(i, ()))
        title = html.escape(f"{site.residue} {place}: {explained.contributions[i]:+.4f}{words}", quote=True)
        mark = f"<em>{SYMBOLS[marked[i][0].severity]}</em>" if i in marked else ""
        up, down = (max(0.0, sign * share[i]) for sign in (1, -1))
        yield (
            f"<span title='{title}'><i class='aesm-up' style='height:{1.6 * up:.2f}em'></i>"
            f"<b>{html.escape(site.residue)}</b>"
            f"<i class='aesm-down' style='height:{1.6 * down:.2f}em'></i>{mark}</span>"
        )
    yield f"</div><small>{stretch.region} {stretch.label}<br>{total:+.3f}</small></div>"


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = float(np.abs(values).max(initial=0))
    return values / largest if largest else np.zeros_like(values)


def _mark(share: float) -> str:
    strength = abs(share)
    if strength < _WEAK:
        return " "
    return ("▲" if strength >= _STRONG else "△") if share > 0 else ("▼" if strength >= _STRONG else "▽")


def _style(share: float) -> str:
    """Return white or black letters on a shade of orange or blue, as strong as the share."""
    if abs(share) < _WEAK:
        return ""
    strength = 0.25 + 0.75 * abs(share)
    full = np.array([0xD5, 0x5E, 0x00] if share > 0 else [0x00, 0x72, 0xB2])
    red, green, blue = (255 - (255 - full) * strength).round().astype(int).tolist()
    return f"{'#ffffff' if strength > 0.75 else '#000000'} on #{red:02x}{green:02x}{blue:02x}"


_CSS = """
.aesm { font: 14px/1.4 system-ui, sans-serif; }
.aesm p { margin: .4em 0; }
.aesm-chain { font-weight: 600; }
.aesm-row { display: flex; flex-wrap: wrap; gap: 1em .5em; }
.aesm-region { padding: .25em .35em; border-radius: 4px; }
.aesm-loop { background: rgba(128, 128, 128, .16); }
.aesm-cells { display: flex; flex-wrap: wrap; font-family: ui-monospace, monospace; }
.aesm-cells span { display: grid; grid-template-rows: 1.7em 1.3em 1.7em; width: .95em; justify-items: center; }
.aesm-cells b { font-weight: 500; }
.aesm-cells i { width: .75em; border-radius: 1px; }
.aesm-up { align-self: end; background: #d55e00; }
.aesm-down { align-self: start; background: #0072b2; }
.aesm-cells em { font: normal .8em/1.1 system-ui, sans-serif; }
.aesm-marks { overflow-wrap: anywhere; }
.aesm small { opacity: .75; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { .aesm-up { background: #ff9a4d; } .aesm-down { background: #5ab4ee; } }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Contributions of residues</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2rem auto; padding: 0 1rem; max-width: 62rem; background: #fff; color: #1f2328; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #0f1318; color: #e6eaef; }} }}
</style>
</head>
<body>
{fragment}
</body>
</html>
"""
