"""Contributions and scans as figures, as text for a terminal, and as HTML."""

import html
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.explain.chain import Place
from antibody_esm.sequences import AMINO_ACIDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from antibody_esm.explain.contributions import Contributions
    from antibody_esm.explain.scan import Scan

_ROW = 60
"""Residues in a line of text."""
_RED, _BLUE = (0xB2, 0x30, 0x2C), (0x2A, 0x6F, 0xB0)
_TITLE = {"logit": "logit of class 1", "value": "value"}


def bars(found: "Contributions", ax: "Axes | None") -> "Axes":
    """Draw contributions as bars along the chain; a chain of a pair follows the other."""
    return _drawn(ax, _bars, found, (9.0, 2.8))


def heat_map(found: "Scan", ax: "Axes | None") -> "Axes":
    """Draw the change of each mutation."""
    return _drawn(ax, _heat_map, found, (max(4.0, 1.6 + 0.17 * len(found.places)), 4.2))


def _drawn(ax: "Axes | None", draw: Callable[..., None], found: Any, size: tuple[float, float]) -> "Axes":
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    draw(ax, found)
    return ax


def _bars(ax: "Axes", found: "Contributions") -> None:
    x = np.arange(len(found.places))
    colors = [_hex(_RED if value > 0 else _BLUE) for value in found.contributions]
    ax.bar(x, found.contributions, color=colors, width=0.85)
    ax.axhline(0, color="0.5", linewidth=0.8)
    _mark_regions(ax, found.places)
    _name_places(ax, found.places)
    ax.set_ylabel(f"share of the {_TITLE[found.unit]}" if found.method == "exact" else "fall when hidden")
    ax.set_xlim(-0.8, len(x) - 0.2)


def _heat_map(ax: "Axes", found: "Scan") -> None:
    largest = float(np.abs(found.change).max()) or 1.0
    image = ax.imshow(
        found.change.T, aspect="auto", cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest"
    )
    for i, place in enumerate(found.places):
        if place.residue in AMINO_ACIDS:
            ax.plot(i, AMINO_ACIDS.index(place.residue), ".", color="0.25", markersize=4)
        if found.germline[i] and found.germline[i] != place.residue:
            ax.plot(i, AMINO_ACIDS.index(found.germline[i]), "x", color="0.25", markersize=4, markeredgewidth=1)
    ax.set_yticks(range(20), list(AMINO_ACIDS), fontsize=7)
    ax.set_ylabel("mutant")
    _mark_regions(ax, found.places)
    _name_places(ax, found.places)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.025, pad=0.01)
    bar.set_label(f"change of the {_TITLE[found.unit]}")
    ax.set_title("dot: the residue; cross: the germline's", fontsize=8, loc="left", pad=16)


def _mark_regions(ax: "Axes", places: tuple[Place, ...]) -> None:
    for first, last, place in _runs(places):
        if place.region.startswith("CDR"):
            ax.axvspan(first - 0.5, last + 0.5, color="0.5", alpha=0.15, linewidth=0, zorder=0)
            label = f"{place.chain}-{place.region}"
            ax.text((first + last) / 2, 1.01, label, transform=ax.get_xaxis_transform(), ha="center", fontsize=8)


def _name_places(ax: "Axes", places: tuple[Place, ...]) -> None:
    step = 1 if len(places) <= 40 else 5 if len(places) <= 140 else 10
    shown = [i for i in range(len(places)) if i % step == 0]
    ax.set_xticks(shown, [f"{places[i].residue}\n{places[i].name}" for i in shown], fontsize=6.5)
    ax.set_xlabel("residue, IMGT position")


def _runs(places: tuple[Place, ...]) -> list[tuple[int, int, Place]]:
    """Return first and last row of neighbouring residues of one region."""
    found: list[tuple[int, int, Place]] = []
    for i, place in enumerate(places):
        if found and (found[-1][2].chain, found[-1][2].region) == (place.chain, place.region) and found[-1][1] == i - 1:
            found[-1] = (found[-1][0], i, found[-1][2])
        else:
            found.append((i, i, place))
    return found


def text(found: "Contributions", *, color: bool) -> str:
    """Return the chain in lines of sixty residues, coloured; below, CDRs are underlined, and the largest are listed."""
    from rich.console import Console
    from rich.text import Text

    largest = float(np.abs(found.contributions).max()) or 1.0
    how = "exact contributions" if found.method == "exact" else "fall when each residue is hidden"
    lines = [
        Text(f"{_TITLE[found.unit]} {found.score:+.3f}, {how}; without any residue {found.intercept:+.3f}"),
        Text(),
    ]
    for start in range(0, len(found.places), _ROW):
        some = found.places[start : start + _ROW]
        line, below = Text(f"{some[0].name:>5} "), Text(" " * 6)
        for place, value in zip(some, found.contributions[start : start + _ROW], strict=True):
            line.append(place.residue, style=f"black on {_hex(_shade(value / largest))}")
            below.append(place.region[-1] if place.region.startswith("CDR") else " ")
        lines += [line, below]
    order = np.argsort(-np.abs(found.contributions), kind="stable")[:10]
    lines += [Text(), Text("  largest")]
    for i in order:
        place = found.places[i]
        name = f"{place.chain + ':' if place.chain else ''}{place.residue}{place.name}"
        length = round(20 * abs(found.contributions[i]) / largest)
        line = Text(f"  {name:<8}{place.region:<6}{found.contributions[i]:+.4f}  ")
        line.append("█" * max(1, length), style=_hex(_RED if found.contributions[i] > 0 else _BLUE))
        lines.append(line)
    stream = io.StringIO()
    Console(
        file=stream, force_terminal=color, color_system="truecolor" if color else None, width=80, legacy_windows=False
    ).print(*lines, sep="\n")
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def markup(found: "Contributions") -> str:
    """Return the chain as HTML that loads nothing, light or dark."""
    largest = float(np.abs(found.contributions).max()) or 1.0
    cells = []
    for first, last, place in _runs(found.places):
        inner = "".join(
            f'<span style="background:{_rgba(found.contributions[i] / largest)}" '
            f'title="{html.escape(found.places[i].name)} {found.contributions[i]:+.4f}">'
            f"{html.escape(found.places[i].residue)}</span>"
            for i in range(first, last + 1)
        )
        cdr = place.region.startswith("CDR")
        label = f'<span style="font-size:70%">{place.chain}-{place.region}</span> ' if cdr else ""
        frame = "border-bottom:2px solid currentColor;margin:0 .2em" if cdr else ""
        cells.append(f'<span style="{frame}">{label}{inner}</span>')
    how = "exact contributions" if found.method == "exact" else "fall when each residue is hidden"
    return (
        f"<p>{_TITLE[found.unit]} {found.score:+.3f}, {how}; red is towards class 1, blue away from it.</p>"
        f'<p style="font-family:monospace;line-height:2;overflow-wrap:anywhere">{"".join(cells)}</p>'
    )


def page(found: "Contributions") -> str:
    """Return `markup` as a page of its own."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<title>Residue contributions</title><style>:root{color-scheme:light dark}"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}</style></head>"
        f"<body>{markup(found)}</body></html>\n"
    )


def ranked(found: "Scan", rows: int = 15) -> str:
    """Return the mutations that lower the prediction most, as a table of at most 80 columns."""
    frame = found.to_frame()
    lines = [f"{len(frame):,} mutations of {len(found.places)} residues; {_TITLE[found.unit]} {found.score:+.3f}", ""]
    plausible = found.plausibility is not None
    head = f"{'mutation':<12}{'region':<8}{'change':>9}" + (f"{'plausibility':>14}" if plausible else "")
    lines.append(head + "  ")
    for row in frame.head(rows).to_dict("records"):
        line = f"{row['mutation']:<12}{row['region']:<8}{row['change']:>+9.3f}"
        said = ["germline"] if row["germline"] else []
        if plausible:
            line += f"{row['plausibility']:>+14.2f}"
            said += ["front"] if row["pareto"] else []
        lines.append(f"{line}  {', '.join(said)}")
    if not plausible:
        lines += ["", f"No plausibility: {found.absent}."]
    return "\n".join(line.rstrip() for line in lines)


def _shade(share: float) -> tuple[int, int, int]:
    """Return white for 0, red for 1, blue for -1, light enough for black letters."""
    end = _RED if share > 0 else _BLUE
    return tuple(round(255 + (one - 255) * 0.65 * min(1.0, abs(share))) for one in end)  # type: ignore[return-value]


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _rgba(share: float) -> str:
    red, green, blue = _RED if share > 0 else _BLUE
    return f"rgba({red},{green},{blue},{0.75 * min(1.0, abs(share)):.3f})"
